"""`python -m bench.database`: protecting a catalog of many objects. One table: full and incremental backup, writers, restore.

Disk speed is that of reading the database file itself, not cached, in the same run. One percent changes: that many files
in a row get a second version, as a client's next backup stores them. The writer commits one small change after another
while a full backup runs.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time

import click

from bench.expiration import NOW, BenchClock, Filled, _no_server
from bench.results import Findings
from farvault.apps.first_definitions import make_first_definitions
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.make_instance import catalog_path, make_instance
from farvault.apps.protection_files import ProtectionFiles
from farvault.apps.restore_database import Request, restore_database
from farvault.apps.server import identity_of
from farvault.base.disk import VolumeFile, aligned_buffer
from farvault.base.log import Log
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.roll_forward import NORMAL, ROLLFORWARD, LogPlace
from farvault.catalog.settings import set_setting
from farvault.model.device_class import DeviceClass
from farvault.model.volume_history import HistoryVolume
from farvault.processes.backup_database import DESCRIPTION, DatabaseBackups, Options
from farvault.processes.process import Process, Processes, State
from farvault.seal.keyring import Keyring
from farvault.storage.devices import Devices
from farvault.storage.storage import Storage

READ_BYTES = 4 * MIB


class Bench:
    """An instance without its sessions: catalog, storage, backups."""

    def __init__(self, folder: str) -> None:
        self.clock = BenchClock()
        self.folder = InstanceFolder(folder)
        make_instance(folder, "BENCH", Settings(log_capacity_mib=8192), clock=self.clock)
        self.open()
        with self.catalog.write() as tx:
            tapes = DeviceClass(
                name="TAPES",
                device_type="FILE",
                directory=f"{folder}/tapes",
                max_capacity_bytes=100 << 30,
                mount_limit=20,
            )
            nouns.insert(tx, tapes)

    def open(self) -> None:
        settings = self.folder.settings()
        self.keyring = Keyring.from_bytes(self.folder.read_secret(self.folder.keyring_path))
        place = LogPlace(self.folder.inside(settings.log_folder), settings.log_capacity_mib * MIB)
        self.path = catalog_path(self.folder, settings)
        self.catalog = Catalog.open(self.path, self.keyring.row_key(), self.clock, log=place)
        log = Log(self.clock)
        devices = Devices(self.catalog, self.folder.inside("volumes"), _no_server)
        storage = Storage(self.catalog, self.keyring, identity_of(self.folder), devices, log, self.clock)
        self.processes = Processes(log, self.clock)
        self.backups = DatabaseBackups(
            storage,
            lambda: b"",
            ProtectionFiles(self.folder, Settings(), self.catalog, self.clock).write_all,
        )

    def backup(self, kind: str, *, compress: bool) -> tuple[float, int]:
        """Seconds and stored bytes; read from the disk, not from memory."""
        self.catalog.checkpoint()
        forget(self.path)
        volumes: list[HistoryVolume] = []

        def work(process: Process) -> None:
            volumes.extend(self.backups.run(process, Options(kind, "TAPES", compress=compress)))

        start = time.perf_counter()
        ended = self.processes.start(DESCRIPTION, work, wait=True)
        seconds = time.perf_counter() - start
        assert ended.state is State.SUCCESS, ended.error
        return seconds, sum(volume.stored_bytes for volume in volumes)


def forget(path: str) -> None:
    """The kernel drops what it has of the file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def read_speed(path: str) -> float:
    """MiB/s of reading the file from the disk."""
    forget(path)
    buffer = bytearray(READ_BYTES)
    start, total = time.perf_counter(), 0
    with open(path, "rb", buffering=0) as file:
        while got := file.readinto(buffer):
            total += got
    return total / MIB / (time.perf_counter() - start)


def write_speed(path: str, size_bytes: int) -> float:
    """MiB/s of writing that much, past the cache, until it is durable: as volumes are written."""
    buffer = aligned_buffer(READ_BYTES)
    file = VolumeFile(path, write=True, create=True)
    start = time.perf_counter()
    for offset in range(0, size_bytes, READ_BYTES):
        file.write_at(offset, [buffer])
    file.sync()
    seconds = time.perf_counter() - start
    file.close()
    os.unlink(path)
    return size_bytes / MIB / seconds


