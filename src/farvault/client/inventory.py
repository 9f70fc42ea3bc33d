"""The server's inventory as a stream that never waits for its reader: it lies in memory, then in a file.

The reader goes at its own pace: the walk on a slow disk, a person who thinks or pages. The server's side of the connection
would time out meanwhile. So a thread takes in the frames from the start; a bounded number stays in memory, the rest
lies in an unnamed temporary file until it is read.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from farvault.base.errors import MediaFull
from farvault.client.session import NodeSession
from farvault.protocol import messages as m

IN_MEMORY_MOST: Final = 32
"""Frames (up to a few thousand objects each) before the temporary file is used."""

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(m.Objects).decode


class Inventory:
    """The frames of one query, in order. After the last one the session is free again.

    `MediaFull` (ANS9826E) where they can be kept neither in memory nor in a file.
    """

    def __init__(self, session: NodeSession, query: m.QueryObjects) -> None:
        self._source = session.inventory(query)
        self._memory: deque[m.Objects] = deque()
        self._spill = _Spill()
        self._changed = threading.Condition()
        self._problem: BaseException | None = None
        self._taking = threading.Thread(target=self._take_in, name="inventory", daemon=True)
        self._taking.start()

    def __iter__(self) -> Iterator[m.Objects]:
        while True:
            frame = self._next()
            yield frame
            if frame.last:
                return

    def _take_in(self) -> None:
        try:
            for frame in self._source:
                with self._changed:
                    if self._spill.is_empty and len(self._memory) < IN_MEMORY_MOST:
                        self._memory.append(frame)
                    else:
                        self._spill.put(frame)
                    self._changed.notify()
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that iterates
            with self._changed:
                self._problem = problem
                self._changed.notify()

    def _next(self) -> m.Objects:
        with self._changed:
            while True:
                if self._memory:
                    return self._memory.popleft()
                if not self._spill.is_empty:
                    return self._spill.get()
                if self._problem is not None:
                    raise self._problem
                self._changed.wait()


class _Spill:
    """Frames in a temporary file, first in, first out; made when it is needed. Used under the owner's lock."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._waiting: deque[tuple[int, int]] = deque()
        self._end = 0

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def put(self, frame: m.Objects) -> None:
        body = _ENCODE(frame)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="farvault-inventory-", dir=_folder())  # noqa: SIM115
            self._file.seek(self._end)
            self._file.write(body)
            self._file.flush()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise MediaFull("ANS9826E", folder=_folder() or tempfile.gettempdir(), reason=reason) from problem
        self._waiting.append((self._end, len(body)))
        self._end += len(body)

    def get(self) -> m.Objects:
        assert self._file is not None
        offset, length = self._waiting.popleft()
        self._file.seek(offset)
        frame = _DECODE(self._file.read(length))
        if not self._waiting:
            self._end = 0  # a reader that keeps up needs the room of its largest lag only
        return frame


def _folder() -> str | None:
    """Not /tmp, where nobody asks for it: it often is memory. None: where the system puts temporary files."""
    return None if os.environ.get("TMPDIR") or not os.access("/var/tmp", os.W_OK) else "/var/tmp"  # noqa: S108
