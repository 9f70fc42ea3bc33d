"""RESTORE VOLUME and RESTORE STGPOOL: bring lost records back from copy pools (TSM reference, storage 3.6).

Only the catalog says what has to come back; the lost volumes are not read. Each record takes its new place and leaves
its old one in one transaction, so stopping half-way loses nothing and a second run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from farvault.base.errors import BadInput, NotAvailable
from farvault.base.units import show_size
from farvault.catalog import nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, EMPTY, READWRITE, UNAVAILABLE, Volume
from farvault.policy.mount_points import Priority
from farvault.processes.left_places import moving
from farvault.processes.process import Process
from farvault.processes.volume_copies import (
    Page,
    Place,
    copy_volumes,
    survey,
    volumes_with_work,
)
from farvault.storage.copying import Copied
from farvault.storage.rebuilding import Rebuilt, rebuild_aggregates
from farvault.storage.storage import Storage


def restore_volumes(
    storage: Storage,
    process: Process,
    volume_names: Sequence[str],
    *,
    copy_pool: str = "",
    new_pool: str = "",
    max_processes: int = 1,
    preview: bool = False,
) -> None:
    """Sets the volumes DESTROYED, re-creates what lay on them, and deletes those that are empty then.

    `copy_pool`: take copies from this one only. `new_pool`: put it there instead of the volume's own pool. The process
    fails where something could not be restored; it stays on its volume.
    """
    volumes, pool = volumes_of_one_pool(storage, volume_names)
    destination = destination_of(storage, pool, new_pool)
    ids = tuple(volume.id for volume in volumes)

    def page(r: Snapshot, place: Place, limit: int) -> list[PlacementRow]:
        rows: list[PlacementRow] = []
        for volume_id in sorted(one for one in ids if one >= place[0]):
            after = place if volume_id == place[0] else (volume_id, -1)
            rows += placements.to_restore(r, volume_id=volume_id, after=after, limit=limit - len(rows))
            if len(rows) >= limit:
                break
        return rows

    if preview:
        work = survey(storage, page)
        process.say("ANR1241I", pool=pool.name, volumes=", ".join(volume_names), **work.figures)
        return
    process.say("ANR1232I", pool=pool.name, volumes=", ".join(volume_names), number=process.number)
    for volume in volumes:
        _destroy(storage, volume)
    copied = _restore(storage, process, pool, page, ids, copy_pool, destination, max_processes)
    process.say("ANR1240I", pool=pool.name, **_figures(copied))


def restore_pool(
    storage: Storage,
    process: Process,
    pool_name: str,
    *,
    copy_pool: str = "",
    new_pool: str = "",
    max_processes: int = 1,
    preview: bool = False,
) -> None:
    """Re-creates what is damaged or lies on DESTROYED volumes of a primary pool; deletes the volumes emptied by that."""
    with storage.catalog.read() as r:
        pool = nouns.get(r, StoragePool, pool_name)
        destroyed = tuple(volume.id for volume in nouns.select(r, Volume, pool_id=pool.id, access=DESTROYED))
    if pool.is_copy:
        raise BadInput("ANR2255E", pool=pool.name, needed="a primary storage pool")
    destination = destination_of(storage, pool, new_pool)

    def page(r: Snapshot, place: Place, limit: int) -> list[PlacementRow]:
        return placements.to_restore(r, pool_id=pool.id, after=place, limit=limit)

    work = survey(storage, page)
    if not preview:
        process.say("ANR1230I", pool=pool.name, number=process.number)
    for name in work.volumes.values():
        process.say("ANR1258W", volume=name)
    if preview:
        process.say("ANR1239I", pool=pool.name, **work.figures)
        return
    copied = _restore(storage, process, pool, page, destroyed, copy_pool, destination, max_processes)
    process.say("ANR1238I", pool=pool.name, **_figures(copied))
    if copied.lost:
        process.say("ANR1257W", pool=pool.name)


def _restore(
    storage: Storage,
    process: Process,
    pool: StoragePool,
    page: Page,
    destroyed: Sequence[int],
    copy_pool: str,
    destination: StoragePool,
    max_processes: int,
) -> Copied:
    only = _copy_pool_id(storage, copy_pool)
    leave = moving(storage, lambda row: row.pool_id == pool.id and row.is_lost)

    def allowed(row: PlacementRow) -> bool:
        return row.is_copy and only in (0, row.pool_id)

    def from_older(lost: Sequence[int]) -> Rebuilt:
        """The copies of what was rebuilt since the last BACKUP STGPOOL are older records."""
        return rebuild_aggregates(
            storage,
            lost,
            destination,
            progress=process.advance,
            raise_if_cancelled=process.raise_if_cancelled,
            on_store=leave,
            exclude=destroyed,
            allowed=allowed,
            priority=Priority.RESTORE_POOL,
            who=f"process {process.number} ({process.description})",
        )

    try:
        return copy_volumes(
            storage,
            process,
            volumes_with_work(storage, page),
            page,
            destination,
            allowed=allowed,
            on_store=leave,
            max_processes=max_processes,
            exclude=destroyed,
            priority=Priority.RESTORE_POOL,
            reads=_read_pools(storage, only),
            otherwise=from_older,
        )
    finally:
        process.note = ""
        for volume_id in destroyed:
            _delete_if_empty(storage, process, volume_id)


def volumes_of_one_pool(storage: Storage, names: Sequence[str]) -> tuple[list[Volume], StoragePool]:
    """Each named once, and all of one primary pool; `NotFound`, `BadInput`."""
    with storage.catalog.read() as r:
        volumes = [nouns.get(r, Volume, name) for name in _each_once(names)]
        pools = {volume.pool_id: nouns.by_id(r, StoragePool, volume.pool_id) for volume in volumes}
    for pool in pools.values():
        if pool.is_copy:
            raise BadInput("ANR2255E", pool=pool.name, needed="a primary storage pool")
    if len(pools) != 1:
        raise BadInput("ANR1243E", pools=", ".join(sorted(pool.name for pool in pools.values())))
    return volumes, pools[volumes[0].pool_id]


def _each_once(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if names.count(name) > 1:
            raise BadInput("ANR4780E", volume=name)
    return names


def destination_of(storage: Storage, pool: StoragePool, new_pool: str) -> StoragePool:
    """Where it comes back; `BadInput`, or `NotAvailable` where that pool's access forbids it (docs/decisions/0064)."""
    with storage.catalog.read() as r:
        destination = nouns.get(r, StoragePool, new_pool or pool.name)
    if destination.is_copy:
        raise BadInput("ANR2255E", pool=destination.name, needed="a primary storage pool")
    is_new = destination.id != pool.id
    if destination.access == UNAVAILABLE or (is_new and destination.access != READWRITE):
        raise NotAvailable("ANR4722E", pool=destination.name, access=destination.access)
    return destination


