"""A link that breaks at any place: the volume arrives whole, once, and only what was under way travels again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from tests.faults.proxy import DOWN, UP, Cut, Delay, Fault, Flip, Proxy, Silence
from tests.grid.grid_server import GridServer
from tests.grid.vaults import HurriedClock, Source, make_target, sealed_record

from farvault.base.units import KIB
from farvault.catalog import audit, nouns
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.interface import Span
from farvault.media.link_book import LinkRecord, LinkStatus
from farvault.model.node import Node
from farvault.transport.heartbeat import STEADY, Pulse

RECORDS = 5
SIZE = 20 * KIB
STORED = 24 * KIB
CAPACITY = 1 << 30
SIGN_ON_AND_NAMES = 4 * KIB
"""Of one connection."""
FAST = Pulse(beat_seconds=0.1, silence_seconds=2.0)


class Link:
    """DELHI's device class, TOKYO, and the proxy between them."""

    def __init__(self, tokyo: GridServer, pulse: Pulse) -> None:
        self.tokyo = tokyo
        self.proxy = Proxy(lambda: tokyo.port)
        self.source = Source(self.proxy.port, clock=HurriedClock(), pulse=pulse)
        self._names = (f"DELHI.BFS.{number}" for number in count(1))
        self._seeds = count()
        self.last: list[int] = []
        self._record: LinkRecord | None = None

    def write(self, *faults: Fault) -> str:
        """A new volume over a new device; the first connections suffer these faults."""
        self.proxy.connections.clear()
        self.proxy.plan = list(faults)
        name = next(self._names)
        device = self.source.device(mount_retention_minutes=0)
        self._record = device.mounts.record
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

    @property
    def status(self) -> LinkStatus:
        """Of the last volume that was written."""
        assert self._record is not None
        return self._record.status()

    @property
    def sent_again(self) -> int:
        """Records that DELHI sent twice: those that were under way, in its own buffers as well, when the link broke."""
        return self.status.records_again

    @property
    def came_twice_bytes(self) -> int:
        """Bytes that came out at TOKYO's end beyond those of the volume, without signing on and names."""
        connections = len(self.proxy.connections)
        return self.proxy.bytes_up - RECORDS * STORED - connections * SIGN_ON_AND_NAMES


@contextmanager
def linked(folder: Path, pulse: Pulse) -> Iterator[Link]:
    tokyo = GridServer("TOKYO", str(folder / "tokyo"))
    tokyo.change = lambda server: setattr(server, "pulse", pulse)
    tokyo.start()
    try:
        make_target(tokyo, "DELHI")
        made = Link(tokyo, pulse)
        yield made
        made.proxy.close()
        with tokyo.server.catalog.read() as r:
            assert list(audit.check_row_digests(r)) == []
            assert list(audit.check_sums(r)) == []
    finally:
        tokyo.stop()


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with linked(tmp_path_factory.mktemp("link"), STEADY) as made:
        yield made


@pytest.fixture(scope="module")
def nervous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    """Both servers take two seconds of silence for a dead link."""
    with linked(tmp_path_factory.mktemp("nervous"), FAST) as made:
        yield made


def borders_of_writing(link: Link) -> dict[str, int]:
    """How many TLS records a volume takes in each direction when nothing fails."""
    link.write()
    (only,) = link.proxy.connections
    return dict(only.records)


def borders_of_reading(link: Link, name: str) -> dict[str, int]:
    link.proxy.connections.clear()
    assert link.read(name) == link.written
    (only,) = link.proxy.connections
    return dict(only.records)


def all_cuts(borders: dict[str, int], offsets: tuple[int, ...] = (-1, 0, 1)) -> list[Cut]:
    return [
        Cut(direction, record, offset)
        for direction in (UP, DOWN)
        for record in range(1, borders[direction] + 1)
        for offset in offsets
    ]


def test_a_volume_that_is_cut_anywhere_while_written_arrives_once_and_no_record_that_had_come_travels_again(
    link: Link,
) -> None:
    cuts = all_cuts(borders_of_writing(link))
    assert len(cuts) > 90
    failed = 0
    for cut in cuts:
        name = link.write(cut)
        first = link.proxy.connections[0]
        failed += first.did_fail
        assert link.active(name) == [(0, RECORDS)], (cut, "one segment, and nothing of a half one")
        assert link.came_twice_bytes <= STORED, (cut, "only the record that was being carried when it broke")
        assert link.sent_again <= RECORDS, cut
    assert failed >= len(cuts) * 9 // 10, "they did come to pass"
    assert link.read(name) == link.written


