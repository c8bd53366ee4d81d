"""A value that never prints: tokens, session ids, resume URLs."""

from typing import final


@final
class Secret:
    """Holds a string and shows `***` wherever it is printed. Compares and hashes like the string it holds."""

    __slots__ = ("_value",)

    def __init__(self, value: "str | Secret") -> None:
        self._value: str = value.reveal() if isinstance(value, Secret) else value

    def reveal(self) -> str:
        """The string itself. Whoever calls this must not log it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        # Deep copies need this; a pickle of a secret is in clear, like any file that its owner writes.
        return (Secret, (self._value,))
