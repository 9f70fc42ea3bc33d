"""What a node takes away for good: objects, and whole file spaces. The rights are BACKDELETE and ARCHDELETE."""

from __future__ import annotations

from typing import Final

from farvault.base.errors import BadInput, FarvaultError, NotAuthorized, NotFound
from farvault.catalog import nouns, objects
from farvault.model.file_space import VAULT_FILE_SPACE, FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind
from farvault.processes.delete_file_space import delete_file_space as delete_all
from farvault.processes.process import Process, State
from farvault.protocol.messages import DeleteFileSpace, DeleteObjects, Deletion, TransactionAnswer
from farvault.sessions.node_session import Handlers, NodeSession
from farvault.transport.connection import Incoming

PROGRESS_SECONDS: Final = 5.0
"""A deletion may take long: so often the node hears that it goes on, or its side would give the session up."""


def delete_objects(session: NodeSession, incoming: Incoming) -> None:
    """All of the objects or, if one may not be, none."""
    asked = incoming.body
    assert isinstance(asked, DeleteObjects)
    ids = list(dict.fromkeys(asked.ids))
    with session.catalog.read() as r:
        node = session.node(r)
        kinds = dict(objects.owned_kinds(r, session.node_id, ids))
    for object_id in ids:
        if object_id not in kinds:
            raise NotFound("ANR0558W", object_id=object_id, node=node.name)
    for kind in set(kinds.values()):
        _check_right(node, kind)
    deleted, _, held = session.storage.delete_unheld(ids)
    holds = ", ".join(sorted({name for names in held.values() for name in names}))
    if held:
        session.say("ANR4407W", objects=f"{len(held):,}", holds=holds)
    answer = TransactionAnswer(
        objects=0,
        expired=deleted,
        updated=0,
        new_extents=0,
        stored_bytes=0,
        held=tuple(held),
        holds=holds,
    )
    session.connection.send(answer, request=incoming.request)


def delete_file_space(session: NodeSession, incoming: Incoming) -> None:
    """As a process, so that an administrator sees it and can cancel it; the node waits for its end."""
    asked = incoming.body
    assert isinstance(asked, DeleteFileSpace)
    with session.catalog.read() as r:
        node, space = session.node(r), session.file_space(r, asked.name)
        kinds = [kind for kind in ObjectKind if objects.object_places(r, space.id, limit=1, kind=kind)]
    if space.name == VAULT_FILE_SPACE:
        raise BadInput("ANR2267E", node=node.name)
    for kind in kinds:
        _check_right(node, kind)

    def work(process: Process) -> None:
        delete_all(session.storage, process, node.name, space.name)

    process = session.processes.start("DELETE FILESPACE", work, session=session.number)
    send, request = session.connection.send, incoming.request
    while not process.wait(PROGRESS_SECONDS):
        send(Deletion(objects=process.objects), request=request)
    if process.state is not State.SUCCESS and process.error is not None:
        raise FarvaultError.from_message(process.error)
    with session.catalog.read() as r:
        gone = nouns.find(r, FileSpace, session.node_id, space.name) is None
    send(Deletion(objects=process.objects, last=True, gone=gone), request=request)


def _check_right(node: Node, kind: int) -> None:
    if kind == ObjectKind.ARCHIVE:
        allowed, keyword = node.archive_delete, "ARCHDELETE"
    else:
        allowed, keyword = node.backup_delete, "BACKDELETE"
    if not allowed:
        raise NotAuthorized("ANR0563W", node=node.name, kind=ObjectKind(kind).name.lower(), keyword=keyword)


HANDLERS: Handlers = {DeleteObjects: delete_objects, DeleteFileSpace: delete_file_space}
