"""No copy goes before its replacement is there, whoever moves and rebuilds in between."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.unit.processes.depot_work import back_up, damage, killed_at, run, said
from tests.unit.processes.reclaim_work import (
    KEPT,
    bring_up,
    delete,
    digests,
    full_volumes,
    old_ones,
    only_copies,
    parts_of_packs,
    reclaim,
)
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.units import MIB
from farvault.catalog import content, placements
from farvault.catalog.occupancy import occupancy
from farvault.model.volume import DESTROYED, OFFSITE, UNAVAILABLE, Volume
from farvault.processes.audit_volume import audit_volume
from farvault.processes.backup_pool import backup_pool
from farvault.processes.delete_volume import delete_volume
from farvault.processes.move_data import move_data
from farvault.processes.move_node_data import Selection, move_node_data
from farvault.processes.process import Process, State
from farvault.processes.reclaim import (
    volume_states,
)
from farvault.processes.restore_pool import restore_pool, restore_volumes
from farvault.storage.copying import copy_aggregates


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    return full_volumes(make_depot)


# --- copies stay until their replacement is there ----------------------------------------------------------------------


@pytest.fixture
def rebuilt(depot: Depot) -> Depot:
    """All copied, most deleted, the primary pool reclaimed: the copies are the old records."""
    back_up(depot)
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert old_ones(depot) == 6
    return depot


def test_old_copies_stay_and_can_be_read(rebuilt: Depot) -> None:
    with only_copies(rebuilt):
        assert rebuilt.restore() == KEPT


def test_a_backup_brings_the_new_ones_and_the_old_ones_go(rebuilt: Depot) -> None:
    before = digests(rebuilt, "COPYPOOL")
    assert bring_up(rebuilt).objects == 6
    assert digests(rebuilt, "COPYPOOL") == digests(rebuilt)
    assert not before & digests(rebuilt, "COPYPOOL") and old_ones(rebuilt) == 0
    with only_copies(rebuilt):
        assert rebuilt.restore() == KEPT


def test_damaged_new_records_are_read_from_old_copies(rebuilt: Depot) -> None:
    for row in rebuilt.placed("TAPEPOOL"):
        damage(row)
    assert rebuilt.restore() == KEPT


def test_a_lost_volume_comes_back_from_old_copies(rebuilt: Depot) -> None:
    names = [volume.name for volume in rebuilt.volumes()]
    for name in names:
        Path(name).unlink()
    process = run(rebuilt, lambda p: restore_volumes(rebuilt.storage, p, names))
    assert process.state is State.SUCCESS and process.objects == 6
    for volume in rebuilt.volumes("COPYPOOL"):
        rebuilt.change_volume(volume, access=UNAVAILABLE)
    assert rebuilt.restore() == KEPT
    assert not {volume.name for volume in rebuilt.volumes()} & set(names)


def test_damaged_records_come_back_from_old_copies(rebuilt: Depot) -> None:
    rows = rebuilt.placed("TAPEPOOL")[:2]
    for row in rows:
        damage(row)
    rebuilt.restore()
    assert run(rebuilt, lambda p: restore_pool(rebuilt.storage, p, "TAPEPOOL")).state is State.SUCCESS
    assert not any(row.damaged for row in rebuilt.placed("TAPEPOOL"))
    bring_up(rebuilt)
    assert old_ones(rebuilt) == 0


def test_made_anew_twice_the_oldest_copies_still_serve(rebuilt: Depot) -> None:
    packs_left = [name for at, name in enumerate(KEPT) if at % 2]
    delete(rebuilt, packs_left)
    for volume in rebuilt.volumes():
        rebuilt.change_volume(volume, status="FULL")
    names = [volume.name for volume in rebuilt.volumes()]
    for name in names:
        run(rebuilt, lambda p, name=name: move_data(rebuilt.storage, p, name, reconstruct=True))  # type: ignore[misc]
    kept = {name: data for name, data in KEPT.items() if name not in packs_left}
    with only_copies(rebuilt):
        assert rebuilt.restore() == kept
    assert bring_up(rebuilt).state is State.SUCCESS
    assert old_ones(rebuilt) == 0


def test_old_copies_go_with_the_last_extent(rebuilt: Depot) -> None:
    delete(rebuilt, KEPT)
    assert rebuilt.placed("COPYPOOL") == rebuilt.placed("TAPEPOOL") == []
    assert rebuilt.volumes() == rebuilt.volumes("COPYPOOL") == []


def test_accounts_of_a_copy_volume_follow_deletions_after_the_rebuild(rebuilt: Depot) -> None:
    def live() -> int:
        with rebuilt.catalog.read() as r:
            pool = rebuilt.pool("COPYPOOL")
            return sum(state.live_bytes for state in volume_states(r, pool))

    before = live()
    delete(rebuilt, list(KEPT)[:3])
    assert live() == pytest.approx(before / 2, rel=0.01)
    with rebuilt.catalog.read() as r:
        rows = occupancy(r, pool="COPYPOOL")
    assert [row.files for row in rows] == [3]


def test_what_lies_on_a_copy_volume_is_listed_while_its_records_are_old(rebuilt: Depot) -> None:
    damage(rebuilt.placed("COPYPOOL")[0])
    name = rebuilt.placed("COPYPOOL")[0].volume_name
    run(rebuilt, lambda p: audit_volume(rebuilt.storage, p, name))
    with rebuilt.catalog.read() as r:
        rows = [row for volume in rebuilt.volumes("COPYPOOL") for row in content.on_volume(r, volume.id)]
    assert [row.name.decode() for row in rows] == list(KEPT)
    assert [row.damaged for row in rows] == [True] + 5 * [False]


def test_an_audit_forgets_a_damaged_old_copy_and_keeps_the_files(rebuilt: Depot) -> None:
    row = rebuilt.placed("COPYPOOL")[0]
    damage(row)
    run(rebuilt, lambda p: audit_volume(rebuilt.storage, p, row.volume_name, fix=True))
    assert row.digest not in digests(rebuilt, "COPYPOOL") and old_ones(rebuilt) == 5
    assert rebuilt.restore() == KEPT


def test_an_audit_does_not_give_up_a_file_whose_old_copy_is_good(rebuilt: Depot) -> None:
    row = rebuilt.placed("TAPEPOOL")[0]
    damage(row)
    run(rebuilt, lambda p: audit_volume(rebuilt.storage, p, row.volume_name, fix=True))
    assert rebuilt.restore() == KEPT


def test_discarding_a_copy_volume_with_old_records_keeps_the_files(rebuilt: Depot) -> None:
    for volume in rebuilt.volumes("COPYPOOL"):
        process = run(rebuilt, lambda p, v=volume: delete_volume(rebuilt.storage, p, v.name, discard=True))  # type: ignore[misc]
        assert process.state is State.SUCCESS
    assert rebuilt.restore() == KEPT and old_ones(rebuilt) == 0


# --- copy pools ----------------------------------------------------------------------------------------------------------


def test_a_copy_pool_is_reclaimed_from_primary_data(depot: Depot) -> None:
    back_up(depot)
    delete(depot, parts_of_packs())
    process = reclaim(depot, "COPYPOOL")
    assert process.state is State.SUCCESS
    assert digests(depot, "COPYPOOL") == digests(depot), "both hold the records made anew"
    assert old_ones(depot) == 0
    assert depot.restore() == KEPT
    with only_copies(depot):
        assert depot.restore() == KEPT


def test_old_copies_are_exchanged_when_their_volume_is_reclaimed(rebuilt: Depot) -> None:
    rebuilt.change_volume(rebuilt.volumes("COPYPOOL")[-1], status="FULL")
    assert reclaim(rebuilt, "COPYPOOL").state is State.SUCCESS
    assert digests(rebuilt, "COPYPOOL") == digests(rebuilt) and old_ones(rebuilt) == 0


def test_off_site_volumes_are_emptied_without_being_read(depot: Depot) -> None:
    back_up(depot)
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access=OFFSITE)
        Path(volume.name).unlink()
    delete(depot, parts_of_packs())
    assert reclaim(depot, "COPYPOOL").state is State.SUCCESS
    offsite = [volume for volume in depot.volumes("COPYPOOL") if volume.access == OFFSITE]
    with depot.catalog.read() as r:
        assert len(offsite) == 3 and not any(placements.has_placements(r, one.id) for one in offsite)
    assert "can be brought back" in said(depot, "ANR4724I").text
    with only_copies(depot):
        assert depot.restore() == KEPT


def test_the_limit_of_off_site_volumes_holds(depot: Depot) -> None:
    back_up(depot)
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access=OFFSITE)
    delete(depot, parts_of_packs())
    reclaim(depot, "COPYPOOL", offsite_limit=1, offsite_limit_given=True)
    assert "Volumes: 1." in said(depot, "ANR4726I").text


def test_copies_move_as_they_are_where_the_primary_is_gone(depot: Depot) -> None:
    back_up(depot)
    delete(depot, parts_of_packs())
    before = digests(depot, "COPYPOOL")
    with only_copies(depot):
        assert reclaim(depot, "COPYPOOL").state is State.SUCCESS
        assert digests(depot, "COPYPOOL") == before
        assert depot.restore() == KEPT


def test_old_copies_of_a_node_move_as_they_are(rebuilt: Depot) -> None:
    """Between reclamation and the next BACKUP STGPOOL they are the only copies, and belong to a move like any other."""
    process = run(rebuilt, lambda p: move_node_data(rebuilt.storage, p, Selection(["ALICE"]), "COPYPOOL"))
    assert (process.state, process.objects) == (State.SUCCESS, 6)
    assert old_ones(rebuilt) == 6
    with only_copies(rebuilt):
        assert rebuilt.restore() == KEPT
    bring_up(rebuilt)
    assert old_ones(rebuilt) == 0


# --- an older record in another primary pool ----------------------------------------------------------------------------


@pytest.fixture
def cached(depot: Depot) -> Depot:
    """Every record also lies on a disk volume, as the cache of migrated data does; then the tapes were reclaimed."""
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "disk.dsm", capacity_bytes=32 * MIB)
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("BACKUPPOOL"))
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert old_ones(depot) == len(depot.placed("BACKUPPOOL")) == 6
    return depot


def test_an_old_record_in_another_pool_is_not_backed_up_and_still_serves(cached: Depot) -> None:
    assert bring_up(cached).objects == 6
    run(cached, lambda p: backup_pool(cached.storage, p, "BACKUPPOOL", "COPYPOOL"))
    assert digests(cached, "COPYPOOL") == digests(cached)
    for volume in (*cached.volumes(), *cached.volumes("COPYPOOL")):
        cached.change_volume(volume, access=UNAVAILABLE)
    assert cached.restore() == KEPT


@pytest.mark.parametrize("killed", [False, True])
def test_an_old_record_is_not_moved_where_its_replacement_is_at_hand(cached: Depot, killed: bool) -> None:
    disk = cached.volumes("BACKUPPOOL")[0].name

    def work(process: Process) -> None:
        move_data(cached.storage, process, disk, to_pool="TAPEPOOL")

    if killed:
        killed_at(cached, "emptying.drop.before_catalog", work)
        assert cached.restore() == KEPT
    before = cached.placed("TAPEPOOL")
    assert run(cached, work).state is State.SUCCESS
    assert cached.placed("TAPEPOOL") == before and cached.placed("BACKUPPOOL") == []
    assert old_ones(cached) == 0 and cached.restore() == KEPT


def test_an_old_record_goes_where_its_replacement_comes_from_a_copy_to_another_pool(cached: Depot) -> None:
    bring_up(cached)
    for volume in cached.volumes():
        cached.change_volume(volume, access=DESTROYED)
    (disk,) = cached.volumes("BACKUPPOOL")
    process = run(cached, lambda p: move_data(cached.storage, p, disk.name, to_pool="OTHERPOOL"))
    assert (process.state, process.objects) == (State.SUCCESS, 6)
    assert cached.placed("BACKUPPOOL") == [] and old_ones(cached) == 0
    assert digests(cached, "OTHERPOOL") == digests(cached, "COPYPOOL")
    assert cached.restore() == KEPT


def test_what_is_copied_while_it_is_made_anew_goes_again(depot: Depot) -> None:
    """A slow BACKUP STGPOOL brings an old record to the pool after its replacement came."""
    delete(depot, parts_of_packs())
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("OTHERCOPY"))
    rows = depot.placed("TAPEPOOL")

    def meanwhile(label: str) -> None:
        if label == "copy.window.before_catalog":
            observe_crash_points(None)
            reclaim(depot)
            bring_up(depot)

    observe_crash_points(meanwhile)
    copy_aggregates(depot.storage, rows, depot.pool("COPYPOOL"))
    assert digests(depot, "COPYPOOL") == digests(depot)
    assert old_ones(depot) == 6, "the other copy pool has not got them yet"


# --- whatever happens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.soak) for n in range(3, 120))]
)
def test_whatever_is_done_what_was_once_copied_restores_from_copies_alone(
    make_depot: MakeDepot, seed: int
) -> None:
    """The rule itself: a copy goes only when its replacement is there, whoever moves and rebuilds in between."""
    depot = make_depot(capacity_bytes=8 * MIB)
    chance = random.Random(seed)
    files: dict[str, bytes] = {}
    copied: set[str] = set()
    for turn in range(8):
        new = some_files(chance.randint(4, 9), 700_000, start=1000 * seed + 20 * turn)
        depot.send(new)
        files |= new
        gone = chance.sample(sorted(files), len(files) // 3)
        delete(depot, gone)
        for name in gone:
            del files[name]
        copied &= files.keys()
        for step in chance.sample(("backup", "reclaim", "reclaim copies", "move", "restart"), 3):
            if step == "backup":
                assert bring_up(depot).state is State.SUCCESS
                copied |= files.keys()
            elif step == "restart":
                depot.restart()
            elif step == "move":
                volume: Volume = chance.choice(depot.volumes())
                process = run(
                    depot, lambda p, v=volume: move_data(depot.storage, p, v.name, reconstruct=True)
                )  # type: ignore[misc]
                assert process.state is State.SUCCESS, process.error
            else:
                pool = "TAPEPOOL" if step == "reclaim" else "COPYPOOL"
                assert reclaim(depot, pool, threshold=20).state is State.SUCCESS
        assert depot.restore() == files
        with only_copies(depot):
            ids = depot.inventory()
            contents, lost = depot.restore_some("ALICE", {name: ids[name] for name in copied})
            assert not lost and contents == {name: files[name] for name in copied}
    bring_up(depot)
    assert old_ones(depot) == 0


def test_what_was_made_anew_before_the_primary_pool_was_full_is_counted(depot: Depot) -> None:
    back_up(depot)
    delete(depot, parts_of_packs())
    depot.change_volume(depot.volumes()[-1], status="FILLING")  # with room for one more
    depot.change_pool("TAPEPOOL", max_scratch=3)
    (name, *_) = (volume.name for volume in depot.volumes("COPYPOOL"))
    process = run(depot, lambda p: move_data(depot.storage, p, name, reconstruct=True))
    assert process.state is State.SUCCESS and "ANR0522W" in depot.messages()
    assert "Records made anew: 1," in said(depot, "ANR1141I").text
