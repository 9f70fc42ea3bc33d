"""Whatever the sizes, everything is checked within the period, what is new within a week, and no run is larger than it must be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.policy.scrub import (
    DAMAGED,
    DAY_SECONDS,
    GOOD,
    NEW_SECONDS,
    UNREADABLE,
    VolumeCheck,
    VolumeState,
    coverage,
    notice_new,
    pieces_of,
    plan,
    run_seconds,
)

DAY = DAY_SECONDS
NOW = 1000 * DAY
GIB = 1 << 30


def checked(days_ago: float, size: int, volume_id: int = 1, **more: int) -> VolumeState:
    """A sequential volume all of which was checked so long ago."""
    check = VolumeCheck(
        volume_id, checked_time=int(NOW - days_ago * DAY), checked_to_bytes=size, verdict=GOOD
    )
    return state(check._replace(**more), size)


def state(check: VolumeCheck, size: int, *, is_random: bool = False, readable: bool = True) -> VolumeState:
    return VolumeState(check, is_random, readable, size, NOW - 100 * DAY)


# --- the plan, by table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "order"),
    [
        ([checked(10, GIB, 1), checked(50, GIB, 2), checked(30, GIB, 3)], [2, 3, 1]),
        ([checked(10, GIB, 2), checked(10, GIB, 1)], [1, 2]),
        ([checked(82, GIB, 1), state(VolumeCheck(2, new_time=NOW - 6 * DAY), GIB)], [1, 2]),
        ([checked(70, GIB, 1), state(VolumeCheck(2, new_time=NOW - 6 * DAY), GIB)], [2, 1]),
        ([state(VolumeCheck(1), GIB, readable=False), checked(1, 0, 2), checked(1, GIB, 3)], [3]),
    ],
    ids=[
        "oldest first",
        "then by number",
        "late before new",
        "new before old",
        "what cannot be read is left out",
    ],
)
def test_the_order_is_by_when_it_is_due(states: list[VolumeState], order: list[int]) -> None:
    assert [piece.volume_id for piece in plan(states, NOW, 90).pieces] == order


@pytest.mark.parametrize(
    ("states", "days", "budget"),
    [
        ([], 90, 0),
        ([checked(0, 81 * GIB)], 90, GIB),
        ([checked(80, 100), checked(0, 81 * GIB, 2)], 90, GIB + 2),
        ([checked(90, GIB)], 90, GIB),
        ([checked(79, 2 * GIB)], 90, GIB),
        ([state(VolumeCheck(1, new_time=NOW), 6 * GIB)], 90, GIB),
        ([checked(0, 9 * GIB)], 1, GIB),
    ],
    ids=[
        "nothing",
        "evenly",
        "little that is due soon",
        "all of what is late",
        "two runs left",
        "new: 6 runs",
        "a day",
    ],
)
def test_a_run_takes_its_even_share(states: list[VolumeState], days: int, budget: int) -> None:
    assert plan(states, NOW, days).budget_bytes == budget


def test_of_a_pass_under_way_only_the_rest_counts() -> None:
    under_way = checked(10, 8 * GIB, pass_time=NOW - DAY, next_offset=6 * GIB)
    assert [piece.size_bytes for piece in pieces_of(under_way, 90)] == [2 * GIB]


def test_what_was_appended_is_a_piece_of_its_own() -> None:
    grown = checked(10, GIB, new_time=NOW - DAY)._replace(end_bytes=3 * GIB)
    new, again = sorted(pieces_of(grown, 90), key=lambda piece: not piece.is_new)
    assert (new.is_new, new.size_bytes) == (True, 2 * GIB)
    assert new.due_time <= NOW - DAY + NEW_SECONDS
    assert (again.is_new, again.size_bytes, again.due_time) == (False, GIB, NOW - 10 * DAY + 81 * DAY)


@pytest.mark.parametrize(
    ("before", "last_written", "noticed"),
    [
        (checked(10, GIB), NOW - 20 * DAY, 0),
        (checked(10, GIB)._replace(end_bytes=2 * GIB), NOW - 2 * DAY, NOW - 2 * DAY),
        (checked(10, GIB, new_time=NOW - 5 * DAY)._replace(end_bytes=2 * GIB), NOW, NOW - 5 * DAY),
        (checked(10, GIB)._replace(is_random=True), NOW - 20 * DAY, 0),
        (checked(10, GIB)._replace(is_random=True), NOW - 2 * DAY, NOW - 2 * DAY),
        (state(VolumeCheck(1), GIB), 0, NOW),
    ],
    ids=[
        "nothing",
        "appended",
        "noticed before",
        "random, as it was",
        "random, written since",
        "never written down",
    ],
)
def test_new_data_is_noticed_once(before: VolumeState, last_written: int, noticed: int) -> None:
    assert notice_new(before._replace(last_written_time=last_written), NOW).new_time == noticed


# --- how far it has come -----------------------------------------------------------------------------------------------


def test_a_pass_counts_from_its_beginning_and_forgets_old_damage() -> None:
    check = VolumeCheck(1, bad_records=3, verdict=DAMAGED).begun(100).passed(5, 0, 200).completed(10)
    assert (check.checked_time, check.checked_to_bytes, check.verdict, check.pass_time) == (100, 10, GOOD, 0)


def test_damage_shows_at_once_and_stays_until_a_pass_finds_none() -> None:
    check = VolumeCheck(1, verdict=GOOD).begun(100).passed(5, 1, 200)
    assert check.verdict == DAMAGED
    check = check.completed(10)
    assert (check.verdict, check.bad_records) == (DAMAGED, 1)
    assert check.extended(20, 0, 300, 300).verdict == DAMAGED
    assert check.begun(400).completed(20).verdict == GOOD


def test_checking_what_was_appended_makes_nothing_older_younger() -> None:
    first = VolumeCheck(1, new_time=90).extended(10, 0, 100, 110)
    assert (first.checked_time, first.checked_to_bytes, first.verdict) == (100, 10, GOOD)
    second = first.extended(30, 0, 500, 510).caught_up()
    assert (second.checked_time, second.checked_to_bytes, second.new_time) == (100, 30, 0)


def test_a_volume_that_is_back_has_no_verdict_until_it_is_read() -> None:
    check = VolumeCheck(1).unreadable(50)
    assert check.verdict == UNREADABLE
    assert check.extended(10, 0, 100, 100).verdict == GOOD


# --- coverage ----------------------------------------------------------------------------------------------------------


def test_coverage_adds_up() -> None:
    states = [
        checked(10, 700),
        checked(91, 200, 2),
        state(VolumeCheck(3, new_time=NOW - 8 * DAY), 100, readable=False),
    ]
    found = coverage(states, NOW, 90)
    assert (found.total_bytes, found.in_time_bytes, found.late_bytes, found.percent) == (1000, 700, 300, 70.0)


def test_coverage_is_never_rounded_up_to_everything() -> None:
    states = [checked(1, 10**9), state(VolumeCheck(2, new_time=NOW), 1)]
    assert coverage(states, NOW, 90).percent == 99.9
    assert coverage([], NOW, 90).percent == 100.0


# --- the whole, over time ----------------------------------------------------------------------------------------------


class Model:
    """Volumes of which each byte remembers when it was written and checked last, a run after the other."""

    def __init__(self, sizes: list[int], randoms: list[bool], days: int) -> None:
        self.days, self.now = days, NOW
        self.states = [
            VolumeState(VolumeCheck(number), is_random, True, size, NOW)
            for number, (size, is_random) in enumerate(zip(sizes, randoms, strict=True))
        ]
        self.read = 0

    def append(self, number: int, size: int) -> None:
        one = self.states[number]
        if not one.is_random:
            self.states[number] = one._replace(end_bytes=one.end_bytes + size, last_written_time=self.now)

    def run(self) -> int:
        """Returns the budget; each piece is cut where the budget ends."""
        self.states = [one._replace(check=notice_new(one, self.now)) for one in self.states]
        wanted = plan(self.states, self.now, self.days)
        left = wanted.budget_bytes
        for piece in wanted.pieces:
            took = min(piece.size_bytes, left)
            if took or not piece.size_bytes:
                self._take(piece.volume_id, piece.is_new, took)
            left -= took
        self.now += run_seconds(self.days)
        return wanted.budget_bytes

    def _take(self, number: int, is_new: bool, took: int) -> None:
        one = self.states[number]
        check = one.check
        if is_new:
            check = check.extended(check.checked_to_bytes + took, 0, self.now, self.now)
            if check.checked_to_bytes == one.end_bytes:
                check = check.caught_up()
        else:
            check = check if check.pass_time else check.begun(self.now)
            check = check.passed(check.next_offset + took, 0, self.now)
            end = one.end_bytes if one.is_random else check.checked_to_bytes
            if check.next_offset >= end:
                check = check.completed(0 if one.is_random else end, 0 if one.is_random else check.new_time)
        left = one.end_bytes - check.next_offset
        self.states[number] = one._replace(check=check, left_bytes=left)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10**13), min_size=1, max_size=8),
    randoms=st.lists(st.booleans(), min_size=8, max_size=8),
    days=st.integers(1, 400),
    appends=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 7), st.integers(1, 10**12)), max_size=12),
)
def test_nothing_is_ever_late(
    sizes: list[int], randoms: list[bool], days: int, appends: list[tuple[int, int, int]]
) -> None:
    model = Model(sizes, randoms[: len(sizes)], days)
    for turn in range(150):
        for when, number, size in appends:
            if when == turn and number < len(sizes):
                model.append(number, size)
        model.run()
        assert coverage(model.states, model.now, days).late_bytes == 0
    assert all(one.check.checked_to_bytes or one.check.checked_time for one in model.states)


@given(sizes=st.lists(st.integers(10**6, 10**13), min_size=1, max_size=8), days=st.integers(30, 400))
@settings(max_examples=30, deadline=None)
def test_once_settled_no_more_is_read_than_needed(sizes: list[int], days: int) -> None:
    """The margin, and once more the largest volume: a pass over it counts from its beginning (docs/decisions/0048)."""
    model = Model(sizes, [False] * len(sizes), days)
    runs = days * DAY // run_seconds(days)
    for _ in range(2 * runs):
        model.run()
    read = sum(model.run() for _ in range(runs))
    assert read <= 1.35 * (sum(sizes) + max(sizes))
