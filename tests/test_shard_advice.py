"""Advice about shard counts: who needs it gets it, who follows it needs no more, and it has the numbers."""

import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_proto import LocalProtocolError
from gateway_proto.fleet import guild_count_advice, shard_count_advice

COUNTS = st.integers(1, 40) | st.integers(1, 2**20)
CONCURRENCY = st.sampled_from([1, 2, 16, 64])


def codes(advice: list[str]) -> list[str]:
    return [code for line in advice for code in re.findall(r"close code (\d+)", line)]


def counts_to_run(line: str) -> list[int]:
    found = re.search(r"; run (\d+)(?: or (\d+))? shards$", line)
    assert found is not None, line
    return [int(count) for count in found.groups() if count is not None]


def test_a_count_that_suits_needs_no_advice() -> None:
    assert shard_count_advice(1, recommended=1) == []
    assert shard_count_advice(10, recommended=9) == []
    assert shard_count_advice(4, recommended=9) == []  # 2,250 guilds a shard
    assert shard_count_advice(320, recommended=160, max_concurrency=16) == []


def test_too_many_guilds_a_shard() -> None:
    assert shard_count_advice(3, recommended=9) == [
        "the shard count 3 is too low: Discord recommends 9, one for each 1,000 guilds or so; "
        "a shard would have about 3,000 and is allowed 2,500 (close code 4011); run 9 shards"
    ]


def test_to_the_guild() -> None:
    assert shard_count_advice(2, recommended=5) == []  # 2,500 are allowed
    [line] = shard_count_advice(399, recommended=998)
    assert "about 2,502 and is allowed 2,500" in line  # 2,501.3: never as if it were allowed
    [line] = shard_count_advice(12_799, recommended=31_998)
    assert "about 2,501 and is allowed 2,500" in line  # 2,500.04


def test_a_very_large_bot_runs_a_multiple() -> None:
    assert shard_count_advice(176, recommended=160, max_concurrency=16) == [
        "the shard count 176 is no multiple of 160, which Discord recommends: a very large bot (max_concurrency 16) "
        "must run a multiple of the number of shards that Discord assigned to it, or is refused (close code 4010); "
        "run 160 or 320 shards"
    ]
    assert shard_count_advice(176, recommended=160) == []


def test_both_at_once_point_to_the_same_count() -> None:
    advice = shard_count_advice(16, recommended=160, max_concurrency=16)
    assert codes(advice) == ["4010", "4011"]
    assert [counts_to_run(line) for line in advice] == [[160], [160]]


@given(total=COUNTS, max_concurrency=CONCURRENCY)
def test_without_a_recommendation_there_is_nothing_to_say(total: int, max_concurrency: int) -> None:
    assert shard_count_advice(total, recommended=None, max_concurrency=max_concurrency) == []


@given(total=COUNTS, recommended=COUNTS, max_concurrency=CONCURRENCY)
@example(total=2, recommended=5, max_concurrency=1)
@example(total=12_799, recommended=31_998, max_concurrency=1)
def test_each_warning_comes_exactly_where_it_holds(total: int, recommended: int, max_concurrency: int) -> None:
    advice = shard_count_advice(total, recommended=recommended, max_concurrency=max_concurrency)
    expected = []
    if max_concurrency > 1 and Fraction(total, recommended).denominator > 1:
        expected.append("4010")
    if Fraction(1000 * recommended, total) > 2500:
        expected.append("4011")
    assert codes(advice) == expected
    for line in advice:
        assert line.isprintable()
        assert {str(total), str(recommended)} <= set(re.findall(r"\d+", line))


@given(total=COUNTS, recommended=COUNTS, max_concurrency=CONCURRENCY)
def test_whoever_follows_the_advice_needs_no_more(total: int, recommended: int, max_concurrency: int) -> None:
    for line in shard_count_advice(total, recommended=recommended, max_concurrency=max_concurrency):
        for count in counts_to_run(line):
            assert shard_count_advice(count, recommended=recommended, max_concurrency=max_concurrency) == []


@given(total=st.integers(2, 10**6), recommended=st.integers(2, 10**6))
def test_the_multiples_named_are_the_next_ones(total: int, recommended: int) -> None:
    for line in shard_count_advice(total, recommended=recommended, max_concurrency=2):
        if codes([line]) == ["4010"] and total > recommended:
            below, above = counts_to_run(line)
            assert below < total < above == below + recommended


@pytest.mark.parametrize(
    ("total", "recommended", "max_concurrency"), [(0, 9, 1), (-1, None, 1), (1, 0, 1), (1, 9, 0), (0, None, 1)]
)
def test_a_count_below_one_is_the_callers_mistake(total: int, recommended: int | None, max_concurrency: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"at least 1, not {total}, {recommended} and {max_concurrency}$"):
        shard_count_advice(total, recommended=recommended, max_concurrency=max_concurrency)


def test_a_shard_that_fills_up() -> None:
    assert guild_count_advice(3, 2000) is None
    assert guild_count_advice(3, 2001) == (
        "shard 3 has 2,001 guilds and Discord allows a shard 2,500 (close code 4011); "
        "start with more shards, as many as GET /gateway/bot recommends by now"
    )


@given(shard_id=st.integers(0, 2**20), guilds=st.integers(0, 5000))
def test_a_shard_is_told_its_own_numbers_above_2000_guilds(shard_id: int, guilds: int) -> None:
    line = guild_count_advice(shard_id, guilds)
    assert (line is not None) == (guilds > 2000)
    if line is not None:
        assert line.isprintable()
        assert line.startswith(f"shard {shard_id} has {guilds:,} guilds ")
