"""`python -m bench.expiration`: EXPIRE INVENTORY over a catalog of a million objects, a fifth of which goes.

Half the names have one version; the others have older ones, were deleted, or are archive copies. Every object has an
extent of its own, twenty to an aggregate. Says objects per second, the longest write transaction, peak memory, and
what storing a changed file costs.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bench.results import Findings
from farvault.apps.first_definitions import make_first_definitions
from farvault.base.clock import ManualClock, SystemClock
from farvault.base.log import Log
from farvault.catalog import extents, nouns, objects, placements
from farvault.catalog.catalog import Catalog
from farvault.catalog.extents import NewAggregate
from farvault.catalog.objects import NewObject
from farvault.catalog.transaction import Transaction
from farvault.media.interface import Device
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind
from farvault.model.volume import Volume
from farvault.processes.expire_inventory import DESCRIPTION, Options, expire_inventory
from farvault.processes.process import Processes
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.storage.devices import Devices
from farvault.storage.storage import Storage

DAY = 86_400
NOW = 2_000_000_000
BATCH = 5_000
PER_DIRECTORY = 100
PER_AGGREGATE = 20


class Filled:
    """A catalog with one node, and short ways to fill it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._offset = self._content = 0
        with catalog.write() as tx:
            self.node = nouns.insert(tx, Node(name="BENCH"))
            self.space = nouns.insert(tx, FileSpace(node_id=self.node, name="/home", number=1))
            pool = nouns.find(tx, StoragePool, "BACKUPPOOL")
            self.pool = pool.id if pool else 0
            volume = Volume(name="bench", pool_id=self.pool, status="FULL", written_bytes=1 << 50)
            self.volume = nouns.insert(tx, volume)

    def store(self, numbers: range, days_ago: int, kind: int = ObjectKind.BACKUP) -> None:
        for start in range(numbers.start, numbers.stop, BATCH):
            batch = range(start, min(start + BATCH, numbers.stop))
            with self.catalog.write() as tx:
                ids = self._extents(tx, len(batch))
                new = [
                    NewObject(
                        b"d%06d" % (n // PER_DIRECTORY), b"file%08d" % n, 1, 4096, b"a" * 90, "", (one,)
                    )
                    for n, one in zip(batch, ids, strict=True)
                ]
                objects.store_objects(
                    tx,
                    node_id=self.node,
                    file_space_id=self.space,
                    kind=kind,
                    management_class="STANDARD",
                    objects=new,
                    now=NOW - days_ago * DAY,
                )

    def delete(self, numbers: range, days_ago: int) -> None:
        with self.catalog.read() as r:
            rows = objects.inventory(r, self.space, ObjectKind.BACKUP)
            wanted = {b"file%08d" % n for n in numbers}
            ids = [row.id for row in rows if row.name in wanted]
        for start in range(0, len(ids), BATCH):
            with self.catalog.write() as tx:
                objects.expire(tx, self.node, ids[start : start + BATCH], NOW - days_ago * DAY)

    def _extents(self, tx: Transaction, count: int) -> list[int]:
        found: list[int] = []
        for start in range(0, count, PER_AGGREGATE):
            lengths = min(PER_AGGREGATE, count - start)
            inside = [(os.urandom(32), 4096) for _ in range(lengths)]
            new = NewAggregate(
                os.urandom(16), os.urandom(32), 65536, 90_000, 1, 1, self.node, self.space, self.pool, inside
            )
            aggregate_id, ids = extents.add_aggregate(tx, new, NOW)
            placements.add(tx, aggregate_id, self.volume, self._offset)
            self._offset += 65536
            found += ids
        return found


@contextmanager
def new_catalog(folder: str | None) -> Iterator[Filled]:
    with tempfile.TemporaryDirectory(dir=folder) as path:
        clock = ManualClock(NOW)
        catalog = Catalog.create(os.path.join(path, "catalog.db"), b"k" * 32, clock)
        with catalog.write() as tx:
            make_first_definitions(
                tx, server_name="BENCH", instance_id="", administrator="ADMIN", verifier="", now=NOW
            )
        yield Filled(catalog)
        catalog.close()


def fill(filled: Filled, total: int, findings: Findings) -> None:
    """`total` objects: 55 % active, 15 % inactive and kept, 15 % inactive and due, 10 % archives kept, 5 % due."""
    part = total // 100
    filled.store(range(60 * part), 100)
    start = time.perf_counter()
    filled.store(range(10 * part), 40)
    findings.timed("store changed files, second version", 10 * part, start)
    filled.store(range(20 * part, 35 * part), 10)
    filled.delete(range(55 * part, 60 * part), 70)
    filled.store(range(10 * part), 300, ObjectKind.ARCHIVE)
    filled.store(range(10 * part, 15 * part), 400, ObjectKind.ARCHIVE)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch:
    """How long each write transaction takes, and how long the writer is kept: with the checkpoint that some of them
    bring. The waiting before it is not counted.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.longest = self.longest_hold = self.total = self._checkpoint_seconds = 0.0
        self.count = 0
        write, checkpoint = catalog.write, catalog._writer.checkpoint

        @contextmanager
        def watched() -> Iterator[Transaction]:
            with write() as tx:
                start = time.perf_counter()
                yield tx
                began = start
            seconds = time.perf_counter() - began
            self.longest = max(self.longest, seconds - self._checkpoint_seconds)
            self.longest_hold, self.total = max(self.longest_hold, seconds), self.total + seconds
            self._checkpoint_seconds = 0.0
            self.count += 1

        def timed(mode: int) -> None:
            start = time.perf_counter()
            checkpoint(mode)
            self._checkpoint_seconds = time.perf_counter() - start

        catalog._writer.checkpoint = timed  # type: ignore[method-assign]
        catalog.write = watched  # type: ignore[method-assign]


def expire(filled: Filled, folder: str, *, preview: bool) -> int:
    """Returns how many objects were looked at."""
    clock, log = BenchClock(), Log(ManualClock(NOW))
    keyring, identity = Keyring.create(), Identity.create("BENCH")
    devices = Devices(filled.catalog, folder, _no_server)
    storage = Storage(filled.catalog, keyring, identity, devices, log, clock)
    processes = Processes(log, clock)
    log.add_sink(lambda line: click.echo(f"  {line.message}"))
    ended = processes.start(
        DESCRIPTION,
        lambda process: expire_inventory(storage, process, Options(preview=preview)),
        wait=True,
    )
    storage.close()
    return ended.objects


class BenchClock(SystemClock):
    """Today is the bench's day; durations are real."""

    def now_seconds(self) -> int:
        return NOW


def _no_server(definition: DeviceClass) -> Device:
    del definition
    raise AssertionError("no SERVER class here")


@click.command()
@click.option("--objects", "total", default=1_000_000)
@click.option("--folder", default=None, help="Where the catalog is made.")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
def main(total: int, folder: str | None, write: str | None) -> None:
    """Fill, preview, expire."""
    note = "A fifth of the objects goes; a write transaction's time is from its begin to its durable end."
    findings = Findings("expiration", note)
    with new_catalog(folder) as filled, tempfile.TemporaryDirectory() as volumes:
        fill(filled, total, findings)
        before = peak_mib()
        start = time.perf_counter()
        findings.timed("examine (PREVIEW=YES)", expire(filled, volumes, preview=True), start)
        watch = Watch(filled.catalog)
        start = time.perf_counter()
        findings.timed("examine and delete", expire(filled, volumes, preview=False), start)
        findings.say("write transactions", f"{watch.count:,}, {watch.total:.1f} s in all")
        findings.say("longest write transaction", f"{watch.longest * 1000:.0f} ms")
        findings.say("the same with the checkpoint behind it", f"{watch.longest_hold * 1000:.0f} ms")
        findings.say("peak memory", f"{before:.0f} MiB before, {peak_mib():.0f} MiB after")
    findings.write(write, "Expiration")


if __name__ == "__main__":
    main()
