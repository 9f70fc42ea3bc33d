"""Which database backup a server is rebuilt from when only its partner is left. Pure.

Each series is worth as much of itself as can be reached without a gap; each snapshot stands for itself. The one that ends
latest wins. What lies on volumes that burned with the machine does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from farvault.model.volume_history import BACKUPFULL, DBSNAPSHOT, SERIES_TYPES, HistoryVolume


class Choice(NamedTuple):
    """`operations`: volumes of each, in order. Empty: nothing can be restored. `unreachable`: newer ones that cannot."""

    operations: list[list[HistoryVolume]]
    unreachable: int

    @property
    def volumes(self) -> list[HistoryVolume]:
        return [row for operation in self.operations for row in operation]

    @property
    def is_snapshot(self) -> bool:
        return bool(self.operations) and self.operations[0][0].type == DBSNAPSHOT


def choose(rows: Sequence[HistoryVolume], reachable: Iterable[str]) -> Choice:
    """`rows`: complete entries of database backups. `reachable`: names of the volumes that are there."""
    there = set(reachable)
    runs = [_whole(group, there) for group in _groups(rows)]
    best = max((run for run in runs if run), key=_worth, default=[])
    newest = _worth(best) if best else (0, 0, 0)
    operations = {(row.type, row.series, row.operation, row.time) for row in rows}
    return Choice(best, sum(time > newest[0] for _, _, _, time in operations))


def _groups(rows: Sequence[HistoryVolume]) -> list[list[list[HistoryVolume]]]:
    """Operations of every series and every snapshot."""
    found = []
    for snapshot in (False, True):
        kind = [row for row in rows if (row.type == DBSNAPSHOT if snapshot else row.type in SERIES_TYPES)]
        kind.sort(key=lambda row: (row.series, row.operation, row.sequence))
        for _, series in groupby(kind, key=lambda row: row.series):
            found.append([_latest(list(one)) for _, one in groupby(series, key=lambda row: row.operation)])
    return found


def _latest(volumes: list[HistoryVolume]) -> list[HistoryVolume]:
    """Of two operations of one number the later one: the other was given up, and the partner not told yet."""
    last = max(row.time for row in volumes)
    return [row for row in volumes if row.time == last]


def _whole(operations: list[list[HistoryVolume]], there: set[str]) -> list[list[HistoryVolume]]:
    """As far as it is there without a gap."""
    run: list[list[HistoryVolume]] = []
    for number, volumes in enumerate(operations):
        places = [row.sequence for row in volumes] == list(range(1, len(volumes) + 1))
        right = volumes[0].operation == number and (number or volumes[0].type in (BACKUPFULL, DBSNAPSHOT))
        if not (places and right and all(row.volume in there for row in volumes)):
            break
        run.append(volumes)
    return run


def _worth(run: list[list[HistoryVolume]]) -> tuple[int, int, int]:
    """Latest first; of equal ones the longer series, which is not a snapshot."""
    last = run[-1][0]
    return last.time, int(last.type != DBSNAPSHOT), last.series
