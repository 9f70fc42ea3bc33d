"""Stored objects: taking in new versions, listing them, what they consist of, and changing them.

These are the bulk paths: a batch is prepared as lists of rows and handed to the engine in one call. Deleting stands
in `freeing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from farvault.base.errors import NotFound
from farvault.base.wildcard import wildcard_of_bytes
from farvault.catalog import directories, object_rows, versions
from farvault.catalog.freed_span import FreedSpan as FreedSpan
from farvault.catalog.freeing import Freed as Freed
from farvault.catalog.freeing import delete_objects as delete_objects
from farvault.catalog.object_rows import ObjectColumns, Pairs
from farvault.catalog.occupancy import OccupancyRow as OccupancyRow
from farvault.catalog.occupancy import occupancy as occupancy
from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.stored_object import ObjectKind, ObjectState


class NewObject(NamedTuple):
    """One version as it arrives. `extents`: numbers in file order, holes left out."""

    directory: bytes
    name: bytes
    type: int
    size_bytes: int
    attributes: bytes
    description: str
    extents: Sequence[int]


class InventoryRow(NamedTuple):
    """One stored version as a client sees it."""

    id: int
    directory: bytes
    name: bytes
    type: int
    state: int
    size_bytes: int
    inserted_time: int
    deactivated_time: int
    management_class: str
    attributes: bytes
    description: str


ExtentRow = tuple[int, bytes, int, int]
"""(extent id, digest, length, aggregate id)."""
_CONTENTS_BATCH = 100
"""Objects whose extents are fetched together: a call each costs as much as the fetch, big files need memory."""


# --- taking in -----------------------------------------------------------------------------------------------------


def store_objects(
    tx: Transaction,
    *,
    node_id: int,
    file_space_id: int,
    kind: int,
    management_class: str,
    objects: Sequence[NewObject],
    now: int,
) -> list[int]:
    """Insert new versions and return their numbers. Of a backup, the version active so far becomes inactive, and what
    is beyond VEREXISTS then expires.

    `NotFound` where an extent is not there (it was freed after the client was told that it is known), or the file
    space is not the node's. `ValueError` where one call names an object twice (archives may).
    """
    _check_owner(tx, node_id, file_space_id)
    paths = directories.resolve(tx, file_space_id, (new.directory for new in objects))
    places = [(paths[new.directory], new.name) for new in objects]
    if kind != ObjectKind.ARCHIVE and len(set(places)) != len(places):
        raise ValueError("an object is named twice in one call")
    if kind == ObjectKind.BACKUP:
        older = _with_older_versions(tx, places)
        if older:
            versions.supersede(tx, node_id, file_space_id, older, management_class, now)
    first = take_values(tx, "objects", len(objects))
    ids = list(range(first, first + len(objects)))
    class_id = object_rows.class_id(tx, management_class)
    pairs = _pairs(tx, objects)
    rows = [
        (
            file_space_id,
            directory_id,
            name,
            object_id,
            kind,
            new.type,
            1,
            class_id,
            new.size_bytes,
            now,
            0,
            new.attributes,
            new.description,
        )
        for (directory_id, name), object_id, new in zip(places, ids, objects, strict=True)
    ]
    object_rows.insert_rows(tx, rows, pairs)
    tx.run_many(
        "INSERT INTO object_extents VALUES (?, ?, ?)",
        (  # no list: one object may have millions
            (object_id, each[at], each[at + 1])
            for object_id, each in zip(ids, pairs, strict=True)
            for at in range(0, len(each), 2)
        ),
    )
    return ids


def _check_owner(tx: Transaction, node_id: int, file_space_id: int) -> None:
    if tx.one("SELECT 1 FROM file_spaces WHERE id = ? AND node_id = ?", (file_space_id, node_id)) is None:
        raise NotFound("ANR0852E", name=f"number {file_space_id}")


def _pairs(tx: Transaction, objects: Sequence[NewObject]) -> list[Pairs]:
    """(offset, extent) pairs of each object, from the lengths of its extents; every extent must exist."""
    lengths = tx.extent_lengths
    unseen = {extent_id for new in objects for extent_id in new.extents if extent_id not in lengths}
    if unseen:
        sql = "SELECT id, length_bytes FROM extents WHERE id = ?"
        lengths.update(tx.each(sql, [(extent_id,) for extent_id in sorted(unseen)]))
        if gone := [extent_id for extent_id in unseen if extent_id not in lengths]:
            raise NotFound("ANR0141E", count=len(gone))
    return [_object_pairs(new.extents, lengths) for new in objects]


def _object_pairs(extents: Sequence[int], lengths: dict[int, int]) -> Pairs:
    if not extents:
        return ()
    if len(extents) == 1:  # nearly every file
        return (0, extents[0])
    pairs: list[int] = []
    offset = 0
    for extent_id in extents:
        pairs += (offset, extent_id)
        offset += lengths[extent_id]
    return tuple(pairs)


def _with_older_versions(tx: Transaction, places: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Those of these places that may hold older versions: directories made just now held none."""
    fresh = tx.new_directories
    asked = [place for place in places if place[0] not in fresh]
    fresh.difference_update([place[0] for place in places])
    return asked


