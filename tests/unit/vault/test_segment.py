"""A segment being received: what is acknowledged is durable and catalogued, what fails leaves nothing that is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.grid.vaults import sealed_record
from tests.patience import PATIENCE_SECONDS
from tests.unit.storage.depot import Depot

from farvault.base.errors import FarvaultError, MediaFull, NotFound, PeerMisbehaved
from farvault.catalog import audit, nouns
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.model.node import Node
from farvault.protocol.virtual_volumes import Receipt
from farvault.storage.vault import FLUSH_BYTES, FLUSH_RECORDS, Segment, Vault
from farvault.storage.vault_volumes import VaultVolumes, collect_unfinished, give_up_unclosed

KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Depot]:
    depot = Depot(tmp_path, capacity_bytes=64 * MIB)
    yield depot
    depot.close()


class Receiving:
    """One segment and what its workers told."""

    def __init__(self, depot: Depot, volume: str = "V", offset: int = 0) -> None:
        self.depot = depot
        self.durable: list[tuple[int, int]] = []
        self.errors: list[FarvaultError] = []
        self.told = threading.Condition()
        self.digests: list[bytes] = []
        self.size = 0
        self.segment = Segment(vault(depot), volume, offset, self._durable, self._failed)

    def _durable(self, _segment: Segment, records: int, size: int) -> None:
        with self.told:
            self.durable.append((records, size))
            self.told.notify_all()

    def _failed(self, _segment: Segment, error: FarvaultError) -> None:
        with self.told:
            self.errors.append(error)
            self.told.notify_all()

    def wait(self, reached: Callable[[], bool]) -> None:
        with self.told:
            assert self.told.wait_for(reached, PATIENCE_SECONDS), (self.durable, self.errors)

    def store(self, *seeds: int, size: int = 20 * KIB) -> None:
        for seed in seeds:
            record, address = sealed_record(seed, size)
            buffer = self.depot.storage.buffers.take()
            buffer[: record.nbytes] = record
            self._count(address, record.nbytes)
            self.segment.store(address, buffer[: record.nbytes], buffer)

    def refer(self, *seeds: int, size: int = 20 * KIB) -> None:
        found = [sealed_record(seed, size) for seed in seeds]
        for record, address in found:
            self._count(address, record.nbytes)
        self.segment.refer([address for _, address in found])

    def _count(self, address: bytes, size: int) -> None:
        self.digests.append(address)
        self.size += size

    def close(self) -> Receipt:
        return self.segment.close(self.size, len(self.digests), receipts.contents_digest(self.digests))


def vault(depot: Depot) -> Vault:
    with depot.catalog.read() as r:
        node = nouns.get(r, Node, "ALICE")
    return Vault(depot.storage, depot.storage.destination("TAPEPOOL"), "STANDARD", node.id, node.name)


def read(depot: Depot, count: int, volume: str = "V") -> list[bytes | None]:
    length = sealed_record(0)[0].nbytes
    volumes = VaultVolumes(depot.storage, vault(depot).node_id)
    wanted = [(length * number, length) for number in range(count)]
    return [None if record is None else bytes(record) for record in volumes.read(volume, wanted)]


def expected(*seeds: int) -> list[bytes]:
    return [bytes(sealed_record(seed)[0]) for seed in seeds]


def known(depot: Depot, *seeds: int) -> bytes:
    with depot.catalog.read() as r:
        return rows.known_records(r, vault(depot).node_id, [sealed_record(seed)[1] for seed in seeds])


def assert_catalog_is_whole(depot: Depot) -> None:
    with depot.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []


def test_a_segment_is_seen_when_it_is_closed_not_before(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0, 1)
    receiving.segment.flush()
    receiving.wait(lambda: receiving.durable == [(2, receiving.size)])
    assert read(depot, 2) == [None, None]
    receipt = receiving.close()
    assert (receipt.number, receipt.records, receipt.stored_bytes) == (1, 2, receiving.size)
    assert read(depot, 2) == expected(0, 1)
    assert_catalog_is_whole(depot)


@pytest.mark.parametrize(("size", "records"), [(MIB, FLUSH_BYTES // MIB), (16 * KIB, FLUSH_RECORDS)])
def test_records_are_made_durable_by_bytes_or_by_number(depot: Depot, size: int, records: int) -> None:
    receiving = Receiving(depot)
    receiving.store(*range(records), size=size)
    receiving.wait(lambda: bool(receiving.durable))
    assert receiving.durable[0][0] in (records, records - 1), "records are a little longer than their bodies"
    assert known_now(depot, size) == b"\1"
    receiving.segment.give_up()


def known_now(depot: Depot, size: int) -> bytes:
    with depot.catalog.read() as r:
        return rows.known_records(r, vault(depot).node_id, [sealed_record(0, size)[1]])


def test_a_record_may_be_referred_to_in_the_batch_that_brings_it(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0, 1)
    receiving.refer(1, 0)
    receiving.close()
    assert read(depot, 4) == expected(0, 1, 1, 0)
    assert_catalog_is_whole(depot)


def test_a_volume_made_of_names_alone_takes_no_room(depot: Depot) -> None:
    first = Receiving(depot)
    first.store(0, 1, 2)
    first.close()
    with depot.catalog.read() as r:
        before = r.one("SELECT count(*), sum(written_bytes) FROM volumes")
    second = Receiving(depot, "W")
    second.refer(2, 0)
    second.close()
    assert read(depot, 2, "W") == expected(2, 0)
    with depot.catalog.read() as r:
        assert r.one("SELECT count(*), sum(written_bytes) FROM volumes") == before


def test_what_is_not_here_cannot_be_referred_to(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0)
    receiving.refer(9)
    receiving.store(1)
    receiving.wait(lambda: bool(receiving.errors))
    assert receiving.errors[0].message.id == "ANR4857E"
    with pytest.raises(NotFound, match="ANR4857E"):
        receiving.close()
    receiving.segment.give_up()
    assert read(depot, 1) == [None]
    assert len(receiving.errors) == 1, "told once"


def test_records_of_a_segment_given_up_stay_known_until_they_are_collected(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0, 1)
    receiving.segment.give_up()
    assert known(depot, 0, 1, 2) == b"\1\1\0"
    again = Receiving(depot, "W")
    again.refer(0)
    again.close()
    depot.clock.advance(100)
    assert collect_unfinished(depot.storage, 50) == 1
    assert known(depot, 0, 1) == b"\1\0", "what a volume uses stays"
    assert read(depot, 1, "W") == expected(0)
    assert_catalog_is_whole(depot)


def test_a_full_pool_ends_the_segment_with_its_own_message(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    depot = Depot(folder, capacity_bytes=8 * MIB, max_scratch=1)
    receiving = Receiving(depot)
    receiving.store(*range(12), size=MIB)
    with pytest.raises(MediaFull):
        receiving.close()
    assert [error.message.id for error in receiving.errors] == ["ANR0522W"]
    receiving.segment.give_up()
    with depot.catalog.read() as r:
        assert rows.list_volumes(r, vault(depot).node_id) == []
    assert_catalog_is_whole(depot)
    depot.close()


def test_a_close_that_disagrees_leaves_the_records_known_and_the_volume_unseen(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0)
    with pytest.raises(PeerMisbehaved, match="ANR4855E"):
        receiving.segment.close(receiving.size, 1, bytes(32))
    receiving.segment.give_up()
    assert read(depot, 1) == [None]
    assert known(depot, 0) == b"\1"


def test_receipts_of_one_source_form_one_chain_whatever_the_volume(depot: Depot) -> None:
    chain = []
    for volume in ("V", "W", "X"):
        receiving = Receiving(depot, volume)
        receiving.store(ord(volume))
        chain.append(receiving.close())
    assert [receipt.number for receipt in chain] == [1, 2, 3]
    assert [receipt.previous for receipt in chain] == [
        receipts.FIRST_PREVIOUS,
        receipts.chain_digest(chain[0]),
        receipts.chain_digest(chain[1]),
    ]


def test_two_segments_at_once_do_not_mix(depot: Depot) -> None:
    one, other = Receiving(depot, "V"), Receiving(depot, "W")
    for seed in range(20):
        one.store(seed)
        other.store(100 + seed)
    one.close()
    other.close()
    assert read(depot, 20, "V") == expected(*range(20))
    assert read(depot, 20, "W") == expected(*range(100, 120))


def test_opening_a_volume_a_second_time_gives_the_first_try_up(depot: Depot) -> None:
    first = Receiving(depot)
    first.store(0)
    first.segment.flush()
    first.wait(lambda: bool(first.durable))
    second = Receiving(depot)
    second.store(5)
    with pytest.raises(NotFound):
        first.close()
    first.segment.give_up()
    second.close()
    assert read(depot, 1) == expected(5)


def test_a_segment_that_begins_inside_an_older_one_keeps_what_lies_before_it(depot: Depot) -> None:
    length = sealed_record(0)[0].nbytes
    old = Receiving(depot)
    old.store(0, 1, 2)
    old.close()
    new = Receiving(depot, offset=length)
    new.store(7)
    new.close()
    assert read(depot, 3) == [*expected(0, 7), None]
    with depot.catalog.read() as r:
        active = [row for row in rows.list_volumes(r, vault(depot).node_id) if not row.marked_time]
    assert [(row.offset_bytes, row.records) for row in active] == [(0, 1), (length, 1)]
    assert_catalog_is_whole(depot)


def test_after_a_crash_nothing_is_open_and_what_was_durable_is_known(depot: Depot) -> None:
    receiving = Receiving(depot)
    receiving.store(0)
    receiving.segment.flush()
    receiving.wait(lambda: bool(receiving.durable))
    depot.restart()
    assert give_up_unclosed(depot.storage) == 1
    assert give_up_unclosed(depot.storage) == 0
    assert known(depot, 0) == b"\1"


def test_all_buffers_come_back(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers, out, used = depot.storage.buffers, [], []
    take, give = buffers.take, buffers.give

    def taking() -> memoryview:
        buffer = take()
        out.append(id(buffer))
        used.append(buffer)
        return buffer

    def giving(buffer: memoryview) -> None:
        out.remove(id(buffer))
        give(buffer)

    monkeypatch.setattr(buffers, "take", taking)
    monkeypatch.setattr(buffers, "give", giving)
    receiving = Receiving(depot)
    receiving.store(*range(10))
    receiving.close()
    assert used and not out
