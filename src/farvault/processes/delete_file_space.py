"""DELETE FILESPACE: all objects of a node's file space go, or those of one kind; with the last one it goes itself."""

from __future__ import annotations

from farvault.catalog import directories, nouns, objects
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.processes.process import Process
from farvault.storage.storage import Storage

BATCH = 4096


def delete_file_space(
    storage: Storage, process: Process, node_name: str, name: str, *, kind: int | None = None
) -> None:
    """`kind`: an ObjectKind; None means all. Stopped half-way, what is deleted is deleted; a second run goes on."""
    with storage.catalog.read() as r:
        node = nouns.get(r, Node, node_name)
        space = nouns.get(r, FileSpace, node.id, name)
    process.say("ANR0800I", file_space=space.name, node=node.name, number=process.number)
    deleted = 0
    while True:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            found = objects.object_ids(r, space.id, BATCH, kind)
        if not found:
            break
        count, live_bytes = storage.delete_objects(found, process.raise_if_cancelled)
        deleted += count
        process.advance(count, live_bytes)
    process.say("ANR0806I", file_space=space.name, node=node.name, objects=f"{deleted:,}")
    if _remove(storage, space):
        process.say("ANR0807I", file_space=space.name, node=node.name)


def _remove(storage: Storage, space: FileSpace) -> bool:
    """The file space itself and its directories, where no object is left (one may have come meanwhile)."""
    while True:
        with storage.catalog.write() as tx:
            if objects.has_objects(tx, space.id):
                return False
            if not directories.remove_empty(tx, space.id):
                nouns.delete(tx, space)
                return True
