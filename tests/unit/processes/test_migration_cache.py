"""CACHE=YES: migrated data stays to be read until the space is needed, and nothing ever counts on it."""

from __future__ import annotations

import random

import pytest
from tests.unit.processes.depot_work import damage, killed_at, run, said
from tests.unit.processes.migrating import cached_on, migrate, use, with_disk
from tests.unit.storage.depot import Depot, MakeDepot, some_bytes, some_files

from farvault.base.units import MIB
from farvault.catalog import cached, nouns, placements
from farvault.model.volume import UNAVAILABLE, Volume
from farvault.processes.audit_volume import audit_volume
from farvault.processes.delete_volume import delete_volume
from farvault.processes.migrate_when_due import MigrateWhenDue
from farvault.processes.process import Processes, State
from farvault.storage.free_space import FreeSpaces

FILES = some_files(24, 900_000)


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """21 MiB of ALICE lie in TAPEPOOL and, cached, on the 32 MiB of BACKUPPOOL."""
    depot = make_depot(capacity_bytes=16 * MIB)
    with_disk(depot)
    depot.change_pool("BACKUPPOOL", cache=True)
    depot.send(FILES, "ALICE", "BACKUPPOOL")
    assert migrate(depot, low_percent=0).state is State.SUCCESS
    return depot


def disk(depot: Depot) -> Volume:
    (volume,) = depot.volumes("BACKUPPOOL")
    return volume


def spaces_agree(depot: Depot) -> bool:
    """The map in memory is the one a start would make."""
    anew = FreeSpaces()
    with depot.catalog.read() as r:
        anew.load(r)
    now, fresh = depot.storage.spaces.of(disk(depot)), anew.of(disk(depot))
    return (now.free_bytes, now.cached_bytes, now.placed_bytes) == (
        fresh.free_bytes,
        fresh.cached_bytes,
        fresh.placed_bytes,
    )


def lose_tapes(depot: Depot) -> None:
    for volume in depot.volumes("TAPEPOOL"):
        depot.change_volume(volume, access=UNAVAILABLE)


def test_cached_copies_fill_the_pool_but_need_not_migrate(depot: Depot) -> None:
    free = depot.storage.spaces.of(disk(depot))
    assert depot.placed("BACKUPPOOL") == []
    assert use(depot).percent == 0.0
    assert free.cached_bytes == sum(row.stored_bytes for row in depot.placed("TAPEPOOL"))
    assert free.free_bytes + free.cached_bytes == free.total_bytes
    assert spaces_agree(depot)


def test_reads_are_served_from_the_cache(depot: Depot) -> None:
    lose_tapes(depot)
    assert depot.restore() == FILES


def test_a_start_finds_them_again(depot: Depot) -> None:
    depot.restart()
    assert spaces_agree(depot) and use(depot).percent == 0.0
    lose_tapes(depot)
    assert depot.restore() == FILES


def test_new_data_finds_room_although_the_cache_fills_the_volume(depot: Depot) -> None:
    before = cached_on(depot, disk(depot))
    new = some_files(15, 900_000, start=100)
    depot.send(new, "BOB", "BACKUPPOOL")
    assert len(depot.placed("BACKUPPOOL")) >= 4 and 0 < cached_on(depot, disk(depot)) < before
    assert depot.restore("BOB") == new and depot.restore() == FILES
    assert spaces_agree(depot)


def test_a_pool_is_full_only_when_the_cache_is_given_up(depot: Depot) -> None:
    with depot.catalog.read() as r:
        room = depot.storage.choice.free_bytes(r, depot.pool("BACKUPPOOL"))
    assert room == depot.storage.spaces.of(disk(depot)).total_bytes
    new = some_files(33, 900_000, start=100)
    depot.send(new, "BOB", "BACKUPPOOL")
    assert use(depot).percent > 80 and depot.restore("BOB") == new
    more = some_files(12, 900_000, start=200)
    depot.send(more, "BOB", "BACKUPPOOL")
    assert depot.restore("BOB") == new | more, "what found no room went to TAPEPOOL"
    assert spaces_agree(depot)


def test_the_oldest_are_given_up_first(depot: Depot) -> None:
    depot.clock.advance(100)
    depot.send(some_files(4, 900_000, start=100), "BOB", "BACKUPPOOL")
    migrate(depot, low_percent=0)
    with depot.catalog.write() as tx:
        oldest = cached.take_oldest(tx, disk(depot).id, 100, 1)
        tx.after_commit.append(lambda: depot.storage.spaces.give_back(oldest) and None)
    with depot.catalog.read() as r:
        newest = {row.aggregate_id for row in depot.placed("TAPEPOOL")[-1:]}
        assert cached.of_aggregates(r, newest), "the one that came last is still there"
    assert spaces_agree(depot)


def test_a_copy_pool_gets_nothing_from_a_cache_and_lacks_nothing_by_it(depot: Depot) -> None:
    with depot.catalog.read() as r:
        copy = depot.pool("COPYPOOL").id
        assert placements.missing_in_copy(r, depot.pool("BACKUPPOOL").id, copy) == []
        assert placements.missing_in_copy(r, depot.pool("TAPEPOOL").id, copy)


