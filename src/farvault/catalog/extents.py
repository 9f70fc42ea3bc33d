"""Extents and the aggregates that hold them: what is known in a domain of deduplication, and adding what is new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from farvault.catalog import extent_index
from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Snapshot, Transaction

_SHARED_LOOK = 1000
"""How many users of a foreign extent are looked at to find one of the asking node's own."""


class NewAggregate(NamedTuple):
    """A sealed record and the extents inside it, in pack order."""

    record_id: bytes
    digest: bytes
    stored_bytes: int
    plain_bytes: int
    codec: int
    key_id: int
    node_id: int
    file_space_id: int
    domain_pool_id: int
    extents: Sequence[tuple[bytes, int]]
    """(digest, length) of each."""


class Found(NamedTuple):
    """A stored, readable extent. `node_id`: who sent its aggregate first."""

    digest: bytes
    extent_id: int
    length_bytes: int
    aggregate_id: int
    node_id: int


def lookup(r: Snapshot, domain_pool_id: int, digests: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
    """Digest -> (extent id, length) of those that are stored and readable in this domain.

    An extent all of whose placements are damaged or out of reach counts as unknown: it is stored anew, so that what is
    acknowledged now restores now.
    """
    return {
        found.digest: (found.extent_id, found.length_bytes) for found in _readable(r, domain_pool_id, digests)
    }


def known(r: Snapshot, node_id: int, domain_pool_id: int, digests: Sequence[bytes]) -> bytes:
    """For each digest 1 where `lookup` would find it and this node has sent it or owns an object with it; else 0.

    What another node has stored is never told: asking must not prove anything.
    """
    return bytes(
        map({found.digest for found in own(r, node_id, domain_pool_id, digests)}.__contains__, digests)
    )


def own(r: Snapshot, node_id: int, domain_pool_id: int, digests: Iterable[bytes]) -> list[Found]:
    """Of what `lookup` finds, that which this node has sent or owns an object with; the newest of a digest last."""
    return [
        found
        for found in _readable(r, domain_pool_id, digests)
        if found.node_id == node_id or _uses(r, node_id, found.extent_id)
    ]


def add_aggregate(tx: Transaction, new: NewAggregate, now: int) -> tuple[int, list[int]]:
    """Add an aggregate and its extents; returns their numbers. Placements follow in the same transaction.

    `ValueError` for an aggregate without extents or an extent without bytes: nothing would ever free them.
    """
    lengths = [length for _, length in new.extents]
    if not lengths or min(lengths) <= 0:
        raise ValueError("an aggregate holds at least one extent, and an extent at least one byte")
    aggregate_id = take_values(tx, "aggregates", 1)
    first = take_values(tx, "extents", len(lengths))
    ids = list(range(first, first + len(lengths)))
    total = sum(lengths)
    values = (
        aggregate_id,
        new.record_id,
        new.digest,
        new.stored_bytes,
        new.plain_bytes,
        new.codec,
        new.key_id,
        new.node_id,
        new.file_space_id,
        new.domain_pool_id,
        first,
        len(lengths),
        total,
        total,
        now,
    )
    tx.run(
        "INSERT INTO aggregates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, tx.digester.of("aggregates", values)),
    )
    rows = [
        (extent_id, aggregate_id, offset, length, digest)
        for extent_id, offset, (digest, length) in zip(
            ids, accumulate(lengths, initial=0), new.extents, strict=False
        )
    ]
    row_digests = tx.digester.of_many("extents", rows)
    tx.run_many(
        "INSERT INTO extents VALUES (?, ?, ?, ?, ?, ?)",
        [(*row, row_digest) for row, row_digest in zip(rows, row_digests, strict=True)],
    )
    extent_index.add(tx, new.domain_pool_id, [(digest, extent_id) for extent_id, _, _, _, digest in rows])
    tx.extent_lengths.update(zip(ids, lengths, strict=True))
    return aggregate_id, ids


def stored(r: Snapshot, domain_pool_id: int, digests: Iterable[bytes]) -> set[bytes]:
    """Those of these digests that any extent of this domain has, readable or not."""
    return {row[0] for row in extent_index.candidates(r, domain_pool_id, digests)}


def _readable(r: Snapshot, domain_pool_id: int, digests: Iterable[bytes]) -> list[Found]:
    """Every stored extent with one of these digests that can be read; the newest one of each digest last."""
    found = [Found._make(row) for row in extent_index.candidates(r, domain_pool_id, digests)]
    good = readable_aggregates(r, {one.aggregate_id for one in found})
    return [one for one in found if one.aggregate_id in good]


def readable_aggregates(r: Snapshot, aggregate_ids: Iterable[int]) -> set[int]:
    """Those that have a placement that is not damaged, on a volume and in a pool that may be read now."""
    rows = r.each(
        "SELECT p.aggregate_id FROM placements p JOIN volumes v ON v.id = p.volume_id"
        " JOIN storage_pools s ON s.id = v.pool_id WHERE p.aggregate_id = ? AND p.damaged = 0"
        " AND v.access IN ('READWRITE', 'READONLY') AND v.status <> 'OFFLINE'"
        " AND s.access IN ('READWRITE', 'READONLY') LIMIT 1",
        [(aggregate_id,) for aggregate_id in sorted(aggregate_ids)],
    )
    return {row[0] for row in rows}


def _uses(r: Snapshot, node_id: int, extent_id: int) -> bool:
    row = r.one(
        "SELECT 1 FROM (SELECT object_id FROM object_extents WHERE extent_id = ? ORDER BY object_id DESC LIMIT ?) x"
        " JOIN objects o ON o.id = x.object_id JOIN file_spaces f ON f.id = o.file_space_id"
        " WHERE f.node_id = ? LIMIT 1",
        (extent_id, _SHARED_LOOK, node_id),
    )
    return row is not None
