"""Every event that Discord has happens in a world, and says what is so in it."""

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from gateway_proto.event_intents import EVENT_INTENTS
from gateway_proto.events import DISPATCH_TYPES
from gateway_proto.intents import Intents
from gateway_proto.server import ServerConfig
from gateway_proto.world import SHARES, GuildWorld, WorldEvent

from .test_world import BOT, made, rest
from .world_helpers import STRICT, bodies, decode, play, shard_client, world_rig

NOT_HAPPENING = {
    "READY",
    "RESUMED",
    # Answers to what a session asks.
    "RATE_LIMITED",
    "GUILD_MEMBERS_CHUNK",
    "SOUNDBOARD_SOUNDS",
    "CHANNEL_INFO",
    "VOICE_SERVER_UPDATE",
}
FOLLOWING = {"GUILD_AUDIT_LOG_ENTRY_CREATE", "GUILD_INTEGRATIONS_UPDATE", "VOICE_CHANNEL_START_TIME_UPDATE"}
OUTAGE = {"GUILD_CREATE", "GUILD_DELETE"}
DIRECT = {
    "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
    "MESSAGE_POLL_VOTE_ADD", "MESSAGE_POLL_VOTE_REMOVE", "CHANNEL_PINS_UPDATE", "TYPING_START", "INTERACTION_CREATE",
    "ENTITLEMENT_CREATE", "ENTITLEMENT_UPDATE", "ENTITLEMENT_DELETE", "SUBSCRIPTION_CREATE", "SUBSCRIPTION_UPDATE",
    "SUBSCRIPTION_DELETE", "USER_UPDATE",
}  # fmt: skip
"""What is of no guild, sometimes or always."""


def before(name: str) -> list[str]:
    """What must have happened, that this can."""
    match name:
        case "GUILD_AUDIT_LOG_ENTRY_CREATE":
            return ["CHANNEL_CREATE"]
        case "GUILD_INTEGRATIONS_UPDATE":
            return ["INTEGRATION_CREATE"]
        case "VOICE_CHANNEL_START_TIME_UPDATE" | "VOICE_CHANNEL_EFFECT_SEND":
            return ["VOICE_STATE_UPDATE"]
        case "GUILD_SCHEDULED_EVENT_USER_ADD" | "GUILD_SCHEDULED_EVENT_USER_REMOVE":
            return ["GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_USER_ADD"]
        case "MESSAGE_REACTION_REMOVE_ALL" | "MESSAGE_REACTION_REMOVE_EMOJI":
            return ["MESSAGE_CREATE", "MESSAGE_REACTION_ADD"]
        case "THREAD_LIST_SYNC" | "THREAD_MEMBER_UPDATE" | "THREAD_MEMBERS_UPDATE":
            return ["THREAD_CREATE"]
    stem = name.rpartition("_")[0]
    return [other for other in SHARES if other in (f"{stem}_CREATE", f"{stem}_ADD", "MESSAGE_CREATE")]


def bot_in_voice(world: GuildWorld) -> int:
    """In the busiest guild: VOICE_CHANNEL_EFFECT_SEND comes only from where the bot is."""
    guild_id = world.guild_ids[0]
    assert world.move_bot(guild_id, int(world.look(guild_id).channels_of(2)[0]), mute=True, deaf=True)
    return guild_id


def happening(world: GuildWorld, name: str, guild_id: int) -> list[WorldEvent]:
    """That, if it can, and all that follows."""
    event = world.happen(name, guild_id)
    return [] if event is None else [event, *rest(world)]


def test_a_long_stream_has_every_event_and_each_is_as_documented() -> None:
    """All 79 but those that a session's own doings bring; decoded as their types, with nothing forgiven."""
    world = made(guilds=20, members=30, direct=0.2, outage_rate=0.0005, outage_length=50)
    bot_in_voice(world)
    names: Counter[str] = Counter()
    direct = set()
    for _ in range(50_000):
        event = world.next_event()
        names[event.name] += 1
        assert isinstance(STRICT[event.name](event.data), DISPATCH_TYPES[event.name])
        if event.bare is not None:
            STRICT[event.name](event.bare)
        if event.guild_id is None:
            direct.add(event.name)
    assert names.keys() == DISPATCH_TYPES.keys() - NOT_HAPPENING
    assert names.keys() == SHARES.keys() | FOLLOWING | OUTAGE
    assert direct == DIRECT
    assert min(names.values()) >= 5, names


