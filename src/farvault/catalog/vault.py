"""Target side: the virtual volumes that sources keep here, as segments made of sealed records.

A segment is one archive object of the source; each record is one extent of it, addressed by the digest in the
record's own header. While a segment is being received its object is OPEN and invisible, but its records are known
already: a transfer that broke goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from farvault.base.errors import NotFound, PeerMisbehaved
from farvault.base.wildcard import wildcard
from farvault.catalog import directories, object_rows
from farvault.catalog.extents import Found, own
from farvault.catalog.freeing import hide
from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.stored_object import ObjectKind, ObjectState, ObjectType
from farvault.seal.digest import digest_parts

DAY_SECONDS = 86_400
SUPERSEDED_DAYS = 5
DEFAULT_CLASS = "DEFAULT"


class SegmentRow(NamedTuple):
    """One archive file of a virtual volume; columns as in `docs/catalog.md`."""

    object_id: int
    node_id: int
    volume: str
    offset_bytes: int
    stored_bytes: int
    records: int
    digest: bytes
    received_time: int
    abandoned_time: int
    marked_time: int
    delete_time: int
    receipt_number: int
    received_running: int = 0
    marked_running: int = 0

    @property
    def is_open(self) -> bool:
        """Still being received, by a session that is alive."""
        return not self.received_time and not self.abandoned_time

    @property
    def end_bytes(self) -> int:
        return self.offset_bytes + self.stored_bytes


_SELECT = f"SELECT {', '.join(SegmentRow._fields)} FROM segments"


# --- receiving -----------------------------------------------------------------------------------------------------


def open_segment(
    tx: Transaction,
    node_id: int,
    file_space_id: int,
    volume: str,
    offset_bytes: int,
    now: int,
    *,
    management_class: str = DEFAULT_CLASS,
) -> int:
    """Begin a segment; returns the number of its object. Open segments of the same volume are given up."""
    for row in _segments(tx, node_id, volume):
        if row.is_open:
            _write(tx, row._replace(abandoned_time=now))
    directory = volume.encode()
    object_id = take_values(tx, "objects", 1)
    place = (file_space_id, directories.resolve(tx, file_space_id, (directory,))[directory])
    kinds = (int(ObjectKind.ARCHIVE), int(ObjectType.VIRTUAL_VOLUME), int(ObjectState.OPEN))
    class_id = object_rows.class_id(tx, management_class)
    name = b"%016x" % offset_bytes
    object_rows.insert_rows(tx, [(*place, name, object_id, *kinds, class_id, 0, now, 0, b"", "")], [()])
    _insert(tx, SegmentRow(object_id, node_id, volume, offset_bytes, 0, 0, b"", 0, 0, 0, 0, 0))
    return object_id


def append_records(tx: Transaction, object_id: int, records: Sequence[tuple[int, int]]) -> None:
    """Add (extent id, length) at the end of an open segment. `NotFound` where it is not open, or an extent is gone."""
    row = _open(tx, object_id)
    ids = [extent_id for extent_id, _ in records]
    lengths: dict[int, int] = dict(
        tx.each("SELECT id, length_bytes FROM extents WHERE id = ?", [(i,) for i in set(ids)])
    )
    if gone := [extent_id for extent_id in ids if extent_id not in lengths]:
        raise NotFound("ANR0141E", count=len(gone))
    position = row.stored_bytes
    pairs = []
    for extent_id in ids:
        pairs.append((object_id, position, extent_id))
        position += lengths[extent_id]
    tx.run_many("INSERT INTO object_extents VALUES (?, ?, ?)", pairs)
    _write(tx, row._replace(stored_bytes=position, records=row.records + len(ids)))


def close_segment(
    tx: Transaction,
    object_id: int,
    stored_bytes: int,
    records: int,
    digest: bytes,
    receipt: bytes,
    now: int,
    running: int = 0,
) -> int:
    """The segment is complete and visible; keeps the receipt and returns its number (the one after `last_receipt`).

    Closed segments that reach behind its start are of a past this source has forgotten: they are marked, and what one
    of them holds before that start stands from now on as a segment of its own. `PeerMisbehaved` where the source
    counts other bytes or records than have come.
    """
    row = _open(tx, object_id)
    if (row.stored_bytes, row.records) != (stored_bytes, records):
        raise PeerMisbehaved("ANR0143E", volume=row.volume, told=records, came=row.records)
    for other in _segments(tx, row.node_id, row.volume):
        if other.received_time and not other.marked_time and other.end_bytes > row.offset_bytes:
            if other.offset_bytes < row.offset_bytes:
                _keep_front(tx, other, row.offset_bytes - other.offset_bytes)
            _mark(tx, other, now, SUPERSEDED_DAYS, running)
    last = last_receipt(tx, row.node_id)
    number = last[0] + 1 if last else 1
    tx.run("INSERT INTO receipts VALUES (?, ?, ?)", (row.node_id, number, receipt))
    closed = row._replace(digest=digest, received_time=now, receipt_number=number, received_running=running)
    _write(tx, closed)
    stored = object_rows.fetch(tx, (object_id,))[0]
    active = stored._replace(state=int(ObjectState.ACTIVE), size_bytes=stored_bytes, inserted_time=now)
    object_rows.replace_rows(tx, [active])
    return number


def _keep_front(tx: Transaction, row: SegmentRow, front_bytes: int) -> None:
    """The first records of a closed segment, as a segment of their own with the same receipt."""
    front = tx.all(
        "SELECT x.offset_bytes, x.extent_id, e.length_bytes, e.digest FROM object_extents x"
        " JOIN extents e ON e.id = x.extent_id WHERE x.object_id = ? AND x.offset_bytes < ? ORDER BY x.offset_bytes",
        (row.object_id, front_bytes),
    )
    kept = [record for record in front if record[0] + record[2] <= front_bytes]
    if not kept:
        return
    object_id = take_values(tx, "objects", 1)
    size = kept[-1][0] + kept[-1][2]
    whole = object_rows.fetch(tx, (row.object_id,))[0]
    active = (int(ObjectState.ACTIVE), whole.class_id, size, whole.inserted_time, 0, b"", "")
    pairs = tuple(number for at, extent_id, _, _ in kept for number in (at, extent_id))
    object_rows.insert_rows(tx, [(*whole[:3], object_id, whole.kind, whole.type, *active)], [pairs])
    tx.run_many(
        "INSERT INTO object_extents VALUES (?, ?, ?)", [(object_id, at, extent) for at, extent, _, _ in kept]
    )
    digest = digest_parts(record[3] for record in kept)
    _insert(tx, row._replace(object_id=object_id, stored_bytes=size, records=len(kept), digest=digest))


def abort_segment(tx: Transaction, object_id: int, now: int) -> None:
    """Give an open segment up. Its records stay known until `abandoned` names it and it is deleted."""
    _write(tx, _open(tx, object_id)._replace(abandoned_time=now))


def last_receipt(r: Snapshot, node_id: int) -> tuple[int, bytes] | None:
    """(number, receipt) of the newest receipt given to this source."""
    row = r.one(
        "SELECT number, receipt FROM receipts WHERE node_id = ? ORDER BY number DESC LIMIT 1", (node_id,)
    )
    return None if row is None else (int(row[0]), bytes(row[1]))


# --- what is here --------------------------------------------------------------------------------------------------


def find_records(r: Snapshot, node_id: int, digests: Iterable[bytes]) -> dict[bytes, Found]:
    """Those of these records that the source has sent and that can be read, by digest."""
    wanted = list(digests)
    domains = r.all("SELECT id FROM storage_pools WHERE pool_type = 'PRIMARY' ORDER BY id")
    return {found.digest: found for (domain,) in domains for found in own(r, node_id, domain, wanted)}


def known_records(r: Snapshot, node_id: int, digests: Sequence[bytes]) -> bytes:
    """For each digest 1 where `find_records` has it, else 0."""
    return bytes(map(find_records(r, node_id, digests).__contains__, digests))


def segment(r: Snapshot, object_id: int) -> SegmentRow:
    """One segment; `NotFound`."""
    row = r.one(f"{_SELECT} WHERE object_id = ?", (object_id,))
    if row is None:
        raise NotFound("ANR0144E", number=object_id)
    return SegmentRow._make(row)


def volume_length(r: Snapshot, node_id: int, volume: str) -> int:
    """Where the closed, unmarked segments of a volume end; 0 where there are none."""
    ends = [s.end_bytes for s in _segments(r, node_id, volume) if s.received_time and not s.marked_time]
    return max(ends, default=0)


def spans(
    r: Snapshot, node_id: int, volume: str, wanted: Iterable[tuple[int, int]]
) -> list[tuple[bytes, int, int] | None]:
    """(record digest, aggregate id, length) for each (offset, length) of a volume; None where no such record is.

    Marked segments answer only where the whole volume is marked: beside active ones they are a forgotten past.
    """
    closed = [s for s in _segments(r, node_id, volume) if s.received_time]
    closed = [s for s in closed if not s.marked_time] or sorted(closed, key=lambda s: -s.object_id)
    sql = (
        "SELECT e.digest, e.aggregate_id, e.length_bytes FROM object_extents x JOIN extents e ON e.id = x.extent_id"
        " WHERE x.object_id = ? AND x.offset_bytes = ? AND e.length_bytes = ?"
    )
    found: list[tuple[bytes, int, int] | None] = []
    for offset, length in wanted:
        holders = (s for s in closed if s.offset_bytes <= offset and offset + length <= s.end_bytes)
        rows = (r.one(sql, (s.object_id, offset - s.offset_bytes, length)) for s in holders)
        row = next((row for row in rows if row is not None), None)
        found.append(None if row is None else (row[0], row[1], row[2]))
    return found


def volume_records(r: Snapshot, node_id: int, volume: str) -> Iterator[tuple[int, int, bytes, int]]:
    """(offset in the volume, length, record digest, aggregate id) of every record, segment by segment."""
    sql = (
        "SELECT x.offset_bytes, e.length_bytes, e.digest, e.aggregate_id FROM object_extents x"
        " JOIN extents e ON e.id = x.extent_id WHERE x.object_id = ? ORDER BY x.offset_bytes"
    )
    for row in _segments(r, node_id, volume):
        if row.received_time:
            for offset, length, digest, aggregate_id in r.rows(sql, (row.object_id,)):
                yield row.offset_bytes + offset, length, digest, aggregate_id


def list_volumes(
    r: Snapshot,
    node_id: int,
    pattern: str = "*",
    after: tuple[str, int, int] = ("", -1, -1),
    limit: int = 1000,
    *,
    marked: bool = True,
) -> list[SegmentRow]:
    """Closed segments by (volume, offset, object), those behind `after` first; `marked=False` leaves marked ones out."""
    tests = " AND received_time > 0" + ("" if marked else " AND marked_time = 0")
    sql = (
        f"{_SELECT} WHERE node_id = ? AND (volume, offset_bytes, object_id) > (?, ?, ?){tests}"
        " ORDER BY volume, offset_bytes, object_id"
    )
    matches = wildcard(pattern)
    found: list[SegmentRow] = []
    for row in r.rows(sql, (node_id, *after)):
        if matches(row[2]):
            found.append(SegmentRow._make(row))
            if len(found) == limit:
                break
    return found


# --- deletion ------------------------------------------------------------------------------------------------------


def mark(
    tx: Transaction,
    node_id: int,
    volume: str,
    now: int,
    grace_days: int,
    running: int = 0,
    *,
    from_offset_bytes: int = 0,
) -> int:
    """The source deletes a volume, or what begins at an offset or behind it. Returns how many segments were marked.

    They stay for the grace and are then due. `running`: how long the server has run in all (`policy/clock_guard.py`).
    """
    marked = 0
    for row in _segments(tx, node_id, volume):
        if row.offset_bytes < from_offset_bytes:
            continue
        if row.is_open:
            _write(tx, row._replace(abandoned_time=now))
        elif row.received_time and not row.marked_time:
            _mark(tx, row, now, grace_days, running)
            marked += 1
    return marked


def unmark(tx: Transaction, node_id: int, volume: str) -> int:
    """Make a marked volume active again; of segments that overlap, the newest. Returns how many were."""
    closed = [row for row in _segments(tx, node_id, volume) if row.received_time]
    standing = [row for row in closed if not row.marked_time]
    revived = 0
    for row in sorted((row for row in closed if row.marked_time), key=lambda s: -s.object_id):
        if all(row.end_bytes <= s.offset_bytes or s.end_bytes <= row.offset_bytes for s in standing):
            standing.append(row)
            _write(tx, row._replace(marked_time=0, delete_time=0, marked_running=0))
            _set_state(tx, row.object_id, ObjectState.ACTIVE)
            revived += 1
    return revived


def revert(
    tx: Transaction, node_id: int, volume: str, moment: int, now: int, grace_days: int, running: int
) -> tuple[int, int]:
    """Make a volume what it was at that moment, as far as it is still here. Returns (revived, set aside) segments.

    What came later is marked like anything deleted now. Of segments that overlap the longest stands: what was left of
    one that was overwritten is only a part of it.
    """
    closed = [row for row in _segments(tx, node_id, volume) if row.received_time]
    then = [r for r in closed if r.received_time <= moment and not 0 < r.marked_time <= moment]
    standing: list[SegmentRow] = []
    for row in sorted(then, key=lambda s: (-s.stored_bytes, -s.object_id)):
        if all(row.end_bytes <= s.offset_bytes or s.end_bytes <= row.offset_bytes for s in standing):
            standing.append(row)
    revived = [row for row in standing if row.marked_time]
    aside = [row for row in closed if row not in standing and not row.marked_time]
    for row in aside:
        _mark(tx, row, now, grace_days, running)
    for row in revived:
        _write(tx, row._replace(marked_time=0, delete_time=0, marked_running=0))
        _set_state(tx, row.object_id, ObjectState.ACTIVE)
    return len(revived), len(aside)


def volume_names(r: Snapshot, node_id: int, after: str = "", limit: int = 1000) -> list[str]:
    """Names of the source's volumes behind `after`, in order."""
    sql = "SELECT DISTINCT volume FROM segments WHERE node_id = ? AND volume > ? ORDER BY volume LIMIT ?"
    return [name for (name,) in r.all(sql, (node_id, after, limit))]


