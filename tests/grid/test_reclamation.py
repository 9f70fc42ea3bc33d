"""Volumes are reclaimed by commands, by themselves, and at a target by names alone: counted at the socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.grid.counting_proxy import CountingProxy, counting_proxy
from tests.grid.grid_server import GridServer
from tests.grid.vaults import file_bytes, make_source, restored, store_files

from farvault.base.errors import NotFound
from farvault.catalog import audit, nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

MIB = 1 << 20


@pytest.fixture
def link(tokyo: GridServer) -> Iterator[CountingProxy]:
    with counting_proxy(tokyo.port) as proxy:
        yield proxy


@pytest.fixture
def delhi(
    make_server: Callable[[str], GridServer], tokyo: GridServer, link: CountingProxy
) -> Iterator[GridServer]:
    server = make_server("DELHI")
    make_source(server, tokyo, maxcapacity="40m")
    server.admin(f"update server tokyo lladdress={link.port}")
    server.admin("define stgpool targetpool targetclass maxscratch=100 reclaim=100 collocate=no")
    yield server
    with server.server.catalog.read() as r:
        assert list(audit.check_sums(r)) == []
        assert list(audit.check_row_digests(r)) == []


def volumes_of(server: GridServer, pool: str) -> list[Volume]:
    with server.server.catalog.read() as r:
        return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)


def placed(server: GridServer, pool: str) -> list[PlacementRow]:
    with server.server.catalog.read() as r:
        return [
            row
            for volume in volumes_of(server, pool)
            for row in placements.on_volume(r, volume.id, limit=9999)
        ]


def delete(server: GridServer, ids: list[int]) -> None:
    server.server.storage.delete_objects(ids)


def half_dead(delhi: GridServer, pool: str, mib: int = 45, size: int = MIB) -> tuple[dict[int, int], Volume]:
    """A FULL virtual volume every second record of which is dead; also object number -> seed of what is left."""
    seeds = range(mib)
    ids = store_files(delhi, *seeds, size=size, pool=pool)
    first = volumes_of(delhi, pool)[0]
    assert first.status == "FULL"
    delete(delhi, ids[::2])
    return dict(zip(ids[1::2], seeds[1::2], strict=True)), first


def is_intact(delhi: GridServer, left: dict[int, int], size: int = MIB) -> bool:
    return restored(delhi, list(left)) == {number: file_bytes(seed, size) for number, seed in left.items()}


# --- virtual volumes: no data moves ----------------------------------------------------------------------------------


def test_reclaiming_a_half_dead_virtual_volume_sends_less_than_a_hundredth_of_it(
    delhi: GridServer, tokyo: GridServer, link: CountingProxy
) -> None:
    left, volume = half_dead(delhi, "TARGETPOOL")
    before = {row.digest for row in placed(delhi, "TARGETPOOL")}
    link.reset()
    answer = delhi.admin("reclaim stgpool targetpool threshold=40 wait=yes")
    assert link.sent_bytes < volume.written_bytes / 100, f"{link.sent_bytes:,} bytes went out"
    assert link.returned_bytes < volume.written_bytes / 100, f"{link.returned_bytes:,} bytes came back"
    assert "of which 19 were at the target already" in answer.text
    assert {row.digest for row in placed(delhi, "TARGETPOOL")} == before
    assert volume.name not in {one.name for one in volumes_of(delhi, "TARGETPOOL")}
    assert is_intact(delhi, left)


def test_a_copy_pool_at_a_target_is_reclaimed_by_names_too(delhi: GridServer, link: CountingProxy) -> None:
    seeds = range(45)
    ids = store_files(delhi, *seeds)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    delete(delhi, ids[::2])
    link.reset()
    delhi.admin("reclaim stgpool targetcopypool threshold=40 wait=yes")
    assert link.sent_bytes + link.returned_bytes < 40 * MIB / 100
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert is_intact(delhi, dict(zip(ids[1::2], seeds[1::2], strict=True)))


def test_only_aggregates_made_anew_travel_and_only_one_way(delhi: GridServer, link: CountingProxy) -> None:
    """Four files to a record; of every record one file is left. The new records are made from local tapes."""
    seeds = range(48)
    ids = store_files(delhi, *seeds, files_in_pack=4)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    delete(delhi, [number for at, number in enumerate(ids) if at % 4])
    link.reset()
    delhi.admin("reclaim stgpool targetcopypool threshold=40 wait=yes")
    assert link.returned_bytes < MIB / 10
    assert 9 * MIB < link.sent_bytes < 13 * MIB
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert is_intact(delhi, dict(zip(ids[::4], seeds[::4], strict=True)))


def test_a_primary_virtual_volume_is_made_anew_from_a_local_copy(
    delhi: GridServer, link: CountingProxy
) -> None:
    delhi.admin("define stgpool localcopy tapeclass pooltype=copy maxscratch=100")
    seeds = range(48)
    ids = store_files(delhi, *seeds, files_in_pack=4, pool="TARGETPOOL")
    delhi.admin("backup stgpool targetpool localcopy wait=yes")
    delete(delhi, [number for at, number in enumerate(ids) if at % 4])
    link.reset()
    delhi.admin("reclaim stgpool targetpool threshold=40 wait=yes")
    assert link.returned_bytes < MIB / 10, "nothing was read from the target"
    assert is_intact(delhi, dict(zip(ids[::4], seeds[::4], strict=True)))


def test_without_a_local_copy_it_is_made_anew_from_the_target(delhi: GridServer, link: CountingProxy) -> None:
    seeds = range(48)
    ids = store_files(delhi, *seeds, files_in_pack=4, pool="TARGETPOOL")
    delete(delhi, [number for at, number in enumerate(ids) if at % 4])
    link.reset()
    delhi.admin("reclaim stgpool targetpool threshold=40 wait=yes")
    assert link.returned_bytes > 30 * MIB
    assert is_intact(delhi, dict(zip(ids[::4], seeds[::4], strict=True)))


def test_with_a_single_mount_point_reading_and_writing_take_turns(delhi: GridServer) -> None:
    delhi.admin("update devclass targetclass mountlimit=1")
    seeds = range(48)
    ids = store_files(delhi, *seeds, files_in_pack=4, pool="TARGETPOOL")
    delete(delhi, [number for at, number in enumerate(ids) if at % 4])
    answer = delhi.admin("reclaim stgpool targetpool threshold=40 wait=yes")
    assert "made anew: 9" in answer.text
    assert is_intact(delhi, dict(zip(ids[::4], seeds[::4], strict=True)))


@pytest.mark.soak
def test_reclaiming_a_half_dead_virtual_volume_of_one_gibibyte(
    make_server: Callable[[str], GridServer], tokyo: GridServer, link: CountingProxy
) -> None:
    delhi = make_server("DELHI")
    make_source(delhi, tokyo, maxcapacity="1g")
    delhi.admin(f"update server tokyo lladdress={link.port}")
    delhi.admin("define stgpool targetpool targetclass maxscratch=100 reclaim=100")
    left, volume = half_dead(delhi, "TARGETPOOL", mib=264, size=4 * MIB - 4096)
    assert volume.written_bytes > 1020 * MIB
    link.reset()
    delhi.admin("reclaim stgpool targetpool threshold=40 wait=yes")
    assert link.sent_bytes + link.returned_bytes < volume.written_bytes / 100
    assert volume.name not in {one.name for one in volumes_of(delhi, "TARGETPOOL")}
    assert is_intact(delhi, left, 4 * MIB - 4096)


# --- commands -----------------------------------------------------------------------------------------------------------


def test_reclaim_stgpool_in_the_background_is_a_process_that_ends(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(20))
    delete(delhi, ids[::2])
    assert "ANS8003I" in delhi.admin("reclaim stgpool tapepool threshold=40").text
    delhi.lines.wait_for("ANR4726I")
    assert is_intact(delhi, dict(zip(ids[1::2], range(1, 20, 2), strict=True)))


def test_several_processes_reclaim_several_volumes(delhi: GridServer) -> None:
    delhi.admin("update stgpool tapepool reclaimprocess=3")
    ids = store_files(delhi, *range(40))
    delete(delhi, ids[::2])
    delhi.admin("reclaim stgpool tapepool threshold=40 wait=yes")
    assert delhi.lines.ids.count("ANR1041I") >= 5
    assert is_intact(delhi, dict(zip(ids[1::2], range(1, 40, 2), strict=True)))


def test_it_starts_by_itself_after_a_big_deletion(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(20))
    with delhi.server.catalog.write() as tx:
        pool = nouns.get(tx, StoragePool, "TAPEPOOL")
        nouns.update(tx, msgspec.structs.replace(pool, reclaim_percent=40))
    delete(delhi, ids[::2])
    delhi.server.storage.tell_deleted(1 << 30)  # as if it had been a gigabyte
    delhi.lines.wait_for("ANR4726I")
    assert is_intact(delhi, dict(zip(ids[1::2], range(1, 20, 2), strict=True)))


def test_it_starts_by_itself_when_a_pool_is_changed(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(20))
    delete(delhi, ids[::2])
    delhi.admin("update stgpool tapepool reclaim=40")
    delhi.lines.wait_for("ANR4726I")
    assert is_intact(delhi, dict(zip(ids[1::2], range(1, 20, 2), strict=True)))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("reclaim stgpool nowhere", "ANR2382E"),
        ("reclaim stgpool tapepool threshold=0", "ANR2020E"),
        ("reclaim stgpool tapepool threshold=100", "ANR2020E"),
        ("reclaim stgpool tapepool duration=0", "ANR2020E"),
        ("reclaim stgpool targetpool", "ANR4728E"),
        ("reclaim stgpool backuppool", "ANR4721E"),
        ("update stgpool tapepool reclaim=0", "ANR2020E"),
        ("update stgpool tapepool reclaim=101", "ANR2020E"),
        ("update stgpool tapepool reclaimstgpool=targetcopypool", "ANR2255E"),
        ("update stgpool tapepool reclaimstgpool=nowhere", "ANR2382E"),
        ("move data nowhere", "ANR2401E"),
        ("move nodedata nobody fromstgpool=tapepool", "ANR2034E"),
        ("move nodedata ann fromstgpool=nowhere", "ANR2382E"),
        ("move nodedata ann fromstgpool=tapepool tostgpool=targetcopypool", "ANR4729E"),
        ("move nodedata ann fromstgpool=tapepool filespace=/nowhere", "ANR0852E"),
        ("move nodedata ann fromstgpool=targetcopypool tostgpool=tapepool", "ANR4729E"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_message(delhi: GridServer, command: str, said: str) -> None:
    answer = delhi.admin(command, allow=(2, 3, 4, 8, 10, 11, 12, 14))
    assert said in answer.text
    assert not delhi.server.processes.list()


# --- MOVE DATA, MOVE NODEDATA -------------------------------------------------------------------------------------------


def test_move_data_empties_a_volume_into_another_pool(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(20))
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    answer = delhi.admin(f"move data {volume.name} stgpool=targetpool wait=yes")
    assert "ANR1141I" in answer.text and len(placed(delhi, "TARGETPOOL")) == 7
    assert volume.name not in {one.name for one in volumes_of(delhi, "TAPEPOOL")}
    assert is_intact(delhi, dict(zip(ids, range(20), strict=True)))


def test_a_copy_volume_moves_within_its_pool_by_names(delhi: GridServer, link: CountingProxy) -> None:
    store_files(delhi, *range(20))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    volume = volumes_of(delhi, "TARGETCOPYPOOL")[0]
    assert "ANR4729E" in delhi.admin(f"move data {volume.name} stgpool=tapepool", allow=(3,)).text
    link.reset()
    delhi.admin(f"move data {volume.name} wait=yes")
    assert link.sent_bytes + link.returned_bytes < MIB / 2
    assert (
        "would copy 0 records"
        in delhi.admin("backup stgpool tapepool targetcopypool preview=yes wait=yes").text
    )


def test_move_data_refuses_what_cannot_be_read_or_is_in_use(delhi: GridServer) -> None:
    store_files(delhi, *range(20))
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    with delhi.server.storage.use.hold(volume):
        assert "ANR2405E" in delhi.admin(f"move data {volume.name}", allow=(10, 11, 12, 13, 14)).text
    delhi.admin(f"update volume {volume.name} access=unavailable")
    assert "ANR4730E" in delhi.admin(f"move data {volume.name}", allow=(10, 11, 12, 13, 14)).text


def test_one_nodes_data_moves_and_the_others_stays(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(10))
    other = store_files(delhi, *range(10, 20), file_space="/other")
    delhi.admin("move nodedata ann fromstgpool=tapepool tostgpool=targetpool filespace=/other wait=yes")
    assert len(placed(delhi, "TAPEPOOL")) == len(placed(delhi, "TARGETPOOL")) == 10
    delhi.admin("move nodedata ann fromstgpool=tapepool tostgpool=targetpool type=archive wait=yes")
    assert len(placed(delhi, "TAPEPOOL")) == 10, "nothing of it is an archive copy"
    delhi.admin("move nodedata ann fromstgpool=tapepool type=backup maxprocess=3 wait=yes")
    assert len(placed(delhi, "TAPEPOOL")) == 10, "to other volumes of the same pool"
    assert is_intact(delhi, dict(zip(ids + other, range(20), strict=True)))


def test_a_pool_that_is_deleted_under_a_writer_gives_a_clear_error(delhi: GridServer) -> None:
    """The process has looked the pool up; before it makes its first volume the pool is gone."""
    store_files(delhi, *range(3))
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    delhi.admin("define stgpool shortlived tapeclass maxscratch=5")
    storage = delhi.server.storage
    with storage.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "SHORTLIVED")
    delhi.admin("delete stgpool shortlived")
    writer = storage.writer(pool, down=False)
    try:
        with pytest.raises(NotFound, match="ANR2382E Storage pool number"):
            writer.append(memoryview(bytearray(4096)), bytes(32))
    finally:
        writer.close()
    assert "ANR2382E" in delhi.admin(f"move data {volume.name} stgpool=shortlived", allow=(10, 11, 12)).text


def test_pools_and_classes_in_use_are_not_deleted_and_empty_ones_are(delhi: GridServer) -> None:
    store_files(delhi, *range(3))
    refused = (10, 11, 12, 13, 14)
    assert "ANR2257E" in delhi.admin("delete stgpool tapepool", allow=refused).text
    delhi.admin("define stgpool drain tapeclass maxscratch=5")
    delhi.admin("update stgpool tapepool reclaimstgpool=drain")
    assert "ANR2258E" in delhi.admin("delete stgpool drain", allow=refused).text
    assert "ANR2252E" in delhi.admin("delete devclass tapeclass", allow=refused).text
    delhi.admin('update stgpool tapepool reclaimstgpool=""')
    delhi.admin("delete stgpool drain")
    for volume in volumes_of(delhi, "TAPEPOOL"):
        delhi.admin(f"delete volume {volume.name} discarddata=yes wait=yes")
    delhi.admin("delete stgpool tapepool")
    delhi.admin("delete devclass tapeclass")


def test_a_volume_named_twice_is_refused(delhi: GridServer) -> None:
    delhi.admin("define volume tapepool tape1 wait=yes")
    answer = delhi.admin("define volume tapepool tape1", allow=(10,))
    assert "ANR2404E" in answer.text
    delhi.admin("define volume tapepool tape numberofvolumes=2 wait=yes")
    answer = delhi.admin("define volume tapepool tape numberofvolumes=3", allow=(10,))
    assert "tapes/tape001 is already defined" in answer.text
    for same in ("./tape1", "sub/../tape1", f"{delhi.folder}/tapes//tape1"):
        answer = delhi.admin(f"define volume tapepool {same} wait=yes", allow=(10,))
        assert "ANR2404E" in answer.text, "the same file by another way"
    assert len(volumes_of(delhi, "TAPEPOOL")) == 3


def test_a_pool_without_scratch_volumes_says_that_it_has_no_room(delhi: GridServer) -> None:
    ids = store_files(delhi, *range(20))
    delete(delhi, ids[::2])
    delhi.admin("update stgpool tapepool maxscratch=0")
    for volume in volumes_of(delhi, "TAPEPOOL"):
        if volume.status == "FILLING":
            delhi.admin(f"update volume {volume.name} access=readonly")
    answer = delhi.admin("reclaim stgpool tapepool threshold=40 wait=yes", allow=(4,))
    assert "ANR0522W" in answer.text and "ANR1893E" in answer.text
    assert is_intact(delhi, dict(zip(ids[1::2], range(1, 20, 2), strict=True)))
