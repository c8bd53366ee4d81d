"""A script: what happens when. As Python objects, or read from the tables of a TOML file.

    Script((
        Step(when=AtSequence(5), effect=Close(4000)),                          # to the connection where it happens
        Step(when=OnMessage(Opcode.RESUME), effect=InvalidSession(False)),
        Step(when=AtSecond(10.0), effect=SendEvent("MESSAGE_CREATE", b"{}"), target=ToShard(0)),
    ))

    [[step]]
    when = { sequence = 5 }
    fault = "close"
    code = 4000

    [[step]]
    when = { opcode = "resume", nth = 1 }
    fault = "invalid_session"
    resumable = false

    [[step]]
    when = { second = 10.0 }
    target = { shard = 0 }
    t = "MESSAGE_CREATE"
    d = { content = "hello" }

A step is a moment (`when`), and either a fault, with its fields beside it, or an event (`t` and `d`). Without a
`target` it befalls the connection at which the moment came; a second has none. `reading` documents moments, faults and
targets.

What befalls the connection itself is the server's plan and strikes at exactly that byte. Everything else the plan only
marks, and whoever drives the server carries it out when `FaultFired` tells of the `Mark`; seconds are the driver's,
too.
"""

import math
from typing import Any, Final, TypeAlias

import msgspec

from ..errors import InvalidConfigError
from .actions import FaultFired, ServerAction
from .checked import Checked, require_kind
from .effects import Effect, SendEvent, Target, ToConnection, ToNext
from .faults import Mark, Planned, When
from .reading import Fields, only, read_event, read_fault, read_moment, read_target

_LABEL: Final = "script step "


class AtSecond(Checked, frozen=True):
    """So many seconds after the script was started."""

    seconds: float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a script.

    Raises:
        InvalidConfigError: an `AtSecond` without a target, an event for the `ToNext` connections, or what is no moment,
            no effect or no target.
    """

    when: When | AtSecond
    effect: Effect
    target: Target | None = None

    def __post_init__(self) -> None:
        require_kind(self.when, When | AtSecond, "a moment")
        require_kind(self.effect, Effect, "a fault or an event")
        require_kind(self.target, Target | None, "a target like ToAll() or ToShard(0)")
        if isinstance(self.when, AtSecond):
            if not 0 <= self.when.seconds < math.inf:
                raise InvalidConfigError("second: must be a number from 0")
            if self.target is None:
                raise InvalidConfigError("target: is missing; a second does not say where")
        if isinstance(self.effect, SendEvent) and isinstance(self.target, ToNext):
            raise InvalidConfigError("target: next is for faults only")


Due: TypeAlias = tuple[Effect, Target]
"""What the driver is to carry out now."""


class Script(Checked, frozen=True):
    """Steps; their order matters only where two have the same moment."""

    steps: tuple[Step, ...]

    def plan(self) -> tuple[Planned, ...]:
        """What belongs into `ServerConfig.plan`."""
        return tuple(
            Planned(when=step.when, fault=_planned_fault(number, step))
            for number, step in enumerate(self.steps)
            if not isinstance(step.when, AtSecond)
        )

    def due(self, action: ServerAction) -> Due | None:
        """What is to be done because a server told this."""
        if not isinstance(action, FaultFired) or not isinstance(action.fault, Mark) or action.connection_id is None:
            return None
        label = action.fault.label
        for number, step in enumerate(self.steps):
            if label == f"{_LABEL}{number}":
                return step.effect, step.target or ToConnection(action.connection_id)
        return None

    def timed(self) -> list[tuple[float, Effect, Target]]:
        """What is to be done at which second, earliest first."""
        timed = [
            (step.when.seconds, step.effect, step.target)
            for step in self.steps
            if isinstance(step.when, AtSecond) and step.target is not None
        ]
        return sorted(timed, key=lambda due: due[0])


def read_script(tables: Fields) -> Script:
    """A script out of the tables of a TOML file.

    Raises:
        InvalidConfigError: one line with the step, from 1, and the key.
    """
    only(tables, ("step",), "the script")
    steps = tables.get("step", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise InvalidConfigError("step: must be tables, each under [[step]]")
    return Script(tuple(_read_step(number, dict(fields)) for number, fields in enumerate(steps, 1)))


def _read_step(number: int, fields: dict[str, Any]) -> Step:
    try:
        when = _read_when(fields.pop("when", None))
        target = read_target(fields.pop("target")) if "target" in fields else None
        return Step(when=when, effect=_read_effect(fields), target=target)
    except InvalidConfigError as error:
        raise InvalidConfigError(f"step {number}: {error}") from error


def _read_when(value: Any) -> When | AtSecond:
    if value is None:
        raise InvalidConfigError("when: is missing")
    if not isinstance(value, dict) or "second" not in value:
        return read_moment(value)
    only(value, ("second",), "when")
    seconds = value["second"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidConfigError("second: must be a number from 0")
    try:
        return AtSecond(float(seconds))
    except OverflowError:
        return AtSecond(math.inf)  # refused like the infinity that it amounts to


def _read_effect(fields: dict[str, Any]) -> Effect:
    if "fault" in fields:
        return read_fault(fields.pop("fault"), fields)
    if "t" not in fields:
        raise InvalidConfigError("fault: is missing; a step has a fault, or an event's t and d")
    only(fields, ("t", "d"), "the event")
    try:
        data = msgspec.json.encode(fields.get("d", {}))
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise InvalidConfigError("d: cannot be written as JSON") from None
    return read_event(fields["t"], data)


def _planned_fault(number: int, step: Step) -> Any:
    is_here = step.target is None and not isinstance(step.effect, SendEvent)
    return step.effect if is_here else Mark(f"{_LABEL}{number}")
