"""Volumes that hold little are emptied and come back; no copy goes before its replacement is there."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.unit.processes.depot_work import back_up, damage, killed_at, run, said
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import InUse
from farvault.base.units import MIB
from farvault.catalog import nouns, placements
from farvault.catalog.occupancy import occupancy
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFSITE, PENDING, UNAVAILABLE, Volume
from farvault.processes.backup_pool import backup_pool
from farvault.processes.delete_volume import delete_volume
from farvault.processes.move_data import move_data
from farvault.processes.process import Process, Processes, State
from farvault.processes.reclaim import (
    AfterDeletions,
    Options,
    ReclaimWhenDue,
    description,
    reclaim_pool,
    volume_states,
)
from farvault.processes.restore_pool import restore_pool, restore_volumes
from farvault.seal.compress import decompress
from farvault.seal.pack import parse
from farvault.storage.reading import ObjectReader

FILES = some_files(24, 900_000)
"""Four to a pack, two packs to a volume of 8 MiB."""


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """Files on several FULL volumes of TAPEPOOL."""
    depot = make_depot(capacity_bytes=8 * MIB)
    depot.send(FILES)
    assert len(depot.volumes()) == 3
    depot.change_volume(depot.volumes()[-1], status="FULL")
    return depot


def reclaim(depot: Depot, pool: str = "TAPEPOOL", threshold: int = 40, **options: int) -> Process:
    processes = Processes(depot.log, depot.clock)
    wanted = Options(threshold_percent=threshold, **options)  # type: ignore[arg-type]
    return run(depot, lambda process: reclaim_pool(depot.storage, process, processes, pool, wanted))


def delete(depot: Depot, names: Iterable[str]) -> None:
    ids = depot.inventory()
    depot.storage.delete_objects([ids[name] for name in names])


def whole_packs(*numbers: int) -> list[str]:
    return [name for at, name in enumerate(FILES) if at // 4 in numbers]


def parts_of_packs(keep: int = 1) -> list[str]:
    """Names of all but the first `keep` files of every pack."""
    return [name for at, name in enumerate(FILES) if at % 4 >= keep]


def without(names: Iterable[str]) -> dict[str, bytes]:
    gone = set(names)
    return {name: data for name, data in FILES.items() if name not in gone}


def digests(depot: Depot, pool: str = "TAPEPOOL") -> set[bytes]:
    return {row.digest for row in depot.placed(pool)}


def old_ones(depot: Depot) -> int:
    with depot.catalog.read() as r:
        return len(r.all("SELECT aggregate_id FROM superseded_aggregates"))


def bring_up(depot: Depot) -> Process:
    return run(depot, lambda process: backup_pool(depot.storage, process, "TAPEPOOL", "COPYPOOL"))


@contextlib.contextmanager
def only_copies(depot: Depot) -> Iterator[None]:
    """No primary volume can be read."""
    before = depot.volumes()
    for volume in before:
        depot.change_volume(volume, access=UNAVAILABLE)
    yield
    for volume in before:
        depot.change_volume(volume, access=volume.access)


# --- whole aggregates dead ----------------------------------------------------------------------------------------------


def test_what_is_whole_moves_as_it_is_and_the_volume_is_gone(depot: Depot) -> None:
    delete(depot, whole_packs(0))
    before, volume = digests(depot), depot.volumes()[0]
    process = reclaim(depot)
    assert process.state is State.SUCCESS and process.objects == 1
    assert digests(depot) == before
    assert not Path(volume.name).exists() and volume.name not in {one.name for one in depot.volumes()}
    assert depot.restore() == without(whole_packs(0))
    assert f"for volume {volume.name}" in said(depot, "ANR1040I").text
    assert "Volumes: 1. Records moved: 1" in said(depot, "ANR4726I").text


def test_what_is_below_the_threshold_is_left_alone(depot: Depot) -> None:
    delete(depot, whole_packs(0))
    before = depot.placed("TAPEPOOL")
    process = reclaim(depot, threshold=60)
    assert process.state is State.SUCCESS and process.objects == 0
    assert depot.placed("TAPEPOOL") == before


def test_a_volume_that_is_filling_is_left_alone(make_depot: MakeDepot) -> None:
    depot = make_depot(capacity_bytes=64 * MIB)
    depot.send(FILES)
    delete(depot, list(FILES)[1:])
    before = depot.volumes()
    assert [volume.status for volume in before] == ["FILLING"]
    assert reclaim(depot).objects == 0
    assert depot.volumes() == before


def test_with_a_reuse_delay_an_emptied_volume_waits(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", reuse_delay_days=3)
    delete(depot, whole_packs(0))
    volume = depot.volumes()[0]
    reclaim(depot)
    assert (depot.volumes()[0].name, depot.volumes()[0].status) == (volume.name, PENDING)
    depot.clock.advance(3 * 86_400)
    depot.storage.tidy()
    assert volume.name not in {one.name for one in depot.volumes()}


def test_a_defined_volume_is_empty_again(make_depot: MakeDepot) -> None:
    depot = make_depot(capacity_bytes=8 * MIB)
    mine = depot.storage.life.define(depot.pool("TAPEPOOL"), "mine")
    depot.send(FILES)
    delete(depot, whole_packs(0))
    reclaim(depot)
    found = next(one for one in depot.volumes() if one.id == mine.id)
    assert (found.status, found.written_bytes) == ("EMPTY", 0)


def test_data_goes_to_the_reclaim_pool(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        other = StoragePool(name="OTHERPOOL", device_class="COPYCLASS", variant="SEQUENTIAL", max_scratch=9)
        nouns.insert(tx, other)
    depot.change_pool("TAPEPOOL", reclaim_pool="OTHERPOOL")
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert depot.placed("TAPEPOOL") == [] and len(depot.placed("OTHERPOOL")) == 6
    assert depot.restore() == without(parts_of_packs())


def test_no_room_in_the_pool_ends_it_and_nothing_is_lost(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", max_scratch=0)
    delete(depot, whole_packs(0))
    process = reclaim(depot)
    assert process.state is State.FAILURE and process.error is not None and process.error.id == "ANR0522W"
    assert depot.restore() == without(whole_packs(0))


# --- aggregates with dead extents -------------------------------------------------------------------------------------


def test_aggregates_with_dead_extents_are_made_anew(depot: Depot) -> None:
    delete(depot, parts_of_packs())
    before, sizes = digests(depot), sum(row.stored_bytes for row in depot.placed("TAPEPOOL"))
    process = reclaim(depot)
    assert process.state is State.SUCCESS
    after = depot.placed("TAPEPOOL")
    assert not before & {row.digest for row in after}
    assert sum(row.stored_bytes for row in after) < sizes / 3
    assert depot.restore() == without(parts_of_packs())
    assert old_ones(depot) == 0, "no copy pool needs the old ones"
    assert "made anew: 6" in said(depot, "ANR4726I").text


def test_a_second_run_finds_nothing_to_do(depot: Depot) -> None:
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert reclaim(depot).objects == 0


def test_objects_keep_their_extents_and_the_node_its_label(depot: Depot) -> None:
    depot.send({"bob": FILES["file0000"] + b"more"}, "BOB")
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert depot.restore("BOB") == {"bob": FILES["file0000"] + b"more"}
    with depot.catalog.read() as r:
        rows = placements.aggregates(r, [row.aggregate_id for row in depot.placed("TAPEPOOL")])
    assert {row.node_id for row in rows} == {depot.node("ALICE").id, depot.node("BOB").id}


def test_a_shared_extent_stays_while_the_other_node_needs_it(depot: Depot) -> None:
    depot.send({"mine": FILES["file0003"]}, "BOB")
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert depot.restore("BOB") == {"mine": FILES["file0003"]}


def test_known_data_stays_known_after_it_was_made_anew(depot: Depot) -> None:
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert depot.send({"again": FILES["file0000"]}).new_extents == 0
    assert depot.restore()["again"] == FILES["file0000"]


def test_who_reads_while_it_is_made_anew_gets_everything(depot: Depot) -> None:
    """The list of what to read is older than the new records."""
    delete(depot, parts_of_packs())
    reader = ObjectReader(depot.storage, depot.node().id, list(depot.inventory().values()))
    needed = {row.digests[at : at + 32] for row in reader.maps() for at in range(0, len(row.digests), 32)}
    reclaim(depot)
    got = set()
    for sent in reader.packs():
        pack = parse(decompress(sent.codec, sent.packed, sent.plain_bytes))
        got |= {digest for digest, _ in pack.directory.extents}
    assert needed <= got and not reader.lost


# --- copies stay until their replacement is there ----------------------------------------------------------------------


@pytest.fixture
def rebuilt(depot: Depot) -> Depot:
    """All copied, most deleted, the primary pool reclaimed: the copies are the old records."""
    back_up(depot)
    delete(depot, parts_of_packs())
    reclaim(depot)
    assert old_ones(depot) == 6
    return depot


KEPT = without(parts_of_packs())


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


# --- errors and limits -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_stays_and_is_said(depot: Depot) -> None:
    delete(depot, whole_packs(0))
    volume = depot.volumes()[0]
    damage(depot.placed("TAPEPOOL")[0])
    process = reclaim(depot)
    assert process.state is State.FAILURE and process.failed_objects == 1
    assert "still holds 1 records" in said(depot, "ANR4725W").text
    assert volume.name in {one.name for one in depot.volumes()}
    assert len(depot.restore_some("ALICE", depot.inventory())[1]) == 4


def test_what_is_damaged_there_comes_from_a_copy(depot: Depot) -> None:
    back_up(depot)
    delete(depot, [name for name in FILES if name not in ("file0000", "file0004")])
    damage(depot.placed("TAPEPOOL")[0])
    assert reclaim(depot).state is State.SUCCESS
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access=UNAVAILABLE)
    assert depot.restore() == {name: FILES[name] for name in ("file0000", "file0004")}


def test_a_volume_in_use_is_left_for_the_next_run(depot: Depot) -> None:
    delete(depot, parts_of_packs())
    first = depot.volumes()[0]
    with depot.storage.volumes.hold(first):
        assert reclaim(depot).state is State.SUCCESS
        assert "ANR4723I" in depot.messages()
    assert first.name in {one.name for one in depot.volumes()}
    reclaim(depot)
    assert first.name not in {one.name for one in depot.volumes()}


def test_duration_ends_it_and_what_was_done_stays(depot: Depot) -> None:
    delete(depot, parts_of_packs())

    def an_hour_later(label: str) -> None:
        if label == "rebuild.window.after_catalog":
            depot.clock.advance(3600)

    observe_crash_points(an_hour_later)
    process = reclaim(depot, duration_minutes=30)
    observe_crash_points(None)
    assert process.state is State.SUCCESS and process.objects == 2
    assert depot.restore() == KEPT


def test_cancelled_it_keeps_what_was_done(depot: Depot) -> None:
    delete(depot, parts_of_packs())
    processes = Processes(depot.log, depot.clock)

    def work(process: Process) -> None:
        observe_crash_points(
            lambda label: process.cancel_event.set() if label == "rebuild.window.after_catalog" else None
        )
        reclaim_pool(depot.storage, process, processes, "TAPEPOOL", Options(threshold_percent=40))

    assert run(depot, work).state is State.CANCELLED
    observe_crash_points(None)
    assert depot.restore() == KEPT


@pytest.mark.parametrize(
    ("pool", "changes", "threshold", "error"),
    [
        ("BACKUPPOOL", {}, 60, "ANR4721E"),
        ("TAPEPOOL", {"access": UNAVAILABLE}, 60, "ANR4722E"),
        ("TAPEPOOL", {"reclaim_percent": 100}, None, "ANR4728E"),
        ("TAPEPOOL", {"reclaim_pool": "NOWHERE"}, 60, "ANR2034E"),
        ("NOWHERE", {}, 60, "ANR2034E"),
    ],
)
def test_what_cannot_be_reclaimed_is_refused(
    depot: Depot, pool: str, changes: dict[str, object], threshold: int | None, error: str
) -> None:
    if changes:
        depot.change_pool(pool, **changes)
    processes = Processes(depot.log, depot.clock)
    process = run(
        depot,
        lambda p: reclaim_pool(depot.storage, p, processes, pool, Options(threshold_percent=threshold)),
    )
    assert process.state is State.FAILURE and process.error is not None
    assert process.error.id == error or error == "ANR2034E"


def test_of_one_pool_one_reclamation_runs(depot: Depot) -> None:
    processes = Processes(depot.log, depot.clock)
    pool = depot.pool("TAPEPOOL")
    error: list[InUse] = []

    def second(_: Process) -> None:
        try:
            again = processes.start(
                description(pool),
                lambda p: reclaim_pool(depot.storage, p, processes, "TAPEPOOL", Options(50)),
                wait=True,
            )
            assert again.error is not None and again.error.id == "ANR4720E"
        except InUse as busy:
            error.append(busy)

    assert processes.start(description(pool), second, wait=True).state is State.SUCCESS


# --- by itself --------------------------------------------------------------------------------------------------------------


def test_it_starts_by_itself_where_a_pool_has_passed_its_percentage(depot: Depot) -> None:
    processes = Processes(depot.log, depot.clock)
    due = ReclaimWhenDue(depot.storage, processes)
    due()
    assert not processes.history() and not processes.list()
    delete(depot, parts_of_packs())
    depot.change_pool("TAPEPOOL", reclaim_percent=100)
    due()
    assert not processes.history() and not processes.list()
    depot.change_pool("TAPEPOOL", reclaim_percent=60)
    due()
    (process,) = processes.list() or processes.history()
    assert process.wait(20) and process.state is State.SUCCESS
    assert depot.restore() == KEPT and process.objects == 6


def test_big_deletions_are_looked_at_at_once() -> None:
    called: list[int] = []
    told = AfterDeletions(lambda: called.append(1), worth_bytes=1000)
    for freed in (400, 400):
        told(freed)
    assert called == []
    for freed in (400, 900):
        told(freed)
    assert called == [1]
    told(100)
    assert called == [1, 1]


# --- killed -------------------------------------------------------------------------------------------------------------------

STEPS = [
    "rebuild.window.before_catalog",
    "rebuild.window.after_catalog",
    "copy.window.before_catalog",
    "copy.window.after_catalog",
    "writer.sync.before",
    "writer.sync.after",
    "volume.scratch.before_create",
    "volume.empty.before_delete",
    "volume.delete.before_row",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("pool", ["TAPEPOOL", "COPYPOOL"])
def test_killed_at_any_step_nothing_is_lost_and_the_next_run_ends_it(
    depot: Depot, step: str, pool: str
) -> None:
    back_up(depot)
    doomed = [*whole_packs(0), *(name for name in parts_of_packs() if name not in whole_packs(0, 1))]
    delete(depot, doomed)
    processes = Processes(depot.log, depot.clock)
    killed_at(
        depot,
        step,
        lambda p: reclaim_pool(depot.storage, p, processes, pool, Options(threshold_percent=40)),
    )
    assert depot.restore() == without(doomed)
    with only_copies(depot):
        assert depot.restore() == without(doomed)
    assert reclaim(depot, pool).state is State.SUCCESS
    bring_up(depot)
    assert depot.restore() == without(doomed)
    with only_copies(depot):
        assert depot.restore() == without(doomed)
    for _ in range(3):
        if not reclaim(depot, pool).objects:
            break
    else:
        raise AssertionError("reclaiming does not come to an end")


# --- whatever happens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
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
