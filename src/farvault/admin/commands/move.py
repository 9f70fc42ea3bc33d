"""MOVE DATA and MOVE NODEDATA."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import storage
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths, Patterns
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer
from farvault.base.errors import BadInput, InUse
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.attribute import Choice, Integer, Name, Text, YesNo
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind
from farvault.model.volume import Volume
from farvault.processes.move_data import check_volume, destination_of, move_data
from farvault.processes.move_node_data import ANY_KIND, Selection, move_node_data, numbers_of
from farvault.processes.process import Process

_KINDS = {
    "ANY": ANY_KIND,
    "BACKUP": int(ObjectKind.BACKUP),
    "ARCHIVE": int(ObjectKind.ARCHIVE),
    "SPACEMANAGED": int(ObjectKind.SPACE_MANAGED),
}


def _move_data(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        volume = nouns.get(r, Volume, call["volume"])
        destination_of(r, nouns.by_id(r, StoragePool, volume.pool_id), call["stgpool"] or "")
    check_volume(volume)
    if instance.storage.use.is_in_use(volume.id):
        raise InUse("ANR2405E", volume=volume.name)

    def work(process: Process) -> None:
        move_data(
            instance.storage,
            process,
            volume.name,
            to_pool=call["stgpool"] or "",
            reconstruct=call["reconstruct"],
        )

    yield from run_process(instance, call, "MOVE DATA", work)


def _confirm_move(instance: Instance, call: Call) -> str:
    del instance
    if call["stgpool"]:
        return str(message("ANR2233W", volume=call["volume"], pool=call["stgpool"]))
    return str(message("ANR2232W", volume=call["volume"]))


def _move_node_data(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        nodes = [node.name for node in some(select(r, Node, call["nodes"]), call)]
        selection = Selection(nodes, call["filespace"] or (), _KINDS[call["type"]])
        if selection.file_spaces and len(nodes) != 1:
            raise BadInput("ANR4734E", nodes=", ".join(nodes))
        numbers_of(r, selection)
        pool = nouns.get(r, StoragePool, call["fromstgpool"])
        destination_of(r, pool, call["tostgpool"] or "")

    def work(process: Process) -> None:
        move_node_data(
            instance.storage,
            process,
            selection,
            pool.name,
            call["tostgpool"] or "",
            max_processes=call["maxprocess"],
        )

    yield from run_process(instance, call, "MOVE NODE DATA", work)


def _pools_of_volume(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        volume = nouns.find(r, Volume, call["volume"])
        pools = [nouns.by_id(r, StoragePool, volume.pool_id).name] if volume else []
    return [*pools, call["stgpool"]] if call["stgpool"] else pools


def _pools(instance: Instance, call: Call) -> list[str]:
    del instance
    return [name for name in (call["fromstgpool"], call["tostgpool"]) if name]


COMMANDS = (
    Command(
        words=("MOVe", "Data"),
        rule=storage(_pools_of_volume),
        help="Move what lies on a volume to other volumes of its pool, or of a primary volume to another primary pool.",
        parameters=(
            positional("volume", Text(1024), "name of the volume"),
            keyword("STGpool", Name(30), "to this pool"),
            keyword("SHREDTONOshred", YesNo(), "move shredded data", only=False),
            keyword("RECONStruct", YesNo(), "leave dead space behind", default=False),
            WAIT,
        ),
        run=_move_data,
        confirm=_confirm_move,
    ),
    Command(
        words=("MOVe", "NODEdata"),
        rule=storage(_pools),
        help="Move what nodes have sent to other volumes of a pool, or to another pool.",
        parameters=(
            positional("nodes", Patterns(64), "nodes"),
            keyword("FROMstgpool", Name(30), "from this pool", required=True),
            keyword("TOstgpool", Name(30), "to this pool"),
            keyword("FIlespace", Paths(), "only these file spaces, of a single node"),
            keyword(
                "Type", Choice("ANY", "Backup", "Archive", "SPacemanaged"), "only such copies", default="ANY"
            ),
            keyword("MAXPRocess", Integer(1, 999), "how much is moved side by side", default=1),
            WAIT,
        ),
        run=_move_node_data,
    ),
)
