"""The guild itself, its channels, threads, roles, expressions, invites and scheduled events."""

from typing import Final

from .guild import ANNOUNCEMENT, TEXT, VOICE, Guild, emoji, sound, sticker
from .people import People
from .scene import Maker, Scene, WorldEvent, happened
from .shapes import Payload

_MOST: Final = 50
"""Of anything that events add: a world that runs for days stays as large as it is."""
_WEEK: Final = 604_800
"""Seconds: how long an invite is valid."""


class Places:
    """Makers by name."""

    def __init__(self, scene: Scene, people: People) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._people = people
        self.makers: dict[str, Maker] = {
            "GUILD_UPDATE": self.update,
            "CHANNEL_CREATE": self.create_channel,
            "CHANNEL_UPDATE": self.update_channel,
            "CHANNEL_DELETE": self.delete_channel,
            "WEBHOOKS_UPDATE": self.update_webhooks,
            "THREAD_CREATE": self.create_thread,
            "THREAD_UPDATE": self.update_thread,
            "THREAD_DELETE": self.delete_thread,
            "THREAD_MEMBERS_UPDATE": self.join_thread,
            "GUILD_ROLE_CREATE": self.create_role,
            "GUILD_ROLE_UPDATE": self.update_role,
            "GUILD_ROLE_DELETE": self.delete_role,
            "GUILD_EMOJIS_UPDATE": self.update_emojis,
            "GUILD_STICKERS_UPDATE": self.update_stickers,
            "GUILD_SOUNDBOARD_SOUND_CREATE": self.create_sound,
            "GUILD_SOUNDBOARD_SOUND_DELETE": self.delete_sound,
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
        if len(guild.channels) >= _MOST:
            return None
        guild = self._scene.edit(guild)
        made = guild.new_channel(self._draw, self._draw.snowflake(), self._draw.pick((TEXT, TEXT, VOICE)))
        if made["type"] == TEXT:
            made |= {"last_message_id": None, "last_pin_timestamp": None}
        guild.channels[made["id"]] = made
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
        """Of a text channel its threads go first, out of a voice channel everybody who is in it."""
        planned = {event["channel_id"] for event in guild.scheduled.values()}
        spared = {guild.text_channel, guild.fields["system_channel_id"], *planned}
        found = [channel for channel in guild.channels_of(TEXT, VOICE, ANNOUNCEMENT) if channel not in spared]
        if not found:
            return None
        channel = self._draw.pick(found)
        threads = [id for id, thread in guild.threads.items() if thread["parent_id"] == channel]
        emptying = self._people.empty(guild, channel)
        self._scene.follow(
            guild,
            *(self._deleting_thread(thread) for thread in threads),
            *emptying,
            lambda guild: self._delete_channel(guild, channel),
        )
        return self._scene.next_following()

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
        guild.invites = {code: where for code, where in guild.invites.items() if where != channel}
        return happened("CHANNEL_DELETE", guild, gone)

    def update_webhooks(self, guild: Guild) -> WorldEvent:
        return happened("WEBHOOKS_UPDATE", guild, {"channel_id": self._draw.often(guild.channels_of(TEXT))})

    # -- threads ---------------------------------------------------------------------------------------------------

    def create_thread(self, guild: Guild) -> WorldEvent | None:
        if len(guild.threads) >= _MOST:
            return self.delete_thread(guild)
        guild = self._scene.edit(guild)
        owner = str(self._users.id(guild.members.pick(self._draw)))
        thread: Payload = {
            "type": 11,
            "total_message_sent": 0,
            "thread_metadata": {
                "locked": False,
                "create_timestamp": self._draw.timestamp(),
                "auto_archive_duration": 4320,
                "archived": False,
                "archive_timestamp": self._draw.timestamp(),
            },
            "rate_limit_per_user": 0,
            "parent_id": self._draw.often(guild.channels_of(TEXT)),
            "owner_id": owner,
            "name": self._draw.text(7)[:100],
            "message_count": 0,
            "member_ids_preview": [owner],
            "member_count": 1,
            "last_message_id": None,
            "id": self._draw.snowflake(),
            "guild_id": str(guild.id),
            "flags": 0,
        }
        guild.threads[thread["id"]] = thread
        return happened("THREAD_CREATE", guild, thread | {"newly_created": True})

    def update_thread(self, guild: Guild) -> WorldEvent | None:
        if not guild.threads:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.threads))
        guild.threads[id] = guild.threads[id] | {"name": self._draw.text(7)[:100]}
        return happened("THREAD_UPDATE", guild, guild.threads[id])

    def delete_thread(self, guild: Guild) -> WorldEvent | None:
        return self._deleting_thread(self._draw.pick(list(guild.threads)))(guild) if guild.threads else None

    def _deleting_thread(self, id: str) -> Maker:
        def delete(guild: Guild) -> WorldEvent | None:
            if id not in guild.threads:
                return None
            thread = self._scene.edit(guild).threads.pop(id)
            return happened("THREAD_DELETE", guild, {key: thread[key] for key in ("id", "parent_id", "type")})

        return delete

    def join_thread(self, guild: Guild) -> WorldEvent | None:
        if not guild.threads:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.threads))
        user = guild.members.pick(self._draw)
        user_id = str(self._users.id(user))
        if user_id in guild.threads[id]["member_ids_preview"]:
            return None
        preview = [*guild.threads[id]["member_ids_preview"], user_id]
        guild.threads[id] = guild.threads[id] | {"member_count": len(preview), "member_ids_preview": preview}
        joined = {
            "id": id,
            "user_id": user_id,
            "join_timestamp": self._draw.timestamp(),
            "flags": 0,
            "member": guild.member(user),
            "presence": None if guild.status(user) == "offline" else guild.presence(user),
        }
        return happened(
            "THREAD_MEMBERS_UPDATE",
            guild,
            {"id": id, "member_count": min(len(preview), 50), "added_members": [joined]},
        )

    # -- roles -----------------------------------------------------------------------------------------------------

    def create_role(self, guild: Guild) -> WorldEvent | None:
        if len(guild.roles) >= _MOST:
            return None
        guild = self._scene.edit(guild)
        role = self._draw.role(self._draw.snowflake())
        guild.roles[role["id"]] = role
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
        """Members and overwrites lose it without a word of their own."""
        roles = guild.assignable_roles()
        if not roles:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(roles)
        del guild.roles[id]
        for channel, payload in guild.channels.items():
            left = [overwrite for overwrite in payload["permission_overwrites"] if overwrite["id"] != id]
            guild.channels[channel] = payload | {"permission_overwrites": left}
        return happened("GUILD_ROLE_DELETE", guild, {"role_id": id})

    # -- expressions -----------------------------------------------------------------------------------------------

    def _replace(self, held: dict[str, Payload], made: Payload) -> None:
        """One more, or one less."""
        if held and (len(held) >= _MOST or self._draw.random() < 0.5):
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
        if len(guild.sounds) >= _MOST:
            return None
        guild = self._scene.edit(guild)
        made = sound(self._draw, guild.id)
        guild.sounds[made["sound_id"]] = made
        return happened("GUILD_SOUNDBOARD_SOUND_CREATE", guild, made)

    def delete_sound(self, guild: Guild) -> WorldEvent | None:
        if not guild.sounds:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.sounds))
        del guild.sounds[id]
        return happened("GUILD_SOUNDBOARD_SOUND_DELETE", guild, {"sound_id": id})

    # -- invites ---------------------------------------------------------------------------------------------------

    def create_invite(self, guild: Guild) -> WorldEvent | None:
        if len(guild.invites) >= _MOST:
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
        if not channels or len(guild.scheduled) >= _MOST:
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
        return happened("GUILD_SCHEDULED_EVENT_DELETE", guild, gone)

    def subscribe(self, guild: Guild) -> WorldEvent | None:
        return self._subscribed(guild, "GUILD_SCHEDULED_EVENT_USER_ADD", 1)

    def unsubscribe(self, guild: Guild) -> WorldEvent | None:
        return self._subscribed(guild, "GUILD_SCHEDULED_EVENT_USER_REMOVE", -1)

    def _subscribed(self, guild: Guild, name: str, by: int) -> WorldEvent | None:
        found = [id for id, event in guild.scheduled.items() if event["user_count"] + by >= 0]
        if not found:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(found)
        guild.scheduled[id] = guild.scheduled[id] | {"user_count": guild.scheduled[id]["user_count"] + by}
        user_id = str(self._users.id(guild.members.pick(self._draw)))
        return happened(name, guild, {"guild_scheduled_event_id": id, "user_id": user_id})
