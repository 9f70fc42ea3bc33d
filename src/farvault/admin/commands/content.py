"""QUERY CONTENT, QUERY OCCUPANCY, QUERY AUDITOCCUPANCY: whose files lie where, and what they take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from farvault.admin.authority import ANYONE
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Pattern, Patterns, SignedInteger
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer, Column, Report, Row, count_column, yes_column
from farvault.base.units import show_megabytes, show_path, show_size
from farvault.base.wildcard import matches
from farvault.catalog import content, nouns
from farvault.catalog.content import ContentRow
from farvault.catalog.occupancy import TYPES, OccupancyRow, occupancy
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Text
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind
from farvault.model.volume import Volume

_KINDS = {
    "ANY": None,
    "BACKUP": ObjectKind.BACKUP,
    "ARCHIVE": ObjectKind.ARCHIVE,
    "SPACEMANAGED": ObjectKind.SPACE_MANAGED,
}
_THREE_WAY = {"ANY": None, "YES": True, "NO": False}
_LONGEST_TAIL = 100_000


def _query_content(instance: Instance, call: Call) -> Iterator[Answer]:
    """Streamed from one snapshot: it may be millions of rows."""
    with instance.catalog.read() as r:
        volume = nouns.get(r, Volume, call["volume"])
        found = content.on_volume(
            r,
            volume.id,
            kind=_KINDS[call["type"]],
            damaged=_THREE_WAY[call["damaged"]],
            copied=_THREE_WAY[call["copied"]],
        )
        rows = (_content_row(row) for row in found if _is_wanted(call, row))
        yield Report(
            columns=_content_columns(call.detailed),
            rows=_counted(rows, call["count"]),
            detailed=call.detailed,
        )


def _is_wanted(call: Call, row: ContentRow) -> bool:
    return matches(call["node"], row.node) and matches(call["filespace"], row.file_space)


def _counted(rows: Iterable[Row], count: int) -> Iterable[Row]:
    """The first `count` rows, or with a negative one the last; 0 = all."""
    if count < 0:
        return deque(rows, maxlen=min(-count, _LONGEST_TAIL))
    return islice(rows, count) if count else rows


def _content_row(row: ContentRow) -> dict[str, Any]:
    parts = [part for part in row.directory.split(b"\0") if part]
    return {
        "node": row.node,
        "type": TYPES[ObjectKind(row.kind)],
        "file_space": row.file_space,
        "file_space_number": row.file_space_number,
        "file_name": show_path(b"".join(b"/" + part for part in (*parts, row.name))),
        "size_bytes": row.size_bytes,
        "damaged": row.damaged,
        "copied": row.copied,
        "is_aggregated": row.is_aggregated,
        "stored_bytes": row.stored_bytes,
        "is_whole": row.extents_here == row.extents,
        "is_cached": row.is_cached,
    }


def _content_columns(detailed: bool) -> list[Column]:
    columns = [
        Column(key="node", label="Node Name"),
        Column(key="type", label="Type"),
        Column(key="file_space", label="Filespace Name"),
        count_column("file_space_number", "FSID"),
        Column(key="file_name", label="Client's Name for File"),
    ]
    if detailed:
        columns += [
            yes_column("is_aggregated", "Aggregated?"),
            Column(key="stored_bytes", label="Stored Size", show=show_size, number=True),
            Column(key="size_bytes", label="Size", show=show_size, number=True),
            yes_column("is_whole", "Whole File on Volume?"),
            yes_column("is_cached", "Cached Copy?"),
            yes_column("damaged", "Damaged?"),
            yes_column("copied", "Copied?"),
        ]
    return columns


def _query_occupancy(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        classes = {pool.name: pool.device_class for pool in nouns.select(r, StoragePool)}
        types = {pool.name: pool.pool_type for pool in nouns.select(r, StoragePool)}
        found = occupancy(r, call["node"], call["file_space"], call["stgpool"], _KINDS[call["type"]])
    rows = [
        _occupancy_row(row)
        for row in found
        if matches(call["devclass"], classes[row.pool]) and call["pool_type"] in ("ANY", types[row.pool])
    ]
    yield Report(columns=_OCCUPANCY, rows=rows)


def _query_audit_occupancy(instance: Instance, call: Call) -> Iterator[Answer]:
    """Counted now: nothing has to fill it before (docs/decisions/0050)."""
    with instance.catalog.read() as r:
        nodes = some(
            [
                node
                for node in select(r, Node, call["nodes"])
                if call["domain"] is None or any(matches(one, node.domain) for one in call["domain"])
            ],
            call,
        )
        types = {pool.name: pool.pool_type for pool in nouns.select(r, StoragePool)}
        rows = [_audit_row(r, node.name, call["pool_type"], types) for node in nodes]
    yield Report(columns=_AUDIT_OCCUPANCY, rows=rows)


def _audit_row(r: Snapshot, node: str, pool_type: str, types: dict[str, str]) -> Row:
    used = dict.fromkeys(TYPES.values(), 0)
    for row in occupancy(r, node):
        if pool_type in ("TOTAL", types[row.pool]):
            used[row.type] += row.physical_bytes
    backup, archive, managed = used.values()
    return {
        "node": node,
        "backup_bytes": backup,
        "archive_bytes": archive,
        "space_managed_bytes": managed,
        "total_bytes": backup + archive + managed,
    }


def _occupancy_row(row: OccupancyRow) -> dict[str, Any]:
    return row._asdict()


_OCCUPANCY = (
    Column(key="node", label="Node Name"),
    Column(key="type", label="Type"),
    Column(key="file_space", label="Filespace Name"),
    count_column("file_space_number", "FSID"),
    Column(key="pool", label="Storage Pool Name"),
    count_column("files", "Number of Files"),
    Column(key="physical_bytes", label="Physical Space Occupied (MB)", show=show_megabytes, number=True),
    Column(key="logical_bytes", label="Logical Space Occupied (MB)", show=show_megabytes, number=True),
)
_AUDIT_OCCUPANCY = (
    Column(key="node", label="Client Node Name"),
    *(
        Column(key=f"{key}_bytes", label=f"{label} Storage Used (MB)", show=show_megabytes, number=True)
        for key, label in (
            ("backup", "Backup"),
            ("archive", "Archive"),
            ("space_managed", "Space-Managed"),
            ("total", "Total"),
        )
    ),
)
_TYPE = keyword(
    "Type", Choice("ANY", "Backup", "Archive", "SPacemanaged"), "only copies of this kind", default="ANY"
)
_YES_NO_ANY = Choice("ANY", "Yes", "No")

COMMANDS = (
    Command(
        words=("Query", "CONtent"),
        rule=ANYONE,
        help="Show the files that lie on a volume.",
        parameters=(
            positional("volume", Text(1024), "name of the volume"),
            keyword("NODE", Pattern(64), "only files of these nodes", default="*"),
            keyword("FIlespace", PathPattern(), "only files of these file spaces", default="*"),
            keyword(
                "COUnt", SignedInteger(-(10**9), 10**9), "the first so many; negative: the last", default=0
            ),
            _TYPE,
            FORMAT,
            keyword("DAmaged", _YES_NO_ANY, "only damaged, only undamaged", default="ANY"),
            keyword("COPied", _YES_NO_ANY, "only with, only without a copy in a copy pool", default="ANY"),
        ),
        run=_query_content,
    ),
    Command(
        words=("Query", "OCCupancy"),
        rule=ANYONE,
        help="Show how many files each node has in which pool, and the space they take.",
        parameters=(
            positional("node", Pattern(64), "nodes", default="*"),
            positional("file_space", PathPattern(), "file spaces", default="*"),
            keyword("STGpool", Pattern(30), "only these pools", default="*"),
            keyword("DEVclass", Pattern(30), "only pools of these classes", default="*"),
            _TYPE,
            keyword(
                "POoltype",
                Choice("ANY", "PRimary", "COpy"),
                "only pools of this type",
                name="pool_type",
                default="ANY",
            ),
        ),
        run=_query_occupancy,
    ),
    Command(
        words=("Query", "AUDITOccupancy"),
        rule=ANYONE,
        help="Show how much space each node takes in all pools together, counted now.",
        parameters=(
            positional("nodes", Patterns(64), "nodes; a list of names or patterns", default=("*",)),
            keyword("DOmain", Patterns(30), "only nodes of these domains"),
            keyword(
                "POoltype",
                Choice("TOtal", "PRimary", "COpy"),
                "only pools of this type",
                name="pool_type",
                default="TOTAL",
            ),
        ),
        run=_query_audit_occupancy,
    ),
)
