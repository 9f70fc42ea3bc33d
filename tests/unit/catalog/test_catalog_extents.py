"""What is known in a domain, where aggregates lie, and what copying and restoring must look at."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.catalog.catalog_world import BLOCK, World, digest, new_file

from farvault.base.errors import NotFound
from farvault.catalog import audit, extent_index, extents, nouns, objects, owners, placements
from farvault.catalog.placements import PlacementRow
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume


def set_access(world: World, volume: int, access: str) -> None:
    with world.catalog.write() as tx:
        found = nouns.by_id(tx, Volume, volume)
        nouns.update(
            tx, Volume(**{**{f: getattr(found, f) for f in found.__struct_fields__}, "access": access})
        )


def ask(world: World, *contents: bytes, node: int = 0, pool: int = 0) -> list[int]:
    with world.catalog.read() as r:
        digests = [digest(content) for content in contents]
        return list(extents.known(r, node or world.node, pool or world.pool, digests))


# --- knowing -------------------------------------------------------------------------------------------------------


def test_lookup_finds_digests_of_its_own_domain_only(world: World) -> None:
    with world.catalog.write() as tx:
        _, (one, two) = world.aggregate(tx, b"one", b"two!")
        other_pool = world.copy_pool
        assert extents.lookup(tx, world.pool, [digest(b"one"), digest(b"two!"), digest(b"three")]) == {
            digest(b"one"): (one, 3),
            digest(b"two!"): (two, 4),
        }
        assert extents.lookup(tx, other_pool, [digest(b"one")]) == {}
        assert extents.lookup(tx, world.pool, []) == {}


def test_digests_with_the_same_prefix_are_told_apart(world: World) -> None:
    first, second = b"\xff" * 8 + b"a" * 24, b"\xff" * 8 + b"b" * 24
    with world.catalog.write() as tx:
        new = extents.NewAggregate(
            b"", b"", BLOCK, 10, 0, 0, world.node, world.space, world.pool, [(first, 5), (second, 6)]
        )
        aggregate_id, ids = extents.add_aggregate(tx, new, 1)
        placements.add(tx, aggregate_id, world.volume, 0)
        assert extents.lookup(tx, world.pool, [second]) == {second: (ids[1], 6)}


def test_only_what_the_node_has_sent_or_owns_is_known_to_it(world: World) -> None:
    with world.catalog.write() as tx:
        _, (shared, secret) = world.aggregate(tx, b"shared", b"secret")
    assert ask(world, b"shared", b"none", b"secret") == [1, 0, 1]
    assert ask(world, b"shared", b"secret", node=world.other_node) == [0, 0]
    with world.catalog.write() as tx:
        world.store(tx, new_file(b"", b"f", shared), space=world.other_space, node=world.other_node)
        world.store(tx, new_file(b"", b"g", secret))
    assert ask(world, b"shared", b"secret", node=world.other_node) == [1, 0]


def test_an_extent_that_cannot_be_read_is_unknown_until_it_is_stored_anew(world: World) -> None:
    with world.catalog.write() as tx:
        aggregate_id, (old,) = world.aggregate(tx, b"x")
        placements.mark_damaged(tx, aggregate_id, world.volume, True)
        assert extents.lookup(tx, world.pool, [digest(b"x")]) == {}
        placements.add(tx, aggregate_id, world.copy_volume, 0)
        assert extents.lookup(tx, world.pool, [digest(b"x")]) == {digest(b"x"): (old, 1)}
    set_access(world, world.copy_volume, "DESTROYED")
    assert ask(world, b"x") == [0]
    with world.catalog.write() as tx:
        _, (new,) = world.aggregate(tx, b"x")
        assert extents.lookup(tx, world.pool, [digest(b"x")]) == {digest(b"x"): (new, 1)}
        placements.mark_damaged(tx, aggregate_id, world.volume, False)
        assert extents.lookup(tx, world.pool, [digest(b"x")]) == {digest(b"x"): (new, 1)}, "the newest counts"


@pytest.mark.parametrize("access", ["UNAVAILABLE", "OFFSITE"])
def test_an_extent_on_a_volume_that_is_away_is_unknown_for_as_long(world: World, access: str) -> None:
    """What is acknowledged restores: nothing is built on data that cannot be read."""
    with world.catalog.write() as tx:
        world.aggregate(tx, b"x")
    set_access(world, world.volume, access)
    assert ask(world, b"x") == [0]
    set_access(world, world.volume, "READONLY")
    assert ask(world, b"x") == [1]


def test_an_extent_in_a_pool_that_is_away_is_unknown_for_as_long(world: World) -> None:
    with world.catalog.write() as tx:
        world.aggregate(tx, b"x")
        pool = nouns.by_id(tx, StoragePool, world.pool)
        nouns.update(tx, msgspec.structs.replace(pool, access="UNAVAILABLE"))
    assert ask(world, b"x") == [0]


@pytest.mark.parametrize("bad", [[], [(b"d" * 32, 0)]])
def test_an_aggregate_that_nothing_would_free_is_refused(world: World, bad: list[tuple[bytes, int]]) -> None:
    new = extents.NewAggregate(b"", b"", BLOCK, 10, 0, 0, world.node, world.space, world.pool, bad)
    with pytest.raises(ValueError, match="at least one"), world.catalog.write() as tx:
        extents.add_aggregate(tx, new, 1)


def test_entries_move_through_all_levels_and_are_found_everywhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extent_index, "LEVEL_ENTRIES", {2: 20, 1: 100})
    monkeypatch.setattr(extent_index, "MOVED_AT_LEAST", 10)
    contents = [os.urandom(8) for _ in range(600)]
    ids: list[int] = []
    for start in range(0, 600, 15):
        with world.catalog.write() as tx:
            _, fresh = world.aggregate(tx, *contents[start : start + 15])
            ids += world.store(tx, *(new_file(b"", b"%d" % extent, extent) for extent in fresh))
    with world.catalog.read() as r:
        sizes = dict(r.all("SELECT level, COUNT(*) FROM extent_index GROUP BY level"))
    assert sizes.get(2, 0) <= 40 and sizes[1] <= 150 and sizes[0] >= 400 and sum(sizes.values()) == 600
    assert ask(world, *contents) == [1] * 600
    with world.catalog.write() as tx:
        objects.delete_objects(tx, ids[::2])
    assert ask(world, *contents) == [0, 1] * 300
    with world.catalog.read() as r:
        assert list(audit.check_sums(r)) == []


def levels(world: World) -> dict[int, int]:
    """How many entries and removals each level holds."""
    with world.catalog.read() as r:
        return dict(r.all("SELECT level, COUNT(*) FROM extent_index GROUP BY level"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), min_size=10, max_size=60))
def test_after_any_history_the_index_finds_what_is_there_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, history: list[tuple[bool, int]]
) -> None:
    monkeypatch.setattr(extent_index, "LEVEL_ENTRIES", {2: 6, 1: 15})
    monkeypatch.setattr(extent_index, "MOVED_AT_LEAST", 2)
    there: dict[bytes, int] = {}
    gone: list[bytes] = []
    for stores, number in history:
        with world.catalog.write() as tx:
            if stores or not there:
                contents = [os.urandom(8) for _ in range(number % 4 + 1)]
                _, fresh = world.aggregate(tx, *contents)
                ids = world.store(
                    tx, *(new_file(b"", one, extent) for one, extent in zip(contents, fresh, strict=True))
                )
                there.update(zip(contents, ids, strict=True))
            else:
                picked = [list(there)[(number + step) % len(there)] for step in range(3)]
                objects.delete_objects(tx, [there.pop(one) for one in dict.fromkeys(picked)])
                gone += dict.fromkeys(picked)
        assert ask(world, *there, *gone) == [1] * len(there) + [0] * len(gone)
        with world.catalog.read() as r:
            assert list(audit.check_sums(r)) == []
    ids = list(there.values())
    for start in range(0, len(ids), 3):
        with world.catalog.write() as tx:
            objects.delete_objects(tx, ids[start : start + 3])
    with world.catalog.read() as r:
        assert list(audit.check_sums(r)) == []
    assert sum(levels(world).values()) <= 2 * (6 + 15 + 8), "what is gone does not pile up"


def test_where_all_entries_are_new_what_is_removed_leaves_nothing(world: World) -> None:
    with world.catalog.write() as tx:
        _, fresh = world.aggregate(tx, b"one", b"two", b"three")
        ids = world.store(tx, *(new_file(b"", b"%d" % extent, extent) for extent in fresh))
        objects.delete_objects(tx, ids[:2])
    assert levels(world) == {2: 1}


# --- placements ----------------------------------------------------------------------------------------------------


def test_the_best_placement_comes_first(world: World) -> None:
    with world.catalog.write() as tx:
        copied_first, _ = world.aggregate(tx, b"x", volume=world.copy_volume)
        placements.add(tx, copied_first, world.volume, 0)
        spare = world.make_volume(tx, "/v/2", world.pool)
        placements.add(tx, copied_first, spare, 0)

    def order() -> list[int]:
        with world.catalog.read() as r:
            return [row.volume_id for row in placements.of_aggregates(r, [copied_first, 99])[copied_first]]

    assert order() == [world.volume, spare, world.copy_volume]
    with world.catalog.write() as tx:
        placements.mark_damaged(tx, copied_first, world.volume, True)
        placements.mark_damaged(tx, 99, world.volume, True)
    assert order() == [spare, world.copy_volume, world.volume]
    set_access(world, spare, "UNAVAILABLE")
    assert order() == [world.copy_volume, spare, world.volume]
    with world.catalog.read() as r:
        assert placements.of_aggregates(r, [99]) == {99: []}


def test_a_volume_is_walked_in_offset_order_in_pieces(world: World) -> None:
    with world.catalog.write() as tx:
        ids = [world.aggregate(tx, b"%d" % number)[0] for number in range(5)]
    with world.catalog.read() as r:
        first = placements.on_volume(r, world.volume, limit=3)
        rest = placements.on_volume(r, world.volume, after_offset=first[-1].offset_bytes)
        assert [row.aggregate_id for row in first + rest] == ids
        assert first[1] == PlacementRow(
            ids[1],
            world.volume,
            BLOCK,
            BLOCK,
            digest(b"record1"),
            False,
            world.pool,
            "SEQUENTIAL",
            "READWRITE",
            "/v/1",
            "READWRITE",
            "EMPTY",
            world.node,
            world.space,
        )
        assert placements.used_spans(r, world.volume) == [(number * BLOCK, BLOCK) for number in range(5)]
        assert placements.has_placements(r, world.volume) and not placements.has_placements(
            r, world.copy_volume
        )


def test_live_bytes_of_a_volume_follow_the_extents(world: World) -> None:
    with world.catalog.write() as tx:
        _, (one, two) = world.aggregate(tx, b"x" * 300, b"y" * 100)
        ids = world.store(tx, new_file(b"", b"1", one), new_file(b"", b"2", two))
        assert owners.volume_bytes(tx, world.volume).live_bytes == BLOCK
        objects.delete_objects(tx, ids[:1])
        assert owners.volume_bytes(tx, world.volume).live_bytes == BLOCK // 4
        objects.delete_objects(tx, ids[1:])
        assert owners.volume_bytes(tx, world.volume).live_bytes == 0


def test_a_copy_pool_lacks_what_has_no_good_copy_in_it(world: World) -> None:
    with world.catalog.write() as tx:
        copied, bare, damaged_copy, damaged = (world.aggregate(tx, b"%d" % number)[0] for number in range(4))
        second_volume = world.make_volume(tx, "/v/2", world.pool)
        elsewhere, _ = world.aggregate(tx, b"elsewhere", volume=second_volume)
        for position, aggregate_id in enumerate((copied, damaged_copy)):
            placements.add(tx, aggregate_id, world.copy_volume, position * BLOCK)
        placements.mark_damaged(tx, damaged_copy, world.copy_volume, True)
        placements.mark_damaged(tx, damaged, world.volume, True)

    def missing(**options: object) -> list[int]:
        with world.catalog.read() as r:
            rows = placements.missing_in_copy(r, world.pool, world.copy_pool, **options)  # type: ignore[arg-type]
            return [row.aggregate_id for row in rows]

    assert missing() == [bare, damaged_copy, elsewhere]
    assert missing(limit=2) == [bare, damaged_copy]
    assert missing(after=(world.volume, 2 * BLOCK)) == [elsewhere]
    set_access(world, world.copy_volume, "DESTROYED")
    assert missing() == [copied, bare, damaged_copy, elsewhere]
    set_access(world, second_volume, "UNAVAILABLE")
    assert missing() == [copied, bare, damaged_copy]


def test_restore_looks_at_damage_and_destroyed_volumes(world: World) -> None:
    with world.catalog.write() as tx:
        good, damaged = (world.aggregate(tx, b"%d" % number)[0] for number in range(2))
        burnt_volume = world.make_volume(tx, "/v/2", world.pool)
        burnt = [world.aggregate(tx, b"b%d" % number, volume=burnt_volume)[0] for number in range(3)]
        placements.mark_damaged(tx, damaged, world.volume, True)
    set_access(world, burnt_volume, "DESTROYED")
    with world.catalog.read() as r:
        assert [row.aggregate_id for row in placements.to_restore(r, pool_id=world.pool)] == [damaged, *burnt]
        first = placements.to_restore(r, pool_id=world.pool, limit=2)
        after = (first[-1].volume_id, first[-1].offset_bytes)
        rest = placements.to_restore(r, pool_id=world.pool, after=after)
        assert [row.aggregate_id for row in rest] == burnt[1:]
        assert [row.aggregate_id for row in placements.to_restore(r, volume_id=world.volume)] == [
            good,
            damaged,
        ]


def test_placements_added_together_can_be_removed_one_by_one(world: World) -> None:
    with world.catalog.write() as tx:
        first, _ = world.aggregate(tx, b"1")
        second, _ = world.aggregate(tx, b"2")
        placements.add_many(tx, [(second, world.copy_volume, BLOCK), (first, world.copy_volume, 0)])
        placements.remove(tx, second, world.copy_volume)
        rows = placements.on_volume(tx, world.copy_volume)
        assert [(row.aggregate_id, row.offset_bytes) for row in rows] == [(first, 0)]
        assert list(audit.check_row_digests(tx)) == []


def test_an_aggregate_tells_what_is_left_of_it(world: World) -> None:
    with world.catalog.write() as tx:
        aggregate_id, (one, two, three) = world.aggregate(tx, b"1", b"22", b"333")
        ids = world.store(tx, *(new_file(b"", b"%d" % extent, extent) for extent in (one, two, three)))
        objects.delete_objects(tx, [ids[1]])
        assert placements.aggregate_extents(tx, aggregate_id) == [
            (one, 0, 1, digest(b"1")),
            (three, 3, 3, digest(b"333")),
        ]
        row = placements.aggregate(tx, aggregate_id)
        assert (row.extents, row.extent_bytes, row.live_bytes) == (3, 6, 4)
        with pytest.raises(NotFound):
            placements.aggregate(tx, 99)
