"""Misuse of the embedded gateway is one clear line, where it was written; never a success that is none."""

import contextlib
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from gateway_proto import Intents, LocalProtocolError, Opcode, Secret
from gateway_proto.errors import InvalidConfigError
from gateway_proto.server import (
    AskReconnect,
    AtSecond,
    AtSequence,
    Close,
    Drop,
    FaultFired,
    LoseAcks,
    OnMessage,
    OnUpgrade,
    Planned,
    Refuse,
    Script,
    SendEvent,
    Server,
    ServerConfig,
    ServerLimits,
    Stall,
    Step,
    ToAll,
    ToConnection,
    ToNext,
    ToSession,
    ToShard,
    WorldConfig,
    carry_out,
    effects,
    faults,
    read_target,
)
from gateway_proto.server.checked import Checked
from gateway_proto.server.faults import MAX_NEXT
from gateway_transports import embedded
from gateway_transports.embedded import (
    EmbeddedGateway,
    GatewayEndedError,
    WaitTimeoutError,
    embedded_gateway,
    gateway_config,
)

from .server_helpers import Rig
from .test_pytest_plugin import PATH, run, run_pytest

NO_FAULTS: list[tuple[Any, str]] = [
    (Drop, "the class Drop: write Drop()"),
    (Close, "the class Close: write Close(code=...)"),
    (int, "the class int"),
    ("drop", "str: write Drop()"),
    ("ask_reconnect", "str: write AskReconnect()"),
    ("nothing like it", "str"),
    (None, "None"),
    (7, "int"),
]
NO_TARGETS: list[tuple[Any, str]] = [
    (ToAll, "the class ToAll: write ToAll()"),
    (ToShard, "the class ToShard: write ToShard(id=...)"),
    ("all", "str: write ToAll()"),
    (0, "int"),
    (None, "None"),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[EmbeddedGateway]:
    """With nobody there."""
    with embedded_gateway() as gateway:
        yield gateway


# -- what is no fault, no target ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "got"), NO_FAULTS)
def test_what_is_no_fault_strikes_nobody(fault: Any, got: str) -> None:
    rig = Rig()
    client = rig.ready()
    told = f"expected a fault, got {got}"
    for misuse in (
        lambda: rig.server.inject(client.connection.id, fault, 0.0),
        lambda: rig.server.inject(client.session_id, fault, 0.0),
        lambda: rig.server.inject_next(fault),
    ):
        with pytest.raises(LocalProtocolError) as raised:
            misuse()
        assert str(raised.value) == told
    with pytest.raises(LocalProtocolError) as raised:
        carry_out(rig.server, fault, ToAll(), 0.0)
    assert str(raised.value) == told.replace("a fault", "a fault or an event")
    with pytest.raises(InvalidConfigError) as refused:
        Planned(when=OnUpgrade(1), fault=fault)
    assert str(refused.value) == told
    rig.advance(1.0)
    assert rig.reported(FaultFired) == []
    assert rig.client().ops() == [10], "no plan was added to"


@pytest.mark.parametrize(("target", "got"), NO_TARGETS)
@pytest.mark.parametrize("effect", [Drop(), SendEvent("EVENT", b"1")])
def test_what_is_no_target_is_named(effect: Any, target: Any, got: str) -> None:
    rig = Rig()
    rig.ready()
    with pytest.raises(LocalProtocolError) as raised:
        carry_out(rig.server, effect, target, 0.0)
    assert str(raised.value) == f"expected a target like ToAll() or ToShard(0), got {got}"


def test_a_fault_is_aimed_at_an_id_and_a_plan_consists_of_lines() -> None:
    server = Rig().server
    for target, got in (("1", "str"), (None, "None"), (True, "bool"), (ToAll(), "ToAll")):
        with pytest.raises(LocalProtocolError, match=f"^expected the id of a connection or a session, got {got}$"):
            server.inject(target, Drop(), 0.0)  # type: ignore[arg-type]  # the misuse
    with pytest.raises(LocalProtocolError, match=r"^expected a line of a plan, got Drop$"):
        server.plan(Drop())  # type: ignore[arg-type]  # the misuse


def test_an_event_cannot_wait_for_an_upgrade() -> None:
    with pytest.raises(LocalProtocolError, match=r"^ToNext is for faults; an event goes to"):
        carry_out(Rig().server, SendEvent("EVENT", b"1"), ToNext(), 0.0)


def test_the_embedded_gateway_says_it_too(gateway: EmbeddedGateway) -> None:
    misuse: Any = gateway
    with pytest.raises(LocalProtocolError, match=r"^expected a fault, got the class Drop: write Drop\(\)$"):
        misuse.inject(Drop, ToAll())
    with pytest.raises(LocalProtocolError, match=r"^expected a target like .*, got str: write ToAll\(\)$"):
        misuse.inject(Drop(), "all")
    with pytest.raises(LocalProtocolError, match=r"^expected a fault or an event, got str: write Drop\(\)$"):
        misuse.carry_out("drop", ToAll())
    for call in (misuse.drop, misuse.stall, misuse.sent, lambda **fields: misuse.dispatch("EVENT", 1, **fields)):
        for shard, got in (("0", "str"), (True, "bool"), ([0, 1], "list")):
            with pytest.raises(LocalProtocolError, match=f"^shard must be the id of a shard, got {got}$"):
                call(shard=shard)
    with pytest.raises(LocalProtocolError, match=r"^the data of EVENT cannot be written as JSON: "):
        misuse.dispatch("EVENT", object())
    with pytest.raises(InvalidConfigError, match=r"^reason must be str, got bytes$"):
        misuse.close(4000, b"why")
    assert gateway.journal == []


# -- values of another type, or out of their range ---------------------------------------------------------------------

MISMADE: list[tuple[Any, dict[str, Any], str]] = [
    (Close, {"code": "4000"}, "code must be int, got str"),
    (Close, {"code": 4000, "reason": "why"}, "reason must be bytes, got str"),
    (Stall, {"seconds": "3"}, "seconds must be float or None, got str"),
    (Stall, {"seconds": True}, "seconds must be float or None, got bool"),
    (Stall, {"seconds": -1}, "a stall lasts for seconds from 0 on, or None"),
    (Stall, {"seconds": float("nan")}, "a stall lasts for seconds from 0 on, or None"),
    (Stall, {"seconds": float("inf")}, "a stall lasts for seconds from 0 on, or None"),
    (Drop, {"flush": 1}, "flush must be bool, got int"),
    (LoseAcks, {"count": -1}, "count is 0 or more, or None"),
    (ToShard, {"id": "0"}, "id must be int, got str"),
    (ToSession, {"session": "id"}, "session must be int or Secret, got str"),
    (ToConnection, {"id": None}, "id must be int, got None"),
    (ToNext, {"count": "3"}, "count must be int, got str"),
    (ToNext, {"count": 0}, f"count must be 1 to {MAX_NEXT}"),
    (ToNext, {"count": MAX_NEXT + 1}, f"count must be 1 to {MAX_NEXT}"),
    (SendEvent, {"name": None, "data": b""}, "name must be str, got None"),
    (SendEvent, {"name": "", "data": b""}, "name must be that of an event, like MESSAGE_CREATE"),
    (SendEvent, {"name": "EVENT", "data": "{}"}, "data must be bytes, got str"),
    (AtSequence, {"sequence": 0}, "sequence is 1 or more"),
    (AtSequence, {"sequence": 2, "session": 0}, "session is 1 or more"),
    (OnUpgrade, {"number": 0}, "number is 1 or more"),
    (OnMessage, {"opcode": "resume"}, "opcode must be int, got str"),
    (OnMessage, {"opcode": -1}, "opcode is 0 or more"),
    (AtSecond, {"seconds": "1"}, "seconds must be float, got str"),
    (
        Planned,
        {"when": AtSequence, "fault": Drop()},
        "expected a moment, got the class AtSequence: write AtSequence(sequence=...)",
    ),
    (Step, {"when": 3, "effect": Drop()}, "expected a moment, got int"),
    (Step, {"when": OnUpgrade(1), "effect": Drop}, "expected a fault or an event, got the class Drop: write Drop()"),
    (
        Step,
        {"when": OnUpgrade(1), "effect": Drop(), "target": "all"},
        "expected a target like ToAll() or ToShard(0), got str: write ToAll()",
    ),
    (Script, {"steps": 5}, "steps must be a tuple of Step, got int"),
    (Script, {"steps": (Drop(),)}, "steps[0] must be Step, got Drop"),
    (ServerLimits, {"max_payload": None}, "max_payload must be int, got None"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "told"), MISMADE)
def test_what_is_made_of_another_type_is_refused_where_it_is_made(kind: Any, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfigError) as raised:
        kind(**fields)
    assert str(raised.value) == told


def test_what_the_types_allow_is_taken() -> None:
    assert Stall(3).seconds == 3
    assert OnMessage(Opcode.RESUME, None).nth is None
    assert OnMessage(0).opcode == 0
    assert ToSession(Secret("x")) != ToSession(1)
    plan = [Planned(when=OnUpgrade(None), fault=Drop())]
    # A list for a tuple, bits for a flag.
    config = ServerConfig(plan=plan, allowed_intents=1, heartbeat_interval=5)  # type: ignore[arg-type]
    assert [line.fault for line in config.plan] == [Drop()]
    assert config.allowed_intents == Intents.GUILDS


def test_every_fault_and_every_target_is_looked_at() -> None:
    kinds = {kind for module in (effects, faults) for kind in vars(module).values() if isinstance(kind, type)}
    made = {
        kind
        for kind in kinds
        if kind.__module__ in (effects.__name__, faults.__name__) and hasattr(kind, "__struct_fields__")
    }
    assert len(made) > 25
    assert all(issubclass(kind, Checked) for kind in made)


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"guilds": None}, "guilds must be how many, or their ids, got None"),
    ({"guilds": 2.5}, "guilds must be how many, or their ids, got float"),
    ({"guilds": "3"}, "guilds must be how many, or their ids, got str"),
    ({"guilds": True}, "guilds must be how many, or their ids, got bool"),
    ({"guilds": -1}, "guilds must be 0 or more, or their ids"),
    ({"guilds": [7, "8"]}, "guilds[1] must be int, got str"),
    ({"guilds": [7, None]}, "guilds[1] must be int, got None"),
    ({"guilds": 2, "guild_ids": (1,)}, "guilds and guild_ids are the same setting: give one of them"),
    ({"guild_ids": ("x",)}, "guild_ids[0] must be int, got str"),
    ({"token": 123}, "token must be str or Secret or None, got int"),
    ({"token": ""}, "token must not be empty; None lets any token be right"),
    ({"api_version": "ten"}, "api_version must be int, got str"),
    ({"heartbeat_interval": "x"}, "heartbeat_interval must be float, got str"),
    ({"world": 3}, "world must be WorldConfig or None, got int"),
    ({"world": WorldConfig}, "world must be WorldConfig or None, got the class WorldConfig: write WorldConfig()"),
    ({"plan": 5}, "plan must be a tuple of Planned, got int"),
    ({"plan": (Drop,)}, "plan[0] must be Planned, got the class Drop"),
    ({"limits": 3}, "limits must be ServerLimits, got int"),
    ({"script": {"step": []}}, "script must be Script or None, got dict"),
    ({"config": 1}, "config must be ServerConfig or None, got int"),
    ({"config": ServerConfig}, "config must be ServerConfig or None, got the class ServerConfig: write ServerConfig()"),
    (
        {"config": ServerConfig(), "guilds": 3, "shards": 2},
        "guilds, shards: a config was given, which says it all; give one or the other",
    ),
    ({"shards": True}, "shards must be int, got bool"),
    ({"url": 5}, "url must be str, got int"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "told"), SETTINGS)