def _copy_pool_id(storage: Storage, name: str) -> int:
    """0 for any."""
    if not name:
        return 0
    with storage.catalog.read() as r:
        pool = nouns.get(r, StoragePool, name)
    if not pool.is_copy:
        raise BadInput("ANR2255E", pool=pool.name, needed="a copy storage pool")
    return pool.id


def _read_pools(storage: Storage, only: int) -> list[StoragePool]:
    with storage.catalog.read() as r:
        return [pool for pool in nouns.select(r, StoragePool) if pool.is_copy and only in (0, pool.id)]


def _destroy(storage: Storage, volume: Volume) -> None:
    """`InUse` while somebody writes it."""
    with storage.use.hold(volume), storage.catalog.write() as tx:
        nouns.update(tx, msgspec.structs.replace(nouns.by_id(tx, Volume, volume.id), access=DESTROYED))


def _delete_if_empty(storage: Storage, process: Process, volume_id: int) -> None:
    """The record of a destroyed volume goes with the last that lay on it; what is left is said."""
    with storage.catalog.read() as r:
        found = nouns.select(r, Volume, id=volume_id)
        left = placements.has_placements(r, volume_id)
    if not found:
        return  # an emptied scratch volume went by itself
    if left:
        process.say("ANR1256W", volume=found[0].name)
    elif found[0].access == DESTROYED or found[0].status == EMPTY:
        with storage.use.hold(found[0]):
            storage.life.delete(found[0])
        process.say("ANR2208I", volume=found[0].name)


def _figures(copied: Copied) -> dict[str, str]:
    return {
        "records": f"{copied.records:,}",
        "size": show_size(copied.stored_bytes),
        "lost": f"{len(copied.lost):,}",
    }
