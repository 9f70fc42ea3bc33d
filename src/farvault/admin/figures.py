"""Capacity arithmetic of pools and volumes, as QUERY STGPOOL and QUERY VOLUME show it (TSM reference, storage 3.10)."""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog import cached, nouns, placements
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, ONLINE, Volume


class PoolFigures(NamedTuple):
    """`used_bytes`: live data on the pool's volumes; in a random pool what is taken, cached copies included."""

    capacity_bytes: int
    used_bytes: int
    scratch_used: int

    @property
    def used_percent(self) -> float:
        return percent(self.used_bytes, self.capacity_bytes)


class VolumeFigures(NamedTuple):
    """`live_bytes`: what is still needed; what was written beyond that can be reclaimed. Random: what is taken."""

    live_bytes: int
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
    used = sum(_used_bytes(r, volume, pool.is_random) for volume in volumes)
    return PoolFigures(capacity, used, scratch)


def _used_bytes(r: Snapshot, volume: Volume, is_random: bool) -> int:
    """On a random volume a record's space is free again when nothing of it is needed, so all of it counts till then."""
    if not is_random:
        return placements.volume_live_bytes(r, volume.id)
    return placements.volume_stored_bytes(r, volume.id) + cached.volume_bytes(r, volume.id)


def volume_figures(r: Snapshot, volume: Volume) -> VolumeFigures:
    live = _used_bytes(r, volume, volume.status in (ONLINE, OFFLINE))
    dead = max(volume.written_bytes - live, 0)
    return VolumeFigures(live, percent(live, volume.capacity_bytes), percent(dead, volume.written_bytes))