def test_a_setting_of_another_type_is_named(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfigError) as raised, embedded_gateway(**settings):
        raise AssertionError
    assert str(raised.value) == told
    assert raised.value.__context__ is None


def test_settings_that_are_right_are_taken() -> None:
    assert gateway_config(guilds=range(1, 3)).guild_ids == (1, 2)
    assert gateway_config(guilds=0, guild_ids=(7,)).guild_ids == (7,)
    assert gateway_config(guilds=iter([5])).guild_ids == (5,)


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("guilds=None", "discord_gateway: guilds must be how many, or their ids, got None"),
        ("plan=5", "discord_gateway: plan must be a tuple of Planned, got int"),
        ("script=5", "discord_gateway: script must be Script or None, got int"),
    ],
)
def test_a_marker_of_another_type_is_one_line(tmp_path: Any, mark: str, told: str) -> None:
    tests = f"import pytest\n@pytest.mark.discord_gateway({mark})\ndef test_it(discord_gateway): pass\n"
    done = run_pytest(tests, tmp_path)
    assert done.returncode == 1
    assert told in done.stdout, done.stdout
    assert ".py:" not in done.stdout.partition("short test summary")[0]


def test_settings_that_are_no_dict_are_one_line(tmp_path: Any) -> None:
    conftest = "import pytest\n@pytest.fixture\ndef discord_gateway_settings(): return 3\n"
    done = run_pytest("def test_it(discord_gateway): pass\n", tmp_path, conftest=conftest)
    assert "the fixture discord_gateway_settings must return a dict, got int" in done.stdout, done.stdout
    assert ".py:" not in done.stdout.partition("short test summary")[0]


