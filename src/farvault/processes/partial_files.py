"""Files of which one volume holds only a part: AUDIT VOLUME SKIPPARTIAL=YES leaves out what nothing else needs."""

from __future__ import annotations

from farvault.catalog import content
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.model.volume import Volume
from farvault.storage.storage import Storage

KNOWN_FILES = 100_000
"""Of how many files it remembers whether they reach to other volumes."""


class PartialFiles:
    """Those of one volume, as far as it was asked."""

    def __init__(self, storage: Storage, volume: Volume) -> None:
        self._storage, self._volume = storage, volume
        self._reaches_elsewhere: dict[int, bool] = {}

    def without(self, rows: list[PlacementRow]) -> list[PlacementRow]:
        """Without records that only files need of which other parts lie elsewhere."""
        if len(self._reaches_elsewhere) > KNOWN_FILES:
            self._reaches_elsewhere.clear()
        with self._storage.catalog.read() as r:
            return [row for row in rows if not self._is_only_for_partial(r, row)]

    def _is_only_for_partial(self, r: Snapshot, row: PlacementRow) -> bool:
        users = content.users_of_aggregates(r, [row.aggregate_id])
        for one in users:
            if one not in self._reaches_elsewhere:
                self._reaches_elsewhere[one] = content.reaching_elsewhere(r, self._volume.id, [one]) > 0
            if not self._reaches_elsewhere[one]:
                return False
        return bool(users)
