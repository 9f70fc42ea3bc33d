"""MOVE NODEDATA: what some nodes have sent goes to other volumes of its pool, or to another pool (docs/decisions/0027)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farvault.base.errors import NotFound
from farvault.base.units import show_size
from farvault.catalog import nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.processes.left_places import moving
from farvault.processes.move_data import destination_of
from farvault.processes.process import Process
from farvault.processes.volume_copies import Place, copy_volumes, volumes_with_work
from farvault.storage.storage import Storage

ANY_KIND = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose data: nodes by name; of a single node perhaps only some file spaces. `kind` as of objects, 0 = any."""

    nodes: Sequence[str]
    file_spaces: Sequence[str] = ()
    kind: int = ANY_KIND


def numbers_of(r: Snapshot, selection: Selection) -> tuple[list[int], list[int]]:
    """Numbers of the nodes and file spaces; `NotFound`."""
    nodes = [nouns.get(r, Node, name) for name in selection.nodes]
    spaces = [_file_space(r, node, name).id for node in nodes for name in selection.file_spaces]
    return [node.id for node in nodes], spaces


def _file_space(r: Snapshot, node: Node, name: str) -> FileSpace:
    found = nouns.find(r, FileSpace, node.id, name)
    if found is None:
        raise NotFound("ANR0852E", name=f"{name} of node {node.name}")
    return found


def move_node_data(
    storage: Storage,
    process: Process,
    selection: Selection,
    from_pool: str,
    to_pool: str = "",
    *,
    max_processes: int = 1,
) -> None:
    """Others may store meanwhile; what comes after a volume's turn stays. What could not be read is counted as failed."""
    with storage.catalog.read() as r:
        pool = nouns.get(r, StoragePool, from_pool)
        destination = destination_of(r, pool, to_pool)
        node_ids, space_ids = numbers_of(r, selection)

    def page(r: Snapshot, place: Place, limit: int) -> list[PlacementRow]:
        return placements.of_nodes(r, pool.id, node_ids, space_ids, selection.kind, place, limit)

    names = {
        "nodes": ", ".join(selection.nodes),
        "pool": pool.name,
        "destination": destination.name,
    }
    process.say("ANR4732I", **names, number=process.number)
    volumes = volumes_with_work(storage, page)
    copied = copy_volumes(
        storage,
        process,
        volumes,
        page,
        destination,
        allowed=lambda _: True,
        on_store=moving(storage, lambda row: row.pool_id == pool.id),
        max_processes=max_processes,
        exclude=volumes if destination.id == pool.id else (),
    )
    process.note = ""
    process.say(
        "ANR4733I",
        **names,
        records=f"{copied.records:,}",
        size=show_size(copied.stored_bytes),
        referred=f"{copied.referred:,}",
        lost=f"{len(copied.lost):,}",
    )