def test_it_never_counts_as_the_only_copy(depot: Depot) -> None:
    """What is lost in TAPEPOOL is lost: the client sends it again, and it is restored from a copy."""
    for row in depot.placed("TAPEPOOL"):
        with depot.catalog.write() as tx:
            placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
    before = len(depot.placed("BACKUPPOOL"))
    depot.send({"again": FILES["file0000"]}, "ALICE", "BACKUPPOOL")
    assert len(depot.placed("BACKUPPOOL")) == before + 1


def test_deleting_what_is_cached_frees_both_places(depot: Depot) -> None:
    depot.storage.delete_objects(list(depot.inventory().values()))
    assert cached_on(depot, disk(depot)) == 0 and depot.placed("TAPEPOOL") == []
    free = depot.storage.spaces.of(disk(depot))
    assert free.free_bytes == free.total_bytes and spaces_agree(depot)


def test_a_damaged_cached_copy_goes_and_the_real_one_is_read(depot: Depot) -> None:
    with depot.catalog.read() as r:
        everything = [row.aggregate_id for row in depot.placed("TAPEPOOL")]
        victim = cached.of_aggregates(r, everything)[everything[2]][0]
    before = cached_on(depot, disk(depot))
    damage(victim)
    assert depot.restore() == FILES
    assert cached_on(depot, disk(depot)) == before - 1
    assert not any(row.damaged for row in depot.placed("TAPEPOOL")) and spaces_agree(depot)


def test_with_cache_no_it_is_given_back(depot: Depot) -> None:
    when_due = MigrateWhenDue(depot.storage, Processes(depot.log, depot.clock))
    when_due()
    assert cached_on(depot, disk(depot))
    depot.change_pool("BACKUPPOOL", cache=False)
    when_due()
    assert cached_on(depot, disk(depot)) == 0 and spaces_agree(depot)
    assert "ANR4703I" in depot.messages() and depot.restore() == FILES


def test_a_volume_that_holds_nothing_but_cached_copies_can_be_deleted(depot: Depot) -> None:
    assert run(depot, lambda p: delete_volume(depot.storage, p, disk(depot).name)).state is State.SUCCESS
    with depot.catalog.read() as r:
        assert r.one("SELECT 1 FROM cached_copies") is None
    assert depot.restore() == FILES


@pytest.mark.parametrize("step", ["cache.give_up.before_catalog", "cache.give_up.after_catalog"])
def test_killed_while_room_is_made_nothing_is_lost(depot: Depot, step: str) -> None:
    """The taking in runs in a thread of its own, so room is made by hand here."""
    free = depot.storage.spaces.of(disk(depot))
    wanted = free.largest_bytes + 4096
    killed_at(depot, step, lambda _: depot.storage.cache.make_room(disk(depot).id, wanted) and None)
    assert spaces_agree(depot) and depot.restore() == FILES


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_and_goes_the_map_and_the_data_stay_right(make_depot: MakeDepot, seed: int) -> None:
    """Storing, deleting, migrating, dropping and starting again in any order."""
    dice = random.Random(seed)
    depot = make_depot(capacity_bytes=16 * MIB)
    with_disk(depot, 12)
    depot.change_pool("BACKUPPOOL", cache=True)
    files: dict[str, bytes] = {}
    for step in range(25):
        roll = dice.random()
        if roll < 0.5 or not files:
            new = {f"f{step}": some_bytes(seed * 1000 + step, dice.randrange(100_000, 3_000_000))}
            depot.send(new, pool="BACKUPPOOL")
            files |= new
        elif roll < 0.65:
            name = dice.choice(sorted(files))
            depot.storage.delete_objects([depot.inventory()[name]])
            del files[name]
        elif roll < 0.85:
            migrate(depot, low_percent=dice.choice([0, 30]))
        elif roll < 0.95:
            depot.restart()
        else:
            depot.storage.cache.drop([disk(depot).id])
        assert spaces_agree(depot)
    assert depot.restore() == files
    with depot.catalog.read() as r:
        assert nouns.count(r, Volume, pool_id=depot.pool("TAPEPOOL").id) >= 0


@pytest.mark.parametrize("fix", [False, True])
def test_an_audit_says_a_bad_cached_copy_and_with_fix_gives_it_up(depot: Depot, fix: bool) -> None:
    with depot.catalog.read() as r:
        rows = cached.on_volume(r, disk(depot).id, -1, 100)
    damage(rows[1])
    process = run(depot, lambda one: audit_volume(depot.storage, one, disk(depot).name, fix=fix))
    assert (process.state, process.failed_objects) == (State.FAILURE, 1)
    assert process.objects == len(rows)
    assert f"offset {rows[1].offset_bytes} is damaged" in said(depot, "ANR2316W").text
    assert cached_on(depot, disk(depot)) == len(rows) - fix
    assert spaces_agree(depot)
    assert depot.restore() == FILES
