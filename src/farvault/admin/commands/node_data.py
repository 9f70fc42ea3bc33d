"""QUERY NODEDATA: on which volumes of sequential pools the data of nodes lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from farvault.admin.authority import ANYONE
from farvault.admin.command import Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Pattern, Patterns
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer, Column, Report, Row
from farvault.base.errors import NotFound
from farvault.base.units import show_megabytes
from farvault.base.wildcard import matches
from farvault.catalog import nouns, owners
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Name
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

_COLUMNS = (
    Column(key="node", label="Node Name"),
    Column(key="volume", label="Volume Name"),
    Column(key="pool", label="Storage Pool Name"),
    Column(key="stored_bytes", label="Physical Space Occupied (MB)", show=show_megabytes, number=True),
    Column(key="collocation_group", label="Collocation Group Name"),
)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    """A record counts for the node that sent it first, whole, also where parts of it are needed no more."""
    with instance.catalog.read() as r:
        rows = list(_rows(r, call))
    if not rows:
        raise NotFound("ANR2034E", command=call.command.name)
    yield Report(columns=_COLUMNS, rows=rows)


def _rows(r: Snapshot, call: Call) -> Iterator[Row]:
    pools = {
        pool.id: pool.name for pool in nouns.select(r, StoragePool, call["stgpool"]) if not pool.is_random
    }
    volumes = {
        volume.id: volume
        for volume in nouns.select(r, Volume)
        if volume.pool_id in pools and matches(call["volume"], volume.name)
    }
    groups = {group.id: group.name for group in nouns.select(r, CollocationGroup)}
    members = {one.node_id: groups[one.group_id] for one in nouns.select(r, CollocationMember)}
    for node in _nodes(r, call):
        stored: Counter[int] = Counter()
        for row in owners.of_node(r, node.id):
            if row.volume_id in volumes:
                stored[row.volume_id] += row.stored_bytes
        for volume_id, size in sorted(stored.items()):
            volume = volumes[volume_id]
            yield {
                "node": node.name,
                "volume": volume.name,
                "pool": pools[volume.pool_id],
                "stored_bytes": size,
                "collocation_group": members.get(node.id, ""),
            }


def _nodes(r: Snapshot, call: Call) -> list[Node]:
    nodes = some(select(r, Node, call["nodes"]), call)
    if not call["collocgroup"]:
        return nodes
    group = nouns.get(r, CollocationGroup, call["collocgroup"])
    members = {one.node_id for one in nouns.select(r, CollocationMember, group_id=group.id)}
    return [node for node in nodes if node.id in members]


COMMANDS = (
    Command(
        words=("Query", "NODEData"),
        rule=ANYONE,
        help="Show on which volumes of sequential pools the data of nodes lies.",
        parameters=(
            positional("nodes", Patterns(64), "nodes; a list of names or patterns", default=("*",)),
            keyword("COLLOCGroup", Name(30), "only nodes of this collocation group"),
            keyword("STGpool", Pattern(30), "only volumes of these pools", default="*"),
            keyword("VOLume", PathPattern(), "only these volumes", default="*"),
        ),
        run=_query,
    ),
)