@pytest.mark.parametrize("name", sorted(DISPATCH_TYPES.keys() - NOT_HAPPENING - {"GUILD_CREATE", "GUILD_DELETE"}))
def test_each_comes_by_its_intents_and_by_no_other(name: str) -> None:
    """To a session with one of them, and to none with all others."""
    needed = EVENT_INTENTS.get(name, Intents.none())
    rig = world_rig(guilds=4, members=20)
    assert rig.server.world is not None
    bot_in_voice(rig.server.world)
    everything = shard_client(rig)
    without = shard_client(rig, intents=int(Intents.all() & ~needed))
    by_each = {intent: shard_client(rig, intents=int(intent)) for intent in needed}
    for _ in range(40):
        for guild_id in rig.server.world.guild_ids:
            for one in (*before(name), *({name} & SHARES.keys())):
                for told in happening(rig.server.world, one, guild_id):
                    rig.run(rig.server.dispatch_world(told, rig.now))
    seen = bodies(everything, name)
    assert seen
    own = name == "GUILD_MEMBER_UPDATE"
    assert [d for d in bodies(without, name) if not own] == (seen if not needed else [])
    if needed and name != "THREAD_MEMBERS_UPDATE":
        assert sum(len(bodies(client, name)) for client in by_each.values()) == len(seen)


# -- stages --------------------------------------------------------------------------------------------------------


def test_a_stage_is_live_in_a_stage_channel_and_in_guild_create() -> None:
    world = made(guilds=12)
    begun = 0
    for guild_id in world.guild_ids:
        for _ in range(6):
            before = world.look(guild_id).stages.copy()
            for event in happening(world, "STAGE_INSTANCE_CREATE", guild_id):
                stage = decode(event.data)
                assert stage["channel_id"] in world.look(guild_id).channels_of(13)
                assert stage["channel_id"] not in {one["channel_id"] for one in before.values()}
                assert decode(world.guild_create(guild_id, Intents.GUILDS))["stage_instances"][-1] == stage
                begun += 1
            for event in happening(world, "STAGE_INSTANCE_UPDATE", guild_id):
                stage = decode(event.data)
                assert stage in decode(world.guild_create(guild_id))["stage_instances"]
        for _ in range(6):
            for event in happening(world, "STAGE_INSTANCE_DELETE", guild_id):
                assert decode(event.data)["id"] not in world.look(guild_id).stages
        assert decode(world.guild_create(guild_id))["stage_instances"] == []
    assert begun > 2


def test_a_stage_channel_is_deleted_after_what_is_live_in_it_and_who_is_there() -> None:
    world = made(guilds=10, members=30, shares={"VOICE_STATE_UPDATE": 1.0})
    for _ in range(300):
        world.next_event()
    rest(world)
    ended = 0
    for guild_id in world.guild_ids:
        happening(world, "STAGE_INSTANCE_CREATE", guild_id)
        for _ in range(30):
            told = happening(world, "CHANNEL_DELETE", guild_id)
            names = [event.name for event in told]
            if "STAGE_INSTANCE_DELETE" in names:
                gone = decode(told[-2].data)["id"]
                assert names[0] == "STAGE_INSTANCE_DELETE"
                assert names[-2:] == ["CHANNEL_DELETE", "GUILD_AUDIT_LOG_ENTRY_CREATE"]
                left = [decode(event.data) for event in told if event.name == "VOICE_STATE_UPDATE"]
                assert {state["channel_id"] for state in left} <= {None}
                assert gone not in {state["channel_id"] for state in world.look(guild_id).voice.values()}
                ended += 1
    assert ended > 2


# -- voice ---------------------------------------------------------------------------------------------------------


