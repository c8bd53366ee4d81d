"""A client that believes what it is told of guilds, to compare with the world itself; and servers with a world."""

from typing import Any

import msgspec

from gateway_proto.events.catalogue import DISPATCH_TYPES
from gateway_proto.intents import Intents
from gateway_proto.server import ServerConfig, WorldConfig

from .server_helpers import Client, Rig

URL = "ws://localhost"
ALL = int(Intents.all())
STRICT: dict[str, Any] = {
    name: msgspec.json.Decoder(kind, strict=False).decode for name, kind in DISPATCH_TYPES.items()
}
"""As `Dispatch.data` decodes what fits; a misfit raises here, where that would go the slow way."""


def world_rig(*, seed: int = 3, guilds: Any = 4, members: int = 12, **changes: Any) -> Rig:
    """A server whose gates are open and whose world is small; `config` has changes of the ServerConfig."""
    settings = {"resume_url": URL, "identify_period": 0.0, **changes.pop("config", {})}
    world = WorldConfig(seed=seed, guilds=guilds, members=members, **changes)
    return Rig(ServerConfig(world=world, **settings))


def shard_client(rig: Rig, *, intents: int = ALL, shard: tuple[int, int] | None = None, **changes: Any) -> Client:
    """A client that has its READY and its guilds."""
    client = rig.client()
    client.identify(intents=intents, shard=... if shard is None else list(shard), **changes)
    assert client.events()[0] == "READY"
    return client


def play(rig: Rig, count: int = 1) -> list[str]:
    """Let things happen, and tell them. Returns what did."""
    assert rig.server.world is not None
    names = []
    for _ in range(count):
        event = rig.server.world.next_event()
        names.append(event.name)
        rig.run(rig.server.dispatch_world(event, rig.now))
    return names


def bodies(client: Client, name: str) -> list[Any]:
    return [received["d"] for received in client.received if received["op"] == 0 and received["t"] == name]


