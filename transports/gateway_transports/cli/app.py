"""The application that holds the commands, and how it ends: an exit code, and one line for whatever went wrong."""

import sys
from collections.abc import Sequence
from typing import Any

import typer

from .demo import demo
from .options import InputError, tell
from .run import run
from .serve import serve

app: typer.Typer = typer.Typer(
    name="gateway-proto",
    help="The Discord gateway: see it work, run a bot on it, or serve one to try a client against.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(run)
app.command()(serve)


def invoke(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 after bad input, which gets one line on stderr."""
    given = list(sys.argv[1:] if args is None else args) or ["--help"]
    try:
        code: Any = app(given, prog_name="gateway-proto", standalone_mode=False)
    except InputError as error:
        return _complain(str(error), 2)
    except typer.TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):  # before a command has begun, or after its end
        return 130
    return code if isinstance(code, int) else 0


def _complain(text: str, code: int) -> int:
    tell(text)
    return code