# -- counts, opcodes and timeouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [-1, 0, MAX_NEXT + 1, 10**6, "2", True, None])
def test_a_count_of_refusals_is_bounded(gateway: EmbeddedGateway, count: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"^count must be (1 to 10000|int, got )"):
        gateway.refuse(503, count=count)
    server = Server(ServerConfig(), rng=random.Random(1))
    with pytest.raises(LocalProtocolError, match=r"^count must be an integer from 1 to 10000$"):
        server.inject_next(Refuse(503), count)


def test_the_next_upgrades_can_be_as_many_as_the_control_api_allows() -> None:
    assert read_target({"next": MAX_NEXT}) == ToNext(MAX_NEXT)
    Rig().server.inject_next(AskReconnect(), MAX_NEXT)


WAITS = ["wait_for_identify", "wait_for_resume", "identified", "resumed"]


def wait(gateway: EmbeddedGateway, name: str, *args: Any, **fields: Any) -> object:
    """Call a method that waits, and wait for its twin as well."""
    method = getattr(gateway, name)
    return method(*args, **fields) if name.startswith("wait") else anyio.run(lambda: method(*args, **fields))


@pytest.mark.parametrize("count", [0, -1, 1.0, "1", True, None])
@pytest.mark.parametrize("name", [*WAITS, "wait_for", "received"])
def test_a_count_to_wait_for_is_1_or_more(gateway: EmbeddedGateway, name: str, count: Any) -> None:
    args = () if name in WAITS else (2,)
    with pytest.raises(LocalProtocolError, match=r"^count must be an integer from 1: "):
        wait(gateway, name, *args, count=count, timeout=0.0)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e300, "1", True, None])
