"""Target side: segments of virtual volumes are received, resumed, superseded, marked, and go."""

from __future__ import annotations

import pytest
from tests.unit.catalog.catalog_world import World, digest
from tests.unit.catalog.segments import DAY, VOLUME, check, records, send, spans

from farvault.base.errors import NotFound, PeerMisbehaved
from farvault.catalog import freeing, objects, vault
from farvault.model.stored_object import ObjectKind


def archived(world: World) -> list[tuple[bytes, bytes, int, int]]:
    with world.catalog.read() as r:
        rows = objects.inventory(r, world.space, ObjectKind.ARCHIVE, active_only=False)
        return [(row.directory, row.name, row.state, row.size_bytes) for row in rows]


def test_a_segment_becomes_an_archive_file_when_it_is_closed(world: World) -> None:
    with world.catalog.write() as tx:
        segment = vault.open_segment(tx, world.node, world.space, VOLUME, 0x1000, 50)
        vault.append_records(tx, segment, records(world, tx, b"one"))
        vault.append_records(tx, segment, records(world, tx, b"two!", b"three"))
    assert archived(world) == []
    with world.catalog.read() as r:
        assert vault.known_records(r, world.node, [digest(b"one"), digest(b"none")]) == b"\x01\x00"
        assert vault.known_records(r, world.other_node, [digest(b"one")]) == b"\x00"
        assert vault.unclosed(r) == [vault.segment(r, segment)]
    check(world)
    with world.catalog.write() as tx:
        assert vault.close_segment(tx, segment, 12, 3, b"D" * 32, b"receipt 1", 60) == 1
    assert archived(world) == [(VOLUME.encode(), b"0000000000001000", 1, 12)]
    with world.catalog.read() as r:
        assert vault.last_receipt(r, world.node) == (1, b"receipt 1")
        assert vault.last_receipt(r, world.other_node) is None
        row = vault.segment(r, segment)
        assert (row.received_time, row.receipt_number, row.records, row.end_bytes) == (60, 1, 3, 0x1000 + 12)
        assert vault.volume_length(r, world.node, VOLUME) == 0x1000 + 12
        rows = vault.volume_records(r, world.node, VOLUME)
        assert [(at, length, name) for at, length, name, _ in rows] == [
            (0x1000, 3, digest(b"one")),
            (0x1003, 4, digest(b"two!")),
            (0x1007, 5, digest(b"three")),
        ]
    assert spans(world, (0x1003, 4), (0x1003, 5), (0x1001, 2), (0, 3)) == [digest(b"two!"), None, None, None]
    check(world)


def test_records_of_a_broken_transfer_are_known_to_the_next_and_the_old_session_is_out(world: World) -> None:
    with world.catalog.write() as tx:
        first = vault.open_segment(tx, world.node, world.space, VOLUME, 0, 10)
        vault.append_records(tx, first, records(world, tx, b"one", b"two!"))
    with world.catalog.write() as tx:
        second = vault.open_segment(tx, world.node, world.space, VOLUME, 0, 20)
        known = vault.find_records(tx, world.node, [digest(b"one"), digest(b"two!")])
        vault.append_records(tx, second, [(one.extent_id, one.length_bytes) for one in known.values()])
    for late in (
        lambda: vault.append_records(tx, first, [(1, 3)]),
        lambda: vault.close_segment(tx, first, 7, 2, b"", b"", 30),
        lambda: vault.abort_segment(tx, first, 30),
    ):
        with pytest.raises(NotFound, match="ANR0144E"), world.catalog.write() as tx:
            late()
    with world.catalog.write() as tx:
        vault.close_segment(tx, second, 7, 2, b"D" * 32, b"", 30)
        assert [row.object_id for row in vault.abandoned(tx, before=21)] == [first]
        assert vault.abandoned(tx, before=20) == []
        freed = objects.delete_objects(tx, [first])
    assert (freed.objects, freed.extents, freed.spans) == (1, 0, []), "the second segment holds the records"
    check(world)


