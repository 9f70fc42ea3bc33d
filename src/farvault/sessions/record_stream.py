"""Answers to ReadRecords: one thread reads and checks, one sends what the other has read, the session's goes on receiving.

A source asks for several MiB ahead of what it has got; reading for the next request runs while the last one is sent.
"""

from __future__ import annotations

import contextlib
from typing import Final

from farvault.base.errors import FarvaultError
from farvault.base.pipeline import Conveyor
from farvault.protocol.messages import Body
from farvault.protocol.refusal import to_refused
from farvault.protocol.virtual_volumes import ReadRecords, RecordAnswer
from farvault.storage.buffers import Buffers
from farvault.storage.vault_volumes import VaultVolumes
from farvault.transport.connection import Connection

REQUESTS_WAITING: Final = 16
RECORDS_WAITING: Final = 3

_Answer = tuple[Body, memoryview | None, int]
"""A body, the buffer that holds its tail, and how long that is."""


class RecordStream:
    """For one session; its threads start with the first request and end with `finish` or `stop`."""

    def __init__(self, connection: Connection, volumes: VaultVolumes, buffers: Buffers) -> None:
        self._connection, self._volumes, self._buffers = connection, volumes, buffers
        self._reading: Conveyor[ReadRecords] = Conveyor(self._read, REQUESTS_WAITING, "vault read")
        self._sending: Conveyor[_Answer] = Conveyor(self._send, RECORDS_WAITING, "vault send")

    def ask(self, request: ReadRecords) -> None:
        """Answer it when those before it are answered."""
        self._reading.offer(request)

    def finish(self) -> None:
        """Everything asked for is answered. Raises where the link broke."""
        self._reading.finish()
        self._sending.finish()

    def stop(self) -> None:
        """The session ends. Never raises."""
        self._reading.stop()
        self._sending.stop()

    def _read(self, request: ReadRecords) -> None:
        if self._sending.failed:
            return
        wanted = [(span.offset_bytes, span.stored_bytes) for span in request.spans]
        try:
            with contextlib.closing(self._volumes.read(request.volume, wanted)) as records:
                for record in records:
                    self._sending.offer(self._answer(record))
        except FarvaultError as error:
            self._sending.offer((to_refused(error), None, 0))

    def _answer(self, record: memoryview | None) -> _Answer:
        if record is None:
            return RecordAnswer(problem="missing or damaged"), None, 0
        buffer = self._buffers.take()
        buffer[: record.nbytes] = record  # the reader's view ends with the next one
        return RecordAnswer(), buffer, record.nbytes

    def _send(self, answer: _Answer) -> None:
        body, buffer, size = answer
        if buffer is None:
            self._connection.send(body)
            return
        try:
            self._connection.send(body, buffer[:size])
        finally:
            self._buffers.give(buffer)
