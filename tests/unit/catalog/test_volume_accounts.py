"""What the accounts of a volume say is what a walk over its placements gives, whatever has happened."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.catalog.catalog_world import BLOCK, KEY, World
from tests.unit.catalog.test_occupancy_sums import Actor

from farvault.base.clock import ManualClock
from farvault.catalog import audit, cached, nouns, objects, owners, placements, superseded
from farvault.catalog.catalog import Catalog
from farvault.catalog.owners import NOTHING, VolumeBytes
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

KINDS = ["alice", "bob", "share", "copy", "again", "damage", "delete", "delete", "move", "rebuild", "cache"]
actions = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(1, 5000)), min_size=1, max_size=25
)


class Mover(Actor):
    """Also moves data between volumes, makes it anew and leaves cached copies behind."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        with world.catalog.write() as tx:
            disk = nouns.insert(tx, StoragePool(name="DISKPOOL", device_class="DISK", variant="RANDOM"))
            self.disk_volume = world.make_volume(tx, "/d/1", disk)

    def do(self, what: str, which: int, size: int) -> None:
        if what not in ("move", "rebuild", "cache") or not self.aggregates:
            super().do(what, which, size)
            return
        self.turn += 1
        with self.world.catalog.write() as tx:
            one = self.aggregates[which % len(self.aggregates)]
            places = placements.of_aggregates(tx, [one])[one]
            if not places:
                return
            if what == "rebuild" and not superseded.replacements(tx, [one]):
                self.aggregates.append(self.world.rebuild(tx, one))
            elif what == "move" and all(row.volume_id != self.disk_volume for row in places):
                placements.remove(tx, one, places[0].volume_id)
                placements.add(tx, one, self.disk_volume, self.turn * BLOCK)
            elif what == "cache":
                cached.keep(tx, [row for row in places if row.volume_id == self.disk_volume], self.turn)
                superseded.forget_unplaced(tx, [one])


def walked(r: Snapshot, volume_id: int) -> VolumeBytes:
    stored = live = 0
    for row in placements.on_volume(r, volume_id):
        one = placements.aggregate(r, row.aggregate_id)
        stored += one.stored_bytes
        live += one.stored_bytes * one.live_bytes // one.extent_bytes
    return VolumeBytes(stored, live)


def check(r: Snapshot) -> None:
    for pool in nouns.select(r, StoragePool):
        accounts = owners.pool_bytes(r, pool.id)
        for volume in nouns.select(r, Volume, pool_id=pool.id):
            kept = accounts.pop(volume.id, NOTHING)
            assert kept == owners.volume_bytes(r, volume.id) == walked(r, volume.id), volume.name
        assert accounts == {}
    assert [one for one in audit.check_sums(r) if one.startswith(audit.WRONG_OWNER)] == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=actions)
def test_the_accounts_of_a_volume_are_what_lies_on_it(
    steps: list[tuple[str, int, int]], tmp_path_factory: object
) -> None:
    folder = tmp_path_factory.mktemp("accounts")  # type: ignore[attr-defined]
    catalog = Catalog.create(str(folder / "catalog.db"), KEY, ManualClock())
    try:
        actor = Mover(World(catalog))
        for step in steps:
            actor.do(*step)
            with catalog.read() as r:
                check(r)
        with catalog.write() as tx:
            objects.delete_objects(tx, [row[0] for row in tx.all("SELECT id FROM objects")])
        with catalog.read() as r:
            check(r)
            assert r.one("SELECT 1 FROM volume_owners") is None
    finally:
        catalog.close()
