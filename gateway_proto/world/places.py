"""The guild itself, its channels, roles, expressions, invites and scheduled events."""

from typing import Final

from .guild import ANNOUNCEMENT, STAGE, TEXT, VOICE, Guild, emoji, sound, sticker
from .moderation import without
from .people import People
from .scene import MOST, Maker, Scene, WorldEvent, happened
from .shapes import Payload
from .stages import Stages
from .threads import Threads

_CHANNEL_CREATE: Final = 10
_CHANNEL_DELETE: Final = 12
_ROLE_CREATE: Final = 30
_ROLE_DELETE: Final = 32
"""Actions of the audit log."""
_WEEK: Final = 604_800
"""Seconds: how long an invite is valid."""


class Places:
    """Makers by name."""

    def __init__(self, scene: Scene, people: People, threads: Threads, stages: Stages) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._people = people
        self._threads = threads
        self._stages = stages
        self.makers: dict[str, Maker] = {
            "GUILD_UPDATE": self.update,
            "CHANNEL_CREATE": self.create_channel,
            "CHANNEL_UPDATE": self.update_channel,
            "CHANNEL_DELETE": self.delete_channel,
            "GUILD_ROLE_CREATE": self.create_role,
            "GUILD_ROLE_UPDATE": self.update_role,
            "GUILD_ROLE_DELETE": self.delete_role,
            "GUILD_EMOJIS_UPDATE": self.update_emojis,
            "GUILD_STICKERS_UPDATE": self.update_stickers,
            "GUILD_SOUNDBOARD_SOUND_CREATE": self.create_sound,
            "GUILD_SOUNDBOARD_SOUND_UPDATE": self.update_sound,
            "GUILD_SOUNDBOARD_SOUND_DELETE": self.delete_sound,
            "GUILD_SOUNDBOARD_SOUNDS_UPDATE": self.update_sounds,
            "INVITE_CREATE": self.create_invite,
            "INVITE_DELETE": self.delete_invite,
            "GUILD_SCHEDULED_EVENT_CREATE": self.schedule,
            "GUILD_SCHEDULED_EVENT_UPDATE": self.reschedule,
            "GUILD_SCHEDULED_EVENT_DELETE": self.unschedule,
            "GUILD_SCHEDULED_EVENT_USER_ADD": self.subscribe,
            "GUILD_SCHEDULED_EVENT_USER_REMOVE": self.unsubscribe,
        }

    def update(self, guild: Guild) -> WorldEvent:
        guild = self._scene.edit(guild)
        changes = {"name": f"{self._draw.name()} {self._draw.name()}", "description": self._draw.text(10)}
        guild.fields = guild.fields | changes
        return happened("GUILD_UPDATE", guild, guild.settings())

    # -- channels --------------------------------------------------------------------------------------------------

    def create_channel(self, guild: Guild) -> WorldEvent | None:
        if len(guild.channels) >= MOST:
            return None
        guild = self._scene.edit(guild)
        made = guild.new_channel(self._draw, self._draw.snowflake(), self._draw.pick((TEXT, TEXT, VOICE, STAGE)))
        if made["type"] == TEXT:
            made |= {"last_message_id": None, "last_pin_timestamp": None}
        guild.channels[made["id"]] = made
        self._scene.log(guild, _CHANNEL_CREATE, made["id"])
        return happened("CHANNEL_CREATE", guild, made)

    def update_channel(self, guild: Guild) -> WorldEvent:
        """Another name, and for text another topic."""
        guild = self._scene.edit(guild)
        channel = self._draw.pick(list(guild.channels))
        changes: Payload = {"name": f"{self._draw.name()}-{self._draw.name()}", "version": self._draw.now}
        if guild.channels[channel]["type"] in (TEXT, ANNOUNCEMENT):
            changes["topic"] = self._draw.text(12)
        guild.channels[channel] = guild.channels[channel] | changes
        return happened("CHANNEL_UPDATE", guild, self._scene.channel(guild, channel))

    def delete_channel(self, guild: Guild) -> WorldEvent | None:
        """Of a text channel its threads go first, of a stage what is live, of both and voice everybody in it."""
        planned = {event["channel_id"] for event in guild.scheduled.values()}
        spared = {guild.text_channel, guild.fields["system_channel_id"], *planned}
        found = [channel for channel in guild.channels_of(TEXT, VOICE, ANNOUNCEMENT, STAGE) if channel not in spared]
        if not found:
            return None
        channel = self._draw.pick(found)
        return self._scene.begin(
            guild,
            *self._threads.ending(guild, channel),
            *self._stages.ending(guild, channel),
            *self._people.empty(guild, channel),
            lambda guild: self._delete_channel(guild, channel),
        )

    def _delete_channel(self, guild: Guild, channel: str) -> WorldEvent | None:
        """Unless somebody came in meanwhile."""
        inside = any(state["channel_id"] == channel for state in guild.voice.values())
        if channel not in guild.channels or inside:
            return None
        guild = self._scene.edit(guild)
        gone = self._scene.channel(guild, channel)
        del guild.channels[channel]
        self._scene.last_messages.pop(channel, None)
        self._scene.forget_messages(lambda message: message.channel == channel)
        guild.statuses.pop(channel, None)
        guild.voice_since.pop(channel, None)
        guild.rules = without(guild.rules, "exempt_channels", channel)
        guild.invites = {code: where for code, where in guild.invites.items() if where != channel}
        self._scene.log(guild, _CHANNEL_DELETE, channel)
        return happened("CHANNEL_DELETE", guild, gone)

    # -- roles -----------------------------------------------------------------------------------------------------

    def create_role(self, guild: Guild) -> WorldEvent | None:
        if len(guild.roles) >= MOST:
            return None
        guild = self._scene.edit(guild)
        role = self._draw.role(self._draw.snowflake())
        guild.roles[role["id"]] = role
        self._scene.log(guild, _ROLE_CREATE, role["id"])
        return happened("GUILD_ROLE_CREATE", guild, {"role": role})

    def update_role(self, guild: Guild) -> WorldEvent | None:
        roles = guild.assignable_roles()
        if not roles:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(roles)
        color = self._draw.rng.getrandbits(24)
        colors = guild.roles[id]["colors"] | {"primary_color": color}
        guild.roles[id] = guild.roles[id] | {"name": self._draw.name(), "color": color, "colors": colors}
        return happened("GUILD_ROLE_UPDATE", guild, {"role": guild.roles[id]})

    def delete_role(self, guild: Guild) -> WorldEvent | None:
        """Members, overwrites and rules lose it without a word of their own."""
        roles = guild.assignable_roles()
        if not roles:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(roles)
        del guild.roles[id]
        for channel, payload in guild.channels.items():
            left = [overwrite for overwrite in payload["permission_overwrites"] if overwrite["id"] != id]
            guild.channels[channel] = payload | {"permission_overwrites": left}
        guild.rules = without(guild.rules, "exempt_roles", id)
        self._scene.log(guild, _ROLE_DELETE, id)
        return happened("GUILD_ROLE_DELETE", guild, {"role_id": id})

    # -- expressions -----------------------------------------------------------------------------------------------

    def _replace(self, held: dict[str, Payload], made: Payload) -> None:
        """One more, or one less."""
        if held and (len(held) >= MOST or self._draw.random() < 0.5):
            del held[self._draw.pick(list(held))]
        else:
            held[made["id"]] = made

    def update_emojis(self, guild: Guild) -> WorldEvent:
        guild = self._scene.edit(guild)
        self._replace(guild.emojis, emoji(self._draw))
        return happened("GUILD_EMOJIS_UPDATE", guild, {"emojis": list(guild.emojis.values())})

    def update_stickers(self, guild: Guild) -> WorldEvent:
        guild = self._scene.edit(guild)
        self._replace(guild.stickers, sticker(self._draw, guild.id))
        return happened("GUILD_STICKERS_UPDATE", guild, {"stickers": list(guild.stickers.values())})

    def create_sound(self, guild: Guild) -> WorldEvent | None:
        if len(guild.sounds) >= MOST:
            return None
        guild = self._scene.edit(guild)
        made = sound(self._draw, guild.id)
        guild.sounds[made["sound_id"]] = made
        return happened("GUILD_SOUNDBOARD_SOUND_CREATE", guild, made)

    def update_sound(self, guild: Guild) -> WorldEvent | None:
        if not guild.sounds:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.sounds))
        guild.sounds[id] = guild.sounds[id] | {"name": self._draw.name()}
        return happened("GUILD_SOUNDBOARD_SOUND_UPDATE", guild, guild.sounds[id])

    def update_sounds(self, guild: Guild) -> WorldEvent | None:
        """All of them can be played no more, or again: so it is when a guild loses boosts."""
        if not guild.sounds:
            return None
        guild = self._scene.edit(guild)
        available = not all(sound["available"] for sound in guild.sounds.values())
        guild.sounds = {id: sound | {"available": available} for id, sound in guild.sounds.items()}
        return happened("GUILD_SOUNDBOARD_SOUNDS_UPDATE", guild, {"soundboard_sounds": list(guild.sounds.values())})

    def delete_sound(self, guild: Guild) -> WorldEvent | None:
        if not guild.sounds:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.sounds))
        del guild.sounds[id]
        return happened("GUILD_SOUNDBOARD_SOUND_DELETE", guild, {"sound_id": id})

    # -- invites ---------------------------------------------------------------------------------------------------

    def create_invite(self, guild: Guild) -> WorldEvent | None:
        if len(guild.invites) >= MOST:
            return self.delete_invite(guild)
        guild = self._scene.edit(guild)
        code, channel = self._draw.hash()[:8], self._draw.often(guild.channels_of(TEXT))
        guild.invites[code] = channel
        invite = {
            "uses": 0,
            "type": 0,
            "temporary": False,
            "max_uses": 0,
            "max_age": _WEEK,
            "inviter": self._users.raw(guild.members.pick(self._draw)),
            "expires_at": self._draw.timestamp(_WEEK * 1000),
            "created_at": self._draw.timestamp(),
            "code": code,
            "channel_id": channel,
        }
        return happened("INVITE_CREATE", guild, invite)

    def delete_invite(self, guild: Guild) -> WorldEvent | None:
        if not guild.invites:
            return None
        guild = self._scene.edit(guild)
        code = self._draw.pick(list(guild.invites))
        return happened("INVITE_DELETE", guild, {"code": code, "channel_id": guild.invites.pop(code)})

    # -- scheduled events ------------------------------------------------------------------------------------------

    def schedule(self, guild: Guild) -> WorldEvent | None:
        channels = guild.channels_of(VOICE)
        if not channels or len(guild.scheduled) >= MOST:
            return self.unschedule(guild)
        guild = self._scene.edit(guild)
        creator = guild.members.pick(self._draw)
        event: Payload = {
            "user_count": 0,
            "status": 1,
            "scheduled_start_time": self._draw.timestamp(3_600_000),
            "scheduled_end_time": None,
            "recurrence_rule": None,
            "privacy_level": 2,
            "name": self._draw.text(5)[:100],
            "image": None,
            "id": self._draw.snowflake(),
            "guild_id": str(guild.id),
            "entity_type": 2,
            "entity_metadata": None,
            "entity_id": None,
            "description": self._draw.text(12),
            "creator_id": str(self._users.id(creator)),
            "channel_id": self._draw.pick(channels),
        }
        guild.scheduled[event["id"]] = event
        shown = event | {"creator": self._users.raw(creator)}
        return happened("GUILD_SCHEDULED_EVENT_CREATE", guild, shown)

    def reschedule(self, guild: Guild) -> WorldEvent | None:
        """It begins, or gets another name."""
        if not guild.scheduled:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.scheduled))
        changes: Payload = {"status": 2} if self._draw.random() < 0.3 else {"name": self._draw.text(5)[:100]}
        guild.scheduled[id] = guild.scheduled[id] | changes
        return happened("GUILD_SCHEDULED_EVENT_UPDATE", guild, guild.scheduled[id])

    def unschedule(self, guild: Guild) -> WorldEvent | None:
        if not guild.scheduled:
            return None
        guild = self._scene.edit(guild)
        gone = guild.scheduled.pop(self._draw.pick(list(guild.scheduled)))
        guild.subscribers.pop(gone["id"], None)
        return happened("GUILD_SCHEDULED_EVENT_DELETE", guild, gone)

    def subscribe(self, guild: Guild) -> WorldEvent | None:
        if not guild.scheduled:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.scheduled))
        user = guild.members.pick(self._draw)
        interested = guild.subscribers.setdefault(id, {})
        if user in interested:
            return None
        interested[user] = None
        return self._subscribed(guild, "GUILD_SCHEDULED_EVENT_USER_ADD", id, user)

    def unsubscribe(self, guild: Guild) -> WorldEvent | None:
        found = [id for id, interested in guild.subscribers.items() if interested]
        if not found:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(found)
        user = self._draw.pick(list(guild.subscribers[id]))
        del guild.subscribers[id][user]
        return self._subscribed(guild, "GUILD_SCHEDULED_EVENT_USER_REMOVE", id, user)

    def _subscribed(self, guild: Guild, name: str, id: str, user: int) -> WorldEvent:
        guild.scheduled[id] = guild.scheduled[id] | {"user_count": len(guild.subscribers[id])}
        return happened(name, guild, {"guild_scheduled_event_id": id, "user_id": str(self._users.id(user))})
