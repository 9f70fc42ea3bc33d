"""Volumes that have lost records: when, and how often, it is tried to empty them, to reuse them, to let them go.

Only while nobody uses them (`volume_use.py`): what is in use now is tried again when it is let go, and what could not be
done then, every hour. How a volume goes: `volume_life.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial

from farvault.base.errors import FarvaultError
from farvault.catalog import placements
from farvault.catalog.catalog import Catalog
from farvault.storage.volume_life import VolumeLife
from farvault.storage.volume_use import VolumeUse


class EmptiedVolumes:
    """Thread safe."""

    def __init__(self, catalog: Catalog, life: VolumeLife, use: VolumeUse) -> None:
        self._catalog, self._life, self._use = catalog, life, use
        self._waiting: set[int] = set()
        self._lock = threading.Lock()

    def empty_if_free(self, volume_ids: Iterable[int] = ()) -> None:
        """Sequential volumes that lost records: those with nothing left are emptied; those in use, when they are let go."""
        with self._lock:
            self._waiting.update(volume_ids)
            candidates = list(self._waiting)
        for volume_id in candidates:
            self._use.alone(volume_id, partial(self._empty, volume_id))

    def _empty(self, volume_id: int) -> None:
        with self._lock:
            self._waiting.discard(volume_id)
        try:
            self._life.empty(volume_id)
        except FarvaultError as error:  # what led here is durable already and must not fail by it
            self._life.report(error)

    def came_back(self, volume_id: int) -> None:
        """A volume that was OFFSITE: what was emptied meanwhile is reused. One that is in use by now needs nothing of it."""
        self._use.alone(volume_id, partial(self._life.came_back, volume_id))

    def end_pending(self) -> list[str]:
        """Volumes whose REUSEDELAY is over become EMPTY or go; returns their names."""
        return [
            one.name
            for one in self._life.pending_over()
            if self._use.alone(one.id, partial(self._life.end_pending, one.id))
        ]

    def tidy(self) -> None:
        """Every now and then: end PENDING times that are over, delete what could not be deleted when it emptied."""
        self.end_pending()
        with self._catalog.read() as r:
            emptied = placements.emptied_volumes(r)
        self.empty_if_free(emptied)
        for volume, pool in self._life.interrupted():
            if not self._use.being_made(pool.id):
                self._use.alone(volume.id, partial(self._life.discard_scratch, volume, pool))
