"""The machine that users aim at their clients: it lets good ones pass, and finds what is wrong with bad ones."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway_proto import InvalidConfigError
from gateway_proto.server import AskReconnect, Close, Drop, InvalidSession, NoAnswer, RequestHeartbeat, Stall
from gateway_proto.testing import watch
from gateway_proto.testing.adapter import ClientAdapter, Delivered, Output, ShardAdapter
from gateway_proto.testing.harness import Harness, MakeClient
from gateway_proto.testing.machine import SETTINGS, GatewayMachine, check_client
from gateway_proto.testing.steps import (
    BREAKING_FAULTS,
    DIAL_FAULTS,
    DROPPING_FAULTS,
    ENDING_FAULTS,
    HARMLESS_FAULTS,
    CloseForGood,
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
from gateway_proto.testing.strategies import sessions
from gateway_proto.testing.watch import Finding, Rule

from .toy_client import Bug, ToyClient

FOUND_BY = {
    Bug.RESUMES_TOO_LOW: {Rule.RIGHT_SEQUENCE},
    Bug.RESUMES_TOO_HIGH: {Rule.RIGHT_SEQUENCE},
    Bug.COUNTS_EVENTS: {Rule.RIGHT_SEQUENCE, Rule.BEATS_NAME_SEQUENCE},
    Bug.IGNORES_OP_9_FALSE: {Rule.RIGHT_SESSION},
    Bug.NEVER_RESUMES: {Rule.RESUMES},
    Bug.DEAF_TO_OP_1: {Rule.ANSWERS_OP_1},
    Bug.BEATS_LATE: {Rule.BEATS_IN_TIME},
    Bug.NO_ZOMBIES: {Rule.LEAVES_ZOMBIES},
    Bug.HURRIES: {Rule.IDENTIFY_SPACING},
    Bug.NO_BUDGET: {Rule.SEND_LIMIT},
    Bug.UNDEAD: {Rule.FATAL_IS_FATAL},
    Bug.TRUSTS_JSON: {Rule.NO_EXCEPTION},
    Bug.GIVES_UP: {Rule.COMES_BACK},
    Bug.SKIPS_REPLAYS: {Rule.NOTHING_LOST},
    Bug.REVERSES: {Rule.NOTHING_LOST, Rule.ONCE_AND_IN_ORDER},
}
MODES: list[dict[str, Any]] = [
    {},
    {"payload_compression": True},
    {"transport_compression": "zlib-stream"},
    {"transport_compression": "zstd-stream"},
]


def quiet(*phases: Phase, **changes: Any) -> settings:
    """Hypothesis's default number of runs, the same every time, and not one kept for later."""
    return settings(
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=phases or (Phase.generate, Phase.shrink),
        **changes,
    )


def toy(*bugs: Bug) -> Any:
    return lambda url, rng: ToyClient(url, rng, *bugs)


# -- good clients ------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F40")
def test_our_own_shard_passes_and_something_happens() -> None:
    seen: dict[str, int] = dict.fromkeys(("delivered", "resumes", "identifies", "faults", "beats"), 0)

    class Machine(GatewayMachine):
        def make_client(self, url: str, rng: random.Random) -> ClientAdapter:
            return ShardAdapter(url, rng, **rng.choice(MODES))

        def teardown(self) -> None:
            super().teardown()
            assert self.harness is not None
            for name in seen:
                seen[name] += getattr(self.harness.watch, name)

    Machine.TestCase.settings = quiet()
    Machine.TestCase("runTest").runTest()
    # The machine is not green because nobody was there when it struck.
    assert seen["delivered"] >= 2000, seen
    assert seen["resumes"] >= 300, seen
    assert seen["identifies"] >= 100, seen


def test_another_client_passes() -> None:
    check_client(ToyClient, settings=quiet())


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_step_once(mode: dict[str, Any]) -> None:
    """Chance alone leaves some of them out."""
    harness = Harness(lambda url, rng: ShardAdapter(url, rng, **mode), interval=20.0, chunk=333)
    harness.run(5.0)
    for fault in (*DROPPING_FAULTS, *BREAKING_FAULTS, *HARMLESS_FAULTS, *ENDING_FAULTS):
        harness.play(Recover(), Events(20, 100), Wait(0.02), Strike(fault), Events(20, 100), Wait(130.0))
    for fault in DIAL_FAULTS:
        harness.play(Recover(), StrikeNext(fault), Events(20, 100), Tear(), Wait(200.0))
    harness.play(RefuseDials(3), Tear(), Commands(150), Recover())
    for code in (4004, 4010, 4011, 4012, 4013, 4014):
        harness.play(CloseForGood(code), Recover(), Events(10))
    harness.settle()
    assert harness.watch.delivered >= 1200
    assert harness.watch.resumes >= 25


