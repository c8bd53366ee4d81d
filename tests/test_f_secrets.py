"""F41: no token, session id or query of a resume URL in anything that prints, copies to text or is recorded."""

import copy
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    BuildingUrlError,
    Connect,
    Disconnect,
    Dispatch,
    GatewayError,
    Identify,
    InvalidConfigError,
    Limits,
    LocalProtocolError,
    RawCommand,
    Resume,
    Secret,
    Session,
    ShardConfig,
    SnapshotMismatchError,
)

from .packing import MODES, Packer, config_of, event, text
from .peer import BASE, INTERVAL, Peer, config, ready

pytestmark = pytest.mark.failure("F41")

TOKEN = "MTA1.s3cr3t-token"
SESSION_ID = "d34db33f-session-id"
QUERY = "k3y=sup3rs3cret"
RESUME_URL = f"wss://gateway-us-east1-b.discord.gg/p4th?{QUERY}"
SECRETS = (TOKEN, SESSION_ID, "sup3rs3cret")


def secret_config(**changes: Any) -> ShardConfig:
    return config_of(changes.pop("mode", "none"), **{"token": Secret(TOKEN), **changes})


def secret_ready(**fields: Any) -> dict[str, Any]:
    return {**ready(SESSION_ID, resume_gateway_url=RESUME_URL), **fields}


def connected(**changes: Any) -> Peer:
    peer = Peer(secret_config(**changes)).to_identifying()
    peer.dispatch(1, "READY", secret_ready())
    peer.deliver()
    return peer


def resuming() -> Peer:
    peer = connected()
    peer.eof()
    return peer.resume_again()


def texts(value: Any) -> list[str]:
    """Everything that this can be turned into by accident."""
    found = [repr(value), str(value), f"{value}", f"{value!r:>5}", "%s %r" % (value, value)]  # noqa: UP031  # that way too
    if isinstance(value, BaseException):
        found += traceback.format_exception(value)
        found += [*texts(vars(value)), repr(value.args)]
    if isinstance(value, msgspec.Struct):
        found.append(repr(msgspec.structs.asdict(value)))
        found.append(repr(copy.deepcopy(value)))
        found += [text for field in value.__struct_fields__ for text in texts(getattr(value, field))]
    return found


def scan(value: Any) -> None:
    for found in texts(value):
        for secret in SECRETS:
            assert secret not in found, f"{secret} in {found}"


def scan_peer(peer: Peer) -> None:
    """Everything that a shard has said, and everything that can be asked of it."""
    for action in peer.log:
        if isinstance(action, Dispatch | Disconnect):
            # Their bodies are data (a READY has the session id); what prints and is logged is their size.
            assert not any(secret in repr(action) for secret in SECRETS)
            continue
        scan(action)
        recording = msgspec.json.encode(action, enc_hook=str)
        assert not any(secret.encode() in recording for secret in SECRETS)
    shard = peer.shard
    for value in (shard.snapshot(), shard.session, shard.session_snapshot(wall=1.0), shard.stage, shard.latency):
        scan(value)
    for internal in (shard, shard._life, shard._conversation, shard._life.session, shard._life.route, shard._life._url):
        assert not any(secret in repr(internal) for secret in SECRETS)


SCENARIOS: dict[str, Callable[[], Peer]] = {}


def scenario(make: Callable[[], Peer]) -> Callable[[], Peer]:
    SCENARIOS[make.__name__] = make
    return make


@scenario
def connects_and_chats() -> Peer:
    peer = connected()
    peer.raw(text(event(2)) + text(event(9)) + text({"op": 77, "d": 1}))
    peer.advance(INTERVAL)
    peer.ack()
    peer.call(peer.shard.chunk_guilds, [1, 2])
    return peer


@scenario
def resumes_and_wins() -> Peer:
    peer = resuming()
    peer.dispatch(2, "RESUMED")
    return peer


@scenario
def resume_url_is_refused() -> Peer:
    peer = connected()
    for url in (f"wss://evil.example/?{QUERY}", f"ws://gateway.discord.gg/?{QUERY}", f"https://{TOKEN}/?{QUERY}"):
        peer.say({"op": 9, "d": False})
        peer.resume_again()
        peer.permit()
        peer.dispatch(1, "READY", secret_ready(resume_gateway_url=url))
    peer.dispatch(2, "READY", secret_ready(resume_gateway_url=f"wss://a:{TOKEN}@gateway.discord.gg/?{QUERY}"))
    peer.dispatch(3, "READY", ready("other", resume_gateway_url=f"\x00{QUERY}"))
    return peer


