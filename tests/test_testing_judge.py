"""What the harness does to a client, and what it says of one: of each rule the proof that it sees, and that it lets be.

Steps that are written down, and small clients that are wrong in one thing. `test_testing_machine.py` has the machine.
"""

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import Phase

from gateway_proto import InvalidConfigError
from gateway_proto.server import (
    AskReconnect,
    Close,
    Drop,
    Fragment,
    InvalidSession,
    NoAnswer,
    NoHello,
    Refuse,
    RequestHeartbeat,
    SendText,
    SplitMessages,
    Stall,
)
from gateway_proto.testing.adapter import (
    AdapterTypeError,
    Delivered,
    Dial,
    HangUp,
    Output,
    Outputs,
    PermitWanted,
    ShardAdapter,
)
from gateway_proto.testing.findings import TAIL
from gateway_proto.testing.harness import RESUME_URL, URL, Harness, MakeClient
from gateway_proto.testing.machine import check_client
from gateway_proto.testing.steps import (
    Commands,
    Events,
    Recover,
    RefuseDials,
    Step,
    Strike,
    StrikeNext,
    Tear,
    Wait,
)
from gateway_proto.testing.watch import FAILED_DIALS, Finding, Rule
from gateway_proto.websocket.lane import FrameReader

from .test_testing_machine import FOUND_BY, quiet
from .toy_client import Slip, ToyClient

REPLAY: tuple[Step, ...] = (Tear(), Events(60, 100), Tear(2000), Recover(), Events(3), Wait(30.0))
"""The first socket is torn, and the second within the replay."""
AGAIN: tuple[Step, ...] = (Tear(), Wait(5.0), Recover())

REFUSED: tuple[Step, ...] = (StrikeNext(Refuse(503)), Tear(), Wait(0.2))


def toy(*slips: Slip, **settings: Any) -> MakeClient:
    return lambda url, rng: ToyClient(url, rng, *slips, **settings)


def play(make_client: MakeClient, *steps: Step, **settings: Any) -> Harness:
    harness = Harness(make_client, **settings)
    harness.run(10.0)
    harness.play(*steps)
    harness.settle()
    return harness


def found(make_client: MakeClient, *steps: Step, **settings: Any) -> Finding:
    with pytest.raises(Finding) as caught:
        play(make_client, *steps, **settings)
    return caught.value


# -- each slip by written steps, and by the machine --------------------------------------------------------------------

SLIPS: dict[Slip, tuple[set[Rule], tuple[Step, ...]]] = {
    Slip.FRAMES_ARE_MESSAGES: ({Rule.NO_NEEDLESS_DIAL}, (*AGAIN, Strike(Fragment(40)), Events(5, 100), Wait(5.0))),
    Slip.PARTS_ARE_MESSAGES: ({Rule.NO_NEEDLESS_DIAL}, (*AGAIN, Strike(SplitMessages(7)), Events(5, 100), Wait(5.0))),
    Slip.KEEPS_PARTS: ({Rule.NO_NEEDLESS_DIAL}, (Strike(Fragment(40)), Events(1, 0), Tear(50), Wait(30.0), Recover())),
    Slip.FORGETS_REPLAY: ({Rule.RIGHT_SEQUENCE}, REPLAY),
    Slip.COUNTS_BEHIND_OP_7: ({Rule.NOTHING_LOST}, (Events(1), Strike(AskReconnect()), Events(3), Wait(30.0))),
    Slip.DEAF_TO_OP_7: ({Rule.OBEYS_OP_7}, (Strike(AskReconnect()), Wait(30.0))),
    Slip.BEATS_NULL: ({Rule.BEATS_NAME_SEQUENCE}, (Events(5), Wait(60.0))),
    Slip.BEATS_AHEAD: ({Rule.BEATS_NAME_SEQUENCE}, (Events(5), Wait(60.0))),
    Slip.BEATS_EARLY: ({Rule.BEATS_IN_TIME}, ()),
    Slip.NO_BACKOFF: ({Rule.BACKS_OFF}, (RefuseDials(8), Tear(), Wait(30.0))),
    Slip.DIALS_ELSEWHERE: ({Rule.RIGHT_URL}, (Tear(), Wait(30.0))),
    Slip.IDENTIFIES_ELSEWHERE: ({Rule.RIGHT_URL}, (Strike(InvalidSession(False)), Wait(30.0))),
    Slip.LOSES_CHUNKS: ({Rule.NOTHING_LOST}, (Commands(1), Wait(5.0))),
    Slip.RENAMES: ({Rule.UNCHANGED}, (Events(1),)),
    Slip.MAKES_UP: ({Rule.UNCHANGED}, (Events(1),)),
    Slip.DOUBLES: ({Rule.ONCE_AND_IN_ORDER}, (Events(1),)),
}
ASKED_FOR: dict[Slip, dict[str, Any]] = {Slip.PARTS_ARE_MESSAGES: {"zlib_stream": True}}


