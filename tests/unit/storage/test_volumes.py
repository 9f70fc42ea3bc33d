"""Who may use which volume, and how volumes come and go."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.storage.depot import Depot, MakeDepot, packs, send_pack, some_files

from farvault.base.errors import AlreadyExists, InUse, MediaFailed, MediaFull, NotAvailable, StillReferenced
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.model.volume import EMPTY, FILLING, PENDING, Volume
from farvault.model.volume_history import STGREUSE, HistoryVolume
from farvault.seal import label
from farvault.storage import outputs, volume_life, volumes
from farvault.storage.free_space import FreeSpace
from farvault.storage.volume_life import DAY_SECONDS


def test_two_writers_never_share_a_sequential_volume(depot: Depot) -> None:
    depot.send(some_files(1))
    first = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    second = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    assert first.volume.status == FILLING and second.volume.id != first.volume.id
    for output in (first, second):
        output.abandon()
        depot.storage.volumes.release(output)
    assert len(depot.volumes()) == 1


def test_what_is_open_now_is_known_until_the_last_user_lets_go(depot: Depot) -> None:
    depot.send(some_files(1))
    volumes = depot.storage.volumes
    assert volumes.open_now == []
    output = volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    written = (output.volume.name, "TAPECLASS", True)
    assert volumes.open_now == [written]
    with volumes.open_reader("TAPECLASS", output.volume.name):
        assert volumes.open_now == [(output.volume.name, "TAPECLASS", False), written]
        with volumes.open_reader("TAPECLASS", output.volume.name):
            assert len(volumes.open_now) == 2
    assert volumes.open_now == [written]
    output.abandon()
    volumes.release(output)
    assert volumes.open_now == []


def test_the_fullest_volume_is_taken_first(depot: Depot) -> None:
    intakes = [depot.begin(), depot.begin("BOB")]
    for intake, count in zip(intakes, (1, 9), strict=True):
        for each in packs(some_files(count, start=count * 10), intake._node.name):
            send_pack(intake, each)
        intake._conveyor.stop()  # it has its volume now
    for intake in intakes:
        intake.commit()
    assert len(depot.volumes()) == 2
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    assert output.volume.written_bytes == max(volume.written_bytes for volume in depot.volumes())
    output.abandon()
    depot.storage.volumes.release(output)


def test_a_defined_volume_comes_before_scratch_and_stays_when_it_is_empty(depot: Depot) -> None:
    defined = depot.storage.life.define(depot.pool("TAPEPOOL"), "defined.bfs")
    assert defined.name == str(depot.folder / "tapeclass" / "defined.bfs")
    depot.send(some_files(3))
    assert [volume.name for volume in depot.volumes()] == [defined.name]
    depot.storage.delete_objects(depot.inventory().values())
    (volume,) = depot.volumes()
    assert (volume.status, volume.written_bytes) == (EMPTY, 0)
    depot.send(some_files(3))
    assert depot.restore() == some_files(3)
    assert depot.volumes()[0].write_pass == 2


def test_maxscratch_bounds_the_volumes_a_pool_makes(make_depot: MakeDepot) -> None:
    depot = make_depot(max_scratch=1)
    pool = depot.pool("TAPEPOOL")
    output = depot.storage.volumes.acquire_output(pool, 4096)
    with pytest.raises(MediaFull, match="ANR1405W"):
        depot.storage.volumes.acquire_output(pool, 4096, {output.volume.id})
    output.abandon()
    depot.storage.volumes.release(output)


def test_a_record_that_no_empty_volume_takes_ends_the_work(
    make_depot: MakeDepot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be today, the smallest volume takes the largest record; where it is, new volumes are not made for ever."""
    for module in (outputs, volume_life, volumes):
        monkeypatch.setattr(module, "SMALLEST_CAPACITY_BYTES", MIB)
    depot = make_depot(capacity_bytes=MIB)
    with pytest.raises(MediaFull) as raised:
        depot.send(some_files(1, size=2 * MIB))
    assert raised.value.message.id == "ANR0522W"
    assert depot.volumes() == []


