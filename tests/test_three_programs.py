"""Three programs of one bot on one machine, one of which is killed again and again (F20, F32, F38).

Real processes over real sockets against `gateway-proto serve`, which enforces max_concurrency and counts IDENTIFYs by
its own clock. The verdict is made from the numbers in the payloads and the server's journal alone.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from .program_helpers import TOTAL, Life, Machine, Program, Verdict, judge, machine

pytestmark = [
    pytest.mark.failure("F20", "F32", "F38"),
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL, and no pipe with a name in a folder"),
]

VICTIM: Final = range(4)
OTHERS: Final = (range(4, 7), range(7, 10))
KILLS: Final = 10
# Five buckets: each is shared by shards of two programs, and by none of the same one.
SERVE: Final = ("--max-concurrency", "5", "--rate", "20")
STAGES: Final = 4
"""Of a shard, from the dial to READY or RESUMED."""


def finish(m: Machine, lives: list[Life], program: Program) -> dict[int, int]:
    """Stop all programs, and let a last one run all the shards. Returns for each the last number that had been sent
    when it resumed, once everything up to there has come."""
    m.stop(lives)
    last = m.start(program)

    def sent() -> dict[int, int]:
        return {line["shard"][0]: line["number"] for line in m.said("resume", last.since)}

    def come() -> dict[int, int]:
        return {event.shard_id: event.number for event in last.events}

    m.until(lambda: len(sent()) == TOTAL and all(come().get(id, 0) >= number for id, number in sent().items()))
    m.stop([last])
    return sent()


def refusals(m: Machine) -> list[dict[str, Any]]:
    """Those of gateway connections; the others are our marks."""
    return [line for line in m.said("refusal") if "status" not in line]


def identified(m: Machine) -> Counter[int]:
    """IDENTIFYs by shard."""
    return Counter(line["shard"][0] for line in m.said("identify"))


def a_moment(rng: random.Random, m: Machine, life: Life) -> Callable[[], bool]:
    """Holds after some more events of this program, or of all of them: it may not have dialled yet then."""
    if rng.random() < 0.5:
        own = rng.randint(1, 60)
        return lambda: len(life.events) >= own
    goal = m.events() + rng.randint(1, 200)
    return lambda: m.events() >= goal


def a_moment_of_its_start(rng: random.Random, m: Machine, life: Life) -> Callable[[], bool]:
    """Holds after some steps of its start, seen by itself or by the server, or once it has all its shards."""
    if rng.random() < 0.5:
        steps = rng.randint(1, STAGES * len(VICTIM))
        return lambda: len(life.stages) >= steps or life.up == set(VICTIM)
    steps = rng.randint(1, len(VICTIM))

    def greeted() -> int:
        lines = [*m.said("identify", life.since), *m.said("resume", life.since)]
        return sum(line["shard"][0] in VICTIM for line in lines)

    return lambda: greeted() >= steps or life.up == set(VICTIM)


@pytest.mark.parametrize(("seed", "backends"), [(1, ("asyncio", "trio"))])
def test_kills_after_ready_lose_nothing_and_cost_no_identify(
    seed: int, backends: tuple[str, str], tmp_path: Path
) -> None:
    """READY of its shards is in the file from before the first kill on, so that each kill is at a random moment after
    it: while events flow, replays come, or the process is still being started. 0 lost means that every number from 1
    to the last that the server had sent before the end has been taken by some process."""
    rng = random.Random(seed)
    victim = Program(backends[0], VICTIM)
    with machine(tmp_path, *SERVE) as m:
        others = [m.start(Program(backends[1], shards)) for shards in OTHERS]
        life = m.start(victim)
        m.until(lambda: life.up == set(VICTIM))
        sessions = {id: session for id, session in m.stored().items() if id in VICTIM}
        assert sessions.keys() == set(VICTIM)
        for _ in range(KILLS):
            m.until(a_moment(rng, m, life))
            m.kill(life)
            assert m.stored().items() >= sessions.items()
            life = m.start(victim)
        m.until(lambda: life.up == set(VICTIM) and all(len(other.up) == 3 for other in others))
        sent = finish(m, [life, *others], Program(backends[1], range(TOTAL)))
        left = m.identifies_left()
        m.close()
    verdict = judge(m.lives, {id: range(1, number + 1) for id, number in sent.items()})
    print(verdict, sum(sent.values()), m.events(), len(list(m.said("resume"))))
    assert refusals(m) == []
    assert identified(m) == dict.fromkeys(range(TOTAL), 1)
    assert left == 1000 - TOTAL
    assert verdict._replace(doubles=0) == Verdict(0, 0, 0, 0, 0)
    assert verdict.doubles, "no kill came between a delivery and its being stored"


@pytest.mark.parametrize(("seed", "backends"), [(2, ("trio", "asyncio"))])
def test_kills_during_the_start_cost_an_identify_for_each_ready_that_was_not_stored(
    seed: int, backends: tuple[str, str], tmp_path: Path
) -> None:
    """Which READYs were stored, the parent reads in the file right after each kill; which IDENTIFYs that life had sent,
    in the server's journal.

    A shard's numbers go on over its sessions. What was sent to a session that nobody could resume is no program's to
    have; it was never READY for it. So 0 lost means here: of each shard, every number that was sent to the session
    that was stored, which is from after its IDENTIFY to the last that the server had sent before the end, has been
    taken by some process. And none from before was.
    """
    rng = random.Random(seed)
    victim = Program(backends[0], VICTIM)
    with machine(tmp_path, *SERVE) as m:
        victims: list[Life] = []
        stored: list[dict[int, str]] = [{}]
        """At the start of each of its lives, and thus at the end of the one before."""
        others = []
        for kill in range(KILLS):
            life = m.start(victim)
            victims.append(life)
            if not kill:
                others = [m.start(Program(backends[1], shards)) for shards in OTHERS]
            m.until(a_moment_of_its_start(rng, m, life))
            m.kill(life)
            stored.append({id: session for id, session in m.stored().items() if id in VICTIM})
        life = m.start(victim)
        victims.append(life)
        m.until(lambda: life.up == set(VICTIM) and all(len(other.up) == 3 for other in others))
        stored.append({id: session for id, session in m.stored().items() if id in VICTIM})
        sent = finish(m, [life, *others], Program(backends[1], range(TOTAL)))
        left = m.identifies_left()
        m.close()
    in_vain = 0
    ends = [life.since for life in victims[1:]] + [m.lives[-1].since]
    for life, end, before, after in zip(victims, ends, stored, stored[1:], strict=False):
        assert after.items() >= before.items()  # what is stored stays
        tries = [line["shard"][0] for line in m.said("identify", life.since) if line["connection"] < end]
        mine = [id for id in tries if id in VICTIM]
        assert sorted(mine) == sorted(set(mine) - before.keys())  # once each, and none that it could resume
        in_vain += len(set(mine) - after.keys())
    first = {line["shard"][0]: line["number"] + 1 for line in m.said("identify")}  # the last one of each
    verdict = judge(m.lives, {id: range(first[id], number + 1) for id, number in sent.items()})
    resumes = len(list(m.said("resume")))
    rows = [len(rows) for rows in stored]
    print(verdict, sum(sent.values()), m.events(), resumes, in_vain, rows)
    assert refusals(m) == []
    assert identified(m).total() == TOTAL + in_vain
    assert left == 1000 - TOTAL - in_vain
    assert verdict._replace(doubles=0) == Verdict(0, 0, 0, 0, 0)
    assert in_vain, "no kill came between an IDENTIFY and its READY being stored"