def test_each_slip_is_here() -> None:
    assert set(SLIPS) == set(Slip)


@pytest.mark.parametrize("slip", Slip, ids=lambda slip: slip.name)
def test_a_slip_shows_in_the_steps_that_are_made_for_it(slip: Slip) -> None:
    rules, steps = SLIPS[slip]
    settings = ASKED_FOR.get(slip, {})
    assert found(toy(slip, **settings), *steps, chunk=50).rule in rules
    play(toy(**settings), *steps, chunk=50)


@pytest.mark.failure("F40")
@pytest.mark.parametrize("slip", Slip, ids=lambda slip: slip.name)
def test_the_machine_finds_each_slip(slip: Slip) -> None:
    with pytest.raises(Finding) as caught:
        check_client(toy(slip, **ASKED_FOR.get(slip, {})), settings=quiet(Phase.generate))
    assert caught.value.rule in SLIPS[slip][0]


def test_every_rule_is_broken_by_somebody() -> None:
    by_toys = {rule for rules in FOUND_BY.values() for rule in rules} | {
        r for rules, _ in SLIPS.values() for r in rules
    }
    # By the odd adapters of `test_testing_machine.py`.
    assert by_toys | {Rule.COMES_TO_REST, Rule.LAWFUL_FRAMES} == set(Rule)


STYLES: list[dict[str, Any]] = [
    {"zlib_stream": True},
    {"at_resume_url": True},
    {"permits": True},
    {"zlib_stream": True, "at_resume_url": True, "permits": True},
]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_other_styles_of_a_good_client_pass(style: dict[str, Any]) -> None:
    check_client(toy(**style), settings=quiet(Phase.generate, max_examples=40))


# -- sockets -----------------------------------------------------------------------------------------------------------


class KeepsBytes(ShardAdapter):
    """What has come of a frame when the socket ends is read once more, ahead of the next socket's frames."""

    stale = b""
    sockets_cut = 0

    def connection_made(self, now: float) -> Iterable[Output]:
        self.head, self.frames, self.reader = b"", b"", FrameReader(2**20)
        return super().connection_made(now)

    def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
        if b"\r\n\r\n" not in self.head:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return ()
            outputs = super().receive_data(head + end, now)
            data, self.stale = self.stale + data, b""
            if not data:
                return outputs
        self.frames += data
        self.reader.receive_data(data)
        return super().receive_data(data, now)

    def receive_eof(self, now: float) -> Iterable[Output]:
        self.stale = self.frames[len(self.frames) - self.reader.buffered :]
        type(self).sockets_cut += bool(self.stale)
        return super().receive_eof(now)


@pytest.mark.parametrize("blow", [Tear(), Strike(Drop()), Tear(130)], ids=str)
def test_a_socket_can_end_in_mid_frame(blow: Step) -> None:
    """Nothing else shows that bytes are kept over sockets."""
    rules = []
    for seed in range(6):
        try:
            play(KeepsBytes, Events(4, 3000), blow, Wait(30.0), Recover(), Events(3), chunk=50, seed=seed)
        except Finding as finding:
            rules.append(finding.rule)
    assert rules.count(Rule.NO_NEEDLESS_DIAL) >= 2


def test_what_still_arrives_of_what_is_under_way_differs() -> None:
    arrived = set()
    for seed in range(20):
        harness = Harness(ShardAdapter, chunk=50, seed=seed)
        harness.run(10.0)
        harness.play(Events(20, 100), Tear())
        arrived.add(harness.watch.delivered)
        harness.settle()
        assert harness.watch.delivered == 20
    assert len(arrived) >= 5
    assert {0, 20} < arrived


def test_the_pieces_of_a_write_come_one_after_the_other() -> None:
    times: list[float] = []

    class Timed(ShardAdapter):
        def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
            times.append(now)
            return super().receive_data(data, now)

    play(Timed, chunk=50)
    assert times == sorted(times)
    assert len(set(times)) >= len(times) - 3


