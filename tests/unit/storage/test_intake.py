"""A client's transaction: all of it or nothing, each byte once, nobody else's data."""

from __future__ import annotations

import pytest
from tests.unit.storage.depot import Depot, MakeDepot, packs, send_pack, some_bytes, some_files, store_packed

from farvault.base.disk import observe_crash_points
from farvault.base.errors import BadInput, FarvaultError, MediaFailed, MediaFull, NotAvailable, NotFound
from farvault.base.units import MIB
from farvault.catalog import freeing, nouns, objects, placements
from farvault.model.file_space import FileSpace
from farvault.model.volume import FILLING, FULL
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder
from farvault.storage.intake import Intake


def test_what_was_sent_comes_back(depot: Depot) -> None:
    files = {**some_files(30), "empty": b"", "text": b"many equal words " * 100_000}
    answer = depot.send(files)
    assert answer.objects == 32 and answer.new_extents == 32 - 1 + 1
    assert depot.restore() == files


@pytest.mark.parametrize("pool", ["TAPEPOOL", "BACKUPPOOL"])
def test_several_transactions_follow_each_other_on_a_volume(depot: Depot, pool: str) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=32 * MIB)
    for start in (0, 10, 20):
        depot.send(some_files(10, start=start), pool=pool)
    assert len(depot.volumes(pool)) == 1
    assert depot.restore() == some_files(30)


def test_nothing_is_visible_before_the_commit_or_after_an_abort(depot: Depot) -> None:
    intake = depot.begin()
    for each in packs(some_files(5)):
        send_pack(intake, each)
    assert depot.inventory() == {}
    intake.abort()
    assert depot.inventory() == {}
    assert depot.volumes() == []  # the scratch volume it had made went back
    depot.send(some_files(5))
    assert depot.restore() == some_files(5)


def test_an_abort_leaves_a_volume_as_long_as_it_was(depot: Depot) -> None:
    depot.send(some_files(2))
    before = depot.volumes()
    intake = depot.begin()
    for each in packs(some_files(5, start=5)):
        send_pack(intake, each)
    intake.abort()
    assert depot.volumes() == before
    depot.send(some_files(3, start=20))
    assert depot.restore() == some_files(2) | some_files(3, start=20)


def test_a_pack_the_pool_holds_already_is_not_stored_again(depot: Depot) -> None:
    files = some_files(5)
    depot.send(files, "ALICE")
    answer = depot.send(files, "BOB")
    assert (answer.objects, answer.new_extents, answer.stored_bytes) == (5, 0, 0)
    assert len(depot.placed("TAPEPOOL")) == 1
    assert depot.restore("BOB") == files


def test_duplicates_inside_a_new_pack_are_dead_from_birth(depot: Depot) -> None:
    shared, new = some_bytes(1, 300_000), some_bytes(2, 100_000)
    depot.send({"shared": shared})
    answer = depot.send({"shared too": shared, "new": new}, "BOB")
    assert answer.new_extents == 1
    with depot.catalog.read() as r:
        rows = placements.aggregates(r, [row.aggregate_id for row in depot.placed("TAPEPOOL")])
    assert [(one.extent_bytes, one.live_bytes) for one in rows] == [(300_000, 300_000), (400_000, 100_000)]
    assert depot.restore("BOB") == {"shared too": shared, "new": new}


def test_extents_no_object_uses_are_freed_at_once(depot: Depot) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    builder.add_extent(digest(b"unused"), b"unused")
    builder.add_object(b"", b"folder", 2, 0, b"")
    intake = depot.begin()
    send_pack(intake, builder.build())
    assert intake.commit().objects == 1
    assert depot.placed("TAPEPOOL") == []


def test_known_data_is_only_named(depot: Depot) -> None:
    content = some_bytes(1, 2 * MIB)
    depot.send({"one": content})
    answer = depot.send({"two": content}, known=[content])
    assert (answer.objects, answer.new_extents, answer.stored_bytes) == (1, 0, 0)
    assert depot.restore() == {"one": content, "two": content}


