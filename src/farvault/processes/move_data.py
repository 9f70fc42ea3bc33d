"""MOVE DATA: what lies on one volume goes to other volumes of its pool, or to another primary pool.

As reclamation of a single volume, whatever its state and however much of it is needed (TSM reference, storage 2.8). A volume
that is OFFSITE is not read: its data comes from the primary pools.
"""

from __future__ import annotations

from farvault.base.errors import BadInput, NotAvailable
from farvault.base.units import show_size
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFSITE, READONLY, READWRITE, Volume
from farvault.processes.emptying import empty_volume
from farvault.processes.process import Process
from farvault.storage.storage import Storage


def destination_of(r: Snapshot, pool: StoragePool, to_pool: str) -> StoragePool:
    """Where data of a pool may move to; `BadInput` where it may not, `NotAvailable` where nothing may be written there."""
    destination = nouns.get(r, StoragePool, to_pool) if to_pool else pool
    if pool.is_copy and destination.id != pool.id:
        raise _wrong(pool, destination, "the same copy storage pool")
    if destination.is_copy and not pool.is_copy:
        raise _wrong(pool, destination, "a primary storage pool")
    if destination.id != pool.id and destination.access != READWRITE:
        raise NotAvailable("ANR4722E", pool=destination.name, access=destination.access)
    return destination


def _wrong(pool: StoragePool, destination: StoragePool, needed: str) -> BadInput:
    return BadInput(
        "ANR4729E",
        pool_type="copy" if pool.is_copy else "primary",
        pool=pool.name,
        destination=destination.name,
        needed=needed,
    )


def check_volume(volume: Volume) -> None:
    """`NotAvailable` where it cannot be read and is not just off-site."""
    if volume.access not in (READWRITE, READONLY, OFFSITE):
        raise NotAvailable("ANR4730E", volume=volume.name, access=volume.access)


def move_data(
    storage: Storage, process: Process, volume_name: str, *, to_pool: str = "", reconstruct: bool = False
) -> None:
    """`reconstruct`: aggregates with dead extents are made anew. `InUse` where somebody writes or audits the volume.

    The process fails where records could not be read; they stay on the volume.
    """
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
        destination = destination_of(r, nouns.by_id(r, StoragePool, volume.pool_id), to_pool)
    check_volume(volume)
    process.say("ANR1140I", volume=volume.name, pool=destination.name, number=process.number)
    process.note = f"Volume {volume.name}"
    try:
        done = empty_volume(
            storage,
            process,
            volume,
            destination,
            rebuild_from_percent=0 if reconstruct else None,
            raise_if_cancelled=process.raise_if_cancelled,
        )
    finally:
        process.note = ""
    storage.cache.drop([volume.id])  # what migration left behind there would keep it from being empty
    process.say(
        "ANR1141I",
        volume=volume.name,
        records=f"{done.moved:,}",
        size=show_size(done.moved_bytes),
        referred=f"{done.referred:,}",
        rebuilt=f"{done.rebuilt:,}",
        won=show_size(done.won_bytes),
    )
    if done.left:
        process.say("ANR4731W", volume=volume.name, records=f"{done.left:,}")