@pytest.mark.parametrize("after", [1, 5000])
def test_a_tear_after_so_many_bytes_waits_for_them_even_on_the_next_socket(after: int) -> None:
    harness = Harness(ShardAdapter)
    harness.run(10.0)
    harness.play(Tear(after))
    assert harness.is_connected
    assert harness.watch.faults == 0
    harness.play(Events(1), Wait(0.2))
    assert harness.watch.faults == (after == 1)
    harness.play(Tear(), Events(30, 1000), Wait(10.0))
    assert harness.watch.faults == 2
    harness.settle()


def test_what_a_client_has_spaced_arrives_so() -> None:
    """A client that keeps the limit to a hundredth of a second keeps it where the server counts, however it is cut."""

    class Exact(ToyClient):
        def send(self, opcode: int, data: Any, now: float) -> Iterable[Output]:
            # 110 now, as many again as soon as the first minute is over.
            self._commands.append(json.dumps({"op": opcode, "d": data}))
            self._flush(now)
            return ()

        def _flush_at(self) -> float | None:
            if not self._commands or not self._is_ready:
                return None
            return self._sent[-110] + 60.01 if len(self._sent) >= 110 else float("-inf")

    harness = play(Exact, Wait(1.0), Commands(220), Wait(70.0), interval=41.25, latency=0.0, chunk=1)
    assert harness.watch.faults == 0


def test_a_tear_that_has_not_come_is_over_when_the_play_is() -> None:
    harness = play(ShardAdapter, Tear(10**9))
    harness.run(100.0)
    assert harness.watch.faults == 0


# -- reasons to leave --------------------------------------------------------------------------------------------------


class Leaves(ShardAdapter):
    """Hangs up, or says goodbye, at its first heartbeat on a second socket."""

    def __init__(self, url: str, rng: random.Random, farewell: bytes | None) -> None:
        super().__init__(url, rng)
        self.farewell = farewell
        self.sockets = 0

    def connection_made(self, now: float) -> Iterable[Output]:
        self.sockets += 1
        return super().connection_made(now)

    def handle_timeout(self, now: float) -> Iterable[Output]:
        outputs = list(super().handle_timeout(now))
        return [HangUp(), Dial(URL)] if self.sockets == 2 and not outputs else outputs


def test_a_socket_that_serves_is_not_left_without_a_reason_though_others_were_struck() -> None:
    finding = found(lambda url, rng: Leaves(url, rng, None), *AGAIN, Wait(120.0))
    assert finding.rule is Rule.NO_NEEDLESS_DIAL
    assert finding.detail == "it leaves socket 2, which served its session; no fault struck there"


class SaysGoodbye(ToyClient):
    """Closes the WebSocket after an event and waits for the server's close frame."""

    def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
        from wsproto.connection import ConnectionState
        from wsproto.events import CloseConnection

        outputs = list(super().receive_data(data, now))
        if any(isinstance(output, Delivered) for output in outputs) and self._ws is not None:
            assert self._ws.state is ConnectionState.OPEN
            self._out += self._ws.send(CloseConnection(code=4000))
        return outputs


def test_a_close_frame_without_a_reason_is_leaving_too() -> None:
    finding = found(SaysGoodbye, *AGAIN, Events(1), Wait(5.0))
    assert finding.rule is Rule.NO_NEEDLESS_DIAL


@pytest.mark.parametrize(
    "behind", [Strike(Close(4004)), Strike(InvalidSession(False)), Strike(AskReconnect()), Strike(Close(4009))], ids=str
)
def test_behind_what_is_no_json_a_client_need_not_have_read(behind: Step) -> None:
    """It may have left by then, within the same read: what has been held back by a stall comes at once."""
    stalled: tuple[Step, ...] = (Strike(Stall(3.0)), Strike(SendText(b"{")), behind)
    play(ToyClient, Events(3), *stalled, Wait(60.0), Recover(), Events(3))


def test_patience_may_end_where_there_is_no_session() -> None:
    """A client that waits no longer than 30 s for HELLO, or for the answer to its RESUME."""
    play(ToyClient, StrikeNext(NoHello()), Tear(), Wait(100.0), Recover())
    play(ToyClient, StrikeNext(NoAnswer()), Tear(), Wait(100.0), Recover())


# -- deliveries --------------------------------------------------------------------------------------------------------


