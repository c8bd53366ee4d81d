"""Members, bans, presences and voice."""

from typing import Final

from .guild import VOICE, Guild
from .scene import Maker, Scene, WorldEvent, happened
from .shapes import STATUSES, Payload
from .users import BOT

_BAN: Final = 22
"""MEMBER_BAN_ADD (Discord: Audit Log Resource > Audit Log Events)."""


class People:
    """Makers by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self.makers: dict[str, Maker] = {
            "GUILD_MEMBER_ADD": self.join,
            "GUILD_MEMBER_UPDATE": self.update,
            "GUILD_MEMBER_REMOVE": self.leave,
            "GUILD_BAN_ADD": self.ban,
            "GUILD_BAN_REMOVE": self.unban,
            "PRESENCE_UPDATE": self.presence,
            "VOICE_STATE_UPDATE": self.voice,
            "VOICE_CHANNEL_STATUS_UPDATE": self.voice_status,
        }

    # -- members ---------------------------------------------------------------------------------------------------

    def join(self, guild: Guild) -> WorldEvent | None:
        guild = self._scene.edit(guild)
        user = guild.members.newcomer()
        if user is None:
            return None
        guild.members.add(user, {"roles": [], "joined_at": self._draw.timestamp(), "nick": None, "premium_since": None})
        # Nobody has been told yet that somebody new is online.
        guild.presences[user] = self._draw.presence(str(self._users.id(user)), "offline")
        if self._users.status(user) != "offline":
            self._scene.follow(guild, lambda guild: self._appear(guild, user))
        return happened("GUILD_MEMBER_ADD", guild, guild.member(user))

    def _appear(self, guild: Guild, user: int) -> WorldEvent | None:
        if user not in guild.members:
            return None
        guild = self._scene.edit(guild)
        guild.presences.pop(user, None)
        return happened("PRESENCE_UPDATE", guild, guild.presence(user))

    def update(self, guild: Guild) -> WorldEvent:
        """Another nick, or other roles; of the bot another nick."""
        guild = self._scene.edit(guild)
        user = self._scene.somebody(guild)
        roles = guild.assignable_roles()
        if user != BOT and roles and self._draw.random() < 0.7:
            count = self._draw.rng.randrange(1 + min(4, len(roles)))
            changes: Payload = {"roles": self._draw.rng.sample(roles, k=count)}
        else:
            changes = {"nick": self._draw.name() if self._draw.random() < 0.8 else None}
        guild.members.change(user, changes)
        return happened("GUILD_MEMBER_UPDATE", guild, guild.member(user), is_own=user == BOT)

    def leave(self, guild: Guild) -> WorldEvent | None:
        user = self._leaver(guild)
        if user is None:
            return None
        self._scene.follow(guild, lambda guild: self._left(guild, user))
        return self._leave_voice(guild, user) or self._scene.next_following()

    def ban(self, guild: Guild) -> WorldEvent | None:
        """GUILD_BAN_ADD; the audit log's entry and GUILD_MEMBER_REMOVE follow."""
        user = self._leaver(guild)
        if user is None:
            return None
        guild = self._scene.edit(guild)
        guild.bans[user] = None
        entry = {
            "id": self._draw.snowflake(),
            "user_id": str(self._users.id(guild.members.owner)),
            "target_id": str(self._users.id(user)),
            "action_type": _BAN,
        }
        self._scene.follow(
            guild,
            lambda guild: happened("GUILD_AUDIT_LOG_ENTRY_CREATE", guild, entry),
            lambda guild: self._leave_voice(guild, user),
            lambda guild: self._left(guild, user),
        )
        return happened("GUILD_BAN_ADD", guild, {"user": self._users.raw(user)})

    def unban(self, guild: Guild) -> WorldEvent | None:
        if not guild.bans:
            return None
        user = self._draw.pick(list(guild.bans))
        del self._scene.edit(guild).bans[user]
        return happened("GUILD_BAN_REMOVE", guild, {"user": self._users.raw(user)})

    def _leaver(self, guild: Guild) -> int | None:
        user = guild.members.pick(self._draw)
        return None if user == guild.members.owner else user

    def _left(self, guild: Guild, user: int) -> WorldEvent | None:
        if user not in guild.members:
            return None
        guild = self._scene.edit(guild)
        guild.members.remove(user)
        guild.presences.pop(user, None)
        guild.voice.pop(user, None)
        return happened("GUILD_MEMBER_REMOVE", guild, {"user": self._users.raw(user)})

    # -- presences and voice ---------------------------------------------------------------------------------------

    def presence(self, guild: Guild) -> WorldEvent:
        guild = self._scene.edit(guild)
        user = guild.members.pick(self._draw)
        presence = self._draw.presence(str(self._users.id(user)), self._draw.often(STATUSES))
        guild.presences[user] = presence
        return happened("PRESENCE_UPDATE", guild, presence)

    def voice(self, guild: Guild) -> WorldEvent | None:
        """Somebody joins, moves, leaves, or switches the microphone."""
        guild = self._scene.edit(guild)
        channels = guild.channels_of(VOICE)
        there = [user for user in guild.voice if user != BOT]
        if there and self._draw.random() < 0.6:
            user = self._draw.pick(there)
            if self._draw.random() < 0.5:
                return self._leave_voice(guild, user)
            state = guild.voice[user]
            changes: Payload = {"self_mute": not state["self_mute"]}
            if channels and self._draw.random() < 0.3:
                changes = {"channel_id": self._draw.pick(channels)}
            guild.voice[user] = state | changes
        elif channels:
            user = guild.members.pick(self._draw)
            guild.voice[user] = guild.new_voice_state(self._draw, user, self._draw.often(channels))
        else:
            return None
        return happened("VOICE_STATE_UPDATE", guild, guild.voice_state(user))

    def move_bot(self, guild: Guild, channel: str | None, *, mute: bool, deaf: bool) -> WorldEvent | None:
        """The bot joins, moves or leaves; None if it leaves where it was not."""
        if channel is None:
            return self._leave_voice(guild, BOT)
        guild = self._scene.edit(guild)
        state = guild.voice.get(BOT) or guild.new_voice_state(self._draw, BOT, channel)
        guild.voice[BOT] = state | {"channel_id": channel, "self_mute": mute, "self_deaf": deaf}
        return happened("VOICE_STATE_UPDATE", guild, guild.voice_state(BOT))

    def empty(self, guild: Guild, channel: str) -> list[Maker]:
        """Everybody leaves a voice channel, one after the other."""

        def leave(user: int) -> Maker:
            return lambda guild: self._leave_voice(guild, user)

        return [leave(user) for user, state in guild.voice.items() if state["channel_id"] == channel]

    def voice_status(self, guild: Guild) -> WorldEvent | None:
        guild = self._scene.edit(guild)
        channels = guild.channels_of(VOICE)
        if not channels:
            return None
        channel = self._draw.pick(channels)
        status = self._draw.text(6) if self._draw.random() < 0.7 else None
        if status is None:
            guild.statuses.pop(channel, None)
        else:
            guild.statuses[channel] = status
        return happened("VOICE_CHANNEL_STATUS_UPDATE", guild, {"id": channel, "status": status})

    def _leave_voice(self, guild: Guild, user: int) -> WorldEvent | None:
        if user not in guild.voice:
            return None
        guild = self._scene.edit(guild)
        state = guild.voice_state(user) | {"channel_id": None}
        del guild.voice[user]
        return happened("VOICE_STATE_UPDATE", guild, state)