def test_a_voice_channel_has_a_start_time_while_somebody_is_there() -> None:
    world = made(members=6, shares={"VOICE_STATE_UPDATE": 1.0})
    known: dict[int, dict[str, Any]] = {
        id: {channel["id"]: channel["voice_start_time"] for channel in world.channel_info(id, ["voice_start_time"])}
        for id in world.guild_ids
    }
    filled = emptied = 0
    for _ in range(400):
        for event in (world.next_event(), *rest(world)):
            if event.name == "VOICE_CHANNEL_START_TIME_UPDATE" and event.guild_id is not None:
                d = decode(event.data)
                filled += d["voice_start_time"] is not None
                emptied += d["voice_start_time"] is None
                if d["id"] in known[event.guild_id]:
                    known[event.guild_id][d["id"]] = d["voice_start_time"]
        for guild_id, channels in known.items():
            busy = {state["channel_id"] for state in world.look(guild_id).voice.values()}
            assert {channel for channel, since in channels.items() if since} == busy & channels.keys()
            now = world.channel_info(guild_id, ["voice_start_time"])
            assert {channel["id"]: channel["voice_start_time"] for channel in now} == channels
    assert filled > 20
    assert emptied > 20


def test_effects_come_only_from_the_channel_where_the_bot_is() -> None:
    world = made(guilds=2, members=30, shares={"VOICE_STATE_UPDATE": 1.0})
    assert not happening(world, "VOICE_CHANNEL_EFFECT_SEND", world.guild_ids[1])
    guild_id = bot_in_voice(world)
    senders = set()
    for _ in range(200):
        world.next_event()
        assert not happening(world, "VOICE_CHANNEL_EFFECT_SEND", world.guild_ids[1])
        rest(world)
        [event] = happening(world, "VOICE_CHANNEL_EFFECT_SEND", guild_id)
        d = decode(event.data)
        states = world.look(guild_id).voice
        [state] = [state for state in states.values() if state["user_id"] == d["user_id"]]
        assert state["channel_id"] == d["channel_id"] == states[-1]["channel_id"]
        assert d.get("sound_id") in (None, *world.look(guild_id).sounds)
        senders.add(d["user_id"])
    assert len(senders) > 3


# -- auto moderation -----------------------------------------------------------------------------------------------


def test_a_rule_catches_what_it_forbids() -> None:
    """One event for each of its actions, the alert after the message that it posts; and nothing of who is exempt."""
    world = made(guilds=3, members=20)
    alerts = blocks = 0
    for _ in range(150):
        for guild_id in world.guild_ids:
            told = happening(world, "AUTO_MODERATION_ACTION_EXECUTION", guild_id)
            caught = [event for event in told if event.name == "AUTO_MODERATION_ACTION_EXECUTION"]
            rules = world.look(guild_id).rules
            for event in caught:
                d, bare = decode(event.data), decode(event.bare or b"")
                rule = rules[d["rule_id"]]
                assert rule["enabled"]
                assert d["action"] in rule["actions"]
                assert d["matched_keyword"] in rule["trigger_metadata"]["keyword_filter"]
                assert d["matched_content"] in d["content"]
                assert d["channel_id"] not in rule["exempt_channels"]
                [member] = world.members(guild_id, world.members_by_id(guild_id, [int(d["user_id"])])[0])
                assert not set(member["roles"]) & set(rule["exempt_roles"])
                assert (bare["content"], bare["matched_content"], bare["rule_id"]) == ("", "", d["rule_id"])
                assert ("alert_system_message_id" in d) == (d["action"]["type"] == 2)
            if len(caught) == 2:
                alert = next(decode(event.data) for event in told if event.name == "MESSAGE_CREATE")
                executed = decode(caught[1].data)
                assert (alert["id"], alert["type"]) == (executed["alert_system_message_id"], 24)
                assert alert["channel_id"] == executed["action"]["metadata"]["channel_id"]
            entries = [decode(event.data) for event in told if event.name == "GUILD_AUDIT_LOG_ENTRY_CREATE"]
            if caught:
                assert [entry["action_type"] for entry in entries] == [143, 144][: len(caught)]
            alerts += len(caught) == 2
            blocks += len(caught) == 1
            happening(world, "AUTO_MODERATION_RULE_UPDATE", guild_id)
    assert alerts > 10
    assert blocks > 10


