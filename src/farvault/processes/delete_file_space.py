"""DELETE FILESPACE: all objects of a node's file space go, or those of one kind; with the last one it goes itself.

Whoever stores into it at that moment is refused or keeps it alive: what was acknowledged after the deletion stays.
"""

from __future__ import annotations

from collections import Counter

from farvault.base.disk import crash_point
from farvault.base.units import show_size
from farvault.catalog import directories, nouns, objects
from farvault.catalog.objects import ObjectPlace
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.processes.process import Process
from farvault.storage.storage import Storage

BATCH = 4096
_START: ObjectPlace = (-1, b"", -1)


def delete_file_space(
    storage: Storage, process: Process, node_name: str, name: str, *, kind: int | None = None
) -> None:
    """`kind`: an ObjectKind; None means all. Stopped half-way, what is deleted is deleted; a second run goes on."""
    with storage.catalog.read() as r:
        node = nouns.get(r, Node, node_name)
        space = nouns.get(r, FileSpace, node.id, name)
    process.say("ANR0800I", file_space=space.name, node=node.name, number=process.number)
    deleted, live_bytes, held = _delete_objects(storage, process, space, kind)
    process.say(
        "ANR0806I",
        file_space=space.name,
        node=node.name,
        objects=f"{deleted:,}",
        size=show_size(live_bytes),
    )
    if held:
        process.count_failed(held.total())
        process.say(
            "ANR4408W",
            file_space=space.name,
            node=node.name,
            objects=f"{held.total():,}",
            holds=", ".join(sorted({name for names in held for name in names})),
        )
    if _remove(storage, process, space):
        process.say("ANR0807I", file_space=space.name, node=node.name)


def _delete_objects(
    storage: Storage, process: Process, space: FileSpace, kind: int | None
) -> tuple[int, int, Counter[tuple[str, ...]]]:
    """In the order they stand in, so that those of other kinds are passed only once. Last: how many each hold keeps."""
    deleted = freed_bytes = 0
    held: Counter[tuple[str, ...]] = Counter()
    after = _START
    while True:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            found = objects.object_places(r, space.id, after, BATCH, kind)
        if not found:
            return deleted, freed_bytes, held
        crash_point("file_space.delete.before_objects")
        count, live_bytes, kept = storage.delete_unheld(
            (place[2] for place in found), process.raise_if_cancelled
        )
        held.update(kept.values())
        process.advance(count, live_bytes)
        deleted, freed_bytes, after = deleted + count, freed_bytes + live_bytes, found[-1]


def _remove(storage: Storage, process: Process, space: FileSpace) -> bool:
    """The file space itself and its directories, where no object is left (one may have come meanwhile)."""
    while True:
        process.raise_if_cancelled()
        crash_point("file_space.delete.before_row")
        with storage.catalog.write() as tx:
            if objects.has_objects(tx, space.id):
                return False
            if not directories.remove_empty(tx, space.id):
                nouns.delete(tx, space)
                return True
