"""`python -m bench.big_pool`: reclaim, migrate and empty a storage pool of ten million extents; says rates and peak memory.

Real records of many small extents on FILE volumes: 250 extents to an aggregate, two files to each. Of every third aggregate
both files are deleted, of every third one of the two, so a third is dead, a third is made anew and a third moves as it
is. Then the pool is reclaimed, what is left migrates to the next pool and is deleted, and every sum of the catalog is
checked where that was asked for.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable

import click
import msgspec

from bench.expiration import NOW, BenchClock, Watch, peak_mib
from bench.results import Findings
from farvault.apps.first_definitions import make_first_definitions
from farvault.base.clock import ManualClock
from farvault.base.log import Log
from farvault.base.units import MIB
from farvault.catalog import audit, extents, nouns, objects
from farvault.catalog.catalog import Catalog
from farvault.catalog.extents import NewAggregate
from farvault.catalog.objects import NewObject
from farvault.media.interface import Device
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import SEQUENTIAL, StoragePool
from farvault.model.stored_object import ObjectKind, ObjectType
from farvault.processes.migrate import migrate_pool
from farvault.processes.process import Process, Processes
from farvault.processes.reclaim import Options, reclaim_pool
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackBuilder
from farvault.seal.record import Header, RecordKind, seal
from farvault.storage.devices import Devices
from farvault.storage.storage import Storage
from farvault.storage.writing import PoolWriter

PER_AGGREGATE = 250
EXTENT_BYTES = 64
AT_ONCE = 40
"""Aggregates stored in one transaction."""
MOST_MIB = 500


class BigPool:
    """A server's storage with one pool, and what fills it."""

    def __init__(self, folder: str) -> None:
        clock = ManualClock(NOW)
        self.catalog = Catalog.create(os.path.join(folder, "catalog.db"), b"k" * 32, clock)
        with self.catalog.write() as tx:
            make_first_definitions(
                tx, server_name="BENCH", instance_id="", administrator="ADMIN", verifier="", now=NOW
            )
            tapes = DeviceClass(
                name="TAPES",
                device_type="FILE",
                directory=os.path.join(folder, "tapes"),
                max_capacity_bytes=8 * MIB,
                mount_limit=20,
            )
            nouns.insert(tx, tapes)
            pool = StoragePool(name="NEXTPOOL", device_class="TAPES", variant=SEQUENTIAL, max_scratch=100_000)
            nouns.insert(tx, pool)
            pool = msgspec.structs.replace(pool, name="BIGPOOL", next_pool="NEXTPOOL")
            self.pool_id = nouns.insert(tx, pool)
            self.pool = nouns.by_id(tx, StoragePool, self.pool_id)
            self.node = nouns.insert(tx, Node(name="BENCH"))
            self.space = nouns.insert(tx, FileSpace(node_id=self.node, name="/home", number=1))
        self.keyring, identity = Keyring.create(), Identity.create("BENCH")
        self.log = Log(clock)
        devices = Devices(self.catalog, os.path.join(folder, "volumes"), _no_server)
        self.storage = Storage(self.catalog, self.keyring, identity, devices, self.log, BenchClock())
        self.processes = Processes(self.log, clock)

    def fill(self, aggregates: int) -> list[int]:
        """Returns the numbers of the objects, two to an aggregate."""
        writer = self.storage.writer(self.pool, down=False)
        ids: list[int] = []
        for start in range(0, aggregates, AT_ONCE):
            ids += self._store(writer, range(start, min(start + AT_ONCE, aggregates)))
        writer.close()
        return ids

    def _store(self, writer: PoolWriter, numbers: range) -> list[int]:
        sealed = [self._sealed(writer, number) for number in numbers]
        writer.sync()
        new: list[NewObject] = []
        with self.catalog.write() as tx:
            aggregate_ids = []
            for number, (header, inside) in zip(numbers, sealed, strict=True):
                made = NewAggregate(
                    header.record_id,
                    header.digest,
                    header.stored_bytes,
                    header.plain_bytes,
                    header.codec,
                    header.key_id,
                    self.node,
                    self.space,
                    self.pool_id,
                    inside,
                )
                aggregate_id, own = extents.add_aggregate(tx, made, NOW)
                aggregate_ids.append(aggregate_id)
                half = len(own) // 2
                for part, some in ((0, own[:half]), (1, own[half:])):
                    size = EXTENT_BYTES * len(some)
                    name = b"file%09d-%d" % (number, part)
                    new.append(NewObject(b"d", name, int(ObjectType.FILE), size, b"", "", tuple(some)))
            writer.store(tx, aggregate_ids)
            return list(
                objects.store_objects(
                    tx,
                    node_id=self.node,
                    file_space_id=self.space,
                    kind=ObjectKind.BACKUP,
                    management_class="STANDARD",
                    objects=new,
                    now=NOW,
                )
            )

    def _sealed(self, writer: PoolWriter, number: int) -> tuple[Header, list[tuple[bytes, int]]]:
        builder = PackBuilder("BENCH", "/home", int(ObjectKind.BACKUP), "STANDARD")
        data = [os.urandom(EXTENT_BYTES) for _ in range(PER_AGGREGATE)]
        indexes = [builder.add_extent(digest(one), one) for one in data]
        half = len(indexes) // 2
        for part, some in ((0, indexes[:half]), (1, indexes[half:])):
            name = b"file%09d-%d" % (number, part)
            builder.add_object(b"d", name, 1, EXTENT_BYTES * len(some), b"", extents=some)
        plain = builder.build()
        buffer = self.storage.buffers.take()
        header = seal(
            buffer,
            [plain],
            kind=RecordKind.AGGREGATE,
            codec=RAW,
            plain_bytes=len(plain),
            keyring=self.keyring,
        )
        writer.append(buffer[: header.stored_bytes], header.digest)
        self.storage.buffers.give(buffer)
        return header, [(digest(one), len(one)) for one in data]

    def delete(self, ids: list[int]) -> int:
        """What EXPIRE INVENTORY deletes with; returns how many objects that was."""
        self.storage.delete_objects(ids)
        return len(ids)

    def reclaim(self) -> int:
        """Returns how many aggregates moved or were made anew."""
        name, options = self.pool.name, Options(threshold_percent=40)
        return self._run(lambda process: reclaim_pool(self.storage, process, name, options))

    def migrate(self) -> int:
        """Everything, to the next pool; returns how many aggregates that was."""
        name = self.pool.name
        return self._run(lambda process: migrate_pool(self.storage, process, name, low_percent=0))

    def _run(self, work: Callable[[Process], None]) -> int:
        ended = self.processes.start("BENCH", work, wait=True)
        if ended.error is not None or ended.failed_objects:
            raise SystemExit(f"it failed: {ended.error}")
        return ended.objects

    def close(self) -> None:
        self.storage.close()
        self.catalog.close()


