"""Aggregates that were rebuilt: the new one takes over the extents, the old one stays while it lies somewhere.

Old and new have the same range of extent numbers, so every sum over that range is right for both
(docs/decisions/0024 and 0025).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from farvault.catalog import cached, placements
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.placements import AggregateRow, PlacementRow
from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Snapshot, Transaction


class Replacement(NamedTuple):
    """A sealed record that holds the living extents of an older aggregate."""

    record_id: bytes
    digest: bytes
    stored_bytes: int
    plain_bytes: int
    codec: int
    key_id: int
    extents: Sequence[tuple[bytes, int]]
    """(digest, length) of each, in pack order."""


def any_superseded(r: Snapshot) -> bool:
    return r.one("SELECT 1 FROM superseded_aggregates LIMIT 1") is not None


def replace(tx: Transaction, aggregate_id: int, new: Replacement) -> int | None:
    """Point the aggregate's extents to a new one; returns its number. Placements follow in the same transaction.

    The data is not younger by that: the new one counts as made when the old one was.
    None where nothing of it lives any more, or somebody else has rebuilt it meanwhile. The old one is superseded from
    here on; `forget_unplaced` ends that.
    """
    found = placements.aggregates(tx, (aggregate_id,))
    living = placements.aggregate_extents(tx, aggregate_id) if found else []
    if not living:
        return None
    old = found[0]
    lengths = [length for _, length in new.extents]
    offsets = dict(
        zip((digest for digest, _ in new.extents), accumulate(lengths, initial=0), strict=False)
    )  # what is in the pack twice is used once
    rows = [(number, offsets[digest], length, digest) for number, _, length, digest in living]
    new_id = take_values(tx, "aggregates", 1)
    made = AggregateRow(
        id=new_id,
        record_id=new.record_id,
        digest=new.digest,
        stored_bytes=new.stored_bytes,
        plain_bytes=new.plain_bytes,
        codec=new.codec,
        key_id=new.key_id,
        node_id=old.node_id,
        file_space_id=old.file_space_id,
        domain_pool_id=old.domain_pool_id,
        first_extent_id=old.first_extent_id,
        extents=old.extents,
        extent_bytes=sum(lengths),
        live_bytes=sum(length for _, _, length, _ in rows),
        created_time=old.created_time,
    )
    marks = ", ".join("?" * (len(made) + 1))
    tx.run(f"INSERT INTO aggregates VALUES ({marks})", (*made, tx.digester.of("aggregates", made)))
    moved = [(number, new_id, offset, length, digest) for number, offset, length, digest in rows]
    digests = tx.digester.of_many("extents", moved)
    tx.run_many(
        "UPDATE extents SET aggregate_id = ?, offset_bytes = ?, row_digest = ? WHERE id = ?",
        [(new_id, row[2], row_digest, row[0]) for row, row_digest in zip(moved, digests, strict=True)],
    )
    _supersede(tx, [aggregate_id, *predecessors(tx, (aggregate_id,))[aggregate_id]], new_id)
    return new_id


def _supersede(tx: Transaction, old_ids: Iterable[int], new_id: int) -> None:
    rows = [(old_id, new_id) for old_id in old_ids]
    tx.run_many("DELETE FROM superseded_aggregates WHERE aggregate_id = ?", [(row[0],) for row in rows])
    digests = tx.digester.of_many("superseded_aggregates", rows)
    tx.run_many(
        "INSERT INTO superseded_aggregates VALUES (?, ?, ?)",
        [(*row, row_digest) for row, row_digest in zip(rows, digests, strict=True)],
    )


def predecessors(r: Snapshot, aggregate_ids: Collection[int]) -> dict[int, list[int]]:
    """For each aggregate the older ones that it supersedes, the newest in front."""
    found: dict[int, list[int]] = {one: [] for one in aggregate_ids}
    if any_superseded(r):
        sql = (
            "SELECT by_aggregate_id, aggregate_id FROM superseded_aggregates WHERE by_aggregate_id = ?"
            " ORDER BY aggregate_id DESC"
        )
        for new_id, old_id in r.each(sql, [(one,) for one in aggregate_ids]):
            found[new_id].append(old_id)
    return found


def replacements(r: Snapshot, aggregate_ids: Collection[int]) -> dict[int, int]:
    """Old -> new, for those of these aggregates that are superseded."""
    if not any_superseded(r):
        return {}
    sql = "SELECT aggregate_id, by_aggregate_id FROM superseded_aggregates WHERE aggregate_id = ?"
    return {row[0]: row[1] for row in r.each(sql, [(one,) for one in aggregate_ids])}


def places_of_data(r: Snapshot, aggregate_ids: Collection[int]) -> dict[int, list[PlacementRow]]:
    """For each aggregate every place where its living extents can be had: its own, its replacement's, older ones'.

    Who asks "is this the last place?" must ask this. Each aggregate's own places come first.
    """
    found = placements.of_aggregates(r, aggregate_ids)
    if not any_superseded(r):
        return found
    now = replacements(r, aggregate_ids)
    families: dict[int, set[int]] = {one: {now.get(one, one)} for one in found}
    older = predecessors(r, {now.get(one, one) for one in found})
    others: dict[int, set[int]] = defaultdict(set)
    for one, family in families.items():
        others[one] = (family | set(older[now.get(one, one)])) - {one}
    places = placements.of_aggregates(r, {other for several in others.values() for other in several})
    for one, several in others.items():
        for other in sorted(several):
            found[one] += places[other]
    return found


def forget_unplaced(tx: Transaction, aggregate_ids: Iterable[int]) -> list[FreedSpan]:
    """Of these, superseded ones that lie nowhere any more are gone; returns the spans of their cached copies."""
    if not any_superseded(tx):
        return []
    rows = tx.each(
        "SELECT aggregate_id FROM superseded_aggregates s WHERE aggregate_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM placements p WHERE p.aggregate_id = s.aggregate_id)",
        [(one,) for one in set(aggregate_ids)],
    )
    given_up = cached.take_of_aggregates(tx, [row[0] for row in rows])
    tx.run_many("DELETE FROM superseded_aggregates WHERE aggregate_id = ?", rows)
    tx.run_many("DELETE FROM aggregates WHERE id = ?", rows)
    return given_up
