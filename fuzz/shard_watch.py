"""The invariants of the target `shard`: told every action and every drained byte, it fails at a breach."""

import json
from collections.abc import Iterator
from typing import Any

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    Connect,
    Disconnect,
    Dispatch,
    IdentifyPermit,
    IdentifyWanted,
    PermitReturned,
    PermitUsed,
    ReconnectType,
    Session,
    Shard,
    ShardAction,
    StageChanged,
)
from gateway_proto.commands import MAX_PAYLOAD
from gateway_proto.ratelimit import SEND_LIMIT, SEND_PERIOD
from gateway_proto.stage import TRANSITIONS, ConnectionStage
from gateway_proto.websocket import FrameOpcode, apply_mask

_STEPS = {(old, new) for (old, _), new in TRANSITIONS.items()}


class Watch:
    """What is remembered of one shard.

    `clock` is the highest `now` that it was told. The caller tells `permit_given`, and counts in `accepted_commands`
    what `send` and its kin took.
    """

    def __init__(self, shard: Shard, secrets: list[str]) -> None:
        self.shard = shard
        self.clock = float("-inf")
        self.generation = 0
        self.requests: dict[int, bytes] = {}
        """The upgrade request of each generation."""
        self.wanted: list[IdentifyPermit] = []
        self.dispatched: list[tuple[int, int]] = []
        """(epoch, sequence) of every dispatch."""
        self.accepted_commands = 0
        self._secrets = secrets
        self._stage = ConnectionStage.DISCONNECTED
        self._open_permits: list[IdentifyPermit] = []
        self._sent: dict[int, list[float]] = {}
        self._greeted: set[int] = set()
        self._ended_commands = 0

    # -- told by the caller ------------------------------------------------------------------------------------

    def time(self, now: float) -> None:
        self.clock = max(self.clock, now)

    def permit_given(self, permit: IdentifyPermit) -> None:
        self._open_permits.append(permit)

    def act(self, actions: list[ShardAction]) -> None:
        """What an input or a command returned."""
        for action in actions:
            self._unsecret(action)
            match action:
                case StageChanged(old, new):
                    assert old is self._stage, "a stage was skipped"
                    assert (old, new) in _STEPS, f"{old} to {new} is not in the table"
                    self._stage = new
                case Connect(generation=generation):
                    assert generation == self.generation + 1
                    self.generation = generation
                case Disconnect():
                    self._disconnect(action)
                case IdentifyWanted(generation=generation):
                    assert generation == self.generation
                    self.wanted.append(action.permit())
                case PermitUsed(permit=permit) | PermitReturned(permit=permit):
                    self._open_permits.remove(permit)
                case Dispatch(epoch, sequence):
                    self._dispatch(epoch, sequence)
                case CommandEnded(outcome=CommandOutcome.WRITTEN | CommandOutcome.DROPPED):
                    self._ended_commands += 1
        assert self.shard.stage is self._stage
        self.check_time()

    def drain(self, data: bytes) -> None:
        """What `data_to_send` gave."""
        if data.startswith(b"GET ") and self.generation not in self.requests:
            request, separator, data = data.partition(b"\r\n\r\n")
            assert separator
            self.requests[self.generation] = request
        for opcode, payload in client_frames(data):
            if opcode == FrameOpcode.TEXT:
                self.payload(payload)
            else:
                assert opcode == FrameOpcode.PONG, "a close frame rides in Disconnect"
        self.check_time()

    def payload(self, payload: bytes) -> None:
        """One gateway message that left."""
        generation = self.generation
        times = self._sent.setdefault(generation, [])
        # As the window computes it: the sum, not the difference, since the two round differently.
        assert len(times) < SEND_LIMIT or times[-SEND_LIMIT] + SEND_PERIOD <= self.clock, "more than 120 in 60 s"
        times.append(self.clock)
        assert len(payload) <= MAX_PAYLOAD
        message = json.loads(payload)
        if message["op"] in (2, 6):
            assert generation not in self._greeted, "a second IDENTIFY or RESUME on one connection"
            self._greeted.add(generation)
            self._greeting(message)
        else:
            assert message["op"] == 1 or self._stage is ConnectionStage.CONNECTED, "a command without a session"

    # -- the invariants ----------------------------------------------------------------------------------------

    def check_time(self) -> None:
        """`next_timeout` is pure, never in the past, and there as long as the shard is to go on by itself."""
        due = self.shard.next_timeout()
        assert due == self.shard.next_timeout()
        assert due is None or due >= self.clock, "next_timeout is in the past"
        assert due is not None or not self.shard.snapshot().should_reconnect, "the shard waits for nothing"

    def check_all(self) -> None:
        """What holds whenever no action is waiting to be returned."""
        snapshot = self.shard.snapshot()
        self._unsecret(snapshot)
        self._unsecret(self.shard.session)
        self._unsecret(vars(self.shard))
        assert self.accepted_commands == self._ended_commands + snapshot.queued_commands, "a command vanished"
        assert len(self._open_permits) <= 1, "a permit vanished"
        assert snapshot.delivered <= snapshot.received
        stored = self.shard.session_snapshot(1.0)
        assert stored is None or not stored.id or Session.from_bytes(stored.to_bytes()) == stored

    def _disconnect(self, action: Disconnect) -> None:
        assert action.generation == self.generation
        # A 1xxx code other than the wanted 1000 would be believed to end the session (F17).
        assert action.code == 1000 or 4000 <= action.code <= 4999
        frames = list(client_frames(action.farewell))
        closes = [payload for opcode, payload in frames if opcode == FrameOpcode.CLOSE]
        assert all(opcode in (FrameOpcode.CLOSE, FrameOpcode.PONG) for opcode, _ in frames)
        assert [int.from_bytes(payload[:2]) for payload in closes] in ([], [action.code])

    def _dispatch(self, epoch: int, sequence: int) -> None:
        assert 1 <= sequence < 2**63
        if self.dispatched:
            assert (epoch, sequence) > self.dispatched[-1], "a dispatch twice, or out of order"
        self.dispatched.append((epoch, sequence))

    def _greeting(self, message: dict[str, Any]) -> None:
        snapshot = self.shard.snapshot()
        if message["op"] == 2:
            assert snapshot.reconnection_type is ReconnectType.REIDENTIFY, "an IDENTIFY that could have been a RESUME"
            assert any(permit.generation == self.generation for permit in self._open_permits), "without a permit"
        else:
            assert message["d"]["seq"] == snapshot.received

    def _unsecret(self, value: object) -> None:
        text = repr(value)
        for secret in self._secrets:
            assert secret not in text, f"a secret is printed by {type(value).__name__}"


def client_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(opcode, payload) of whole frames of ours: each final, masked and of minimal length."""
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        assert first & 0xF0 == 0x80
        assert second & 0x80
        at, size = at + 2, second & 0x7F
        if size > 125:
            extended = 2 if size == 126 else 8
            at, size = at + extended, int.from_bytes(data[at : at + extended])
            assert size > (125 if extended == 2 else 65_535)
        mask, payload = data[at : at + 4], data[at + 4 : at + 4 + size]
        at += 4 + size
        assert at <= len(data)
        yield first & 0x0F, apply_mask(payload, mask)
