"""What the documentation says of the events: the tables of objects.json, and what their phrases mean.

Made from the tables alone, so that it may judge the Structs: `fields_of` and `fields_of_event` give the fields of a
table and of an event's payload, each with a `Kind` made of its `type` phrase. What the tables leave to the
documentation's prose is written down here, in the constants. `STRUCTS` says which class is which table.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec

from gateway_proto import events as ev
from tests import shared_data

# -- kinds: what a `type` phrase means -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Plain:
    """A JSON value without parts: integer, number, string, digits (of a flag set), snowflake, boolean, timestamp,
    null or any."""

    name: str


@dataclass(frozen=True)
class Enumeration:
    """An integer that a documented list names."""

    name: str


@dataclass(frozen=True)
class Array:
    item: "Kind"


@dataclass(frozen=True)
class Pair:
    """An array of exactly two integers."""


@dataclass(frozen=True)
class Map:
    key: Plain
    item: "Kind"


@dataclass(frozen=True)
class Object:
    title: str
    partial: bool = False


@dataclass(frozen=True)
class Tagged:
    """One of the objects of `UNIONS[name]`, which its `type` tells apart."""

    name: str


@dataclass(frozen=True)
class OneOf:
    options: "tuple[Kind, ...]"


Kind: TypeAlias = Plain | Enumeration | Array | Pair | Map | Object | Tagged | OneOf

INTEGER: Final = Plain("integer")
NUMBER: Final = Plain("number")
STRING: Final = Plain("string")
DIGITS: Final = Plain("digits")
SNOWFLAKE: Final = Plain("snowflake")
BOOLEAN: Final = Plain("boolean")
TIMESTAMP: Final = Plain("timestamp")
NULL: Final = Plain("null")
ANY: Final = Plain("any")


@dataclass(frozen=True)
class Field:
    """A row of a table."""

    name: str
    kind: Kind
    optional: bool
    nullable: bool


# -- what the tables leave to the prose ----------------------------------------------------------------------------

COMPONENT_TYPES: Final = {
    1: "Action Row", 2: "Button", 3: "String Select", 4: "Text Input", 5: "User Select", 6: "Role Select",
    7: "Mentionable Select", 8: "Channel Select", 9: "Section", 10: "Text Display", 11: "Thumbnail",
    12: "Media Gallery", 13: "File", 14: "Separator", 17: "Container", 18: "Label", 19: "File Upload",
    21: "Radio Group", 22: "Checkbox Group", 23: "Checkbox",
}  # fmt: skip
"""Component Reference > Component Types. Each has a table, and a second one if a user can fill it in."""

_RESPONDING: Final = (3, 4, 5, 6, 7, 8, 10, 18, 19, 21, 22, 23)
_METADATA: Final = {2: "Application Command", 3: "Message Component", 5: "Modal Submit"}

UNIONS: Final[dict[str, dict[int, str]]] = {
    "component": {number: f"components: {name} Structure" for number, name in COMPONENT_TYPES.items()},
    "component response": {
        number: f"components: {COMPONENT_TYPES[number]} Interaction Response Structure" for number in _RESPONDING
    },
    "message interaction metadata": {
        number: f"message: {name} Interaction Metadata Structure" for number, name in _METADATA.items()
    },
    "triggering interaction metadata": {
        number: f"message: {_METADATA[number]} Interaction Metadata Structure" for number in (2, 3)
    },
}

INTERACTION: Final = "receiving-and-responding: Interaction Structure"
INTERACTION_DATA: Final = {
    2: "receiving-and-responding: Application Command Data Structure",
    3: "receiving-and-responding: Message Component Data Structure",
    4: "receiving-and-responding: Application Command Data Structure",
    5: "receiving-and-responding: Modal Submit Data Structure",
}
"""Receiving and Responding > Interaction Data: what `data` is, by the `type` of the interaction."""

ENUMERATIONS: Final = frozenset({
    "action type", "application command permission type", "application event webhook status", "audit log event",
    "base theme", "channel type", "event status", "integration expire behavior", "interaction context type",
    "interaction type", "keyword preset type", "privacy level", "recurrence rule - frequency",
    "recurrence rule - month", "recurrence rule - weekday", "scheduled entity type", "subscriptionstatus",
    "trigger_type",
})  # fmt: skip

PHRASES: Final[dict[str, Kind]] = {
    "integer": INTEGER,
    "int": INTEGER,
    "float": NUMBER,
    "double": NUMBER,
    "string": STRING,
    "string (can be null only in reaction emoji objects)": STRING,
    "snowflake": SNOWFLAKE,
    "boolean": BOOLEAN,
    "iso8601 timestamp": TIMESTAMP,
    "is08601 timestamp": TIMESTAMP,
    "null": NULL,
    "mixed (matches object field's type)": ANY,
    "integer or string": OneOf((INTEGER, STRING)),
    "snowflake or integer": OneOf((SNOWFLAKE, INTEGER)),
    "string, integer, double, or boolean": OneOf((STRING, INTEGER, NUMBER, BOOLEAN)),
    "oauth2 scope": STRING,
    "guild feature string": STRING,
    "select option value": STRING,
    "role object id": SNOWFLAKE,
    "array of two integers (shard_id, num_shards)": Pair(),
    "array of two integers (current_size, max_size)": Pair(),
    "array of user objects, optionally with an additional partial member field": Array(Object("user: Mentioned User")),
    "dictionary with keys of application integration types": Map(STRING, SNOWFLAKE),
    "message component": Tagged("component"),
    "action row child component": Tagged("component"),
    "section child component": Tagged("component"),
    "section accessory component": Tagged("component"),
    "container child component": Tagged("component"),
    "label child component": Tagged("component"),
    "component interaction response": Tagged("component response"),
    "label interaction response child component": Tagged("component response"),
    "message interaction metadata object": Tagged("message interaction metadata"),
    "application command interaction metadata or message component interaction metadata object": Tagged(
        "triggering interaction metadata"
    ),
    "interaction data": OneOf(tuple(Object(title) for title in dict.fromkeys(INTERACTION_DATA.values()))),
    **{name: Enumeration(name) for name in ENUMERATIONS},
}

OTHER_NAMES: Final = {
    "application command permissions event": "application-commands: Guild Application Command Permissions Structure",
    "member": "guild: Guild Member Structure",
    "messages": "message: Message Structure",  # not "Receiving and Responding > Messages"
    "message sticker item": "sticker: Sticker Item Structure",
    "presence": "gateway-events: Presence Update Event Fields",
    "rate limit metadata for opcode": "gateway-events: Request Guild Member Rate Limit Metadata Structure",
    "collectibles": "user: Collectible Structure",
}
"""Structures whose name in a phrase is not the one of their table."""

SAID_ELSEWHERE: Final = {
    ("application: Application Structure", "integration_types_config"): (
        "dict<string, application integration type configuration>"
    ),
    ("auto-moderation: Auto Moderation Rule Structure", "trigger_metadata"): "trigger metadata object",
    ("gateway-events: Activity Structure", "emoji"): "activity emoji object",
    ("gateway-events: Channel Info Structure", "channels"): "array of channel info channel objects",
    ("gateway-events: Guild Emojis Update Event Fields", "emojis"): "array of emoji objects",
    ("gateway-events: Guild Members Chunk Event Fields", "not_found"): "array of snowflakes",
    ("gateway-events: Thread Members Update Event Fields", "added_members"): "array of added thread member objects",
    ("gateway-events: Guild Stickers Update Event Fields", "stickers"): "array of sticker objects",
    ("guild: Integration Structure", "application"): "integration application object",
    ("message: Attachment Structure", "application"): "partial application object",
    ("message: Reaction Structure", "burst_colors"): "array of strings",
    ("message: Reaction Structure", "count_details"): "reaction count details object",
    ("user: Collectible Structure", "nameplate"): "nameplate object",
}
"""Fields whose phrase says too little: "array", "object". What they are, in the words of the others."""

FLAG_STRINGS: Final = frozenset({
    ("application: Application Structure", "flags_new"),
    ("application: Install Params Structure", "permissions"),
    ("channel: Channel Structure", "app_permissions"),
    ("channel: Channel Structure", "permissions"),
    ("channel: Overwrite Structure", "allow"),
    ("channel: Overwrite Structure", "deny"),
    ("guild: Guild Member Structure", "permissions"),
    ("guild: Guild Structure", "permissions"),
    ("permissions: Role Structure", "permissions"),
    (INTERACTION, "app_permissions"),
})  # fmt: skip
"""Strings that are a number (Discord: Permissions: "serialized into a string")."""


def _row(name: str, phrase: str, *, optional: bool = True, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": phrase, "optional": optional, "nullable": nullable}


ADDED_TABLES: Final[dict[str, tuple[str | None, list[dict[str, Any]]]]] = {
    # Gateway Events > Thread Members Update: "will also include guild member and nullable presence objects"
    "channel: Added Thread Member": ("channel: Thread Member Structure", [_row("presence", "presence", nullable=True)]),
    # Guild > Unavailable Guild Object is an example without a table; Guild Delete says when `unavailable` is absent.
    "guild: Unavailable Guild Object": (
        None,
        [_row("id", "snowflake", optional=False), _row("unavailable", "boolean")],
    ),
    # Gateway Events > Message Create: each of `mentions` has "an additional partial member field".
    "user: Mentioned User": ("user: User Structure", [_row("member", "partial member object")]),
}
"""Structures that only the prose describes, with the table that they extend."""

ADDED_FIELDS: Final[dict[str, list[dict[str, Any]]]] = {
    "THREAD_CREATE": [_row("newly_created", "boolean")],
}
"""Fields of events that only the prose describes."""

PARTIAL_WHOLE: Final = {
    "emoji: Emoji Structure": "none of its fields is sure but `id` and `name`, which the partial ones have",
    "voice: Voice State Structure": "Guild Create: it lacks `guild_id`, which is optional anyway",
}
"""Structures that are the same where the documentation says "partial"."""

PARTIAL_KEYS: Final = {"gateway-events: Presence Update Event Fields": "user"}
"""What a partial object has for sure, where that is not its `id`."""


# -- tables --------------------------------------------------------------------------------------------------------


@cache
def _tables() -> dict[str, list[dict[str, Any]]]:
    tables = shared_data.objects()
    for title, (base, rows) in ADDED_TABLES.items():
        tables[title] = [*(tables[base] if base else ()), *rows]
    return tables


@cache
def _names() -> dict[str, list[str]]:
    """Titles by the name that a phrase calls them: "message: Poll Media Object Structure" is "poll media"."""
    names: dict[str, list[str]] = {}
    for title in _tables():
        name = re.sub(r"( object)?( structure| event fields)?$", "", title.partition(": ")[2].lower())
        names.setdefault(name.replace("_", " "), []).append(title)
    return names


@cache
def title_of(name: str, page: str = "") -> str:
    """The title of the table that a phrase on a page calls `name`.

    That is the page's own of this name, else the only one of this name, else the page's only one that ends so:
    "footer" is "embed footer" on the page of messages.

    Raises:
        LookupError: there is none, or more than one.
    """
    name = name.lower().replace("_", " ")
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    exact = _names().get(name, [])
    own = [title for title in exact if title.startswith(f"{page}: ")]
    ending = [
        title
        for other, titles in _names().items()
        for title in titles
        if title.startswith(f"{page}: ") and re.search(rf" {re.escape(name)}s?$", other)
    ]
    for found in (own, exact, ending):
        if len(found) == 1:
            return found[0]
    raise LookupError(f"no table, or several, for {name!r} on the page {page!r}")


def kind_of(phrase: str, page: str) -> Kind:
    """What a `type` phrase means on a page of the documentation."""
    lowered = phrase.lower()
    for plain in (lowered, lowered.removesuffix("s"), lowered.removesuffix(" object")):
        if plain in PHRASES:
            return PHRASES[plain]
    if match := re.match(r"(?:array|list) of (.*)", lowered):
        return Array(kind_of(match[1], page))
    if match := re.match(r"map of snowflakes to (.*)", lowered):
        return Map(SNOWFLAKE, kind_of(match[1], page))
    if match := re.fullmatch(r"dict<string, (.*)>", lowered):
        return Map(STRING, kind_of(match[1], page))
    match = re.fullmatch(r"(?:an? )?(partial )?(.*?)(?: objects?)?", lowered)
    assert match is not None
    try:
        title = title_of(match[2], page)
    except LookupError:
        title = title_of(match[2].removesuffix("s"), page)
    return Object(title, partial=bool(match[1]) and title not in PARTIAL_WHOLE)


@cache
def fields_of(title: str, partial: bool = False) -> tuple[Field, ...]:
    """The fields of a table in its order; of a partial object nothing is sure but its key."""
    fields = tuple(_field(title, row) for row in _tables()[title])
    if not partial:
        return fields
    key = PARTIAL_KEYS.get(title, "id")
    return tuple(field if field.name == key else replace(field, optional=True) for field in fields)


def _field(title: str, row: dict[str, Any]) -> Field:
    name = row["name"]
    page = title.partition(": ")[0]
    kind = kind_of(SAID_ELSEWHERE.get((title, name), row["type"]), page)
    if (title, name) in FLAG_STRINGS:
        assert kind == STRING
        kind = DIGITS
    return Field(name, kind, row["optional"], row["nullable"])


# -- events --------------------------------------------------------------------------------------------------------


@cache
def events() -> dict[str, dict[str, Any]]:
    """The dispatch events of gateway.json in its order: inner_payload, tables, intents of each."""
    gateway: dict[str, Any] = json.loads(shared_data.protocol_file("gateway.json").read_text())
    found: dict[str, dict[str, Any]] = gateway["dispatch_events"]
    return found


@cache
def fields_of_event(name: str) -> tuple[Field, ...]:
    """The fields of an event's payload: those of the structure that it is, then its own."""
    event = events()[name]
    said = " ".join(event["inner_payload"])
    own = event["tables"]
    if "same extra fields as MESSAGE_CREATE" in said:
        own = events()["MESSAGE_CREATE"]["tables"]
    fields: dict[str, Field] = {}
    base = _base(name, said)
    for title in ([base] if base else []) + own[:1]:  # a second table is of a structure within the first
        fields.update({field.name: field for field in fields_of(title)})
    fields.update({row["name"]: _field(name, row) for row in ADDED_FIELDS.get(name, ())})
    if match := re.search(r"containing just the (.*) fields", said):
        wanted = re.findall(r"`(\w+)`", match[1])
        fields = {field: fields[field] for field in fields if field in wanted}
        assert len(fields) == len(wanted)
    for omitted in re.findall(r"with `(\w+)` omitted", said):
        del fields[omitted]
    return tuple(fields.values())