def test_a_volume_that_is_cut_anywhere_while_read_gives_every_record(link: Link) -> None:
    name = link.write()
    cuts = all_cuts(borders_of_reading(link, name))
    assert len(cuts) > 60
    for cut in cuts:
        assert link.read(name, cut) == link.written, cut


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_cuts_at_every_byte_near_every_border_and_at_two_places_in_a_row(link: Link) -> None:
    borders = borders_of_writing(link)
    for cut in all_cuts(borders, (-7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7)):
        name = link.write(cut)
        assert link.active(name) == [(0, RECORDS)], cut
        assert link.came_twice_bytes <= STORED, cut
        assert link.read(name) == link.written, cut
    chance = random.Random(1)
    cuts = all_cuts(borders)
    for _ in range(2000):
        faults = chance.choices(cuts, k=chance.randint(2, 4))
        name = link.write(*faults)
        assert link.active(name) == [(0, RECORDS)], faults
        assert link.came_twice_bytes <= len(faults) * STORED, faults
        assert link.read(name, *chance.choices(cuts, k=2)) == link.written, faults


def test_a_bit_that_turns_over_on_the_way_ends_the_connection_and_nothing_of_it_is_taken(link: Link) -> None:
    borders = borders_of_writing(link)
    chance = random.Random(2)
    flips = [
        Flip(direction, record, chance.randrange(1, 1 << 14))
        for direction in (UP, DOWN)
        for record in range(2, borders[direction], 1 if direction == DOWN else 2)
    ]
    for flip in flips:
        name = link.write(flip)
        assert link.active(name) == [(0, RECORDS)], flip
        if link.proxy.connections[0].did_fail:
            assert len(link.proxy.connections) == 2, (flip, "the connection was of no use any more")
    assert link.read(name, Flip(DOWN, 9, 100)) == link.written


@pytest.mark.parametrize(("direction", "record"), [(UP, 8), (UP, 13), (UP, 25), (DOWN, 9), (DOWN, 11)])
def test_a_link_that_falls_silent_is_noticed_on_both_sides_and_the_volume_goes_over_a_new_one(
    nervous: Link, direction: str, record: int
) -> None:
    """It keeps the connection and forwards nothing: neither an error nor an end is ever seen."""
    ended = nervous.tokyo.lines.ids.count("ANR0409I")
    name = nervous.write(Silence(direction, record))
    assert nervous.active(name) == [(0, RECORDS)]
    assert len(nervous.proxy.connections) == 1 + ("ANR4810E" in nervous.status.error)
    assert nervous.sent_again <= RECORDS
    nervous.tokyo.lines.wait_for("ANR0409I", ended + len(nervous.proxy.connections))
    assert nervous.tokyo.server.session_table.list() == [], "no slot is taken"


def test_a_link_that_falls_silent_while_a_volume_is_read_is_replaced(nervous: Link) -> None:
    name = nervous.write()
    assert nervous.read(name, Silence(DOWN, 10)) == nervous.written


def test_an_idle_session_that_has_fallen_silent_is_not_used_again(nervous: Link) -> None:
    device = nervous.source.device(mount_retention_minutes=60)
    nervous.proxy.connections.clear()
    record, address = sealed_record(1, SIZE)
    for number, name in enumerate(("DELHI.IDLE.1", "DELHI.IDLE.2"), 1):
        writer = device.open_writer(name, 0, CAPACITY)
        writer.append(record, address)
        writer.commit()
        writer.close()
        assert device.idle_sessions() == 1
        assert len(nervous.proxy.connections) == number
        nervous.proxy.silence_all()
    device.close()


def test_a_link_that_is_slow_is_not_taken_for_a_dead_one(link: Link) -> None:
    name = link.write(Delay(0.1))
    assert len(link.proxy.connections) == 1
    assert link.active(name) == [(0, RECORDS)]
    assert link.sent_again == 0


def test_the_book_of_a_link_adds_up(link: Link) -> None:
    link.write(Cut(UP, 12, 1))
    status = link.status
    assert (status.sessions, status.opened, status.broken, status.retries) == (0, 2, 1, ())
    assert "ANR8218E" in status.error and status.error_time
    assert 1 <= status.records_again <= RECORDS
    most = (RECORDS + status.records_again) * STORED + 2 * SIGN_ON_AND_NAMES
    assert RECORDS * STORED < status.bytes_sent <= most, "what was sent, whether or not it came"
    assert 0 < status.bytes_received < 2 * SIGN_ON_AND_NAMES