def test_what_was_given_up_is_collected_with_its_records(world: World) -> None:
    with world.catalog.write() as tx:
        segment = vault.open_segment(tx, world.node, world.space, VOLUME, 0, 10)
        vault.append_records(tx, segment, records(world, tx, b"one"))
        vault.abort_segment(tx, segment, 11)
    with world.catalog.write() as tx:
        assert vault.find_records(tx, world.node, [digest(b"one")])
        freed = objects.delete_objects(tx, [row.object_id for row in vault.abandoned(tx, before=100)])
        assert (freed.objects, freed.aggregates) == (1, 1)
        assert vault.find_records(tx, world.node, [digest(b"one")]) == {}
        with pytest.raises(NotFound):
            vault.segment(tx, segment)
    check(world)


@pytest.mark.parametrize(("stored_bytes", "count"), [(6, 2), (7, 1), (8, 3)])
def test_a_source_that_counts_otherwise_gets_no_receipt(world: World, stored_bytes: int, count: int) -> None:
    with world.catalog.write() as tx:
        segment = vault.open_segment(tx, world.node, world.space, VOLUME, 0, 10)
        vault.append_records(tx, segment, records(world, tx, b"one", b"two!"))
    with pytest.raises(PeerMisbehaved, match="ANR0143E"), world.catalog.write() as tx:
        vault.close_segment(tx, segment, stored_bytes, count, b"", b"", 20)
    with world.catalog.read() as r:
        assert vault.last_receipt(r, world.node) is None


def test_a_record_that_was_freed_meanwhile_cannot_be_referred_to(world: World) -> None:
    with world.catalog.write() as tx:
        segment = vault.open_segment(tx, world.node, world.space, VOLUME, 0, 10)
        with pytest.raises(NotFound, match="ANR0141E"):
            vault.append_records(tx, segment, [(12345, 3)])


def test_a_segment_written_over_a_forgotten_past_supersedes_it_but_deletes_nothing(world: World) -> None:
    front = send(world, [b"1111"], 0)
    past = send(world, [b"2222", b"3333"], 4)
    later = send(world, [b"4444"], 12)
    new = send(world, [b"new!"], 4, now=200)
    with world.catalog.read() as r:
        rows = {row.object_id: row for row in vault.list_volumes(r, world.node)}
        assert {key for key, row in rows.items() if not row.marked_time} == {front, new}
        assert rows[past].delete_time == rows[later].delete_time == 200 + vault.SUPERSEDED_DAYS * DAY
    assert spans(world, (0, 4), (4, 4), (8, 4)) == [digest(b"1111"), digest(b"new!"), None]
    with world.catalog.write() as tx:
        assert vault.unmark(tx, world.node, VOLUME) == 1, "only what the new one does not cover comes back"
    assert spans(world, (4, 4), (12, 4)) == [digest(b"new!"), digest(b"4444")]
    check(world)


def test_the_part_of_a_segment_that_is_still_in_use_stands_on(world: World) -> None:
    send(world, [b"1111", b"2222", b"3333"], 0)
    send(world, [b"new!"], 8, now=200)
    assert spans(world, (0, 4), (4, 4), (8, 4)) == [digest(b"1111"), digest(b"2222"), digest(b"new!")]
    with world.catalog.read() as r:
        assert vault.volume_length(r, world.node, VOLUME) == 12
    check(world)


