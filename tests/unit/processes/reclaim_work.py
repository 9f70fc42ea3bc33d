"""Files in packs of four on volumes of two packs, what is deleted of them, and the runs that tidy up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from tests.unit.processes.depot_work import run
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import UNAVAILABLE
from farvault.processes.backup_pool import backup_pool
from farvault.processes.process import Process
from farvault.processes.reclaim import Options, reclaim_pool

FILES = some_files(24, 900_000)
"""Four to a pack, two packs to a volume of 8 MiB."""


def reclaim(depot: Depot, pool: str = "TAPEPOOL", threshold: int = 40, **options: int) -> Process:
    wanted = Options(threshold_percent=threshold, **options)  # type: ignore[arg-type]
    return run(depot, lambda process: reclaim_pool(depot.storage, process, pool, wanted))


def delete(depot: Depot, names: Iterable[str]) -> None:
    ids = depot.inventory()
    depot.storage.delete_objects([ids[name] for name in names])


def whole_packs(*numbers: int) -> list[str]:
    return [name for at, name in enumerate(FILES) if at // 4 in numbers]


def parts_of_packs(keep: int = 1) -> list[str]:
    """Names of all but the first `keep` files of every pack."""
    return [name for at, name in enumerate(FILES) if at % 4 >= keep]


def without(names: Iterable[str]) -> dict[str, bytes]:
    gone = set(names)
    return {name: data for name, data in FILES.items() if name not in gone}


def digests(depot: Depot, pool: str = "TAPEPOOL") -> set[bytes]:
    return {row.digest for row in depot.placed(pool)}


def old_ones(depot: Depot) -> int:
    with depot.catalog.read() as r:
        return len(r.all("SELECT aggregate_id FROM superseded_aggregates"))


def bring_up(depot: Depot) -> Process:
    return run(depot, lambda process: backup_pool(depot.storage, process, "TAPEPOOL", "COPYPOOL"))


@contextlib.contextmanager
def only_copies(depot: Depot) -> Iterator[None]:
    """No primary volume can be read."""
    before = depot.volumes()
    for volume in before:
        depot.change_volume(volume, access=UNAVAILABLE)
    yield
    for volume in before:
        depot.change_volume(volume, access=volume.access)


def full_volumes(make_depot: MakeDepot) -> Depot:
    """Files on three FULL volumes of TAPEPOOL; OTHERPOOL and OTHERCOPY are empty."""
    depot = make_depot(capacity_bytes=8 * MIB)
    depot.send(FILES)
    assert len(depot.volumes()) == 3
    depot.change_volume(depot.volumes()[-1], status="FULL")
    with depot.catalog.write() as tx:
        for name, variant in (("OTHERPOOL", "SEQUENTIAL"), ("OTHERCOPY", "COPY")):
            pool = StoragePool(name=name, device_class="COPYCLASS", variant=variant, max_scratch=9)
            nouns.insert(tx, pool)
    return depot


KEPT = without(parts_of_packs())
"""What the tests leave of every pack: its first file."""
