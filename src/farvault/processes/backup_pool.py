"""BACKUP STGPOOL: copy what the copy pool lacks (TSM reference, storage 3.5). Incremental by nature.

Skipped are records whose primary is damaged or on a volume that may not be read, and records that have an undamaged
copy in the copy pool. A damaged copy is replaced: it goes in the transaction that brings the new one.
"""

from __future__ import annotations

from farvault.base.errors import BadInput, NotAvailable
from farvault.base.messages import Message, message
from farvault.base.units import show_size
from farvault.catalog import nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, READONLY, READWRITE, UNAVAILABLE, Volume
from farvault.processes.left_places import leaving
from farvault.processes.process import Process
from farvault.processes.volume_copies import Place, copy_volumes, survey, volumes_with_work
from farvault.storage.storage import Storage

NO, YES, VOLUMES_ONLY = "NO", "YES", "VOLUMESONLY"


def backup_pool(
    storage: Storage,
    process: Process,
    primary_name: str,
    copy_name: str,
    *,
    max_processes: int = 1,
    preview: str = NO,
) -> None:
    """`preview`: NO, YES (say how much it would be) or VOLUMESONLY (say which volumes would be read).

    `BadInput` where the pools are not a primary and a copy pool. What was copied before an error or a cancel stays.
    """
    primary, copy = pools_of(storage, primary_name, copy_name)

    def page(r: Snapshot, place: Place, limit: int) -> list[PlacementRow]:
        return placements.missing_in_copy(r, primary.id, copy.id, place, limit)

    names = {"primary": primary.name, "copy": copy.name}
    with storage.catalog.read() as r:
        for warning in kept_once(r, primary, copy):
            process.repeat(warning)
    if preview != NO:
        work = survey(storage, page)
        for name in work.volumes.values():
            process.say("ANR1228I", volume=name)
        if preview == YES:
            process.say("ANR1215I", **names, **work.figures)
        return
    process.say("ANR1210I", **names, number=process.number)
    _say_left_out(storage, process, primary)
    copied = copy_volumes(
        storage,
        process,
        volumes_with_work(storage, page),
        page,
        copy,
        allowed=lambda row: row.pool_id == primary.id,
        on_store=leaving(storage, lambda row: row.pool_id == copy.id and row.is_lost),
        max_processes=max_processes,
    )
    process.note = ""
    process.say(
        "ANR1214I",
        **names,
        records=f"{copied.records:,}",
        size=show_size(copied.stored_bytes),
        referred=f"{copied.referred:,}",
        lost=f"{len(copied.lost):,}",
    )


def pools_of(storage: Storage, primary_name: str, copy_name: str) -> tuple[StoragePool, StoragePool]:
    """The two pools; `NotFound`, `BadInput` where one is of the wrong kind, `NotAvailable` where its access forbids it."""
    with storage.catalog.read() as r:
        primary, copy = nouns.get(r, StoragePool, primary_name), nouns.get(r, StoragePool, copy_name)
    if primary.is_copy:
        raise BadInput("ANR2255E", pool=primary.name, needed="a primary storage pool")
    if not copy.is_copy:
        raise BadInput("ANR2255E", pool=copy.name, needed="a copy storage pool")
    if copy.access != READWRITE:
        raise NotAvailable("ANR4722E", pool=copy.name, access=copy.access)
    if primary.access == UNAVAILABLE:  # nothing is read from it (docs/decisions/0023)
        raise NotAvailable("ANR4722E", pool=primary.name, access=primary.access)
    return primary, copy


def kept_once(r: Snapshot, primary: StoragePool, copy: StoragePool) -> list[Message]:
    """A warning for each pool, from the primary pool down its hierarchy, that lies at the same server as its copies.

    That server keeps equal records once, so these are no copies (docs/decisions/0067).
    """
    server = nouns.get(r, DeviceClass, copy.device_class).server_name
    warnings: list[Message] = []
    pool: StoragePool | None = primary if server else None
    while pool is not None:
        if nouns.get(r, DeviceClass, pool.device_class).server_name == server:
            warnings.append(message("ANR4980W", server=server, primary=pool.name, copy=copy.name))
        pool = nouns.find(r, StoragePool, pool.next_pool) if pool.next_pool else None
    return warnings


def _say_left_out(storage: Storage, process: Process, primary: StoragePool) -> None:
    with storage.catalog.read() as r:
        for volume in nouns.select(r, Volume, pool_id=primary.id):
            offline = volume.status == OFFLINE
            left_out = offline or volume.access not in (READWRITE, READONLY)
            if left_out and placements.has_placements(r, volume.id):
                access = volume.status if offline else volume.access
                process.say("ANR1229W", volume=volume.name, access=access)