def test_known_is_told_to_the_owner_only(depot: Depot) -> None:
    content = some_bytes(1, 1000)
    depot.send({"one": content}, "ALICE")
    asked = digest(content) + bytes(32)
    alice, bob = depot.begin("ALICE"), depot.begin("BOB")
    assert alice.known(asked) == b"\x01\x00"
    assert bob.known(asked) == b"\x00\x00"


def test_another_nodes_data_cannot_be_claimed_by_its_digest(depot: Depot) -> None:
    content = some_bytes(1, 1000)
    depot.send({"one": content}, "ALICE")
    with pytest.raises(NotAvailable, match="ANR0536W"):
        depot.send({"stolen": content}, "BOB", known=[content])
    assert depot.inventory("BOB") == {}


def test_what_is_deleted_after_it_was_known_is_asked_for_again(depot: Depot) -> None:
    content = some_bytes(1, 1000)
    depot.send({"one": content})
    intake = depot.begin()
    assert intake.known(digest(content)) == b"\x01"
    for each in packs({"two": content}, known=[content]):
        send_pack(intake, each)
    depot.storage.delete_objects(depot.inventory().values())
    with pytest.raises(NotAvailable, match="ANR0536W"):
        intake.commit()
    depot.send({"two": content})
    assert depot.restore() == {"two": content}


def test_what_is_deleted_after_a_pack_was_left_out_because_of_it_is_asked_for_again(depot: Depot) -> None:
    files = some_files(3)
    depot.send(files)
    intake = depot.begin("BOB")
    for each in packs(files, "BOB"):
        send_pack(intake, each)
    intake._conveyor.stop()  # the pack was looked at: everything in it is known
    depot.storage.delete_objects(depot.inventory("ALICE").values())
    with pytest.raises(NotAvailable, match="ANR0536W"):
        intake.commit()
    depot.send(files, "BOB")
    assert depot.restore("BOB") == files


def test_a_new_version_takes_the_place_of_the_old(depot: Depot) -> None:
    depot.send({"a": b"old"})
    depot.send({"a": b"new"})
    assert depot.restore() == {"a": b"new"}
    with depot.catalog.read() as r:
        space = nouns.get(r, FileSpace, depot.node().id, "/home")
        assert len(list(objects.inventory(r, space.id, 1, active_only=False))) == 2


def test_expire_update_and_rebind_belong_to_the_transaction(depot: Depot) -> None:
    depot.send({"a": b"1", "b": b"2", "c": b"3"})
    ids = depot.inventory()
    intake = depot.begin()
    intake.expire([ids["a"]])
    intake.update([(ids["b"], b"other attributes")])
    intake.rebind([ids["c"]], "GOLD")
    assert depot.inventory() == ids
    answer = intake.commit()
    assert (answer.objects, answer.expired, answer.updated, answer.rebound) == (0, 1, 1, 1)
    assert sorted(depot.inventory()) == ["b", "c"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (("BOB", "/home", 1, "STANDARD"), "another node"),
        (("ALICE", "/other", 1, "STANDARD"), "another node"),
        (("ALICE", "/home", 2, "STANDARD"), "another node"),
        (("ALICE", "/home", 1, "GOLD"), "another node"),
    ],
)
def test_a_pack_with_false_labels_is_refused(
    depot: Depot, labels: tuple[str, str, int, str], reason: str
) -> None:
    builder = PackBuilder(*labels)
    builder.add_object(b"", b"a", 1, 0, b"")
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match=reason):
        intake.commit()


@pytest.mark.parametrize("name", [b"a/b", b"..", b".", b"a\0b", b""])
def test_names_that_no_file_can_have_are_refused(depot: Depot, name: bytes) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    builder.add_object(b"docs", name, 1, 0, b"")
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()


def test_wrong_bytes_are_refused_and_nothing_is_kept(depot: Depot) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    index = builder.add_extent(digest(b"said"), b"sent")
    builder.add_object(b"", b"a", 1, 4, b"", extents=[index])
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="does not match its digest"):
        intake.commit()
    intake = depot.begin()
    store_packed(intake, 1, 100, b"no zstd frame")
    for each in packs(some_files(3)):  # dropped, quietly: the end tells
        send_pack(intake, each)
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()
    assert depot.inventory() == {} and depot.volumes() == []


