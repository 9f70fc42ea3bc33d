"""What is left when the end of a transaction goes wrong, or what a crash interrupted is met again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from tests.unit.storage.depot import Depot, MakeDepot, packs, send_pack, some_bytes, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import BadInput, CatalogFull, MediaFailed, MediaFull, PeerMisbehaved
from farvault.base.units import MIB
from farvault.catalog.catalog import Catalog
from farvault.catalog.log import SMALLEST_CAPACITY_BYTES
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.settings import set_setting
from farvault.media.interface import VolumeReader
from farvault.model.volume import EMPTY
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder
from farvault.seal.record import STORED_MAX_BYTES
from farvault.storage.copying import copy_aggregates
from farvault.storage.reading import AggregateReader, Found, Lost

FILES = some_files(40, 300_000)


class PowerCut(Exception):
    """Stands for kill -9 at a crash point."""


class _UnsureFile(apsw.VFSFile):
    """Writes arrive; whether the log's sync has, nobody is told."""

    def __init__(self, disk: _UnsureDisk, name: Any, flags: list[int]) -> None:
        path = str(name.filename() if hasattr(name, "filename") else name)
        self._disk, self._is_log = disk, path.endswith("-wal")
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if self._is_log and self._disk.failing:
            raise apsw.IOError


class _UnsureDisk(apsw.VFS):
    def __init__(self) -> None:
        self.failing = False
        super().__init__("unsure", "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _UnsureFile(self, name, flags)


@pytest.fixture
def unsure() -> Iterator[_UnsureDisk]:
    disk = _UnsureDisk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize("pool", ["TAPEPOOL", "BACKUPPOOL"])
def test_a_commit_of_which_nobody_knows_whether_it_happened_leaves_the_bytes_alone(
    make_depot: MakeDepot, unsure: _UnsureDisk, pool: str
) -> None:
    """The next start finds the transaction in the log: then its records must be there, on new and on old volumes."""
    depot = make_depot(vfs="unsure")
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=64 * MIB)
    started = depot.begin("BOB", pool)
    for each in packs(some_files(2, start=50), "BOB"):
        send_pack(started, each)
    started._conveyor.stop()  # it has its volume
    intake = depot.begin(pool=pool)
    for each in packs(some_files(4)):
        send_pack(intake, each)
    intake._conveyor.stop()
    unsure.failing = True
    with pytest.raises(MediaFailed, match="ANR0132E"):
        intake.commit()
    unsure.failing = False
    for each in packs(some_files(20, start=60), "BOB"):
        send_pack(started, each)
    with pytest.raises(MediaFailed):
        started.commit()
    with pytest.raises(MediaFailed, match="ANR0139E"):
        depot.send(some_files(3, start=20), pool=pool)
    depot.restart()
    assert depot.restore("ALICE") == some_files(4)
    assert depot.restore("BOB") == {}


def test_volumes_whose_last_record_went_just_before_a_crash_are_emptied_at_the_next_start(
    depot: Depot,
) -> None:
    depot.send(some_files(2))
    depot.storage.life.define(depot.pool("TAPEPOOL"), "defined.bfs")
    depot.change_pool("TAPEPOOL", max_scratch=0)
    depot.change_volume(next(one for one in depot.volumes() if one.scratch), access="READONLY")
    depot.send(some_files(2, start=5))

    def cut(reached: str) -> None:
        if reached == "catalog.commit.after":
            raise PowerCut

    observe_crash_points(cut)
    try:
        with pytest.raises(PowerCut):
            depot.storage.delete_objects(depot.inventory().values())
    finally:
        observe_crash_points(None)
    assert len(depot.volumes()) == 2
    depot.restart()
    assert [(one.scratch, one.status, one.written_bytes) for one in depot.volumes()] == [(False, EMPTY, 0)]


def test_a_volume_being_defined_is_not_offered_to_writers(depot: Depot) -> None:
    """Its row is there first; making its blocks may take minutes, and backups go on meanwhile."""
    pool = depot.pool("BACKUPPOOL")
    depot.storage.life.define(pool, "one.dsk", capacity_bytes=16 * MIB)
    files = iter((some_files(2), some_files(2, start=5)))

    def store(reached: str) -> None:
        if reached == "volume.define.before_create":
            observe_crash_points(None)
            assert depot.begin(pool="BACKUPPOOL", size=1000)
            depot.send(next(files), pool="BACKUPPOOL")

    observe_crash_points(store)
    depot.storage.life.define(pool, "two.dsk", capacity_bytes=16 * MIB)
    assert depot.restore() == some_files(2)


def test_a_volume_that_cannot_be_opened_is_let_go_also_where_that_cannot_be_written_down(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.send(some_files(1))
    error = MediaFailed("ANR8359E", operation="open", volume="v", reason="I/O error")
    depot.faults.fail("open_writer", error)

    def no_room(*_: object) -> None:
        raise MediaFull("ANR0131E", path="catalog.db")

    with monkeypatch.context() as patch:
        patch.setattr(depot.storage.life, "set_access", no_room)
        with pytest.raises(MediaFull):
            depot.send(some_files(1, start=5))
    depot.send(some_files(1, start=5))
    assert len(depot.volumes()) == 1


# --- reading beside changes ------------------------------------------------------------------------------------------


def test_damage_that_cannot_be_written_down_keeps_nobody_from_reading_the_copy(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.send(FILES)
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("COPYPOOL"))

    @contextlib.contextmanager
    def no_room() -> Iterator[None]:
        raise MediaFull("ANR0131E", path="catalog.db")
        yield

    monkeypatch.setattr(depot.catalog, "write", no_room)
    depot.faults.flip(500, nth=1)
    assert depot.restore() == FILES
    for file in (depot.folder / "tapeclass").iterdir():
        file.unlink()
    assert depot.restore() == FILES


def test_a_target_that_talks_nonsense_is_left_for_a_copy(depot: Depot) -> None:
    depot.send(FILES)
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("COPYPOOL"))
    depot.faults.fail("open_reader", PeerMisbehaved("ANR0446W", peer="TOKYO", problem="nonsense"))
    assert depot.restore() == FILES


