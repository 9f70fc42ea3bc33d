"""A catalog with one node, one file space, a primary and a copy pool, and short ways to fill it."""

from __future__ import annotations

import hashlib

from farvault.catalog import extents, nouns, objects, placements, superseded
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Transaction
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind
from farvault.model.volume import Volume

KEY = b"k" * 32
BLOCK = 4096


def digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=32).digest()


class World:
    """What most tests start from. Every write goes through the functions under test."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        with catalog.write() as tx:
            self.node = nouns.insert(tx, Node(name="ALICE"))
            self.other_node = nouns.insert(tx, Node(name="BOB"))
            self.space = nouns.insert(tx, FileSpace(node_id=self.node, name="/home", number=1))
            self.other_space = nouns.insert(tx, FileSpace(node_id=self.other_node, name="/data", number=1))
            self.pool = nouns.insert(
                tx, StoragePool(name="BACKUPPOOL", device_class="F", variant="SEQUENTIAL")
            )
            self.copy_pool = nouns.insert(
                tx, StoragePool(name="COPYPOOL", device_class="F", variant="COPY", pool_type="COPY")
            )
            self.volume = self.make_volume(tx, "/v/1", self.pool)
            self.copy_volume = self.make_volume(tx, "/c/1", self.copy_pool)
        self._offset = 0

    @classmethod
    def of(cls, catalog: Catalog) -> World:
        """The world of a catalog that was filled before."""
        world = cls.__new__(cls)
        world.catalog = catalog
        with catalog.read() as r:
            world.node = nouns.get(r, Node, "ALICE").id
            world.space = nouns.get(r, FileSpace, world.node, "/home").id
            world.pool = nouns.get(r, StoragePool, "BACKUPPOOL").id
            world.volume = nouns.get(r, Volume, "/v/1").id
            used = placements.used_spans(r, world.volume)
        world._offset = used[-1].offset_bytes + BLOCK if used else 0
        return world

    def make_volume(self, tx: Transaction, name: str, pool: int) -> int:
        return nouns.insert(tx, Volume(name=name, pool_id=pool, written_bytes=1 << 40))

    def aggregate(
        self, tx: Transaction, *contents: bytes, node: int = 0, pool: int = 0, volume: int = 0
    ) -> tuple[int, list[int]]:
        """An aggregate whose extents have these contents, placed on the volume."""
        new = extents.NewAggregate(
            record_id=b"r" * 16,
            digest=digest(b"record" + b"".join(contents)),
            stored_bytes=BLOCK,
            plain_bytes=sum(map(len, contents)) + 50,
            codec=1,
            key_id=1,
            node_id=node or self.node,
            file_space_id=self.space,
            domain_pool_id=pool or self.pool,
            extents=[(digest(content), len(content)) for content in contents],
        )
        aggregate_id, ids = extents.add_aggregate(tx, new, 100)
        placements.add(tx, aggregate_id, volume or self.volume, self._offset)
        self._offset += BLOCK
        return aggregate_id, ids

    def rebuild(self, tx: Transaction, aggregate_id: int, *, volume: int = 0) -> int:
        """Made anew from what lives of it, placed on the volume; the old one stays where it lies."""
        inside = [(name, length) for _, _, length, name in placements.aggregate_extents(tx, aggregate_id)]
        new = superseded.Replacement(
            record_id=b"s" * 16,
            digest=digest(b"rebuilt %d" % aggregate_id),
            stored_bytes=BLOCK,
            plain_bytes=sum(length for _, length in inside) + 50,
            codec=1,
            key_id=1,
            extents=inside,
        )
        new_id = superseded.replace(tx, aggregate_id, new)
        assert new_id is not None
        placements.add(tx, new_id, volume or self.volume, self._offset)
        self._offset += BLOCK
        return new_id

    def store(
        self,
        tx: Transaction,
        *new: objects.NewObject,
        now: int = 1000,
        kind: int = ObjectKind.BACKUP,
        space: int = 0,
        node: int = 0,
        management_class: str = "STANDARD",
    ) -> list[int]:
        return objects.store_objects(
            tx,
            node_id=node or self.node,
            file_space_id=space or self.space,
            kind=kind,
            management_class=management_class,
            objects=new,
            now=now,
        )

    def names(self, **options: object) -> list[tuple[bytes, bytes, int, int]]:
        """(directory, name, id, state) of an inventory of the file space."""
        with self.catalog.read() as r:
            rows = objects.inventory(r, self.space, ObjectKind.BACKUP, **options)  # type: ignore[arg-type]
            return [(row.directory, row.name, row.id, row.state) for row in rows]

    def count(self, table: str) -> int:
        with self.catalog.read() as r:
            return int(r.all(f"SELECT COUNT(*) FROM {table}")[0][0])


def new_file(directory: bytes, name: bytes, *extent_ids: int, size: int = 0) -> objects.NewObject:
    return objects.NewObject(directory, name, 1, size, b"attributes", "", extent_ids)
