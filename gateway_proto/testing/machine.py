"""A Hypothesis rule machine that you aim at a client of your own.

    class MyMachine(GatewayMachine):
        def make_client(self, url, rng):
            return MyAdapter(url, rng)                      # see gateway_proto.testing.adapter

    TestMyClient = MyMachine.TestCase                       # pytest and unittest find it

or, within a test, `check_client(MyAdapter)`. The machine draws what befalls the client (events, faults, torn sockets,
close codes, commands, time), plays it with a `Harness`, and ends each run with `settle`. What it finds is a `Finding`:
a rule, how it was broken, and what happened before; Hypothesis shrinks the steps to the few that matter.
"""

import random
from typing import Any, Final

from hypothesis import HealthCheck, Phase
from hypothesis import settings as Settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from .adapter import ClientAdapter
from .harness import Harness, MakeClient
from .steps import Wait
from .strategies import CHUNKS, INTERVALS, LATENCIES, Steps, step_groups

SETTINGS: Final = Settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    # Not 50: a hundred runs of so many groups find what the tests list nearly always, in less time.
    stateful_step_count=35,
    # Not to explain, too: that runs the machine a thousand times more, and took 87 of 89 seconds.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
"""What Hypothesis is told unless you tell it something else."""
CONNECTED_BY: Final[float] = 10.0
"""Seconds that a client has from its first dial on, before the first fault."""


class GatewayMachine(RuleBasedStateMachine):
    """Subclass it and say how a client is made. `harness` plays and judges, once the client is connected."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.TestCase.settings = SETTINGS

    def __init__(self) -> None:
        super().__init__()
        self.harness: Harness | None = None

    def make_client(self, url: str, rng: random.Random) -> ClientAdapter:
        """A client that is to dial `url`, and draws by `rng`. Called once a run, and after a fatal close."""
        # No abstract method: Hypothesis makes an instance of whatever class it is given.
        raise NotImplementedError("say in make_client how the client that is to be tested is made")

    @initialize(
        interval=st.sampled_from(INTERVALS),
        latency=st.sampled_from(LATENCIES),
        chunk=st.sampled_from(CHUNKS),
        seed=st.integers(0, 2**16),
    )
    def begin(self, interval: float, latency: float, chunk: int, seed: int) -> None:
        self.harness = Harness(self.make_client, interval=interval, latency=latency, chunk=chunk, seed=seed)
        self.harness.play(Wait(CONNECTED_BY))

    @rule(steps=step_groups())
    def happens(self, steps: Steps) -> None:
        # One rule and not eleven: a sequence of draws of one kind shrinks like a list, to two or three steps; with a
        # rule for each kind of step Hypothesis gives up early, and takes three times as long to.
        assert self.harness is not None
        self.harness.play(*steps)

    def teardown(self) -> None:
        if self.harness is not None and not self.harness.has_failed:
            self.harness.settle()


def machine_for(make_client: MakeClient) -> type[GatewayMachine]:
    """The machine for clients that are made so: what a subclass with `make_client` would be."""

    class Machine(GatewayMachine):
        def make_client(self, url: str, rng: random.Random) -> ClientAdapter:
            return make_client(url, rng)

    return Machine


def check_client(make_client: MakeClient, *, settings: Settings | None = None) -> None:
    """Run the machine on a client, by `SETTINGS` or by your own (`derandomize`, `max_examples` …).

    Raises:
        Finding: a rule was broken, by the steps that Hypothesis prints with it.
    """
    run_state_machine_as_test(machine_for(make_client), settings=settings or SETTINGS)
