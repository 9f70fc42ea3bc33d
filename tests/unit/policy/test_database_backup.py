"""Which backup may run, and when the trigger starts one: every rule of the reference, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.volume_history import HistoryVolume
from farvault.policy.database_backup import (
    FULL,
    INCREMENTAL,
    MOST_INCREMENTALS,
    Series,
    State,
    decide,
    pause_seconds,
    why_not_incremental,
)
from farvault.policy.database_restore import choose

HOUR = 3600


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (Series(), "no full backup"),
        (Series(True, 0), ""),
        (Series(True, 31), ""),
        (Series(True, 32), "32 incremental"),
        (Series(True, 3, "LOGMODE was changed"), "LOGMODE was changed"),
        (Series(False, 0, "the database was restored"), "no full backup"),
        (Series(True, 3, "", "V1 is lost"), "V1 is lost"),
    ],
)
def test_when_a_full_backup_is_required(series: Series, reason: str) -> None:
    found = why_not_incremental(series)
    assert (found == "") == (reason == "") and reason in found


def state(**changes: Any) -> State:
    usual = State(
        now=100 * HOUR,
        log_used_percent=70.0,
        log_freed_percent=70.0,
        last_backup_time=99 * HOUR,
        series=Series(True, 2),
    )
    return usual._replace(**changes)


@pytest.mark.parametrize(
    ("trigger", "changes", "kind", "device_class"),
    [
        ({"log_full_percent": 60}, {}, INCREMENTAL, "F"),
        ({"log_full_percent": 70}, {}, "", ""),
        ({"log_full_percent": 60}, {"log_used_percent": 60.1}, INCREMENTAL, "F"),
        ({"log_full_percent": 99}, {"series": Series(True, 1, "", "V1 is lost")}, FULL, "F"),
        ({"minimum_interval_minutes": 999}, {"series": Series(True, 1, "", "V1 is lost")}, FULL, "F"),
        ({"log_full_percent": 60}, {"log_used_percent": None}, "", ""),
        ({"incremental_device_class": "I"}, {}, INCREMENTAL, "I"),
        ({"incremental_device_class": "I", "incrementals": 2}, {}, FULL, "F"),
        ({"incrementals": 3}, {}, INCREMENTAL, "F"),
        ({"incrementals": 0}, {"series": Series(True, 0)}, FULL, "F"),
        ({}, {"series": Series()}, FULL, "F"),
        ({}, {"series": Series(True, 1, "LOGMODE was changed")}, FULL, "F"),
        ({"incrementals": 32}, {"series": Series(True, 32)}, FULL, "F"),
        ({"minimum_interval_minutes": 61}, {}, "", ""),
        ({"minimum_interval_minutes": 60}, {}, INCREMENTAL, "F"),
        ({"minimum_interval_minutes": 61}, {"last_backup_time": 0, "series": Series()}, FULL, "F"),
        ({"minimum_log_free_percent": 71}, {}, "", ""),
        ({"minimum_log_free_percent": 70}, {}, INCREMENTAL, "F"),
        ({"maximum_age_hours": 1}, {"log_used_percent": None}, INCREMENTAL, "F"),
        ({"maximum_age_hours": 2}, {"log_used_percent": None}, "", ""),
        ({"maximum_age_hours": 2}, {"log_used_percent": 1.0}, "", ""),
        ({"maximum_age_hours": 24}, {"last_backup_time": 0, "series": Series()}, FULL, "F"),
        ({"maximum_age_hours": 1, "minimum_interval_minutes": 9999}, {}, INCREMENTAL, "F"),
        (
            {"maximum_age_hours": 99},
            {"last_backup_time": 999 * HOUR, "log_used_percent": 1.0},
            INCREMENTAL,
            "F",
        ),
        ({"minimum_interval_minutes": 1}, {"last_backup_time": 999 * HOUR}, INCREMENTAL, "F"),
        ({"log_full_percent": 99}, {"log_used_percent": 88.0, "log_is_full": True}, INCREMENTAL, "F"),
        ({"minimum_interval_minutes": 9999}, {"log_is_full": True}, INCREMENTAL, "F"),
        ({"minimum_log_free_percent": 99}, {"log_is_full": True}, INCREMENTAL, "F"),
    ],
)
def test_when_the_trigger_starts_one(
    trigger: dict[str, Any], changes: dict[str, Any], kind: str, device_class: str
) -> None:
    found = decide(DatabaseBackupTrigger(device_class="F", **trigger), state(**changes))
    assert (found.kind, found.device_class) == (kind, device_class)
    assert (found.reason == "") == (kind == "")


@given(
    st.integers(0, 32), st.integers(0, 40), st.floats(0, 100), st.integers(1, 99), st.integers(0, 5 * HOUR)
)
def test_a_trigger_never_starts_what_would_be_refused(
    limit: int, done: int, used: float, percent: int, age: int
) -> None:
    one = DatabaseBackupTrigger(device_class="F", incrementals=limit, log_full_percent=percent)
    series = Series(True, done)
    found = decide(one, state(series=series, log_used_percent=used, last_backup_time=100 * HOUR - age))
    if found.kind == INCREMENTAL:
        assert not why_not_incremental(series) and done < limit <= MOST_INCREMENTALS
    assert bool(found.kind) == (used > percent)


# --- which backups a restore takes -------------------------------------------------------------------------------------


def row(type: str, series: int, operation: int, sequence: int, time: int) -> HistoryVolume:
    return HistoryVolume(type=type, series=series, operation=operation, sequence=sequence, time=time)


HISTORY = [
    row("BACKUPFULL", 1, 0, 1, 100),
    row("BACKUPFULL", 1, 0, 2, 100),
    row("BACKUPINCR", 1, 1, 1, 110),
    row("DBSNAPSHOT", 1, 0, 1, 115),
    row("BACKUPINCR", 1, 2, 1, 120),
    row("BACKUPFULL", 2, 0, 1, 200),
    row("DBSNAPSHOT", 2, 0, 1, 205),
    row("BACKUPINCR", 2, 1, 1, 210),
]


@pytest.mark.parametrize(
    ("until", "snapshot", "expected"),
    [
        (999, False, [(2, 0), (2, 1)]),
        (205, False, [(2, 0)]),
        (199, False, [(1, 0), (1, 1), (1, 2)]),
        (110, False, [(1, 0), (1, 1)]),
        (99, False, []),
        (999, True, [(2, 0)]),
        (204, True, [(1, 0)]),
        (114, True, []),
    ],
)
def test_the_series_of_a_moment(until: int, snapshot: bool, expected: list[tuple[int, int]]) -> None:
    found = choose(HISTORY, until, snapshot=snapshot)
    assert [(one[0].series, one[0].operation) for one in found.operations] == expected
    assert found.problem == ""


@pytest.mark.parametrize(
    ("gone", "problem"), [(2, "operation 1 is missing"), (0, "operation 0 lacks a volume"), (1, "")]
)
def test_a_gap_is_told(gone: int, problem: str) -> None:
    """A missing last volume shows only on the volumes themselves: the end of the last one says that it is the last."""
    rows = [one for number, one in enumerate(HISTORY) if number != gone]
    assert choose(rows, 199).problem == problem


def test_pauses_after_backups_that_failed_grow_to_a_day() -> None:
    assert [pause_seconds(failures) for failures in range(8)] == [0, 0, 0, 60, 120, 240, 480, 960]
    assert pause_seconds(14) == pause_seconds(1_000_000) == 24 * 3600
    first_month = [pause_seconds(failures) for failures in range(1, 44)]
    assert sum(first_month) > 30 * 24 * 3600, (
        "what runs in a loop takes some forty times of the reserve in a month"
    )