def test_an_object_named_twice_is_refused_but_not_in_an_archive(depot: Depot) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    builder.add_object(b"", b"a", 1, 0, b"")
    builder.add_object(b"", b"a", 1, 0, b"")
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="twice"):
        intake.commit()
    for _ in range(2):
        depot.send({"a": b"x"}, kind=2)


# --- destinations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["NOPOOL", "COPYPOOL"])
def test_a_destination_that_is_no_primary_pool_is_refused(depot: Depot, pool: str) -> None:
    with pytest.raises(NotFound, match="ANR0520W"):
        depot.begin(pool=pool)


def test_a_destination_that_may_not_be_written_is_refused(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", access="READONLY")
    with pytest.raises(NotAvailable, match=r"ANR0525W.*READONLY"):
        depot.begin(size=100)
    with pytest.raises(NotAvailable, match="ANR0525W"):
        depot.send({"a": b"x"})
    depot.send({"folder": b""})  # needs no space


def test_more_than_maxsize_is_refused(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", max_size_bytes=1000)
    with pytest.raises(MediaFull, match="ANR0521W"):
        depot.begin(size=2000)


def test_a_pool_without_room_passes_on_to_the_next(depot: Depot) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=6 * MIB)
    files = some_files(40, 300_000)
    depot.send(files, pool="BACKUPPOOL")
    assert 0 < len(depot.placed("BACKUPPOOL")) < len(depot.placed("TAPEPOOL"))
    assert depot.restore() == files
    answer = depot.send(files, "BOB", pool="BACKUPPOOL")  # one domain, wherever the bytes are
    assert answer.stored_bytes == 0


@pytest.mark.parametrize(
    ("total", "largest", "pool"),
    [
        (900_000, 900_000, "BACKUPPOOL"),
        (3 * MIB, 900_000, "BACKUPPOOL"),  # many files, none too large
        (3 * MIB, 0, "TAPEPOOL"),  # the client does not say: the whole counts
        (1_200_000, 1_100_000, "TAPEPOOL"),
        (7 * MIB, 900_000, "TAPEPOOL"),  # no room for all of it
    ],
)
def test_a_transaction_goes_straight_to_the_next_pool_where_maxsize_or_room_wants_it(
    depot: Depot, total: int, largest: int, pool: str
) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=6 * MIB)
    depot.change_pool("BACKUPPOOL", max_size_bytes=MIB)
    node = depot.node()
    space = depot.file_space(node)
    intake = Intake(depot.storage, node, space, 1, "BACKUPPOOL", "STANDARD", total, 0, largest)
    files = some_files(3)
    for pack in packs(files):
        send_pack(intake, pack)
    intake.commit()
    assert depot.placed(pool) and depot.restore() == files
    assert not depot.placed("TAPEPOOL" if pool == "BACKUPPOOL" else "BACKUPPOOL")


def test_a_full_pool_refuses_before_the_acknowledgement(make_depot: MakeDepot) -> None:
    depot = make_depot(capacity_bytes=8 * MIB, max_scratch=2)
    depot.send(some_files(3))
    before = depot.placed("TAPEPOOL")
    with pytest.raises(MediaFull, match="ANR0522W"):
        depot.send(some_files(20, MIB, start=10))
    assert depot.placed("TAPEPOOL") == before
    assert depot.restore() == some_files(3)
    depot.send(some_files(3, start=50))
    assert depot.restore() == some_files(3) | some_files(3, start=50)


def test_a_transaction_may_fill_several_volumes(make_depot: MakeDepot) -> None:
    depot = make_depot(capacity_bytes=8 * MIB, max_scratch=9)
    depot.change_class("TAPECLASS", mount_limit=1)
    files = some_files(30, 900_000)
    depot.send(files)
    volumes = depot.volumes()
    assert len(volumes) >= 4
    assert [volume.status for volume in volumes].count(FULL) == len(volumes) - 1
    assert [volume.status for volume in volumes].count(FILLING) == 1
    assert depot.restore() == files


# --- bad luck --------------------------------------------------------------------------------------------------------


