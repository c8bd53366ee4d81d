"""Deliberate faults in what is offered for the tests of others: watches that are blind to a rule, and the gateway."""

from typing import Final

from .trial import Mutant

_BUGS: Final = "tests/test_testing_watch.py::test_every_planted_bug_shows_in_the_story"
_ODD: Final = "tests/test_testing_machine.py::test_an_odd_client_is_found_out"
_JUDGED: Final = "tests/test_testing_machine.py::test_what_is_delivered_is_judged"
_WATCH: Final = "gateway_proto/testing/watch.py"
_HARNESS: Final = "gateway_proto/testing/harness.py"
_EMBEDDED: Final = "transports/gateway_transports/embedded.py"

TESTING: Final = (
    # -- one for each rule, by its name ----------------------------------------------------------------------------
    Mutant(
        "blind-to-no-exception",
        _HARNESS,
        '            raise self._raised("next_timeout", error) from error\n',
        "            return None\n",
        f"{_ODD}[raises-Rule.NO_EXCEPTION]",
    ),
    Mutant(
        "blind-to-comes-to-rest",
        _HARNESS,
        '                raise self._fail(Rule.COMES_TO_REST, f"{at_once} steps at one instant")\n',
        "                break\n",
        f"{_ODD}[busy-Rule.COMES_TO_REST]",
    ),
    Mutant(
        "blind-to-lawful-frames",
        _WATCH,
        "raise self.fail(Rule.LAWFUL_FRAMES, reason)",
        "self.note(now, reason)",
        f"{_ODD}[unmasked-Rule.LAWFUL_FRAMES]",
    ),
    Mutant(
        "blind-to-once-and-in-order",
        _WATCH,
        'raise self.fail(Rule.ONCE_AND_IN_ORDER, f"{known.label} is delivered behind {self._last}")',
        "return",
        f"{_JUDGED}[Twice-Rule.ONCE_AND_IN_ORDER]",
    ),
    Mutant(
        "blind-to-unchanged",
        _WATCH,
        'raise self.fail(Rule.UNCHANGED, f"{name} is delivered with a d that never came")',
        "return",
        f"{_JUDGED}[Changed-Rule.UNCHANGED]",
    ),
    Mutant(
        "blind-to-right-session",
        _WATCH,
        "            if not socket.is_leaving:\n                self._dead[self._known.id] = now\n"
        "                self._known = None\n            else:\n                self._is_certain = False\n",
        "            self._is_certain = False\n",
        f"{_BUGS}[IGNORES_OP_9_FALSE]",
    ),
    Mutant(
        "blind-to-right-sequence-too-high",
        _WATCH,
        "if not known.delivered <= named.seq <= known.heard:",
        "if not known.delivered <= named.seq:",
        f"{_BUGS}[RESUMES_TOO_HIGH]",
    ),
    Mutant(
        "blind-to-right-sequence-too-low",
        _WATCH,
        "if not known.delivered <= named.seq <= known.heard:",
        "if not named.seq <= known.heard:",
        f"{_BUGS}[RESUMES_TOO_LOW]",
    ),
    Mutant(
        "blind-to-resumes",
        _WATCH,
        "if self._known is not None and self._is_certain and self.spoilt < SPOILT:",
        "if self._known is None and self._is_certain and self.spoilt > SPOILT:",
        f"{_BUGS}[NEVER_RESUMES]",
    ),
    Mutant(
        "blind-to-identify-spacing",
        _WATCH,
        "if since < IDENTIFY_PERIOD - 1e-6:",
        "if since < 0.0:",
        f"{_BUGS}[HURRIES]",
    ),
    Mutant(
        "blind-to-permits",
        _WATCH,
        "            if self.permits < 0:\n",
        "            if self.permits < -9:\n",
        "tests/test_testing_watch.py::test_an_identify_needs_a_permit_of_whoever_has_asked_for_one",
    ),
    Mutant(
        "blind-to-beats-in-time",
        _WATCH,
        "if socket.interval is not None and now > socket.beat_by:",
        "if socket.interval is None and now > socket.beat_by:",
        f"{_BUGS}[BEATS_LATE]",
    ),
    Mutant(
        "blind-to-answers-op-1",
        _WATCH,
        "if socket.asked_at is not None and now > socket.asked_at + ANSWER:",
        "if socket.asked_at is not None and now > socket.asked_at + 1e9:",
        f"{_BUGS}[DEAF_TO_OP_1]",
    ),
    Mutant(
        "blind-to-leaves-zombies",
        _WATCH,
        "if silent > SILENT_INTERVALS * socket.interval + SLACK:",
        "if silent > 1000 * SILENT_INTERVALS * socket.interval + SLACK:",
        f"{_BUGS}[NO_ZOMBIES]",
    ),
    Mutant(
        "blind-to-leaves-zombies-that-say-no-hello",
        _WATCH,
        "            if now > socket.beat_by:\n",
        "            if now > socket.beat_by + 1e9:\n",
        "tests/test_testing_watch.py::test_a_client_may_not_wait_for_a_hello_without_end",
    ),
    Mutant(
        "blind-to-send-limit",
        _WATCH,
        "if len(socket.written) > SEND_LIMIT:",
        "if len(socket.written) > 2 * SEND_LIMIT:",
        f"{_BUGS}[NO_BUDGET]",
    ),
    Mutant(
        "blind-to-fatal-is-fatal",
        _WATCH,
        "        if self._fatal is not None:\n",
        "        if self._fatal == 4001:\n",
        f"{_BUGS}[UNDEAD]",
    ),
    Mutant(
        "blind-to-comes-back",
        _HARNESS,
        "        if not self.is_connected:\n            raise",
        "        if not self.server:\n            raise",
        f"{_BUGS}[GIVES_UP]",
    ),
    Mutant(
        "blind-to-no-needless-dial",
        _WATCH,
        "if self._dials > 1 + DIALS_A_FAULT * self.faults:",
        "if self._dials > 100 + DIALS_A_FAULT * self.faults:",
        f"{_ODD}[dials-Rule.NO_NEEDLESS_DIAL]",
    ),
    # -- the harness -----------------------------------------------------------------------------------------------
    Mutant(
        "no-fault-is-a-reason-to-dial",
        _HARNESS,
        "self.watch.faults += fault not in HARMLESS_FAULTS or not self.is_connected",
        "self.watch.faults += 0",
        "tests/test_testing_watch.py::test_whatever_strikes_is_a_reason_to_dial_again",
    ),
    Mutant(
        "writes-are-not-cut",
        _HARNESS,
        "size = self._rng.randint(max(1, self._chunk // 2), self._chunk)",
        "size = self._rng.randint(max(1, self._chunk // 2), self._chunk) + 2**20",
        "tests/test_testing_watch.py::test_no_chunk_is_larger_than_was_asked_for",
    ),
    Mutant(
        "read-on-in-a-broken-stream",
        "gateway_proto/testing/taps.py",
        "            if self.is_broken:\n                break\n",
        "",
        "tests/test_testing_watch.py::test_a_broken_stream_tells_the_same_in_any_chunking",
    ),
    # -- the gateway in a thread -----------------------------------------------------------------------------------
    Mutant(
        "embedded-plan-left-out",
        _EMBEDDED,
        "return applied(config, script), script",
        "return config, script",
        "tests/test_control_embedded.py::test_a_script_is_played_to_a_bot_of_plain_code",
    ),
    Mutant(
        "embedded-script-not-played",
        _EMBEDDED,
        "        stack.enter_context(portal.wrap_async_context_manager(play(gateway, script)))\n",
        "",
        "tests/test_control_embedded.py::test_a_script_is_played_to_a_bot_of_plain_code",
    ),
    Mutant(
        "embedded-reaching-nobody-is-no-error",
        _EMBEDDED,
        "        if reached == 0:\n",
        "        if reached < 0:\n",
        "tests/test_control_embedded.py::test_it_does_and_tells_what_a_test_asks_for",
    ),
    Mutant(
        "embedded-all-shards-are-meant",
        _EMBEDDED,
        "    return ToShard(shard)\n",
        "    return ToAll()\n",
        "tests/test_control_embedded.py::test_it_does_and_tells_what_a_test_asks_for",
    ),
    Mutant(
        "embedded-waits-for-the-first-only",
        _EMBEDDED,
        "return awaited.came() >= awaited.wanted",
        "return awaited.came() >= 1",
        "tests/test_control_embedded.py::test_it_does_and_tells_what_a_test_asks_for",
    ),
    Mutant(
        "embedded-one-identify-in-five-seconds",
        _EMBEDDED,
        '        "identify_period": 0.0,\n',
        "",
        "tests/test_control_embedded.py::test_it_does_and_tells_what_a_test_asks_for",
    ),
)
