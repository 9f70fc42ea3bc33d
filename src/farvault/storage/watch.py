"""Tells whoever wants to know that a pool has more data than before, or was defined anew: migration may be due.

Whoever listens is called in the thread that stored or changed something, after its commit, and returns at once.
"""

from __future__ import annotations

from collections.abc import Callable

from farvault.model.storage_pool import StoragePool

Listener = Callable[[StoragePool, bool], None]
"""(pool, whether a volume of it was filled by that)."""


class PoolWatch:
    """One per server; listeners are added before the first session."""

    def __init__(self) -> None:
        self._stored: list[Listener] = []
        self._changed: list[Callable[[StoragePool], None]] = []

    def listen(self, stored: Listener, changed: Callable[[StoragePool], None]) -> None:
        """Be called after every commit that put data into a pool, and after DEFINE and UPDATE STGPOOL."""
        self._stored.append(stored)
        self._changed.append(changed)

    def stored(self, pool: StoragePool, *, filled_a_volume: bool) -> None:
        for listener in self._stored:
            listener(pool, filled_a_volume)

    def changed(self, pool: StoragePool) -> None:
        for listener in self._changed:
            listener(pool)
