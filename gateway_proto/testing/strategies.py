"""Hypothesis strategies for tests of anything that meets a gateway: payloads, bytes, whole sessions with their faults.

They need Hypothesis (`gateway-proto[testing]`); of this package only `machine` does, too.

- Payloads: `events` and `event_documents` (all 79), `realistic_events`, `gateway_messages` and `client_messages` (every
  opcode, both directions), `commands` (typed), and `near_misses` of any message. `events()` draws its name, and some
  hundred examples leave a few of the 79 out: where each must come, let a test run for each name in `DISPATCH_TYPES`
  (pytest's `parametrize`) and draw `event_documents(name)`.
- Bytes: `streams` with what they mean, `hostile_streams`, `upgrade_answers`, `hostile_upgrade_answers`, `chunkings`.
- Sessions: `sessions`, `step_groups` and `steps`, for `gateway_proto.testing.harness.Harness`.
"""

from .drawn_events import event_documents, events, realistic_events
from .drawn_messages import (
    Message,
    activities,
    client_messages,
    commands,
    dispatch,
    gateway_messages,
    near_misses,
    presences,
)
from .drawn_sessions import (
    CHUNKS,
    INTERVALS,
    LATENCIES,
    Steps,
    sessions,
    step_groups,
    steps,
)
from .drawn_streams import (
    BOMB,
    COMPRESSIONS,
    ILLEGAL_FRAMES,
    ByteStream,
    Compression,
    chunkings,
    compressions,
    frames,
    hostile_streams,
    hostile_upgrade_answers,
    streams,
    upgrade_answers,
)

__all__ = [
    "BOMB",
    "CHUNKS",
    "COMPRESSIONS",
    "ILLEGAL_FRAMES",
    "INTERVALS",
    "LATENCIES",
    "ByteStream",
    "Compression",
    "Message",
    "Steps",
    "activities",
    "chunkings",
    "client_messages",
    "commands",
    "compressions",
    "dispatch",
    "event_documents",
    "events",
    "frames",
    "gateway_messages",
    "hostile_streams",
    "hostile_upgrade_answers",
    "near_misses",
    "presences",
    "realistic_events",
    "sessions",
    "step_groups",
    "steps",
    "streams",
    "upgrade_answers",
]
