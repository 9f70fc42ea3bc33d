"""AUDIT CATALOG: every protected row against its digest, and the sums that must hold between tables."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.catalog import nouns, object_rows
from farvault.catalog.kept_receipts import KeptReceipt, ProbeRow
from farvault.catalog.object_rows import ObjectColumns
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
    "volume_receipts": ", ".join(KeptReceipt._fields),
    "probes": ", ".join(ProbeRow._fields),
    "target_truth": ", ".join(Truth._fields),
    "clock_guard": "id, wall_seconds, running_seconds, frozen_time",
}


def check_row_digests(r: Snapshot) -> Iterator[tuple[str, int]]:
    """(table, number) of every row that is not as this program wrote it. For a placement the number is its volume's."""
    for noun in NOUNS:
        yield from _check_plain(r, noun.TABLE, ", ".join(nouns.columns(noun)))
    for table, columns in _PLAIN_TABLES.items():
        yield from _check_plain(r, table, columns)
    yield from _check_objects(r)


def _check_plain(r: Snapshot, table: str, columns: str) -> Iterator[tuple[str, int]]:
    for batch in _batches(r.rows(f"SELECT {columns}, row_digest FROM {table}")):
        digests = r.digester.of_many(table, [row[:-1] for row in batch])
        yield from ((table, row[0]) for row, digest in zip(batch, digests, strict=True) if row[-1] != digest)


def _check_objects(r: Snapshot) -> Iterator[tuple[str, int]]:
    columns = object_rows.COLUMNS
    for batch in _batches(r.rows(f"SELECT {columns}, row_digest FROM objects")):
        rows = [ObjectColumns._make(row[:-1]) for row in batch]
        digests = object_rows.digests_of(r, rows, object_rows.pairs_of(r, rows))
        for row, stored, digest in zip(rows, batch, digests, strict=True):
            if stored[-1] != digest:
                yield "objects", row.id


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def check_sums(r: Snapshot) -> Iterator[str]:
    """Sentences about sums and references that do not hold. Reads everything: for audits and tests."""
    for what, sql in _SUMS.items():
        for row in r.rows(sql):
            yield f"{what}: {', '.join(str(value) for value in row)}"


_SUMS = {
    "account of a volume's owner that differs from what lies there": (
        "SELECT volume_id, node_id, file_space_id, SUM(n), SUM(size) FROM (SELECT volume_id, node_id, file_space_id,"
        " aggregates AS n, stored_bytes AS size FROM volume_owners UNION ALL SELECT p.volume_id, a.node_id,"
        " a.file_space_id, -COUNT(*), -SUM(a.stored_bytes) FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " GROUP BY p.volume_id, a.node_id, a.file_space_id) both_sides GROUP BY volume_id, node_id, file_space_id"
        " HAVING SUM(n) <> 0 OR SUM(size) <> 0"
    ),
    "aggregate whose live_bytes is not the sum of its extents": (
        "SELECT a.id, a.live_bytes FROM aggregates a WHERE a.live_bytes <> (SELECT COALESCE(SUM(e.length_bytes), 0)"
        " FROM extents e WHERE e.id >= a.first_extent_id AND e.id < a.first_extent_id + a.extents)"
    ),
    "aggregate without live extents": "SELECT id FROM aggregates WHERE live_bytes <= 0",
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
    "extent nobody uses": (
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
        "SELECT i.n, e.n FROM (SELECT COUNT(*) AS n FROM extent_index) i, (SELECT COUNT(*) AS n FROM extents) e"
        " WHERE i.n <> e.n"
    ),
    "index entry of an extent that is not there": (
        "SELECT i.extent_id FROM extent_index i LEFT JOIN extents e ON e.id = i.extent_id WHERE e.id IS NULL"
    ),
    "event of an object that is not there": (
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
