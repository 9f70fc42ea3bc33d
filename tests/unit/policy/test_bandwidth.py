"""BANDWIDTH: what may be typed, which rate counts when, and that no more passes than the rate allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.base.units import KIB, MIB
from farvault.model.attribute import BadValue
from farvault.model.bandwidth import DAY_MINUTES, Bandwidth, Rates, Window, parse_rates
from farvault.policy.bandwidth import BURST_SECONDS, TokenBucket, rate_at


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        ("nolimit", ""),
        ("10m", "10M"),
        ("1048576", "1M"),
        ("100000", "100000"),
        ("10M,08:00-18:00=1m", "10M,08:00-18:00=1M"),
        ("10M, 18:00-24:00=2M, 08:00-18:00=1M", "10M,08:00-18:00=1M,18:00-24:00=2M"),
        ("64k,22:00-06:00=nolimit", "64K,22:00-06:00=NOLIMIT"),
        ("NOLIMIT,08:00-18:00=16K", "NOLIMIT,08:00-18:00=16K"),
    ],
)
def test_a_limit_is_stored_in_one_spelling(typed: str, stored: str) -> None:
    assert Bandwidth().parse(typed) == stored
    assert Bandwidth().parse(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "fast",
        "15K",
        "0",
        "-1M",
        "10M,",
        "08:00-18:00=1M",
        "10M,8:00-18:00=1M",
        "10M,08:00-18:00",
        "10M,08:00-08:00=1M",
        "10M,00:00-24:00=1M",
        "10M,24:00-01:00=1M",
        "10M,08:60-18:00=1M",
        "10M,08:00-24:01=1M",
        "10M,08:00-18:00=1M,17:59-19:00=2M",
        "10M,22:00-06:00=1M,05:00-07:00=2M",
        "10M" + "".join(f",{h:02}:{m:02}-{h:02}:{m + 1:02}=1M" for h in range(5) for m in range(0, 50, 10)),
    ],
)
def test_what_is_no_limit_is_refused_with_what_would_be(typed: str) -> None:
    with pytest.raises(BadValue, match=r"\w"):
        Bandwidth().parse(typed)


@pytest.mark.parametrize(
    ("time", "rate"),
    [
        ("00:00", 4),
        ("05:59", 4),
        ("06:00", 1),
        ("07:59", 1),
        ("08:00", 2),
        ("17:59", 2),
        ("18:00", 1),
        ("21:59", 1),
        ("22:00", 4),
        ("23:59", 4),
    ],
)
def test_a_window_counts_from_its_first_minute_up_to_its_end_also_past_midnight(time: str, rate: int) -> None:
    rates = parse_rates("1M,08:00-18:00=2M,22:00-06:00=4M")
    assert rate_at(rates, int(time[:2]) * 60 + int(time[3:])) == rate * MIB


@given(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1))
def test_a_window_covers_the_minutes_it_names(start: int, end: int, minute: int) -> None:
    if start == end:
        return
    window = Window(start, end, None)
    assert (rate_at(Rates(MIB, (window,)), minute) is None) == (minute in window.minutes)


def test_a_record_larger_than_a_seconds_worth_passes_and_the_next_one_waits_for_all_of_it() -> None:
    bucket = TokenBucket()
    bucket.fill(0, 64 * KIB)
    assert bucket.take(4 * MIB, 64 * KIB) == 0
    assert bucket.take(KIB, 64 * KIB) == 64
    bucket.fill(64, 64 * KIB)
    assert bucket.take(KIB, 64 * KIB) == 0


def test_without_a_limit_there_is_no_debt_left_from_before() -> None:
    bucket = TokenBucket()
    bucket.take(MIB, 16 * KIB)
    bucket.fill(1, None)
    assert bucket.take(MIB, None) == 0
    bucket.fill(2, 16 * KIB)
    assert bucket.take(MIB, 16 * KIB) == 0


@given(
    st.integers(16 * KIB, 100 * MIB),
    st.lists(st.tuples(st.floats(0, 100), st.integers(4 * KIB, 5 * MIB)), max_size=50),
)
def test_over_any_time_no_more_passes_than_the_rate_a_seconds_worth_and_one_record(
    rate: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now = TokenBucket(), 0.0
    passed: list[tuple[float, int]] = []
    for pause, size in steps:
        now += pause
        bucket.fill(now, rate)
        while wait := bucket.take(size, rate):
            now += wait + 1e-6
            bucket.fill(now, rate)
        passed.append((now, size))
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            total = sum(size for _, size in passed[first : last + 1])
            most = rate * (passed[last][0] - passed[first][0] + BURST_SECONDS) + passed[last][1]
            assert total <= most + 1
