"""Events that members of a guild can sign up for, and how they recur."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .user import User

__all__ = [
    "GuildScheduledEvent",
    "GuildScheduledEventEntityMetadata",
    "GuildScheduledEventEntityType",
    "GuildScheduledEventPrivacyLevel",
    "GuildScheduledEventStatus",
    "RecurrenceRule",
    "RecurrenceRuleFrequency",
    "RecurrenceRuleMonth",
    "RecurrenceRuleNWeekday",
    "RecurrenceRuleWeekday",
]


class GuildScheduledEventEntityType(OpenEnum):
    """Where an event is held (Discord: Guild Scheduled Event > Guild Scheduled Event Entity Types)."""

    STAGE_INSTANCE = 1
    VOICE = 2
    EXTERNAL = 3


class GuildScheduledEventPrivacyLevel(OpenEnum):
    """Who can see an event (Discord: Guild Scheduled Event > Guild Scheduled Event Privacy Level)."""

    GUILD_ONLY = 2


class GuildScheduledEventStatus(OpenEnum):
    """How far an event is; the last two are final (Discord: Guild Scheduled Event > Guild Scheduled Event Status)."""

    SCHEDULED = 1
    ACTIVE = 2
    COMPLETED = 3
    CANCELED = 4


class RecurrenceRuleFrequency(OpenEnum):
    """The unit of `interval` (Discord: Guild Scheduled Event > Guild Scheduled Event Recurrence Rule - Frequency)."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3


class RecurrenceRuleMonth(OpenEnum):
    """A month, from 1 (Discord: Guild Scheduled Event > Guild Scheduled Event Recurrence Rule - Month)."""

    JANUARY = 1
    FEBRUARY = 2
    MARCH = 3
    APRIL = 4
    MAY = 5
    JUNE = 6
    JULY = 7
    AUGUST = 8
    SEPTEMBER = 9
    OCTOBER = 10
    NOVEMBER = 11
    DECEMBER = 12


class RecurrenceRuleWeekday(OpenEnum):
    """A day of the week, from Monday, as in `datetime.weekday()`.

    (Discord: Guild Scheduled Event > Guild Scheduled Event Recurrence Rule - Weekday)
    """

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class GuildScheduledEventEntityMetadata(Model, frozen=True, kw_only=True):
    """Where an event outside of Discord is (Discord: Guild Scheduled Event > Guild Scheduled Event Entity Metadata)."""

    location: Maybe[str] = UNSET
    """1 to 100 characters; always there for `EXTERNAL`."""


class RecurrenceRuleNWeekday(Model, frozen=True, kw_only=True):
    """A day such as the fourth Wednesday of the month.

    (Discord: Guild Scheduled Event > Guild Scheduled Event Recurrence Rule - N_Weekday Structure)
    """

    n: int
    """1 to 5."""
    day: RecurrenceRuleWeekday


class RecurrenceRule(Model, frozen=True, kw_only=True):
    """When an event takes place again, like RFC 5545's RRULE, but with fewer combinations.

    (Discord: Guild Scheduled Event > Guild Scheduled Event Recurrence Rule Structure)
    """

    start: Timestamp
    end: Timestamp | None = None
    frequency: RecurrenceRuleFrequency
    interval: int
    """In units of `frequency`: 2 with `WEEKLY` is every other week."""
    by_weekday: list[RecurrenceRuleWeekday] | None = None
    by_n_weekday: list[RecurrenceRuleNWeekday] | None = None
    by_month: list[RecurrenceRuleMonth] | None = None
    by_month_day: list[int] | None = None
    """Days of the month, from 1."""
    by_year_day: list[int] | None = None
    """Days of the year, 1 to 364."""
    count: int | None = None
    """How often it takes place in all. None: until `end`, or for ever."""


class GuildScheduledEvent(Model, frozen=True, kw_only=True):
    """An event that a guild has planned (Discord: Guild Scheduled Event > Guild Scheduled Event Structure)."""

    id: Snowflake
    guild_id: Snowflake
    channel_id: Snowflake | None = None
    """None: it is `EXTERNAL`."""
    creator_id: Maybe[Snowflake | None] = UNSET
    """None: it was made before 25 October 2021, when this was not yet kept."""
    name: str
    """1 to 100 characters."""
    description: Maybe[str | None] = UNSET
    """1 to 1000 characters."""
    scheduled_start_time: Timestamp
    scheduled_end_time: Timestamp | None = None
    """Never None for `EXTERNAL`."""
    privacy_level: GuildScheduledEventPrivacyLevel
    status: GuildScheduledEventStatus
    entity_type: GuildScheduledEventEntityType
    entity_id: Snowflake | None = None
    """The stage instance, say; `entity_type` tells what it is."""
    entity_metadata: GuildScheduledEventEntityMetadata | None = None
    """None unless it is `EXTERNAL`."""
    creator: Maybe[User] = UNSET
    user_count: Maybe[int] = UNSET
    """How many have signed up."""
    image: Maybe[str | None] = UNSET
    """Hash of the cover image (CDN)."""
    recurrence_rule: RecurrenceRule | None = None
    """None: it takes place once."""
