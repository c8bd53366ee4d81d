"""Which events a client was handed and which of them its user got: by their names and contents, numbered or not."""

from typing import Any, Final

from ..secret import Secret

OPTIONAL: Final = ("READY", "RESUMED")
"""What a client may keep to itself."""


class Handed:
    """An event that was handed over: of this session, with this sequence (None: it had none), `body` its `d`."""

    __slots__ = ("body", "is_delivered", "name", "sequence", "session_id")

    def __init__(self, session_id: Secret, sequence: int | None, name: str, body: Any) -> None:
        self.session_id: Secret = session_id
        self.sequence: int | None = sequence
        self.name: str = name
        self.body: Any = body
        self.is_delivered: bool = False

    @property
    def number(self) -> int | None:
        """By which the harness knows an event that it made again."""
        number = self.body.get("_number") if isinstance(self.body, dict) else None
        return number if isinstance(number, int) else None

    @property
    def label(self) -> str:
        return f"event {self.number}" if self.number is not None else f"{self.name} {self.sequence}"

    @property
    def must_come(self) -> bool:
        """An event without a sequence cannot be told from a mistake of the gateway's."""
        return self.sequence is not None and self.name not in OPTIONAL


class Ledger:
    """What was handed over and is not delivered yet, in order; and everything that ever was."""

    def __init__(self) -> None:
        self._pending: list[Handed] = []
        self._all: dict[tuple[Secret, int | None, int], Handed] = {}

    def clear(self) -> None:
        """The client is a new one."""
        self._pending.clear()
        self._all.clear()

    def hand_over(self, session_id: Secret, sequence: int | None, name: str, body: Any) -> None:
        """An event was handed over; one that was before, and is not delivered yet, is still the same."""
        key = (session_id, sequence, len(self._all) if sequence is None else 0)
        handed = self._all.get(key)
        if handed is None:
            handed = self._all[key] = Handed(session_id, sequence, name, body)
        elif handed.is_delivered or handed in self._pending:
            return
        self._pending.append(handed)

    def find(self, name: str, body: Any) -> Handed | None:
        """The first one of this content that is to be delivered."""
        return next((handed for handed in self._pending if handed.name == name and handed.body == body), None)

    def recall(self, body: Any) -> Handed | None:
        """Any that was ever handed over with this content, whatever its name."""
        return next((handed for handed in self._all.values() if handed.body == body), None)

    def take(self, handed: Handed) -> Handed | None:
        """It is delivered. Returns one of the same session that should have been before it, if there is one.

        READY and RESUMED are told at any time: a client may have no queue for them.
        """
        handed.is_delivered = True
        if not handed.must_come:
            self._pending.remove(handed)
            return None
        at = self._pending.index(handed)
        before, self._pending = self._pending[:at], self._pending[at + 1 :]
        return next((each for each in before if each.must_come and each.session_id == handed.session_id), None)

    def pending(self, session_id: Secret | None) -> list[Handed]:
        """Those of a session that are still to be delivered."""
        return [handed for handed in self._pending if handed.must_come and handed.session_id == session_id]
