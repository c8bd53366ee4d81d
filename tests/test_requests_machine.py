"""`GuildRequests` by a Hypothesis rule machine, against a model of what is on the wire and what has come.

What must hold, in whatever order things happen:

1. A request ends once, or is dropped; nothing comes of it after either. Until then it is under way.
2. It is answered only by its own chunks, all of them, put together by their indices; never if one does not decode.
3. Requests for all members of one guild are at least 30 s apart on the wire, unless RATE_LIMITED said less.
4. It ends idle only where 30 s passed since it was written, or its last new chunk came, with the shard connected and
   read all the time; and then at that very instant.
5. `next_timeout` is never before the last `now` and changes nothing; once handled and drained it lies in the future.
6. Nonces are its own and have 32 bytes at most; at most `MAX_QUEUED` commands are handed over and not written.
7. Once everybody was answered, failed or dropped, nothing is left and nothing is due.
"""

import random
from collections import Counter
from typing import Any, ClassVar

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    ConnectionStage,
    DiscardCause,
    Dispatch,
    LocalProtocolError,
    RequestGuildMembers,
    SessionLost,
    StageChanged,
)
from gateway_proto.commands import MAX_NONCE
from gateway_proto.requests.answers import IDLE_LIMIT, IncompleteMembersError, Members, RequestEnd
from gateway_proto.requests.machine import MAX_QUEUED, Answered, GuildRequests, RequestOutcome

from .peer import config
from .request_helpers import INTENTS, chunk, ids

GUILDS = (5, 9)
WAYS: tuple[dict[str, Any], ...] = ({}, {}, {"query": "a"}, {"user_ids": (1, 2)})
ODD_CHUNKS: tuple[dict[str, Any], ...] = (
    {"chunk_index": 7},
    {"chunk_index": -1},
    {"guild_id": "77"},
    {"nonce": "somebody else's"},
    {"nonce": None},
)


class Asked:
    """The model of one request: `waits`, `is queued` with the shard, or is `on the wire`."""

    def __init__(self, guild_id: int, is_all: bool, count: int) -> None:
        self.guild_id = guild_id
        self.is_all = is_all
        self.count = count
        self.nonce = ""
        self.state = "waits"
        self.heard_at = 0.0
        """When it was written, when its last new chunk came, or when the shard began to listen again."""
        self.came: dict[int, bool] = {}
        """Index: whether it decodes."""


