"""What DELETE VOLHISTORY may take away, row by row."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.model.volume_history import QUERY_TYPES, SERIES_TYPES, HistoryVolume
from farvault.policy.volume_history import choose


def row(
    number: int, type: str, series: int, operation: int, time: int, device_class: str = "A"
) -> HistoryVolume:
    return HistoryVolume(
        id=number, type=type, series=series, operation=operation, time=time, device_class=device_class
    )


HISTORY = [
    row(1, "BACKUPFULL", 1, 0, 100),
    row(2, "BACKUPINCR", 1, 1, 110),
    row(3, "BACKUPFULL", 2, 0, 200),
    row(4, "BACKUPINCR", 2, 1, 210, "B"),
    row(5, "BACKUPFULL", 3, 0, 300),
    row(6, "BACKUPINCR", 3, 1, 310),
    row(7, "DBSNAPSHOT", 1, 0, 120),
    row(8, "DBSNAPSHOT", 2, 0, 220),
    row(9, "EXPORT", 1, 0, 130),
    row(10, "RPFILE", 1, 0, 140),
    row(11, "RPFILE", 2, 0, 240),
    row(12, "RPFSNAPSHOT", 1, 0, 150),
    row(13, "STGNEW", 0, 0, 160),
    row(14, "STGDELETE", 0, 0, 260),
]


@pytest.mark.parametrize(
    ("type", "until", "more", "deleted"),
    [
        ("DBBACKUP", 999, {}, [1, 2, 3, 4]),
        ("DBBACKUP", 109, {}, []),
        ("DBBACKUP", 110, {}, [1, 2]),
        ("DBBACKUP", 205, {}, [1, 2]),
        ("DBBACKUP", 999, {"device_class": "A"}, [1, 2]),
        ("DBBACKUP", 999, {"device_class": "B"}, []),
        ("DBBACKUP", 999, {"delete_latest": True}, [1, 2, 3, 4]),
        ("DBSNAPSHOT", 999, {}, [7]),
        ("DBSNAPSHOT", 999, {"delete_latest": True}, [7, 8]),
        ("EXPORT", 999, {}, [9]),
        ("EXPORT", 129, {}, []),
        ("RPFILE", 999, {}, [10]),
        ("RPFILE", 999, {"delete_latest": True}, [10, 11]),
        ("RPFSNAPSHOT", 999, {}, []),
        ("DBRPF", 999, {}, [1, 2, 3, 4, 10]),
        ("STGNEW", 999, {}, [13]),
        ("STGDELETE", 259, {}, []),
        ("ALL", 999, {}, [1, 2, 3, 4, 7, 9, 10, 13, 14]),
        ("ALL", 999, {"delete_latest": True}, [1, 2, 3, 4, 7, 9, 10, 13, 14]),
        ("ALL", 99, {}, []),
    ],
)
def test_what_may_be_deleted_is_chosen_and_what_is_kept_has_a_reason(
    type: str, until: int, more: dict[str, object], deleted: list[int]
) -> None:
    found = choose(HISTORY, type, until, **more)  # type: ignore[arg-type]
    assert [one.id for one in found.deleted] == deleted
    assert all(reason for _, reason in found.kept)


_ROWS = st.lists(
    st.builds(
        row,
        st.integers(1, 10**6),
        st.sampled_from(QUERY_TYPES["ALL"]),
        st.integers(1, 4),
        st.integers(0, 3),
        st.integers(0, 50),
        st.sampled_from("AB"),
    ),
    max_size=12,
)


@given(
    _ROWS, st.sampled_from(sorted(QUERY_TYPES)), st.integers(0, 60), st.booleans(), st.sampled_from(["", "A"])
)
def test_the_newest_series_and_whole_series_always_stay(
    rows: list[HistoryVolume], type: str, until: int, latest: bool, device_class: str
) -> None:
    found = choose(rows, type, until, delete_latest=latest, device_class=device_class)
    left = [one for one in rows if one not in found.deleted]
    series = {one.series for one in rows if one.type in SERIES_TYPES}
    if series:
        newest = [one for one in rows if one.type in SERIES_TYPES and one.series == max(series)]
        assert all(one in left for one in newest)
    for number in series:
        whole = [one for one in rows if one.type in SERIES_TYPES and one.series == number]
        assert len({one in left for one in whole}) == 1, "a series goes as a whole"


def lost(rows: list[HistoryVolume], *numbers: int) -> list[HistoryVolume]:
    return [msgspec.structs.replace(one, missed_time=1) if one.id in numbers else one for one in rows]


@pytest.mark.parametrize(
    ("missing", "type", "more", "deleted"),
    [
        ((5,), "DBBACKUP", {}, [1, 2]),
        ((6,), "DBBACKUP", {}, [1, 2]),
        ((3, 6), "DBBACKUP", {}, [3, 4]),
        ((1, 3, 6), "DBBACKUP", {}, [1, 2, 3, 4]),
        ((1,), "DBBACKUP", {}, [1, 2, 3, 4]),
        ((8,), "DBSNAPSHOT", {}, []),
        ((8,), "DBSNAPSHOT", {"delete_latest": True}, [7, 8]),
        ((11,), "RPFILE", {}, []),
    ],
)
def test_the_newest_one_of_which_nothing_is_missing_stays_beside_the_newest(
    missing: tuple[int, ...], type: str, more: dict[str, bool], deleted: list[int]
) -> None:
    chosen = choose(lost(HISTORY, *missing), type, 999, **more)  # type: ignore[arg-type]
    assert [one.id for one in chosen.deleted] == deleted
