"""The rule machine of tests/test_machine.py in brief, the same examples every time: for faults that only a story shows.

The name of this file keeps it out of the suite, where the whole machine runs.
"""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ..test_machine import ShardAgainstServer


def test_shard_against_server_in_brief() -> None:
    run_state_machine_as_test(
        ShardAgainstServer,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
