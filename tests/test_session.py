"""A session outlives its process, and is refused by a shard that it does not belong to (F38)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.config import ShardConfig
from gateway_proto.errors import SnapshotMismatchError
from gateway_proto.intents import Intents
from gateway_proto.secret import Secret
from gateway_proto.session import MAX_SEQUENCE, LiveSession, Session, SessionBinding, mismatch

pytestmark = pytest.mark.failure("F38")

BINDING = SessionBinding(
    shard=(2, 10),
    intents=513,
    api_version=10,
    encoding="json",
    transport_compression="zlib-stream",
    payload_compression=False,
)
SESSION = Session(
    id=Secret("hidden-id"),
    sequence=42,
    resume_url=Secret("wss://gateway.discord.gg/?hidden=1"),
    binding=BINDING,
    application_id=7,
    saved_at=1_772_323_200.5,
)

# A lone surrogate is no text that READY could have held: it is not UTF-8.
TEXT = st.text(st.characters(codec="utf-8"))
BINDINGS = st.builds(
    SessionBinding,
    shard=st.none() | st.tuples(st.integers(0, 2**31), st.integers(1, 2**31)),
    intents=st.integers(0, 2**63),
    api_version=st.integers(1, 99),
    encoding=TEXT,
    transport_compression=st.none() | TEXT,
    payload_compression=st.booleans(),
)
SESSIONS = st.builds(
    Session,
    id=st.builds(Secret, TEXT.filter(bool)),
    sequence=st.integers(1, MAX_SEQUENCE),
    resume_url=st.none() | st.builds(Secret, TEXT.filter(bool)),
    binding=BINDINGS,
    application_id=st.none() | st.integers(0, 2**64 - 1),
    saved_at=st.none() | st.floats(0, 1e12),
    received=st.none() | st.just(MAX_SEQUENCE),
)


@given(SESSIONS)
def test_round_trip(session: Session) -> None:
    again = Session.from_bytes(session.to_bytes())
    assert again == session
    assert mismatch(again, session.binding, session.application_id) is None
    assert mismatch(again, session.binding, None) is None


@given(st.one_of(st.binary(), st.builds(lambda at, byte: damaged(at, byte), st.integers(0), st.integers(0, 255))))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    try:
        session = Session.from_bytes(data)
    except SnapshotMismatchError:
        return
    assert 1 <= session.sequence <= MAX_SEQUENCE
    assert session.id
    # A value, whatever it holds: it can be stored again and judged.
    assert Session.from_bytes(session.to_bytes()) == session
    mismatch(session, BINDING, 7)


def damaged(at: int, byte: int) -> bytes:
    data = bytearray(SESSION.to_bytes())
    data[at % len(data)] = byte
    return bytes(data)


def stored(**changes: Any) -> bytes:
    document: dict[str, Any] = msgspec.json.decode(SESSION.to_bytes())
    return msgspec.json.encode({**document, **changes})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b"\xff",
        b"[" * 100_000,
        SESSION.to_bytes()[:-1],
        SESSION.to_bytes() * 2,
        stored(sequence=0),
        stored(sequence=-1),
        stored(sequence=2**63),
        stored(sequence="42"),
        stored(sequence=None),
        stored(id=""),
        stored(id=None),
        stored(binding=None),
        stored(binding={}),
        stored(resume_url=7),
        stored(saved_at="yesterday"),
        stored(received=41),
        stored(received=2**63),
    ],
)
def test_what_is_no_session(data: bytes) -> None:
    with pytest.raises(SnapshotMismatchError):
        Session.from_bytes(data)


@pytest.mark.parametrize("version", [0, 2, 10**30])
def test_another_version_is_refused_by_name(version: int) -> None:
    # Whatever else has changed in it.
    for data in (stored(version=version), stored(version=version, binding=None), b'{"version":%d}' % version):
        with pytest.raises(SnapshotMismatchError, match="another version"):
            Session.from_bytes(data)


OTHERS = {
    "shard": (3, 10),
    "intents": 514,
    "api_version": 9,
    "encoding": "etf",
    "transport_compression": None,
    "payload_compression": True,
}


def test_every_field_is_judged() -> None:
    assert OTHERS.keys() == set(SessionBinding.__struct_fields__)


@pytest.mark.parametrize(("field", "other"), OTHERS.items())
def test_a_mismatch_is_refused_with_its_reason(field: str, other: object) -> None:
    wanted = msgspec.structs.replace(BINDING, **{field: other})
    error = mismatch(SESSION, wanted, 7)
    assert isinstance(error, SnapshotMismatchError)
    assert field in str(error)
    assert repr(getattr(BINDING, field)) in str(error)
    assert repr(other) in str(error)
    assert "hidden" not in str(error)


def test_another_count_of_shards_is_another_shard() -> None:
    assert mismatch(SESSION, msgspec.structs.replace(BINDING, shard=(2, 11)), 7) is not None
    assert mismatch(SESSION, msgspec.structs.replace(BINDING, shard=None), 7) is not None


def test_another_application_is_refused() -> None:
    error = mismatch(SESSION, BINDING, 8)
    assert error == SnapshotMismatchError("the stored session belongs to another application")
    assert mismatch(msgspec.structs.replace(SESSION, application_id=None), BINDING, 8) is None


def test_the_binding_is_the_configs() -> None:
    config = ShardConfig(
        token=Secret("t"), intents=Intents(513), shard=(2, 10), transport_compression="zlib-stream", application_id=7
    )
    assert config.binding() == BINDING
    assert mismatch(SESSION, config.binding(), config.application_id) is None
    for change in ({"transport_compression": None}, {"shard": None}, {"api_version": 9}, {"intents": Intents(1)}):
        other = msgspec.structs.replace(config, **change)
        assert mismatch(SESSION, other.binding(), config.application_id) is not None


@pytest.mark.failure("F32")
def test_a_snapshot_says_the_delivered_sequence() -> None:
    live = LiveSession(
        epoch=1, id=SESSION.id, resume_url=SESSION.resume_url, sequence=50, delivered=42, application_id=7
    )
    assert live.snapshot(BINDING, SESSION.saved_at) == msgspec.structs.replace(SESSION, received=50)
    assert live.received == 50
    live.delivered = 0
    assert live.snapshot(BINDING, None) is None


@pytest.mark.failure("F41")
def test_a_session_prints_no_secret() -> None:
    assert "hidden" not in f"{SESSION!r} {SESSION}"
    assert b"hidden-id" in SESSION.to_bytes()
