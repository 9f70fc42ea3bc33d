"""How full a pool is, as migration counts it (TSM reference, storage 3.2.1) and QUERY STGPOOL shows it.

Random pools by bytes on their volumes, offline ones too; pools on our own disk by bytes of all volumes they may have;
pools whose media are elsewhere by volumes with data, because a volume there is what is used up.
"""

from __future__ import annotations

from farvault.catalog import nouns, owners
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.migration import Use
from farvault.storage.storage import Storage


def pool_use(storage: Storage, r: Snapshot, pool: StoragePool) -> Use:
    """Of a random pool what is placed or on its way; cached copies do not count. It reads a row a volume, and one for each owner of data on it."""
    volumes = nouns.select(r, Volume, pool_id=pool.id)
    if pool.is_random:
        spaces = [free for one in volumes if (free := storage.spaces.find(one)) is not None]
        return Use(sum(free.placed_bytes for free in spaces), sum(one.capacity_bytes for one in volumes))
    scratch = sum(1 for one in volumes if one.scratch)
    still_to_make = max(pool.max_scratch - scratch, 0)
    if storage.devices.device(pool.device_class).capabilities.remote:
        used = sum(1 for one in volumes if one.written_bytes)
        return Use(used, len(volumes) + still_to_make, by_volumes=True)
    size = nouns.get(r, DeviceClass, pool.device_class).max_capacity_bytes
    whole = sum(one.capacity_bytes for one in volumes) + still_to_make * size
    return Use(sum(one.live_bytes for one in owners.pool_bytes(r, pool.id).values()), whole)


def cached_bytes(storage: Storage, r: Snapshot, pool: StoragePool) -> int:
    """What cached copies hold of a random pool: it counts as used, and gives way when room is needed."""
    if not pool.is_random:
        return 0
    volumes = nouns.select(r, Volume, pool_id=pool.id)
    return sum(free.cached_bytes for one in volumes if (free := storage.spaces.find(one)) is not None)