def has_volume(r: Snapshot, node_id: int, volume: str) -> bool:
    """Is there any segment of it, complete or not?"""
    return bool(_segments(r, node_id, volume))


def is_overwritten(r: Snapshot, node_id: int, volume: str, offset_bytes: int) -> bool:
    """Would a segment that begins there replace something that is complete and not marked?"""
    return any(
        row.received_time and not row.marked_time and row.end_bytes > offset_bytes
        for row in _segments(r, node_id, volume)
    )


def due(r: Snapshot, now: int, limit: int = 1000, after: tuple[int, int] = (0, -1)) -> list[SegmentRow]:
    """Marked segments whose own grace is over, by (delete time, object) behind `after`. A lock may still keep them."""
    sql = (
        f"{_SELECT} WHERE delete_time > 0 AND delete_time <= ? AND (delete_time, object_id) > (?, ?)"
        " ORDER BY delete_time, object_id LIMIT ?"
    )
    return [SegmentRow._make(row) for row in r.all(sql, (now, *after, limit))]


def withdraw(tx: Transaction, rows: Sequence[SegmentRow]) -> list[int]:
    """Take these marked segments away for good: nobody can unmark them any more. Returns their objects, to be deleted.

    Those that have changed since they were read stay. After a crash `unfinished_deletions` names the others.
    """
    present = tx.each(f"{_SELECT} WHERE object_id = ?", [(row.object_id,) for row in rows])
    same = {SegmentRow._make(row) for row in present} & set(rows)
    objects = object_rows.fetch(tx, sorted(row.object_id for row in same))
    hide(tx, objects)
    return [row.id for row in objects]