# --- listing -------------------------------------------------------------------------------------------------------


def inventory(
    r: Snapshot,
    file_space_id: int,
    kind: int,
    *,
    directory: bytes = b"",
    below: bool = True,
    name_pattern: bytes = b"*",
    active_only: bool = True,
) -> Iterator[InventoryRow]:
    """Versions in the order (directory, name, number), as they are fetched: nothing is sorted or kept.

    `below`: also everything under `directory`. `name_pattern`: `*` any run of bytes, `?` any one byte.
    """
    sql, values = inventory_query(
        file_space_id,
        kind,
        directory=directory,
        below=below,
        name_pattern=name_pattern,
        active_only=active_only,
    )
    rows = map(InventoryRow._make, r.rows(sql, values))
    if not _has_wildcard(name_pattern) or name_pattern == b"*":
        return rows
    matches = wildcard_of_bytes(name_pattern)
    return (row for row in rows if matches(row.name))


def inventory_query(
    file_space_id: int, kind: int, *, directory: bytes, below: bool, name_pattern: bytes, active_only: bool
) -> tuple[str, list[object]]:
    """The statement behind `inventory`. A subtree is one range of paths: NUL sorts below every other byte."""
    values: list[object] = [file_space_id]
    if not below:
        tests = " AND d.path = ?"
        values += [directory]
    elif directory:
        tests = " AND d.path >= ? AND d.path < ?"
        values += [directory, directory + b"\x01"]
    else:
        tests = ""
    if not _has_wildcard(name_pattern):
        tests += " AND o.name = ?"
        values += [name_pattern]
    tests += " AND o.kind = ?" + (" AND o.state = 1" if active_only else " AND o.state IN (1, 2, 3)")
    values += [kind]
    sql = (
        "SELECT o.id, d.path, o.name, o.type, o.state, o.size_bytes, o.inserted_time, o.deactivated_time,"
        " (SELECT name FROM class_names WHERE id = o.class_id), o.attributes, o.description"
        " FROM directories d CROSS JOIN objects o"  # SQLite keeps the order of a cross join: directories first
        " WHERE o.file_space_id = d.file_space_id AND o.directory_id = d.id"
        f" AND d.file_space_id = ?{tests} ORDER BY d.path, o.name, o.id"
    )
    return sql, values


def _has_wildcard(pattern: bytes) -> bool:
    return b"*" in pattern or b"?" in pattern


def has_objects(r: Snapshot, file_space_id: int) -> bool:
    """Is anything stored in this file space?"""
    return r.one("SELECT 1 FROM objects WHERE file_space_id = ? LIMIT 1", (file_space_id,)) is not None


ObjectPlace = tuple[int, bytes, int]
"""(directory number, name, object number): where an object stands in its file space's order."""


