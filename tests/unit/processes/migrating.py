"""A depot whose BACKUPPOOL has a volume, and short ways to migrate it."""

from __future__ import annotations

from typing import Any

from tests.unit.processes.depot_work import run
from tests.unit.storage.depot import Depot

from farvault.base.units import MIB
from farvault.catalog import cached, nouns
from farvault.model.storage_pool import SEQUENTIAL, StoragePool
from farvault.model.volume import Volume
from farvault.policy.migration import Use
from farvault.processes.migrate import migrate_pool
from farvault.processes.process import Process
from farvault.storage.pool_use import pool_use

MIB_OF_DISK = 32


def with_disk(depot: Depot, mib: int = MIB_OF_DISK) -> Volume:
    """BACKUPPOOL -> TAPEPOOL, thresholds 90 and 70."""
    depot.change_pool("BACKUPPOOL", high_migration_percent=90, low_migration_percent=70)
    return depot.storage.life.define(
        depot.pool("BACKUPPOOL"), str(depot.folder / "one.dsm"), capacity_bytes=mib * MIB + 4096
    )


def migrate(depot: Depot, pool: str = "BACKUPPOOL", **options: Any) -> Process:
    return run(depot, lambda process: migrate_pool(depot.storage, process, pool, **options) and None)


def use(depot: Depot, pool: str = "BACKUPPOOL") -> Use:
    with depot.catalog.read() as r:
        return pool_use(depot.storage, r, depot.pool(pool))


def add_pool(depot: Depot, name: str, **values: Any) -> StoragePool:
    """A sequential primary pool on FILE volumes."""
    settings = {"device_class": "COPYCLASS", "variant": SEQUENTIAL, "max_scratch": 50} | values
    with depot.catalog.write() as tx:
        nouns.insert(tx, StoragePool(name=name, **settings))
    return depot.pool(name)


def cached_on(depot: Depot, volume: Volume) -> int:
    """How many cached copies it holds."""
    with depot.catalog.read() as r:
        return len(cached.spans_of_volume(r, volume.id))