def count_due(r: Snapshot, now: int) -> int:
    """How many of them there are."""
    found = r.one("SELECT COUNT(*) FROM segments WHERE delete_time > 0 AND delete_time <= ?", (now,))
    return int(found[0]) if found else 0


def unclosed(r: Snapshot) -> list[SegmentRow]:
    """Segments that are open. At the start of a server nobody receives them any more."""
    return [
        SegmentRow._make(row) for row in r.all(f"{_SELECT} WHERE received_time = 0 AND abandoned_time = 0")
    ]


def abandoned(r: Snapshot, before: int, limit: int = 1000) -> list[SegmentRow]:
    """Segments given up before then: nobody will come back for their records."""
    sql = f"{_SELECT} WHERE abandoned_time > 0 AND abandoned_time < ? ORDER BY abandoned_time LIMIT ?"
    return [SegmentRow._make(row) for row in r.all(sql, (before, limit))]


# --- rows ----------------------------------------------------------------------------------------------------------


def _segments(r: Snapshot, node_id: int, volume: str) -> list[SegmentRow]:
    sql = f"{_SELECT} WHERE node_id = ? AND volume = ? ORDER BY offset_bytes, object_id"
    return [SegmentRow._make(row) for row in r.all(sql, (node_id, volume))]


def _open(tx: Transaction, object_id: int) -> SegmentRow:
    row = segment(tx, object_id)
    if not row.is_open:
        raise NotFound("ANR0144E", number=object_id)
    return row


def _mark(tx: Transaction, row: SegmentRow, now: int, grace_days: int, running: int) -> None:
    delete_time = now + grace_days * DAY_SECONDS
    _write(tx, row._replace(marked_time=now, delete_time=delete_time, marked_running=running))
    _set_state(tx, row.object_id, ObjectState.MARKED)


def _set_state(tx: Transaction, object_id: int, state: ObjectState) -> None:
    rows = object_rows.fetch(tx, (object_id,))
    object_rows.replace_rows(tx, [row._replace(state=int(state)) for row in rows])


def _insert(tx: Transaction, row: SegmentRow) -> None:
    marks = ", ".join("?" * (len(row) + 1))
    tx.run(f"INSERT INTO segments VALUES ({marks})", (*row, tx.digester.of("segments", row)))


def _write(tx: Transaction, row: SegmentRow) -> None:
    sets = ", ".join(f"{field} = ?" for field in row._fields[1:])
    tx.run(
        f"UPDATE segments SET {sets}, row_digest = ? WHERE object_id = ?",
        (*row[1:], tx.digester.of("segments", row), row.object_id),
    )