@given(steps=sessions(max_steps=10), chunk=st.sampled_from((1, 50, 99_999)))
@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_sessions_as_lists_of_steps_can_be_played(steps: list[Step], chunk: int) -> None:
    harness = Harness(ShardAdapter, chunk=chunk)
    harness.run(10.0)
    harness.play(*steps)
    harness.settle()


def test_the_same_arguments_and_steps_give_the_same_story() -> None:
    def story() -> tuple[list[str], float]:
        harness = Harness(ShardAdapter, chunk=50, latency=0.01, seed=3)
        harness.run(10.0)
        harness.play(Events(30, 100), Tear(), StrikeNext(NoAnswer()), Recover(), Commands(20), Wait(100.0))
        harness.settle()
        return str(harness.watch.fail(Rule.RESUMES, "")).splitlines(), harness.now

    assert story() == story()


# -- bad clients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", Bug, ids=lambda bug: bug.name)
def test_every_planted_bug_is_found_for_what_it_is(bug: Bug) -> None:
    with pytest.raises(Finding) as found:
        check_client(toy(bug), settings=quiet(Phase.generate))
    assert found.value.rule in FOUND_BY[bug]


@pytest.mark.parametrize(
    "bug", [Bug.RESUMES_TOO_HIGH, Bug.IGNORES_OP_9_FALSE, Bug.BEATS_LATE], ids=lambda bug: bug.name
)
def test_what_is_found_shrinks_to_the_steps_that_matter(bug: Bug) -> None:
    with pytest.raises(Finding) as found:
        check_client(toy(bug), settings=quiet())
    notes = "\n".join(found.value.__notes__)
    assert notes.count("state.happens(") <= 3, notes
    assert "latency=0.0, chunk=99999, seed=0" in notes


def test_a_finding_names_the_rule_and_tells_what_happened() -> None:
    harness = Harness(toy(Bug.RESUMES_TOO_HIGH))
    harness.run(10.0)
    with pytest.raises(Finding) as found:
        harness.play(Tear(), Wait(30.0))
    lines = str(found.value).splitlines()
    assert lines[0] == (
        "a RESUME names the last sequence received: a RESUME from 2: "
        "the last event delivered has 0, the last message that came 1"
    )
    assert any("READY 1" in line for line in lines)
    assert lines[-1].endswith("the client writes op 6 on socket 2")
    assert harness.has_failed


def test_the_story_holds_no_session_id_and_no_token() -> None:
    harness = Harness(ShardAdapter)
    harness.run(10.0)
    assert harness.live is not None
    session_id = harness.live.reveal()
    harness.play(Tear(), Wait(30.0), Events(3))
    text = str(harness.watch.fail(Rule.RESUMES, "")) + repr(harness.live)
    assert session_id not in text
    assert "a.test.token" not in text


class Altered(ShardAdapter):
    """A shard whose deliveries are tampered with."""

    def _outputs(self, actions: Any) -> Iterable[Output]:
        for output in super()._outputs(actions):
            yield from self.alter(output) if isinstance(output, Delivered) else (output,)

    def alter(self, event: Delivered) -> Iterable[Output]:
        raise NotImplementedError


class Twice(Altered):
    def alter(self, event: Delivered) -> Iterable[Output]:
        return event, event


class Changed(Altered):
    def alter(self, event: Delivered) -> Iterable[Output]:
        return (Delivered(event.name, event.data.replace(b'"content"', b'"contents"')),)


class NoJson(Altered):
    def alter(self, event: Delivered) -> Iterable[Output]:
        return (Delivered(event.name, event.data[:-1]),)


class Lossy(Altered):
    def alter(self, event: Delivered) -> Iterable[Output]:
        return () if b'"_number":2,' in event.data else (event,)