class Doubles(ShardAdapter):
    """Delivers each event twice, the second marked."""

    def _outputs(self, actions: Any) -> Iterable[Output]:
        for output in super()._outputs(actions):
            yield output
            if isinstance(output, Delivered):
                yield Delivered(output.name, output.data, replayed=True)


def test_replayed_is_believed_once_there_was_a_resume() -> None:
    harness = play(Doubles, Wait(1.0), *AGAIN, Events(3))
    assert harness.watch.delivered == 3
    finding = found(Doubles, Events(3))
    assert finding.rule is Rule.ONCE_AND_IN_ORDER
    assert "there was no RESUME" in finding.detail
    # Another session has no RESUME, either.
    assert found(Doubles, *AGAIN, Strike(InvalidSession(False)), Wait(60.0), Events(3)).rule is Rule.ONCE_AND_IN_ORDER


class Late(ShardAdapter):
    """Delivers from a queue of its own, one event a second, even when the socket has gone; RESUMED at once."""

    def __init__(self, url: str, rng: random.Random) -> None:
        super().__init__(url, rng)
        self.queue: list[Delivered] = []
        self.next_at = 0.0

    def _outputs(self, actions: Any) -> Iterable[Output]:
        for output in super()._outputs(actions):
            if isinstance(output, Delivered) and output.name not in ("READY", "RESUMED"):
                self.queue.append(output)
            else:
                yield output

    def next_timeout(self) -> float | None:
        due = super().next_timeout()
        return due if not self.queue else min(self.next_at, self.next_at if due is None else due)

    def handle_timeout(self, now: float) -> Iterable[Output]:
        if self.queue and now >= self.next_at:
            self.next_at = now + 1.0
            yield self.queue.pop(0)
        yield from super().handle_timeout(now)


def test_a_client_may_deliver_later() -> None:
    harness = play(Late, Events(5), Wait(2.5), *AGAIN, Events(5), Strike(AskReconnect()), Commands(1), Wait(60.0))
    assert harness.watch.delivered == 10


# -- URLs and dials ----------------------------------------------------------------------------------------------------


def test_the_resume_url_is_another_host_and_the_shard_dials_it() -> None:
    dialled: list[str] = []

    class Dialling(ShardAdapter):
        def _outputs(self, actions: Any) -> Iterable[Output]:
            for output in super()._outputs(actions):
                dialled.extend([output.url.partition("/?")[0]] if isinstance(output, Dial) else ())
                yield output

    play(Dialling, Tear(), Wait(30.0), Strike(InvalidSession(False)), Wait(60.0))
    assert dialled == [URL, RESUME_URL, URL]


@pytest.mark.parametrize("url", ["wss://gateway.test", "ws://gateway.test:81/?v=10", "ws://[", "gateway.test", ""])
def test_a_dial_to_somewhere_else_is_found(url: str) -> None:
    class Elsewhere(ShardAdapter):
        def connect(self, now: float) -> Iterable[Output]:
            return [Dial(url)]

    assert found(Elsewhere).rule is Rule.RIGHT_URL


@pytest.mark.parametrize("url", ["ws://gateway.test:80", "WS://GATEWAY.test/?v=10&encoding=json"])
def test_a_url_may_be_spelt_otherwise(url: str) -> None:
    class Spelt(ShardAdapter):
        def connect(self, now: float) -> Iterable[Output]:
            list(super().connect(now))
            return [Dial(url)]

    play(Spelt)


def test_waits_between_dials_are_judged_from_the_fifth_on() -> None:
    play(toy(Slip.NO_BACKOFF), RefuseDials(FAILED_DIALS - 1), Tear(), Wait(30.0), Recover())
    finding = found(toy(Slip.NO_BACKOFF), *REFUSED * 6)
    assert finding.rule is Rule.BACKS_OFF
    assert finding.detail.startswith(f"{FAILED_DIALS} dials in a row have failed, and it waited 0.00 s")


# -- permits -----------------------------------------------------------------------------------------------------------


def test_a_permit_asked_for_ahead_of_the_dial_is_granted() -> None:
    harness = play(toy(permits=True), Strike(InvalidSession(False)), Wait(60.0), Events(3))
    assert harness.watch.identifies == 2
    assert harness.watch.delivered == 3


