"""The process that libFuzzer takes over and ends by itself: `python -m fuzz.child TARGET [libFuzzer's arguments]`."""

import sys

import atheris

from .target import load


def main() -> None:
    # The engine alone is instrumented: coverage of wsproto, h11 or the targets themselves would lead the search astray.
    with atheris.instrument_imports(include=["gateway_proto"]):
        target = load(sys.argv[1])
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