def object_places(
    r: Snapshot,
    file_space_id: int,
    after: ObjectPlace = (-1, b"", -1),
    limit: int = 1000,
    kind: int | None = None,
) -> list[ObjectPlace]:
    """The next objects of a file space (of one kind) behind `after`, whatever their state."""
    rows = r.all(
        "SELECT directory_id, name, id FROM objects WHERE file_space_id = ? AND (directory_id, name, id) > (?, ?, ?)"
        " AND (? IS NULL OR kind = ?) ORDER BY directory_id, name, id LIMIT ?",
        (file_space_id, *after, kind, kind, limit),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def contents(r: Snapshot, ids: Iterable[int]) -> Iterator[tuple[int, list[ExtentRow]]]:
    """For each number, in the order given: its extents in file order (none for one that is not there)."""
    sql = (
        "SELECT x.object_id, e.id, e.digest, e.length_bytes, e.aggregate_id FROM object_extents x"
        " JOIN extents e ON e.id = x.extent_id WHERE x.object_id = ? ORDER BY x.offset_bytes"
    )
    asked = iter(ids)
    while batch := list(islice(asked, _CONTENTS_BATCH)):
        found: dict[int, list[ExtentRow]] = {object_id: [] for object_id in batch}
        for row in r.each(sql, [(object_id,) for object_id in found]):
            found[row[0]].append((row[1], row[2], row[3], row[4]))
        for object_id in batch:
            yield object_id, found[object_id]


def owned(r: Snapshot, node_id: int, ids: Iterable[int]) -> list[int]:
    """Those of these numbers that are visible objects of this node, in the order given."""
    rows = r.each(
        "SELECT o.id FROM objects o JOIN file_spaces f ON f.id = o.file_space_id"
        " WHERE o.id = ? AND f.node_id = ? AND o.state IN (1, 2, 3)",
        [(one, node_id) for one in ids],
    )
    return [row[0] for row in rows]


def owned_kinds(r: Snapshot, node_id: int, ids: Iterable[int]) -> list[tuple[int, int]]:
    """(number, kind) of those of these numbers that are visible objects of this node."""
    rows = r.each(
        "SELECT o.id, o.kind FROM objects o JOIN file_spaces f ON f.id = o.file_space_id"
        " WHERE o.id = ? AND f.node_id = ? AND o.state IN (1, 2, 3)",
        [(one, node_id) for one in ids],
    )
    return [(row[0], row[1]) for row in rows]


# --- changing ------------------------------------------------------------------------------------------------------


def expire(tx: Transaction, node_id: int, ids: Iterable[int], now: int) -> int:
    """The files of these active backup versions are gone: they become inactive, and what is beyond VERDELETED expires.

    Returns how many were active.
    """
    rows = [row for row in _own_rows(tx, node_id, ids) if row.kind == ObjectKind.BACKUP]
    active = [row for row in rows if row.state == ObjectState.ACTIVE]
    versions.leave(tx, node_id, active, now)
    return len(active)


def update_attributes(tx: Transaction, node_id: int, rows: Iterable[tuple[int, bytes]]) -> int:
    """New attributes for (object id, attributes) of the node's objects; returns how many were changed."""
    wanted = dict(rows)
    changed = [row._replace(attributes=wanted[row.id]) for row in _own_rows(tx, node_id, wanted)]
    object_rows.replace_rows(tx, changed)
    return len(changed)


def rebind(tx: Transaction, node_id: int, ids: Iterable[int], management_class: str) -> int:
    """Bind all backup versions of these objects' names to another class; returns how many versions changed."""
    names = {row[:3] for row in _own_rows(tx, node_id, ids) if row.kind == ObjectKind.BACKUP}
    sql = (
        f"SELECT {object_rows.COLUMNS} FROM objects WHERE file_space_id = ? AND directory_id = ? AND name = ?"
        " AND kind = 1 AND state IN (1, 2)"
    )
    class_id = object_rows.class_id(tx, management_class)
    found = map(ObjectColumns._make, tx.each(sql, sorted(names)))
    changed = [row._replace(class_id=class_id) for row in found if row.class_id != class_id]
    object_rows.replace_rows(tx, changed)
    return len(changed)


def _own_rows(tx: Transaction, node_id: int, ids: Iterable[int]) -> list[ObjectColumns]:
    spaces = set(chain.from_iterable(tx.all("SELECT id FROM file_spaces WHERE node_id = ?", (node_id,))))
    rows = object_rows.fetch(tx, dict.fromkeys(ids))
    hidden = (ObjectState.OPEN, ObjectState.EXPIRED)
    return [row for row in rows if row.file_space_id in spaces and row.state not in hidden]