def test_a_rule_exempts_what_there_is() -> None:
    world = made(guilds=5, members=10)
    names = ("AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE", "GUILD_ROLE_DELETE", "CHANNEL_DELETE")
    exempt = 0
    for turn in range(160):
        for guild_id in world.guild_ids:
            happening(world, names[turn % 4], guild_id)
            guild = world.look(guild_id)
            assert len(guild.rules) <= 6
            for rule in guild.rules.values():
                assert set(rule["exempt_roles"]) <= guild.roles.keys()
                assert set(rule["exempt_channels"]) <= guild.channels.keys()
                exempt += len(rule["exempt_roles"])
    assert exempt > 20
    for guild_id in world.guild_ids:
        while told := happening(world, "AUTO_MODERATION_RULE_DELETE", guild_id):
            assert decode(told[0].data)["id"] not in world.look(guild_id).rules
            assert decode(told[1].data)["target_id"] == decode(told[0].data)["id"]


@pytest.mark.parametrize(
    ("name", "action", "key"),
    [
        ("CHANNEL_CREATE", 10, "id"),
        ("CHANNEL_DELETE", 12, "id"),
        ("GUILD_ROLE_DELETE", 32, "role_id"),
        ("AUTO_MODERATION_RULE_CREATE", 140, "id"),
        ("AUTO_MODERATION_RULE_DELETE", 142, "id"),
    ],
)
def test_the_audit_log_says_what_was_done(name: str, action: int, key: str) -> None:
    world = made(guilds=3)
    logged = 0
    for guild_id in (*world.guild_ids, *world.guild_ids, *world.guild_ids):
        happening(world, "AUTO_MODERATION_RULE_CREATE", guild_id)
        told = happening(world, name, guild_id)
        for event, entry in pairwise(told):
            if event.name == name:
                d = decode(entry.data)
                assert (entry.name, d["action_type"]) == ("GUILD_AUDIT_LOG_ENTRY_CREATE", action)
                assert d["target_id"] == decode(event.data)[key]
                assert d["user_id"] == str(world.look(guild_id).fields["owner_id"])
                logged += 1
    assert logged > 3


# -- integrations --------------------------------------------------------------------------------------------------


def test_integrations_come_change_and_go_each_with_a_word_for_the_guild() -> None:
    world = made(guilds=2)
    known: dict[int, dict[str, Any]] = {id: {} for id in world.guild_ids}
    kinds = set()
    for turn in range(120):
        for guild_id, mine in known.items():
            name = ("INTEGRATION_CREATE", "INTEGRATION_UPDATE", "INTEGRATION_CREATE", "INTEGRATION_DELETE")[turn % 4]
            told = happening(world, name, guild_id)
            if not told:
                continue
            event, word = told
            assert (word.name, decode(word.data)) == ("GUILD_INTEGRATIONS_UPDATE", {"guild_id": str(guild_id)})
            d = decode(event.data)
            del d["guild_id"]
            if event.name == "INTEGRATION_DELETE":
                gone = mine.pop(d["id"])
                assert d.get("application_id") == gone.get("application", {}).get("id")
            else:
                assert (d["id"] in mine) == (event.name == "INTEGRATION_UPDATE")
                mine[d["id"]] = d
            kinds.add((event.name, "application_id" in d or "application" in d))
            assert decode(msgspec.json.encode(world.look(guild_id).integrations)) == mine
    assert len(kinds) == 6


def test_a_command_is_permitted_to_roles_that_there_are() -> None:
    world = made(guilds=3)
    for guild_id in world.guild_ids:
        [event] = happening(world, "APPLICATION_COMMAND_PERMISSIONS_UPDATE", guild_id)
        d = decode(event.data)
        assert {one["id"] for one in d["permissions"]} <= world.look(guild_id).roles.keys()


# -- what is of no guild -------------------------------------------------------------------------------------------

MARKET = ("SUBSCRIPTION_CREATE", "SUBSCRIPTION_UPDATE", "SUBSCRIPTION_DELETE",
          "ENTITLEMENT_CREATE", "ENTITLEMENT_UPDATE", "ENTITLEMENT_DELETE")  # fmt: skip


