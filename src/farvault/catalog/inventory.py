"""Target side: the virtual volumes of a source, one row each, as RECONCILE VOLUMES compares them.

What counts of a volume are its segments that are closed and not marked; where all are marked, those that `unmark`
would bring back. Open segments and those given up are nobody's yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec

from farvault.catalog.transaction import Snapshot
from farvault.seal.digest import digest_parts


class InventoryRow(NamedTuple):
    """One virtual volume. `digest`: BLAKE3 over its segments' digests in order; `epoch`: the highest in their receipts."""

    volume: str
    marked: bool
    stored_bytes: int
    records: int
    digest: bytes
    epoch: int


class _Segment(NamedTuple):
    volume: str
    offset_bytes: int
    object_id: int
    stored_bytes: int
    records: int
    digest: bytes
    marked_time: int
    receipt: bytes | None


class _Epoch(msgspec.Struct, frozen=True):
    """The one field of a receipt that is needed here; the others are skipped."""

    epoch: int = 0


_epoch_of = msgspec.msgpack.Decoder(_Epoch).decode

_SELECT = (
    "SELECT s.volume, s.offset_bytes, s.object_id, s.stored_bytes, s.records, s.digest, s.marked_time, c.receipt"
    " FROM segments s LEFT JOIN receipts c ON c.node_id = s.node_id AND c.number = s.receipt_number"
    " WHERE s.node_id = ? AND s.volume {from_} ? AND s.received_time > 0"
    " ORDER BY s.volume, s.offset_bytes, s.object_id"
)


def inventory(
    r: Snapshot, node_id: int, prefix: str = "", after: str = "", limit: int = 1000
) -> list[InventoryRow]:
    """The next volumes by name behind `after` whose names begin with `prefix`; fewer than `limit`: there are no more."""
    sql = _SELECT.format(from_=">" if after >= prefix else ">=")
    rows = map(_Segment._make, r.rows(sql, (node_id, max(after, prefix))))
    found: list[InventoryRow] = []
    for volume, segments in groupby(rows, key=lambda one: one.volume):
        if not volume.startswith(prefix) or len(found) == limit:
            break
        found.append(_summed(volume, segments))
    return found


def every_volume(r: Snapshot, node_id: int) -> Iterator[InventoryRow]:
    """All of a node's, page by page."""
    after = ""
    while page := inventory(r, node_id, after=after):
        yield from page
        after = page[-1].volume


def receipts_by_number(r: Snapshot, node_id: int, numbers: Iterable[int]) -> list[bytes]:
    """The receipts given under these numbers; empty where there is none."""
    sql = "SELECT receipt FROM receipts WHERE node_id = ? AND number = ?"
    rows = (r.one(sql, (node_id, number)) for number in numbers)
    return [b"" if row is None else bytes(row[0]) for row in rows]


def _summed(volume: str, segments: Iterable[_Segment]) -> InventoryRow:
    closed = list(segments)
    counted = [one for one in closed if not one.marked_time]
    marked = not counted
    if marked:
        counted = sorted(_newest(closed), key=lambda one: one.offset_bytes)
    return InventoryRow(
        volume,
        marked,
        sum(one.stored_bytes for one in counted),
        sum(one.records for one in counted),
        digest_parts(one.digest for one in counted),
        max((_epoch_of(one.receipt).epoch for one in counted if one.receipt), default=0),
    )


def _newest(closed: list[_Segment]) -> list[_Segment]:
    """Of segments that overlap the newest: what `vault.unmark` makes active."""
    standing: list[_Segment] = []
    for row in sorted(closed, key=lambda one: -one.object_id):
        end = row.offset_bytes + row.stored_bytes
        if all(
            end <= s.offset_bytes or s.offset_bytes + s.stored_bytes <= row.offset_bytes for s in standing
        ):
            standing.append(row)
    return standing
