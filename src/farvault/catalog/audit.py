"""AUDIT CATALOG: the file's own structure, every protected row against its digest, and the sums that must hold between
tables. What may be put right of that, and how: `audit_repair.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import apsw

from farvault.catalog import extent_index, nouns, object_rows, questions, volume_checks
from farvault.catalog.drills import Drill
from farvault.catalog.kept_receipts import KeptReceipt
from farvault.catalog.migrate import migrations
from farvault.catalog.object_rows import ObjectColumns
from farvault.catalog.offsite_media import Media
from farvault.catalog.placements import AggregateRow
from farvault.catalog.target_truth import Truth
from farvault.catalog.transaction import Row, Snapshot
from farvault.catalog.vault import SegmentRow
from farvault.model.administrator import Administrator
from farvault.model.attribute import Noun
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.hold import Hold, HoldRule
from farvault.model.node import Node
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.policy import CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.server import Server
from farvault.model.storage_pool import StoragePool
from farvault.model.vault_floor import VaultFloor
from farvault.model.vault_rules import VaultRules
from farvault.model.volume import Volume
from farvault.model.volume_history import HistoryVolume

NOUNS: tuple[type[Noun], ...] = (
    Server,
    Node,
    Administrator,
    DeviceClass,
    StoragePool,
    Volume,
    Domain,
    PolicySet,
    ManagementClass,
    CopyGroup,
    FileSpace,
    Hold,
    HoldRule,
    VaultRules,
    VaultFloor,
    PendingDeletion,
    CollocationGroup,
    CollocationMember,
    HistoryVolume,
    DatabaseBackupTrigger,
)
_BATCH = 1000
_PLAIN_TABLES = {
    "extents": "id, aggregate_id, offset_bytes, length_bytes, digest",
    "aggregates": ", ".join(AggregateRow._fields),
    "placements": "volume_id, offset_bytes, aggregate_id, damaged",
    "superseded_aggregates": "aggregate_id, by_aggregate_id",
    "cached_copies": "volume_id, offset_bytes, aggregate_id, cached_time",
    "segments": ", ".join(SegmentRow._fields),
    "retention_events": "object_id, event_time",
    "volume_checks": volume_checks.COLUMNS,
    "offsite_media": ", ".join(Media._fields),
    "drills": ", ".join(Drill._fields),
    "volume_receipts": ", ".join(KeptReceipt._fields),
    **{one.table: one.columns for one in (questions.OF_POOLS, questions.OF_HISTORY)},
    "target_truth": ", ".join(Truth._fields),
    "clock_guard": "id, wall_seconds, running_seconds, frozen_time",
}
_MOST_PROBLEMS = 1000


class Batch(NamedTuple):
    """So many rows of a table were looked at; these of them are not as this program wrote them."""

    rows: int
    bad: list[int]


def tables() -> tuple[str, ...]:
    """Those whose rows carry a digest."""
    return (*(noun.TABLE for noun in NOUNS), *_PLAIN_TABLES, "objects")


def check_structure(r: Snapshot) -> Iterator[str]:
    """What the engine finds wrong with its own file: pages, order of keys, indexes against their tables, references; and
    definitions that are not ours any more: of a table that is read by another definition the engine misses nothing.
    """
    for (problem,) in r.rows(f"PRAGMA integrity_check({_MOST_PROBLEMS})"):
        if problem != "ok":
            yield str(problem)
    for table, number, parent, _ in r.rows("PRAGMA foreign_key_check"):
        yield f"row {number} of {table} refers to a row of {parent} that is not there"
    found = set(r.all(_DEFINITIONS))
    for name in sorted({str(row[0]) for row in found ^ _definitions()}):
        yield f"the definition of {name} is not as it was written"


_DEFINITIONS = "SELECT name, type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"


@cache
def _definitions() -> frozenset[Row]:
    """Tables and indexes as this program makes them."""
    with contextlib.closing(apsw.Connection(":memory:")) as fresh:
        for step in migrations():
            fresh.execute(step.sql)
        return frozenset(fresh.execute(_DEFINITIONS))


def check_row_digests(r: Snapshot) -> Iterator[tuple[str, int]]:
    """(table, number) of every row that is not as this program wrote it. For a placement the number is its volume's."""
    for table in tables():
        for batch in check_table(r, table):
            yield from ((table, number) for number in batch.bad)


def check_table(r: Snapshot, table: str) -> Iterator[Batch]:
    """One protected table, a thousand rows at a time."""
    if table == "objects":
        return _check_objects(r)
    return _check_plain(r, table, _plain_tables()[table])