@pytest.mark.parametrize("name", WAITS)
def test_a_timeout_is_seconds(gateway: EmbeddedGateway, name: str, timeout: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"^timeout must be seconds from 0 on$"):
        wait(gateway, name, timeout)


@pytest.mark.parametrize("name", ["wait_for", "received"])
def test_an_opcode_may_be_named(gateway: EmbeddedGateway, name: str) -> None:
    for opcode in ("identify", "IDENTIFY", 2, Opcode.IDENTIFY):
        with pytest.raises(WaitTimeoutError, match=r"^payload of op 2 \(IDENTIFY\): 1 awaited, 0 came within 0 s"):
            wait(gateway, name, opcode, 1, 0.0)
    for wrong in ("identfy", -1, None, 2.0):
        with pytest.raises(InvalidConfigError, match=r"^opcode: "):
            wait(gateway, name, wrong, 1, 0.0)
    assert gateway.sent("identify") == []
    with pytest.raises(InvalidConfigError, match=r"^opcode: 'identfy' is unknown; did you mean identify"):
        gateway.sent("identfy")


# -- after its end, and on the way there -------------------------------------------------------------------------------


def test_after_its_end_it_says_so() -> None:
    with embedded_gateway() as gateway:
        pass
    for use in (
        lambda: gateway.dispatch("EVENT", 1),
        lambda: gateway.drop(),
        lambda: gateway.refuse(503),
        lambda: gateway.inject(Drop(), ToAll()),
        lambda: gateway.sessions,
    ):
        with pytest.raises(GatewayEndedError, match=r"^the gateway has ended$") as raised:
            use()
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
    assert gateway.sent() == []
    assert gateway.journal == []
    assert gateway.url.startswith("ws://")
    with pytest.raises(WaitTimeoutError, match=r"came until the gateway ended; so far: nobody has connected$"):
        gateway.wait_for(2)


