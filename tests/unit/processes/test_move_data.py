"""MOVE DATA and MOVE NODEDATA: everything arrives, and wherever it is killed nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.processes.depot_work import back_up, damage, define_random_volume, killed_at, run, said
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.units import MIB
from farvault.catalog import placements
from farvault.model.volume import DESTROYED, OFFSITE, UNAVAILABLE
from farvault.processes.left_places import moving
from farvault.processes.move_data import move_data
from farvault.processes.move_node_data import Selection, move_node_data
from farvault.processes.process import Process, State
from farvault.storage.copying import copy_aggregates

FILES = some_files(16, 900_000)


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    depot = make_depot(capacity_bytes=8 * MIB)
    depot.send(FILES)
    return depot


def move(depot: Depot, name: str, to_pool: str = "", *, reconstruct: bool = False) -> Process:
    return run(depot, lambda p: move_data(depot.storage, p, name, to_pool=to_pool, reconstruct=reconstruct))


def move_nodes(depot: Depot, *nodes: str, to_pool: str = "", kind: int = 0, processes: int = 1) -> Process:
    return run(
        depot,
        lambda p: move_node_data(
            depot.storage, p, Selection(nodes, kind=kind), "TAPEPOOL", to_pool, max_processes=processes
        ),
    )


def error_of(process: Process) -> str:
    assert process.state is State.FAILURE and process.error is not None
    return process.error.id


# --- MOVE DATA -----------------------------------------------------------------------------------------------------------


def test_a_volume_is_emptied_within_its_pool(depot: Depot) -> None:
    before = {row.digest for row in depot.placed("TAPEPOOL")}
    volume = depot.volumes()[0]
    process = move(depot, volume.name)
    assert (process.state, process.objects) == (State.SUCCESS, 2)
    assert {row.digest for row in depot.placed("TAPEPOOL")} == before
    assert volume.name not in {one.name for one in depot.volumes()} and not Path(volume.name).exists()
    assert depot.restore() == FILES


def test_a_volume_that_is_filling_is_not_its_own_destination(make_depot: MakeDepot) -> None:
    depot = make_depot(capacity_bytes=64 * MIB)
    depot.send(FILES)
    (volume,) = depot.volumes()
    move(depot, volume.name)
    (other,) = depot.volumes()
    assert other.name != volume.name and depot.restore() == FILES


def test_a_random_access_volume_moves_to_tape_and_back(depot: Depot) -> None:
    disk = define_random_volume(depot)
    for volume in depot.volumes():
        assert move(depot, volume.name, "BACKUPPOOL").state is State.SUCCESS
    assert depot.placed("TAPEPOOL") == [] and depot.restore() == FILES
    assert move(depot, disk.name, "TAPEPOOL").state is State.SUCCESS
    assert depot.placed("BACKUPPOOL") == [] and depot.restore() == FILES


def test_reconstruct_leaves_dead_space_behind_and_without_it_stays(depot: Depot) -> None:
    ids = depot.inventory()
    depot.storage.delete_objects([ids["file0000"]])
    move(depot, depot.volumes()[0].name)
    size = sum(row.stored_bytes for row in depot.placed("TAPEPOOL"))
    name = next(row.volume_name for row in depot.placed("TAPEPOOL") if _has_dead(depot, row.aggregate_id))
    assert move(depot, name, reconstruct=True).state is State.SUCCESS
    assert sum(row.stored_bytes for row in depot.placed("TAPEPOOL")) < size - 800_000
    assert depot.restore() == {name: data for name, data in FILES.items() if name != "file0000"}


def _has_dead(depot: Depot, aggregate_id: int) -> bool:
    with depot.catalog.read() as r:
        row = placements.aggregate(r, aggregate_id)
    return row.live_bytes < row.extent_bytes


def test_an_off_site_copy_volume_moves_without_being_read(depot: Depot) -> None:
    back_up(depot)
    volume = depot.volumes("COPYPOOL")[0]
    depot.change_volume(volume, access=OFFSITE)
    Path(volume.name).unlink()
    assert move(depot, volume.name).state is State.SUCCESS
    with depot.catalog.read() as r:
        assert not placements.has_placements(r, volume.id)
    assert {row.digest for row in depot.placed("COPYPOOL")} == {
        row.digest for row in depot.placed("TAPEPOOL")
    }


def test_what_cannot_be_read_stays_on_the_volume(depot: Depot) -> None:
    row = depot.placed("TAPEPOOL")[0]
    damage(row)
    process = move(depot, row.volume_name)
    assert process.state is State.FAILURE and process.failed_objects == 1
    assert "still holds 1 records" in said(depot, "ANR4731W").text


@pytest.mark.parametrize(
    ("pool", "to_pool", "error"),
    [
        ("COPYPOOL", "TAPEPOOL", "ANR4729E"),
        ("TAPEPOOL", "COPYPOOL", "ANR4729E"),
        ("TAPEPOOL", "NOWHERE", "ANR2382E"),
        ("TAPEPOOL", "BACKUPPOOL", "ANR0522W"),  # no volume there
    ],
)
def test_moving_between_the_wrong_pools_is_refused(depot: Depot, pool: str, to_pool: str, error: str) -> None:
    back_up(depot)
    assert error_of(move(depot, depot.volumes(pool)[0].name, to_pool)) == error
    assert depot.restore() == FILES


@pytest.mark.parametrize("access", [UNAVAILABLE, DESTROYED])
def test_a_volume_that_cannot_be_read_is_refused(depot: Depot, access: str) -> None:
    volume = depot.volumes()[0]
    depot.change_volume(volume, access=access)
    assert error_of(move(depot, volume.name)) == "ANR4730E"


def test_a_pool_that_takes_nothing_is_refused(depot: Depot) -> None:
    define_random_volume(depot)
    depot.change_pool("BACKUPPOOL", access="READONLY")
    assert error_of(move(depot, depot.volumes()[0].name, "BACKUPPOOL")) == "ANR4722E"


def test_a_volume_in_use_is_refused(depot: Depot) -> None:
    volume = depot.volumes()[0]
    with depot.storage.use.hold(volume):
        assert error_of(move(depot, volume.name)) == "ANR2405E"


STEPS = [
    "writer.sync.before",
    "writer.sync.after",
    "copy.window.before_catalog",
    "copy.window.after_catalog",
    "rebuild.window.before_catalog",
    "rebuild.window.after_catalog",
    "volume.empty.before_delete",
    "volume.delete.before_row",
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_a_second_run_completes(depot: Depot, step: str) -> None:
    back_up(depot)
    ids = depot.inventory()
    depot.storage.delete_objects([ids["file0000"]])
    left = {name: data for name, data in FILES.items() if name != "file0000"}
    volume = depot.volumes()[0]
    killed_at(depot, step, lambda p: move_data(depot.storage, p, volume.name, reconstruct=True))
    assert depot.restore() == left
    if volume.name in {one.name for one in depot.volumes()}:
        assert move(depot, volume.name, reconstruct=True).state is State.SUCCESS
    assert volume.name not in {one.name for one in depot.volumes()}
    assert depot.restore() == left
    for each in depot.volumes():
        depot.change_volume(each, access=UNAVAILABLE)
    assert depot.restore() == left, "from the copies"


# --- MOVE NODEDATA ----------------------------------------------------------------------------------------------------------


def test_only_the_nodes_named_move(depot: Depot) -> None:
    define_random_volume(depot)
    bobs = some_files(8, 900_000, start=100)
    depot.send(bobs, "BOB")
    process = move_nodes(depot, "BOB", to_pool="BACKUPPOOL")
    assert process.state is State.SUCCESS
    with depot.catalog.read() as r:
        moved = placements.aggregates(r, [row.aggregate_id for row in depot.placed("BACKUPPOOL")])
    assert {row.node_id for row in moved} == {depot.node("BOB").id} and len(moved) == 2
    assert depot.restore() == FILES and depot.restore("BOB") == bobs


def test_within_a_pool_it_comes_to_other_volumes(depot: Depot) -> None:
    before = {volume.name for volume in depot.volumes()}
    process = move_nodes(depot, "ALICE", "BOB", processes=2)
    assert (process.state, process.objects) == (State.SUCCESS, 4)
    assert not before & {volume.name for volume in depot.volumes()}
    assert depot.restore() == FILES


def test_only_one_kind_moves(depot: Depot) -> None:
    define_random_volume(depot)
    depot.send(some_files(4, 900_000, start=200), kind=2)
    assert move_nodes(depot, "ALICE", to_pool="BACKUPPOOL", kind=2).objects == 1
    assert depot.restore() == FILES


def test_a_node_without_data_there_moves_nothing(depot: Depot) -> None:
    assert move_nodes(depot, "BOB").objects == 0


def test_unknown_nodes_and_wrong_pools_are_refused(depot: Depot) -> None:
    assert error_of(move_nodes(depot, "NOBODY")).startswith("ANR")
    assert error_of(move_nodes(depot, "ALICE", to_pool="COPYPOOL")) == "ANR4729E"


@pytest.mark.parametrize(
    "step", ["copy.window.before_catalog", "copy.window.after_catalog", "volume.empty.before_delete"]
)
def test_killed_while_a_nodes_data_moves_a_second_run_completes(depot: Depot, step: str) -> None:
    define_random_volume(depot)

    def work(process: Process) -> None:
        move_node_data(depot.storage, process, Selection(("ALICE",)), "TAPEPOOL", "BACKUPPOOL")

    killed_at(depot, step, work)
    assert depot.restore() == FILES
    assert run(depot, work).state is State.SUCCESS
    assert depot.placed("TAPEPOOL") == [] and depot.restore() == FILES


def test_a_wrong_file_space_is_not_found(depot: Depot) -> None:
    selection = Selection(("ALICE",), ("/nowhere",))
    process = run(depot, lambda p: move_node_data(depot.storage, p, selection, "TAPEPOOL"))
    assert error_of(process) == "ANR0852E"


# --- others at work ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["copy.window.before_catalog", "rebuild.window.before_catalog"])
def test_what_somebody_else_has_moved_meanwhile_gets_no_second_place(depot: Depot, step: str) -> None:
    define_random_volume(depot)
    depot.storage.delete_objects([depot.inventory()["file0000"]])
    volume = depot.volumes()[0]
    row = depot.placed("TAPEPOOL")[0]

    def move_one(label: str) -> None:
        if label == step:
            observe_crash_points(None)
            on_store = moving(depot.storage, lambda old: old.volume_id == row.volume_id)
            copy_aggregates(depot.storage, [row], depot.pool("BACKUPPOOL"), on_store=on_store)

    observe_crash_points(move_one)
    process = move(depot, volume.name, reconstruct=step.startswith("rebuild"))
    assert process.state is State.SUCCESS, process.error
    assert [one.digest for one in depot.placed("BACKUPPOOL")] == [row.digest]
    assert row.aggregate_id not in [one.aggregate_id for one in depot.placed("TAPEPOOL")]
    assert len(depot.placed("TAPEPOOL")) == 3, "what was moved away lies there once and not here, new or old"
    assert depot.restore() == {name: data for name, data in FILES.items() if name != "file0000"}
