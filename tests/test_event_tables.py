"""The Structs are the documentation's tables: every event, every structure that one reaches, field by field."""

import inspect
from collections import Counter
from datetime import datetime
from enum import IntEnum, IntFlag
from itertools import permutations
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec
import pytest
from msgspec.structs import FieldInfo

from gateway_proto import events as ev
from tests import documented
from tests.documented import (
    ENUMERATIONS,
    STRUCTS,
    UNIONS,
    Array,
    Enumeration,
    Field,
    Kind,
    Map,
    Object,
    OneOf,
    Pair,
    Plain,
    Tagged,
)

CLASSES_OF_ENUMERATIONS: Final[dict[str, type[IntEnum]]] = {
    "action type": ev.AutoModerationActionType,
    "application command permission type": ev.ApplicationCommandPermissionType,
    "application event webhook status": ev.ApplicationEventWebhookStatus,
    "audit log event": ev.AuditLogEvent,
    "base theme": ev.BaseTheme,
    "channel type": ev.ChannelType,
    "event status": ev.GuildScheduledEventStatus,
    "integration expire behavior": ev.IntegrationExpireBehavior,
    "interaction context type": ev.InteractionContextType,
    "interaction type": ev.InteractionType,
    "keyword preset type": ev.KeywordPresetType,
    "privacy level": ev.GuildScheduledEventPrivacyLevel,
    "recurrence rule - frequency": ev.RecurrenceRuleFrequency,
    "recurrence rule - month": ev.RecurrenceRuleMonth,
    "recurrence rule - weekday": ev.RecurrenceRuleWeekday,
    "scheduled entity type": ev.GuildScheduledEventEntityType,
    "subscriptionstatus": ev.SubscriptionStatus,
    "trigger_type": ev.TriggerType,
}

BEYOND_THE_TABLES: Final[dict[str, frozenset[type[msgspec.Struct]]]] = {
    "component": frozenset({ev.UnknownComponent}),
    # A modal whose inputs are in action rows, from before labels: sent to this day, documented no longer.
    "component response": frozenset({ev.UnknownComponent, ev.ActionRowResponse}),
}


class Deviation(NamedTuple):
    """What of a field is not as the table says, as `deviation` names it, and why."""

    part: str
    reason: str


DEVIATIONS: Final[dict[tuple[str, str], Deviation]] = {
    **{
        ("ActionMetadata", name): Deviation("optional", "each is of one action type only, as its description says")
        for name in ("channel_id", "duration_seconds")
    },
    ("Activity", "buttons"): Deviation("kind", "sent as objects, received as their labels (Activity Buttons)"),
    ("Attachment", "title"): Deviation("nullable", "null in real traffic"),
    **{
        ("AuditEntryInfo", name): Deviation("optional", "each is of some event types only, as its column says")
        for name in (
            "application_id", "auto_moderation_rule_name", "auto_moderation_rule_trigger_type", "channel_id", "count",
            "delete_member_days", "id", "members_removed", "message_id", "role_name", "type", "integration_type",
            "status",
        )
    },
    **{
        (f"{component}Response", "id"): Deviation("optional", "components have had one only since 2025")
        for component in (
            "ChannelSelect", "Checkbox", "CheckboxGroup", "FileUpload", "Label", "MentionableSelect", "RadioGroup",
            "RoleSelect", "StringSelect", "TextDisplay", "TextInput", "UserSelect",
        )
    },
    **{
        (f"{select}SelectResponse", "component_type"): Deviation("optional", "modals have `type` instead")
        for select in ("Channel", "Mentionable", "Role", "String", "User")
    },
    **{
        (f"{select}SelectResponse", "resolved"): Deviation("optional", "modals have one for all of their components")
        for select in ("Channel", "Mentionable", "Role", "User")
    },
    ("EmbedAuthor", "url"): Deviation("nullable", "null in real traffic"),
    ("Guild", "premium_subscription_count"): Deviation("nullable", "null in real traffic"),
    ("Integration", "user"): Deviation("not in the table", "the base has it, the two events leave it out"),
    ("Interaction", "raw_data"): Deviation("kind", "kept as it is, and decoded when `data` is asked for"),
    ("Message", "mentions"): Deviation("kind", "in an event each may have a member, also of a message within"),
    ("PartialApplication", "integration_types_config"): Deviation("kind", "its values may be null"),
    ("PartialMessage", "id"): Deviation("optional", "the message of a snapshot has none"),
    ("PartialMessage", "mentions"): Deviation("kind", "as of a Message"),
    **{
        ("Presence", name): Deviation("optional", "nothing is sure but the user's id (Presence Update)")
        for name in ("guild_id", "status", "activities", "client_status")
    },
    ("PartialGuild", "premium_subscription_count"): Deviation("nullable", "as of a Guild"),
    ("Presence", "user"): Deviation("kind", "partial: nothing is sure but its id"),
    ("RequestGuildMembersRateLimit", "guild_id"): Deviation("optional", "`meta` is of any opcode"),
    **{
        ("TriggerMetadata", name): Deviation("optional", "each is of some trigger types only, as its column says")
        for name in (
            "keyword_filter", "regex_patterns", "presets", "allow_list", "mention_total_limit",
            "mention_raid_protection_enabled",
        )
    },
    ("VoiceChannelEffectSend", "sound_id"): Deviation("kind", "the small numbers of default sounds are ids too"),
}  # fmt: skip
"""By class and field: every place where a Struct is not what the table says. A subclass has those of its base."""


