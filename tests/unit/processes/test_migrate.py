"""Migration moves what it should, in the right order, to the right pool, and stops where it should; nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.processes.depot_work import damage, killed_at, run, said, volume_of
from tests.unit.processes.migrating import add_pool, migrate, use, with_disk
from tests.unit.storage.depot import Depot, MakeDepot, some_bytes, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import BadInput, InUse, NotAvailable
from farvault.base.units import MIB
from farvault.catalog import nouns, placements
from farvault.catalog import owners as owners_of_places
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.volume import FILLING, OFFLINE, UNAVAILABLE
from farvault.processes.left_places import moving
from farvault.processes.migrate import migratable, migrate_pool
from farvault.processes.process import Process, Processes, State
from farvault.storage.copying import copy_aggregates

ALICES = some_files(24, 900_000)
BOBS = some_files(4, 900_000, start=100)
STEPS = [
    "migrate.portion.before",
    "volume.scratch.before_create",
    "volume.append.before_sync",
    "volume.append.after_sync",
    "writer.sync.before",
    "writer.sync.after",
    "copy.window.before_catalog",
    "migrate.leave.before",
    "migrate.leave.after",
    "catalog.commit.before",
    "catalog.commit.after",
    "copy.window.after_catalog",
    "migrate.portion.after",
]
DAY = 86_400


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """ALICE has 21 MiB and BOB 3.5 in BACKUPPOOL, of 32."""
    depot = make_depot(capacity_bytes=8 * MIB)
    with_disk(depot)
    depot.send(ALICES, "ALICE", "BACKUPPOOL")
    depot.send(BOBS, "BOB", "BACKUPPOOL")
    return depot


def all_restore(depot: Depot) -> bool:
    return depot.restore("ALICE") == ALICES and depot.restore("BOB") == BOBS


def owners(depot: Depot, pool: str) -> set[str]:
    with depot.catalog.read() as r:
        found = placements.aggregates(r, [row.aggregate_id for row in depot.placed(pool)])
        return {nouns.by_id(r, Node, one.node_id).name for one in found}


def ended(process: Process, state: State = State.SUCCESS) -> Process:
    assert process.state is state, process.error
    return process


# --- random pools -------------------------------------------------------------------------------------------------------


def test_down_to_zero_everything_moves_and_the_space_is_free(depot: Depot) -> None:
    ended(migrate(depot, low_percent=0))
    assert depot.placed("BACKUPPOOL") == []
    assert use(depot).percent == 0.0
    free = depot.storage.spaces.of(depot.volumes("BACKUPPOOL")[0])
    assert free.free_bytes == free.total_bytes
    assert all_restore(depot)


def test_who_has_most_goes_first_as_a_whole_and_then_the_pool_is_looked_at(depot: Depot) -> None:
    ended(migrate(depot, low_percent=60))
    assert owners(depot, "TAPEPOOL") == {"ALICE"}
    assert owners(depot, "BACKUPPOOL") == {"BOB"}
    assert use(depot).percent < 15, "all of ALICE's went, though 60 % was reached on the way"
    assert "low threshold is reached" in said(depot, "ANR1001I").text
    assert all_restore(depot)


def test_what_is_told_adds_up(depot: Depot) -> None:
    before = {row.aggregate_id: row.stored_bytes for row in depot.placed("BACKUPPOOL")}
    process = ended(migrate(depot, low_percent=0))
    assert (process.objects, process.bytes) == (len(before), sum(before.values()))
    assert {row.aggregate_id: row.stored_bytes for row in depot.placed("TAPEPOOL")} == before
    assert f"{len(before)} records" in said(depot, "ANR1001I").text


def test_a_pool_that_is_low_enough_moves_nothing(depot: Depot) -> None:
    process = ended(migrate(depot, low_percent=90))
    assert process.objects == 0 and not depot.placed("TAPEPOOL")


def test_the_pools_own_low_threshold_counts_where_none_is_given(depot: Depot) -> None:
    depot.change_pool("BACKUPPOOL", low_migration_percent=5)
    ended(migrate(depot))
    assert owners(depot, "TAPEPOOL") == {"ALICE", "BOB"}


def test_file_spaces_of_one_node_go_one_by_one_or_together_as_the_next_pool_collocates(depot: Depot) -> None:
    alice = depot.node("ALICE")
    with depot.catalog.write() as tx:
        space = nouns.insert(tx, FileSpace(node_id=alice.id, name="/srv", number=2))
        for row in depot.placed("BACKUPPOOL")[:1]:
            owners_of_places.removed(tx, [(row.aggregate_id, row.volume_id)])
            aggregate = placements.aggregate(tx, row.aggregate_id)._replace(file_space_id=space)
            digest = tx.digester.of("aggregates", aggregate)
            tx.run(
                "UPDATE aggregates SET file_space_id = ?, row_digest = ? WHERE id = ?",
                (space, digest, aggregate.id),
            )
            owners_of_places.placed(tx, [(row.aggregate_id, row.volume_id)])
    depot.change_pool("TAPEPOOL", collocate="FILESPACE")
    ended(migrate(depot, low_percent=40))
    assert owners(depot, "BACKUPPOOL") == {"ALICE", "BOB"}, "only /home of ALICE had to go"
    depot.change_pool("TAPEPOOL", collocate="NODE")
    assert len(depot.placed("BACKUPPOOL")) == 2
    ended(migrate(depot, low_percent=13))
    assert owners(depot, "BACKUPPOOL") <= {"BOB"}


def test_the_delay_keeps_what_is_young_and_going_on_takes_the_oldest(depot: Depot) -> None:
    depot.clock.advance(2 * DAY)
    depot.send(some_files(6, 900_000, start=200), "BOB", "BACKUPPOOL")
    depot.change_pool("BACKUPPOOL", migration_delay_days=1, migration_continue=False)
    ended(migrate(depot, low_percent=0))
    young = depot.placed("BACKUPPOOL")
    assert 0 < len(young) < 4 and owners(depot, "BACKUPPOOL") == {"BOB"}
    assert "younger than MIGDELAY" in said(depot, "ANR1001I").text
    depot.change_pool("BACKUPPOOL", migration_continue=True)
    ended(migrate(depot, low_percent=0))
    assert depot.placed("BACKUPPOOL") == []


def test_several_workers_move_everything_once(depot: Depot) -> None:
    depot.change_pool("BACKUPPOOL", migration_processes=3)
    process = ended(migrate(depot, low_percent=0))
    placed = [row.aggregate_id for row in depot.placed("TAPEPOOL")]
    assert len(placed) == len(set(placed)) == process.objects
    assert all_restore(depot)


# --- sequential pools -----------------------------------------------------------------------------------------------------


def test_a_sequential_pool_empties_volume_by_volume_the_one_with_least_data_first(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    depot.change_pool("TAPEPOOL", next_pool="SLOW", max_scratch=5)
    ended(migrate(depot, low_percent=0))
    volumes = depot.volumes("TAPEPOOL")
    assert len(volumes) > 3
    (filling,) = [one for one in volumes if one.status == FILLING][:1]
    ended(migrate(depot, "TAPEPOOL", low_percent=int(use(depot, "TAPEPOOL").percent) - 1))
    assert filling.name not in [one.name for one in depot.volumes("TAPEPOOL")], "it was the emptiest"
    ended(migrate(depot, "TAPEPOOL", low_percent=0))
    assert depot.volumes("TAPEPOOL") == [], "emptied scratch volumes are gone"
    assert all_restore(depot)


def test_a_volume_with_anything_young_on_it_waits_for_the_delay(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    depot.change_pool("TAPEPOOL", next_pool="SLOW", migration_delay_days=1, migration_continue=False)
    depot.send(some_files(4, 900_000, start=300), "BOB")
    depot.clock.advance(2 * DAY)
    depot.send(some_files(2, 900_000, start=400), "BOB")  # on the same volume
    ended(migrate(depot, "TAPEPOOL", low_percent=0))
    assert depot.placed("SLOW") == []
    depot.clock.advance(2 * DAY)
    ended(migrate(depot, "TAPEPOOL", low_percent=0))
    assert depot.placed("TAPEPOOL") == []


def test_pools_in_a_chain_hand_data_on(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    depot.change_pool("TAPEPOOL", next_pool="SLOW")
    ended(migrate(depot, low_percent=0))
    ended(migrate(depot, "TAPEPOOL", low_percent=0))
    assert owners(depot, "SLOW") == {"ALICE", "BOB"}
    assert all_restore(depot)


# --- where it goes ----------------------------------------------------------------------------------------------------------


def test_what_a_full_next_pool_cannot_take_goes_to_the_one_after_it(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    depot.change_pool("TAPEPOOL", next_pool="SLOW", max_scratch=1)
    ended(migrate(depot, low_percent=0))
    assert depot.placed("TAPEPOOL") and depot.placed("SLOW")
    assert all_restore(depot)


def test_without_room_anywhere_it_fails_and_keeps_what_it_has_moved(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", max_scratch=1)
    process = ended(migrate(depot, low_percent=0), State.FAILURE)
    assert process.error is not None and process.error.id == "ANR1025W"
    assert all_restore(depot)
    depot.change_pool("TAPEPOOL", max_scratch=50)
    ended(migrate(depot, low_percent=0))
    assert depot.placed("BACKUPPOOL") == []
    assert all_restore(depot)


@pytest.mark.parametrize("access", ["READONLY", "UNAVAILABLE"])
def test_a_next_pool_that_may_not_be_written_is_passed_over(depot: Depot, access: str) -> None:
    add_pool(depot, "SLOW")
    depot.change_pool("TAPEPOOL", next_pool="SLOW", access=access)
    ended(migrate(depot, low_percent=0))
    assert depot.placed("TAPEPOOL") == [] and owners(depot, "SLOW") == {"ALICE", "BOB"}


def test_no_next_pool_that_may_be_written_is_an_error(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", access="READONLY")
    process = ended(migrate(depot, low_percent=0), State.FAILURE)
    assert process.error is not None and process.error.id == "ANR1025W"


def test_files_larger_than_maxsize_pass_that_pool_by(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    depot.send({"large": some_bytes(7, 3 * MIB)}, "BOB", "BACKUPPOOL")
    depot.change_pool("TAPEPOOL", next_pool="SLOW", max_size_bytes=MIB)
    ended(migrate(depot, low_percent=0))
    assert sum(row.stored_bytes for row in depot.placed("SLOW")) < 4 * MIB
    assert owners(depot, "SLOW") == {"BOB"}
    assert depot.restore("BOB")["large"] == some_bytes(7, 3 * MIB)


def test_files_no_pool_takes_stay_and_the_process_says_so(depot: Depot) -> None:
    depot.send({"large": some_bytes(7, 3 * MIB)}, "BOB", "BACKUPPOOL")
    depot.change_pool("TAPEPOOL", max_size_bytes=MIB)
    process = ended(migrate(depot, low_percent=0), State.FAILURE)
    assert process.failed_objects == 1 == len(depot.placed("BACKUPPOOL"))
    assert said(depot, "ANR1026W").text.startswith("1 records")


# --- what cannot go -----------------------------------------------------------------------------------------------------------


def test_a_damaged_record_stays_and_everything_else_goes(depot: Depot) -> None:
    row = depot.placed("BACKUPPOOL")[1]
    damage(row)
    process = ended(migrate(depot, low_percent=0), State.FAILURE)
    assert process.failed_objects == 1
    (left,) = depot.placed("BACKUPPOOL")
    assert left.aggregate_id == row.aggregate_id and left.damaged
    assert migrate(depot, low_percent=0).failed_objects == 0, "what is marked is not tried again"


def test_volumes_offline_or_unavailable_are_left_alone(depot: Depot) -> None:
    volume = volume_of(depot, depot.placed("BACKUPPOOL")[0])
    for changes in ({"status": OFFLINE}, {"access": UNAVAILABLE}):
        depot.change_volume(volume, **changes)
        process = ended(migrate(depot, low_percent=0))
        assert process.objects == 0 and use(depot).percent > 60, "but they count"
        depot.change_volume(volume, status="ONLINE", access="READWRITE")


@pytest.mark.parametrize(
    ("pool", "changes", "error", "message"),
    [
        ("COPYPOOL", {}, BadInput, "ANR2255E"),
        ("TAPEPOOL", {}, BadInput, "ANR4700E"),
        ("BACKUPPOOL", {"access": "UNAVAILABLE"}, NotAvailable, "ANR4701E"),
    ],
)
def test_pools_that_cannot_migrate_say_why(
    depot: Depot, pool: str, changes: dict[str, str], error: type[Exception], message: str
) -> None:
    depot.change_pool(pool, **changes)
    with depot.catalog.read() as r, pytest.raises(error, match=pool) as raised:
        migratable(r, pool)
    assert raised.value.message.id == message  # type: ignore[attr-defined]


# --- others at work -------------------------------------------------------------------------------------------------------


def test_what_somebody_else_has_moved_meanwhile_stays_where_it_is_now(depot: Depot) -> None:
    add_pool(depot, "SLOW")
    row = depot.placed("BACKUPPOOL")[0]

    def move_one(label: str) -> None:
        if label == "copy.window.before_catalog":
            observe_crash_points(None)
            copy_aggregates(
                depot.storage,
                [row],
                depot.pool("SLOW"),
                on_store=moving(depot.storage, lambda old: old.pool_id == row.pool_id),
            )

    observe_crash_points(move_one)
    ended(migrate(depot, low_percent=0))
    assert [one.aggregate_id for one in depot.placed("SLOW")] == [row.aggregate_id]
    assert row.aggregate_id not in [one.aggregate_id for one in depot.placed("TAPEPOOL")]
    assert all_restore(depot)


def test_what_expires_meanwhile_is_left_out(depot: Depot) -> None:
    doomed = list(depot.inventory("BOB").values())

    def delete(label: str) -> None:
        if label == "copy.window.before_catalog":
            observe_crash_points(None)
            depot.storage.delete_objects(doomed)

    observe_crash_points(delete)
    ended(migrate(depot, low_percent=0))
    assert owners(depot, "TAPEPOOL") == {"ALICE"} and depot.restore("ALICE") == ALICES


def test_clients_store_and_restore_while_a_pool_migrates(depot: Depot) -> None:
    depot.change_pool("BACKUPPOOL", cache=True)
    more = some_files(30, 300_000, start=500)

    def store() -> None:
        for name, content in more.items():
            depot.send({name: content}, "BOB", "BACKUPPOOL")

    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(store)
        while not storing.done():
            ended(migrate(depot, low_percent=0))
            assert depot.restore("ALICE") == ALICES
        storing.result()
    assert depot.restore("BOB") == BOBS | more


# --- being stopped --------------------------------------------------------------------------------------------------------------


def test_cancelled_it_keeps_what_it_has_moved(depot: Depot) -> None:
    seen: list[str] = []

    def work(process: Process) -> None:
        def observe(label: str) -> None:
            seen.append(label)
            if label == "migrate.portion.after":
                process.cancel_event.set()

        observe_crash_points(observe)
        migrate_pool(depot.storage, process, "BACKUPPOOL", low_percent=0)

    process = ended(run(depot, work), State.CANCELLED)
    assert process.objects
    assert owners(depot, "TAPEPOOL") == {"ALICE"} and owners(depot, "BACKUPPOOL") == {"BOB"}
    assert all_restore(depot)


def test_when_its_time_is_over_it_ends_well(depot: Depot) -> None:
    observe_crash_points(lambda label: depot.clock.advance(61) if label == "migrate.portion.after" else None)
    ended(migrate(depot, low_percent=0, duration_minutes=1))
    assert owners(depot, "TAPEPOOL") == {"ALICE"}
    assert "DURATION" in said(depot, "ANR1001I").text


def test_one_process_at_a_time_moves_data_out_of_a_pool(depot: Depot) -> None:
    processes = Processes(depot.log, depot.clock)
    refused: list[str] = []

    def work(process: Process) -> None:
        assert processes.of_pool("BACKUPPOOL", "MIGRATION") == (process, None)
        with pytest.raises(InUse, match="BACKUPPOOL") as raised:
            processes.start("RECLAMATION", lambda _: None, wait=True, pool="BACKUPPOOL")
        refused.append(raised.value.message.id)
        processes.start("MIGRATION", lambda _: None, wait=True, pool="TAPEPOOL")

    first = processes.start("MIGRATION", work, wait=True, pool="BACKUPPOOL")
    assert first.state is State.SUCCESS and refused == ["ANR4702E"]
    assert processes.of_pool("BACKUPPOOL", "MIGRATION") == (None, first)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("cache", [False, True], ids=["", "cache"])
def test_killed_at_any_step_nothing_is_lost_and_a_second_run_completes(
    depot: Depot, step: str, cache: bool
) -> None:
    depot.change_pool("BACKUPPOOL", cache=cache)
    killed_at(depot, step, lambda p: migrate_pool(depot.storage, p, "BACKUPPOOL", low_percent=0) and None)
    assert all_restore(depot)
    places = [row.aggregate_id for pool in ("BACKUPPOOL", "TAPEPOOL") for row in depot.placed(pool)]
    assert len(places) == len(set(places)), "every record lies in one primary pool"
    ended(migrate(depot, low_percent=0))
    assert depot.placed("BACKUPPOOL") == [] and all_restore(depot)
