"""The server's inventory as a stream that may be left waiting: what has to wait goes to memory, then to a file.

The walk reads the stream at its own pace. When the walk itself has to wait for consumers (a first backup of much
new data below old), the server must not: its side of the connection would time out. So from then on a thread takes
in the frames; a bounded number stays in memory, the rest lies in an unnamed temporary file.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from farvault.client.session import NodeSession
from farvault.protocol import messages as m

IN_MEMORY_MOST: Final = 32
"""Frames (up to a few thousand objects each) before the temporary file is used."""

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(m.Objects).decode


class Inventory:
    """The frames of one query, in order. After the last one the session is free again."""

    def __init__(self, session: NodeSession, query: m.QueryObjects) -> None:
        self._source = session.inventory(query)
        self._thread: threading.Thread | None = None
        self._memory: deque[m.Objects] = deque()
        self._spill: _Spill | None = None
        self._changed = threading.Condition()
        self._problem: BaseException | None = None
        self._ended = False

    def __iter__(self) -> Iterator[m.Objects]:
        while True:
            frame = next(self._source) if self._thread is None else self._from_thread()
            if frame.last:
                self._ended = True
            yield frame
            if frame.last:
                return

    def keep_flowing(self) -> None:
        """Call before waiting for anything else: from now on the stream is taken in beside."""
        if self._thread is None and not self._ended:
            self._thread = threading.Thread(target=self._take_in, name="inventory", daemon=True)
            self._thread.start()

    def _take_in(self) -> None:
        try:
            for frame in self._source:
                with self._changed:
                    if self._spill is None and len(self._memory) < IN_MEMORY_MOST:
                        self._memory.append(frame)
                    else:
                        if self._spill is None:
                            self._spill = _Spill()
                        self._spill.put(frame)
                    self._changed.notify()
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that iterates
            with self._changed:
                self._problem = problem
                self._changed.notify()

    def _from_thread(self) -> m.Objects:
        with self._changed:
            while True:
                if self._memory:
                    return self._memory.popleft()
                if self._spill is not None and (frame := self._spill.get()) is not None:
                    return frame
                if self._problem is not None:
                    raise self._problem
                self._changed.wait()


class _Spill:
    """Frames in a temporary file, first in, first out. Used under the owner's lock."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="farvault-inventory-")  # noqa: SIM115 - lives as long as this
        self._waiting: deque[tuple[int, int]] = deque()
        self._end = 0

    def put(self, frame: m.Objects) -> None:
        body = _ENCODE(frame)
        self._file.seek(self._end)
        self._file.write(body)
        self._waiting.append((self._end, len(body)))
        self._end += len(body)

    def get(self) -> m.Objects | None:
        if not self._waiting:
            return None
        offset, length = self._waiting.popleft()
        self._file.seek(offset)
        return _DECODE(self._file.read(length))