@scenario
def hosts_are_dead() -> Peer:
    peer = connected()
    peer.eof()
    for _ in range(6):
        peer.advance(60.0)
        peer.call(peer.shard.connection_failed, peer.generation, OSError("no route to gateway-us-east1-b.discord.gg"))
    peer.advance(200.0)
    return peer


@scenario
def upgrade_is_refused() -> Peer:
    peer = connected()
    peer.eof()
    peer.advance(0.0)
    peer.open()
    peer.raw(b"HTTP/1.1 503 No\r\nX: " + peer.request[:200].replace(b"\r\n", b" ") + b"\r\nRetry-After: 1\r\n\r\n")
    peer.advance(2.0)
    peer.open()
    peer.raw(b"HTTP/1.1 oops " + SESSION_ID.encode() + b"\r\n\r\n")
    return peer


@scenario
def session_is_lost() -> Peer:
    peer = connected()
    peer.close(4009, "gone")
    peer.resume_again()
    return peer


@scenario
def op_9() -> Peer:
    peer = resuming()
    peer.say({"op": 9, "d": False})
    return peer


@scenario
def another_ready() -> Peer:
    peer = resuming()
    peer.dispatch(1, "READY", secret_ready(session_id="other"))
    return peer


@scenario
def ready_is_odd() -> Peer:
    peer = Peer(secret_config(shard=(0, 2))).to_identifying()
    d = msgspec.json.encode(secret_ready(shard=[1, 2], user="ODD")).replace(b"ODD", b"\\udc00")
    peer.raw(text(b'{"op":0,"t":"READY","s":1,"d":' + d + b"}"))
    peer.deliver()
    return peer


@scenario
def messages_that_hold_the_session_are_broken() -> Peer:
    """What cannot be read is not quoted."""
    peer = connected()
    message = msgspec.json.encode({"op": 0, "t": "READY", "s": 2, "d": secret_ready()})
    for broken in (message[:-5], message.replace(b'"op":0', b'"op":"0"'), message.replace(b'"s":2', b'"s":"2"')):
        peer.raw(text(broken))
        peer.resume_again()
    peer.raw(text(message.replace(b'"op":0', b'"op":NaN')))
    peer.resume_again()
    peer.raw(text(message) + b"\xff" + SESSION_ID.encode())
    return peer


@scenario
def a_closed_reason_is_discords() -> Peer:
    peer = connected()
    peer.close(4004, "Authentication failed.")
    return peer


@scenario
def misused() -> Peer:
    peer = connected()
    for command in (
        RawCommand.of(2, {"token": TOKEN, "session_id": SESSION_ID}),
        RawCommand(b'{"op":6,"d":{"token":"' + TOKEN.encode()),
        Identify(token=Secret(TOKEN), intents=0, properties={}),
        Resume(token=Secret(TOKEN), session_id=Secret(SESSION_ID), sequence=1),
    ):
        with pytest.raises(LocalProtocolError) as raised:
            peer.shard.send(command, peer.now)  # type: ignore[arg-type]  # a misuse on purpose
        scan(raised.value)
    with pytest.raises(LocalProtocolError) as raised:
        peer.shard.delivered(1, 99)
    scan(raised.value)
    return peer


@scenario
def too_large_twice() -> Peer:
    peer = connected(limits=Limits(max_message=2000))
    peer.raw(b"\x82\x7f" + (2**40).to_bytes(8))
    peer.resume_again()
    peer.raw(b"\x82\x7f" + (2**40).to_bytes(8))
    return peer


@scenario
def zombie() -> Peer:
    peer = connected()
    peer.advance(5 * INTERVAL)
    peer.jump(900.0)
    return peer


@scenario
def closed_and_stored() -> Peer:
    peer = connected()
    peer.call(peer.shard.close)
    session = peer.shard.session_snapshot(wall=3.0)
    assert session is not None
    heir = Peer(secret_config(), session=Session.from_bytes(session.to_bytes())).to_handshake()
    heir.hello()
    scan_peer(heir)
    return peer


