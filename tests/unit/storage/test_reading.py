"""Reading goes on where an intact copy lies; a node gets its own bytes and nobody else's."""

from __future__ import annotations

import pytest
from tests.unit.storage.depot import Depot, some_bytes, some_files

from farvault.base.errors import MediaFailed, PeerUnreachable
from farvault.base.units import MIB
from farvault.catalog import placements
from farvault.seal.compress import decompress
from farvault.seal.pack import parse
from farvault.storage.copying import copy_aggregates
from farvault.storage.object_reading import ObjectReader
from farvault.storage.reading import AggregateReader, Found, Lost

FILES = some_files(40, 300_000)


@pytest.fixture
def copied(depot: Depot) -> Depot:
    """Three aggregates or more in TAPEPOOL, all of them in COPYPOOL too."""
    depot.send(FILES)
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("COPYPOOL"))
    return depot


def damaged(depot: Depot) -> list[tuple[int, str]]:
    pools = ("TAPEPOOL", "COPYPOOL")
    return [(row.aggregate_id, pool) for pool in pools for row in depot.placed(pool) if row.damaged]


@pytest.mark.parametrize("position", [0, 70, 5000, -1])
def test_a_damaged_record_is_marked_and_read_from_the_copy(copied: Depot, position: int) -> None:
    copied.faults.flip(position, nth=2)
    assert copied.restore() == FILES
    assert len(damaged(copied)) == 1
    assert copied.messages().count("ANR1330E") == 1


def test_a_record_that_cannot_be_read_comes_from_the_copy(copied: Depot) -> None:
    copied.faults.fail("read", MediaFailed("ANR8359E", operation="read", volume="v", reason="I/O error"))
    assert copied.restore() == FILES
    assert len(damaged(copied)) == 1


def test_a_lost_volume_becomes_unavailable_and_the_copies_are_read(copied: Depot) -> None:
    for file in (copied.folder / "tapeclass").iterdir():
        file.unlink()
    assert copied.restore() == FILES
    assert [volume.access for volume in copied.volumes()] == ["UNAVAILABLE"]
    assert damaged(copied) == []  # the bytes may come back with their disk
    assert "ANR1410W" in copied.messages()


@pytest.mark.parametrize("access", ["UNAVAILABLE", "DESTROYED", "OFFSITE"])
def test_a_volume_that_may_not_be_read_is_left_alone(copied: Depot, access: str) -> None:
    copied.change_volume(copied.volumes()[0], access=access)
    opened = copied.faults.seen["open_reader"]
    assert copied.restore() == FILES
    assert copied.faults.seen["open_reader"] == opened + 1


def test_a_pool_that_is_unavailable_is_left_alone(copied: Depot) -> None:
    copied.change_pool("TAPEPOOL", access="UNAVAILABLE")
    assert copied.restore() == FILES


def test_a_link_that_is_down_marks_nothing(copied: Depot) -> None:
    copied.faults.fail("open_reader", PeerUnreachable("ANR8308W", volume="v", reason="link down"))
    assert copied.restore() == FILES
    assert damaged(copied) == []
    assert [volume.access for volume in copied.volumes()] == ["READWRITE"]


def test_without_an_intact_copy_only_the_touched_objects_are_lost(depot: Depot) -> None:
    depot.send(FILES)
    depot.faults.zero(4096, nth=1)
    contents, lost = depot.restore_some("ALICE", depot.inventory())
    assert 0 < len(lost) < len(FILES)
    assert contents == {name: content for name, content in FILES.items() if name not in lost}
    again, lost_again = depot.restore_some("ALICE", depot.inventory())
    assert (again, lost_again) == (FILES, [])  # marked, but tried again where nothing else is left


def test_why_objects_are_lost_is_told(depot: Depot) -> None:
    depot.send(FILES)
    depot.change_volume(depot.volumes()[0], access="UNAVAILABLE")
    reader = ObjectReader(depot.storage, depot.node().id, list(depot.inventory().values()))
    assert len(list(reader.maps())) == len(FILES)
    assert list(reader.packs()) == []
    assert len(reader.lost) == len(FILES)
    assert reader.reason.startswith("ANR1420W")
    assert "ANR0548W" in depot.messages()