def test_a_writer_waits_for_the_only_volume(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_pool("TAPEPOOL", max_scratch=1)
    volumes, pool = depot.storage.volumes, depot.pool("TAPEPOOL")
    volumes.mounts.wait_seconds = 60
    first = volumes.acquire_output(pool, 4096)
    got = []
    thread = threading.Thread(target=lambda: got.append(volumes.acquire_output(pool, 4096)))
    thread.start()
    first.abandon()
    volumes.release(first)
    thread.join(PATIENCE_SECONDS)
    assert got[0].volume.id == first.volume.id
    got[0].abandon()
    volumes.release(got[0])


def test_mountlimit_bounds_what_is_open_and_says_so(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_class("TAPECLASS", mount_limit=1)
    name = depot.volumes()[0].name
    with depot.storage.volumes.open_reader("TAPECLASS", name):
        with pytest.raises(NotAvailable, match="ANR0535W"):
            depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
        with (
            pytest.raises(NotAvailable, match="ANR0535W"),
            depot.storage.volumes.open_reader("TAPECLASS", name),
        ):
            pass
    assert depot.restore() == some_files(1)


@pytest.mark.parametrize("access", ["READONLY", "UNAVAILABLE"])
def test_only_readwrite_volumes_are_written(depot: Depot, access: str) -> None:
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access=access)
    depot.send(some_files(1, start=5))
    assert len(depot.volumes()) == 2


def test_held_volumes_are_written_by_nobody(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    with depot.storage.volumes.hold(volume):
        depot.send(some_files(1, start=5))
        with pytest.raises(InUse, match="ANR2405E"), depot.storage.volumes.hold(volume):
            pass
    assert len(depot.volumes()) == 2


def test_a_volume_in_use_cannot_be_held(depot: Depot) -> None:
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    with pytest.raises(InUse), depot.storage.volumes.hold(output.volume):
        pass
    output.abandon()
    depot.storage.volumes.release(output)


def test_a_volume_whose_file_is_gone_is_stepped_over(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    (depot.folder / "tapeclass" / volume.name.rpartition("/")[2]).unlink()
    depot.send(some_files(1, start=5))
    assert [one.access for one in depot.volumes()] == ["UNAVAILABLE", "READWRITE"]


def test_a_file_that_is_there_already_is_never_overwritten(depot: Depot) -> None:
    folder = depot.folder / "tapeclass"
    folder.mkdir()
    (folder / "00000001.bfs").write_bytes(b"somebody's")
    depot.send(some_files(1))
    assert (folder / "00000001.bfs").read_bytes() == b"somebody's"
    assert [volume.name for volume in depot.volumes()] == [str(folder / "00000002.bfs")]
    with pytest.raises(AlreadyExists):
        depot.storage.life.define(depot.pool("TAPEPOOL"), "00000001.bfs")
    assert (folder / "00000001.bfs").read_bytes() == b"somebody's"


def test_a_pool_uses_several_folders(depot: Depot) -> None:
    depot.change_class("TAPECLASS", directory=f"{depot.folder}/a,{depot.folder}/b")
    depot.send(some_files(1))
    assert depot.volumes()[0].name.startswith((f"{depot.folder}/a/", f"{depot.folder}/b/"))


@pytest.mark.parametrize("pool", ["TAPEPOOL", "BACKUPPOOL"])
def test_a_volume_begins_with_its_label(depot: Depot, pool: str) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    depot.send(some_files(1), pool=pool)
    (volume,) = depot.volumes(pool)
    with open(volume.name, "rb") as file:
        found = label.parse(file.read(4096))
    assert (found.server, found.pool, found.volume) == ("DELHI", pool, volume.name)


def test_volumes_with_data_are_not_deleted(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    with pytest.raises(StillReferenced, match="ANR2406E"):
        depot.storage.life.delete(volume)


def test_deleting_a_volume_deletes_its_file(depot: Depot) -> None:
    for pool in ("TAPEPOOL", "BACKUPPOOL"):
        volume = depot.storage.life.define(depot.pool(pool), "defined", capacity_bytes=8 * MIB)
        depot.storage.life.delete(volume)
        assert depot.volumes(pool) == []
        assert not Path(volume.name).exists()


def test_disk_space_that_is_not_there_is_not_defined(depot: Depot) -> None:
    depot.faults.fail("create", MediaFull("ANR8308W", volume="v", reason="No space left on device"))
    with pytest.raises(MediaFull):
        depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    assert depot.volumes("BACKUPPOOL") == []


def test_an_emptied_volume_waits_for_its_reuse_delay(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.send(some_files(1))
    depot.storage.delete_objects(depot.inventory().values())
    (volume,) = depot.volumes()
    assert volume.status == PENDING
    depot.clock.advance(2 * DAY_SECONDS - 1)
    assert depot.storage.volumes.end_pending() == []
    depot.clock.advance(1)
    assert depot.storage.volumes.end_pending() == [volume.name]
    assert depot.volumes() == []


def test_an_empty_offsite_volume_stays(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    for _ in range(2):
        (volume,) = depot.volumes()
        assert (volume.status, volume.access) == (EMPTY, "OFFSITE")
        depot.storage.tidy()
        depot.restart()
    assert depot.messages().count("ANR1423W") == 1
    depot.change_volume(volume, access="READWRITE")
    depot.storage.volumes.came_back(volume.id)
    assert depot.volumes() == []


def test_an_offsite_volume_waits_for_its_reuse_delay_and_is_empty_then(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    assert depot.volumes()[0].status == PENDING
    depot.clock.advance(2 * DAY_SECONDS)
    depot.storage.volumes.end_pending()
    (volume,) = depot.volumes()
    assert (volume.status, volume.access) == (EMPTY, "OFFSITE")


def a_defined_volume(depot: Depot) -> Volume:
    """The only one that TAPEPOOL may write, with data on it."""
    depot.change_pool("TAPEPOOL", max_scratch=0)
    depot.storage.life.define(depot.pool("TAPEPOOL"), "defined", capacity_bytes=8 * MIB)
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    return volume


def send_while_media_go(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody stores at the worst moment: the row says that the volume is empty, and its old bytes are about to go."""
    arrive = depot.faults.arrive

    def sends(operation: str) -> int:
        if operation == "delete":
            monkeypatch.undo()
            depot.change_pool("TAPEPOOL", max_scratch=1)
            depot.send(some_files(2, start=5))
        return arrive(operation)

    monkeypatch.setattr(depot.faults, "arrive", sends)


def test_nobody_writes_a_volume_whose_reuse_delay_just_ends(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_defined_volume(depot)
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.storage.delete_objects(depot.inventory().values())
    depot.clock.advance(2 * DAY_SECONDS)
    send_while_media_go(depot, monkeypatch)
    depot.storage.tidy()
    assert depot.restore() == some_files(2, start=5)
    assert {row.volume_id for row in depot.placed("TAPEPOOL")} != {volume.id}


def test_a_defined_volume_that_was_emptied_offsite_is_reused_when_it_is_back(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_defined_volume(depot)
    depot.change_volume(volume, access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    assert Path(volume.name).exists() and history(depot, STGREUSE) == []
    depot.change_volume(volume, access="READWRITE")
    send_while_media_go(depot, monkeypatch)
    depot.storage.volumes.came_back(volume.id)
    assert not Path(volume.name).exists()
    assert history(depot, STGREUSE) == [volume.name]
    assert depot.restore() == some_files(2, start=5)


def test_a_defined_volume_that_was_never_written_comes_back_as_it_was(depot: Depot) -> None:
    volume = depot.storage.life.define(depot.pool("COPYPOOL"), "defined", capacity_bytes=8 * MIB)
    depot.storage.volumes.came_back(volume.id)
    assert Path(volume.name).exists() and history(depot, STGREUSE) == []


def history(depot: Depot, event: str) -> list[str]:
    with depot.catalog.read() as r:
        return [row.volume for row in nouns.select(r, HistoryVolume, type=event)]


def test_an_offsite_volume_that_still_holds_data_comes_back_as_it_was(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.storage.volumes.came_back(depot.volumes()[0].id)
    assert depot.restore() == some_files(1)


def test_a_volume_that_empties_while_it_is_written_goes_when_it_is_let_go(depot: Depot) -> None:
    depot.send(some_files(1))
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    depot.storage.delete_objects(depot.inventory().values())
    assert len(depot.volumes()) == 1
    output.abandon()
    depot.storage.volumes.release(output)
    assert depot.volumes() == []


@pytest.mark.parametrize("later", ["tidy", "restart"])
def test_media_that_cannot_be_deleted_now_are_deleted_later(depot: Depot, later: str) -> None:
    depot.send(some_files(1))
    error = MediaFailed("ANR8359E", operation="delete", volume="v", reason="I/O error")
    depot.faults.fail("delete", error)
    depot.storage.delete_objects(depot.inventory().values())
    assert [(volume.status, volume.scratch) for volume in depot.volumes()] == [(EMPTY, True)]
    depot.send(some_files(1, start=5))  # another one: this one's old bytes are not trusted
    if later == "tidy":
        depot.storage.tidy()
    else:
        depot.restart()
    assert [volume.status for volume in depot.volumes()] == [FILLING]
    assert depot.restore() == some_files(1, start=5)


def test_tidying_leaves_a_volume_alone_that_is_written_for_the_first_time(depot: Depot) -> None:
    intake = depot.begin()
    for each in packs(some_files(3)):
        send_pack(intake, each)
    intake._conveyor.stop()
    depot.storage.tidy()
    intake.commit()
    assert depot.restore() == some_files(3)


def test_a_torn_tail_is_cut_at_start(depot: Depot) -> None:
    depot.send(some_files(2))
    (volume,) = depot.volumes()
    with open(volume.name, "ab") as file:
        file.write(bytes(10_000))
    depot.restart()
    with open(volume.name, "rb") as file:
        assert len(file.read()) == volume.written_bytes
    assert depot.restore() == some_files(2)


def test_free_space_survives_any_order_of_use() -> None:
    dice = random.Random(1)
    space = FreeSpace(4096, 4096 * 1001)
    held: dict[int, int] = {}
    for _ in range(5000):
        if held and dice.random() < 0.5:
            offset = dice.choice(list(held))
            space.release(offset, held.pop(offset))
        elif (offset := space.reserve(size := 4096 * dice.randint(1, 30))) is not None:
            assert offset >= 4096 and offset + size <= 4096 * 1001
            assert all(offset + size <= at or at + long <= offset for at, long in held.items())
            held[offset] = size
        assert space.free_bytes + sum(held.values()) == 4096 * 1000
    again = FreeSpace(4096, 4096 * 1001, list(held.items()))
    assert again.free_bytes == space.free_bytes and again.largest_bytes == space.largest_bytes
    for offset, size in held.items():
        space.release(offset, size)
    assert space.largest_bytes == space.free_bytes == 4096 * 1000


@pytest.mark.parametrize("span", [(8192, 4096), (4096, 8192), (0, 8192)])
def test_giving_back_what_is_free_is_noticed(span: tuple[int, int]) -> None:
    space = FreeSpace(0, 4096 * 10, [(0, 4096)])
    with pytest.raises(AssertionError):
        space.release(*span)