@scenario
def stored_for_another() -> Peer:
    session = connected().shard.session
    peer = Peer(secret_config(shard=(0, 3)), session=session)
    peer.call(peer.shard.connect)
    return peer


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_that_a_shard_says_holds_a_secret(name: str) -> None:
    peer = SCENARIOS[name]()
    assert len(peer.log) > 2
    scan_peer(peer)


@pytest.mark.parametrize("mode", MODES)
def test_nor_in_any_compression(mode: Any) -> None:
    peer = connected(mode=mode)
    packer = Packer(mode)
    peer.raw(packer.frame(event(2)) + packer.frame(b'{"op":9,"d":' + SESSION_ID.encode()))
    scan_peer(peer)


def test_the_secrets_did_go_over_the_wire() -> None:
    """The scan would be empty if the scenarios had no secrets in them."""
    peer = resuming()
    assert peer.payloads(2)[0]["token"] == TOKEN
    assert peer.payloads(6)[0] == {"token": TOKEN, "session_id": SESSION_ID, "seq": 1}
    assert QUERY.encode() in peer.request
    assert QUERY in peer.of(Connect)[-1].url.reveal()
    assert "***" in repr(peer.of(Connect)[-1])
    session = peer.shard.session
    assert session is not None
    assert session.id.reveal() == SESSION_ID
    assert SESSION_ID.encode() in bytes(peer.of(Dispatch)[0].raw)
    assert repr(peer.of(Dispatch)[0]).startswith("Dispatch(epoch=1, sequence=1, name='READY', raw=<")


def test_config_session_and_commands() -> None:
    session = connected().shard.session_snapshot(wall=1.0)
    assert session is not None
    for value in (
        secret_config(),
        session,
        session.binding,
        Identify(token=Secret(TOKEN), intents=1, properties={}),
        Resume(token=Secret(TOKEN), session_id=Secret(SESSION_ID), sequence=1),
        Secret(TOKEN),
        [Secret(TOKEN)],
        {"token": Secret(TOKEN)},
    ):
        scan(value)
        assert "***" in repr(value) or value is session.binding


@pytest.mark.parametrize(
    "make",
    [
        lambda: config(token=Secret(f"Bot {TOKEN}")),
        lambda: config(token=Secret(f"{TOKEN}\n")),
        lambda: config(token=Secret(TOKEN), url=f"https://gateway.discord.gg/?{QUERY}"),
        lambda: config(token=Secret(TOKEN), url=f"wss://user:{TOKEN}@gateway.discord.gg/?{QUERY}"),
        lambda: config(token=Secret(TOKEN), url=f"wss://[{TOKEN}/?{QUERY}"),
        lambda: config(token=Secret(TOKEN), url=f"{BASE}:99999999/?{QUERY}"),
        lambda: config(token=Secret(TOKEN), large_threshold=3),
        lambda: Peer(config(token=Secret(TOKEN), identify_extra={"x": "y" * 5000})),
        lambda: Peer(config(token=Secret(TOKEN), identify_extra={"x": object()})),
    ],
)
def test_errors_of_construction(make: Callable[[], object]) -> None:
    with pytest.raises((InvalidConfigError, BuildingUrlError)) as raised:
        make()
    scan(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SESSION_ID.encode(),
        b'{"version":1,"id":"' + SESSION_ID.encode() + b'"}',
        b'{"version":1,"id":"' + SESSION_ID.encode() + b'","sequence":"' + TOKEN.encode() + b'"}',
        b'{"version":9,"id":"' + SESSION_ID.encode() + b'"}',
        b'{"version":"' + SESSION_ID.encode() + b'"}',
    ],
)
def test_errors_of_reading_a_stored_session(data: bytes) -> None:
    with pytest.raises(SnapshotMismatchError) as raised:
        Session.from_bytes(data)
    scan(raised.value)


def test_every_cause_that_was_told_is_a_value_without_secrets() -> None:
    causes = [
        cause
        for name in SCENARIOS
        for action in SCENARIOS[name]().log
        if isinstance(cause := getattr(action, "cause", None), GatewayError)
    ]
    assert len({type(cause) for cause in causes}) >= 10
    for cause in causes:
        scan(cause)
        # Frames and contexts would hold the message that could not be read, for whoever looks into them.
        assert (cause.__traceback__, cause.__context__, cause.__cause__) == (None, None, None)
