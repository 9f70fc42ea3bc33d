"""`python -m bench.hierarchy`: MIGRATE STGPOOL and BACKUP STGPOOL between local pools, beside a plain copy of as many bytes.

The plain copy reads and writes 4 MiB blocks with direct I/O on the same disk, one after the other, and makes them durable
every 256 MiB as the pools do. It is run before and after each step; the ratio is to the mean of the two. Nothing compresses
and nothing is shared, so every byte travels. Memory is the peak while the step ran.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import click

from bench.results import write_part
from farvault.base.clock import SystemClock
from farvault.base.disk import aligned_buffer
from farvault.base.log import Log
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Transaction
from farvault.media.interface import Device
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import COPY, RANDOM, SEQUENTIAL, StoragePool
from farvault.processes.backup_pool import backup_pool
from farvault.processes.migrate import migrate_pool
from farvault.processes.process import Process, Processes, State
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackBuilder
from farvault.storage.devices import Devices
from farvault.storage.intake import Intake
from farvault.storage.storage import Storage

BLOCK = 4 * MIB
SYNCED_BYTES = 256 * MIB
FILES_IN_TRANSACTION = 64
VOLUME_BYTES = 1 << 30


class Pools:
    """DISK -> FAST -> SLOW, and the copy pool COPIES; node BENCH fills the first."""

    def __init__(self, folder: str, mib: int) -> None:
        self.folder, clock = folder, SystemClock()
        self.log = Log(clock)
        self.log.add_sink(lambda line: click.echo(f"  {line.message}", err=True))
        keyring = Keyring.create()
        self.catalog = Catalog.create(f"{folder}/catalog.db", keyring.row_key(), clock)
        with self.catalog.write() as tx:
            set_setting(tx, "SERVERNAME", "BENCH")
            nouns.insert(tx, DeviceClass(name="DISK", device_type="DISK"))
            for name in ("FAST", "SLOW", "COPIES"):
                nouns.insert(
                    tx,
                    DeviceClass(
                        name=name,
                        device_type="FILE",
                        directory=f"{folder}/{name.lower()}",
                        max_capacity_bytes=VOLUME_BYTES,
                        mount_limit=20,
                    ),
                )
            self._pool(tx, "DISK", RANDOM, "FAST")
            self._pool(tx, "FAST", SEQUENTIAL, "SLOW")
            self._pool(tx, "SLOW", SEQUENTIAL, "")
            self._pool(tx, "COPIES", COPY, "")
            node_id = nouns.insert(tx, Node(name="BENCH"))
            nouns.insert(tx, FileSpace(node_id=node_id, name="/home", number=1))
            self.node = nouns.get(tx, Node, "BENCH")
            self.space = nouns.get(tx, FileSpace, node_id, "/home")
        devices = Devices(self.catalog, folder, _no_server)
        self.storage = Storage(self.catalog, keyring, Identity.create("BENCH"), devices, self.log, clock)
        self.processes = Processes(self.log, clock)
        with self.catalog.read() as r:
            disk = nouns.get(r, StoragePool, "DISK")
        self.storage.life.define(disk, f"{folder}/disk.dsm", capacity_bytes=(mib + mib // 8 + 8) * MIB)

    def _pool(self, tx: Transaction, name: str, variant: str, next_pool: str) -> None:
        pool_type = "COPY" if variant == COPY else "PRIMARY"
        pool = StoragePool(
            name=name,
            device_class=name,
            variant=variant,
            pool_type=pool_type,
            next_pool=next_pool,
            max_scratch=1000,
        )
        nouns.insert(tx, pool)

    def fill(self, mib: int, record_kib: int) -> None:
        """Files of a MiB, four to a record; with smaller records, one file a record."""
        size = min(record_kib * 1024, MIB - 4096)
        files = mib * MIB // (size + 4096)
        in_transaction = max(FILES_IN_TRANSACTION * MIB // (size + 4096), 1)
        for start in range(0, files, in_transaction):
            intake = Intake(self.storage, self.node, self.space, 1, "DISK", "STANDARD")
            builder = PackBuilder("BENCH", "/home", 1, "STANDARD")
            for number in range(start, min(start + in_transaction, files)):
                data = os.urandom(size)
                if not builder.is_empty and (record_kib < MIB // 1024 or not builder.fits(size)):
                    self._send(intake, builder)
                at = builder.add_extent(digest(data), data)
                builder.add_object(b"d", b"f%08d" % number, 1, len(data), b"", extents=[at])
            self._send(intake, builder)
            intake.commit()

    def _send(self, intake: Intake, builder: PackBuilder) -> None:
        plain = memoryview(builder.build())
        buffer = self.storage.buffers.take()
        buffer[: plain.nbytes] = plain
        intake.store_pack(RAW, plain.nbytes, plain.nbytes, buffer)
        builder.reset()

    def run(self, work: Callable[[Process], object]) -> Process:
        ended = self.processes.start("BENCH", lambda process: work(process) and None, wait=True)
        assert ended.state is State.SUCCESS, ended.error
        return ended


def plain_copy(source: str, target: str) -> float:
    """Seconds for the whole of `source`."""
    buffer = aligned_buffer(BLOCK)
    began = time.perf_counter()
    reading = os.open(source, os.O_RDONLY | os.O_DIRECT)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o600)
    unsynced = 0
    while got := os.readv(reading, [buffer]):
        os.write(writing, buffer[:got])
        unsynced += got
        if unsynced >= SYNCED_BYTES:
            os.fdatasync(writing)
            unsynced = 0
    os.fdatasync(writing)
    os.close(reading)
    os.close(writing)
    seconds = time.perf_counter() - began
    os.unlink(target)
    return seconds


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """One number in the end: MiB."""
    found: list[float] = []
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    yield found
    with open("/proc/self/status") as file:
        found += [int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")]


def _no_server(definition: DeviceClass) -> Device:
    del definition
    raise AssertionError("no SERVER class here")


TITLE = "The storage hierarchy on one disk"
SMALL_KIB = 1024
NOTE = (
    "Records that nothing compresses move between pools on the same disk; the plain copy reads and writes 4 MiB blocks with",
    "direct I/O, one after the other, right before and right after each step. The aim is a ratio of 0.6; small records show",
    "what each of them costs.",
)


@click.command()
@click.option("--mib", default=1024, help="How much data.")
@click.option("--record-kib", default=4080, help="Size of one record; small ones show the cost of each.")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
@click.option("--folder", default=None, help="Where; on the disk to be measured.")
def main(mib: int, record_kib: int, write: str | None, folder: str | None) -> None:
    """Fill DISK; migrate it to FAST; back FAST up to COPIES; migrate it to SLOW."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="farvault-bench-") as root:
        pools = Pools(root, mib)
        with closing(pools.catalog), closing(pools.storage):
            pools.fill(mib, record_kib)
            source = f"{root}/plain"
            with open(source, "wb") as file:
                for _ in range(0, mib * MIB, BLOCK):
                    file.write(os.urandom(BLOCK))
                os.fsync(file.fileno())
            steps: list[tuple[str, Callable[[Process], object]]] = [
                ("migrate DISK -> FILE", lambda p: migrate_pool(pools.storage, p, "DISK", low_percent=0)),
                ("backup stgpool FILE -> FILE", lambda p: backup_pool(pools.storage, p, "FAST", "COPIES")),
                ("migrate FILE -> FILE", lambda p: migrate_pool(pools.storage, p, "FAST", low_percent=0)),
            ]
            lines = [
                "| step | MiB | seconds | MiB/s | plain copy MiB/s | ratio | peak MiB |",
                "|---|---:|---:|---:|---:|---:|---:|",
            ]
            for name, work in steps:
                before = plain_copy(source, f"{root}/copy")
                with peak_memory() as peak:
                    began = time.perf_counter()
                    moved = pools.run(work).bytes / MIB
                    seconds = time.perf_counter() - began
                plain = 2 * mib / (before + plain_copy(source, f"{root}/copy"))
                speed = moved / seconds
                lines.append(
                    f"| {name} | {moved:,.0f} | {seconds:.1f} | {speed:,.0f} | {plain:,.0f} | {speed / plain:.2f}"
                    f" | {peak[0]:,.0f} |"
                )
        click.echo("\n".join(lines))
        if write:
            made = f"Made with `python -m bench.hierarchy --mib {mib} --record-kib {record_kib} --write {write}`, {time.strftime('%Y-%m-%d')}."
            title = TITLE if record_kib >= SMALL_KIB else f"{TITLE}, small records"
            write_part(write, title, "\n".join([made, *NOTE, "", *lines]))


if __name__ == "__main__":
    main()
