"""Deleting objects, and what becomes free by it: extents nobody uses, aggregates without extents, their placements.

Accounts are exact: `live_bytes` of an aggregate is at all times the sum of the lengths of its extents. One call does
a bounded piece of work, so that a write transaction stays short also where a file has a million extents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from farvault.catalog import cached, extent_index, object_rows, owners, placements, superseded
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.object_rows import ObjectColumns
from farvault.catalog.transaction import Snapshot, Transaction, runs_of
from farvault.model.stored_object import ObjectKind, ObjectState, ObjectType

WORK_LIMIT = 2048
"""Objects and extents handled in one call: well under 100 ms."""
_BATCH = 100
_FEWEST = 16


class Freed(NamedTuple):
    """What one call did. `left`: objects it did not get to; call again with them, in another transaction."""

    objects: int
    extents: int
    aggregates: int
    live_bytes: int
    """Plain bytes that are needed no more."""
    spans: list[FreedSpan]
    left: list[int]


def next_size(size: int, done: Freed, most: int = WORK_LIMIT) -> int:
    """How many objects to look at in the next transaction, when this one looked at `size`: about as many as it will do."""
    return max(2 * done.objects, _FEWEST) if done.left else min(2 * size, most)


def delete_objects(tx: Transaction, ids: Iterable[int], limit: int = WORK_LIMIT) -> Freed:
    """Delete objects for good, at most `limit` of them and of their extents; numbers without an object are skipped.

    An object with more extents than that vanishes from every list at once and loses its extents piece by piece;
    after a crash `unfinished_deletions` names it.
    """
    wanted = list(dict.fromkeys(ids))
    left = wanted[limit:]
    used: set[int] = set()
    done: list[ObjectColumns] = []
    room = limit
    for row, extents in _with_extents(tx, wanted[:limit], limit):
        if len(extents) > room:
            left = wanted[wanted.index(row.id) :]
            if not done:
                used.update(_shorten(tx, row, room))
            break
        room -= len(extents)
        used.update(extents)
        done.append(row)
    tx.run_many("DELETE FROM object_extents WHERE object_id = ?", [(row.id,) for row in done])
    tx.run_many(
        "DELETE FROM objects WHERE file_space_id = ? AND directory_id = ? AND name = ? AND id = ?",
        [row[:4] for row in done],
    )
    tx.run_many("DELETE FROM deletions WHERE object_id = ?", [(row.id,) for row in done])
    archived = [(row.id,) for row in done if row.kind == ObjectKind.ARCHIVE]
    if archived and tx.one("SELECT 1 FROM retention_events LIMIT 1") is not None:
        tx.run_many("DELETE FROM retention_events WHERE object_id = ?", archived)
    virtual = [(row.id,) for row in done if row.type == ObjectType.VIRTUAL_VOLUME]
    tx.run_many("DELETE FROM segments WHERE object_id = ?", virtual)
    return free_extents(tx, used)._replace(objects=len(done), left=left)


def hide(tx: Transaction, rows: Sequence[ObjectColumns]) -> None:
    """From here on these objects cannot be seen, revived or added to: what is left is deleting them piece by piece."""
    hidden = [row._replace(state=int(ObjectState.OPEN)) for row in rows if row.state != ObjectState.OPEN]
    object_rows.replace_rows(tx, hidden)
    tx.run_many("INSERT INTO deletions VALUES (?) ON CONFLICT DO NOTHING", [(row.id,) for row in rows])
    virtual = [(row.id,) for row in rows if row.type == ObjectType.VIRTUAL_VOLUME]
    tx.run_many("DELETE FROM segments WHERE object_id = ?", virtual)


def free_extents(tx: Transaction, extent_ids: Iterable[int]) -> Freed:
    """Of these extents, delete those without a user, and aggregates that lose their last one with all placements."""
    dead = _without_user(tx, sorted(set(extent_ids)))
    for extent_id, _, _, _ in dead:
        tx.extent_lengths.pop(extent_id, None)
    lowered: dict[int, int] = defaultdict(int)
    for _, aggregate_id, length, _ in dead:
        lowered[aggregate_id] += length
    gone, domains = _lower(tx, lowered)
    tx.run_many("DELETE FROM extents WHERE id >= ? AND id <= ?", runs_of([row[0] for row in dead]))
    extent_index.remove(tx, [(domains[at], digest, extent_id) for extent_id, at, _, digest in dead])
    spans = remove_aggregates(tx, gone)
    return Freed(0, len(dead), len(gone), sum(lowered.values()), spans, [])


def unfinished_deletions(r: Snapshot) -> list[int]:
    """Objects whose deletion a crash has interrupted: hand them to `delete_objects` at start."""
    return [row[0] for row in r.all("SELECT object_id FROM deletions ORDER BY object_id")]


def _with_extents(tx: Transaction, ids: list[int], room: int) -> Iterator[tuple[ObjectColumns, list[int]]]:
    """Each object there is with its extents, one more than `room` where it has more than that.

    What is fetched and then does not fit is fetched again in the next transaction: so not more at once than should fit,
    going by those before.
    """
    sql = "SELECT object_id, extent_id FROM object_extents WHERE object_id = ? LIMIT ?"
    at = extents = 0
    size = 1
    while at < len(ids):
        rows = object_rows.fetch(tx, ids[at : at + size])
        at += size
        found: dict[int, list[int]] = {row.id: [] for row in rows}
        for object_id, extent_id in tx.each(sql, [(row.id, room + 1) for row in rows]):
            found[object_id].append(extent_id)
        yield from ((row, found[row.id]) for row in rows)
        extents += sum(map(len, found.values()))
        fitting = (room - extents) * at // max(extents, 1) + 1
        size = max(1, min(fitting, _BATCH))


def _shorten(tx: Transaction, row: ObjectColumns, count: int) -> list[int]:
    """Hide an object and cut its last `count` extents off; returns them."""
    hide(tx, [row])
    cut = tx.all(
        "SELECT offset_bytes, extent_id FROM object_extents WHERE object_id = ? ORDER BY offset_bytes DESC LIMIT ?",
        (row.id, count),
    )
    tx.run("DELETE FROM object_extents WHERE object_id = ? AND offset_bytes >= ?", (row.id, cut[-1][0]))
    return [extent_id for _, extent_id in cut]


def _without_user(tx: Transaction, extent_ids: Sequence[int]) -> list[tuple[int, int, int, bytes]]:
    """(id, aggregate, length, digest) of those that no object uses."""
    rows = tx.each(
        "SELECT id, aggregate_id, length_bytes, digest FROM extents WHERE id >= ? AND id <= ?"
        " AND NOT EXISTS (SELECT 1 FROM object_extents x WHERE x.extent_id = extents.id)",
        runs_of(extent_ids),
    )
    return [(extent_id, aggregate_id, length, digest) for extent_id, aggregate_id, length, digest in rows]


def _lower(tx: Transaction, lowered: dict[int, int]) -> tuple[list[int], dict[int, int]]:
    """Take these bytes off each aggregate's account; returns those at zero, and every one's domain.

    What an aggregate was rebuilt from has the same account.
    """
    gone: list[int] = []
    domains: dict[int, int] = {}
    changed, shrunk = [], []
    for new_id, old_ids in superseded.predecessors(tx, list(lowered)).items():
        lowered.update((old_id, lowered[new_id]) for old_id in old_ids)
    for row in placements.aggregates(tx, list(lowered)):
        before, row = row, row._replace(live_bytes=row.live_bytes - lowered[row.id])
        domains[row.id] = row.domain_pool_id
        if row.live_bytes == 0:
            gone.append(row.id)
        else:
            changed.append(row)
            shrunk.append(placements.shrunk(before, row))
    digests = tx.digester.of_many("aggregates", changed)
    tx.run_many(
        "UPDATE aggregates SET live_bytes = ?, row_digest = ? WHERE id = ?",
        [(row.live_bytes, digest, row.id) for row, digest in zip(changed, digests, strict=True)],
    )
    owners.shrunk(tx, shrunk)
    return gone, domains


def remove_aggregates(tx: Transaction, aggregate_ids: list[int]) -> list[FreedSpan]:
    """These have no extents any more: they go with all their placements, whose spans are returned."""
    many = [(aggregate_id,) for aggregate_id in aggregate_ids]
    rows = list(
        tx.each(
            "SELECT p.volume_id, p.offset_bytes, a.stored_bytes, a.id FROM placements p"
            " JOIN aggregates a ON a.id = p.aggregate_id WHERE p.aggregate_id = ?",
            many,
        )
    )
    given_up = cached.take_of_aggregates(tx, aggregate_ids)
    owners.removed(tx, [(row[3], row[0]) for row in rows])
    tx.run_many("DELETE FROM placements WHERE aggregate_id = ?", many)
    tx.run_many("DELETE FROM superseded_aggregates WHERE aggregate_id = ?", many)
    tx.run_many("DELETE FROM aggregates WHERE id = ?", many)
    return sorted([*(FreedSpan(*row[:3]) for row in rows), *given_up])