class AsksTwice(ShardAdapter):
    granted = 0

    def _outputs(self, actions: Any) -> Iterable[Output]:
        for output in super()._outputs(actions):
            yield from [output] * (2 if isinstance(output, PermitWanted) else 1)

    def permit_granted(self, now: float) -> Iterable[Output]:
        type(self).granted += 1
        return super().permit_granted(now)


def test_asking_again_ahead_of_the_grant_asks_for_nothing_more() -> None:
    play(AsksTwice)
    assert AsksTwice.granted == 1


# -- slips of whoever writes steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        # What mypy is told to ignore is the slip that is tested.
        (lambda: Strike(Drop), "expected a Fault, got the class Drop: write Drop()"),  # type: ignore[arg-type]
        (lambda: StrikeNext(Drop), "expected a Fault, got the class Drop: write Drop()"),  # type: ignore[arg-type]
        (lambda: Strike(Tear()), "expected a Fault, got Tear(), which is of type Tear"),  # type: ignore[arg-type]
        (lambda: Events("5"), "expected a whole number, got '5', which is of type str"),  # type: ignore[arg-type]
    ],
)
def test_a_step_of_what_is_no_fault_cannot_be_made(make: Callable[[], Step], says: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (Drop(), "expected a step, got the fault Drop(flush=False): write Strike(Drop(flush=False))"),
        ([Tear()], "expected steps one by one, got a list of them: write play(*steps)"),
        (Tear, "expected a step, got the class Tear: write Tear()"),
        ("Tear", "expected a step, got 'Tear', which is of type str"),
    ],
)
def test_what_is_no_step_cannot_be_played(step: Any, says: str) -> None:
    harness = Harness(ShardAdapter)
    harness.run(10.0)
    with pytest.raises(TypeError) as caught:
        harness.play(Tear(), step)
    assert str(caught.value) == says
    assert harness.watch.faults == 0, "nothing has been played"


@pytest.mark.parametrize("make", [lambda: Wait(-1.0), lambda: Wait(float("nan")), lambda: Events(-1), lambda: Tear(0)])
def test_a_number_out_of_range_is_refused(make: Callable[[], Step]) -> None:
    with pytest.raises(InvalidConfigError, match=r"must be [01] or more"):
        make()


# -- slips of whoever writes an adapter --------------------------------------------------------------------------------


class Sloppy(ShardAdapter):
    """Returns something odd from one of its methods."""

    def __init__(self, url: str, rng: random.Random, method: str, what: Callable[[Any], Any]) -> None:
        super().__init__(url, rng)
        setattr(self, method, _changed(getattr(self, method), what))


def _changed(method: Callable[..., Any], what: Callable[[Any], Any]) -> Callable[..., Any]:
    def changed(*args: Any) -> Any:
        returned = method(*args)
        return what(list(returned) if isinstance(returned, Iterable) and not isinstance(returned, bytes) else returned)

    changed.__name__ = method.__name__
    return changed


def sloppy(method: str, what: Callable[[Any], Any]) -> MakeClient:
    return lambda url, rng: Sloppy(url, rng, method, what)


def in_events(**fields: Any) -> Callable[[Any], Any]:
    def change(outputs: list[Output]) -> list[Any]:
        return [Delivered(**{"name": o.name, "data": o.data, **fields}) if isinstance(o, Delivered) else o
                for o in outputs]  # fmt: skip

    return change


