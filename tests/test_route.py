"""Which host is dialled next: the session's own twice, then in turns with the base (F01, F03)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.errors import BuildingUrlError
from gateway_proto.route import Route
from gateway_proto.secret import Secret

pytestmark = pytest.mark.failure("F01")

BASE = "wss://gateway.discord.gg"
RESUME = Secret("wss://gateway-us-east1-b.discord.gg")


def route(url: Secret | None = RESUME) -> Route:
    made = Route(BASE, ())
    if url is not None:
        assert made.set_resume_url(url) is None
    return made


def dials(route: Route, count: int) -> str:
    """The next dials, none of which brings a HELLO: R for the resume URL, B for the base."""
    return "".join(dial(route) for _ in range(count))


def dial(route: Route) -> str:
    host = route.dial().host
    assert host in ("gateway.discord.gg", "gateway-us-east1-b.discord.gg")
    return "B" if host == "gateway.discord.gg" else "R"


def test_without_a_session_the_base_for_ever() -> None:
    assert dials(route(None), 6) == "BBBBBB"


def test_two_dials_then_the_base_then_turns() -> None:
    assert dials(route(), 9) == "RRBRBRBRB"


def test_a_hello_on_the_resume_url_gives_it_two_dials_again() -> None:
    made = route()
    assert dials(made, 1) == "R"
    made.hello()
    assert dials(made, 4) == "RRBR"
    made.hello()
    assert dials(made, 3) == "RRB"


def test_a_base_that_answered_is_the_first_choice_until_it_fails() -> None:
    made = route()
    assert dials(made, 3) == "RRB"
    made.hello()
    assert dials(made, 1) == "B"
    made.hello()
    assert dials(made, 4) == "BRBR"


def test_a_new_session_starts_with_its_own_url() -> None:
    made = route()
    assert dials(made, 4) == "RRBR"
    assert made.set_resume_url(RESUME) is None
    assert dials(made, 3) == "RRB"
    made.hello()
    assert made.set_resume_url(RESUME) is None  # its READY came on the base
    assert dials(made, 3) == "RRB"


def test_the_url_goes_with_its_session() -> None:
    made = route()
    dials(made, 1)
    made.forget()
    assert dials(made, 3) == "BBB"
    made.hello()
    assert dials(made, 2) == "BB"


@pytest.mark.failure("F03")
@pytest.mark.parametrize("url", [None, Secret("ws://gateway.discord.gg"), Secret("wss://evil.example"), Secret("x")])
def test_a_url_that_may_not_be_used_is_told_and_replaces_the_old_one(url: Secret | None) -> None:
    made = route()
    assert isinstance(made.set_resume_url(url), BuildingUrlError)
    assert dials(made, 3) == "BBB"


@pytest.mark.failure("F03")
def test_further_domains() -> None:
    made = Route(BASE, ("proxy.example",))
    assert made.set_resume_url(Secret("wss://eu.proxy.example")) is None
    assert made.dial().host == "eu.proxy.example"


@given(st.lists(st.booleans(), max_size=60))
def test_no_host_is_dialled_a_third_time_without_a_hello_while_there_is_another(hellos: list[bool]) -> None:
    made, since = route(), ""
    for alive in hellos:
        since += dial(made)
        assert not since.endswith(("RRR", "BB")), since
        if alive:
            made.hello()
            assert dial(made) == since[-1]  # who answered is dialled again
            since = since[-1] if since[-1] == "B" else "R"