class Writer:
    """Commits small changes one after the other; how long each waited for the writer."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._stop = catalog, threading.Event()
        self.waits: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            start = time.perf_counter()
            with self._catalog.write() as tx:
                self.waits.append(time.perf_counter() - start)
                set_setting(tx, "COUNTER", str(len(self.waits)))


def commit_ratio(folder: str, objects: int) -> tuple[float, float]:
    """Median seconds of a commit in NORMAL and in ROLLFORWARD: two catalogs take turns, so both see the same machine."""
    pairs = []
    for mode in (NORMAL, ROLLFORWARD):
        path = os.path.join(folder, f"{mode}{objects}")
        os.mkdir(path)
        clock = BenchClock()
        Catalog.create(f"{path}/c.db", b"k" * 32, clock).close()
        catalog = Catalog.open(f"{path}/c.db", b"k" * 32, clock, log=LogPlace(f"{path}/log", 8 << 30))
        with catalog.write() as tx:
            make_first_definitions(
                tx, server_name="BENCH", instance_id="", administrator="ADMIN", verifier="", now=NOW
            )
        catalog.set_log_mode(mode)
        pairs.append((catalog, Filled(catalog), []))
    for number in range(200 if objects < 1000 else 30):
        for catalog, filled, seconds in pairs:
            start = time.perf_counter()
            if objects:
                filled.store(range(number * objects, (number + 1) * objects), 1)
            else:
                with catalog.write() as tx:
                    set_setting(tx, "COUNTER", str(number))
            seconds.append(time.perf_counter() - start)
    for catalog, _, _ in pairs:
        catalog.close()
    return statistics.median(pairs[0][2]), statistics.median(pairs[1][2])


def measure(total: int, folder: str, findings: Findings) -> None:
    bench = Bench(folder)
    start = time.perf_counter()
    filled = Filled(bench.catalog)
    filled.store(range(total), 100)
    findings.timed("fill, objects", total, start)
    bench.catalog.checkpoint()
    size = bench.catalog.figures().pages * bench.catalog.figures().page_bytes
    findings.say("database", f"{size / MIB:,.0f} MiB, {size / total:.0f} bytes an object")
    disk = statistics.median(read_speed(bench.path) for _ in range(3))
    findings.say("disk read", f"{disk:,.0f} MiB/s")
    written = statistics.median(write_speed(f"{folder}/plain", min(size, 1 << 30)) for _ in range(3))
    findings.say("disk write", f"{written:,.0f} MiB/s")
    for compress, what in ((False, "full backup, not compressed"), (True, "full backup, compressed")):
        cpu = time.process_time()
        seconds, stored = bench.backup("FULL", compress=compress)
        cpu = time.process_time() - cpu
        speed = size / MIB / seconds
        findings.say(
            what,
            f"{seconds:.1f} s ({cpu:.1f} s of CPU), {speed:,.0f} MiB/s, {speed / disk:.2f} of disk read,"
            f" {stored / MIB:,.0f} MiB",
        )
    filled.store(range(total // 3, total // 3 + total // 100), 50)
    seconds, stored = bench.backup("INCREMENTAL", compress=True)
    findings.say(
        "incremental after 1 % changed",
        f"{seconds:.1f} s, {stored / MIB:,.1f} MiB, {100 * stored / size:.2f} % of the size",
    )
    with Writer(bench.catalog) as writer:
        bench.backup("DBSNAPSHOT", compress=True)
    waits = sorted(writer.waits)
    findings.say(
        "writers during a backup",
        f"{len(waits):,} commits, waits for the writer: median {waits[len(waits) // 2] * 1000:.2f} ms,"
        f" longest {waits[-1] * 1000:.1f} ms",
    )
    for objects, what in ((0, "1 row"), (100, "100 objects"), (5000, "5,000 objects")):
        normal, rollforward = commit_ratio(folder, objects)
        findings.say(
            f"commit of {what}",
            f"NORMAL {normal * 1000:.2f} ms, ROLLFORWARD {rollforward * 1000:.2f} ms, ratio {rollforward / normal:.2f}",
        )
    bench.catalog.set_log_mode(ROLLFORWARD)
    seconds, _ = bench.backup("FULL", compress=True)
    filled.store(range(total, total + total // 20), 1)
    figures = bench.catalog.log_figures()
    assert figures is not None
    logged = figures.used_bytes
    bench.catalog.close()
    restore(bench, logged, findings)


def restore(bench: Bench, logged: int, findings: Findings) -> None:
    """The catalog is gone; `logged` bytes of the log are brought in."""
    os.unlink(bench.path)
    marks: dict[str, float] = {}
    begin = time.perf_counter()
    restore_database(
        bench.folder.path,
        Request(),
        lambda said: marks.update({said.id: time.perf_counter()}),
        bench.clock,
    )
    total = time.perf_counter() - begin
    size = os.path.getsize(bench.path)
    replayed = marks["ANR4915I"] - begin
    speed = f"{total:.1f} s for {size / MIB:,.0f} MiB, {size / MIB / total:,.0f} MiB/s"
    findings.say("restore with the log, all checks", speed)
    findings.say("... pages and log written after", f"{replayed:.1f} s; the log held {logged / MIB:,.0f} MiB")
    findings.say("... structure and every row checked in", f"{total - replayed:.1f} s")


@click.command()
@click.option("--objects", "total", default=10_000_000, help="Objects in the catalog.")
@click.option("--folder", default=None, help="Where the instance is made.")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
def main(total: int, folder: str | None, write: str | None) -> None:
    """Fill, back up, change, back up, restore; one table in Markdown."""
    note = (
        "Commits are of two catalogs that take turns. Disk speeds are of the database file, not cached, and of direct writes"
        " of up to 1 GiB until they are durable, in the same run. A full backup reads, digests, seals and writes every page."
    )
    findings = Findings("database", note)
    with tempfile.TemporaryDirectory(dir=folder) as path:
        measure(total, os.path.join(path, "bench"), findings)
    findings.write(write, "Protection of the database")


if __name__ == "__main__":
    main()