@pytest.mark.parametrize(
    ("method", "what", "says"),
    [
        ("connect", lambda outputs: outputs[0], "connect returned a value of type Dial; a list of outputs is wanted"),
        ("connect", lambda outputs: [Dial], "connect returned the class Dial among its outputs"),
        # What mypy is told to ignore is the slip that is tested.
        ("connect", lambda outputs: [Dial(b"ws://x")], "connect returned a Dial whose url is a value of type bytes"),  # type: ignore[arg-type]
        ("connect", lambda outputs: "ws://x", "connect returned a value of type str"),
        ("receive_data", lambda outputs: 7, "receive_data returned a value of type int"),
        ("receive_data", lambda outputs: [("A", b"{}")], "receive_data returned a value of type tuple among its"),
        ("receive_data", in_events(data={}), "receive_data returned a Delivered whose data is a value of type dict"),
        ("receive_data", in_events(name=b"A"), "receive_data returned a Delivered whose name is a value of type bytes"),
        ("receive_eof", lambda outputs: [HangUp("x")], "receive_eof returned a HangUp whose farewell is"),  # type: ignore[arg-type]
        ("data_to_send", lambda data: "GET /", "data_to_send returned a value of type str: bytes are wanted"),
        ("next_timeout", lambda due: "soon", "next_timeout returned 'soon': seconds are wanted, or None for never"),
        ("next_timeout", lambda due: float("nan"), "next_timeout returned nan"),
    ],
)
def test_a_slip_of_the_adapter_is_no_finding(method: str, what: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(AdapterTypeError) as caught:
        play(sloppy(method, what), Events(1), Tear())
    assert str(caught.value).startswith(says)


def test_after_a_slip_of_the_adapter_the_machine_says_nothing_else() -> None:
    with pytest.raises(AdapterTypeError, match="connection_made returned a value of type int"):
        check_client(sloppy("connection_made", lambda outputs: 1), settings=quiet(Phase.generate, max_examples=5))


def test_none_is_nothing() -> None:
    class SaysNothing(ToyClient):
        def receive_eof(self, now: float) -> Outputs:  # type: ignore[override]
            super().receive_eof(now)
            return None

        def data_to_send(self, now: float) -> bytes:
            return super().data_to_send(now) or None  # type: ignore[return-value]

    play(SaysNothing, *AGAIN, Events(3))


# -- what a finding tells ----------------------------------------------------------------------------------------------


class NeverDials(ShardAdapter):
    def connect(self, now: float) -> Iterable[Output]:
        return ()


def test_a_client_that_never_dials_is_told_so() -> None:
    finding = found(NeverDials)
    assert finding.rule is Rule.COMES_BACK
    assert finding.detail.startswith("the client never dialled, connect() returned no Dial: no session")


def test_a_finding_shows_the_steps_and_they_play_it_again() -> None:
    steps = (Wait(10.0), Events(3, 100), *AGAIN, Strike(InvalidSession(False)), Wait(30.0))
    harness = Harness(toy(Slip.IDENTIFIES_ELSEWHERE), interval=20.0, chunk=50, seed=3)
    with pytest.raises(Finding) as caught:
        harness.play(*steps)
    text = str(caught.value)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[1] == "harness = Harness(…, interval=20.0, latency=0.05, chunk=50, seed=3)"
    code = text.split("harness.play(")[1].split("what happened:")[0].strip()
    names = {kind.__name__: kind for kind in (Wait, Events, Tear, Recover, Strike, InvalidSession)}
    assert eval(f"({code}", names) == steps
    again = Harness(toy(Slip.IDENTIFIES_ELSEWHERE), interval=20.0, chunk=50, seed=3)
    with pytest.raises(Finding) as once_more:
        again.play(*steps)
    assert str(once_more.value) == text


def test_the_machine_s_finding_shows_its_steps_by_itself() -> None:
    with pytest.raises(Finding) as caught:
        check_client(toy(Slip.DEAF_TO_OP_7), settings=quiet(Phase.generate))
    assert "harness.play(Wait(seconds=10.0)," in str(caught.value)


def test_many_steps_are_wrapped_between_them() -> None:
    harness = Harness(ShardAdapter)
    steps: tuple[Step, ...] = (Strike(RequestHeartbeat()), Events(3, 100))
    harness.play(*steps * 40)
    lines = str(harness.watch.fail(Rule.RESUMES, "")).splitlines()
    assert max(map(len, lines)) <= 120
    assert "    " + "harness.play(" in "\n".join(lines)


def story(*steps: Step) -> list[str]:
    harness = Harness(ToyClient)
    harness.run(10.0)
    harness.play(*steps)
    return [line[10:].strip() for line in harness.watch._story.lines()]


def test_what_repeats_itself_is_one_line() -> None:
    lines = story(Events(40), Wait(1.0), RefuseDials(5), Tear(), Wait(100.0))
    assert len(lines) < TAIL
    assert "socket 1 hands over op 0 MESSAGE_CREATE 2 … 41, 40 times until 10.050" in lines
    assert "the client delivers MESSAGE_CREATE 2 … 41, 40 times until 10.050" in lines
    assert any(line.startswith("the dial fails, 5 times until ") for line in lines)


def test_steps_are_not_counted_together() -> None:
    assert story(*[Events(0)] * 3)[-3:] == ["Events(count=0)"] * 3


def test_a_story_shows_the_reasons_of_close_codes() -> None:
    lines = story(Strike(Close(4000, b"for a reason")), Wait(0.1))
    assert "socket 1 hands over close code 4000 'for a reason'" in lines