@cache
def _plain_tables() -> dict[str, str]:
    """The columns of every protected table but `objects`, as they go into the digest."""
    return {noun.TABLE: ", ".join(nouns.columns(noun)) for noun in NOUNS} | _PLAIN_TABLES


def _check_plain(r: Snapshot, table: str, columns: str) -> Iterator[Batch]:
    for batch in _batches(r.rows(f"SELECT {columns}, row_digest FROM {table}")):
        digests = r.digester.of_many(table, [row[:-1] for row in batch])
        bad = [row[0] for row, digest in zip(batch, digests, strict=True) if row[-1] != digest]
        yield Batch(len(batch), bad)


def _check_objects(r: Snapshot) -> Iterator[Batch]:
    columns = object_rows.COLUMNS
    for batch in _batches(r.rows(f"SELECT {columns}, row_digest FROM objects")):
        rows = [ObjectColumns._make(row[:-1]) for row in batch]
        digests = object_rows.digests_of(r, rows, object_rows.pairs_of(r, rows))
        checked = zip(rows, batch, digests, strict=True)
        yield Batch(len(batch), [row.id for row, stored, digest in checked if stored[-1] != digest])


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def sums() -> tuple[str, ...]:
    """What is looked for by `check_sum`, in words."""
    return (*_SUMS, WRONG_INDEX, NO_INDEX)


def check_sums(r: Snapshot) -> Iterator[str]:
    """Sentences about sums and references that do not hold. Reads everything: for audits and tests."""
    for what in sums():
        for row in check_sum(r, what):
            yield f"{what}: {', '.join(str(value) for value in row)}"


def check_sum(r: Snapshot, what: str) -> Iterator[Row]:
    """The rows that are wrong in this way."""
    if what == WRONG_INDEX:
        return extent_index.wrong_entries(r)
    if what == NO_INDEX:
        return extent_index.missing_entries(r)
    return r.rows(_SUMS[what])