def test_another_nodes_objects_are_not_given(depot: Depot) -> None:
    depot.send({"secret": b"alice only"}, "ALICE")
    number = depot.inventory("ALICE")["secret"]
    reader = ObjectReader(depot.storage, depot.node("BOB").id, [number])
    assert list(reader.maps()) == [] and list(reader.packs()) == []
    assert reader.lost == [number]


def test_from_another_nodes_pack_only_the_shared_extents_are_sent(depot: Depot) -> None:
    shared = some_bytes(1, 10_000)
    depot.send({"shared": shared, "secret": b"alice only" * 100}, "ALICE")
    depot.send({"mine": shared}, "BOB")
    reader = ObjectReader(depot.storage, depot.node("BOB").id, list(depot.inventory("BOB").values()))
    list(reader.maps())
    (sent,) = [bytes(decompress(one.codec, one.packed, one.plain_bytes)) for one in reader.packs()]
    assert b"alice only" not in sent and b"secret" not in sent
    assert [length for _, length in parse(sent).directory.extents] == [len(shared)]
    assert depot.restore("BOB") == {"mine": shared}


def test_a_nodes_own_pack_is_sent_as_it_was_received(depot: Depot) -> None:
    depot.send({"text": b"text " * 10_000})
    reader = ObjectReader(depot.storage, depot.node().id, list(depot.inventory().values()))
    list(reader.maps())
    (codec,) = [one.codec for one in reader.packs()]
    assert codec == 1


def test_a_reader_may_stop_in_the_middle(copied: Depot) -> None:
    reader = ObjectReader(copied.storage, copied.node().id, list(copied.inventory().values()))
    list(reader.maps())
    packs = reader.packs()
    next(packs)
    packs.close()
    assert copied.restore() == FILES


def test_aggregates_come_in_the_order_asked_also_when_some_are_damaged(copied: Depot) -> None:
    ids = [row.aggregate_id for row in copied.placed("TAPEPOOL")]
    order = [ids[-1], *ids[:-1]]
    copied.faults.flip(200, nth=2)
    found = [one.aggregate_id for one in AggregateReader(copied.storage).read(order, in_order=True) if one]
    assert found == order


def test_a_place_that_was_freed_meanwhile_is_not_marked(depot: Depot) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    depot.send({"a": some_bytes(1, MIB)}, pool="BACKUPPOOL")
    (row,) = depot.placed("BACKUPPOOL")
    reader = AggregateReader(depot.storage)
    depot.faults.flip(500)
    stream = reader.read([row.aggregate_id])
    depot.storage.delete_objects(depot.inventory().values())
    (one,) = stream
    assert isinstance(one, Lost)
    assert "ANR1330E" not in depot.messages()


def test_only_allowed_placements_are_read(copied: Depot) -> None:
    copy_pool = copied.pool("COPYPOOL")
    ids = [row.aggregate_id for row in copied.placed("TAPEPOOL")]
    copied.storage.devices.forget()
    for file in (copied.folder / "tapeclass").iterdir():
        file.unlink()
    reader = AggregateReader(copied.storage, lambda row: row.pool_id == copy_pool.id)
    assert all(isinstance(one, Found) for one in reader.read(ids))
    assert [volume.access for volume in copied.volumes()] == ["READWRITE"]  # never looked at


def test_a_record_of_another_aggregate_in_the_place_is_seen(copied: Depot) -> None:
    rows = copied.placed("TAPEPOOL")
    path = copied.volumes()[0].name
    with open(path, "r+b") as file:
        file.seek(rows[0].offset_bytes)
        first = file.read(rows[0].stored_bytes)
        same_size = next(row for row in rows[1:] if row.stored_bytes == rows[0].stored_bytes)
        file.seek(same_size.offset_bytes)
        file.write(first)
    assert copied.restore() == FILES
    with copied.catalog.read() as r:
        marked = placements.of_aggregates(r, [same_size.aggregate_id])[same_size.aggregate_id]
    assert [row.damaged for row in marked] == [False, True]
