"""Which database backups and recovery plans EXPIRE INVENTORY deletes (TSM reference, database 2.1). Pure.

A series goes as a whole when its last volume is older than DRMDBBACKUPEXPIREDAYS, when it is not the newest of its kind
(series and snapshots are judged apart), and when its volumes are virtual; others must all be in the vault, and are then
asked back (VAULTRETRIEVE), not deleted. A plan kept by another server goes when it is older than DRMRPFEXPIREDAYS and
the grace of its server, was not made while the newest series stood, and is not the newest plan. Where a volume of the
newest is known to be missing, the newest one of which nothing is missed stays as well. Days are whole ones of 24 hours;
"older" is strictly older.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from farvault.model.volume_history import DBSNAPSHOT, RPFILE, RPFSNAPSHOT, SERIES_TYPES, HistoryVolume
from farvault.policy.volume_history import newest_whole

DAY_SECONDS: Final = 86_400
VAULT: Final = "VAULT"


class Rules(NamedTuple):
    """`virtual`: classes kept by other servers, each with its server's grace in days."""

    now: int
    backup_days: int
    plan_days: int
    virtual: dict[str, int]


class Due(NamedTuple):
    """`deleted`: volumes of backups and plans that go now. `retrieved`: volumes that the vault may give back."""

    backups: list[HistoryVolume]
    plans: list[HistoryVolume]
    retrieved: list[HistoryVolume]


def due(rows: Sequence[HistoryVolume], states: dict[str, str], rules: Rules) -> Due:
    """`rows`: complete entries. `states`: where movable volumes are, by name; one that is not in it is MOUNTABLE."""
    found = Due([], [], [])
    for kind in (SERIES_TYPES, (DBSNAPSHOT,)):
        for volumes in _old_series(rows, kind, rules):
            if all(row.device_class in rules.virtual for row in volumes):
                found.backups.extend(volumes)
            elif all(row.device_class in rules.virtual or states.get(row.volume) == VAULT for row in volumes):
                found.retrieved.extend(row for row in volumes if row.device_class not in rules.virtual)
    for plan, kind in ((RPFILE, SERIES_TYPES), (RPFSNAPSHOT, (DBSNAPSHOT,))):
        found.plans.extend(_old_plans(rows, plan, kind, rules))
    return found


def _of(rows: Sequence[HistoryVolume], types: Collection[str]) -> list[HistoryVolume]:
    return [row for row in rows if row.type in types]


def _old_series(
    rows: Sequence[HistoryVolume], types: Collection[str], rules: Rules
) -> list[list[HistoryVolume]]:
    """All series of a kind whose last volume is old enough, but the newest one, and the newest of which nothing is missed."""
    of_kind = sorted(_of(rows, types), key=lambda row: (row.series, row.operation, row.sequence))
    series = [list(group) for _, group in groupby(of_kind, key=lambda row: row.series)]
    whole = newest_whole(of_kind)
    return [
        volumes
        for volumes in series[:-1]
        if volumes[0].series != whole
        and rules.now - max(row.time for row in volumes) > rules.backup_days * DAY_SECONDS
    ]


def _old_plans(
    rows: Sequence[HistoryVolume], type: str, series_types: Collection[str], rules: Rules
) -> list[HistoryVolume]:
    plans = _of(rows, (type,))
    backups = _of(rows, series_types)
    kept = {max((row.series for row in plans), default=0), newest_whole(plans)}
    newest_series = max((row.series for row in backups), default=0)
    began = min((row.time for row in backups if row.series == newest_series), default=None)
    return [
        row
        for row in plans
        if row.series not in kept
        and row.device_class in rules.virtual
        and (began is None or row.time < began)
        and rules.now - row.time > (rules.plan_days + rules.virtual[row.device_class]) * DAY_SECONDS
    ]