WRONG_ACCOUNT = "aggregate whose live_bytes is not the sum of its extents"
WRONG_OWNER = "account of a volume's owner that differs from what lies there"
NO_EXTENTS = "aggregate without live extents"
NO_USER = "extent nobody uses"
WRONG_INDEX = "index entry of an extent that is not there or is another one"
NO_INDEX = "extent that the index does not find"
NO_OBJECT = "event of an object that is not there"
_SUMS = {
    WRONG_OWNER: (
        "SELECT volume_id, node_id, file_space_id, SUM(n), SUM(size), SUM(live) FROM (SELECT volume_id, node_id,"
        " file_space_id, aggregates AS n, stored_bytes AS size, live_bytes AS live FROM volume_owners UNION ALL SELECT"
        " p.volume_id, a.node_id, a.file_space_id, -COUNT(*), -SUM(a.stored_bytes),"
        " -SUM(a.stored_bytes * a.live_bytes / a.extent_bytes) FROM placements p JOIN aggregates a ON"
        " a.id = p.aggregate_id GROUP BY p.volume_id, a.node_id, a.file_space_id) both_sides"
        " GROUP BY volume_id, node_id, file_space_id HAVING SUM(n) <> 0 OR SUM(size) <> 0 OR SUM(live) <> 0"
    ),
    WRONG_ACCOUNT: (
        "SELECT a.id, a.live_bytes FROM aggregates a WHERE a.live_bytes <> (SELECT COALESCE(SUM(e.length_bytes), 0)"
        " FROM extents e WHERE e.id >= a.first_extent_id AND e.id < a.first_extent_id + a.extents)"
    ),
    NO_EXTENTS: "SELECT id FROM aggregates WHERE live_bytes <= 0",
    "extent outside the range of its aggregate": (
        "SELECT e.id FROM extents e LEFT JOIN aggregates a ON a.id = e.aggregate_id"
        " AND e.id >= a.first_extent_id AND e.id < a.first_extent_id + a.extents WHERE a.id IS NULL"
    ),
    "extent that points to a superseded aggregate": (
        "SELECT e.id, e.aggregate_id FROM superseded_aggregates s JOIN extents e ON e.aggregate_id = s.aggregate_id"
    ),
    "superseded aggregate whose replacement is not there, superseded itself or has another range of extents": (
        "SELECT s.aggregate_id, s.by_aggregate_id FROM superseded_aggregates s JOIN aggregates o ON o.id = s.aggregate_id"
        " LEFT JOIN aggregates n ON n.id = s.by_aggregate_id AND n.first_extent_id = o.first_extent_id"
        " AND n.extents = o.extents LEFT JOIN superseded_aggregates t ON t.aggregate_id = s.by_aggregate_id"
        " WHERE n.id IS NULL OR t.aggregate_id IS NOT NULL"
    ),
    "superseded aggregate that lies nowhere": (
        "SELECT s.aggregate_id FROM superseded_aggregates s"
        " WHERE NOT EXISTS (SELECT 1 FROM placements p WHERE p.aggregate_id = s.aggregate_id)"
    ),
    NO_USER: (
        "SELECT e.id FROM extents e WHERE NOT EXISTS (SELECT 1 FROM object_extents x WHERE x.extent_id = e.id)"
    ),
    "object with an extent that is not there": (
        "SELECT x.object_id, x.extent_id FROM object_extents x LEFT JOIN extents e ON e.id = x.extent_id"
        " WHERE e.id IS NULL"
    ),
    "extents of an object that is not there": (
        "SELECT x.object_id FROM object_extents x LEFT JOIN objects o ON o.id = x.object_id WHERE o.id IS NULL"
    ),
    "number of extents in the index and of extents": (
        f"SELECT i.n, e.n FROM (SELECT ({extent_index.COUNT}) AS n) i, (SELECT COUNT(*) AS n FROM extents) e"
        " WHERE i.n <> e.n"
    ),
    NO_OBJECT: (
        "SELECT v.object_id FROM retention_events v LEFT JOIN objects o ON o.id = v.object_id WHERE o.id IS NULL"
    ),
    "name with two active backup versions": (
        "SELECT file_space_id, directory_id, name FROM objects WHERE kind = 1 AND state = 1"
        " GROUP BY file_space_id, directory_id, name HAVING COUNT(*) > 1"
    ),
    "object whose directory is not there": (
        "SELECT o.id FROM objects o LEFT JOIN directories d ON d.id = o.directory_id"
        " AND d.file_space_id = o.file_space_id WHERE d.id IS NULL"
    ),
    "placement beyond the written end of its volume": (
        "SELECT p.volume_id, p.offset_bytes FROM placements p JOIN volumes v ON v.id = p.volume_id"
        " JOIN aggregates a ON a.id = p.aggregate_id WHERE v.status IN ('EMPTY', 'FILLING', 'FULL', 'PENDING')"
        " AND p.offset_bytes + a.stored_bytes > v.written_bytes"
    ),
    "placements that overlap": (
        "SELECT p.volume_id, p.offset_bytes FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " JOIN placements q ON q.volume_id = p.volume_id AND q.offset_bytes > p.offset_bytes"
        " AND q.offset_bytes < p.offset_bytes + a.stored_bytes"
    ),
    "virtual volume whose receipts do not cover it": (
        "SELECT v.id, v.name FROM volumes v WHERE EXISTS (SELECT 1 FROM volume_receipts k WHERE k.volume_id = v.id)"
        " AND v.written_bytes <> (SELECT COALESCE(SUM(k.stored_bytes), 0) FROM volume_receipts k"
        " WHERE k.volume_id = v.id AND k.offset_bytes < v.written_bytes)"
    ),
    "cached copy on a volume that is not random": (
        "SELECT c.volume_id, c.offset_bytes FROM cached_copies c JOIN volumes v ON v.id = c.volume_id"
        " JOIN storage_pools s ON s.id = v.pool_id WHERE s.variant <> 'RANDOM'"
    ),
    "cached copy that overlaps another": (
        "SELECT c.volume_id, c.offset_bytes FROM cached_copies c JOIN aggregates a ON a.id = c.aggregate_id"
        " JOIN cached_copies d ON d.volume_id = c.volume_id AND d.offset_bytes > c.offset_bytes"
        " AND d.offset_bytes < c.offset_bytes + a.stored_bytes"
    ),
    "cached copy that overlaps a placement": (
        "SELECT c.volume_id, c.offset_bytes FROM cached_copies c JOIN aggregates a ON a.id = c.aggregate_id"
        " JOIN placements p ON p.volume_id = c.volume_id AND p.offset_bytes >= c.offset_bytes"
        " AND p.offset_bytes < c.offset_bytes + a.stored_bytes"
    ),
    "placement that overlaps a cached copy": (
        "SELECT p.volume_id, p.offset_bytes FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " JOIN cached_copies c ON c.volume_id = p.volume_id AND c.offset_bytes > p.offset_bytes"
        " AND c.offset_bytes < p.offset_bytes + a.stored_bytes"
    ),
    "segment whose bytes are not the sum of its records": (
        "SELECT s.object_id FROM segments s WHERE s.stored_bytes <> (SELECT COALESCE(SUM(e.length_bytes), 0)"
        " FROM object_extents x JOIN extents e ON e.id = x.extent_id WHERE x.object_id = s.object_id)"
    ),
}
