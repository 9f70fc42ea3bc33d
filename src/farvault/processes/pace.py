"""A limit on how fast something is read, by the server's own clock."""

from __future__ import annotations

import threading

from farvault.base.clock import Clock


class Pace:
    """`spend` before each piece; it waits so that no more than the rate is read, counted from the start.

    Whoever uses it less for a while may not make up for it later: what is saved up is at most a second's worth.
    """

    def __init__(self, clock: Clock, bytes_per_second: int, cancel_event: threading.Event) -> None:
        """`bytes_per_second` 0: no limit."""
        self._clock, self._rate, self._cancel = clock, bytes_per_second, cancel_event
        self._free_at = clock.monotonic_seconds()

    def spend(self, size_bytes: int) -> None:
        """Returns when this much may be read, or at once where the work was cancelled."""
        if not self._rate:
            return
        now = self._clock.monotonic_seconds()
        self._free_at = max(self._free_at, now - 1.0)
        wait = self._free_at - now
        self._free_at += size_bytes / self._rate
        if wait > 0:
            self._clock.wait(self._cancel, wait)
