"""Causes: which close code is which error, and that each reads well."""

import inspect
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import errors
from gateway_proto.close_codes import FATAL_CLOSE_CODES, CloseCode
from gateway_proto.config import Limits
from gateway_proto.errors import (
    BoundExceededError,
    ClosedError,
    ConnectError,
    DialTimeoutError,
    DisallowedIntentsError,
    FatalClosedError,
    GatewayError,
    InflatedTooLargeError,
    InvalidApiVersionError,
    InvalidAuthenticationError,
    InvalidHandshakeError,
    InvalidIntentsError,
    InvalidOpcodeError,
    InvalidSessionError,
    InvalidShardDataError,
    LocalProtocolError,
    MessageTooLargeError,
    NotAuthenticatedError,
    OverloadedShardError,
    ReconnectFailureError,
    ResumeTimeoutError,
    ShardCountError,
    closed_error,
)

OWN_CLASS = {
    4001: InvalidOpcodeError,
    4003: NotAuthenticatedError,
    4004: InvalidAuthenticationError,
    4010: InvalidShardDataError,
    4011: OverloadedShardError,
    4012: InvalidApiVersionError,
    4013: InvalidIntentsError,
    4014: DisallowedIntentsError,
}


@pytest.mark.parametrize("code", [None, 1000, 1006, 3999, 4006, 4015, 4999, *CloseCode])
def test_the_class_of_a_close_code(code: int | None) -> None:
    error = closed_error(code, "why")
    assert type(error) is OWN_CLASS.get(code or 0, ClosedError)
    assert error.code == code
    assert error.reason == "why"
    assert "(why)" in str(error)
    assert code is None or str(code) in str(error)


@pytest.mark.failure("F16")
def test_fatal_codes_are_fatal_errors() -> None:
    assert {int(code) for code in CloseCode if isinstance(closed_error(code), FatalClosedError)} == FATAL_CLOSE_CODES


@pytest.mark.failure("F16")
@pytest.mark.parametrize(
    ("code", "change"),
    [
        (4004, "copy a fresh one from the developer portal"),
        (4010, "0 <= id < total"),
        (4011, "must use more shards"),
        (4012, "set api_version"),
        (4013, "take out the bits that are no gateway intents"),
        (4014, "switch the privileged intents on in the developer portal, or leave them out"),
    ],
)
def test_a_fatal_error_says_what_to_change(code: int, change: str) -> None:
    error = closed_error(code)
    assert isinstance(error, FatalClosedError)
    assert change in str(error)
    assert error.advice in str(error)


@pytest.mark.failure("F16")
@pytest.mark.parametrize("code", [4010, 4011])
def test_the_recommended_shard_count(code: int) -> None:
    known, unknown = closed_error(code, "", 18), closed_error(code)
    assert isinstance(known, ShardCountError)
    assert known.recommended == 18
    assert "recommends 18 shards" in str(known)
    assert "GET /gateway/bot" in str(unknown)
    assert known != unknown


@given(st.text())
def test_a_reason_is_one_short_line(reason: str) -> None:
    line = str(closed_error(4000, reason))
    assert len(line.splitlines()) == 1
    assert len(line) < 200


def test_a_socket_that_just_ended() -> None:
    assert str(closed_error(None)) == "the connection ended without a close frame"


MAKERS: list[Callable[[], GatewayError]] = [
    lambda: closed_error(None),
    lambda: closed_error(4000),
    lambda: closed_error(4000, "a"),
    lambda: closed_error(4002),
    *(partial(closed_error, code) for code in sorted(OWN_CLASS)),
    lambda: closed_error(4011, "", 18),
    lambda: ClosedError(4004),
    lambda: GatewayError("detail"),
    lambda: ConnectError("detail"),
    lambda: ConnectError("another"),
    lambda: DialTimeoutError(1.0),
    lambda: DialTimeoutError(2.0),
    lambda: ResumeTimeoutError(1.0),
    lambda: InvalidHandshakeError("refused", 503, 1.0),
    lambda: InvalidHandshakeError("refused", 503, 2.0),
    lambda: InvalidHandshakeError("refused", 502, 1.0),
    lambda: InvalidHandshakeError("refused"),
    lambda: InvalidSessionError(True),
    lambda: InvalidSessionError(False),
    lambda: ReconnectFailureError(3),
    lambda: MessageTooLargeError(4096),
    lambda: InflatedTooLargeError(4096),
    lambda: InflatedTooLargeError(4097),
]


def test_errors_are_compared_by_type_and_fields() -> None:
    firsts, seconds = ([make() for make in MAKERS] for _ in range(2))
    for at, first in enumerate(firsts):
        assert [first == second for second in seconds] == [at == other for other in range(len(seconds))]
        assert hash(first) == hash(seconds[at])
        assert first != str(first)


def test_a_traceback_is_no_field() -> None:
    first, second = DialTimeoutError(1.0), DialTimeoutError(1.0)
    with pytest.raises(DialTimeoutError):
        raise first from ValueError("cause")
    assert first == second


@pytest.mark.parametrize("make", MAKERS)
def test_each_reads_as_one_line(make: Callable[[], GatewayError]) -> None:
    line = str(make())
    assert line
    assert line.splitlines() == [line]


def test_each_class_is_documented_and_no_mistake_of_the_caller() -> None:
    kinds = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, GatewayError)]
    assert len(kinds) > 25
    for kind in kinds:
        assert kind.__doc__, kind
        assert kind.__name__.endswith("Error"), kind
        assert not issubclass(kind, LocalProtocolError), kind


@pytest.mark.failure("F29")
def test_a_bound_names_the_setting_to_raise() -> None:
    bounds = BoundExceededError.__subclasses__()
    assert len(bounds) == 3
    for kind in bounds:
        assert kind.setting in Limits.__struct_fields__
        assert f"raise Limits.{kind.setting}" in str(kind(4096))
        assert "4096 bytes" in str(kind(4096))
