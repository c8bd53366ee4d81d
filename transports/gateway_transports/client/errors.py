"""Why a client's start is refused, or its shards ended."""

from collections.abc import Mapping

from gateway_proto import GatewayError


class OnlyBotsShardError(GatewayError):
    """GET /gateway/bot refused the token."""

    def __init__(self) -> None:
        super().__init__(
            "Discord refused the token at /gateway/bot: only bots can shard. Check the token; "
            "what is no bot starts without shards, by start()"
        )


class ShardCrashedError(GatewayError):
    """A shard was ended by an exception that nobody expects; it is the `__cause__`. The others went on."""


class ShardsEndedError(GatewayError):
    """Every shard has ended, and several of them failed: `failures` says why, by shard id."""

    def __init__(self, failures: Mapping[int, GatewayError]) -> None:
        self.failures: dict[int, GatewayError] = dict(failures)
        some = "; ".join(f"shard {shard_id}: {error}" for shard_id, error in list(self.failures.items())[:3])
        more = f"; and {len(self.failures) - 3} more" if len(self.failures) > 3 else ""
        super().__init__(f"{len(self.failures)} shards have failed: {some}{more}")
