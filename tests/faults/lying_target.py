"""A target that lies: the real server, whose answers to a source's requests are changed on their way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from farvault.protocol.frames import encode
from farvault.protocol.messages import Body
from farvault.protocol.virtual_volumes import Receipt, RecordAnswer
from farvault.seal.identity import Identity
from farvault.sessions import record_stream, source
from farvault.transport.connection import Connection

Change = Callable[[bytes], bytes]
"""What is sent instead of a record's bytes."""


@contextmanager
def records_changed(monkeypatch: pytest.MonkeyPatch, change: Change) -> Iterator[list[int]]:
    """Every record that is read for a source goes out as `change` makes it. Yields how long each was that went out."""
    sent: list[int] = []
    honest = record_stream.RecordStream._answer

    def lie(self: Any, record: memoryview | None) -> tuple[Body, memoryview | None, int]:
        body, buffer, size = honest(self, record)
        if buffer is None:
            return body, buffer, size
        changed = change(bytes(buffer[:size]))
        sent.append(len(changed))
        room = memoryview(bytearray(max(len(changed), len(buffer))))
        room[: len(changed)] = changed
        return body, room, len(changed)

    with monkeypatch.context() as patch:
        patch.setattr(record_stream.RecordStream, "_answer", lie)
        yield sent


@contextmanager
def records_sent_raw(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[Connection, memoryview], None]
) -> Iterator[None]:
    """`send` does what it likes with the connection where a record should go out."""

    def lie(self: Any, answer: tuple[Body, memoryview | None, int]) -> None:
        _, buffer, size = answer
        send(self._connection, memoryview(b"") if buffer is None else buffer[:size])

    with monkeypatch.context() as patch:
        patch.setattr(record_stream.RecordStream, "_send", lie)
        yield


@contextmanager
def receipts_changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[Receipt], Receipt]) -> Iterator[None]:
    """Receipts go out as `change` makes them; what the target keeps is right."""
    honest = source._Source._close_segment

    def lie(self: Any, body: Body) -> Body:
        receipt = honest(self, body)
        assert isinstance(receipt, Receipt)
        return change(receipt)

    with monkeypatch.context() as patch:
        patch.setattr(source._Source, "_close_segment", lie)
        yield


def signed_by(identity: Identity, receipt: Receipt) -> Receipt:
    from farvault.media import receipt as receipts

    return receipts.sign(msgspec.structs.replace(receipt, signature=b""), identity)


def raw(connection: Connection, data: bytes) -> None:
    """Bytes that are no frame, or a part of one."""
    connection._link.write(memoryview(data), 5.0, None)


def record_frame(claimed_bytes: int) -> bytes:
    """The frame of a record's answer without its tail, of which it says that it is this long."""
    return bytes(encode(RecordAnswer(), 0, claimed_bytes))