class LosesTheLast(Altered):
    def alter(self, event: Delivered) -> Iterable[Output]:
        return () if b'"_number":5,' in event.data else (event,)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Twice, Rule.ONCE_AND_IN_ORDER),
        (Changed, Rule.UNCHANGED),
        (NoJson, Rule.UNCHANGED),
        (Lossy, Rule.NOTHING_LOST),
        (LosesTheLast, Rule.NOTHING_LOST),
    ],
)
def test_what_is_delivered_is_judged(kind: type[Altered], rule: Rule) -> None:
    with pytest.raises(Finding) as found:
        _play(kind)
    assert found.value.rule is rule


def _play(kind: type[Altered]) -> None:
    harness = Harness(kind)
    harness.run(10.0)
    harness.play(Events(5))
    harness.settle()


class Odd(ShardAdapter):
    """A shard behind an adapter that does something odd, by the name of it."""

    def __init__(self, url: str, rng: random.Random, what: str) -> None:
        super().__init__(url, rng)
        self.what = what
        self.drained = 0

    def next_timeout(self) -> float | None:
        due = super().next_timeout()
        match self.what:
            case "busy":
                return 0.0
            case "raises":
                raise ValueError("a broken clock")
        return due

    def data_to_send(self, now: float) -> bytes:
        data = super().data_to_send(now)
        self.drained += bool(data)
        # Behind the upgrade request: a frame without a mask.
        return b"\x81\x02{}" if self.what == "unmasked" and self.drained == 2 and data else data

    def receive_eof(self, now: float) -> Iterable[Output]:
        outputs = list(super().receive_eof(now))
        return outputs * 4 if self.what == "dials" else outputs

    def handle_timeout(self, now: float) -> Iterable[Output]:
        outputs = list(super().handle_timeout(now))
        return outputs * 4 if self.what == "dials" else outputs

    def permit_granted(self, now: float) -> Iterable[Output]:
        return () if self.what == "no identify" else super().permit_granted(now)


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        ("busy", Rule.COMES_TO_REST),
        ("raises", Rule.NO_EXCEPTION),
        ("unmasked", Rule.LAWFUL_FRAMES),
        ("dials", Rule.NO_NEEDLESS_DIAL),
        ("no identify", Rule.COMES_BACK),
    ],
)
def test_an_odd_client_is_found_out(what: str, rule: Rule) -> None:
    with pytest.raises(Finding) as found:
        _tear(lambda url, rng: Odd(url, rng, what))
    assert found.value.rule is rule


def _tear(make_client: MakeClient) -> None:
    harness = Harness(make_client)
    harness.run(10.0)
    harness.play(Tear())
    harness.settle()


# -- what the rules leave to a client ----------------------------------------------------------------------------------


def test_behind_op_7_a_client_need_not_know_that_its_session_has_ended() -> None:
    harness = Harness(ShardAdapter, latency=0.1)
    harness.run(10.0)
    harness.play(Strike(AskReconnect()), Strike(InvalidSession(False)), Wait(60.0))
    harness.settle()


def test_a_beat_that_is_younger_than_a_second_answers_op_1() -> None:
    harness = Harness(ShardAdapter)
    harness.run(10.0)
    harness.play(*[Strike(RequestHeartbeat())] * 5, Wait(10.0))
    harness.settle()


@pytest.mark.parametrize("code", [4007, 4009])
def test_after_4007_and_4009_either_is_allowed(code: int) -> None:
    for make in (ShardAdapter, toy()):
        harness = Harness(make)
        harness.run(10.0)
        harness.play(Strike(Close(code)), Wait(60.0))
        harness.settle()


def test_a_step_that_strikes_nobody_is_no_reason_to_reconnect() -> None:
    harness = Harness(ShardAdapter)
    harness.play(Strike(Drop()), CloseForGood(4004), Tear())
    assert harness.watch.faults == 0
    harness.run(10.0)
    harness.play(Strike(Stall()), CloseForGood(4004), Recover())
    harness.settle()


def test_a_fatal_close_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="a fatal close code is one of 4004, 4010"):
        CloseForGood(4000)


def test_a_machine_of_a_users_has_settings_that_suit_and_can_be_changed() -> None:
    class Machine(GatewayMachine):
        pass

    assert Machine.TestCase.settings is SETTINGS
    assert Phase.shrink in SETTINGS.phases
    assert Phase.explain not in SETTINGS.phases
    assert Machine.TestCase is not GatewayMachine.TestCase


def test_the_machine_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="make_client"):
        GatewayMachine().make_client("ws://x", random.Random(1))


def test_the_patience_is_within_what_the_settling_waits_for() -> None:
    assert watch.GREETING_PATIENCE < 600.0
