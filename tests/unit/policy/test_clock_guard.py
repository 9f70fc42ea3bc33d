"""The clock guard: nothing is over before it is over for certain, whatever is done to the clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.clock_guard import DAY_SECONDS, ClockState, Moment, confirmed, elapsed, look

HOUR = 3600
START = ClockState(1_000_000_000, 5_000, 0)


@pytest.mark.parametrize(
    ("wall", "running", "frozen"),
    [
        (HOUR, HOUR, False),
        (30 * DAY_SECONDS, 30 * DAY_SECONDS, False),
        (DAY_SECONDS, 0, False),
        (DAY_SECONDS + 1, 0, True),
        (DAY_SECONDS + HOUR, HOUR, False),
        (DAY_SECONDS + HOUR + 1, HOUR, True),
        (3650 * DAY_SECONDS, HOUR, True),
        (-3650 * DAY_SECONDS, HOUR, False),
        (-HOUR, 0, False),
    ],
)
def test_a_jump_forward_of_more_than_a_day_freezes(wall: int, running: int, frozen: bool) -> None:
    seen = look(START, START.wall + wall, START.running + running)
    assert bool(seen.frozen_time) is frozen
    assert seen.moment == (START.wall + wall, START.running + running)


def test_frozen_it_stays_until_it_is_confirmed_also_when_the_clock_goes_back() -> None:
    jumped = look(START, START.wall + 2 * DAY_SECONDS, START.running)
    back = look(jumped, START.wall, START.running + 1)
    assert back.frozen_time == jumped.frozen_time == START.wall + 2 * DAY_SECONDS
    assert confirmed(back) == back._replace(frozen_time=0)
    assert not look(confirmed(back), START.wall + HOUR, START.running + HOUR).frozen_time


def test_the_first_look_ever_believes_the_clock() -> None:
    assert look(None, 77, 0) == ClockState(77, 0, 0)


def test_running_time_never_becomes_less() -> None:
    assert look(START, START.wall, START.running - 100).running == START.running


@given(
    st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, 10**6), st.integers(0, 10**6)
)
def test_no_more_has_passed_than_either_measure_says(wall: int, later: int, ran: int, more: int) -> None:
    passed = elapsed(Moment(wall, ran), Moment(later, ran + more))
    assert passed <= more and passed <= later - wall


@pytest.mark.parametrize("seed", range(20))
def test_a_thousand_jumps_end_no_period_early(seed: int) -> None:
    """H1: ±1 hour, ±1 day, ±10 years, both nights of summer time, 29 February, a leap second, and restarts."""
    jumps = (HOUR, DAY_SECONDS, 3650 * DAY_SECONDS, DAY_SECONDS - 1, 59, 1, 86_399, 28 * DAY_SECONDS)
    chance = random.Random(seed)
    true_seconds, wall_error, running, period = 0, 0, 0, 5 * DAY_SECONDS
    state = look(None, 1_700_000_000, 0)
    since, since_true, early, over = state.moment, 0, 0, 0
    for _ in range(1000):
        step = chance.randrange(0, 2 * HOUR)
        true_seconds += step
        if chance.random() < 0.9:
            running += step  # else the server did not run meanwhile
        wall_error += chance.choice((-1, 1)) * chance.choice(jumps)
        state = look(state, 1_700_000_000 + true_seconds + wall_error, running)
        if chance.random() < 0.3:
            state = confirmed(state)  # the administrator believes whatever it shows
        if not state.frozen_time and elapsed(since, state.moment) >= period:
            early += true_seconds - since_true < period
            over += 1
            since, since_true = state.moment, true_seconds
    assert early == 0
    assert over or elapsed(since, state.moment) < true_seconds