def test_a_full_file_system_refuses_and_the_server_lives_on(depot: Depot) -> None:
    depot.send(some_files(2))
    depot.faults.fail_from_now_on(
        "append", MediaFull("ANR8308W", volume="v", reason="No space left on device")
    )
    with pytest.raises(MediaFull, match="ANR0522W"):
        depot.send(some_files(2, start=5))
    depot.faults.fail_from_now_on("append", None)
    assert depot.restore() == some_files(2)
    depot.send(some_files(2, start=5))
    assert depot.restore() == some_files(2) | some_files(2, start=5)
    assert len(depot.volumes()) == 1


def test_a_write_error_makes_the_volume_readonly_and_the_next_one_is_taken(depot: Depot) -> None:
    depot.send(some_files(2))
    depot.faults.fail("append", MediaFailed("ANR8359E", operation="write", volume="v", reason="I/O error"))
    depot.send(some_files(2, start=5))
    assert sorted(volume.access for volume in depot.volumes()) == ["READONLY", "READWRITE"]
    assert "ANR1411W" in depot.messages()
    assert depot.restore() == some_files(2) | some_files(2, start=5)


@pytest.mark.parametrize(("operation", "nth"), [("append", 3), ("commit", 1)])
def test_a_write_error_with_records_not_durable_yet_undoes_the_transaction(
    depot: Depot, operation: str, nth: int
) -> None:
    error = MediaFailed("ANR8359E", operation="write", volume="v", reason="I/O error")
    depot.faults.fail(operation, error, nth=nth)
    with pytest.raises(MediaFailed):
        depot.send(some_files(30, 300_000))
    assert depot.inventory() == {}
    depot.send(some_files(30, 300_000))
    assert depot.restore() == some_files(30, 300_000)


def test_where_every_volume_fails_the_transaction_ends(depot: Depot) -> None:
    error = MediaFailed("ANR8359E", operation="write", volume="v", reason="I/O error")
    depot.faults.fail_from_now_on("append", error)
    with pytest.raises(MediaFailed):
        depot.send(some_files(1))
    assert depot.volumes() == []


class PowerCut(Exception):
    """Stands for kill -9 at a crash point."""


LABELS = (
    "volume.scratch.before_create",
    "writer.sync.before",
    "volume.append.before_sync",
    "volume.append.after_sync",
    "writer.sync.after",
    "transaction.commit.before_catalog",
    "catalog.commit.before",
    "catalog.commit.after",
    "transaction.commit.after_catalog",
)


@pytest.mark.parametrize("label", LABELS)
def test_a_crash_at_any_step_keeps_all_of_a_transaction_or_nothing(depot: Depot, label: str) -> None:
    depot.send(some_files(2))
    if label == "volume.scratch.before_create":
        depot.change_volume(depot.volumes()[0], access="READONLY")
    intake = depot.begin()
    armed = {"catalog.commit.before", "catalog.commit.after"}

    def cut(reached: str) -> None:
        if reached == "transaction.commit.before_catalog":
            armed.clear()  # the catalog commits before this one are other people's
        if reached == label and reached not in armed:
            raise PowerCut

    observe_crash_points(cut)
    try:
        with pytest.raises((PowerCut, FarvaultError)):
            for each in packs(some_files(4, start=5)):
                send_pack(intake, each)
            intake.commit()
    finally:
        observe_crash_points(None)
    depot.restart()
    kept = depot.restore()
    assert kept in (some_files(2), some_files(2) | some_files(4, start=5))
    assert (len(kept) == 6) == (label in ("catalog.commit.after", "transaction.commit.after_catalog"))
    depot.send(some_files(4, start=20))
    assert depot.restore() == kept | some_files(4, start=20)


def test_deleting_everything_returns_the_volumes(depot: Depot) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=32 * MIB)
    depot.send(some_files(20))
    depot.send(some_files(20, start=50), "BOB", pool="BACKUPPOOL")
    free = depot.storage.spaces.of(depot.volumes("BACKUPPOOL")[0])
    assert free.free_bytes < 32 * MIB - 4096
    depot.storage.delete_objects(depot.inventory("ALICE").values())
    depot.storage.delete_objects(depot.inventory("BOB").values())
    assert depot.volumes() == []
    assert list((depot.folder / "tapeclass").iterdir()) == []
    assert free.free_bytes == 32 * MIB - 4096
    with depot.catalog.read() as r:
        assert freeing.unfinished_deletions(r) == []
