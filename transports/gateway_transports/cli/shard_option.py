"""The option --shards: which shards a bot runs."""

import re
from typing import Any, Final

import msgspec

from gateway_proto.discovery import MAX_SHARDS

from ..client import Client
from .options import InputError

HELP: Final = (
    "auto (as many as Discord recommends), 4 (all of four), 0-3/10 (the shards 0 to 3, both included, of ten) or 3/10 "
    "(one of them). Without it, the bot runs without sharding."
)
_FORM: Final = re.compile(r"(?:([0-9]{1,9})(?:-([0-9]{1,9}))?/)?([0-9]{1,9})")


class ShardChoice(msgspec.Struct, frozen=True):
    """What to start: the shards `ids` (a Python range) of `total`; all of `total` for None; None twice is auto."""

    ids: range | None = None
    total: int | None = None

    @property
    def is_auto(self) -> bool:
        return self.total is None

    async def start(self, client: Client[Any]) -> None:
        """Raises as `Client.start*` does."""
        if self.total is None:
            await client.start_autosharded()
        elif self.ids is None:
            await client.start_shards(self.total)
        elif len(self.ids) == 1:
            await client.start_shard(self.ids.start, self.total)
        else:
            await client.start_shard_range(self.ids, self.total)


def parse_shards(text: str) -> ShardChoice:
    """auto, N, A/N or A-B/N, with B included, as people write it.

    Raises:
        InputError: it is none of these, or there are no such shards.
    """
    text = text.strip()
    if text.lower() == "auto":
        return ShardChoice()
    match = _FORM.fullmatch(text)
    if match is None:
        raise InputError(f"--shards is auto, a count as 4, or some of a count as 0-3/10 or 3/10, not {text!r:.40}")
    first, last, total = (None if group is None else int(group) for group in match.groups())
    assert total is not None, "the form has it"
    if not 1 <= total <= MAX_SHARDS:
        raise InputError(f"--shards {text}: there are 1 to {MAX_SHARDS:,} shards, not {total:,}")
    if first is None:
        return ShardChoice(total=total)
    last = first if last is None else last
    if last < first:
        raise InputError(f"--shards {text}: a range begins with the lower one, as in {last}-{first}/{total}")
    if last >= total:
        raise InputError(f"--shards {text}: shards are counted from 0, so the last one of {total} is {total - 1}")
    return ShardChoice(ids=range(first, last + 1), total=total)
