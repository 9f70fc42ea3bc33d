"""A virtual volume at its target, as tests of the catalog make one: segments of records of node DELHI."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.catalog.catalog_world import World

from farvault.catalog import audit, vault
from farvault.catalog.transaction import Transaction

VOLUME = "ADSM.DELHI.BFS.1"
DAY = vault.DAY_SECONDS


def records(world: World, tx: Transaction, *contents: bytes) -> list[tuple[int, int]]:
    """Each content as a record of its own, as a target stores it: (extent id, length)."""
    return [(world.aggregate(tx, content)[1][0], len(content)) for content in contents]


def send(
    world: World,
    contents: Sequence[bytes],
    offset: int = 0,
    volume: str = VOLUME,
    now: int = 100,
    node: int = 0,
) -> int:
    """A whole segment in three transactions; returns its object."""
    with world.catalog.write() as tx:
        segment = vault.open_segment(tx, node or world.node, world.space, volume, offset, now)
    with world.catalog.write() as tx:
        vault.append_records(tx, segment, records(world, tx, *contents))
    with world.catalog.write() as tx:
        size = sum(map(len, contents))
        vault.close_segment(tx, segment, size, len(contents), b"D" * 32, b"receipt", now)
    return segment


def check(world: World) -> None:
    with world.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []


def spans(world: World, *wanted: tuple[int, int]) -> list[bytes | None]:
    with world.catalog.read() as r:
        return [found and found[0] for found in vault.spans(r, world.node, VOLUME, wanted)]
