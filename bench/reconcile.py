"""`python -m bench.reconcile`: RECONCILE VOLUMES over a vault of 100,000 volumes that agree, between two servers.

Both catalogs are filled directly, with three receipts in ten volumes; then two whole servers in this process compare
them over loopback and TLS. Says seconds, volumes per second, and how much memory grew while it ran.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time

import click

from bench.results import Findings
from farvault.admin.execute import CONSOLE, execute
from farvault.apps.instance_folder import Settings
from farvault.apps.make_instance import make_instance
from farvault.apps.server import Server
from farvault.catalog import kept_receipts, nouns
from farvault.catalog import vault as rows
from farvault.catalog.vault import SegmentRow
from farvault.media import receipt as receipts
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.protocol.messages import CommandEnd, Output
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import digest

PASSWORD = "correct-horse-1"
BATCH = 5_000
SEGMENT_BYTES = 64 << 20


def run(server: Server, command: str) -> str:
    text = []
    for answer in execute(server.instance, CONSOLE, command, width=0, style="", confirmed=True):
        if isinstance(answer, Output):
            text.append(answer.text)
        elif isinstance(answer, CommandEnd) and answer.return_code:
            raise SystemExit("\n".join([command, *text]))
    return "\n".join(text)


def make(folder: str, name: str) -> Server:
    make_instance(folder, name, Settings(data_port=0))
    server = Server(folder)
    server.start()
    return server


def prepare(delhi: Server, tokyo: Server) -> None:
    run(tokyo, f"register node delhi {PASSWORD} type=server")
    run(
        delhi,
        f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={tokyo.port} nodename=delhi",
    )
    run(delhi, "define devclass targetclass devtype=server servername=tokyo")
    run(delhi, "define stgpool targetpool targetclass pooltype=copy maxscratch=1000000")
    run(delhi, "ping server tokyo")


def receipts_of(name: str, count: int, number: int, previous: bytes) -> list[Receipt]:
    """Chained but unsigned: RECONCILE VOLUMES compares, VALIDATE VOLUME checks signatures."""
    made: list[Receipt] = []
    for index in range(count):
        one = Receipt(
            number=number + index,
            volume=f"ADSM.{name}",
            offset_bytes=index * SEGMENT_BYTES,
            stored_bytes=SEGMENT_BYTES,
            records=16,
            digest=digest(f"{name} {index}".encode()),
            received_time=1_700_000_000,
            previous=receipts.chain_digest(made[-1]) if made else previous,
            epoch=1,
            signature=bytes(64),
        )
        made.append(one)
    return made


def fill(delhi: Server, tokyo: Server, volumes: int) -> None:
    with delhi.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TARGETPOOL").id
    with tokyo.catalog.read() as r:
        node = nouns.get(r, Node, "DELHI").id
    number, previous = 1, receipts.FIRST_PREVIOUS
    for start in range(0, volumes, BATCH):
        with delhi.catalog.write() as here, tokyo.catalog.write() as there:
            for index in range(start, min(start + BATCH, volumes)):
                name = f"DELHI.BFS.{index}"
                given = receipts_of(name, 3 if index % 10 < 3 else 1, number, previous)
                number, previous = number + len(given), receipts.chain_digest(given[-1])
                size = SEGMENT_BYTES * len(given)
                volume = Volume(
                    name=name, pool_id=pool, status="FULL", written_bytes=size, capacity_bytes=size
                )
                kept = [(one, receipts.to_bytes(one)) for one in given]
                kept_receipts.keep(here, nouns.insert(here, volume), kept)
                for one, stored in kept:
                    there.run("INSERT INTO receipts VALUES (?, ?, ?)", (node, one.number, stored))
                    segment = SegmentRow(
                        one.number, node, one.volume, one.offset_bytes, one.stored_bytes, one.records,
                        one.digest, one.received_time, 0, 0, 0, one.number,
                    )  # fmt: skip
                    rows._insert(there, segment)


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


@click.command()
@click.option("--volumes", default=100_000)
@click.option("--folder", default=None, help="Where the servers are made.")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
def main(volumes: int, folder: str | None, write: str | None) -> None:
    """Fill, compare once, compare once more."""
    note = "Two whole servers in one process, TLS over loopback, three receipts in three of ten volumes."
    findings = Findings("reconcile", note)
    with tempfile.TemporaryDirectory(dir=folder) as path:
        tokyo, delhi = make(os.path.join(path, "tokyo"), "TOKYO"), make(os.path.join(path, "delhi"), "DELHI")
        try:
            prepare(delhi, tokyo)
            start = time.perf_counter()
            fill(delhi, tokyo, volumes)
            findings.timed("fill, volumes", volumes, start)
            for turn in ("first", "second"):
                before = resident_mib()
                start, used = time.perf_counter(), time.process_time()
                said = run(delhi, "reconcile volumes fix=yes wait=yes")
                seconds = time.perf_counter() - start
                if f"{volumes:,} agree" not in said:
                    raise SystemExit(said)
                findings.say(
                    f"RECONCILE VOLUMES, {turn} run",
                    f"{volumes:,} in {seconds:.1f} s, {volumes / seconds:,.0f}/s, {time.process_time() - used:.1f} s of CPU,"
                    f" memory {before:.0f} -> {resident_mib():.0f} MiB",
                )
        finally:
            delhi.stop()
            tokyo.stop()
    findings.write(write, "RECONCILE VOLUMES where all agree")


if __name__ == "__main__":
    main()
