"""Whether a shard count suits the bot, before Discord refuses it for good (close codes 4010 and 4011).

(Discord: Gateway > Sharding, and Sharding for Large Bots.) Each piece of advice is one line for a log: what is wrong
and what to do.
"""

from typing import Final

from ..errors import LocalProtocolError

MAX_GUILDS: Final = 2500
"""Guilds that Discord allows a shard."""
NEAR_MAX_GUILDS: Final = 2000
"""Where a shard is told to be near to that: the bot grows, and a new shard count costs an IDENTIFY a shard."""
RECOMMENDED_GUILDS: Final = 1000
"""Guilds a shard, about, by which Discord recommends a count."""


def shard_count_advice(total: int, *, recommended: int | None, max_concurrency: int = 1) -> list[str]:
    """What is wrong with running `total` shards; nothing where Discord recommended no count.

    Args:
        recommended: `shards` of GET /gateway/bot, at least 1.
        max_concurrency: of its session start limit. Above 1, the bot is a very large one.

    Raises:
        LocalProtocolError: a number is below 1.
    """
    if min(total, max_concurrency, 1 if recommended is None else recommended) < 1:
        raise LocalProtocolError(
            f"shard counts and max_concurrency are at least 1, not {total}, {recommended} and {max_concurrency}"
        )
    if recommended is None:
        return []
    advice: list[str] = []
    # "The number of shards you run must be a multiple of the shard number provided when reaching out to you." That one
    # is not told by the API; but what is recommended is always right, so its multiples are too.
    if max_concurrency > 1 and total % recommended:
        advice.append(
            f"the shard count {total} is no multiple of {recommended}, which Discord recommends: a very large bot "
            f"(max_concurrency {max_concurrency}) must run a multiple of the number of shards that Discord assigned "
            f"to it, or is refused (close code 4010); run {_multiples(recommended, around=total)} shards"
        )
    guilds = recommended * RECOMMENDED_GUILDS
    if guilds > MAX_GUILDS * total:
        a_shard = -(-guilds // total)
        advice.append(
            f"the shard count {total} is too low: Discord recommends {recommended}, one for each "
            f"{RECOMMENDED_GUILDS:,} guilds or so; a shard would have about {a_shard:,} and is allowed {MAX_GUILDS:,} "
            f"(close code 4011); run {recommended} shards"
        )
    return advice


def guild_count_advice(shard_id: int, guilds: int) -> str | None:
    """What is wrong with a shard whose READY names so many guilds; None up to 2,000."""
    if guilds <= NEAR_MAX_GUILDS:
        return None
    return (
        f"shard {shard_id} has {guilds:,} guilds and Discord allows a shard {MAX_GUILDS:,} (close code 4011); "
        "start with more shards, as many as GET /gateway/bot recommends by now"
    )


def _multiples(number: int, *, around: int) -> str:
    """The next ones below and above."""
    below = around // number * number
    return f"{below} or {below + number}" if below else f"{number}"
