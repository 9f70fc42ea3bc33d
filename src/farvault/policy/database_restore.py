"""Which backups restore the database to a moment (TSM reference, database 1.9). Pure.

The newest full backup before the moment, and behind it every incremental one of its series up to there, without a gap;
or the newest snapshot before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from farvault.model.volume_history import BACKUPFULL, BACKUPINCR, DBSNAPSHOT, HistoryVolume


class Chosen(NamedTuple):
    """Volumes of each operation, in the order in which they are restored. `problem`: why that is not enough."""

    operations: list[list[HistoryVolume]]
    problem: str = ""


def choose(rows: Sequence[HistoryVolume], until: int, *, snapshot: bool = False) -> Chosen:
    """`rows`: the volume history. No operations and no problem: nothing was backed up before that moment."""
    kind = DBSNAPSHOT if snapshot else BACKUPFULL
    starts = [row for row in rows if row.type == kind and row.time <= until]
    if not starts:
        return Chosen([])
    start = max(starts, key=lambda row: (row.series, row.time))
    wanted = [row for row in rows if row.type == kind and row.series == start.series]
    if not snapshot:
        wanted += [
            row for row in rows if row.type == BACKUPINCR and row.series == start.series and row.time <= until
        ]
    wanted.sort(key=lambda row: (row.operation, row.sequence))
    operations = [list(group) for _, group in groupby(wanted, key=lambda row: row.operation)]
    return Chosen(operations, _gap(operations))


def _gap(operations: list[list[HistoryVolume]]) -> str:
    for number, volumes in enumerate(operations):
        if volumes[0].operation != number:
            return f"operation {number} is missing"
        if [one.sequence for one in volumes] != list(range(1, len(volumes) + 1)):
            return f"operation {number} lacks a volume"
        if len({one.time for one in volumes}) != 1:
            return f"the volumes of operation {number} are of different times"
    return ""
