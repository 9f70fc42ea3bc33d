"""Figures that add up: over volumes to the pool, over nodes to the pool, and to nothing when everything is deleted."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.catalog.catalog_world import KEY, World, new_file

from farvault.base.clock import ManualClock
from farvault.catalog import nouns, objects, owners, placements
from farvault.catalog.catalog import Catalog
from farvault.catalog.occupancy import occupancy
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind

actions = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "archive", "share", "copy", "again", "damage", "delete"]),
        st.integers(0, 30),
        st.integers(1, 5000),
    ),
    max_size=25,
)


def used(r: Snapshot, pool: int) -> int:
    return sum(one.live_bytes for one in owners.pool_bytes(r, pool).values())


class Actor:
    """Does something of everything that moves these figures. Copies go to the copy pool's volumes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.extents: list[int] = []
        self.aggregates: list[int] = []
        self.turn = 0
        with world.catalog.write() as tx:
            self.second_volume = world.make_volume(tx, "/v/2", world.pool)

    def do(self, what: str, which: int, size: int) -> None:
        self.turn += 1
        world = self.world
        with world.catalog.write() as tx:
            if what in ("alice", "bob", "archive") or not self.aggregates:
                parts = [b"%d-%d" % (self.turn, n) * (size // (n + 1) + 1) for n in range(which % 4 + 1)]
                aggregate_id, ids = world.aggregate(tx, *parts)
                self.aggregates.append(aggregate_id)
                self.extents += ids
                self._store(tx, what, ids)
            elif what == "share":
                living = [one for one in self.extents if tx.one("SELECT 1 FROM extents WHERE id = ?", (one,))]
                if living:
                    self._store(tx, ("alice", "bob", "archive")[size % 3], [living[which % len(living)]] * 2)
            elif what in ("copy", "again"):
                one = self.aggregates[which % len(self.aggregates)]
                volume = world.copy_volume if what == "copy" else self.second_volume
                places = placements.of_aggregates(tx, [one])[one]
                if places and volume not in {row.volume_id for row in places}:
                    placements.add(tx, one, volume, self.turn * 1 << 20)
            elif what == "damage":
                for row in placements.of_aggregates(
                    tx, [self.aggregates[which % len(self.aggregates)]]
                ).values():
                    for place in row[:1]:
                        placements.mark_damaged(tx, place.aggregate_id, place.volume_id, True)
            else:
                found = tx.all("SELECT id FROM objects ORDER BY id")
                objects.delete_objects(tx, [found[which % len(found)][0]] if found else [])

    def _store(self, tx: object, who: str, ids: list[int]) -> None:
        world = self.world
        one = new_file(b"", b"%d" % self.turn, *ids)
        if who == "bob":
            world.store(tx, one, node=world.other_node, space=world.other_space)  # type: ignore[arg-type]
        else:
            kind = ObjectKind.ARCHIVE if who == "archive" else ObjectKind.BACKUP
            world.store(tx, one, kind=kind)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=actions)
def test_over_all_nodes_the_space_is_that_of_the_pool(
    steps: list[tuple[str, int, int]], tmp_path_factory: object
) -> None:
    folder = tmp_path_factory.mktemp("sums")  # type: ignore[attr-defined]
    catalog = Catalog.create(str(folder / "catalog.db"), KEY, ManualClock())
    try:
        actor = Actor(World(catalog))
        for step in steps:
            actor.do(*step)
        with catalog.read() as r:
            rows = occupancy(r)
            for pool in nouns.select(r, StoragePool):
                mine = [row for row in rows if row.pool == pool.name]
                difference = sum(row.physical_bytes for row in mine) - used(r, pool.id)
                assert abs(difference) <= len(mine), "each row is rounded to a byte"
        with catalog.write() as tx:
            objects.delete_objects(tx, [row[0] for row in tx.all("SELECT id FROM objects")])
        with catalog.read() as r:
            assert occupancy(r) == []
            assert used(r, actor.world.pool) == used(r, actor.world.copy_pool) == 0
    finally:
        catalog.close()
