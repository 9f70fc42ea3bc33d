"""Database backups and recovery plans that nobody needs any more: part of EXPIRE INVENTORY.

`policy/drm_expiration.py` says which. A target that is away or refuses is told later, as of every deletion. What cannot
be deleted for another reason keeps its entry, and is tried again by the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from farvault.base.errors import FarvaultError, InUse
from farvault.catalog import nouns, offsite_media, volume_history
from farvault.catalog.drm_settings import drm_days
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.server import Server
from farvault.model.volume_history import OWN_VOLUME, HistoryVolume
from farvault.policy.drm_expiration import Due, Rules, due
from farvault.processes.process import Process
from farvault.storage.history_volumes import USES, delete_volumes
from farvault.storage.storage import Storage


class Expired(NamedTuple):
    """How many volumes went. `retrieved`: may leave the vault."""

    backups: int = 0
    plans: int = 0
    retrieved: int = 0


def due_now(r: Snapshot, now: int) -> Due:
    """What goes, as the catalog is."""
    servers = {one.name: one.delete_grace_days for one in nouns.select(r, Server)}
    virtual = {
        one.name: servers.get(one.server_name, 0) for one in nouns.select(r, DeviceClass, device_type=SERVER)
    }
    rules = Rules(now, drm_days(r, "DRMDBBACKUPEXPIREDAYS"), drm_days(r, "DRMRPFEXPIREDAYS"), virtual)
    return due(volume_history.rows(r, OWN_VOLUME), offsite_media.states(r), rules)


def expire_recovery(storage: Storage, process: Process, *, preview: bool = False) -> Expired:
    """One run. Series go from their end, so that one broken off is whole up to there."""
    with storage.catalog.read() as r:
        found = due_now(r, storage.clock.now_seconds())
    if preview:
        return Expired(len(found.backups), len(found.plans), len(found.retrieved))
    backups = _delete(storage, process, found.backups)
    plans = _delete(storage, process, found.plans)
    with storage.catalog.write() as tx:
        for row in found.retrieved:
            offsite_media.set_state(
                tx, row.volume, offsite_media.VAULTRETRIEVE, None, storage.clock.now_seconds()
            )
    return Expired(backups, plans, len(found.retrieved))


def _delete(storage: Storage, process: Process, rows: list[HistoryVolume]) -> int:
    def in_order() -> Iterator[HistoryVolume]:
        for row in sorted(rows, key=_place, reverse=True):
            process.raise_if_cancelled()
            yield row

    def refused(row: HistoryVolume, error: FarvaultError) -> None:
        if not isinstance(error, InUse):
            process.say("ANR4964W", volume=row.volume, reason=error.message.text)

    done = delete_volumes(storage, in_order(), refused)
    if done.waiting:
        process.say("ANR4890W", count=f"{done.waiting:,}")
    return done.gone


def _place(row: HistoryVolume) -> tuple[str, int, int, int]:
    """In its series; both types of a series have the same one."""
    return USES[row.type], row.series, row.operation, row.sequence
