"""Reused record buffers for the whole server: first touch of fresh memory costs more than filling it again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from farvault.base.disk import aligned_buffer
from farvault.seal.record import STORED_MAX_BYTES

IDLE_BUFFERS = 12
"""Kept for the next user; what a burst took beyond that goes back to the system."""


class Buffers:
    """Page-aligned buffers that hold any record. Only pages that were used take memory."""

    def __init__(self) -> None:
        self._idle: list[memoryview] = []
        self._lock = threading.Lock()

    def take(self) -> memoryview:
        """A buffer of `STORED_MAX_BYTES` with old bytes in it; the most recently used one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return aligned_buffer(STORED_MAX_BYTES)

    def give(self, buffer: memoryview) -> None:
        """Nobody looks at it any more."""
        with self._lock:
            if len(self._idle) < IDLE_BUFFERS:
                self._idle.append(buffer)

    @contextlib.contextmanager
    def ring(self, count: int) -> Iterator[list[memoryview]]:
        """Several at once, given back at the end of the block."""
        buffers = [self.take() for _ in range(count)]
        try:
            yield buffers
        finally:
            for buffer in buffers:
                self.give(buffer)
