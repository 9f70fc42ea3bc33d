"""DELHI copies a pool to TOKYO, loses volumes and brings them back: the processes, between two servers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import file_bytes, make_source, restored, store_files

from farvault.base.disk import observe_crash_points
from farvault.catalog import nouns, placements
from farvault.catalog import vault as rows
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, READWRITE, UNAVAILABLE, Volume
from farvault.processes.audit_volume import audit_volume
from farvault.processes.backup_pool import VOLUMES_ONLY, YES, backup_pool
from farvault.processes.delete_file_space import delete_file_space
from farvault.processes.delete_volume import delete_volume
from farvault.processes.process import Process, State
from farvault.processes.restore_pool import restore_pool, restore_volumes

MIB = 1 << 20
SEEDS = tuple(range(20))


def run(server: GridServer, work: Callable[[Process], None]) -> Process:
    return server.server.processes.start("TEST", work, wait=True)


def back_up(delhi: GridServer, **options: object) -> Process:
    return run(
        delhi,
        lambda process: backup_pool(
            delhi.server.storage,
            process,
            "TAPEPOOL",
            "TARGETCOPYPOOL",
            **options,  # type: ignore[arg-type]
        ),
    )


def volumes_of(server: GridServer, pool: str) -> list[Volume]:
    with server.server.catalog.read() as r:
        return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)


def set_volume(server: GridServer, name: str, **values: object) -> None:
    with server.server.catalog.write() as tx:
        nouns.update(tx, msgspec.structs.replace(nouns.get(tx, Volume, name), **values))


def flip(path: str, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def placed(server: GridServer, volume: Volume) -> list[placements.PlacementRow]:
    with server.server.catalog.read() as r:
        return placements.on_volume(r, volume.id)


def intact(delhi: GridServer, ids: list[int], seeds: tuple[int, ...] = SEEDS) -> bool:
    return restored(delhi, ids) == {
        number: file_bytes(seed, MIB) for number, seed in zip(ids, seeds, strict=True)
    }


# --- BACKUP STGPOOL --------------------------------------------------------------------------------------------------


def test_a_pool_is_copied_once_and_the_second_run_copies_nothing(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    first = back_up(delhi)
    assert (first.state, first.objects) == (State.SUCCESS, 20)
    second = back_up(delhi)
    assert (second.state, second.objects, second.bytes) == (State.SUCCESS, 0, 0)
    store_files(delhi, 100, 101)
    assert back_up(delhi).objects == 2


def test_both_sides_show_what_they_hold(delhi: GridServer, tokyo: GridServer) -> None:
    store_files(delhi, *SEEDS)
    back_up(delhi)
    at_delhi = {f"ADSM.{volume.name}" for volume in volumes_of(delhi, "TARGETCOPYPOOL")}
    with tokyo.server.catalog.read() as r:
        at_tokyo = {row.volume for row in rows.list_volumes(r, nouns.get(r, Node, "DELHI").id)}
    assert at_delhi == at_tokyo and len(at_delhi) >= 3
    assert all(volume.receipt for volume in volumes_of(delhi, "TARGETCOPYPOOL"))


def test_a_preview_says_how_much_it_would_be_and_copies_nothing(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    process = back_up(delhi, preview=YES)
    assert process.state is State.SUCCESS and process.objects == 0
    assert "would copy 20 records" in str(delhi.lines.wait_for("ANR1215I"))
    assert volumes_of(delhi, "TARGETCOPYPOOL") == []
    back_up(delhi, preview=VOLUMES_ONLY)
    assert delhi.lines.ids.count("ANR1215I") == 1


def test_several_workers_share_the_volumes(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    process = back_up(delhi, max_processes=3)
    assert (process.state, process.objects) == (State.SUCCESS, 20)
    assert back_up(delhi).objects == 0
    for volume in volumes_of(delhi, "TAPEPOOL"):
        set_volume(delhi, volume.name, access=UNAVAILABLE)
    assert intact(delhi, ids)


def test_a_damaged_copy_is_replaced_and_a_damaged_primary_is_left_out(
    delhi: GridServer, tokyo: GridServer
) -> None:
    store_files(delhi, *SEEDS)
    back_up(delhi)
    copy, primary = volumes_of(delhi, "TARGETCOPYPOOL")[0], volumes_of(delhi, "TAPEPOOL")[0]
    damaged = placed(delhi, copy)[1]
    with delhi.server.catalog.write() as tx:
        placements.mark_damaged(tx, damaged.aggregate_id, copy.id, True)
    assert back_up(delhi).objects == 1
    with delhi.server.catalog.read() as r:
        now = placements.of_aggregates(r, [damaged.aggregate_id])[damaged.aggregate_id]
    assert [row.damaged for row in now] == [False, False]
    both = placed(delhi, primary)[0]
    with delhi.server.catalog.write() as tx:
        for row in placements.of_aggregates(tx, [both.aggregate_id])[both.aggregate_id]:
            placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
    assert back_up(delhi).objects == 0


def test_what_cannot_be_read_fails_the_process_and_the_rest_is_copied(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    flip(volume.name, placed(delhi, volume)[2].offset_bytes + 9000)
    process = back_up(delhi)
    assert (process.state, process.objects, process.failed_objects) == (State.FAILURE, 19, 1)
    assert "Unreadable records: 1" in str(delhi.lines.wait_for("ANR1214I"))
    assert "ANR1893E" in delhi.lines.ids
    assert placed(delhi, volume)[2].damaged


def test_volumes_that_may_not_be_read_are_told(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    set_volume(delhi, volumes_of(delhi, "TAPEPOOL")[0].name, access=UNAVAILABLE)
    assert back_up(delhi).objects < 20
    delhi.lines.wait_for("ANR1229W")


@pytest.mark.parametrize(
    ("primary", "copy"), [("TAPEPOOL", "TAPEPOOL"), ("TARGETCOPYPOOL", "TARGETCOPYPOOL")]
)
def test_pools_of_the_wrong_kind_are_refused(delhi: GridServer, primary: str, copy: str) -> None:
    process = run(delhi, lambda process: backup_pool(delhi.server.storage, process, primary, copy))
    assert process.error is not None and process.error.id == "ANR2255E"


def test_cancelled_between_two_records_it_keeps_what_it_had_copied(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)

    def cancel_after_five(process: Process) -> None:
        advance = process.advance

        def counted(objects: int = 0, bytes: int = 0) -> None:
            advance(objects, bytes)
            if process.objects == 5:
                delhi.server.processes.cancel(process.number)

        process.advance = counted  # type: ignore[method-assign]
        backup_pool(delhi.server.storage, process, "TAPEPOOL", "TARGETCOPYPOOL")

    process = run(delhi, cancel_after_five)
    assert (process.state, process.objects) == (State.CANCELLED, 5)
    assert back_up(delhi).objects == 15


def test_without_a_retry_period_a_lost_target_fails_the_process_and_a_second_run_completes(
    delhi: GridServer, tokyo: GridServer
) -> None:
    ids = store_files(delhi, *SEEDS)
    arrived = 0

    def stop_tokyo(label: str) -> None:
        nonlocal arrived
        if label == "vault.records.after_sync":
            arrived += 1
            if arrived == 2:
                for entry in tokyo.server.session_table.list():
                    tokyo.server.session_table.cancel(entry.number)

    observe_crash_points(stop_tokyo)
    try:
        process = back_up(delhi)
    finally:
        observe_crash_points(None)
    assert process.state is State.FAILURE
    assert process.error is not None and process.error.id == "ANR4376E"
    again = back_up(delhi)
    assert again.state is State.SUCCESS
    assert "of which 0 were at the target" not in str(delhi.lines.wait_for("ANR1214I"))
    assert back_up(delhi).objects == 0
    for volume in volumes_of(delhi, "TAPEPOOL"):
        set_volume(delhi, volume.name, access=UNAVAILABLE)
    assert intact(delhi, ids)


def test_with_a_retry_period_the_copy_goes_on_when_the_target_is_back(
    make_server: Callable[[str], GridServer], tokyo: GridServer
) -> None:
    delhi = make_server("DELHI")
    make_source(delhi, tokyo, retryperiod="10", retryinterval="1")
    ids = store_files(delhi, *SEEDS)
    cut = threading.Event()

    def cut_once(label: str) -> None:
        if label == "vault.records.after_sync" and not cut.is_set():
            cut.set()
            for entry in tokyo.server.session_table.list():
                tokyo.server.session_table.cancel(entry.number)

    observe_crash_points(cut_once)
    try:
        process = back_up(delhi)
    finally:
        observe_crash_points(None)
    assert cut.is_set()
    assert (process.state, process.objects) == (State.SUCCESS, 20)
    for volume in volumes_of(delhi, "TAPEPOOL"):
        set_volume(delhi, volume.name, access=UNAVAILABLE)
    assert intact(delhi, ids)


# --- reading through, RESTORE VOLUME, RESTORE STGPOOL ----------------------------------------------------------------


def test_when_the_tapes_are_gone_clients_are_served_from_tokyo(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    for volume in volumes_of(delhi, "TAPEPOOL"):
        os.unlink(volume.name)
    assert intact(delhi, ids)


def test_restore_volume_brings_a_lost_volume_back_and_deletes_its_record(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    lost = volumes_of(delhi, "TAPEPOOL")[0]
    count = len(placed(delhi, lost))
    os.unlink(lost.name)
    process = run(delhi, lambda process: restore_volumes(delhi.server.storage, process, [lost.name]))
    assert (process.state, process.objects) == (State.SUCCESS, count)
    assert lost.name not in [volume.name for volume in volumes_of(delhi, "TAPEPOOL")]
    for volume in volumes_of(delhi, "TARGETCOPYPOOL"):
        set_volume(delhi, volume.name, access=UNAVAILABLE)
    assert intact(delhi, ids)


def test_restore_volume_into_another_pool(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    lost = volumes_of(delhi, "TAPEPOOL")[0]
    count = len(placed(delhi, lost))
    process = run(
        delhi,
        lambda process: restore_volumes(delhi.server.storage, process, [lost.name], new_pool="FILEPOOL"),
    )
    assert process.state is State.SUCCESS
    assert sum(len(placed(delhi, volume)) for volume in volumes_of(delhi, "FILEPOOL")) == count
    assert intact(delhi, ids)


def test_what_was_never_copied_stays_on_the_destroyed_volume_and_the_process_fails(delhi: GridServer) -> None:
    store_files(delhi, *range(3))
    back_up(delhi)
    store_files(delhi, *range(100, 102))
    (lost,) = volumes_of(delhi, "TAPEPOOL")
    os.unlink(lost.name)
    process = run(delhi, lambda process: restore_volumes(delhi.server.storage, process, [lost.name]))
    assert (process.state, process.objects, process.failed_objects) == (State.FAILURE, 3, 2)
    delhi.lines.wait_for("ANR1256W")
    left = next(volume for volume in volumes_of(delhi, "TAPEPOOL") if volume.name == lost.name)
    assert left.access == DESTROYED and len(placed(delhi, left)) == 2


def test_copystgpool_means_this_pool_only(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    back_up(delhi)
    delhi.admin("define stgpool otherpool tapeclass pooltype=copy maxscratch=10")
    lost = volumes_of(delhi, "TAPEPOOL")[0]
    process = run(
        delhi,
        lambda process: restore_volumes(delhi.server.storage, process, [lost.name], copy_pool="OTHERPOOL"),
    )
    assert process.state is State.FAILURE and process.objects == 0 and process.failed_objects > 0
    process = run(delhi, lambda process: restore_volumes(delhi.server.storage, process, [lost.name]))
    assert process.state is State.SUCCESS


def test_restore_stgpool_brings_back_damaged_records_and_destroyed_volumes(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    lost, hurt = volumes_of(delhi, "TAPEPOOL")[:2]
    os.unlink(lost.name)
    set_volume(delhi, lost.name, access=DESTROYED)
    flip(hurt.name, placed(delhi, hurt)[1].offset_bytes + 5000)
    expected = len(placed(delhi, lost)) + 1
    assert intact(delhi, ids), "read from TOKYO, and the damage is marked"
    process = run(delhi, lambda process: restore_pool(delhi.server.storage, process, "TAPEPOOL"))
    assert (process.state, process.objects) == (State.SUCCESS, expected)
    reported = [line.message.text for line in delhi.lines.all if line.message.id == "ANR1258W"]
    assert len(reported) == 2 and lost.name in reported[0] and hurt.name in reported[1]
    assert all(volume.access == READWRITE for volume in volumes_of(delhi, "TAPEPOOL"))
    for volume in volumes_of(delhi, "TARGETCOPYPOOL"):
        set_volume(delhi, volume.name, access=UNAVAILABLE)
    assert intact(delhi, ids)
    again = run(delhi, lambda process: restore_pool(delhi.server.storage, process, "TAPEPOOL"))
    assert (again.state, again.objects) == (State.SUCCESS, 0)


def test_previews_of_restores_change_nothing(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    back_up(delhi)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    run(delhi, lambda p: restore_volumes(delhi.server.storage, p, [volume.name], preview=True))
    run(delhi, lambda p: restore_pool(delhi.server.storage, p, "TAPEPOOL", preview=True))
    delhi.lines.wait_for("ANR1241I")
    delhi.lines.wait_for("ANR1239I")
    assert volumes_of(delhi, "TAPEPOOL")[0].access == READWRITE


def test_a_primary_pool_at_the_target_is_restored_from_another_copy(delhi: GridServer) -> None:
    delhi.admin("define stgpool targetpool targetclass maxscratch=20")
    delhi.admin("define stgpool localcopy tapeclass pooltype=copy maxscratch=20")
    ids = store_files(delhi, *SEEDS, pool="TARGETPOOL")
    assert intact(delhi, ids)
    process = run(
        delhi, lambda process: backup_pool(delhi.server.storage, process, "TARGETPOOL", "LOCALCOPY")
    )
    assert process.objects == 20
    names = [volume.name for volume in volumes_of(delhi, "TARGETPOOL")]
    process = run(delhi, lambda process: restore_volumes(delhi.server.storage, process, names))
    assert (process.state, process.objects) == (State.SUCCESS, 20)
    assert intact(delhi, ids)


def test_volumes_of_two_pools_or_of_a_copy_pool_are_refused(delhi: GridServer) -> None:
    store_files(delhi, 1)
    store_files(delhi, 2, pool="FILEPOOL")
    back_up(delhi)
    tape, file, copy = (
        volumes_of(delhi, pool)[0].name for pool in ("TAPEPOOL", "FILEPOOL", "TARGETCOPYPOOL")
    )
    for names, message_id in (([tape, file], "ANR1243E"), ([copy], "ANR2255E")):
        process = run(delhi, lambda p, names=names: restore_volumes(delhi.server.storage, p, names))  # type: ignore[misc]
        assert process.error is not None and process.error.id == message_id


# --- AUDIT VOLUME ----------------------------------------------------------------------------------------------------


def audit(delhi: GridServer, volume: Volume, *, fix: bool = False) -> Process:
    return run(delhi, lambda process: audit_volume(delhi.server.storage, process, volume.name, fix=fix))


def test_an_audit_of_a_good_volume_finds_nothing(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    process = audit(delhi, volume)
    assert (process.state, process.objects) == (State.SUCCESS, len(placed(delhi, volume)))
    assert "0 marked as damaged" in str(delhi.lines.wait_for("ANR4132I"))


@pytest.mark.parametrize("fix", [False, True])
def test_a_damaged_primary_with_a_copy_is_marked_and_restored(delhi: GridServer, fix: bool) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    flip(volume.name, placed(delhi, volume)[0].offset_bytes + 200)
    process = audit(delhi, volume, fix=fix)
    assert (process.state, process.failed_objects) == (State.FAILURE, 1)
    assert [row.damaged for row in placed(delhi, volume)][:2] == [True, False]
    run(delhi, lambda process: restore_pool(delhi.server.storage, process, "TAPEPOOL"))
    assert intact(delhi, ids)


def test_a_damaged_primary_without_a_copy_is_marked_and_with_fix_its_objects_go(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    flip(volume.name, placed(delhi, volume)[0].offset_bytes + 200)
    looked = audit(delhi, volume)
    assert (looked.state, looked.failed_objects) == (State.FAILURE, 1)
    assert len(restored(delhi, ids)) == 19
    fixed = audit(delhi, volume, fix=True)
    assert (fixed.state, fixed.failed_objects) == (State.FAILURE, 1)
    assert "1 objects deleted" in str(delhi.lines.wait_for("ANR4132I", 2))
    assert len(restored(delhi, ids)) == 19
    assert audit(delhi, volume).failed_objects == 0


def test_a_good_record_marked_damaged_is_reset(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    with delhi.server.catalog.write() as tx:
        placements.mark_damaged(tx, placed(delhi, volume)[0].aggregate_id, volume.id, True)
    audit(delhi, volume)
    assert not any(row.damaged for row in placed(delhi, volume))


@pytest.mark.parametrize("fix", [False, True])
def test_a_virtual_volume_is_audited_at_the_target_and_its_copies_are_made_anew(
    delhi: GridServer, tokyo: GridServer, fix: bool
) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    volume = volumes_of(delhi, "TARGETCOPYPOOL")[0]
    hurt = placed(delhi, volume)[0]
    with tokyo.server.catalog.read() as r:
        found = rows.find_records(r, nouns.get(r, Node, "DELHI").id, [hurt.digest])[hurt.digest]
        place = placements.of_aggregates(r, [found.aggregate_id])[found.aggregate_id][0]
    flip(place.volume_name, place.offset_bytes + 5000)
    before = len(placed(delhi, volume))
    assert audit(delhi, volume, fix=fix).state is State.FAILURE
    if fix:
        assert len(placed(delhi, volume)) == before - 1
    else:
        assert placed(delhi, volume)[0].damaged
    assert back_up(delhi).objects == 1
    for tape in volumes_of(delhi, "TAPEPOOL"):
        set_volume(delhi, tape.name, access=UNAVAILABLE)
    assert intact(delhi, ids)


def test_a_volume_that_is_not_there_is_not_taken_for_damage(delhi: GridServer) -> None:
    store_files(delhi, *SEEDS)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    Path(volume.name).rename(f"{volume.name}.away")
    process = audit(delhi, volume, fix=True)
    assert process.state is State.FAILURE
    assert not any(row.damaged for row in placed(delhi, volume))


# --- DELETE VOLUME, DELETE FILESPACE ---------------------------------------------------------------------------------


def test_a_volume_with_data_is_not_deleted_by_accident(delhi: GridServer) -> None:
    store_files(delhi, 1)
    (volume,) = volumes_of(delhi, "TAPEPOOL")
    process = run(delhi, lambda process: delete_volume(delhi.server.storage, process, volume.name))
    assert process.error is not None and process.error.id == "ANR2406E"


def test_discarding_a_primary_volume_gives_up_the_copies_too(delhi: GridServer, tokyo: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    volume = volumes_of(delhi, "TAPEPOOL")[0]
    gone = len(placed(delhi, volume))
    process = run(delhi, lambda p: delete_volume(delhi.server.storage, p, volume.name, discard=True))
    assert (process.state, process.objects) == (State.SUCCESS, gone)
    assert not os.path.exists(volume.name)
    assert len(restored(delhi, ids)) == 20 - gone
    assert sum(len(placed(delhi, copy)) for copy in volumes_of(delhi, "TARGETCOPYPOOL")) == 20 - gone


def test_discarding_a_copy_volume_leaves_the_files_and_the_next_backup_copies_anew(
    delhi: GridServer, tokyo: GridServer
) -> None:
    ids = store_files(delhi, *SEEDS)
    back_up(delhi)
    volume = volumes_of(delhi, "TARGETCOPYPOOL")[0]
    count = len(placed(delhi, volume))
    process = run(delhi, lambda p: delete_volume(delhi.server.storage, p, volume.name, discard=True))
    assert process.state is State.SUCCESS
    with tokyo.server.catalog.read() as r:
        listed = rows.list_volumes(r, nouns.get(r, Node, "DELHI").id, f"ADSM.{volume.name}")
    assert listed and all(row.marked_time for row in listed)
    again = back_up(delhi)
    assert again.objects == count
    assert f"of which {count} were at the target already" in str(delhi.lines.wait_for("ANR1214I", 2))
    assert intact(delhi, ids)


def test_a_volume_in_use_is_neither_deleted_nor_audited(
    delhi: GridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_files(delhi, 1)
    (volume,) = volumes_of(delhi, "TAPEPOOL")
    storage = delhi.server.storage
    monkeypatch.setattr(storage.volumes.mounts, "wait_seconds", 0.0)
    with storage.use.hold(volume):
        for work in (
            lambda p: delete_volume(storage, p, volume.name, discard=True),
            lambda p: audit_volume(storage, p, volume.name),
            lambda p: restore_volumes(storage, p, [volume.name]),
        ):
            process = run(delhi, work)
            assert process.error is not None and process.error.id == "ANR2405E"


def test_a_file_space_goes_with_all_its_objects_and_its_space_comes_back(delhi: GridServer) -> None:
    ids = store_files(delhi, *SEEDS)
    others = store_files(delhi, 500, file_space="/var")
    process = run(delhi, lambda p: delete_file_space(delhi.server.storage, p, "ANN", "/home"))
    assert (process.state, process.objects) == (State.SUCCESS, 20)
    assert restored(delhi, ids) == {}
    with delhi.server.catalog.read() as r:
        spaces = nouns.select(r, FileSpace, node_id=nouns.get(r, Node, "ANN").id)
    assert [space.name for space in spaces] == ["/var"]
    assert restored(delhi, others) == {others[0]: file_bytes(500, MIB)}
    assert len(volumes_of(delhi, "TAPEPOOL")) == 1, "emptied scratch volumes are gone"


def test_only_one_kind_of_a_file_space_can_be_deleted(delhi: GridServer) -> None:
    ids = store_files(delhi, 1, 2)
    process = run(delhi, lambda p: delete_file_space(delhi.server.storage, p, "ANN", "/home", kind=2))
    assert (process.state, process.objects) == (State.SUCCESS, 0)
    assert len(restored(delhi, ids)) == 2


def test_unknown_names_are_told(delhi: GridServer) -> None:
    storage = delhi.server.storage
    for work in (
        lambda p: backup_pool(storage, p, "NOPOOL", "TARGETCOPYPOOL"),
        lambda p: restore_pool(storage, p, "NOPOOL"),
        lambda p: restore_volumes(storage, p, ["NOVOLUME"]),
        lambda p: audit_volume(storage, p, "NOVOLUME"),
        lambda p: delete_volume(storage, p, "NOVOLUME"),
        lambda p: delete_file_space(storage, p, "ANN", "/nowhere"),
    ):
        process = run(delhi, work)
        assert process.state is State.FAILURE
        assert process.error is not None and process.error.severity == "E"
