"""A secret prints as *** wherever it is printed (F41)."""

import copy
import json
import pickle
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.actions import Connect
from gateway_proto.commands import Heartbeat, Identify, Resume, encode
from gateway_proto.config import ShardConfig
from gateway_proto.errors import LocalProtocolError
from gateway_proto.intents import Intents
from gateway_proto.secret import Secret
from gateway_proto.session import Session, SessionBinding

HIDDEN = "hidden-value-of-a-test"
SECRET = Secret(HIDDEN)

pytestmark = pytest.mark.failure("F41")


class Holder(msgspec.Struct):
    token: Secret


BINDING = SessionBinding(
    shard=None,
    intents=1,
    api_version=10,
    encoding="json",
    transport_compression=None,
    payload_compression=False,
)
HOLDERS = [
    Holder(SECRET),
    [SECRET],
    {"token": SECRET},
    ShardConfig(token=SECRET, intents=Intents.GUILDS),
    Identify(token=SECRET, intents=1, properties={}),
    Resume(token=SECRET, session_id=SECRET, sequence=1),
    Session(id=SECRET, sequence=1, resume_url=SECRET, binding=BINDING),
    Connect(generation=1, host="gateway.discord.gg", port=443, tls=True, url=SECRET),
    ValueError(SECRET),
    LocalProtocolError("no", SECRET),
]


def test_every_way_to_print_it() -> None:
    shown = [repr(SECRET), str(SECRET), format(SECRET), ascii(SECRET)]
    shown += [f"{SECRET}", f"{SECRET!r}", f"{SECRET!s}", f"{SECRET!a}"]
    shown += [template % SECRET for template in ("%s", "%r", "%a")]
    shown += [template.format(SECRET) for template in ("{}", "{!r}", "{0!s}")]
    assert set(shown) == {"***"}


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_whatever_holds_it(holder: object) -> None:
    assert HIDDEN not in f"{holder!r} {holder!s}"
    assert "***" in repr(holder)


def test_a_traceback_does_not_show_it() -> None:
    try:
        raise ValueError(f"bad token {SECRET}")
    except ValueError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert HIDDEN not in "".join(report.format())


def test_it_is_not_encoded_by_accident() -> None:
    with pytest.raises(TypeError):
        json.dumps(SECRET)
    with pytest.raises(TypeError):
        msgspec.json.encode(Holder(SECRET))
    with pytest.raises(LocalProtocolError) as caught:
        encode(Identify(token=SECRET, intents=1, properties={}, extra={"again": SECRET}))
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))
    assert encode(Heartbeat(sequence=3)) == b'{"op":1,"d":3}'


@given(st.text(), st.text())
def test_it_is_a_value(one: str, other: str) -> None:
    assert Secret(one).reveal() == one
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one
    assert bool(Secret(one)) == bool(one)
    assert Secret(Secret(one)) == Secret(one)


def test_copies_are_secrets_too() -> None:
    for again in (copy.copy(SECRET), copy.deepcopy(SECRET), pickle.loads(pickle.dumps(SECRET))):
        assert again == SECRET
        assert repr(again) == "***"


def test_it_cannot_be_given_fields() -> None:
    with pytest.raises(AttributeError):
        SECRET.extra = 1  # type: ignore[attr-defined]  # that it has none is the test
