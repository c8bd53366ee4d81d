"""Payloads that nobody here made up: each line of examples.jsonl that is an event or a structure decodes into its type.

It encodes again to the same document, less the fields that the documentation has not. What does not is listed, line by
line: recordings from before a field existed, and snippets that were never whole. Nothing of the lines is copied here.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from gateway_proto import EventDecodeError
from gateway_proto import events as ev
from tests.shared_data import examples

UNREACHED: Final[dict[str, dict[str, str]]] = {
    "object": {
        "Allowed Mentions": "a bot sends it",
        "Application Command": "of the HTTP API; an interaction has only what was chosen",
        "Application Command (create)": "a bot sends it",
        "Application Command Option": "of the HTTP API",
        "Application Command Option Choice": "of the HTTP API",
        "Audit Log": "of the HTTP API; an event has one entry",
        "Ban": "of the HTTP API; events have the user",
        "Get Gateway Bot": "discovery's answer",
        "Guild Onboarding": "of the HTTP API",
        "Guild Preview": "of the HTTP API",
        "Guild Scheduled Event User": "of the HTTP API; events have ids",
        "Guild Template": "of the HTTP API",
        "Guild Widget": "of the HTTP API",
        "Guild Widget Settings": "of the HTTP API",
        "Identify Connection Properties": "of a command",
        "Invite": "of the HTTP API; INVITE_CREATE has fields of its own",
        "Invite (partial)": "of the HTTP API",
        "Invite Metadata": "of the HTTP API",
        "Invite Stage Instance": "of the HTTP API",
        "Lobby": "of the HTTP API",
        "Onboarding Prompt": "of the HTTP API",
        "Prompt Option": "of the HTTP API",
        "SKU": "of the HTTP API; events have its id",
        "Session Start Limit": "of discovery's answer",
        "Shard Identification": "of a command",
        "Sticker Pack": "of the HTTP API",
        "Webhook": "of the HTTP API; WEBHOOKS_UPDATE has only ids",
    },
    "payload": {
        "DOESNT_MATTER": "made up by its project",
        "GATEWAY_EVENT_NAME": "made up by the documentation",
        "Heartbeat": "no event",
        "Heartbeat ACK": "no event",
        "Hello": "no event",
        "Identify": "a command",
        "Invalid Session": "no event",
        "Presence Update": "a command",
        "Reconnect": "no event",
        "Request Channel Info": "a command",
        "Request Guild Members": "a command",
        "Request Soundboard Sounds": "a command",
        "Resume": "a command",
        "Voice State Update": "a command",
        "YA_YA_BRR": "made up by its project",
    },
}
"""Names that no event reaches, by the kind of line, and what they are."""

OTHER_CLASSES: Final[dict[str, Any]] = {
    "Application": ev.PartialApplication,
    "Application Command Permissions": ev.ApplicationCommandPermission,
    "Embed Thumbnail": ev.EmbedImage,
    "Integration (partial)": ev.Integration,
    "Interaction (partial)": ev.Interaction,
    "Optional Audit Entry Info": ev.AuditEntryInfo,
    "Presence Update": ev.Presence,
    "User Mention": ev.MentionedUser,
}
"""Structures whose class is not called as they are."""

MISFITS: Final[dict[str, tuple[str, str]]] = {
    "discord-json/gateway/InteractionCreate": ("$.app_permissions", "recorded before there was this"),
    "discord-json/gateway/InteractionCreate.SubCommandGroup": ("$.app_permissions", "recorded before there was this"),
    "discord-json/gateway/MessageUpdate.Embeds": ("$.type", "recorded when an update had only what changed"),
    "discordrb/emoji/emoji_server@4af31f1": ("$.system_channel_flags", "cut down to emojis by its project"),
    "docs/events/gateway-events#L1426": ("$.created_at", "an activity as a command has it"),
    "docs/events/gateway-events#L1439": ("$.created_at", "an activity as a command has it"),
    "docs/interactions/application-commands#L500": ("$.version", "cut down by the documentation"),
    "docs/interactions/application-commands#L1060": ("$.version", "cut down by the documentation"),
    "docs/resources/audit-log#L36": ("$.enabled", "an integration as an audit log has it, which no event reaches"),
    **{
        f"remora/Gateway/Events/GUILD_CREATE/GUILD_CREATE{variant}": (
            "$.voice_states[0].user_id",
            "an empty voice state",
        )
        for variant in ("", ".nulls", ".optionals")
    },
    "remora/Objects/POLL_ANSWER/POLL_ANSWER.optionals": ("$.answer_id", "a poll's answer as a bot sends it"),
}
"""Lines that do not decode: the path of the error, and why."""

RECORDED_2021: Final = "+$.members[].flags +$.roles[].colors +$.roles[].flags +$.soundboard_sounds"
OLD: Final = "recorded before there were these"
EMPTY: Final = "an empty object, which has no id"

ALTERED: Final[dict[str, tuple[str, str]]] = {
    "discord-json/gateway/GuildCreate": ("+$.soundboard_sounds", OLD),
    "discord-json/gateway/GuildMembersChunk": ("+$.members[].flags", OLD),
    "discord-json/gateway/GuildUpdate": ("+$.premium_progress_bar_enabled", OLD),
    "discord-json/gateway/MessageReactionAdd": ("+$.member.flags", OLD),
    "discord-json/gateway/PresenceUpdate.Activities": ("~$.guild_id ~$.user.id", "its ids are zeros only, one is left"),
    "discord-json/gateway/Ready": ("~$.application.flags_new", "a number there, documented as a string"),
    "discord-json/gateway/TypingStart": ("+$.member.flags", OLD),
    "discord-json/gateway/VoiceStateUpdate": ("+$.member.flags", OLD),
    "discord-json/rest/CreateMessageResponse": ("-$.nonce", "null"),
    "discord-json/rest/Guild": (
        "+$.premium_progress_bar_enabled ~$.roles[].permissions",
        "recorded before there was the one, and when the other was a number",
    ),
    "discordrb/forum_channel@fb32f13": ("-$.permission_overwrites", "their type was a word once"),
    "discordrb/role@a50edb5": ("+$.flags ~$.permissions", "recorded before flags, when permissions were a number"),
    "discordrb/text_channel@4af31f1": ("-$.permission_overwrites", "their type was a word once"),
    "docs/interactions/application-commands#L854": (
        "+$.attachment_size_limit +$.authorizing_integration_owners +$.entitlements +$.member.flags",
        OLD,
    ),
    "docs/interactions/application-commands#L948": (
        "+$.attachment_size_limit +$.authorizing_integration_owners +$.entitlements +$.member.flags",
        OLD,
    ),
    "docs/resources/application#L56": ("-$.team", "written before its members had a role"),
    "docs/resources/guild#L192": ("+$.nsfw_level +$.premium_progress_bar_enabled", OLD),
    "docs/resources/guild#L411": (
        "-$.user +$.flags",
        "an empty object for a user, and written before there were flags",
    ),
    "docs/resources/guild#L760": ("+$.nsfw_level +$.premium_progress_bar_enabled +$.roles[].flags", OLD),
    "docs/resources/voice#L36": ("+$.self_video", OLD),
    "remora-capture/Gateway/Events/GUILD_CREATE/2020-08-06T19.47.14Z.2@97e13b1": (
        f"{RECORDED_2021} +$.guild_scheduled_events +$.stage_instances +$.threads",
        OLD,
    ),
    "remora-capture/Gateway/Events/GUILD_CREATE/2021-06-17T05.43.49Z@97e13b1": (
        f"{RECORDED_2021} +$.guild_scheduled_events",
        OLD,
    ),
    **{
        f"remora-capture/Gateway/Events/GUILD_CREATE/2021-09-23T{number}@97e13b1": (RECORDED_2021, OLD)
        for number in range(1, 11)
    },
    **{
        f"remora-capture/Gateway/Events/GUILD_UPDATE/{time}@97e13b1": ("+$.roles[].colors +$.roles[].flags", OLD)
        for time in ("2020-08-28T18.30.06Z.3", "2020-08-28T18.30.09Z.4", "2021-06-17T05.46.43Z")
    },
    "remora/Gateway/Events/GUILD_ROLE_CREATE/GUILD_ROLE_CREATE": ("+$.role.colors", OLD),
    "remora/Gateway/Events/GUILD_ROLE_UPDATE/GUILD_ROLE_UPDATE": ("+$.role.colors", OLD),
    **{
        f"remora/Gateway/Events/GUILD_UPDATE/GUILD_UPDATE{variant}": ("+$.roles[].colors", OLD)
        for variant in ("", ".nulls", ".optionals")
    },
    **{
        f"remora/Gateway/Events/INTERACTION_CREATE/INTERACTION_CREATE{variant}": (
            "+$.attachment_size_limit +$.authorizing_integration_owners",
            OLD,
        )
        for variant in ("", ".optionals")
    },
    "remora/Gateway/Events/INVITE_CREATE/INVITE_CREATE": ("-$.target_application", EMPTY),
    **{
        f"remora/Gateway/Events/MESSAGE_{event}/MESSAGE_{event}{variant}": ("-$.application", EMPTY)
        for event in ("CREATE", "UPDATE")
        for variant in ("", ".nulls")
    },
    **{
        f"remora/Gateway/Events/MESSAGE_REACTION_{event}/MESSAGE_REACTION_{event}{variant}": ("+$.burst +$.type", OLD)
        for event in ("ADD", "REMOVE")
        for variant in ("", ".optionals")
    },
    "remora/Objects/APPLICATION/APPLICATION": ("-$.bot -$.guild -$.owner", EMPTY),
    "remora/Objects/APPLICATION/APPLICATION.nulls": ("-$.guild -$.owner", EMPTY),
    "remora/Objects/{0}/{0}".format("APPLICATION_COMMAND_INTERACTION_DATA_RESOLVED"): (
        "-$.channels +$.roles[].colors",
        "an empty object for a channel, and made before there were colors",
    ),
    **{f"remora/Objects/GUILD/GUILD{variant}": ("+$.roles[].colors", OLD) for variant in ("", ".nulls", ".optionals")},
    "remora/Objects/INTERACTION/INTERACTION": ("+$.attachment_size_limit", OLD),
    "remora/Objects/INTERACTION/INTERACTION.optionals": (
        "+$.attachment_size_limit +$.authorizing_integration_owners",
        OLD,
    ),
    "remora/Objects/MESSAGE/MESSAGE": ("-$.application", EMPTY),
    "remora/Objects/MESSAGE/MESSAGE.nulls": ("-$.application", EMPTY),
    "remora/Objects/ROLE/ROLE": ("+$.colors", OLD),
    "remora/Objects/ROLE/ROLE.optionals": ("+$.colors", OLD),
    "twilight/bench[2]": ("+$.burst +$.type", OLD),
}
"""Lines that do not come back as they were: which fields are left out (-), filled in (+) or written otherwise (~)."""

NO_EXAMPLE: Final = frozenset({
    "CHANNEL_INFO", "RATE_LIMITED", "SUBSCRIPTION_CREATE", "SUBSCRIPTION_DELETE", "SUBSCRIPTION_UPDATE",
    "VOICE_CHANNEL_EFFECT_SEND",
})  # fmt: skip
"""Events that no line is of."""

OUTAGES: Final = frozenset({
    "discord-json/gateway/GuildCreate.Unavailable",
    "remora/Gateway/Events/GUILD_CREATE/GUILD_CREATE.variant",
})  # fmt: skip
"""GUILD_CREATE whose guild is unavailable, which has a class of its own."""


class Line(NamedTuple):
    id: str
    name: str
    kind: Any
    raw: bytes


@cache
def lines() -> tuple[Line, ...]:
    """What is in the lines that an event reaches: of a whole payload its `d`, of a list every element."""
    return tuple(
        Line(line["id"], line["name"], kind, json.dumps(document).encode())
        for line in examples()
        if (kind := class_of(line["kind"], line["name"])) is not None
        for document in elements(line["json"]["d"] if line["kind"] == "payload" else line["json"])
    )


def elements(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.keys() == {"items"}:
        document = document["items"]
    return document if isinstance(document, list) else [document]


def class_of(kind: str, name: str) -> Any:
    """The class of an event or a structure: "Guild Member" is `GuildMember`, "Guild (partial)" is `PartialGuild`."""
    if kind != "object":
        return ev.DISPATCH_TYPES.get(name)
    if name in OTHER_CLASSES:
        return OTHER_CLASSES[name]
    prefix = "Partial" if name.endswith("(partial)") else ""
    return getattr(ev, prefix + name.removesuffix("(partial)").replace(" ", ""), None)


@cache
def fast(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False)


def differences(value: Any, encoded: Any, document: Any, path: str = "$") -> Iterator[str]:
    """What a value, encoded, has not of the document that it was (-), has more (+), or has otherwise (~), and where.

    What its class has no field for does not count, nor does a null where an old recording lacks a field.
    """
    match value:
        case ev.UnknownComponent():
            if encoded != document:
                yield f"~{path}"
        case msgspec.Struct():
            fields = {field.encode_name: field for field in msgspec.structs.fields(value)}
            for name, field in fields.items():
                where = f"{path}.{name}"
                if name not in encoded or (name in document and encoded[name] is None is not document[name]):
                    if name in document:
                        yield f"-{where}"
                elif name in document:
                    yield from differences(getattr(value, field.name), encoded[name], document[name], where)
                elif not (encoded[name] is None is field.default):
                    yield f"+{where}"
            if encoded.keys() - fields.keys() - {value.__struct_config__.tag_field}:
                yield f"~{path}"
            if isinstance(value, ev.Interaction) and value.data is not ev.UNSET:
                yield from differences(value.data, ev.to_document(value.data), document["data"], f"{path}.data")
        case list() | tuple():
            if len(encoded) != len(document):
                yield f"~{path}"
            for element, back, given in zip(value, encoded, document, strict=False):
                yield from differences(element, back, given, f"{path}[]")
        case dict():
            if encoded.keys() != document.keys():
                yield f"~{path}"
            for name in encoded.keys() & document.keys():
                key = name if name in value else int(name)
                yield from differences(value[key], encoded[name], document[name], f"{path}[]")
        case datetime():
            if not value == datetime.fromisoformat(encoded) == datetime.fromisoformat(document):
                yield f"~{path}"
        case msgspec.Raw():
            if encoded != document:
                yield f"~{path}"
        case float():
            if encoded != document or isinstance(document, bool):
                yield f"~{path}"
        case _:
            if type(encoded) is not type(document) or encoded != document:
                yield f"~{path}"


def decode(line: Line) -> Any:
    if line.name in ev.DISPATCH_TYPES:
        return ev.decode_event(line.name, line.raw)
    return ev.decode_as(line.name, line.raw, line.kind)


def test_names_that_no_event_reaches() -> None:
    unreached: dict[str, set[str]] = {}
    for line in examples():
        if class_of(line["kind"], line["name"]) is None:
            unreached.setdefault(line["kind"], set()).add(line["name"])
    assert unreached == {kind: set(names) for kind, names in UNREACHED.items()}


def test_the_lists_are_of_lines() -> None:
    assert {*MISFITS, *ALTERED, *OUTAGES} <= {line.id for line in lines()}
    assert len(lines()) > 500
    assert ev.DISPATCH_TYPES.keys() - {line.name for line in lines()} == NO_EXAMPLE


def test_a_line_decodes_the_fast_way_and_encodes_as_it_was() -> None:
    found = {}
    for line in lines():
        if line.id in MISFITS.keys() | ALTERED.keys() | OUTAGES:
            continue
        try:
            value = fast(line.kind).decode(line.raw)
        except msgspec.ValidationError as error:
            found[line.id] = [str(error)]
            continue
        if altered := list(differences(value, ev.to_document(value), json.loads(line.raw))):
            found[line.id] = altered
        assert decode(line) == value
    assert found == {}


def test_a_line_that_does_not_fit_says_where() -> None:
    found = {}
    for line in lines():
        if line.id in MISFITS:
            with pytest.raises(EventDecodeError) as caught:
                decode(line)
            found[line.id] = caught.value.path
    assert found == {id_: path for id_, (path, _) in MISFITS.items()}


def test_a_line_that_is_forgiven_is_altered_only_there() -> None:
    found: dict[str, set[str]] = {}
    for line in lines():
        if line.id in ALTERED:
            value = decode(line)
            altered = differences(value, ev.to_document(value), json.loads(line.raw))
            found.setdefault(line.id, set()).update(altered)
    assert found == {id_: set(paths.split()) for id_, (paths, _) in ALTERED.items()}


def test_an_outage_is_an_unavailable_guild() -> None:
    outages = [line for line in lines() if line.name == "GUILD_CREATE" and line.id in OUTAGES]
    assert len(outages) == len(OUTAGES)
    for line in outages:
        value = decode(line)
        assert type(value) is ev.UnavailableGuild
        assert list(differences(value, ev.to_document(value), json.loads(line.raw))) == []
