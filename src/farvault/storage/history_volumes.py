"""Volumes outside of pools, as entries of the volume history: they go with their entry, and what nobody completed goes at a start.

`history_writing.py` writes them, `history_reading.py` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, InUse
from farvault.catalog import nouns, volume_history
from farvault.catalog.epoch import epoch
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.volume_history import (
    BACKUPFULL,
    BACKUPINCR,
    DBSNAPSHOT,
    EXPORT,
    RPFILE,
    RPFSNAPSHOT,
    HistoryVolume,
)
from farvault.storage.storage import Storage

USES: Final = {
    BACKUPFULL: "DBB",
    BACKUPINCR: "DBB",
    DBSNAPSHOT: "DSS",
    EXPORT: "EXP",
    RPFILE: "RPF",
    RPFSNAPSHOT: "RPF",
}
"""Part of the names of scratch volumes."""


class Deleted(NamedTuple):
    """`waiting`: of those that are gone here, how many their targets have still to be told of."""

    gone: int
    waiting: int


def delete_volume(storage: Storage, row: HistoryVolume) -> None:
    """The entry and its volume; a target that cannot be told now is told later."""
    delete_volumes(storage, [row])


def delete_volumes(
    storage: Storage,
    rows: Iterable[HistoryVolume],
    refused: Callable[[HistoryVolume, FarvaultError], None] | None = None,
) -> Deleted:
    """Entries and their volumes. `rows`: of each series the end first, so that one broken off is whole up to there.

    Without `refused` the first that cannot go ends it. With it each of them is told there, what is before it in its series
    stays as well, and the others go.
    """
    queued: list[PendingDeletion] = []
    stuck: set[tuple[str, int]] = set()
    gone = waiting = 0
    try:
        for row in rows:
            series = (USES.get(row.type, ""), row.series)
            if series in stuck:
                continue
            try:
                refuse_in_use(storage, row)
                crash_point("history.delete.before")
                left = forget_volume(storage, row)
            except FarvaultError as error:
                if refused is None:
                    raise
                refused(row, error)
                if row.has_own_volume:
                    stuck.add(series)
                continue
            gone += 1
            if left is not None:
                queued.append(left)
    finally:
        waiting = storage.deletions.tell_all(queued)
    return Deleted(gone, waiting)


def forget_volume(storage: Storage, row: HistoryVolume) -> PendingDeletion | None:
    """Media first, the row last; of another server's media the row, and what is returned is to be told (`deletions.py`).

    Rows of events have no media of their own.
    """
    if row.has_own_volume:
        device = storage.devices.device(row.device_class)
        if device.capabilities.remote:
            return storage.deletions.delete(
                row.device_class, row.volume, lambda tx: nouns.delete(tx, row), uses_reserve=True
            )
        device.delete(row.volume)
        crash_point("history.delete.before_row")
    with storage.catalog.write(uses_reserve=True) as tx:
        nouns.delete(tx, row)
    return None


def refuse_in_use(storage: Storage, row: HistoryVolume) -> None:
    """`InUse` where an operation writes it now."""
    if row.id in storage.history_in_use:
        raise InUse("ANR2405E", volume=row.volume)


def _is_left_behind(storage: Storage, row: HistoryVolume) -> bool:
    """Looked at in this order: an operation completes its entries before they stop being in use."""
    if row.id in storage.history_in_use:
        return False
    with storage.catalog.read() as r:
        return bool(nouns.select(r, HistoryVolume, id=row.id, complete=False))


def delete_left_behind(storage: Storage, *, remote: bool) -> int:
    """Volumes of operations that did not end: at start those on this machine, later (`remote`) all. Returns how many.

    What another epoch of this catalog began is not ours to delete: its end may stand in the part that was lost.
    """
    with storage.catalog.read() as r:
        left, present = volume_history.incomplete(r), epoch(r)
    gone = 0
    queued: list[PendingDeletion] = []
    for row in left:
        try:
            if not _is_left_behind(storage, row):
                continue
            if row.epoch != present:
                with storage.catalog.write() as tx:
                    nouns.delete(tx, row)
            elif remote or not storage.devices.device(row.device_class).capabilities.remote:
                if (to_tell := forget_volume(storage, row)) is not None:
                    queued.append(to_tell)
                gone += 1
        except FarvaultError as error:
            storage.log.repeat(error.message)
    storage.deletions.tell_all(queued)
    return gone
