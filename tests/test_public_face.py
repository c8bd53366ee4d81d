"""What a user imports: `__all__` is true, sorted, and holds everything that an action or a signature can show."""

import ast
import copy
import enum
import importlib
import inspect
import pickle
import typing
from pathlib import Path

import pytest

import gateway_proto
from gateway_proto import GatewayError, ShardAction, errors
from gateway_proto.discovery import DiscoveryError
from gateway_proto.fleet import IdentifyBudgetError
from gateway_proto.requests import RequestError

PACKAGES = [
    "gateway_proto",
    "gateway_proto.events",
    "gateway_proto.fleet",
    "gateway_proto.requests",
    "gateway_proto.server",
    "gateway_proto.testing",
    "gateway_proto.websocket",
    "gateway_proto.world",
]
INTERNAL_BASES = {"ShardCountError"}
"""Shares code between two causes; nobody needs to catch it."""


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_true_sorted_and_complete(package: str) -> None:
    module = importlib.import_module(package)
    names: list[str] = module.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(module, name) and not name.startswith("_") for name in names)
    assert module.__file__ is not None
    imported = {
        alias.asname or alias.name
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert imported <= set(names), "imported for the face and not named there"


@pytest.mark.parametrize("name", gateway_proto.__all__)
def test_each_name_is_documented(name: str) -> None:
    value = getattr(gateway_proto, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__.startswith("gateway_proto")
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}(")


def causes() -> list[type[GatewayError]]:
    return [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, GatewayError)]


@pytest.mark.parametrize("kind", causes(), ids=lambda kind: kind.__name__)
def test_every_cause_is_exported_and_documented(kind: type[GatewayError]) -> None:
    if kind.__name__ not in INTERNAL_BASES:
        assert getattr(gateway_proto, kind.__name__) is kind
        assert kind.__name__ in gateway_proto.__all__
    assert kind.__doc__
    assert kind.__doc__ != GatewayError.__doc__ or kind is GatewayError


@pytest.mark.parametrize(
    "cause",
    [
        errors.ClosedError(),
        errors.DialTimeoutError(10.0),
        errors.InvalidHandshakeError("refused", 503, 2.0),
        errors.InvalidShardDataError(4010, "why", 16),
        errors.MessageTooLargeError(99, compressed=True),
        errors.NoSessionIdError(),
        errors.ReconnectRequestedError(),
        errors.UndecodableMessageError("a message is not a JSON object"),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_a_cause_is_a_value_that_can_be_copied_and_sent(cause: GatewayError) -> None:
    for twin in (copy.copy(cause), copy.deepcopy(cause), pickle.loads(pickle.dumps(cause))):
        assert twin == cause
        assert twin is not cause
        assert (str(twin), repr(twin), vars(twin)) == (str(cause), repr(cause), vars(cause))


def test_no_cause_hides_elsewhere() -> None:
    """Each is among the shard's causes, but for those of asking where to dial, of starting a fleet, and of requests."""
    pending = [GatewayError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.__module__.startswith("gateway_proto.") and kind.__module__ != "gateway_proto.errors":
            assert issubclass(kind, DiscoveryError | IdentifyBudgetError | RequestError)
            assert kind.__module__.split(".")[1] in ("discovery", "fleet", "requests")
            assert kind.__doc__


@pytest.mark.parametrize("kind", typing.get_args(ShardAction), ids=lambda kind: kind.__name__)
def test_every_action_is_exported_frozen_and_says_what_it_is(kind: type) -> None:
    assert getattr(gateway_proto, kind.__name__) is kind
    assert kind.__doc__ is not None
    assert kind.__doc__.startswith(("Asks: ", "Reports: "))
    assert typing.cast(typing.Any, kind).__struct_config__.frozen


def test_the_union_of_actions_is_closed() -> None:
    from gateway_proto import actions

    found = {
        value
        for name, value in vars(actions).items()
        if inspect.isclass(value) and issubclass(value, actions._Action) and not name.startswith("_")
    }
    assert found - {gateway_proto.IdentifyPermit} == set(typing.get_args(ShardAction))


def shown(annotation: object) -> set[type]:
    """The classes of ours that a type mentions."""
    found = {annotation} if inspect.isclass(annotation) else set()
    for part in typing.get_args(annotation):
        found |= shown(part)
    return {kind for kind in found if kind.__module__.startswith("gateway_proto")}


def test_whatever_a_signature_or_a_field_shows_is_exported() -> None:
    faces = [getattr(gateway_proto, name) for name in gateway_proto.__all__]
    exported = {value for value in faces if inspect.isclass(value)}
    mentioned: set[type] = set()
    for value in exported:
        if value.__module__ != "gateway_proto.websocket.events":
            mentioned |= {kind for hint in typing.get_type_hints(value).values() for kind in shown(hint)}
        for name, member in inspect.getmembers(value, inspect.isfunction):
            if not name.startswith("_") and member.__module__.startswith("gateway_proto"):
                mentioned |= {kind for hint in typing.get_type_hints(member).values() for kind in shown(hint)}
    hidden = {kind for kind in mentioned - exported if kind.__module__ != "gateway_proto.websocket.events"}
    assert hidden == set()


def test_no_name_shadows_a_builtin() -> None:
    import builtins

    assert not set(gateway_proto.__all__) & set(dir(builtins))


def test_enums_of_the_face_have_members_that_print() -> None:
    kinds = [value for name in gateway_proto.__all__ if inspect.isclass(value := getattr(gateway_proto, name))]
    enums = [kind for kind in kinds if issubclass(kind, enum.Enum)]
    assert len(enums) >= 7
    assert all(str(member) for kind in enums for member in kind)


def test_it_is_typed() -> None:
    assert (Path(gateway_proto.__file__).parent / "py.typed").is_file()
