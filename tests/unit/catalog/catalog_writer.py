"""Run by the crash tests as a process of its own: writes transactions in a loop and says each one on standard output
after it was acknowledged, until it is killed. `python catalog_writer.py PATH`."""

from __future__ import annotations

import sys

from farvault.base.clock import ManualClock
from farvault.base.disk import crash_point
from farvault.catalog import nouns, objects, writer
from farvault.catalog.catalog import Catalog
from farvault.model.node import Node

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    from tests.unit.catalog.catalog_world import KEY, World, new_file

    writer.WAL_CHECKPOINT_BYTES = 256 * 1024  # checkpoints come often
    catalog = Catalog.open(sys.argv[1], KEY, ManualClock())
    with catalog.read() as r:
        filled = nouns.count(r, Node)
    world = World.of(catalog) if filled else World(catalog)
    for _ in range(10_000):
        with catalog.write() as tx:
            last = tx.one("SELECT MAX(inserted_time) FROM objects")
            generation = (last[0] if last and last[0] else 0) + 1
            _, extents = world.aggregate(tx, *(b"%d %d" % (generation, part) for part in range(20)))
            new = [new_file(b"dir%d" % (generation % 5), b"%d" % part, extents[part]) for part in range(20)]
            world.store(tx, *new, now=generation)
            old = tx.all("SELECT id FROM objects WHERE inserted_time < ?", (generation - 10,))
            objects.delete_objects(tx, [row[0] for row in old])
            crash_point("test.body.end")
        print(generation, flush=True)
