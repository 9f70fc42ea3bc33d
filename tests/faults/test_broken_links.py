"""A link that breaks at any place: the volume arrives whole, once, and only what was under way travels again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest
from tests.faults.proxy import DOWN, UP, Cut, Fault, Proxy
from tests.grid.grid_server import GridServer
from tests.grid.vaults import HurriedClock, Source, make_target, sealed_record

from farvault.base.units import KIB
from farvault.catalog import audit, nouns
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.interface import Span
from farvault.model.node import Node
from farvault.transport.heartbeat import Pulse

RECORDS = 5
SIZE = 20 * KIB
STORED = 24 * KIB
CAPACITY = 1 << 30
SIGN_ON_AND_NAMES = 16 * KIB
FAST = Pulse(beat_seconds=0.1, silence_seconds=1.0)


class Link:
    """DELHI's device class, TOKYO, and the proxy between them."""

    def __init__(self, tokyo: GridServer) -> None:
        self.tokyo = tokyo
        self.proxy = Proxy(lambda: tokyo.port)
        self.source = Source(self.proxy.port, clock=HurriedClock())
        self._names = (f"DELHI.BFS.{number}" for number in count(1))
        self._seeds = count()
        self.last: list[int] = []

    def write(self, *faults: Fault, pulse: Pulse | None = None) -> str:
        """A new volume over a new device; the first connections suffer these faults."""
        if pulse is not None:
            self.source.pulse = pulse
        self.proxy.connections.clear()
        self.proxy.plan = list(faults)
        name = next(self._names)
        device = self.source.device(mount_retention_minutes=0)
        self.last = [next(self._seeds) for _ in range(RECORDS)]
        try:
            writer = device.open_writer(name, 0, CAPACITY)
            for seed in self.last:
                record, address = sealed_record(seed, SIZE)
                writer.append(record, address)
            receipt = receipts.from_bytes(writer.commit())
            assert (receipt.records, receipt.stored_bytes) == (RECORDS, RECORDS * STORED)
            writer.close()
        finally:
            device.close()
        return name

    def read(self, name: str, *faults: Fault) -> list[bytes | None]:
        self.proxy.plan = list(faults)
        device = self.source.device(mount_retention_minutes=0)
        reader = device.open_reader(name)
        try:
            spans = [Span(number * STORED, STORED) for number in range(RECORDS)]
            return [None if one is None else bytes(one) for one in reader.read_many(spans)]
        finally:
            reader.close()
            device.close()

    @property
    def written(self) -> list[bytes]:
        return [bytes(sealed_record(seed, SIZE)[0]) for seed in self.last]

    def active(self, name: str) -> list[tuple[int, int]]:
        """(offset, records) of the segments that count."""
        with self.tokyo.server.catalog.read() as r:
            node_id = nouns.get(r, Node, "DELHI").id
            found = rows.list_volumes(r, node_id, f"ADSM.{name}")
        return [(row.offset_bytes, row.records) for row in found if not row.marked_time]

    def borders(self) -> dict[str, int]:
        """How many TLS records a volume takes in each direction when nothing fails."""
        self.write()
        (only,) = self.proxy.connections
        return dict(only.records)


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    tokyo = GridServer("TOKYO", str(tmp_path_factory.mktemp("link") / "tokyo"))
    tokyo.change = lambda server: setattr(server, "pulse", FAST)
    tokyo.start()
    make_target(tokyo, "DELHI")
    made = Link(tokyo)
    yield made
    made.proxy.close()
    with tokyo.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []
    tokyo.stop()


def check_whole(link: Link, name: str) -> None:
    assert link.active(name) == [(0, RECORDS)], "one segment, and nothing of a half one"
    assert link.read(name) == link.written


def sent_twice(link: Link) -> int:
    """Bytes of records that travelled more often than once, signing on and names left out."""
    extra = link.proxy.bytes_up - RECORDS * STORED
    return max(0, extra - SIGN_ON_AND_NAMES * len(link.proxy.connections))


def all_cuts(borders: dict[str, int]) -> list[Cut]:
    return [
        Cut(direction, record, offset)
        for direction in (UP, DOWN)
        for record in range(1, borders[direction] + 1)
        for offset in (-1, 0, 1)
    ]


def cut_everywhere(link: Link, cuts: list[Cut]) -> None:
    failed = 0
    for cut in cuts:
        name = link.write(cut)
        first = link.proxy.connections[0]
        failed += first.did_fail
        assert len(link.proxy.connections) == 1 + first.did_fail or cut.record <= 2, cut
        assert link.active(name) == [(0, RECORDS)], cut
        assert sent_twice(link) <= RECORDS * STORED, cut
        assert link.read(name) == link.written, cut
    assert failed >= len(cuts) * 9 // 10, "nearly all of them came to pass"


def test_print_borders(link: Link) -> None:
    b = link.borders()
    print(b)
    t = time.monotonic()
    for cut in all_cuts(b):
        u = time.monotonic()
        name = link.write(cut)
        d = time.monotonic() - u
        ok = link.active(name) == [(0, RECORDS)]
        print(
            cut,
            ok,
            sent_twice(link) // STORED,
            len(link.proxy.connections),
            link.proxy.connections[0].did_fail,
            round(d, 2),
        )
    print(time.monotonic() - t)
    t = time.monotonic()
    link.proxy.connections.clear()
    link.read(name)
    print(link.proxy.connections)