def test_records_that_moved_while_others_were_read_are_read_where_they_are(depot: Depot) -> None:
    depot.send(some_files(4))
    depot.change_volume(depot.volumes()[0], access="READONLY")
    depot.send(some_files(4, start=10))
    rows = depot.placed("TAPEPOOL")
    stream = AggregateReader(depot.storage).read([row.aggregate_id for row in rows])
    assert isinstance(next(stream), Found)  # the first volume; the other one's records move now, and it goes
    moving = {row.aggregate_id: row for row in rows if row.volume_id != rows[0].volume_id}
    copy_aggregates(
        depot.storage,
        list(moving.values()),
        depot.pool("TAPEPOOL"),
        on_store=lambda tx, ids: depot.storage.drop_placements(tx, [moving[one] for one in ids]),
        exclude=[row.volume_id for row in rows],
    )
    assert [type(one) for one in stream] == [Found] * len(moving)
    assert "ANR1410W" not in depot.messages()


def test_a_defined_volume_that_was_emptied_before_it_was_read_stays_in_use(depot: Depot) -> None:
    defined = depot.storage.life.define(depot.pool("TAPEPOOL"), "defined.bfs")
    depot.send(some_files(1))
    ids = [row.aggregate_id for row in depot.placed("TAPEPOOL")]
    reader = AggregateReader(depot.storage)
    opened = depot.storage.volumes.open_reader

    @contextlib.contextmanager
    def too_late(class_name: str, name: str, worker: object = None) -> Iterator[VolumeReader]:
        depot.storage.delete_objects(depot.inventory().values())
        with opened(class_name, name) as volume:
            yield volume

    depot.storage.volumes.open_reader = too_late  # type: ignore[method-assign]
    assert [type(one) for one in reader.read(ids)] == [Lost]
    assert [(one.id, one.access) for one in depot.volumes()] == [(defined.id, "READWRITE")]


# --- copying twice -----------------------------------------------------------------------------------------------------


def test_what_somebody_else_has_copied_meanwhile_is_not_copied_again(depot: Depot) -> None:
    depot.send(FILES)
    rows = depot.placed("TAPEPOOL")
    for _ in range(2):  # the second one looked for its work before the first had ended
        copy_aggregates(depot.storage, rows, depot.pool("COPYPOOL"))
    assert len(depot.placed("COPYPOOL")) == len(rows)


# --- packs that nobody else could be given -----------------------------------------------------------------------------


def test_a_pack_longer_than_a_pack_may_be_is_refused(depot: Depot) -> None:
    """Compressed it fits a record; packed anew for another node that has some of it, it would fit no frame."""
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    pieces = [bytes([number]) * 4 * MIB for number in range(3)]
    extents = [builder.add_extent(digest(piece), piece) for piece in pieces]
    builder.add_object(b"", b"a", 1, 12 * MIB, b"", extents=extents)
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()


def test_an_extent_longer_than_an_extent_may_be_is_refused(depot: Depot) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    piece = bytes(4 * MIB + 1)
    builder.add_object(b"", b"a", 1, len(piece), b"", extents=[builder.add_extent(digest(piece), piece)])
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()


def test_a_record_with_no_room_for_a_targets_own_header_is_refused(depot: Depot) -> None:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    piece = some_bytes(1, 4 * MIB)
    attributes = some_bytes(2, STORED_MAX_BYTES - 4 * MIB - 8192)
    builder.add_object(b"", b"a", 1, 4 * MIB, attributes, extents=[builder.add_extent(digest(piece), piece)])
    intake = depot.begin()
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()


def test_a_span_the_device_had_no_room_for_is_free_again(depot: Depot) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=32 * MIB)
    free = depot.storage.spaces.of(depot.volumes("BACKUPPOOL")[0])
    before = free.free_bytes
    depot.faults.fail("write_at", MediaFull("ANR8308W", volume="v", reason="No space left on device"), nth=2)
    depot.send(FILES, pool="BACKUPPOOL")
    assert depot.restore() == FILES
    assert free.free_bytes == before - sum(row.stored_bytes for row in depot.placed("BACKUPPOOL"))


def test_a_full_recovery_log_is_called_by_its_name_and_no_pool_is_blamed(depot: Depot) -> None:
    """A new scratch volume needs a row; a successor of the pool would need one as well."""
    depot.change_pool("TAPEPOOL", next_pool="TARGETPOOL")
    depot.catalog.close()
    place = LogPlace(str(depot.folder / "log"), SMALLEST_CAPACITY_BYTES)
    depot.catalog = Catalog.open(depot.catalog.path, depot.keyring.row_key(), depot.clock, log=place)
    depot.catalog.set_log_mode("ROLLFORWARD")
    depot.storage = depot._open_storage()
    with pytest.raises(CatalogFull):
        for number in range(1000):
            with depot.catalog.write() as tx:
                set_setting(tx, "FILLER", str(number % 10) * 100_000)
    with pytest.raises(CatalogFull, match="ANR0130E"):
        depot.send(FILES)
    assert depot.volumes() == [] and depot.inventory() == {}
    assert "ANR0522W" not in depot.messages() and depot.storage.volumes.mounts.kept == {}