class Requests(RuleBasedStateMachine):
    """See the module. The shard is a list of commands that are not written yet."""

    seen: ClassVar[Counter[str]] = Counter()
    """What all examples together have seen: a machine in which nothing happens is green too."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.requests = GuildRequests(config(intents=INTENTS), rng=random.Random(seed))
        self.now = 100.0
        self.outbox: list[RequestGuildMembers] = []
        self.live: dict[int, Asked] = {}
        self.ended: set[int] = set()
        self.turns: dict[int, float] = {}
        self.connected = self.paused = False
        self.sequence = 0
        self.change(ConnectionStage.IDENTIFYING, ConnectionStage.CONNECTED)

    # -- what a driver does ------------------------------------------------------------------------------------

    def serve(self) -> None:
        for command in self.requests.commands(self.now):
            assert isinstance(command, RequestGuildMembers)
            assert command.nonce is not None
            assert len(command.nonce.encode()) <= MAX_NONCE
            self.outbox.append(command)
            id = int(command.nonce[:12], 16)
            asked = self.live[id]
            assert asked.state == "waits"
            assert asked.nonce in ("", command.nonce)
            self.seen["asked again"] += bool(asked.nonce)
            asked.nonce, asked.state = command.nonce, "is queued"
        assert self.requests.commands(self.now) == []

    def note(self, outcomes: list[RequestOutcome]) -> None:
        for outcome in outcomes:
            asked = self.live.pop(outcome.id)
            self.ended.add(outcome.id)
            decoded = [index for index in sorted(asked.came) if asked.came[index]]
            found = [user_id for index in decoded for user_id in (2 * index, 2 * index + 1)]
            if isinstance(outcome, Answered):
                self.seen["answered"] += 1
                assert isinstance(outcome.result, Members)
                assert decoded == list(range(asked.count))
                assert ids(outcome.result) == found
                continue
            error = outcome.error
            assert isinstance(error, IncompleteMembersError)
            self.seen[error.end.name] += 1
            assert ids(error.partial) == found
            assert sorted(error.misfits) == [index for index in sorted(asked.came) if not asked.came[index]]
            assert error.missing == tuple(n for n in range(asked.count) if n not in asked.came and asked.came)
            if error.end is RequestEnd.MISFIT:
                assert len(asked.came) == asked.count > len(decoded)
            elif error.end is RequestEnd.IDLE:
                assert asked.state == "on the wire"
                assert self.listens
                assert self.now == asked.heard_at + IDLE_LIMIT

    def tell(self, name: str, d: Any) -> None:
        self.sequence += 1
        event = Dispatch(1, self.sequence, name, msgspec.Raw(msgspec.json.encode(d)))
        self.note(self.requests.receive(event, self.now))
        self.serve()

    @property
    def listens(self) -> bool:
        return self.connected and not self.paused

    def listen(self, *, connected: bool, paused: bool) -> None:
        before = self.listens
        self.connected, self.paused = connected, paused
        if self.listens and not before:
            for asked in self.live.values():
                asked.heard_at = self.now

    def change(self, old: ConnectionStage, new: ConnectionStage) -> None:
        assert self.requests.receive(StageChanged(old, new), self.now) == []
        self.listen(connected=new is ConnectionStage.CONNECTED, paused=self.paused)

    def end(self, id: int) -> None:
        del self.live[id]
        self.ended.add(id)

    def drawn(self, data: st.DataObject) -> Asked | None:
        """One that was on the wire at some time."""
        known = [asked for asked in self.live.values() if asked.nonce]
        return data.draw(st.sampled_from(known)) if known else None

    # -- rules -------------------------------------------------------------------------------------------------

    @rule(
        guild_id=st.sampled_from(GUILDS), way=st.sampled_from(WAYS), count=st.integers(1, 4), is_written=st.booleans()
    )
    def ask(self, guild_id: int, way: dict[str, Any], count: int, is_written: bool) -> None:
        id = self.requests.request_members(guild_id, self.now, **way)
        assert id not in self.live
        assert id not in self.ended
        self.live[id] = Asked(guild_id, not way, count)
        self.serve()
        if is_written and self.connected:
            self.write(20)

    @precondition(lambda self: self.outbox and self.connected)
    @rule(count=st.integers(1, 20))
    def write(self, count: int) -> None:
        """The shard's drain: its oldest commands are on the wire."""
        written, self.outbox = self.outbox[:count], self.outbox[count:]
        for command in written:
            if command.query == "":
                assert self.now >= self.turns.get(command.guild_id, 0.0)
                self.turns[command.guild_id] = self.now + 30.0
            for asked in self.live.values():
                if asked.nonce == command.nonce:
                    asked.state, asked.heard_at = "on the wire", self.now
            ended = CommandEnded(command=command, outcome=CommandOutcome.WRITTEN)
            assert self.requests.receive(ended, self.now) == []
        self.serve()

    def came(self, asked: Asked, index: int, *, decodes: bool) -> None:
        made = chunk(asked.nonce, index, asked.count, guild_id=asked.guild_id)
        if index not in asked.came:
            asked.came[index] = decodes
            asked.heard_at = self.now
            if asked.state == "waits":  # to be asked again: no longer, for its first answer is on its way after all
                self.seen["called off"] += 1
                asked.state = "on the wire"
        self.tell("GUILD_MEMBERS_CHUNK", made if decodes else {**made, "members": [None]})

    @rule(data=st.data(), decodes=st.booleans())
    def one_chunk(self, data: st.DataObject, decodes: bool) -> None:
        """Any of them, once more perhaps."""
        if (asked := self.drawn(data)) is not None:
            self.came(asked, data.draw(st.integers(0, asked.count - 1)), decodes=decodes)

    @rule(data=st.data(), decode=st.sampled_from([True, True, False]))
    def all_chunks(self, data: st.DataObject, decode: bool) -> None:
        """All of them, in any order; the first does not decode, perhaps."""
        asked = self.drawn(data)
        if asked is None:
            return
        for index in data.draw(st.permutations(range(asked.count))):
            if asked in self.live.values():
                self.came(asked, index, decodes=decode or index > 0)
        assert asked not in self.live.values()

    @rule(data=st.data(), odd=st.sampled_from(ODD_CHUNKS))
    def odd_chunk(self, data: st.DataObject, odd: dict[str, Any]) -> None:
        if (asked := self.drawn(data)) is not None:
            made = chunk(asked.nonce, 0, asked.count, guild_id=asked.guild_id)
            self.tell("GUILD_MEMBERS_CHUNK", {**made, **odd})

    @rule(data=st.data(), seconds=st.sampled_from([0.0, 1.0, 12.5, 29.5, 100.0]))
    def rate_limited(self, data: st.DataObject, seconds: float) -> None:
        asked = self.drawn(data)
        if asked is None:
            return
        if asked.state == "on the wire" and not asked.came:
            self.seen["limited"] += 1
            asked.state = "waits"
            if asked.is_all:
                self.next_turn(asked.guild_id, self.now + seconds)
        meta = {"guild_id": str(asked.guild_id), "nonce": asked.nonce}
        self.tell("RATE_LIMITED", {"opcode": 8, "retry_after": seconds, "meta": meta})

    @rule(guild_id=st.sampled_from(GUILDS), seconds=st.sampled_from([0.0, 29.5]))
    def somebody_else_rate_limited(self, guild_id: int, seconds: float) -> None:
        if self.live:  # otherwise nobody looks at events
            self.next_turn(guild_id, max(self.now + seconds, self.turns.get(guild_id, 0.0)))
        self.tell("RATE_LIMITED", {"opcode": 8, "retry_after": seconds, "meta": {"guild_id": str(guild_id)}})

    def next_turn(self, guild_id: int, at: float) -> None:
        is_queued = any(command.guild_id == guild_id and command.query == "" for command in self.outbox)
        # What is with the shard cannot be taken back.
        self.turns[guild_id] = 0.0 if is_queued else at

    @rule(seconds=st.sampled_from([0.5, 5.0, 29.0, 31.0, 62.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes, and each timer is handled at its instant."""
        end = self.now + seconds
        while (due := self.requests.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.note(self.requests.handle_timeout(self.now))
            self.serve()
        self.now = end
        if self.listens:
            on_wire = [asked for asked in self.live.values() if asked.state == "on the wire"]
            assert all(self.now < asked.heard_at + IDLE_LIMIT for asked in on_wire)

    @precondition(lambda self: self.connected)
    @rule()
    def lose_connection(self) -> None:
        self.change(ConnectionStage.CONNECTED, ConnectionStage.DISCONNECTED)
        for command in self.outbox:
            ended = CommandEnded(command=command, outcome=CommandOutcome.REQUEUED)
            assert self.requests.receive(ended, self.now) == []

    @precondition(lambda self: not self.connected)
    @rule()
    def resume(self) -> None:
        self.seen["resumed"] += 1
        self.change(ConnectionStage.RESUMING, ConnectionStage.CONNECTED)
        for asked in self.live.values():
            if asked.state == "on the wire" and not asked.came:
                asked.state = "waits"
        self.serve()

    @precondition(lambda self: not self.connected)
    @rule()
    def identify(self) -> None:
        lost = SessionLost(epoch=1, sequence=1, downtime=0.0, cause=DiscardCause.INVALID_SESSION)
        assert self.requests.receive(lost, self.now) == []
        for asked in self.live.values():
            asked.came.clear()
            if asked.state == "on the wire":
                asked.state = "waits"
        self.serve()
        self.change(ConnectionStage.IDENTIFYING, ConnectionStage.CONNECTED)

    @rule(seconds=st.sampled_from([1.0, 50.0]))
    def pause(self, seconds: float) -> None:
        """Nobody reads for so long."""
        self.requests.reading_paused(self.now)
        self.listen(connected=self.connected, paused=True)
        self.pass_time(seconds)
        self.requests.reading_resumed(self.now)
        self.listen(connected=self.connected, paused=False)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.live)))
        self.requests.drop(id, self.now)
        self.end(id)
        self.requests.drop(id, self.now)

    @precondition(lambda self: self.outbox)
    @rule()
    def refuse(self) -> None:
        """The shard's queue is full: it did not take its newest command after all."""
        command = self.outbox.pop()
        expected = [id for id, asked in self.live.items() if asked.nonce == command.nonce]
        outcomes = self.requests.refused(command, LocalProtocolError("full"), self.now)
        assert [outcome.id for outcome in outcomes] == expected
        for id in expected:
            self.end(id)
        self.serve()

    # -- invariants --------------------------------------------------------------------------------------------

    @invariant()
    def what_is_due_is_sane_and_can_be_handled(self) -> None:
        due = self.requests.next_timeout()
        assert due == self.requests.next_timeout()
        assert due is None or due >= self.now
        if due == self.now:
            self.note(self.requests.handle_timeout(self.now))
            self.serve()
            due = self.requests.next_timeout()
            assert due is None or due > self.now
        assert due is None or self.live

    @invariant()
    def what_is_held_is_what_is_under_way(self) -> None:
        assert len(self.requests) == len(self.live)
        assert len(self.outbox) <= MAX_QUEUED

    def teardown(self) -> None:
        if hasattr(self, "requests"):
            self.note(self.requests.close(self.now))
            assert not self.live
            self.what_is_due_is_sane_and_can_be_handled()


def test_requests_against_a_model() -> None:
    Requests.seen.clear()
    run_state_machine_as_test(
        Requests,
        # A failing run prints its steps; shrinking them would take many times as long as the whole test.
        settings=settings(
            max_examples=250, stateful_step_count=50, phases=[Phase.explicit, Phase.reuse, Phase.generate]
        ),
    )
    assert Requests.seen["answered"] > 30, Requests.seen
    rarer = ("IDLE", "MISFIT", "CLOSED", "limited", "resumed", "asked again", "called off")
    assert all(Requests.seen[name] for name in rarer), Requests.seen
