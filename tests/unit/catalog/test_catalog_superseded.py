"""What was rebuilt: who holds the extents, where the data can be had, and that every account stays true."""

from __future__ import annotations

import pytest
from tests.unit.catalog.catalog_world import World, new_file

from farvault.catalog import audit, content, extents, freeing, placements, superseded
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Snapshot


@pytest.fixture
def world(catalog: Catalog) -> World:
    return World(catalog)


@pytest.fixture
def rebuilt(world: World) -> tuple[int, int, list[int]]:
    """An aggregate of three extents, copied, one of them dead, made anew in the primary pool: old, new, objects."""
    with world.catalog.write() as tx:
        old_id, numbers = world.aggregate(tx, b"one", b"two!", b"three")
        placements.add(tx, old_id, world.copy_volume, 0)
        ids = world.store(tx, *(new_file(b"d", b"f%d" % n, n) for n in numbers))
        freeing.delete_objects(tx, ids[:1])
        new_id = world.rebuild(tx, old_id)
        placements.remove(tx, old_id, world.volume)
    return old_id, new_id, ids[1:]


@pytest.fixture(autouse=True)
def sums_hold(catalog: Catalog) -> object:
    yield
    with catalog.read() as r:
        assert list(audit.check_sums(r)) == []
        assert list(audit.check_row_digests(r)) == []


def test_the_new_one_holds_the_extents(world: World, rebuilt: tuple[int, int, list[int]]) -> None:
    old_id, new_id, _ = rebuilt
    with world.catalog.read() as r:
        assert placements.aggregate_extents(r, old_id) == []
        assert [row[1:3] for row in placements.aggregate_extents(r, new_id)] == [(0, 4), (4, 5)]
        assert superseded.replacements(r, [old_id, new_id]) == {old_id: new_id}
        assert superseded.predecessors(r, [old_id, new_id]) == {old_id: [], new_id: [old_id]}


def test_data_can_be_had_at_the_places_of_both(world: World, rebuilt: tuple[int, int, list[int]]) -> None:
    old_id, new_id, ids = rebuilt
    with world.catalog.read() as r:
        for one, other in ((old_id, new_id), (new_id, old_id)):
            places = superseded.places_of_data(r, [one])[one]
            assert [row.aggregate_id for row in places] == [one, other]
            assert content.users_of_aggregates(r, [one]) == ids
        assert [row.object_id for row in content.on_volume(r, world.copy_volume)] == ids
        assert content.reaching_elsewhere(r, world.copy_volume, ids) == 0


def test_a_rebuilt_one_without_a_copy_is_missing_in_the_copy_pool(
    world: World, rebuilt: tuple[int, int, list[int]]
) -> None:
    with world.catalog.read() as r:
        rows = placements.missing_in_copy(r, world.pool, world.copy_pool)
    assert [row.aggregate_id for row in rows] == [rebuilt[1]]


def test_its_extents_are_known_and_stored(world: World, rebuilt: tuple[int, int, list[int]]) -> None:
    with world.catalog.read() as r:
        (_, _, _, name), *_ = placements.aggregate_extents(r, rebuilt[1])
        assert set(extents.lookup(r, world.pool, [name])) == {name}
        assert extents.stored(r, world.pool, [name, bytes(32)]) == {name}


def test_both_have_the_same_account_and_go_together(
    world: World, rebuilt: tuple[int, int, list[int]]
) -> None:
    old_id, new_id, ids = rebuilt
    with world.catalog.write() as tx:
        freeing.delete_objects(tx, ids[:1])
    with world.catalog.read() as r:
        assert [row.live_bytes for row in placements.aggregates(r, [old_id, new_id])] == [5, 5]
    with world.catalog.write() as tx:
        freed = freeing.delete_objects(tx, ids[1:])
    assert {span.volume_id for span in freed.spans} == {world.volume, world.copy_volume}
    assert world.count("aggregates") == world.count("superseded_aggregates") == 0


def test_rebuilt_once_more_the_newest_supersedes_all(
    world: World, rebuilt: tuple[int, int, list[int]]
) -> None:
    old_id, new_id, _ = rebuilt
    with world.catalog.write() as tx:
        newest = world.rebuild(tx, new_id)
    with world.catalog.read() as r:
        assert superseded.replacements(r, [old_id, new_id]) == {old_id: newest, new_id: newest}
        assert superseded.predecessors(r, [newest]) == {newest: [new_id, old_id]}


def test_one_that_lies_nowhere_is_forgotten_and_one_that_does_stays(
    world: World, rebuilt: tuple[int, int, list[int]]
) -> None:
    old_id, new_id, _ = rebuilt
    with world.catalog.write() as tx:
        superseded.forget_unplaced(tx, [old_id, new_id])
        assert exists(tx, old_id)
        placements.remove(tx, old_id, world.copy_volume)
        superseded.forget_unplaced(tx, [old_id, new_id])
        assert not exists(tx, old_id) and exists(tx, new_id)


def exists(r: Snapshot, aggregate_id: int) -> bool:
    return bool(placements.aggregates(r, [aggregate_id]))


def test_what_is_dead_or_rebuilt_already_is_not_rebuilt(
    world: World, rebuilt: tuple[int, int, list[int]]
) -> None:
    new = superseded.Replacement(b"t" * 16, bytes(32), 4096, 10, 0, 1, [(b"x" * 32, 3)])
    with world.catalog.write() as tx:
        assert superseded.replace(tx, rebuilt[0], new) is None
        assert superseded.replace(tx, 999, new) is None
