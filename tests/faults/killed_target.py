"""TOKYO in a process of its own that dies while DELHI writes a virtual volume, and is there again when DELHI waits for it."""

from __future__ import annotations

import threading

from tests.faults.killed_server import MIB
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.server_process import ForkedServer
from tests.grid.vaults import Source, sealed_record

from farvault.base.clock import ManualClock
from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.interface import Span
from farvault.model.node import Node

NAME = "DELHI.BFS.1"


class KilledTarget:
    """Killed once at a step, and started again without it."""

    def __init__(self, made: GridServer) -> None:
        self.made = made
        self.deaths = 0
        self._running: ForkedServer | None = None

    def start(self, crash_at: str = "") -> int:
        """Its port."""
        self._running = ForkedServer(self.made.folder, crash_at)
        return self._running.port

    def start_again(self) -> int:
        assert self._running is not None and self._running.was_killed()
        self.deaths += 1
        return self.start()

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()


class ReviveClock(ManualClock):
    """Whoever waits for TOKYO has it started again first; no time passes."""

    def __init__(self, tokyo: KilledTarget) -> None:
        super().__init__()
        self._tokyo = tokyo
        self.source: Source | None = None

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        assert self.source is not None
        self.source.port = self._tokyo.start_again()
        return event.is_set()


def write_while_it_dies(tokyo: KilledTarget, crash_at: str, *, records: int, more: int) -> None:
    """A volume of two segments; TOKYO dies on the way, and then everything is there once."""
    clock = ReviveClock(tokyo)
    source = Source(tokyo.start(crash_at), clock=clock)
    clock.source = source
    device = source.device(max_capacity_bytes=1 << 30)
    writer = device.open_writer(NAME, 0, 1 << 30)
    spans: list[Span] = []
    numbers = []
    for seeds in (range(records), range(records, records + more)):
        for seed in seeds:
            record, address = sealed_record(seed, MIB)
            spans.append(Span(writer.append(record, address), record.nbytes))
        numbers.append(receipts.from_bytes(writer.commit()).number)
    writer.close()
    assert tokyo.deaths == 1
    assert numbers == sorted(set(numbers))
    reader = device.open_reader(NAME)
    for seed, record_read in enumerate(reader.read_many(spans)):
        assert record_read is not None and bytes(record_read) == bytes(sealed_record(seed, MIB)[0])
    reader.close()
    device.close()
    tokyo.stop()
    _check_catalog(tokyo.made, records + more)


def _check_catalog(server: GridServer, records: int) -> None:
    """What the target has in its catalog after all that is whole."""
    server.start()
    try:
        assert is_sound(server)
        with server.server.catalog.read() as r:
            node_id = nouns.get(r, Node, "DELHI").id
            active = [row for row in rows.list_volumes(r, node_id) if not row.marked_time]
            assert sum(row.records for row in active) == records
            assert rows.unclosed(r) == []
    finally:
        server.stop()