def test_what_is_bought_is_there_until_it_is_taken_back() -> None:
    """A subscription grants an entitlement, which ends with it; a purchase can be used up and refunded."""
    world = made(shares=dict.fromkeys(MARKET, 1.0))
    entitlements: dict[str, Any] = {}
    subscriptions: dict[str, Any] = {}
    for _ in range(1500):
        for event in (world.next_event(), *rest(world)):
            assert event.guild_id is None
            d = decode(event.data)
            kind, what = event.name.split("_")
            held = entitlements if kind == "ENTITLEMENT" else subscriptions
            assert (d["id"] in held) == (what != "CREATE"), event.name
            if kind == "ENTITLEMENT":
                assert d["deleted"] == (what == "DELETE")
            if what == "DELETE":
                del held[d["id"]]
            else:
                held[d["id"]] = d
        for one in subscriptions.values():
            [entitlement] = [entitlements[id] for id in one["entitlement_ids"]]
            assert entitlement["user_id"] == one["user_id"]
            assert entitlement["ends_at"] == (one["current_period_end"] if one["status"] == 2 else None)
            assert (one["canceled_at"] is None) == (one["status"] == 0)
    assert len(entitlements) <= 200
    assert subscriptions


def test_who_uses_a_command_has_what_they_bought() -> None:
    shares = {"ENTITLEMENT_CREATE": 0.1, "ENTITLEMENT_UPDATE": 0.05, "INTERACTION_CREATE": 1.0}
    world = made(guilds=1, members=3, direct=0.5, shares=shares)
    bought: dict[str, set[str]] = {}
    used = {True: 0, False: 0}
    for _ in range(400):
        event = world.next_event()
        d = decode(event.data)
        if event.name == "ENTITLEMENT_CREATE":
            bought.setdefault(d["user_id"], set()).add(d["id"])
        elif event.name == "ENTITLEMENT_UPDATE":
            assert d["consumed"]
            bought[d["user_id"]].remove(d["id"])
        else:
            user = d["user"] if event.guild_id is None else d["member"]["user"]
            assert {one["id"] for one in d["entitlements"]} == bought.get(user["id"], set())
            assert d["entitlement_sku_ids"] == [one["sku_id"] for one in d["entitlements"]]
            used[event.guild_id is None] += 1
    assert min(used.values()) > 50


def test_a_command_in_a_direct_message() -> None:
    world = made(direct=1.0, shares={"INTERACTION_CREATE": 1.0})
    channels: dict[str, str] = {}
    for _ in range(100):
        event = world.next_event()
        d = decode(event.data)
        assert (event.name, event.guild_id, d["context"]) == ("INTERACTION_CREATE", None, 1)
        assert not {"guild", "guild_id", "member", "guild_locale"} & d.keys()
        assert d["channel"]["id"] == d["channel_id"]
        assert [user["id"] for user in d["channel"]["recipients"]] == [d["user"]["id"]]
        assert channels.setdefault(d["user"]["id"], d["channel_id"]) == d["channel_id"]


def test_what_is_of_no_guild_is_told_to_shard_0() -> None:
    """Discord: Gateway > Sharding."""
    names = [*MARKET, "USER_UPDATE"]
    rig = world_rig(shares=dict.fromkeys(names, 1.0))
    first, second = (shard_client(rig, shard=(index, 2), intents=0) for index in range(2))
    play(rig, 100)
    assert set(first.events()) == {"READY", *names}
    assert second.events() == ["READY"]


def test_the_bots_user_is_as_the_last_update_says() -> None:
    """In READY, in messages and in members."""
    rig = world_rig(shares={"USER_UPDATE": 1.0})
    client = shard_client(rig)
    assert bodies(client, "READY")[0]["user"]["avatar"] is None
    play(rig, 3)
    user = bodies(client, "USER_UPDATE")[-1]
    late = shard_client(rig)
    [ready] = bodies(late, "READY")
    assert ready["user"] == user
    assert len({update["avatar"] for update in bodies(client, "USER_UPDATE")}) == 3
    config = ServerConfig()
    assert (user["id"], user["username"]) == (str(config.user_id), config.username)
    for guild in bodies(late, "GUILD_CREATE"):
        [own] = [member["user"] for member in guild["members"] if member["user"]["id"] == user["id"]]
        assert own.items() <= user.items()
        assert own["avatar"] == user["avatar"]
    assert rig.server.world is not None
    assert rig.server.world.bot["avatar"] == user["avatar"]


