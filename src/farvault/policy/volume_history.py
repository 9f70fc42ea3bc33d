"""Which entries DELETE VOLHISTORY may delete (TSM reference, database 1.7). Pure.

A series of database backups goes as a whole or not at all: without its full one an incremental one is worth nothing, and
a full one without its incremental ones would restore an older state than the history promises. The newest series stays
whatever is asked; the newest snapshot and plan file stay unless DELETELATEST says otherwise. Where a target is known to
have lost a volume of the newest, the newest one of which nothing is missed stays as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from farvault.model.volume_history import (
    DBSNAPSHOT,
    QUERY_TYPES,
    RPFILE,
    RPFSNAPSHOT,
    SERIES_TYPES,
    HistoryVolume,
)

NEWEST = "it is the newest series"
LATEST = "it is the latest one"
WHOLE = "of the newer ones something is missing at their target"
PART = "its series has entries that may not go, and goes only as a whole"


class Choice(NamedTuple):
    """Entries to delete, and those that match but stay, each with the reason."""

    deleted: list[HistoryVolume]
    kept: list[tuple[HistoryVolume, str]]


def choose(
    rows: Sequence[HistoryVolume],
    query_type: str,
    to_time: int,
    *,
    device_class: str = "",
    delete_latest: bool = False,
) -> Choice:
    """`rows`: the complete entries of all types."""
    types = QUERY_TYPES[query_type]
    matching = [
        row
        for row in rows
        if row.type in types and row.time <= to_time and device_class in ("", row.device_class)
    ]
    chosen = Choice([], [])
    latest_may_go = delete_latest and query_type != "ALL"
    for row in matching:
        reason = _series_reason(row, rows, matching) if row.type in SERIES_TYPES else ""
        if row.type in (DBSNAPSHOT, RPFILE, RPFSNAPSHOT) and not latest_may_go:
            reason = _latest_reason(row, rows)
        if reason:
            chosen.kept.append((row, reason))
        else:
            chosen.deleted.append(row)
    return chosen


def _series_reason(
    row: HistoryVolume, rows: Sequence[HistoryVolume], matching: Sequence[HistoryVolume]
) -> str:
    series = [one for one in rows if one.type in SERIES_TYPES and one.series == row.series]
    all_series = [one for one in rows if one.type in SERIES_TYPES]
    if row.series == max(one.series for one in all_series):
        return NEWEST
    if row.series == newest_whole(all_series):
        return WHOLE
    return PART if any(one not in matching for one in series) else ""


def _latest_reason(row: HistoryVolume, rows: Sequence[HistoryVolume]) -> str:
    same = [one for one in rows if one.type == row.type]
    if row.series == max(one.series for one in same):
        return LATEST
    return WHOLE if row.series == newest_whole(same) else ""


def newest_whole(rows: Sequence[HistoryVolume]) -> int:
    """The newest series of which no volume is known to be missing; 0 where there is none."""
    hurt = {one.series for one in rows if one.missed_time}
    return max((one.series for one in rows if one.series not in hurt), default=0)
