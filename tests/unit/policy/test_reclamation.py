"""Which volumes are emptied, in which order; which aggregates are made anew. A golden table and what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.reclamation import (
    BLOCK_BYTES,
    NEVER,
    VolumeState,
    choose,
    eligible,
    is_worth_rebuilding,
    rebuild_percent,
)

MIB = 1 << 20


def volume(
    number: int = 1,
    dead: int = 0,
    *,
    written: int = 100,
    capacity: int = 100,
    access: str = "READWRITE",
    status: str = "FULL",
) -> VolumeState:
    """Sizes in MiB."""
    return VolumeState(number, access, status, capacity * MIB, written * MIB, (written - dead) * MIB)


@pytest.mark.parametrize(
    ("state", "threshold", "expected"),
    [
        (volume(dead=61), 60, True),
        (volume(dead=60), 60, False),  # it has to rise above
        (volume(dead=100), 99, True),
        (volume(dead=100), NEVER, False),
        (volume(dead=0), 1, False),
        (volume(dead=90, status="FILLING"), 60, False),
        (volume(dead=90, status="PENDING"), 60, False),
        (volume(dead=90, access="READONLY"), 60, True),
        (volume(dead=90, access="UNAVAILABLE"), 60, False),
        (volume(dead=90, access="DESTROYED"), 60, False),
        (volume(dead=90, access="OFFSITE"), 60, True),
        (volume(dead=0, written=30, access="OFFSITE", status="FILLING"), 60, True),  # never written counts
        (volume(dead=0, written=40, access="OFFSITE", status="FILLING"), 60, False),
        (volume(dead=100, access="OFFSITE", status="PENDING"), 60, False),
        (volume(written=0, status="EMPTY"), 1, False),
        (volume(written=0, access="OFFSITE", status="FILLING"), 1, False),
    ],
)
def test_a_volume_is_worth_it_or_not(state: VolumeState, threshold: int, expected: bool) -> None:
    assert eligible(state, threshold) is expected


def test_the_most_dead_come_first_of_equals_the_older_and_off_site_ones_last() -> None:
    volumes = [
        volume(4, 99, access="OFFSITE"),
        volume(3, 80),
        volume(2, 70),
        volume(1, 80),
        volume(6, 98, access="OFFSITE"),
        volume(5, 10),
    ]
    assert choose(volumes, 60) == [1, 3, 2, 4, 6]


@pytest.mark.parametrize(("limit", "expected"), [(None, [1, 2, 3]), (0, [1]), (1, [1, 2]), (9, [1, 2, 3])])
def test_the_offsite_limit_counts_only_off_site_volumes(limit: int | None, expected: list[int]) -> None:
    volumes = [volume(1, 70), volume(2, 90, access="OFFSITE"), volume(3, 80, access="OFFSITE")]
    assert choose(volumes, 60, limit) == expected


@pytest.mark.parametrize(
    ("threshold", "remote", "expected"),
    [(60, False, 25), (60, True, 30), (99, True, 49.5), (20, False, 10), (1, False, 0.5), (1, True, 0.5)],
)
def test_where_the_limit_for_rebuilding_lies(threshold: int, remote: bool, expected: float) -> None:
    assert rebuild_percent(threshold, remote=remote) == expected


@pytest.mark.parametrize(
    ("stored", "extents", "live", "percent", "expected"),
    [
        (4 * MIB, 4 * MIB, 3 * MIB, 25, True),
        (4 * MIB, 4 * MIB, 3 * MIB + 1, 25, False),
        (4 * MIB, 4 * MIB, 4 * MIB, 0, False),  # nothing is dead
        (4 * MIB, 4 * MIB, 0, 0, False),  # nothing lives: it is just gone
        (8192, 100_000, 60_000, 25, False),  # compressed to two blocks: none would be won
        (8192, 100_000, 40_000, 25, True),
        (4 * MIB, 4 * MIB, 4 * MIB - 4096, 0, True),
        (4 * MIB, 4 * MIB, 4 * MIB - 4095, 0, False),
    ],
)
def test_an_aggregate_is_rebuilt_where_that_wins_something(
    stored: int, extents: int, live: int, percent: float, expected: bool
) -> None:
    assert is_worth_rebuilding(stored, extents, live, percent) is expected


states = st.builds(
    VolumeState,
    id=st.integers(1, 50),
    access=st.sampled_from(["READWRITE", "READONLY", "UNAVAILABLE", "DESTROYED", "OFFSITE"]),
    status=st.sampled_from(["EMPTY", "FILLING", "FULL", "PENDING"]),
    capacity_bytes=st.integers(0, 1000),
    written_bytes=st.integers(0, 1000),
    live_bytes=st.integers(0, 1000),
)


@given(
    st.lists(states, unique_by=lambda one: one.id),
    st.integers(1, 100),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_what_is_chosen_is_eligible_each_once_and_within_the_limit(
    volumes: list[VolumeState], threshold: int, limit: int | None
) -> None:
    by_id = {one.id: one for one in volumes}
    chosen = choose(volumes, threshold, limit)
    assert len(set(chosen)) == len(chosen)
    assert all(eligible(by_id[one], threshold) for one in chosen)
    offsite = [one for one in chosen if by_id[one].is_offsite]
    assert limit is None or len(offsite) <= limit
    left_out = [one for one in volumes if eligible(one, threshold) and one.id not in chosen]
    assert all(one.is_offsite for one in left_out)
    if threshold == NEVER:
        assert chosen == []


@given(st.lists(states, unique_by=lambda one: one.id), st.integers(1, 98))
def test_a_higher_threshold_never_chooses_more(volumes: list[VolumeState], threshold: int) -> None:
    assert set(choose(volumes, threshold + 1)) <= set(choose(volumes, threshold))


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 1000)), min_size=1, max_size=50),
    st.integers(1, 99),
    st.booleans(),
)
def test_a_volume_that_reclamation_has_filled_is_not_reclaimable(
    aggregates: list[tuple[int, int]], threshold: int, remote: bool
) -> None:
    """Records are blocks times a hundred here, so that what rebuilding wins is always whole blocks."""
    written = live = 0
    for hundredths, dead_share in aggregates:
        stored = hundredths * 100 * BLOCK_BYTES
        alive = stored - stored * dead_share // 1000 if dead_share < 1000 else 0
        if alive == 0:
            continue
        if is_worth_rebuilding(stored, stored, alive, rebuild_percent(threshold, remote=remote)):
            stored = alive
        written, live = written + stored, live + alive
    after = VolumeState(1, "READWRITE", "FULL", written, written, live)
    assert not eligible(after, threshold)
