"""Object versions: stored, listed in order, deactivated, changed; and deleted with exact accounts."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.catalog.catalog_world import BLOCK, World, new_file

from farvault.base.errors import NotFound
from farvault.catalog import audit, directories, freeing, nouns, objects, placements
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.objects import InventoryRow, NewObject
from farvault.model.file_space import FileSpace
from farvault.model.stored_object import ObjectKind, ObjectState

ACTIVE, INACTIVE, MARKED = ObjectState.ACTIVE, ObjectState.INACTIVE, ObjectState.MARKED


def check(world: World) -> None:
    """Every row as written, every sum as it must be."""
    with world.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []


# --- storing and listing -------------------------------------------------------------------------------------------


def test_an_inventory_is_in_the_order_of_a_depth_first_walk(world: World) -> None:
    with world.catalog.write() as tx:
        world.store(
            tx,
            new_file(b"a-b", b"x"),
            new_file(b"a", b"z"),
            new_file(b"a\0b", b"y"),
            new_file(b"", b"a-b"),
            new_file(b"", b"a"),
            new_file(b"a", b"b"),
        )
    assert [row[:2] for row in world.names()] == [
        (b"", b"a"),
        (b"", b"a-b"),
        (b"a", b"b"),
        (b"a", b"z"),
        (b"a\0b", b"y"),
        (b"a-b", b"x"),
    ]
    assert [row[:2] for row in world.names(directory=b"a")] == [(b"a", b"b"), (b"a", b"z"), (b"a\0b", b"y")]
    assert [row[:2] for row in world.names(directory=b"a", below=False)] == [(b"a", b"b"), (b"a", b"z")]
    assert [row[:2] for row in world.names(below=False)] == [(b"", b"a"), (b"", b"a-b")]
    assert [row[1] for row in world.names(name_pattern=b"?")] == [b"a", b"b", b"z", b"y", b"x"]
    assert [row[1] for row in world.names(name_pattern=b"a*")] == [b"a", b"a-b"]
    assert [row[1] for row in world.names(name_pattern=b"a-b")] == [b"a-b"]


def test_a_version_comes_back_as_it_was_stored(world: World) -> None:
    with world.catalog.write() as tx:
        _, extents = world.aggregate(tx, b"one", b"twotwo")
        new = NewObject(b"d\xff\0e", b"caf\xe9", 1, 9, b"\x00attr", "a text", extents)
        (object_id,) = world.store(tx, new, now=1234, kind=ObjectKind.ARCHIVE, management_class="LONG")
    with world.catalog.read() as r:
        assert list(objects.inventory(r, world.space, ObjectKind.BACKUP)) == []
        assert list(objects.inventory(r, world.space, ObjectKind.ARCHIVE)) == [
            InventoryRow(object_id, b"d\xff\0e", b"caf\xe9", 1, 1, 9, 1234, 0, "LONG", b"\x00attr", "a text")
        ]
        ((_, rows),) = objects.contents(r, [object_id])
        assert [(extent_id, length) for extent_id, _, length, _ in rows] == [(extents[0], 3), (extents[1], 6)]
        assert objects.has_objects(r, world.space) and not objects.has_objects(r, world.other_space)
    check(world)


def test_a_new_backup_version_deactivates_the_one_before(world: World) -> None:
    with world.catalog.write() as tx:
        first, other = world.store(tx, new_file(b"d", b"f"), new_file(b"d", b"g"), now=10)
    with world.catalog.write() as tx:
        (second,) = world.store(tx, NewObject(b"d", b"f", 3, 0, b"", "", ()), now=20)
    assert world.names() == [(b"d", b"f", second, ACTIVE), (b"d", b"g", other, ACTIVE)]
    assert world.names(active_only=False)[0] == (b"d", b"f", first, INACTIVE)
    with world.catalog.read() as r:
        rows = list(objects.inventory(r, world.space, ObjectKind.BACKUP, active_only=False))
    assert [(row.id, row.deactivated_time) for row in rows] == [(first, 20), (second, 0), (other, 0)]
    check(world)


def test_a_version_stored_earlier_in_the_same_transaction_is_deactivated_too(world: World) -> None:
    with world.catalog.write() as tx:
        world.store(tx, new_file(b"d", b"f"))
        (second,) = world.store(tx, new_file(b"d", b"f"))
    assert world.names() == [(b"d", b"f", second, ACTIVE)]
    check(world)


def test_archives_of_one_name_stand_side_by_side(world: World) -> None:
    with world.catalog.write() as tx:
        for _ in range(2):
            world.store(tx, new_file(b"d", b"f"), new_file(b"d", b"f"), kind=ObjectKind.ARCHIVE)
    with world.catalog.read() as r:
        assert len(list(objects.inventory(r, world.space, ObjectKind.ARCHIVE))) == 4


def test_a_name_twice_in_one_call_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="twice"), world.catalog.write() as tx:
        world.store(tx, new_file(b"d", b"f"), new_file(b"d", b"f"))
    assert world.names() == []


def test_an_extent_that_is_gone_refuses_the_transaction(world: World) -> None:
    with world.catalog.write() as tx:
        _, (extent,) = world.aggregate(tx, b"x")
        old = world.store(tx, new_file(b"", b"old", extent))
    with world.catalog.write() as tx:
        objects.delete_objects(tx, old)
    with pytest.raises(NotFound, match="ANR0141E"), world.catalog.write() as tx:
        world.store(tx, new_file(b"", b"new", extent))
    assert world.names() == []


def test_a_file_space_of_another_node_is_refused(world: World) -> None:
    with pytest.raises(NotFound), world.catalog.write() as tx:
        world.store(tx, new_file(b"", b"f"), space=world.other_space)


def test_inventory_reads_along_the_indexes_without_sorting(world: World) -> None:
    for below in (True, False):
        for directory in (b"", b"a"):
            sql, values = objects.inventory_query(
                world.space, 1, directory=directory, below=below, name_pattern=b"*", active_only=True
            )
            with world.catalog.read() as r:
                plan = " ".join(str(row[3]) for row in r.all(f"EXPLAIN QUERY PLAN {sql}", values))
            assert "TEMP B-TREE" not in plan and "SCAN" not in plan, plan
            assert re.search(r"SEARCH d USING COVERING INDEX.*SEARCH o USING PRIMARY KEY", plan), plan


def test_a_long_inventory_is_not_disturbed_by_writers(world: World) -> None:
    with world.catalog.write() as tx:
        ids = world.store(tx, *(new_file(b"d", b"%05d" % number) for number in range(3000)))
    with world.catalog.read() as r:
        stream = objects.inventory(r, world.space, ObjectKind.BACKUP)
        seen = [next(stream).id]
        with world.catalog.write() as tx:
            objects.delete_objects(tx, ids[:1000])
            world.store(tx, new_file(b"d", b"00000x"), new_file(b"e", b"new"))
        seen += [row.id for row in stream]
    assert seen == ids


# --- changing ------------------------------------------------------------------------------------------------------


def test_expire_changes_only_the_nodes_own_active_backups(world: World) -> None:
    with world.catalog.write() as tx:
        mine, mine_too = world.store(tx, new_file(b"", b"a"), new_file(b"", b"b"))
        (archived,) = world.store(tx, new_file(b"", b"a"), kind=ObjectKind.ARCHIVE)
        (foreign,) = world.store(tx, new_file(b"", b"a"), space=world.other_space, node=world.other_node)
        assert objects.expire(tx, world.node, [mine, mine, archived, foreign, 999], now=50) == 1
        assert objects.expire(tx, world.node, [mine], now=60) == 0
        assert objects.owned(tx, world.node, [foreign, mine_too, 999, mine]) == [mine_too, mine]
    assert world.names() == [(b"", b"b", mine_too, ACTIVE)]
    check(world)


def test_attributes_change_in_place(world: World) -> None:
    with world.catalog.write() as tx:
        _, (extent,) = world.aggregate(tx, b"data")
        (mine,) = world.store(tx, new_file(b"", b"a", extent))
        (foreign,) = world.store(tx, new_file(b"", b"a"), space=world.other_space, node=world.other_node)
        assert objects.update_attributes(tx, world.node, [(mine, b"new"), (foreign, b"stolen")]) == 1
        rows = list(objects.inventory(tx, world.space, ObjectKind.BACKUP))
        assert [(row.id, row.attributes) for row in rows] == [(mine, b"new")]
    check(world)


def test_rebind_binds_all_versions_of_a_name(world: World) -> None:
    with world.catalog.write() as tx:
        world.store(tx, new_file(b"", b"a"))
    with world.catalog.write() as tx:
        active, other = world.store(tx, new_file(b"", b"a"), new_file(b"", b"b"))
        assert objects.rebind(tx, world.node, [active], "LONG") == 2
        assert objects.rebind(tx, world.node, [active], "LONG") == 0
        assert objects.rebind(tx, world.other_node, [other], "LONG") == 0
        rows = list(objects.inventory(tx, world.space, ObjectKind.BACKUP, active_only=False))
    assert [row.management_class for row in rows] == ["LONG", "LONG", "STANDARD"]
    check(world)


# --- deleting ------------------------------------------------------------------------------------------------------


def test_deleting_frees_exactly_what_nobody_uses(world: World) -> None:
    with world.catalog.write() as tx:
        first, (shared, alone) = world.aggregate(tx, b"shared", b"alone")
        second, (tail,) = world.aggregate(tx, b"tail")
        one, two = world.store(tx, new_file(b"", b"one", shared, alone, tail), new_file(b"", b"two", shared))
    with world.catalog.write() as tx:
        freed = objects.delete_objects(tx, [one])
        assert (freed.objects, freed.extents, freed.aggregates, freed.live_bytes) == (
            1,
            2,
            1,
            len(b"alonetail"),
        )
        assert freed.spans == [FreedSpan(world.volume, BLOCK, BLOCK)] and freed.left == []
        assert placements.aggregate(tx, first).live_bytes == len(b"shared")
        with pytest.raises(NotFound):
            placements.aggregate(tx, second)
    check(world)
    with world.catalog.write() as tx:
        assert objects.delete_objects(tx, [two, one]).spans == [FreedSpan(world.volume, 0, BLOCK)]
    check(world)
    for table in ("objects", "object_extents", "extents", "extent_index", "aggregates", "placements"):
        assert world.count(table) == 0, table


def test_an_object_with_very_many_extents_goes_in_pieces_and_is_invisible_at_once(world: World) -> None:
    with world.catalog.write() as tx:
        _, extents = world.aggregate(tx, *(b"%d" % number for number in range(25)))
        small, huge, last = world.store(
            tx,
            new_file(b"", b"a", extents[0]),
            new_file(b"", b"b", *extents),
            new_file(b"", b"c", extents[24]),
        )
    with world.catalog.write() as tx:
        freed = objects.delete_objects(tx, [small, huge, last], limit=10)
    assert freed.left == [huge, last] and freed.objects == 1
    with world.catalog.write() as tx:
        freed = objects.delete_objects(tx, freed.left, limit=10)
    assert freed.left == [huge, last] and freed.objects == 0
    assert [row[1] for row in world.names()] == [b"c"]
    with world.catalog.read() as r:
        assert freeing.unfinished_deletions(r) == [huge]
    check(world)
    rounds = 0
    while freed.left:
        with world.catalog.write() as tx:
            freed = objects.delete_objects(tx, freed.left, limit=10)
        rounds += 1
    assert rounds <= 3 and world.count("objects") == world.count("extents") == world.count("deletions") == 0


def test_a_file_space_can_be_emptied_piece_by_piece_and_deleted(world: World) -> None:
    with world.catalog.write() as tx:
        world.store(tx, *(new_file(b"d%d" % (number % 7), b"%d" % number) for number in range(50)))
    while True:
        with world.catalog.write() as tx:
            ids = [place[2] for place in objects.object_places(tx, world.space, limit=20)]
            if not ids:
                break
            objects.delete_objects(tx, ids)
    with world.catalog.write() as tx:
        assert [directories.remove_empty(tx, world.space, limit=5) for _ in range(3)] == [5, 2, 0]
        nouns.delete(tx, nouns.by_id(tx, FileSpace, world.space))


def test_occupancy_counts_files_once_in_each_pool(world: World) -> None:
    with world.catalog.write() as tx:
        aggregate_id, (one, two) = world.aggregate(tx, b"x" * 3000, b"y" * 1000)
        placements.add(tx, aggregate_id, world.copy_volume, 0)
        world.store(tx, new_file(b"", b"both", one, two), new_file(b"", b"one", one), new_file(b"", b"empty"))
        world.store(tx, new_file(b"", b"kept", two), kind=ObjectKind.ARCHIVE)
    with world.catalog.read() as r:
        rows = objects.occupancy(r)
        assert [row[:6] for row in rows] == [
            ("ALICE", "Bkup", "/home", 1, "BACKUPPOOL", 2),
            ("ALICE", "Bkup", "/home", 1, "COPYPOOL", 2),
            ("ALICE", "Arch", "/home", 1, "BACKUPPOOL", 1),
            ("ALICE", "Arch", "/home", 1, "COPYPOOL", 1),
        ]
        assert rows[0][6:] == (BLOCK * 7 // 8, 7000), "what two use counts half for each of them"
        assert rows[2][6:] == (BLOCK // 8, 1000)
        assert objects.occupancy(r, "BOB") == [] and len(objects.occupancy(r, "A*", "/h*", "COPY*", 1)) == 1


steps = st.lists(
    st.tuples(st.sampled_from(["store", "delete", "expire"]), st.integers(0, 5), st.integers(0, 7)),
    max_size=25,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_after_any_history_all_accounts_are_exact(world: World, history: list[tuple[str, int, int]]) -> None:
    pool: list[int] = []
    alive: list[int] = []
    for what, name, number in history:
        with world.catalog.write() as tx:
            if what == "store":
                _, fresh = world.aggregate(tx, b"a%d" % number, b"b" * (number + 1))
                known = {row[0] for row in tx.all("SELECT id FROM extents")}
                old = [extent for extent in pool if extent in known][: number % 3]
                alive += world.store(
                    tx, new_file(b"d%d" % (name % 2), b"n%d" % name, *fresh, *old, *fresh[:1])
                )
                pool = fresh + pool
            elif what == "delete" and alive:
                objects.delete_objects(tx, [alive.pop(number % len(alive))])
            elif alive:
                objects.expire(tx, world.node, [alive[number % len(alive)]], now=5)
    check(world)
    with world.catalog.write() as tx:
        assert objects.delete_objects(tx, alive).left == []
    assert world.count("placements") == world.count("extent_index") == 0
