"""The command line, `gateway-proto`: a demo, a bot and a gateway to try clients against. Needs the extra `cli`."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run a command (that of the process, for None) and return its exit code."""
    try:
        from .app import invoke
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "gateway_proto", "gateway_transports"):
            raise
        print(f"gateway-proto: {missing} is missing; install gateway-proto[cli]", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return invoke(args)