def test_a_call_that_its_end_overtakes_is_told_so_and_any_other_failure_is_not(
    gateway: EmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> int:
        raise RuntimeError("of its own")

    with monkeypatch.context() as patch:
        patch.setattr(gateway._gateway, "carry_out", fail)
        with pytest.raises(RuntimeError, match=r"^of its own$"):
            gateway.drop()
    with embedded_gateway() as ending:
        pass
    # As if it had ended between the look and the call.
    looks = iter([False, True])
    monkeypatch.setattr(type(ending._record), "has_ended", property(lambda self: next(looks)), raising=False)
    with pytest.raises(GatewayEndedError) as raised:
        ending.drop()
    assert raised.value.__suppress_context__, "one traceback"


class OwnError(Exception):
    """The test's own."""


OWN: list[BaseException] = [
    AssertionError("mine"),
    OwnError(),
    ExceptionGroup("mine", [ValueError("alone")]),
    ExceptionGroup("mine", [ExceptionGroup("inner", [ValueError("alone")])]),
    BaseExceptionGroup("mine", [KeyboardInterrupt()]),
    KeyboardInterrupt(),
    SystemExit(3),
    StopIteration("mine"),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", OWN, ids=repr)
def test_what_the_block_raises_comes_out_as_it_was(error: BaseException) -> None:
    threads = threading.active_count()
    came: BaseException | None = None
    try:
        with embedded_gateway():
            raise error
    except BaseException as caught:
        came = caught
    assert came is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert threading.active_count() == threads


def test_a_failing_assert_prints_one_traceback(tmp_path: Any) -> None:
    imported = "from gateway_transports.embedded import embedded_gateway"
    code = f"{imported}\nwith embedded_gateway():\n    assert 1 == 2, 'mine'\n"
    done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=PATH)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.rstrip().endswith("AssertionError: mine")
    assert "ExceptionGroup" not in done.stderr


def test_what_fails_in_the_gateway_meanwhile_is_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block's error comes out; that of the gateway, which may be its cause, stands behind it."""

    @contextlib.asynccontextmanager
    async def broken(*args: object) -> Any:
        yield
        raise OSError("the gateway's")

    monkeypatch.setattr(embedded, "play", broken)
    with pytest.raises(OwnError) as raised, embedded_gateway():
        raise OwnError
    assert isinstance(raised.value.__context__, OSError)
    with pytest.raises(OSError, match="the gateway's"), embedded_gateway():
        pass


# -- in an event loop --------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_wait_that_holds_up_an_event_loop_names_its_twin(anyio_backend: str) -> None:
    with embedded_gateway() as gateway:
        for waiting, twin in (
            (gateway.wait_for_identify, "identified()"),
            (gateway.wait_for_resume, "resumed()"),
            (lambda timeout: gateway.wait_for(2, 1, timeout), "received()"),
        ):
            with pytest.raises(WaitTimeoutError) as raised:
                waiting(0.0)
            assert str(raised.value).endswith(f"; so far: nobody has connected; you are in an event loop: await {twin}")
            # In a thread of the loop's it holds up nobody, no more than the twin does.
            with pytest.raises(WaitTimeoutError, match=r"so far: nobody has connected$"):
                await anyio.to_thread.run_sync(waiting, 0.0)
        with pytest.raises(WaitTimeoutError, match=r"so far: nobody has connected$"):
            await gateway.identified(0.0)
    with pytest.raises(WaitTimeoutError, match=r"so far: nobody has connected$"):
        gateway.wait_for_identify(0.0)  # it has ended: nothing is held up


def test_a_wait_without_an_event_loop_is_told_of_none(gateway: EmbeddedGateway) -> None:
    with pytest.raises(WaitTimeoutError, match=r"so far: nobody has connected$"):
        gateway.wait_for_identify(0.0)


# -- read from plain values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [False, None, 1, "yes", []])
def test_all_can_only_be_true(value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"^all: must be true$"):
        read_target({"all": value})
