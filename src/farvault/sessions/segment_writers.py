"""Which session writes which virtual volume: the newest one that asks, never two at a time.

A source whose link broke comes back before its target has noticed. The session it had is cut then, and the new one waits
a moment until all that had come over the old one is durable: so it is known, and does not travel again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

TAKE_OVER_SECONDS: Final = 10.0
"""How long the new session waits for the end of the old one."""


class SegmentWriters:
    """Of one server. Thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._writing: dict[tuple[int, str], tuple[object, Callable[[], None]]] = {}

    def take(self, node_id: int, volume: str, session: object, cut: Callable[[], None]) -> None:
        """From now on `session` writes it. `cut` ends that session from another thread; it then calls `leave`."""
        key = (node_id, volume)
        with self._changed:
            other, cut_other = self._writing.get(key, (session, cut))
            if other is not session:
                cut_other()
                self._changed.wait_for(lambda: key not in self._writing, TAKE_OVER_SECONDS)
            self._writing[key] = (session, cut)

    def leave(self, node_id: int, volume: str, session: object) -> None:
        """It does not write it any more; fine where another one does."""
        with self._changed:
            if self._writing.get((node_id, volume), (None, None))[0] is session:
                del self._writing[node_id, volume]
                self._changed.notify_all()
