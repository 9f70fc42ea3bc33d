"""Capacity arithmetic of pools and volumes, as QUERY STGPOOL and QUERY VOLUME show it (TSM reference, storage 3.10)."""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog import cached, nouns, owners
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, ONLINE, Volume


class PoolFigures(NamedTuple):
    """`live_bytes`: what is still needed on the pool's volumes. `cached_bytes`: what cached copies take beside it."""

    capacity_bytes: int
    live_bytes: int
    cached_bytes: int
    stored_bytes: int
    scratch_used: int

    @property
    def used_percent(self) -> float:
        return percent(self.live_bytes + self.cached_bytes, self.capacity_bytes)

    @property
    def logical_percent(self) -> float:
        """How much of the records is still needed; dead space inside them lowers it."""
        return percent(self.live_bytes, self.stored_bytes) if self.stored_bytes else 100.0


class VolumeFigures(NamedTuple):
    """`live_bytes`: what is still needed; what was written beyond that can be reclaimed. Random: what records take."""

    live_bytes: int
    cached_bytes: int
    used_percent: float
    reclaimable_percent: float


def percent(part: int, whole: int) -> float:
    return min(100.0, 100.0 * part / whole) if whole > 0 else 0.0


def pool_figures(r: Snapshot, pool: StoragePool) -> PoolFigures:
    """Once a scratch volume holds data, all that the pool may make count, each at the class's capacity."""
    volumes = nouns.select(r, Volume, pool_id=pool.id)
    capacity = sum(volume.capacity_bytes for volume in volumes)
    scratch = sum(1 for volume in volumes if volume.scratch)
    if scratch:
        device_class = nouns.get(r, DeviceClass, pool.device_class)
        capacity += max(pool.max_scratch - scratch, 0) * device_class.max_capacity_bytes
    on_volumes = owners.pool_bytes(r, pool.id)
    stored = sum(one.stored_bytes for one in on_volumes.values())
    live = stored if pool.is_random else sum(one.live_bytes for one in on_volumes.values())
    left = sum(_cached_bytes(r, volume) for volume in volumes)
    return PoolFigures(capacity, live, left, stored, scratch)


def volume_figures(r: Snapshot, volume: Volume) -> VolumeFigures:
    live, left = _live_bytes(r, volume), _cached_bytes(r, volume)
    dead = max(volume.written_bytes - live, 0)
    used = percent(live + left, volume.capacity_bytes)
    return VolumeFigures(live, left, used, percent(dead, volume.written_bytes))


def _live_bytes(r: Snapshot, volume: Volume) -> int:
    """On a random volume a record's space is free again when nothing of it is needed, so all of it counts till then."""
    found = owners.volume_bytes(r, volume.id)
    return found.stored_bytes if _is_random(volume) else found.live_bytes


def _cached_bytes(r: Snapshot, volume: Volume) -> int:
    return cached.volume_bytes(r, volume.id) if _is_random(volume) else 0


def _is_random(volume: Volume) -> bool:
    return volume.status in (ONLINE, OFFLINE)
