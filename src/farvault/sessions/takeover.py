"""Which session does what only one may do: write a virtual volume, or perform a transaction. The newest one that asks.

A peer whose link broke comes back before this end has noticed. The session it had is cut then, and the new one waits
until that one has let go: all that had come over it is durable or given up, and can be told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

TAKE_OVER_SECONDS: Final = 10.0
"""How long the new session waits for the end of the old one."""

Key = tuple[int, str | bytes]
"""(node, name of a volume) or (node, id of a transaction)"""


class Takeover:
    """Of one server and one kind of thing. Thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[Key, tuple[object, Callable[[], None]]] = {}

    def take(
        self,
        key: Key,
        session: object,
        cut: Callable[[], None],
        seconds: float = TAKE_OVER_SECONDS,
        *,
        insists: bool = True,
    ) -> bool:
        """From now on `session` has it. `cut` ends that session from another thread; it then calls `leave`.

        False: after so long the old one has not let go, and without `insists` keeps it.
        """
        with self._changed:
            other, cut_other = self._holders.get(key, (session, cut))
            is_free = True
            if other is not session:
                cut_other()
                is_free = self._changed.wait_for(lambda: key not in self._holders, seconds)
            if is_free or insists:
                self._holders[key] = (session, cut)
            return is_free or insists

    def leave(self, key: Key, session: object) -> None:
        """It does not have it any more; fine where another one does."""
        with self._changed:
            if self._holders.get(key, (None, None))[0] is session:
                del self._holders[key]
                self._changed.notify_all()
