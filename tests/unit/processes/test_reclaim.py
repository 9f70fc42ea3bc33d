"""Volumes that hold little are emptied and come back; killed at any step, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.processes.depot_work import back_up, damage, killed_at, run, said
from tests.unit.processes.reclaim_work import (
    FILES,
    KEPT,
    bring_up,
    delete,
    digests,
    full_volumes,
    old_ones,
    only_copies,
    parts_of_packs,
    reclaim,
    whole_packs,
    without,
)
from tests.unit.storage.depot import Depot, MakeDepot

from farvault.base.disk import observe_crash_points
from farvault.base.units import MIB
from farvault.catalog import placements
from farvault.model.volume import PENDING, UNAVAILABLE
from farvault.processes.process import Process, Processes, State
from farvault.processes.reclaim import (
    AfterDeletions,
    Options,
    ReclaimWhenDue,
    reclaim_pool,
)
from farvault.seal.compress import decompress
from farvault.seal.pack import parse
from farvault.storage.object_reading import ObjectReader


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    return full_volumes(make_depot)


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
    with depot.storage.use.hold(first):
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

    def work(process: Process) -> None:
        observe_crash_points(
            lambda label: process.cancel_event.set() if label == "rebuild.window.after_catalog" else None
        )
        reclaim_pool(depot.storage, process, "TAPEPOOL", Options(threshold_percent=40))

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
    process = run(depot, lambda p: reclaim_pool(depot.storage, p, pool, Options(threshold_percent=threshold)))
    assert process.state is State.FAILURE and process.error is not None
    assert process.error.id == error or error == "ANR2034E"


@pytest.mark.parametrize("gone", [whole_packs(0, 3), parts_of_packs()], ids=["as they are", "anew"])
def test_with_the_only_mount_point_of_a_class_reading_and_writing_take_turns(
    depot: Depot, gone: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "farvault.storage.copying.AHEAD", 1
    )  # else all may be read before anything is written
    delete(depot, gone)
    depot.change_class("TAPECLASS", mount_limit=1)
    process = reclaim(depot)
    assert process.state is State.SUCCESS, process.error
    assert depot.messages().count("ANR4760I") >= 1 and depot.restore() == without(gone)
    assert depot.storage.volumes.mounts.kept == {}


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
    assert process.wait(PATIENCE_SECONDS) and process.state is State.SUCCESS
    assert depot.restore() == KEPT and process.objects == 6


def test_it_does_not_start_beside_a_migration_of_the_pool(depot: Depot) -> None:
    processes = Processes(depot.log, depot.clock)
    delete(depot, parts_of_packs())
    depot.change_pool("TAPEPOOL", reclaim_percent=60)

    def migration(_: Process) -> None:
        ReclaimWhenDue(depot.storage, processes)()
        assert [one.description for one in processes.list()] == ["MIGRATION"]

    assert processes.start("MIGRATION", migration, wait=True, pool="TAPEPOOL").state is State.SUCCESS
    assert len(processes.history()) == 1


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
    killed_at(
        depot,
        step,
        lambda p: reclaim_pool(depot.storage, p, pool, Options(threshold_percent=40)),
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