# -- a field against a row -----------------------------------------------------------------------------------------


def members(annotation: Any) -> list[Any]:
    """The members of a union, each with what `Annotated` says of it; of anything else, itself alone."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in members(part)]
    return [annotation]


def values(annotation: Any) -> list[Any]:
    """The members that hold a value: without None and UNSET."""
    return [member for member in members(annotation) if member not in (NoneType, None, msgspec.UnsetType)]


def bare(member: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what `Annotated` says of it, and that."""
    if get_origin(member) is Annotated:
        kind, *said = get_args(member)
        return kind, tuple(said)
    return member, ()


def is_plain(name: str, member: Any) -> bool:
    kind, said = bare(member)
    as_string = ev.AS_STRING in said
    match name:
        case "integer":
            return (kind is int and not said) or (is_enum(kind, ev.OpenEnum, ev.Flags) and not as_string)
        case "snowflake":
            return kind is int and as_string
        case "digits":
            return as_string and is_enum(kind, ev.Flags)
        case "timestamp":
            return kind is datetime and any(isinstance(meta, msgspec.Meta) and meta.tz for meta in said)
    return kind is {"string": str, "boolean": bool, "number": float, "any": Any}[name] and not said


def is_enum(kind: Any, *bases: type[IntEnum | IntFlag]) -> bool:
    return isinstance(kind, type) and issubclass(kind, bases)


def fits(kind: Kind, annotation: Any) -> bool:
    """Whether an annotation, None and UNSET aside, is what a kind asks for."""
    found = values(annotation)
    match kind:
        case OneOf(options):
            return len(found) == len(options) and any(
                all(fits(option, member) for option, member in zip(options, order, strict=True))
                for order in permutations(found)
            )
        case Tagged(name):
            wanted = {STRUCTS[Object(title)] for title in UNIONS[name].values()}
            return set(found) == wanted | BEYOND_THE_TABLES.get(name, frozenset())
        case Plain("null"):
            return found == []
    if len(found) != 1:
        return False
    [member] = found
    match kind:
        case Plain(name):
            return is_plain(name, member)
        case Enumeration(name):
            return member is CLASSES_OF_ENUMERATIONS[name]
        case Pair():
            return get_origin(member) is tuple and get_args(member) == (int, int)
        case Array(item):
            return (
                get_origin(member) is list and fits(item, get_args(member)[0]) and not may_be_null(get_args(member)[0])
            )
        case Map(key, item):
            return (
                get_origin(member) is dict
                and fits(key, get_args(member)[0])
                and fits(item, get_args(member)[1])
                and not may_be_null(get_args(member)[1])
            )
        case Object():
            return member is STRUCTS[kind]
    return False


def may_be_null(annotation: Any) -> bool:
    return any(member in (None, NoneType) for member in members(annotation))


def deviation(wanted: Field, found: FieldInfo) -> str:
    """What of a field is not as its row says: some of "optional", "nullable", "default" and "kind"."""
    parts = []
    may_be_unset = msgspec.UnsetType in members(found.type)
    if not may_be_unset == (found.default is msgspec.UNSET) == wanted.optional:
        parts.append("optional")
    if may_be_null(found.type) != (wanted.nullable or wanted.kind == documented.NULL):
        parts.append("nullable")
    if not may_be_unset and (found.default is None) != may_be_null(found.type):
        parts.append("default")  # a nullable field that is required reads as None where an old capture lacks it
    if not fits(wanted.kind, found.type):
        parts.append("kind")
    return ", ".join(parts)


