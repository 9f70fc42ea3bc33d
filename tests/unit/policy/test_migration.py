"""When a pool migrates, where it stops, who goes first, and what the delay keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.migration import (
    DAY_SECONDS,
    Pass,
    Portion,
    Use,
    is_due,
    is_low,
    order_of_owners,
    order_of_volumes,
    passes,
    portions_of_owners,
    retry_seconds,
    takes_file,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "policy" / "migration.txt"


def _golden() -> list[tuple[str, ...]]:
    lines = [line.split("#")[0].split() for line in GOLDEN.read_text().splitlines()]
    return [tuple(words) for words in lines if words]


@pytest.mark.parametrize("row", _golden(), ids=" ".join)
def test_migration_starts_at_the_high_and_ends_at_the_low_threshold(row: tuple[str, ...]) -> None:
    used, whole, high, low = map(int, row[:4])
    use = Use(used, whole)
    assert (is_due(use, high), is_low(use, low)) == (row[4] == "starts", row[5] == "low")


def test_four_defined_volumes_and_six_scratch_with_two_filled_are_20_percent() -> None:
    assert Use(2, 4 + 6, by_volumes=True).percent == 20.0


def test_a_pool_without_capacity_is_not_full() -> None:
    assert Use(0, 0).percent == 0.0
    assert Use(5, 0).percent == 0.0


@pytest.mark.parametrize(
    ("delay", "goes_on", "expected"),
    [
        (0, True, [Pass(None)]),
        (0, False, [Pass(None)]),
        (3, False, [Pass(10 * DAY_SECONDS - 3 * DAY_SECONDS)]),
        (3, True, [Pass(10 * DAY_SECONDS - 3 * DAY_SECONDS), Pass(None, by_age=True)]),
    ],
)
def test_the_delay_keeps_what_is_younger_and_going_on_gives_it_up(
    delay: int, goes_on: bool, expected: list[Pass]
) -> None:
    assert passes(10 * DAY_SECONDS, delay, goes_on) == expected


OWNERS = [
    # node, file space, bytes, oldest, newest
    (1, 11, 100, 50, 60),
    (1, 12, 300, 10, 20),
    (2, 21, 350, 30, 90),
    (3, 31, 40, 5, 5),
]


@pytest.mark.parametrize(
    ("collocate", "expected"),
    [
        ("NO", [((2,), 21), ((1,), 12), ((1,), 11), ((3,), 31)]),
        ("FILESPACE", [((2,), 21), ((1,), 12), ((1,), 11), ((3,), 31)]),
        ("NODE", [((1,), 0), ((2,), 0), ((3,), 0)]),
        ("GROUP", [((1, 3), 0), ((2,), 0)]),
    ],
)
def test_who_has_most_goes_first_as_the_next_pool_keeps_data_together(
    collocate: str, expected: list[tuple[tuple[int, ...], int]]
) -> None:
    portions = portions_of_owners(OWNERS, collocate, {1: (3, 1), 3: (1, 3)})
    assert [(p.nodes, p.file_space) for p in order_of_owners(portions, Pass(None))] == expected


def test_a_group_without_members_known_is_its_node() -> None:
    portions = portions_of_owners(OWNERS, "GROUP")
    assert sorted(p.nodes for p in portions) == [(1,), (2,), (3,)]


def test_a_portion_is_as_old_as_its_oldest_and_as_young_as_its_newest() -> None:
    (merged,) = [p for p in portions_of_owners(OWNERS, "NODE") if p.nodes == (1,)]
    assert merged[:3] == (400, 10, 60)


def test_owners_without_anything_old_enough_are_left_out() -> None:
    portions = portions_of_owners(OWNERS, "FILESPACE")
    assert [p.file_space for p in order_of_owners(portions, Pass(20))] == [12, 31]


def test_in_a_pass_by_age_whoever_waited_longest_goes_first() -> None:
    portions = portions_of_owners(OWNERS, "FILESPACE")
    assert [p.file_space for p in order_of_owners(portions, Pass(None, by_age=True))] == [31, 12, 21, 11]


VOLUMES = [
    Portion(500, 10, 100, volume=1),
    Portion(20, 10, 300, volume=2),
    Portion(200, 5, 90, volume=3),
]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Pass(None), [2, 3, 1]),
        (Pass(100), [3]),
        (Pass(101), [3, 1]),
        (Pass(None, by_age=True), [3, 1, 2]),
    ],
)
def test_the_volume_with_least_data_goes_first_and_only_when_all_of_it_is_old_enough(
    one: Pass, expected: list[int]
) -> None:
    assert [p.volume for p in order_of_volumes(VOLUMES, one)] == expected


@pytest.mark.parametrize(
    ("limits", "size", "expected"),
    [
        ([None], 10**15, 0),
        ([100, None], 100, 0),
        ([100, None], 101, 1),
        ([100, 50], 80, 0),
        ([50, 100], 80, 1),
        ([50, 100], 101, None),
        ([], 1, None),
    ],
)
def test_a_file_goes_to_the_first_pool_whose_maxsize_takes_it(
    limits: list[int | None], size: int, expected: int | None
) -> None:
    assert takes_file(limits, size) == expected


def test_waiting_doubles_from_a_minute_to_an_hour() -> None:
    assert [retry_seconds(n) for n in (1, 2, 3, 6, 7, 8, 1000)] == [60, 120, 240, 1920, 3600, 3600, 3600]


owner_rows = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.integers(1, 4),
        st.integers(1, 10**9),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ).map(lambda row: (row[0], row[0] * 10 + row[1], row[2], min(row[3:]), max(row[3:]))),
    max_size=20,
    unique_by=lambda row: row[1],
)


@given(owner_rows, st.sampled_from(["NO", "FILESPACE", "NODE", "GROUP"]))
def test_portions_hold_every_byte_once_and_are_ordered_by_size(
    owners: list[tuple[int, int, int, int, int]], collocate: str
) -> None:
    ordered = order_of_owners(portions_of_owners(owners, collocate, {1: (1, 2), 2: (1, 2)}), Pass(None))
    assert sum(p.stored_bytes for p in ordered) == sum(row[2] for row in owners)
    sizes = [p.stored_bytes for p in ordered]
    assert sizes == sorted(sizes, reverse=True)
    owned = [[p for p in ordered if row[0] in p.nodes and p.file_space in (0, row[1])] for row in owners]
    assert all(len(found) == 1 for found in owned), "every owner is in exactly one portion"


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(0, 100), st.integers(0, 99))
def test_what_is_low_enough_is_not_due_where_low_lies_below_high(
    used: int, whole: int, high: int, low: int
) -> None:
    use = Use(used, whole)
    if low < high and is_low(use, low):
        assert not is_due(use, high), "a migration that has just stopped would start again at once"