# -- polls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [0.0, 1.0])
def test_votes_are_for_answers_of_a_poll_and_taken_back_by_who_gave_them(direct: float) -> None:
    votes = {"MESSAGE_POLL_VOTE_ADD": 1.0, "MESSAGE_POLL_VOTE_REMOVE": 0.4}
    world = made(guilds=3, members=30, direct=direct, shares=votes | {"MESSAGE_UPDATE": 0.3, "MESSAGE_CREATE": 0.1})
    polls: dict[str, Any] = {}
    given: set[tuple[str, str, int]] = set()
    names: Counter[str] = Counter()
    for _ in range(1500):
        event = world.next_event()
        d = decode(event.data)
        names[event.name] += 1
        assert (event.guild_id is None) == bool(direct)
        if event.name == "MESSAGE_CREATE" and "poll" in d:
            polls[d["id"]] = d
            bare = None if event.bare is None else decode(event.bare)
            assert bare is None or "poll" not in bare
            assert (bare is None) == (bool(direct) or d["author"]["id"] == str(BOT))
        elif event.name == "MESSAGE_UPDATE":
            assert d["id"] not in polls
        elif event.name.startswith("MESSAGE_POLL"):
            poll = polls[d["message_id"]]
            assert (poll["channel_id"], poll.get("guild_id")) == (d["channel_id"], d.get("guild_id"))
            assert d["answer_id"] in {answer["answer_id"] for answer in poll["poll"]["answers"]}
            assert d["user_id"] != str(BOT)
            vote = d["message_id"], d["user_id"], d["answer_id"]
            assert (vote in given) == (event.name == "MESSAGE_POLL_VOTE_REMOVE")
            given ^= {vote}
            if not poll["poll"]["allow_multiselect"]:
                assert len([one for one in given if one[:2] == vote[:2]]) <= 1
    assert len(polls) > 2
    assert names["MESSAGE_POLL_VOTE_ADD"] > names["MESSAGE_POLL_VOTE_REMOVE"] > 5


# -- threads, scheduled events -------------------------------------------------------------------------------------


def test_a_channels_threads_are_synced_with_the_bots_part_in_them() -> None:
    shares = {"THREAD_CREATE": 1.0, "THREAD_MEMBER_UPDATE": 0.5, "THREAD_MEMBERS_UPDATE": 1.0, "THREAD_LIST_SYNC": 1.0}
    world = made(guilds=2, members=10, shares=shares)
    synced = own = 0
    joined: set[str] = set()
    for _ in range(1500):
        event = world.next_event()
        d = decode(event.data)
        if event.name == "THREAD_MEMBERS_UPDATE":
            joined |= {d["id"]} if str(BOT) in (member["user_id"] for member in d.get("added_members", ())) else set()
            joined -= {d["id"]} if str(BOT) in d.get("removed_member_ids", ()) else set()
        if event.name != "THREAD_LIST_SYNC" or event.guild_id is None:
            continue
        guild = decode(world.guild_create(event.guild_id, Intents.GUILDS))
        wanted = [thread for thread in guild["threads"] if thread["parent_id"] in d["channel_ids"]]
        assert d["threads"] == wanted
        assert d["members"] == [thread["member"] for thread in wanted if "member" in thread]
        assert {member["user_id"] for member in d["members"]} <= {str(BOT)}
        assert {member["id"] for member in d["members"]} == joined & {thread["id"] for thread in d["threads"]}
        synced += 1
        own += len(d["members"])
    assert synced > 20
    assert own > 10


def test_who_is_interested_in_a_scheduled_event_is_counted_once() -> None:
    kind = "GUILD_SCHEDULED_EVENT_"
    shares = {kind + "CREATE": 0.2, kind + "DELETE": 0.1, kind + "USER_ADD": 2.0, kind + "USER_REMOVE": 1.0}
    world = made(guilds=2, members=12, shares=shares)
    interested: dict[str, set[str]] = {}
    for _ in range(600):
        event = world.next_event()
        d = decode(event.data)
        match event.name.removeprefix(kind):
            case "CREATE":
                interested[d["id"]] = set()
            case "DELETE":
                assert d["user_count"] == len(interested.pop(d["id"]))
            case "USER_ADD":
                assert d["user_id"] not in interested[d["guild_scheduled_event_id"]]
                interested[d["guild_scheduled_event_id"]].add(d["user_id"])
            case "USER_REMOVE":
                interested[d["guild_scheduled_event_id"]].remove(d["user_id"])
    for guild_id in world.guild_ids:
        for scheduled in decode(world.guild_create(guild_id))["guild_scheduled_events"]:
            assert scheduled["user_count"] == len(interested.pop(scheduled["id"]))
    assert not interested