class Cache:
    """What a bot's cache holds by the events alone: per guild its names, roles, channels, members, voice."""

    def __init__(self, bot: int) -> None:
        self.bot: str = str(bot)
        self.guilds: dict[str, Any] = {}
        self.unavailable: set[str] = set()

    def receive(self, name: str, d: Any) -> None:
        match name:
            case "READY":
                self.unavailable = {guild["id"] for guild in d["guilds"]}
            case "GUILD_CREATE":
                self.unavailable.discard(d["id"])
                self.guilds[d["id"]] = summary(d)
            case "GUILD_DELETE":
                self.guilds.pop(d["id"], None)
                if d.get("unavailable"):
                    self.unavailable.add(d["id"])
            case "GUILD_UPDATE":
                self.guilds[d["id"]]["name"] = d["name"]
            case _ if "guild_id" in d and d["guild_id"] in self.guilds:
                self._changed(name, d, self.guilds[d["guild_id"]])

    def _changed(self, name: str, d: Any, guild: Any) -> None:
        match name:
            case "CHANNEL_CREATE" | "CHANNEL_UPDATE":
                guild["channels"][d["id"]] = d["name"]
            case "CHANNEL_DELETE":
                del guild["channels"][d["id"]]
            case "THREAD_CREATE" | "THREAD_UPDATE":
                guild["threads"][d["id"]] = thread_entry(d)
            case "THREAD_MEMBERS_UPDATE" | "THREAD_MEMBER_UPDATE":
                self._joined(d, guild["threads"])
            case "THREAD_LIST_SYNC":
                for thread in d["threads"]:
                    assert guild["threads"][thread["id"]] == thread_entry(thread)
            case "THREAD_DELETE":
                del guild["threads"][d["id"]]
            case "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE":
                guild["roles"][d["role"]["id"]] = d["role"]["name"]
            case "GUILD_ROLE_DELETE":
                del guild["roles"][d["role_id"]]
                for member in guild["members"].values():
                    member[1].discard(d["role_id"])
            case "GUILD_MEMBER_ADD":
                assert d["user"]["id"] not in guild["members"]
                guild["members"][d["user"]["id"]] = member_summary(d)
            case "GUILD_MEMBER_UPDATE":
                assert d["user"]["id"] in guild["members"]
                guild["members"][d["user"]["id"]] = member_summary(d)
            case "GUILD_MEMBER_REMOVE":
                del guild["members"][d["user"]["id"]]
                guild["presences"].pop(d["user"]["id"], None)
            case "VOICE_STATE_UPDATE":
                guild["voice"].pop(d["user_id"], None)
                if d["channel_id"] is not None:
                    guild["voice"][d["user_id"]] = d["channel_id"]
            case "PRESENCE_UPDATE":
                guild["presences"][d["user"]["id"]] = d["status"]
            case "GUILD_EMOJIS_UPDATE":
                guild["emojis"] = {emoji["id"] for emoji in d["emojis"]}
            case "GUILD_STICKERS_UPDATE":
                guild["stickers"] = {sticker["id"] for sticker in d["stickers"]}
            case _:
                self._listed(name, d, guild)

    def _listed(self, name: str, d: Any, guild: Any) -> None:
        match name:
            case "GUILD_SOUNDBOARD_SOUND_CREATE" | "GUILD_SOUNDBOARD_SOUND_UPDATE":
                guild["sounds"][d["sound_id"]] = d["name"]
            case "GUILD_SOUNDBOARD_SOUNDS_UPDATE":
                assert guild["sounds"] == {sound["sound_id"]: sound["name"] for sound in d["soundboard_sounds"]}
            case "GUILD_SOUNDBOARD_SOUND_DELETE":
                del guild["sounds"][d["sound_id"]]
            case "GUILD_SCHEDULED_EVENT_CREATE" | "GUILD_SCHEDULED_EVENT_UPDATE":
                guild["scheduled"][d["id"]] = (d["name"], d["status"], d["user_count"])
            case "GUILD_SCHEDULED_EVENT_DELETE":
                del guild["scheduled"][d["id"]]
            case "GUILD_SCHEDULED_EVENT_USER_ADD" | "GUILD_SCHEDULED_EVENT_USER_REMOVE":
                title, status, count = guild["scheduled"][d["guild_scheduled_event_id"]]
                count += 1 if name.endswith("ADD") else -1
                guild["scheduled"][d["guild_scheduled_event_id"]] = (title, status, count)
            case _:
                self._staged(name, d, guild)

    def _staged(self, name: str, d: Any, guild: Any) -> None:
        match name:
            case "STAGE_INSTANCE_CREATE" | "STAGE_INSTANCE_UPDATE":
                guild["stages"][d["id"]] = d["channel_id"], d["topic"]
            case "STAGE_INSTANCE_DELETE":
                del guild["stages"][d["id"]]

    def _joined(self, d: Any, threads: Any) -> None:
        """Who is in a thread; of the bot its flags as well."""
        name, count, own = threads[d["id"]]
        if "member_count" in d:
            count = d["member_count"]
        for member in (d, *d.get("added_members", ())):
            if member.get("user_id") == self.bot:
                own = member["flags"]
        if self.bot in d.get("removed_member_ids", ()):
            own = None
        threads[d["id"]] = name, count, own


def thread_entry(thread: Any) -> tuple[str, int, int | None]:
    return thread["name"], thread["member_count"], thread["member"]["flags"] if "member" in thread else None


def member_summary(member: Any) -> tuple[str | None, set[str]]:
    return member["nick"], set(member["roles"])


def summary(guild: Any) -> dict[str, Any]:
    """What a cache keeps of a GUILD_CREATE."""
    return {
        "name": guild["name"],
        "channels": {channel["id"]: channel["name"] for channel in guild["channels"]},
        "threads": {thread["id"]: thread_entry(thread) for thread in guild["threads"]},
        "roles": {role["id"]: role["name"] for role in guild["roles"]},
        "members": {member["user"]["id"]: member_summary(member) for member in guild["members"]},
        "voice": {state["user_id"]: state["channel_id"] for state in guild["voice_states"]},
        "presences": {presence["user"]["id"]: presence["status"] for presence in guild["presences"]},
        "emojis": {emoji["id"] for emoji in guild["emojis"]},
        "stickers": {sticker["id"] for sticker in guild["stickers"]},
        "sounds": {sound["sound_id"]: sound["name"] for sound in guild["soundboard_sounds"]},
        "stages": {stage["id"]: (stage["channel_id"], stage["topic"]) for stage in guild["stage_instances"]},
        "scheduled": {
            event["id"]: (event["name"], event["status"], event["user_count"])
            for event in guild["guild_scheduled_events"]
        },
    }


def decode(raw: bytes) -> Any:
    return msgspec.json.decode(raw)