def _base(name: str, said: str) -> str | None:
    if name == "GUILD_CREATE":  # "can be": an available guild with extra fields, or an unavailable guild
        return title_of("guild")
    if name == "APPLICATION_COMMAND_PERMISSIONS_UPDATE":
        return title_of("application command permissions event")
    match = re.match(r"The inner payload is (?:a subset of the |an? )(.*?) object", said)
    return title_of(match[1]) if match else None


@cache
def reachable() -> frozenset[Object]:
    """Every structure that the payload of an event has in it, at any depth."""
    found: set[Object] = set()
    waiting = [field.kind for name in events() for field in fields_of_event(name)]
    while waiting:
        for within in objects_in(waiting.pop()):
            if within not in found:
                found.add(within)
                waiting.extend(field.kind for field in fields_of(within.title, within.partial))
    return frozenset(found)


def objects_in(kind: Kind) -> Iterator[Object]:
    """The structures that a value of this kind may be, or be made of."""
    match kind:
        case Object():
            yield kind
        case Array(item) | Map(_, item):
            yield from objects_in(item)
        case OneOf(options):
            for option in options:
                yield from objects_in(option)
        case Tagged(name):
            yield from (Object(title) for title in UNIONS[name].values())


# -- Structs -------------------------------------------------------------------------------------------------------

