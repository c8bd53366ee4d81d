"""Threads, who is in them, and the bot's own part in them."""

from typing import Final

from .guild import TEXT, Guild
from .scene import MOST, Maker, Scene, WorldEvent, happened
from .shapes import Payload
from .users import BOT

_COUNTED: Final = 50
"""Where `member_count` stops (Discord: Channels Resource > Channel Structure)."""

_OWN: Final = 0.1
"""Of those who join and leave, the share that is the bot."""


class Threads:
    """Makers by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self.makers: dict[str, Maker] = {
            "THREAD_CREATE": self.create,
            "THREAD_UPDATE": self.update,
            "THREAD_DELETE": self.delete,
            "THREAD_LIST_SYNC": self.sync,
            "THREAD_MEMBER_UPDATE": self.change_own,
            "THREAD_MEMBERS_UPDATE": self.join_or_leave,
        }

    def create(self, guild: Guild) -> WorldEvent | None:
        if len(guild.threads) >= MOST:
            return self.delete(guild)
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

    def update(self, guild: Guild) -> WorldEvent | None:
        if not guild.threads:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.threads))
        guild.threads[id] = guild.threads[id] | {"name": self._draw.text(7)[:100]}
        return happened("THREAD_UPDATE", guild, guild.threads[id])

    def delete(self, guild: Guild) -> WorldEvent | None:
        return self._deleting(self._draw.pick(list(guild.threads)))(guild) if guild.threads else None

    def ending(self, guild: Guild, channel: str) -> list[Maker]:
        """The threads of a channel go, one after the other."""
        return [self._deleting(id) for id, thread in guild.threads.items() if thread["parent_id"] == channel]

    def _deleting(self, id: str) -> Maker:
        def delete(guild: Guild) -> WorldEvent | None:
            if id not in guild.threads:
                return None
            thread = self._scene.edit(guild).threads.pop(id)
            return happened("THREAD_DELETE", guild, {key: thread[key] for key in ("id", "parent_id", "type")})

        return delete

    def sync(self, guild: Guild) -> WorldEvent | None:
        """The bot may view a channel (again) that has threads: these, and itself in those that it has joined."""
        if not guild.threads:
            return None
        channel = self._draw.pick(list(guild.threads.values()))["parent_id"]
        threads = [thread for thread in guild.threads.values() if thread["parent_id"] == channel]
        members = [thread["member"] for thread in threads if "member" in thread]
        return happened("THREAD_LIST_SYNC", guild, {"channel_ids": [channel], "threads": threads, "members": members})

    # -- members ---------------------------------------------------------------------------------------------------

    def join_or_leave(self, guild: Guild) -> WorldEvent | None:
        if not guild.threads:
            return None
        id = self._draw.pick(list(guild.threads))
        user = BOT if self._draw.random() < _OWN else guild.members.pick(self._draw)
        if str(self._users.id(user)) in guild.threads[id]["member_ids_preview"]:
            return self._leave(guild, id, user)
        return self._join(guild, id, user)

    def change_own(self, guild: Guild) -> WorldEvent | None:
        """The bot is notified of less or more in a thread; first it joins one."""
        joined = [id for id, thread in guild.threads.items() if "member" in thread]
        if not joined:
            others = list(guild.threads)
            return self._join(guild, self._draw.pick(others), BOT) if others else None
        guild = self._scene.edit(guild)
        thread = guild.threads[self._draw.pick(joined)]
        member = thread["member"] | {"flags": self._draw.pick((1, 2, 4, 8))}
        guild.threads[thread["id"]] = thread | {"member": member}
        return happened("THREAD_MEMBER_UPDATE", guild, member)

    def _join(self, guild: Guild, id: str, user: int) -> WorldEvent:
        guild = self._scene.edit(guild)
        user_id = str(self._users.id(user))
        member = {"id": id, "user_id": user_id, "join_timestamp": self._draw.timestamp(), "flags": 0}
        thread = self._count(guild.threads[id], [*guild.threads[id]["member_ids_preview"], user_id])
        guild.threads[id] = thread | {"member": member} if user == BOT else thread
        shown = user != BOT and guild.status(user) != "offline"
        joined = member | {"member": guild.member(user), "presence": guild.presence(user) if shown else None}
        return self._told(guild, id, {"added_members": [joined]}, is_own=user == BOT)

    def _leave(self, guild: Guild, id: str, user: int) -> WorldEvent:
        guild = self._scene.edit(guild)
        user_id = str(self._users.id(user))
        left = [other for other in guild.threads[id]["member_ids_preview"] if other != user_id]
        guild.threads[id] = self._count(guild.threads[id], left)
        if user == BOT:
            del guild.threads[id]["member"]
        return self._told(guild, id, {"removed_member_ids": [user_id]}, is_own=user == BOT)

    @staticmethod
    def _count(thread: Payload, members: list[str]) -> Payload:
        return thread | {"member_count": min(len(members), _COUNTED), "member_ids_preview": members}

    @staticmethod
    def _told(guild: Guild, id: str, change: Payload, *, is_own: bool) -> WorldEvent:
        head = {"id": id, "member_count": guild.threads[id]["member_count"]}
        return happened("THREAD_MEMBERS_UPDATE", guild, head | change, is_own=is_own)
