"""DELETE VOLUME: a volume without data goes at once; with DISCARDDATA=YES its data goes first.

What lies on a primary volume is given up for good, copies in copy pools included. Of a copy volume only the copies go:
the next BACKUP STGPOOL makes them again.
"""

from __future__ import annotations

from itertools import islice

from farvault.base.errors import StillReferenced
from farvault.catalog import content, nouns, placements
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes.backup_pool import remove_placements
from farvault.processes.process import Process
from farvault.storage.storage import Storage

BATCH = 1000


def delete_volume(storage: Storage, process: Process, volume_name: str, *, discard: bool = False) -> None:
    """`StillReferenced` where it holds data and `discard` is not given; `InUse` while somebody writes it."""
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
        has_data = placements.has_placements(r, volume.id)
    if has_data and not discard:
        raise StillReferenced("ANR2406E", volume=volume.name)
    with storage.volumes.hold(volume):
        if has_data:
            process.say("ANR2222I", volume=volume.name, number=process.number)
            if not pool.is_copy:
                _discard_objects(storage, process, volume)
            _discard_placements(storage, process, volume)
            process.say("ANR2223I", volume=volume.name)
        storage.life.delete(volume)
    process.say("ANR2208I", volume=volume.name)


def _discard_objects(storage: Storage, process: Process, volume: Volume) -> None:
    """Every object with data on it; their records go with them wherever they lie."""
    while True:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            found = [row.object_id for row in islice(content.on_volume(r, volume.id), BATCH)]
        if not found:
            return
        objects, live_bytes = storage.delete_objects(found, process.raise_if_cancelled)
        process.advance(objects, live_bytes)


def _discard_placements(storage: Storage, process: Process, volume: Volume) -> None:
    """Copies; of a primary volume what no finished object needs."""
    while True:
        process.raise_if_cancelled()
        with storage.catalog.write() as tx:
            rows = placements.on_volume(tx, volume.id, limit=BATCH)
            if not rows:
                return
            ids = [row.aggregate_id for row in rows]
            remove_placements(storage, tx, ids, lambda row: row.volume_id == volume.id)
        process.advance(len(rows), sum(row.stored_bytes for row in rows))