_STRUCTS: Final[dict[str, dict[str, type[msgspec.Struct]]]] = {
    "application": {
        "Application Integration Type Configuration Object": ev.ApplicationIntegrationTypeConfiguration,
        "Install Params Structure": ev.InstallParams,
    },
    "application-commands": {
        "Application Command Permissions Structure": ev.ApplicationCommandPermission,
    },
    "audit-log": {
        "Audit Log Change Structure": ev.AuditLogChange,
        "Optional Audit Entry Info": ev.AuditEntryInfo,
    },
    "auto-moderation": {
        "Action Metadata": ev.ActionMetadata,
        "Auto Moderation Action Structure": ev.AutoModerationAction,
        "Trigger Metadata": ev.TriggerMetadata,
    },
    "channel": {
        "Added Thread Member": ev.AddedThreadMember,
        "Channel Structure": ev.Channel,
        "Default Reaction Structure": ev.DefaultReaction,
        "Forum Tag Structure": ev.ForumTag,
        "Overwrite Structure": ev.Overwrite,
        "Thread Member Structure": ev.ThreadMember,
        "Thread Metadata Structure": ev.ThreadMetadata,
    },
    "components": {
        "Action Row Structure": ev.ActionRow,
        "Button Structure": ev.Button,
        "Channel Select Interaction Response Structure": ev.ChannelSelectResponse,
        "Channel Select Structure": ev.ChannelSelect,
        "Checkbox Group Interaction Response Structure": ev.CheckboxGroupResponse,
        "Checkbox Group Option Structure": ev.CheckboxGroupOption,
        "Checkbox Group Structure": ev.CheckboxGroup,
        "Checkbox Interaction Response Structure": ev.CheckboxResponse,
        "Checkbox Structure": ev.Checkbox,
        "Container Structure": ev.Container,
        "File Structure": ev.FileComponent,
        "File Upload Interaction Response Structure": ev.FileUploadResponse,
        "File Upload Structure": ev.FileUpload,
        "Label Interaction Response Structure": ev.LabelResponse,
        "Label Structure": ev.Label,
        "Media Gallery Item Structure": ev.MediaGalleryItem,
        "Media Gallery Structure": ev.MediaGallery,
        "Mentionable Select Interaction Response Structure": ev.MentionableSelectResponse,
        "Mentionable Select Structure": ev.MentionableSelect,
        "Radio Group Interaction Response Structure": ev.RadioGroupResponse,
        "Radio Group Option Structure": ev.RadioGroupOption,
        "Radio Group Structure": ev.RadioGroup,
        "Role Select Interaction Response Structure": ev.RoleSelectResponse,
        "Role Select Structure": ev.RoleSelect,
        "Section Structure": ev.Section,
        "Select Default Value Structure": ev.SelectDefaultValue,
        "Select Option Structure": ev.SelectOption,
        "Separator Structure": ev.Separator,
        "String Select Interaction Response Structure": ev.StringSelectResponse,
        "String Select Structure": ev.StringSelect,
        "Text Display Interaction Response Structure": ev.TextDisplayResponse,
        "Text Display Structure": ev.TextDisplay,
        "Text Input Interaction Response Structure": ev.TextInputResponse,
        "Text Input Structure": ev.TextInput,
        "Thumbnail Structure": ev.Thumbnail,
        "Unfurled Media Item Structure": ev.UnfurledMediaItem,
        "User Select Interaction Response Structure": ev.UserSelectResponse,
        "User Select Structure": ev.UserSelect,
    },
    "emoji": {"Emoji Structure": ev.Emoji},
    "entitlement": {"Entitlement Structure": ev.Entitlement},
    "gateway-events": {
        "Activity Assets": ev.ActivityAssets,
        "Activity Buttons": ev.ActivityButton,
        "Activity Emoji": ev.ActivityEmoji,
        "Activity Party": ev.ActivityParty,
        "Activity Secrets": ev.ActivitySecrets,
        "Activity Structure": ev.Activity,
        "Activity Timestamps": ev.ActivityTimestamps,
        "Channel Info Channel Structure": ev.ChannelInfoChannel,
        "Client Status Object": ev.ClientStatus,
        "Presence Update Event Fields": ev.Presence,
        "Request Guild Member Rate Limit Metadata Structure": ev.RequestGuildMembersRateLimit,
    },
    "guild": {
        "Guild Member Structure": ev.GuildMember,
        "Incidents Data Structure": ev.IncidentsData,
        "Integration Account Structure": ev.IntegrationAccount,
        "Integration Application Structure": ev.IntegrationApplication,
        "Unavailable Guild Object": ev.UnavailableGuild,
        "Welcome Screen Channel Structure": ev.WelcomeScreenChannel,
        "Welcome Screen Structure": ev.WelcomeScreen,
    },
    "guild-scheduled-event": {
        "Guild Scheduled Event Entity Metadata": ev.GuildScheduledEventEntityMetadata,
        "Guild Scheduled Event Recurrence Rule - N_Weekday Structure": ev.RecurrenceRuleNWeekday,
        "Guild Scheduled Event Recurrence Rule Structure": ev.RecurrenceRule,
        "Guild Scheduled Event Structure": ev.GuildScheduledEvent,
    },
    "message": {
        "Application Command Interaction Metadata Structure": ev.ApplicationCommandInteractionMetadata,
        "Attachment Structure": ev.Attachment,
        "Channel Mention Structure": ev.ChannelMention,
        "Embed Author Structure": ev.EmbedAuthor,
        "Embed Field Structure": ev.EmbedField,
        "Embed Footer Structure": ev.EmbedFooter,
        "Embed Image Structure": ev.EmbedImage,
        "Embed Provider Structure": ev.EmbedProvider,
        "Embed Structure": ev.Embed,
        "Embed Video Structure": ev.EmbedVideo,
        "Message Activity Structure": ev.MessageActivity,
        "Message Call Object Structure": ev.MessageCall,
        "Message Component Interaction Metadata Structure": ev.MessageComponentInteractionMetadata,
        "Message Reference Structure": ev.MessageReference,
        "Message Snapshot Structure": ev.MessageSnapshot,
        "Message Structure": ev.Message,
        "Modal Submit Interaction Metadata Structure": ev.ModalSubmitInteractionMetadata,
        "Reaction Count Details Structure": ev.ReactionCountDetails,
        "Reaction Structure": ev.Reaction,
        "Role Subscription Data Object Structure": ev.RoleSubscriptionData,
        "Shared Client Theme Object Structure": ev.SharedClientTheme,
    },
    "permissions": {
        "Role Colors Object": ev.RoleColors,
        "Role Structure": ev.Role,
        "Role Tags Structure": ev.RoleTags,
    },
    "poll": {
        "Poll Answer Count Object Structure": ev.PollAnswerCount,
        "Poll Answer Object Structure": ev.PollAnswer,
        "Poll Media Object Structure": ev.PollMedia,
        "Poll Object Structure": ev.Poll,
        "Poll Results Object Structure": ev.PollResults,
    },
    "receiving-and-responding": {
        "Application Command Data Structure": ev.ApplicationCommandData,
        "Application Command Interaction Data Option Structure": ev.ApplicationCommandInteractionDataOption,
        "Message Component Data Structure": ev.MessageComponentData,
        "Message Interaction Structure": ev.MessageInteraction,
        "Modal Submit Data Structure": ev.ModalSubmitData,
        "Resolved Data Structure": ev.ResolvedData,
    },
    "soundboard": {"Soundboard Sound Structure": ev.SoundboardSound},
    "stage-instance": {"Stage Instance Structure": ev.StageInstance},
    "sticker": {
        "Sticker Item Structure": ev.StickerItem,
        "Sticker Structure": ev.Sticker,
    },
    "teams": {
        "Team Member Object": ev.TeamMember,
        "Team Object": ev.Team,
    },
    "user": {
        "Avatar Decoration Data Structure": ev.AvatarDecorationData,
        "Collectible Structure": ev.Collectibles,
        "Mentioned User": ev.MentionedUser,
        "Nameplate Structure": ev.Nameplate,
        "User Primary Guild": ev.UserPrimaryGuild,
        "User Structure": ev.User,
    },
    "voice": {"Voice State Structure": ev.VoiceState},
}

STRUCTS: Final[dict[Object, type[msgspec.Struct]]] = {
    **{Object(f"{page}: {table}"): struct for page, tables in _STRUCTS.items() for table, struct in tables.items()},
    Object("application: Application Structure", partial=True): ev.PartialApplication,
    Object("channel: Channel Structure", partial=True): ev.PartialChannel,
    Object("gateway-events: Presence Update Event Fields", partial=True): ev.Presence,
    Object("guild: Guild Member Structure", partial=True): ev.PartialGuildMember,
    Object("guild: Guild Structure", partial=True): ev.PartialGuild,
    Object("message: Message Structure", partial=True): ev.PartialMessage,
    Object("user: User Structure", partial=True): ev.PartialUser,
}
"""Every structure that an event reaches, with the class that it is."""
