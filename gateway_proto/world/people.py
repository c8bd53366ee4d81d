"""Members, bans, presences and voice."""

from functools import partial
from typing import Final

from .guild import STAGE, VOICE, Guild
from .scene import Maker, Scene, WorldEvent, happened
from .shapes import STATUSES, Payload
from .users import BOT
from .values import EMOJI

_BAN: Final = 22
_UNBAN: Final = 23
"""Actions of the audit log."""


class People:
    """Makers by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._presences = scene.guilds.presences
        self.makers: dict[str, Maker] = {
            "GUILD_MEMBER_ADD": self.join,
            "GUILD_MEMBER_UPDATE": self.update,
            "GUILD_MEMBER_REMOVE": self.leave,
            "GUILD_BAN_ADD": self.ban,
            "GUILD_BAN_REMOVE": self.unban,
            "PRESENCE_UPDATE": self.presence,
            "VOICE_STATE_UPDATE": self.voice,
            "VOICE_CHANNEL_STATUS_UPDATE": self.voice_status,
            "VOICE_CHANNEL_EFFECT_SEND": self.effect,
        }

    # -- members ---------------------------------------------------------------------------------------------------

    def join(self, guild: Guild) -> WorldEvent | None:
        guild = self._scene.edit(guild)
        user = guild.members.newcomer()
        if user is None:
            return None
        guild.members.add(user, {"roles": [], "joined_at": self._draw.timestamp(), "nick": None, "premium_since": None})
        self._scene.guilds.came(user, guild.id)
        if guild.status(user) != "offline":
            # Nobody there has been told yet that somebody new is online.
            self._presences.hide(guild.id, user)
            self._scene.follow_anywhere(partial(self._appear, guild.id, user))
        return happened("GUILD_MEMBER_ADD", guild, guild.member(user))

    def _appear(self, guild_id: int, user: int) -> WorldEvent | None:
        """The guild is told what the user shows, unless it knows or the user has left. It need not be made for it."""
        return self._shown(guild_id, user) if self._presences.tell(guild_id, user) else None

    def _shown(self, guild_id: int, user: int) -> WorldEvent:
        # Joined and not encoded: it is JSON already, and the same for each guild that is told.
        presence = self._presences.raw(guild_id, user)
        return WorldEvent("PRESENCE_UPDATE", guild_id, b'%b,"guild_id":"%d"}' % (presence[:-1], guild_id))

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
        return self._scene.begin(
            guild,
            lambda guild: self._leave_voice(guild, user),
            lambda guild: self._left(guild, user),
        )

    def ban(self, guild: Guild) -> WorldEvent | None:
        """GUILD_BAN_ADD; the audit log's entry and GUILD_MEMBER_REMOVE follow."""
        user = self._leaver(guild)
        if user is None:
            return None
        guild = self._scene.edit(guild)
        guild.bans[user] = None
        self._scene.log(guild, _BAN, str(self._users.id(user)))
        self._scene.follow(
            guild,
            lambda guild: self._leave_voice(guild, user),
            lambda guild: self._left(guild, user),
        )
        return happened("GUILD_BAN_ADD", guild, {"user": self._users.raw(user)})

    def unban(self, guild: Guild) -> WorldEvent | None:
        if not guild.bans:
            return None
        user = self._draw.pick(list(guild.bans))
        del self._scene.edit(guild).bans[user]
        self._scene.log(guild, _UNBAN, str(self._users.id(user)))
        return happened("GUILD_BAN_REMOVE", guild, {"user": self._users.raw(user)})

    def _leaver(self, guild: Guild) -> int | None:
        user = guild.members.pick(self._draw)
        return None if user == guild.members.owner else user

    def _left(self, guild: Guild, user: int) -> WorldEvent | None:
        if user not in guild.members:
            return None
        guild = self._scene.edit(guild)
        guild.members.remove(user)
        self._scene.guilds.left(user, guild.id)
        self._presences.tell(guild.id, user)
        guild.voice.pop(user, None)
        return happened("GUILD_MEMBER_REMOVE", guild, {"user": self._users.raw(user)})

    # -- presences and voice ---------------------------------------------------------------------------------------

    def presence(self, guild: Guild) -> WorldEvent:
        """Somebody shows something else; each other guild that they share with the bot is told next."""
        user = guild.members.pick(self._draw)
        guilds = self._scene.guilds
        elsewhere = [id for id in guilds.of_user(user) if id != guild.id and guilds.is_available(id)]
        self._presences.change(user, self._draw.often(STATUSES), elsewhere)
        self._presences.tell(guild.id, user)
        for guild_id in elsewhere:
            self._scene.follow_anywhere(partial(self._appear, guild_id, user))
        return self._shown(guild.id, user)

    def voice(self, guild: Guild) -> WorldEvent | None:
        """Somebody joins, moves, leaves, or switches the microphone."""
        guild = self._scene.edit(guild)
        channels = guild.channels_of(VOICE, STAGE)
        there = [user for user in guild.voice if user != BOT]
        if there and self._draw.random() < 0.6:
            user = self._draw.pick(there)
            if self._draw.random() < 0.5:
                return self._leave_voice(guild, user)
            if channels and self._draw.random() < 0.3:
                return self._enter(guild, user, self._draw.pick(channels))
            state = guild.voice[user]
            guild.voice[user] = state | {"self_mute": not state["self_mute"]}
            return happened("VOICE_STATE_UPDATE", guild, guild.voice_state(user))
        if not channels:
            return None
        return self._enter(guild, guild.members.pick(self._draw), self._draw.often(channels))

    def move_bot(self, guild: Guild, channel: str | None, *, mute: bool, deaf: bool) -> WorldEvent | None:
        """The bot joins, moves or leaves; None if it leaves where it was not."""
        if channel is None:
            return self._leave_voice(guild, BOT)
        return self._enter(self._scene.edit(guild), BOT, channel, self_mute=mute, self_deaf=deaf)

    def _enter(self, guild: Guild, user: int, channel: str, **more: bool) -> WorldEvent:
        """Into this channel, from wherever it was; the guild is told where it was busy from then on."""
        new = guild.new_voice_state(self._draw, user, channel)
        before = guild.voice.get(user)
        if before is not None:
            self._scene.follow(guild, self._busy(before["channel_id"]))
            new = before | {"channel_id": channel, "suppress": new["suppress"]}
        guild.voice[user] = new | more
        self._scene.follow(guild, self._busy(channel))
        return happened("VOICE_STATE_UPDATE", guild, guild.voice_state(user))

    def _busy(self, channel: str) -> Maker:
        """VOICE_CHANNEL_START_TIME_UPDATE, if a voice channel filled or emptied."""

        def tell(guild: Guild) -> WorldEvent | None:
            is_busy = channel in guild.busy_channels()
            if channel not in guild.channels or is_busy == (channel in guild.voice_since):
                return None
            guild = self._scene.edit(guild)
            since = self._draw.now // 1000 if is_busy else None
            if since is None:
                del guild.voice_since[channel]
            else:
                guild.voice_since[channel] = since
            return happened("VOICE_CHANNEL_START_TIME_UPDATE", guild, {"id": channel, "voice_start_time": since})

        return tell

    def effect(self, guild: Guild) -> WorldEvent | None:
        """Somebody in the bot's voice channel sends an emoji, or plays a sound with one; it sees those of no other."""
        bot = guild.voice.get(BOT)
        if bot is None:
            return None
        there = [user for user, state in guild.voice.items() if state["channel_id"] == bot["channel_id"]]
        user = self._draw.pick([user for user in there if user != BOT] or there)
        sent: Payload = {
            "channel_id": bot["channel_id"],
            "user_id": str(self._users.id(user)),
            "emoji": {"name": self._draw.pick(EMOJI), "id": None, "animated": False},
            "animation_type": 1,
            "animation_id": int(self._draw.random() * 21),
        }
        if guild.sounds and self._draw.random() < 0.5:
            sound = self._draw.pick(list(guild.sounds.values()))
            sent |= {"sound_id": sound["sound_id"], "sound_volume": sound["volume"]}
        return happened("VOICE_CHANNEL_EFFECT_SEND", guild, sent)

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
        self._scene.follow(guild, self._busy(guild.voice[user]["channel_id"]))
        del guild.voice[user]
        return happened("VOICE_STATE_UPDATE", guild, state)
