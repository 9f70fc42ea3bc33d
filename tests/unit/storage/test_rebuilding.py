"""A record made anew holds what lives, says whose it is, and names nothing that has gone for good."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.unit.storage.depot import Depot, send_pack, some_bytes, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import Cancelled, MediaFailed
from farvault.base.units import MIB
from farvault.catalog import audit, placements, superseded
from farvault.seal.compress import RAW, ZSTD, decompress
from farvault.seal.digest import digest
from farvault.seal.pack import OpenPack, PackBuilder, parse
from farvault.seal.record import Header, check, open_record
from farvault.storage.copying import copy_aggregates
from farvault.storage.reading import AggregateReader, Found
from farvault.storage.rebuilding import Rebuilt, rebuild_aggregates

FILES = some_files(4, 300_000)


def rebuild(depot: Depot, numbers: Iterable[int] | None = None, pool: str = "TAPEPOOL") -> Rebuilt:
    wanted = [row.aggregate_id for row in depot.placed("TAPEPOOL")] if numbers is None else list(numbers)
    done = rebuild_aggregates(depot.storage, wanted, depot.pool(pool))
    with depot.catalog.read() as r:
        assert list(audit.check_sums(r)) == []
        assert list(audit.check_row_digests(r)) == []
    return done


def delete(depot: Depot, *names: str) -> None:
    ids = depot.inventory()
    depot.storage.delete_objects([ids[name] for name in names])


def opened(depot: Depot) -> tuple[Header, OpenPack]:
    """The one record of TAPEPOOL."""
    (row,) = depot.placed("TAPEPOOL")
    (found,) = AggregateReader(depot.storage).read([row.aggregate_id])
    assert isinstance(found, Found)
    record = bytes(found.record)
    header = check(record)
    packed = open_record(record, depot.keyring)
    return header, parse(decompress(header.codec, packed, header.plain_bytes))


def names(pack: OpenPack) -> list[bytes]:
    return [each.name for each in pack.directory.objects]


def test_the_new_record_holds_what_lives_and_nothing_else(depot: Depot) -> None:
    depot.send(FILES)
    old, _ = opened(depot)
    delete(depot, "file0000", "file0002")
    done = rebuild(depot)
    new, pack = opened(depot)
    assert (done.records, done.failed) == (1, [])
    assert (done.before_bytes, done.after_bytes) == (old.stored_bytes, new.stored_bytes)
    assert new.digest != old.digest and new.record_id != old.record_id
    assert names(pack) == [b"file0001", b"file0003"]
    assert [one for one, _ in pack.directory.extents] == [
        digest(FILES[name]) for name in ("file0001", "file0003")
    ]
    assert depot.restore() == {name: FILES[name] for name in ("file0001", "file0003")}


def test_its_labels_are_the_old_ones(depot: Depot) -> None:
    depot.send(FILES, "BOB")
    depot.storage.delete_objects(list(depot.inventory("BOB").values())[:2])
    rebuild(depot)
    directory = opened(depot)[1].directory
    assert (directory.node, directory.file_space, directory.kind, directory.management_class) == (
        "BOB",
        "/home",
        1,
        "STANDARD",
    )
    with depot.catalog.read() as r:
        (row,) = placements.aggregates(r, [depot.placed("TAPEPOOL")[0].aggregate_id])
    assert row.node_id == depot.node("BOB").id


def test_extents_keep_their_numbers_and_the_range_stays(depot: Depot) -> None:
    depot.send(FILES)
    (old,) = depot.placed("TAPEPOOL")
    delete(depot, "file0000")
    with depot.catalog.read() as r:
        before = [row[0] for row in placements.aggregate_extents(r, old.aggregate_id)]
        (old_row,) = placements.aggregates(r, [old.aggregate_id])
    rebuild(depot)
    (new,) = depot.placed("TAPEPOOL")
    with depot.catalog.read() as r:
        rows = placements.aggregate_extents(r, new.aggregate_id)
        (new_row,) = placements.aggregates(r, [new.aggregate_id])
    assert [row[0] for row in rows] == before
    assert (new_row.first_extent_id, new_row.extents) == (old_row.first_extent_id, old_row.extents)
    assert new_row.extent_bytes == new_row.live_bytes == old_row.live_bytes


def test_an_object_whose_data_lies_elsewhere_by_now_is_named_with_a_reference(depot: Depot) -> None:
    """The second pack brought the data once more: it was dead from birth, but the volume still lists the object."""
    shared, own = some_bytes(1, 300_000), some_bytes(2, 300_000)
    depot.send({"first": shared})
    depot.send({"second": shared, "third": own})
    _, second = depot.placed("TAPEPOOL")
    rebuild(depot, [second.aggregate_id])
    (row,) = [row for row in depot.placed("TAPEPOOL") if row.offset_bytes > second.offset_bytes]
    (found,) = AggregateReader(depot.storage).read([row.aggregate_id])
    assert isinstance(found, Found)
    header = found.header
    packed = open_record(bytes(found.record), depot.keyring)
    pack = parse(decompress(header.codec, packed, header.plain_bytes))
    assert names(pack) == [b"second", b"third"]
    assert [one for one, _ in pack.directory.extents] == [digest(own)]
    assert [one for one, _ in pack.directory.references] == [digest(shared)]
    assert depot.restore() == {"first": shared, "second": shared, "third": own}


def test_objects_without_data_stay_listed(depot: Depot) -> None:
    depot.send({**FILES, "empty": b""})
    delete(depot, "file0000")
    rebuild(depot)
    assert b"empty" in names(opened(depot)[1])


def test_what_was_raw_stays_raw_and_what_compresses_is_compressed(depot: Depot) -> None:
    text = {f"text{n}": (b"%d the same words " % n) * 20_000 for n in range(3)}
    for content, codec in ((text, ZSTD), (FILES, RAW)):
        depot.send(content)
        delete(depot, next(iter(content)))
        rebuild(depot)
        assert opened(depot)[0].codec == codec
        depot.storage.delete_objects(depot.inventory().values())


def test_many_are_rebuilt_in_several_transactions(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farvault.storage.rebuilding.WINDOW_BYTES", 2 * MIB)
    files = some_files(24, 900_000)
    depot.send(files)
    delete(depot, *list(files)[::2])
    passed: list[str] = []
    observe_crash_points(passed.append)
    assert rebuild(depot).records == 6
    observe_crash_points(None)
    assert passed.count("rebuild.window.after_catalog") > 2
    assert depot.restore() == dict(list(files.items())[1::2])


def test_what_dies_meanwhile_is_not_brought_back(depot: Depot) -> None:
    depot.send(FILES)
    delete(depot, "file0000")

    def late(label: str) -> None:
        if label == "rebuild.window.before_catalog":
            observe_crash_points(None)
            delete(depot, "file0001")

    observe_crash_points(late)
    assert rebuild(depot).records == 1
    assert depot.restore() == {name: FILES[name] for name in ("file0002", "file0003")}
    with depot.catalog.read() as r:
        (row,) = placements.aggregates(r, [depot.placed("TAPEPOOL")[0].aggregate_id])
    assert row.live_bytes < row.extent_bytes


def test_what_is_wholly_deleted_meanwhile_leaves_nothing(depot: Depot) -> None:
    depot.send(FILES)
    delete(depot, "file0000")

    def late(label: str) -> None:
        if label == "rebuild.window.before_catalog":
            observe_crash_points(None)
            delete(depot, *depot.inventory())

    observe_crash_points(late)
    assert rebuild(depot).records == 0
    assert depot.placed("TAPEPOOL") == []


def test_of_two_that_rebuild_the_same_one_wins(depot: Depot) -> None:
    depot.send(FILES)
    delete(depot, "file0000")
    (old,) = depot.placed("TAPEPOOL")

    def other(label: str) -> None:
        if label == "rebuild.window.before_catalog":
            observe_crash_points(None)
            rebuild(depot, [old.aggregate_id])

    observe_crash_points(other)
    assert rebuild(depot, [old.aggregate_id]).records == 0
    assert len(depot.placed("TAPEPOOL")) == 1
    assert rebuild(depot, [old.aggregate_id]).records == 0, "it is gone"
    assert depot.restore() == {name: FILES[name] for name in list(FILES)[1:]}


def test_a_damaged_record_without_a_copy_stays_as_it_is(depot: Depot) -> None:
    depot.send(FILES)
    delete(depot, "file0000")
    (old,) = depot.placed("TAPEPOOL")
    depot.faults.flip(300, nth=1)
    assert rebuild(depot).failed == [old.aggregate_id]
    assert [row.aggregate_id for row in depot.placed("TAPEPOOL")] == [old.aggregate_id]


def test_a_record_with_wrong_contents_stays_as_it_is(depot: Depot) -> None:
    """The catalog knows another digest for an extent than the pack holds."""
    depot.send(FILES)
    delete(depot, "file0000")
    (old,) = depot.placed("TAPEPOOL")
    with depot.catalog.write() as tx:
        number, offset, length, right = placements.aggregate_extents(tx, old.aggregate_id)[0]
        tx.run("UPDATE extents SET digest = ? WHERE id = ?", (bytes(32), number))
    done = rebuild_aggregates(depot.storage, [old.aggregate_id], depot.pool("TAPEPOOL"))
    with depot.catalog.write() as tx:
        tx.run("UPDATE extents SET digest = ? WHERE id = ?", (right, number))
    assert done.failed == [old.aggregate_id] and offset >= 0 and length > 0
    assert len(depot.placed("TAPEPOOL")) == 1


def test_a_broken_volume_is_left_and_the_window_is_written_elsewhere(depot: Depot) -> None:
    files = some_files(12, 900_000)
    depot.send(files)
    delete(depot, *list(files)[::2])
    depot.faults.fail(
        "append", MediaFailed("ANR8359E", operation="write", volume="v", reason="I/O error"), nth=2
    )
    assert rebuild(depot).records == 3
    assert "ANR1411W" in depot.messages()
    assert depot.restore() == dict(list(files.items())[1::2])


def test_cancelled_it_leaves_everything_readable(depot: Depot) -> None:
    depot.send(FILES)
    delete(depot, "file0000")

    def cancel() -> None:
        raise Cancelled("ANR0943I", number=1)

    (old,) = depot.placed("TAPEPOOL")
    with pytest.raises(Cancelled):
        rebuild_aggregates(
            depot.storage, [old.aggregate_id], depot.pool("TAPEPOOL"), raise_if_cancelled=cancel
        )
    assert depot.placed("TAPEPOOL") == [old]
    assert depot.restore() == {name: FILES[name] for name in list(FILES)[1:]}


def test_cancelled_it_keeps_what_is_written(depot: Depot) -> None:
    files = some_files(12, 900_000)
    depot.send(files)
    delete(depot, *list(files)[::2])
    left = iter([None, None])

    def cancel_at_the_third() -> None:
        if next(left, "over") == "over":
            raise Cancelled("ANR0943I", number=1) from None

    before = [row.aggregate_id for row in depot.placed("TAPEPOOL")]
    with pytest.raises(Cancelled):
        rebuild_aggregates(
            depot.storage, before, depot.pool("TAPEPOOL"), raise_if_cancelled=cancel_at_the_third
        )
    assert len({row.aggregate_id for row in depot.placed("TAPEPOOL")} - set(before)) == 2
    assert depot.restore() == dict(list(files.items())[1::2])


def test_another_nodes_share_is_sent_without_the_rest_from_an_older_record(depot: Depot) -> None:
    """BOB shares one of ALICE's extents; the new record is lost, the old copy serves, and BOB sees only what is his."""
    shared = FILES["file0001"]
    depot.send(FILES)
    depot.send({"bobs": shared}, "BOB")
    with depot.catalog.read() as r:
        rows = placements.missing_in_copy(r, depot.pool("TAPEPOOL").id, depot.pool("COPYPOOL").id)
    copy_aggregates(depot.storage, rows, depot.pool("COPYPOOL"))
    delete(depot, "file0000")
    rebuild(depot)
    (new,) = [row for row in depot.placed("TAPEPOOL") if _is_new(depot, row.aggregate_id)]
    assert new
    for volume in depot.volumes():
        depot.change_volume(volume, access="UNAVAILABLE")
    assert depot.restore("BOB") == {"bobs": shared}
    assert depot.restore() == {name: FILES[name] for name in list(FILES)[1:]}


def _is_new(depot: Depot, aggregate_id: int) -> bool:
    with depot.catalog.read() as r:
        return bool(superseded.predecessors(r, [aggregate_id])[aggregate_id])


def test_a_long_object_in_pieces_keeps_its_pieces(depot: Depot) -> None:
    """A piece stays a piece: `before` and `more` are as they were."""
    parts = [some_bytes(n, 100_000) for n in range(3)]
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    indexes = [builder.add_extent(digest(part), part) for part in parts]
    builder.add_extent(digest(b"unused"), b"unused")
    builder.add_object(b"docs", b"long", 1, 300_000, b"", extents=indexes[:2], more=True)
    builder.add_object(b"docs", b"long", 1, 300_000, b"attributes", extents=indexes[2:], before=2)
    intake = depot.begin()
    send_pack(intake, builder.build())
    intake.commit()
    rebuild(depot)
    _, pack = opened(depot)
    assert [(each.before, each.more) for each in pack.directory.objects] == [(0, True), (2, False)]
    assert len(pack.directory.extents) == 3
    assert depot.restore() == {"long": b"".join(parts)}