def test_marking_keeps_a_volume_for_the_grace_and_unmarking_revives_it(world: World) -> None:
    first, second = send(world, [b"1111"], 0), send(world, [b"2222"], 4)
    with world.catalog.write() as tx:
        vault.open_segment(tx, world.node, world.space, VOLUME, 8, 110)
        assert vault.mark(tx, world.node, VOLUME, 1000, grace_days=5) == 2
        assert vault.mark(tx, world.node, VOLUME, 2000, grace_days=0) == 0, "the first mark counts"
        assert vault.mark(tx, world.node, "OTHER", 1000, grace_days=5) == 0
        assert vault.unclosed(tx) == []
    assert [row[2] for row in archived(world)] == [3, 3]
    assert spans(world, (0, 4), (4, 4)) == [digest(b"1111"), digest(b"2222")], "it can still be read"
    with world.catalog.read() as r:
        assert vault.volume_length(r, world.node, VOLUME) == 0
        assert vault.due(r, 1000 + 5 * DAY - 1) == []
        assert [row.object_id for row in vault.due(r, 1000 + 5 * DAY)] == [first, second]
        assert len(vault.due(r, 1 << 40, limit=1)) == 1
    check(world)
    with world.catalog.write() as tx:
        assert vault.unmark(tx, world.node, VOLUME) == 2
        assert vault.due(tx, 1 << 40) == []
        vault.mark(tx, world.node, VOLUME, 3000, grace_days=0)
        freed = objects.delete_objects(tx, [row.object_id for row in vault.due(tx, 3000)])
        assert (freed.objects, len(freed.spans)) == (2, 2)
    assert archived(world) == []
    with world.catalog.read() as r:
        assert vault.last_receipt(r, world.node) == (2, b"receipt"), "the chain of receipts stays"
    check(world)


def test_a_volume_that_is_being_deleted_cannot_be_had_back(world: World) -> None:
    """Unmarking is acknowledged or finds nothing: what it gives back is whole and stays."""
    segment = send(world, [b"a", b"b" * 10, b"c"])
    send(world, [b"other"], volume="ADSM.DELHI.BFS.2")
    with world.catalog.write() as tx:
        vault.mark(tx, world.node, VOLUME, 1000, 0)
    with world.catalog.write() as tx:
        assert vault.withdraw(tx, vault.due(tx, 1000)) == [segment]
    for piece in range(2):  # a long segment goes in several transactions
        with world.catalog.write() as tx:
            assert vault.unmark(tx, world.node, VOLUME) == 0
            assert vault.withdraw(tx, vault.due(tx, 1000)) == []
            assert freeing.unfinished_deletions(tx) == [segment]
            assert [row.volume for row in vault.list_volumes(tx, world.node)] == ["ADSM.DELHI.BFS.2"]
            freed = objects.delete_objects(tx, [segment], limit=2)
            assert (freed.extents, freed.left) == ((2, [segment]) if piece == 0 else (1, []))
        check(world)
    with world.catalog.read() as r:
        assert freeing.unfinished_deletions(r) == []


def test_volumes_are_listed_in_pieces_by_name(world: World) -> None:
    for volume in ("B.1", "A.1", "B.2", "C.1"):
        send(world, [b"x" + volume.encode()], 0, volume)
    send(world, [b"more"], 4, "B.1")
    send(world, [b"foreign"], 0, "B.9", node=world.other_node)
    with world.catalog.write() as tx:
        vault.mark(tx, world.node, "B.2", 5, 5)
        vault.open_segment(tx, world.node, world.space, "B.3", 0, 5)

    def listed(*arguments: object, **options: object) -> list[tuple[str, int]]:
        with world.catalog.read() as r:
            rows = vault.list_volumes(r, world.node, *arguments, **options)  # type: ignore[arg-type]
            return [(row.volume, row.offset_bytes) for row in rows]

    assert listed() == [("A.1", 0), ("B.1", 0), ("B.1", 4), ("B.2", 0), ("C.1", 0)]
    assert listed("B*") == [("B.1", 0), ("B.1", 4), ("B.2", 0)]
    assert listed("B*", marked=False) == [("B.1", 0), ("B.1", 4)]
    assert listed(limit=2) == [("A.1", 0), ("B.1", 0)]
    assert listed(after=("B.1", 0, 1 << 40), limit=2) == [("B.1", 4), ("B.2", 0)]
