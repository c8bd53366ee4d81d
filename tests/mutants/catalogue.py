"""The deliberate faults, each with the test that must fail for it. In the order of the engine's parts.

Those of the embedded gateway are in `server.py`, those of what is offered for tests in `testing.py`.
"""

from typing import Final

from .server import SERVER
from .testing import TESTING
from .trial import Mutant

MACHINE: Final = "tests/mutants/machine.py::test_shard_against_server_in_brief"

MUTANTS: Final = (
    # -- sequences (F31, F32) --------------------------------------------------------------------------------------
    Mutant(
        "sequence-check-skipped",
        "gateway_proto/connection.py",
        "if envelope.s == following and envelope.op == 0 and session is not None:",
        "if envelope.op == 0 and session is not None:",
        "tests/test_f_delivery.py::test_what_counts_as_a_duplicate",
    ),
    Mutant(
        "last-event-twice",
        "gateway_proto/conversation.py",
        "if sequence <= session.received:",
        "if sequence < session.received:",
        "tests/test_f_delivery.py::test_what_counts_as_a_duplicate",
    ),
    Mutant(
        "gap-not-told",
        "gateway_proto/conversation.py",
        "if sequence > session.received + 1:",
        "if sequence > session.received + 2:",
        "tests/test_faulty_sequences.py::test_what_the_server_does_to_the_second_of_four_events",
    ),
    Mutant(
        "beat-says-received",
        "gateway_proto/shard.py",
        "sequence = life.session.delivered or None",
        "sequence = life.session.received or None",
        "tests/test_f_delivery.py::test_snapshots_and_heartbeats_say_the_delivered_sequence",
    ),
    Mutant(
        "snapshot-says-received",
        "gateway_proto/session.py",
        "sequence = max(self.delivered, sequence)",
        "sequence = max(self.received, sequence)",
        MACHINE,
    ),
    Mutant(
        "old-resumed-ends-replay",
        "gateway_proto/conversation.py",
        "if name == _RESUMED and replayed and not is_old:",
        "if name == _RESUMED and replayed:",
        "tests/test_f_delivery.py::test_a_resumed_that_an_earlier_process_got_does_not_end_the_replay",
    ),
    Mutant(
        "unread-guilds-are-missing",
        "gateway_proto/shard.py",
        "                (Timer.GUILDS, limits.guilds_settled),\n",
        "",
        "tests/test_f_paused.py::test_guilds_that_lie_unread_are_not_missing",
    ),
    Mutant(
        "resume-from-delivered",
        "gateway_proto/shard.py",
        "session_id=session.id, sequence=session.received)",
        "session_id=session.id, sequence=session.delivered)",
        MACHINE,
    ),
    Mutant(
        "lost-session-says-delivered",
        "gateway_proto/lifecycle.py",
        "SessionLost(epoch=session.epoch, sequence=session.received",
        "SessionLost(epoch=session.epoch, sequence=session.delivered",
        "tests/test_f_delivery.py::test_session_lost_tells_the_last_sequence_and_the_downtime",
    ),
    # -- generations and stages (F04, F05, F14) --------------------------------------------------------------------
    Mutant(
        "generation-not-compared",
        "gateway_proto/shard.py",
        "return connection if connection is not None and connection.generation == generation else None",
        "return connection",
        "tests/test_f_generations.py::test_every_input_of_another_generation_changes_nothing",
    ),
    Mutant(
        "greeting-before-hello",
        "gateway_proto/conversation.py",
        "                life.upgraded(connection)\n",
        "                life.upgraded(connection)\n                self._greet(connection)\n",
        "tests/test_f_greeting.py::test_nothing_leaves_before_hello",
    ),
    Mutant(
        "op-7-costs-the-free-dial",
        "gateway_proto/conversation.py",
        "self._life.lose(ReconnectRequestedError(), free=greeted, floor=floor)",
        "self._life.lose(ReconnectRequestedError(), floor=floor)",
        "tests/test_f_greeting.py::test_after_hello_the_resume_is_immediate",
    ),
    Mutant(
        "clock-steps-back",
        "gateway_proto/shard.py",
        "        if now > life.now:\n",
        "        if now != life.now:\n",
        "tests/test_every_input.py::test_a_clock_that_steps_back_stands_still",
    ),
    # -- hosts (F01, F03) ------------------------------------------------------------------------------------------
    Mutant(
        "hosts-do-not-alternate",
        "gateway_proto/route.py",
        "in_turn = failures >= RESUME_DIALS and (failures - RESUME_DIALS) % 2 == 0",
        "in_turn = failures >= RESUME_DIALS",
        "tests/test_route.py::test_two_dials_then_the_base_then_turns",
    ),
    Mutant(
        "token-to-a-like-sounding-host",
        "gateway_proto/url.py",
        'parsed.host.endswith(f".{domain}")',
        "parsed.host.endswith(domain)",
        "tests/test_f_hosts.py::test_a_url_that_must_not_have_the_token_is_not_used",
    ),
    # -- how sessions end (F02, F06, F16, F17, F19, F27) -----------------------------------------------------------
    Mutant(
        "op-9-true-by-default",
        "gateway_proto/conversation.py",
        'bytes(envelope.d).strip() == b"true"',
        'bytes(envelope.d).strip() != b"false"',
        "tests/test_f_waiting.py::test_anything_else_is_false",
    ),
    Mutant(
        "op-9-to-identify-too-soon",
        "gateway_proto/conversation.py",
        "if life.stage is ConnectionStage.IDENTIFYING:\n            floor += REFUSED_IDENTIFY_WAIT",
        "if life.stage is ConnectionStage.HANDSHAKE:\n            floor += REFUSED_IDENTIFY_WAIT",
        "tests/test_f_waiting.py::test_in_answer_to_identify_it_waits_five_more_and_the_identify_is_charged",
    ),
    Mutant(
        "fatal-code-retried-with-a-session",
        "gateway_proto/conversation.py",
        "if code in FATAL_CLOSE_CODES:",
        "if code in FATAL_CLOSE_CODES and life.session is None:",
        "tests/test_f_closing.py::test_a_fatal_code_ends_the_shard",
    ),
    Mutant(
        "4007-resumed-for-ever",
        "gateway_proto/conversation.py",
        "if code in SESSION_ENDING_CLOSE_CODES else None",
        "if code == 4009 else None",
        "tests/test_f_closing.py::test_a_session_that_is_gone_is_identified_anew",
    ),
    Mutant(
        "closes-with-1000",
        "gateway_proto/close_codes.py",
        "RESUMABLE_CLOSURE = 4000",
        "RESUMABLE_CLOSURE = 1000",
        MACHINE,
    ),
    Mutant(
        "bricked-too-soon",
        "gateway_proto/setbacks.py",
        "self.resumes >= BRICKED_TRIES and now",
        "self.resumes >= BRICKED_TRIES or now",
        "tests/test_setbacks.py::test_five_resumes_and_three_minutes_both",
    ),
    Mutant(
        "poison-rule-off",
        "gateway_proto/setbacks.py",
        "return self._faults >= POISON_TRIES",
        "return self._faults > POISON_TRIES",
        "tests/test_f_stream.py::test_three_failures_at_one_sequence_reidentify",
    ),
    Mutant(
        "poison-counted-before-the-replay",
        "gateway_proto/conversation.py",
        "            replaying\n            and life.session",
        "            life.session",
        "tests/test_f_stream.py::test_what_breaks_before_the_replay_poisons_nothing",
    ),
    # -- heartbeats (F07, F08, F10, F12, F13) ----------------------------------------------------------------------
    Mutant(
        "beats-drift-by-their-lateness",
        "gateway_proto/heartbeat.py",
        "            self._due += self.interval\n",
        "            self._due = now + self.interval\n",
        "tests/test_heartbeat.py::test_lateness_does_not_add_up",
    ),
    Mutant(
        "first-beat-without-jitter",
        "gateway_proto/heartbeat.py",
        "self._due = now + self.interval * rng.random()",
        "self._due = now + self.interval",
        "tests/test_heartbeat.py::test_the_first_beat_is_due_after_a_uniform_part_of_the_interval",
    ),
    Mutant(
        "traffic-is-no-sign-of-life",
        "gateway_proto/heartbeat.py",
        "(last_received <= self._listening_since and not lenient)",
        "not lenient",
        "tests/test_heartbeat.py::test_any_sign_of_life_only_warns_and_the_beat_goes_on",
    ),
    Mutant(
        "zombie-never-found",
        "gateway_proto/heartbeat.py",
        "            return Beat.ZOMBIE\n",
        "            return Beat.ACK_MISSING\n",
        "tests/test_f_heart.py::test_a_half_open_socket_is_dropped_at_the_next_beat_and_resumed",
    ),
    Mutant(
        "burst-after-a-sleep",
        "gateway_proto/heartbeat.py",
        "if lag > (JUMP - 1) * self.interval:",
        "if lag > 1000 * self.interval:",
        "tests/test_heartbeat.py::test_never_a_burst",
    ),
    # -- what is sent (F10, F11, F36, F37) -------------------------------------------------------------------------
    Mutant(
        "beat-not-charged",
        "gateway_proto/shard.py",
        "self._write(connection, encode(Heartbeat(sequence=sequence)))",
        "connection.ws and connection.ws.send_message(encode(Heartbeat(sequence=sequence)))",
        "tests/test_f_budget.py::test_no_beat_is_ever_stuck_behind_a_full_queue",
    ),
    Mutant(
        "one-payload-too-many",
        "gateway_proto/ratelimit.py",
        "over = len(self._log) - (self._limit - keep) + 1",
        "over = len(self._log) - (self._limit - keep)",
        "tests/test_ratelimit.py::test_never_more_than_the_limit_in_any_period",
    ),
    Mutant(
        "no-room-kept-for-beats",
        "gateway_proto/ratelimit.py",
        "free = self._window.free_at(self._beats + 2)",
        "free = self._window.free_at()",
        "tests/test_f_budget.py::test_no_beat_is_ever_stuck_behind_a_full_queue",
    ),
    Mutant(
        "commands-before-the-resume",
        "gateway_proto/shard.py",
        "if self._life.stage is ConnectionStage.CONNECTED and connection.greeting is None:",
        "if connection.heart is not None:",
        "tests/test_f_budget.py::test_identify_and_resume_go_before_commands",
    ),
    Mutant(
        "presences-without-their-limit",
        "gateway_proto/outbox.py",
        "            self._presence_window.charge(now)\n",
        "",
        "tests/test_outbox.py::test_five_presences_in_twenty_seconds_and_commands_pass_them",
    ),
    Mutant(
        "older-presence-wins",
        "gateway_proto/outbox.py",
        "replaced, self._presence = self._presence, (message, data)",
        "replaced, self._presence = self._presence, self._presence or (message, data)",
        "tests/test_f_commands.py::test_newer_replaces_unsent_older",
    ),
    Mutant(
        "commands-die-with-the-connection",
        "gateway_proto/lifecycle.py",
        'self.outbox.requeue("the connection was lost first")',
        'self.outbox.clear("the connection was lost first")',
        "tests/test_f_commands.py::test_what_waits_for_the_budget_is_requeued_when_the_connection_dies_and_then_written",
    ),
    Mutant(
        "permit-dies-with-the-connection",
        "gateway_proto/lifecycle.py",
        "        self._return_permit(connection)\n        self.step(StageInput.LOST)",
        "        self.step(StageInput.LOST)",
        "tests/test_f_greeting.py::test_op_7_and_op_9_in_every_stage",
    ),
    # -- backoff (F23) ---------------------------------------------------------------------------------------------
    Mutant(
        "every-dial-is-free",
        "gateway_proto/backoff.py",
        "bound = 0.0 if free and not self._failures else",
        "bound = 0.0 if free else",
        "tests/test_backoff.py::test_only_the_first_in_a_row_is_free",
    ),
    Mutant(
        "forgiven-at-once",
        "gateway_proto/lifecycle.py",
        ">= self.config.limits.stable:",
        ">= 0.0:",
        "tests/test_f_waiting.py::test_sixty_stable_seconds_forgive",
    ),
    # -- the stream (F27 to F30) -----------------------------------------------------------------------------------
    Mutant(
        "limit-of-each-part-only",
        "gateway_proto/compression.py",
        "if self.stream.eof or len(self._partial) > self._limit:",
        "if self.stream.eof or len(message) > self._limit:",
        "tests/test_compression.py::test_the_limit_holds_across_the_parts_of_a_zlib_message",
    ),
    Mutant(
        "eof-overtakes-messages",
        "gateway_proto/connection.py",
        "        self._queue([event])\n",
        "        self.has_backlog = False\n        self._queue([event])\n",
        "tests/test_f_bounds.py::test_the_end_waits_behind_what_is_left_over",
    ),
    Mutant(
        "fast-lane-into-a-fragmented-message",
        "gateway_proto/websocket/lane.py",
        "            if not self._open:\n                position =",
        "            if True:\n                position =",
        "tests/test_lane.py::test_an_ordinary_frame_inside_a_fragmented_message_is_a_fault",
    ),
    Mutant(
        "text-not-checked-for-utf-8",
        "gateway_proto/websocket/lane.py",
        "if not payload.isascii() and not _is_utf8(payload):",
        "if not payload:",
        "tests/test_lane.py::test_the_lane_tells_what_wsproto_tells_in_any_chunking",
    ),
    # -- what only a story shows: the invariants of the rule machine -----------------------------------------------
    Mutant(
        "timeout-in-the-past",
        "gateway_proto/shard.py",
        "return max(min(due), life.now) if due else None",
        "return min(due) if due else None",
        MACHINE,
    ),
    Mutant(
        "eof-costs-the-session",
        "gateway_proto/conversation.py",
        "life.lose(ClosedError(), free=connection.connected_at is not None)",
        "life.lose(ClosedError(), free=True, discard=DiscardCause.INVALID_SESSION)",
        MACHINE,
    ),
    Mutant(
        "ack-not-taken-as-life",
        "gateway_proto/heartbeat.py",
        "        self._probed_at = None\n        self._listening_since = None\n        self._missed = 0\n",
        "        self._probed_at = None\n",
        MACHINE,
    ),
    Mutant(
        "beats-a-little-late",
        "gateway_proto/heartbeat.py",
        "            self._due += self.interval\n",
        "            self._due += self.interval * 1.02\n",
        MACHINE,
    ),
    *SERVER,
    *TESTING,
)
