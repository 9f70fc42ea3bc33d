"""File spaces: QUERY, RENAME, DELETE. A source's ADSM.SERVER is guarded: it holds another server's volumes."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, policy
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.definition import replace
from farvault.admin.figures import percent
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Pattern
from farvault.admin.lookup import select, some
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    Row,
    count_column,
    of_attribute,
    percent_column,
    row_of,
    time_column,
)
from farvault.base.errors import BadInput
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.base.wildcard import matches
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Name, Text
from farvault.model.file_space import VAULT_FILE_SPACE, FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind
from farvault.processes.delete_file_space import delete_file_space
from farvault.processes.process import Process

_KINDS = {
    "ANY": None,
    "BACKUP": ObjectKind.BACKUP,
    "ARCHIVE": ObjectKind.ARCHIVE,
    "SPACEMANAGED": ObjectKind.SPACE_MANAGED,
    "SERVER": ObjectKind.ARCHIVE,
}


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [
            _row(node, space)
            for node in select(r, Node, [call["node"]])
            for space in sorted(_spaces(r, node, call), key=lambda space: space.number)
        ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _spaces(r: Snapshot, node: Node, call: Call) -> list[FileSpace]:
    """By name or, with NAMETYPE=FSID, by number."""
    if call.values.get("nametype") == "FSID":
        every = nouns.select(r, FileSpace, node_id=node.id)
        return [space for space in every if matches(call["name"], str(space.number))]
    return nouns.select(r, FileSpace, call["name"], node_id=node.id)


def _row(node: Node, space: FileSpace) -> Row:
    return row_of(
        space,
        node=node.name,
        used_percent=round(percent(space.occupied_bytes, space.capacity_bytes), 1),
    )


def _columns(detailed: bool) -> list[Column]:
    columns = [
        Column(key="node", label="Node Name"),
        of_attribute(FileSpace, "name"),
        count_column("number", "FSID"),
        of_attribute(FileSpace, "platform"),
        of_attribute(FileSpace, "type"),
        Column(key="capacity_bytes", label="Capacity", show=show_size, number=True),
        percent_column("used_percent", "Pct Util"),
    ]
    if detailed:
        columns += [
            time_column("backup_start_time", "Last Backup Start Date/Time"),
            time_column("backup_end_time", "Last Backup Completion Date/Time"),
        ]
    return columns


def _rename(instance: Instance, call: Call) -> Iterator[Answer]:
    if VAULT_FILE_SPACE in (call["name"], call["new_name"]):
        raise BadInput("ANR2265E", file_space=VAULT_FILE_SPACE)
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["node"])
        space = nouns.get(tx, FileSpace, node.id, call["name"])
        nouns.update(tx, replace(space, name=call["new_name"]))
    yield message("ANR2266I", node=node.name, file_space=space.name, new_name=call["new_name"])


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        node = nouns.get(r, Node, call["node"])
        spaces = some(_spaces(r, node, call), call)
    if node.is_source != (call["type"] == "SERVER"):
        raise BadInput("ANR2267E" if node.is_source else "ANR2268E", node=node.name)

    def work(process: Process) -> None:
        for space in spaces:
            delete_file_space(instance.storage, process, node.name, space.name, kind=_KINDS[call["type"]])

    yield from run_process(instance, call, "DELETE FILESPACE", work)


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR2269W", file_space=call["name"], node=call["node"]))


def _domain_of_node(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        node = nouns.find(r, Node, call["node"])
        return [node.domain] if node else []


_NODE = positional("node", Name(64), "its node")
_NAME_TYPE = keyword(
    "NAMEType",
    Choice("SERVER", "UNIcode", "FSID"),
    "how the name is given: as shown, or by number",
    default="SERVER",
)
_CODE_TYPE = keyword(
    "CODEType", Choice("BOTH", "UNIcode", "NONUNIcode"), "kinds of name included", only="BOTH"
)

COMMANDS = (
    Command(
        words=("Query", "FIlespace"),
        rule=ANYONE,
        help="Show file spaces.",
        parameters=(
            positional("node", Pattern(64), "nodes", default="*"),
            positional("name", PathPattern(), "file spaces", default="*"),
            FORMAT,
            _NAME_TYPE,
            _CODE_TYPE,
        ),
        run=_query,
    ),
    Command(
        words=("REName", "FIlespace"),
        rule=policy(_domain_of_node),
        help="Give a file space another name; not ADSM.SERVER.",
        parameters=(
            _NODE,
            positional("name", Text(1024), "file space"),
            positional("new_name", Text(1024), "the new name"),
        ),
        run=_rename,
    ),
    Command(
        words=("DELete", "FIlespace"),
        rule=policy(_domain_of_node),
        help="Delete file spaces with all that is stored in them. The volumes of a node of TYPE=SERVER go only with "
        "TYPE=SERVER.",
        parameters=(
            _NODE,
            positional("name", PathPattern(), "file spaces"),
            keyword(
                "Type",
                Choice("ANY", "Backup", "Archive", "SPacemanaged", "SERver"),
                "which copies",
                default="ANY",
            ),
            keyword("DATA", Choice("ANY", "FILes", "IMages"), "kind of data", only="ANY"),
            WAIT,
            keyword("OWNer", Text(64), "only files of this owner", only=""),
            _NAME_TYPE,
            _CODE_TYPE,
        ),
        run=_delete,
        confirm=_confirm_delete,
    ),
)
