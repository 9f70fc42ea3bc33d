"""What a node gets back: which extents make up its objects, then packs that hold them, then what could not be given.

The reader works ahead in threads of its own; this one only sends. A node that asks for an object that is not its own
learns nothing but that it is lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from farvault.base.errors import BadInput
from farvault.protocol.messages import MapRow, ObjectMaps, Pack, ReadEnd, ReadObjects
from farvault.seal.digest import DIGEST_BYTES
from farvault.sessions.node_session import Handlers, NodeSession
from farvault.storage.object_reading import ObjectReader
from farvault.transport.connection import Incoming

OBJECTS_MOST = 20_000
"""Ids in one request."""
BATCH_ROWS = 4000
BATCH_EXTENTS = 30_000
"""A frame of maps closes when either is reached: about 1.3 MiB."""


def read_objects(session: NodeSession, incoming: Incoming) -> None:
    asked, request = incoming.body, incoming.request
    assert isinstance(asked, ReadObjects)
    if len(asked.ids) > OBJECTS_MOST:
        raise BadInput("ANR0569E", most=OBJECTS_MOST)
    connection = session.connection
    reader = ObjectReader(
        session.storage, session.node_id, asked.ids, f"session {session.number} of node {session.node_name}"
    )
    for maps in _batches(_cut(reader.maps(), BATCH_EXTENTS)):
        connection.send(maps, request=request)
    with contextlib.closing(reader.packs()) as packs:
        for pack in packs:
            connection.send(
                Pack(codec=pack.codec, plain_bytes=pack.plain_bytes), pack.packed, request=request
            )
    connection.send(ReadEnd(lost=tuple(reader.lost), reason=reader.reason), request=request)


def _cut(rows: Iterable[MapRow], most: int) -> Iterator[MapRow]:
    """A list of extents too long for a frame goes in several rows."""
    for row in rows:
        start = 0
        while len(row.lengths) - start > most:
            end = start + most
            yield MapRow(row.id, _digests(row, start, end), row.lengths[start:end], more=True)
            start = end
        yield MapRow(row.id, _digests(row, start, None), row.lengths[start:]) if start else row


def _digests(row: MapRow, start: int, end: int | None) -> bytes:
    return row.digests[DIGEST_BYTES * start : None if end is None else DIGEST_BYTES * end]


def _batches(rows: Iterable[MapRow]) -> Iterator[ObjectMaps]:
    """Rows cut into frames; none at all where nothing is there."""
    batch: list[MapRow] = []
    extents = 0
    for row in rows:
        if batch and (len(batch) >= BATCH_ROWS or extents + len(row.lengths) > BATCH_EXTENTS):
            yield ObjectMaps(rows=tuple(batch))
            batch, extents = [], 0
        batch.append(row)
        extents += len(row.lengths)
    if batch:
        yield ObjectMaps(rows=tuple(batch))


HANDLERS: Handlers = {ReadObjects: read_objects}
