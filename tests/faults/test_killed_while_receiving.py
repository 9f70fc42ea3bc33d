"""TOKYO dies by SIGKILL at every step of receiving a virtual volume; DELHI goes on when it is back, and nothing is missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer
from tests.grid.server_process import ServerProcess
from tests.grid.vaults import Source, make_target, sealed_record
from tests.patience import PATIENCE_SECONDS

from farvault.base.clock import ManualClock
from farvault.catalog import audit, nouns
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.interface import Span
from farvault.model.node import Node

SIZE = 1 << 20
NAME = "DELHI.BFS.1"


class Tokyo:
    """The target's process; killed once at a label, restarted without it."""

    def __init__(self, made: GridServer) -> None:
        self.made = made
        self.running: ServerProcess | None = None
        self.deaths = 0

    def start(self, crash_at: str = "") -> int:
        self.running = ServerProcess(self.made.folder, FARVAULT_CRASH_AT=crash_at)
        return self.running.port

    def start_again(self) -> int:
        """Bury it and start it anew; fine where it still lives."""
        assert self.running is not None
        if self.running.process.poll() is None:
            return self.running.port
        assert self.running.wait() == -9
        self.deaths += 1
        return self.start()

    def stop(self) -> None:
        if self.running is not None and self.running.process.poll() is None:
            self.running.kill()


class ReviveClock(ManualClock):
    """Whoever waits for TOKYO has it started again first; no time passes."""

    def __init__(self, tokyo: Tokyo) -> None:
        super().__init__()
        self.tokyo = tokyo
        self.source: Source | None = None

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        assert self.source is not None and self.tokyo.running is not None
        self.tokyo.running.process.wait(PATIENCE_SECONDS)
        self.source.port = self.tokyo.start_again()
        return event.is_set()


@pytest.fixture
def tokyo(tmp_path: Path) -> Iterator[Tokyo]:
    made = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    make_target(made, "DELHI")
    made.stop()
    tokyo = Tokyo(made)
    yield tokyo
    tokyo.stop()


@pytest.mark.parametrize(
    "crash_at",
    [
        "vault.records.before_sync#1",
        "vault.records.after_sync#1",
        "vault.records.after_commit#1",
        "vault.records.before_sync#3",
        "vault.segment.before_close#1",
        "vault.segment.after_close#1",
        "vault.segment.before_close#2",
        "vault.segment.after_close#2",
        "volume.scratch.before_create#1",
        "writer.sync.before#2",
        "writer.sync.after#2",
    ],
)
def test_a_target_killed_while_receiving_loses_nothing_it_acknowledged(tokyo: Tokyo, crash_at: str) -> None:
    clock = ReviveClock(tokyo)
    source = Source(tokyo.start(crash_at), clock=clock)
    clock.source = source
    device = source.device(max_capacity_bytes=1 << 30)
    writer = device.open_writer(NAME, 0, 1 << 30)
    spans: list[Span] = []
    numbers = []
    for first, last in ((0, 40), (40, 50)):
        for seed in range(first, last):
            record, address = sealed_record(seed, SIZE)
            spans.append(Span(writer.append(record, address), record.nbytes))
        numbers.append(receipts.from_bytes(writer.commit()).number)
    writer.close()
    assert tokyo.deaths == 1
    assert numbers == sorted(set(numbers))
    reader = device.open_reader(NAME)
    for seed, record in enumerate(reader.read_many(spans)):
        assert record is not None and bytes(record) == bytes(sealed_record(seed, SIZE)[0])
    reader.close()
    device.close()
    tokyo.stop()
    check_catalog(tokyo.made, records=50)


def check_catalog(server: GridServer, records: int) -> None:
    """What the target has in its catalog after all that is whole."""
    server.start()
    try:
        with server.server.catalog.read() as r:
            assert list(audit.check_row_digests(r)) == []
            assert list(audit.check_sums(r)) == []
            node_id = nouns.get(r, Node, "DELHI").id
            active = [row for row in rows.list_volumes(r, node_id) if not row.marked_time]
            assert sum(row.records for row in active) == records
            assert rows.unclosed(r) == []
    finally:
        server.stop()
