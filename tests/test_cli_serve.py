"""`gateway-proto serve`: the embedded gateway in a process of its own, and clients of ours on it."""

import signal
import ssl
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
import pytest

from gateway_proto import Intents, Reconnect, Secret, ShardConfig
from gateway_proto.events import GuildCreate, Ready
from gateway_proto.testing.stream import Tally
from gateway_transports.anyio import AnyioDialer, ShardRunner, discover, open_shard

from .cli_helpers import command, journal_lines

pytestmark = pytest.mark.anyio
TOKEN: Final = "s3cret-t0ken"


def config(url: str, **fields: Any) -> ShardConfig:
    return ShardConfig(token=Secret(TOKEN), intents=Intents.none(), url=url, **fields)


async def receive(runner: ShardRunner, tally: Tally, number: int) -> None:
    """Take events until this number has come."""
    async for event in runner:
        if tally.receive(event.name, event.raw) == number:
            return


async def test_a_stream_goes_on_over_drops_and_the_journal_says_so(anyio_backend: str, tmp_path: Path) -> None:
    journal, tally = tmp_path / "journal", Tally()
    tally.sent(60, shard=1)
    args = ("--rate", "1000", "--events", "60", "--shards", "4", "--journal", str(journal), "--seed", "3")
    with command("serve", *args) as served:
        started = served.line()
        url = started["url"]
        info = await discover(token=Secret(TOKEN), base=started["api"])
        assert (info.url, info.shards) == (url, 4)
        async with open_shard(config(url, shard=(1, 4), transport_compression="zstd-stream")) as runner:
            await receive(runner, tally, 10)
            runner.resume()
            await receive(runner, tally, 60)
            assert runner.session is not None
            session_id = runner.session.id.reveal()
        assert served.end(signal.SIGINT) == (0, "")
    assert tally.whole()
    lines = journal_lines(journal)
    assert lines[0] == {
        "event": "identify",
        "connection": 2,
        "session": 1,
        "shard": [1, 4],
        "intents": 0,
        "compress": "zstd-stream",
        "number": 0,
    }
    kinds = [line["event"] for line in lines]
    assert sorted(kinds) == ["close", "close", "identify", "last", "last", "resume"]
    [resume] = [line for line in lines if line["event"] == "resume"]
    assert resume["connection"] == 3
    assert resume["sequence"] >= 11
    assert lines[-1] == {"event": "last", "shard": [1, 4], "number": 60}
    closes = [line for line in lines if line["event"] == "close"]
    assert [(line["connection"], line["code"], line["by"], line["session"]) for line in closes] == [
        (2, 4000, "client", 1),
        (3, 4000, "client", 1),
    ]
    for secret in (TOKEN, session_id):
        assert secret not in journal.read_text()
        assert secret.encode() not in served.seen


async def test_ready_lists_the_guilds_of_the_stream(anyio_backend: str) -> None:
    with command("serve", "--guilds", "3", "--rate", "1000", "--seed", "5") as served:
        url = served.line()["url"]
        for shard in (None, (5, 7)):
            async with open_shard(config(url, shard=shard)) as runner:
                ready = (await anext(runner)).data
                assert isinstance(ready, Ready)
                assert len({guild.id for guild in ready.guilds}) == 3
                seen: set[str] = set()
                while len(seen) < 3:
                    payload = msgspec.json.decode((await anext(runner)).raw)
                    seen |= {payload["guild_id"]} if "guild_id" in payload else set()
                assert {int(guild_id) for guild_id in seen} == {guild.id for guild in ready.guilds}
        assert served.end(signal.SIGTERM) == (0, "")


async def test_a_world_of_guilds(anyio_backend: str) -> None:
    args = ("--guilds", "20", "--members", "15", "--seed", "4", "--rate", "max", "--events", "500", "--shards", "2")
    with command("serve", *args) as served:
        url = served.line()["url"]
        intents = Intents.all()
        wanted = ShardConfig(token=Secret(TOKEN), url=url, intents=intents, shard=(1, 2))
        async with open_shard(wanted) as runner:
            ready = (await anext(runner)).data
            assert isinstance(ready, Ready)
            tally = Tally()
            guilds: set[int] = set()
            with anyio.fail_after(60.0):
                while len(guilds) < len(ready.guilds) or sum(tally.names.values()) < 50:
                    event = await anext(runner)
                    tally.receive(event.name, event.raw)
                    if isinstance(event.data, GuildCreate):
                        guilds.add(event.data.id)
            assert guilds == {guild.id for guild in ready.guilds}
            members = await runner.request_members(ready.guilds[0].id)
            assert len(members.members) > 3
        assert served.end(signal.SIGTERM) == (0, "")


async def test_refusals_and_logouts_are_in_the_journal(anyio_backend: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with command("serve", "--journal", str(journal), "--session-limit", "1") as served:
        url = served.line()["url"]
        async with open_shard(config(url, payload_compression=True)) as runner:
            await anext(runner)
            await runner.close(resumable=False)
        refused = anyio.Event()
        async with open_shard(
            config(url), on_action=lambda action: refused.set() if isinstance(action, Reconnect) else None
        ):
            await refused.wait()
        assert served.end(signal.SIGTERM) == (0, "")
    identify, close, end, refusal, second_close, last = journal_lines(journal)
    assert (identify["event"], identify["shard"], identify["compress"]) == ("identify", [0, 1], "payload")
    assert (close["event"], close["code"], close["number"]) == ("close", 1000, end["number"])
    assert (end["event"], end["cause"]) == ("end", "the client closed with 1000 or 1001")
    reason = "the bucket had an IDENTIFY less than 5 s ago"
    assert refusal == {"event": "refusal", "connection": 2, "opcode": 2, "code": None, "reason": reason}
    assert (second_close["session"], second_close["shard"], second_close["number"]) == (None, None, None)
    assert (last["event"], last["shard"]) == ("last", [0, 1])


async def test_tls_with_a_ca_in_a_file(anyio_backend: str) -> None:
    with command("serve", "--tls", "--rate", "1000") as served:
        started = served.line()
        assert started["url"].startswith("wss://127.0.0.1:")
        ca = anyio.Path(started["ca"])
        dialer = AnyioDialer(ssl_context=ssl.create_default_context(cafile=started["ca"]))
        assert (await discover(token=Secret(TOKEN), base=started["api"], dialer=dialer)).url == started["url"]
        async with open_shard(config(started["url"]), dialer=dialer) as runner:
            await receive(runner, Tally(), 3)
        assert served.end(signal.SIGTERM) == (0, "")
        assert not await ca.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_journal_on_a_full_disk_ends_it_with_one_line(anyio_backend: str) -> None:
    with command("serve", "--journal", "/dev/full") as served:
        url = served.line()["url"]
        over = anyio.Event()
        async with open_shard(config(url), on_action=lambda action: over.set() if isinstance(action, Reconnect) else 0):
            await over.wait()
        assert served.end() == (2, "gateway-proto: the journal /dev/full cannot be written: No space left on device\n")