def where(struct: type[msgspec.Struct], name: str) -> tuple[str, str]:
    """The class that a field was written in, and the field: a base of `struct`, or itself."""
    for base in struct.__mro__:
        if name in inspect.get_annotations(base):
            return base.__name__, name
    raise AssertionError(f"{struct.__name__} has no {name}")


def deviations(struct: type[msgspec.Struct], wanted: tuple[Field, ...]) -> dict[tuple[str, str], str]:
    """Every deviation of a class from its table. A field too many or too few is one too."""
    found = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    tag_field = struct.__struct_config__.tag_field
    result = {}
    for row in wanted:
        if row.name == tag_field:
            continue
        if row.name not in found:
            result[struct.__name__, row.name] = "absent"
        elif part := deviation(row, found[row.name]):
            result[where(struct, found[row.name].name)] = part
    for name in found.keys() - {row.name for row in wanted}:
        result[where(struct, found[name].name)] = "not in the table"
    return result


def unexplained(found: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    return {field: part for field, part in found.items() if field not in DEVIATIONS or DEVIATIONS[field].part != part}


# -- the tests -----------------------------------------------------------------------------------------------------


def test_every_event_has_its_class_in_the_order_of_the_documentation() -> None:
    events = documented.events()
    assert list(ev.DISPATCH_TYPES) == list(events)
    for name, struct in ev.DISPATCH_TYPES.items():
        assert struct.__name__ == "".join(word.capitalize() for word in name.split("_"))
        assert struct is getattr(ev, struct.__name__)
    assert {struct: name for name, struct in ev.DISPATCH_TYPES.items()} == ev.DISPATCH_NAMES


def test_every_table_of_an_event_is_read() -> None:
    of_events = {title for event in documented.events().values() for title in event["tables"][:1]}
    within = {title for event in documented.events().values() for title in event["tables"][1:]}
    assert within <= {reached.title for reached in documented.reachable()}
    names = {field.name for name in documented.events() for field in documented.fields_of_event(name)}
    assert {field.name for title in of_events for field in documented.fields_of(title)} <= names


@pytest.mark.parametrize("name", ev.DISPATCH_TYPES)
def test_an_event_is_its_table(name: str) -> None:
    assert unexplained(deviations(ev.DISPATCH_TYPES[name], documented.fields_of_event(name))) == {}


@pytest.mark.parametrize("table", STRUCTS, ids=lambda table: f"{table.title}{' (partial)' if table.partial else ''}")
def test_a_structure_is_its_table(table: Object) -> None:
    assert unexplained(deviations(STRUCTS[table], documented.fields_of(table.title, table.partial))) == {}


def test_no_structure_is_forgotten() -> None:
    assert documented.reachable() == STRUCTS.keys()


def test_a_structure_has_one_class() -> None:
    """Presence is the exception: the documentation calls it partial in one place, and whole in the other."""
    counts = Counter(STRUCTS.values())
    assert [struct for struct, count in counts.items() if count > 1] == [ev.Presence]


@pytest.mark.parametrize(
    ("union", "number", "title"), [(union, *member) for union, titles in UNIONS.items() for member in titles.items()]
)
def test_a_tag_is_the_number_of_its_type(union: str, number: int, title: str) -> None:
    struct = STRUCTS[Object(title)]
    assert (struct.__struct_config__.tag_field, struct.__struct_config__.tag) == ("type", number)
    assert any(field.name == "type" for field in documented.fields_of(title))


def test_every_named_enumeration_has_a_class() -> None:
    assert CLASSES_OF_ENUMERATIONS.keys() == ENUMERATIONS


def test_every_listed_deviation_is_one() -> None:
    found: dict[tuple[str, str], str] = {}
    for name, event in ev.DISPATCH_TYPES.items():
        found |= deviations(event, documented.fields_of_event(name))
    for table, struct in STRUCTS.items():
        found |= deviations(struct, documented.fields_of(table.title, table.partial))
    assert found == {field: deviation.part for field, deviation in DEVIATIONS.items()}