def _no_server(definition: DeviceClass) -> Device:
    del definition
    raise AssertionError("no SERVER class here")


@click.command()
@click.option("--extents", "total", default=10_000_000)
@click.option("--folder", default=None, help="Where catalog and volumes are made.")
@click.option("--audit", "audited", is_flag=True, help="Check every sum of the catalog in the end.")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
def main(total: int, folder: str | None, audited: bool, write: str | None) -> None:
    """Fill, delete, reclaim, migrate, delete the rest; fails where that took more memory than it may."""
    note = "Files of 125 extents, 250 extents to an aggregate, volumes of 8 MiB."
    findings = Findings("big_pool", note)
    with tempfile.TemporaryDirectory(dir=folder) as path:
        big = BigPool(path)
        start = time.perf_counter()
        ids = big.fill(total // PER_AGGREGATE)
        findings.timed("fill, extents", total, start)
        start = time.perf_counter()
        gone = {one for at, one in enumerate(ids) if at // 2 % 3 == 0 or (at // 2 % 3 == 1 and at % 2)}
        findings.timed("delete, objects", big.delete(sorted(gone)), start)
        before = peak_mib()
        big.log.add_sink(
            lambda line: click.echo(f"  {line.message}") if line.message.id == "ANR4726I" else None
        )
        watch = Watch(big.catalog)
        start = time.perf_counter()
        findings.timed("reclaim, aggregates (half of them made anew)", big.reclaim(), start)
        start = time.perf_counter()
        findings.timed("migrate, aggregates", big.migrate(), start)
        start = time.perf_counter()
        findings.timed("delete the rest, objects", big.delete([one for one in ids if one not in gone]), start)
        findings.say(
            "write transactions since the reclamation", f"{watch.count:,}, {watch.total:.1f} s in all"
        )
        findings.say("longest write transaction", f"{watch.longest * 1000:.0f} ms")
        findings.say("the same with the checkpoint behind it", f"{watch.longest_hold * 1000:.0f} ms")
        findings.say("peak memory", f"{before:.0f} MiB before, {peak_mib():.0f} MiB after")
        if audited:
            with big.catalog.read() as r:
                wrong = [*audit.check_sums(r)]
            findings.say("sums that do not hold", f"{len(wrong)}")
        big.close()
        if peak_mib() > MOST_MIB:
            raise SystemExit(f"that is more than {MOST_MIB} MiB")
    findings.write(write, "A pool of ten million extents")


if __name__ == "__main__":
    main()
