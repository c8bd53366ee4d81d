"""What is found: the rule that was broken, how, the steps that were played and the story up to there."""

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

TAIL: Final = 40
"""Lines of the story that a finding tells."""
_LOOK_BACK: Final = 2
"""Lines in which what is told again is looked for: an event that is handed over and delivered takes two."""
_WIDTH: Final = 116


class Rule(Enum):
    """What a client owes."""

    NO_EXCEPTION = "nothing that the network brings raises"
    COMES_TO_REST = "a client that has nothing to do lets time pass"
    LAWFUL_FRAMES = "what a client writes are frames and payloads that the protocol allows"
    ONCE_AND_IN_ORDER = "each event is delivered once and in order, unless it is marked as replayed"
    UNCHANGED = "an event is delivered as it was sent"
    NOTHING_LOST = "no event of a session that lives is lost"
    RIGHT_URL = "an IDENTIFY dials the gateway's URL, a RESUME the session's resume_gateway_url or else the gateway's"
    RIGHT_SESSION = "a RESUME names the session of the last READY, and never one that op 9 false has ended"
    RIGHT_SEQUENCE = "a RESUME names the last sequence received"
    RESUMES = "a session that can be resumed is resumed: no IDENTIFY for it"
    IDENTIFY_SPACING = "one IDENTIFY every five seconds, and one for each permit"
    BEATS_IN_TIME = "a heartbeat goes out in every interval from HELLO on"
    BEATS_NAME_SEQUENCE = "a heartbeat names the last sequence received"
    ANSWERS_OP_1 = "op 1 is answered by a heartbeat at once"
    OBEYS_OP_7 = "after op 7 a client reconnects"
    LEAVES_ZOMBIES = "a connection on which nothing comes any more is left"
    SEND_LIMIT = "at most 120 payloads in any 60 seconds of a connection"
    FATAL_IS_FATAL = "after 4004 and 4010 to 4014 a client does not come back"
    COMES_BACK = "after everything else it does, and to a session"
    NO_NEEDLESS_DIAL = "nobody reconnects without a reason"
    BACKS_OFF = "between dials that fail a client waits"


class Finding(AssertionError):
    """A client broke a rule: which, how, and what happened before that.

    Its text names the steps, too: with them a `Harness` plays it again.
    """

    def __init__(self, rule: Rule, detail: str, story: list[str], played: Iterable[str] = ()) -> None:
        lines = [*played, *(["what happened:"] if played else []), *story]
        super().__init__("\n".join([f"{rule.value}: {detail}", *(f"    {line}" for line in lines)]))
        self.rule: Rule = rule
        self.detail: str = detail


class _Line:
    def __init__(self, now: float, text: str, detail: str, *, is_step: bool) -> None:
        self.first_at = self.last_at = now
        self.text = text
        self.first = self.last = detail
        self.is_step = is_step
        self.count = 1

    def __str__(self) -> str:
        told = f"{self.first_at:10.3f}  {self.text}{self.first}"
        if self.count == 1:
            return told
        told += f" …{self.last}, " if self.last != self.first else ", "
        return f"{told}{self.count} times until {self.last_at:.3f}"


class Story:
    """The last things that happened, a line each; what repeats itself is one line with its number."""

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque(maxlen=TAIL)

    def note(self, now: float, text: str, detail: str = "", *, is_step: bool = False) -> None:
        """Add a line. One of the same text that has just been told is counted instead, and its last `detail` kept."""
        for back in range(1, min(_LOOK_BACK, len(self._lines)) + 1):
            line = self._lines[-back]
            if line.is_step or is_step:
                break
            if line.text == text:
                line.count += 1
                line.last, line.last_at = detail, now
                return
        self._lines.append(_Line(now, text, detail, is_step=is_step))

    def lines(self) -> list[str]:
        return [str(line) for line in self._lines]


def as_code(harness: str, steps: list[Any]) -> list[str]:
    """The lines of code that play the steps again; `harness` makes it."""
    lines = [f"harness = {harness}", "harness.play("]
    for number, step in enumerate(steps, 1):
        told = f"{step!r}" + (", " if number < len(steps) else ")")
        if len(lines[-1]) + len(told) > _WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append("    ")
        lines[-1] += told
    return lines
