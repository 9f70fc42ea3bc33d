"""Volumes of the volume history for RECONCILE VOLUMES: database backups, exports and plans are no orphans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from farvault.catalog import volume_history
from farvault.catalog.catalog import Catalog
from farvault.model.volume_history import OWN_VOLUME
from farvault.policy.reconcile import Attributes
from farvault.processes.reconcile_volumes import History, HistoryVolume

_LABEL_AND_END: Final = 2
"""Records of a volume that its entry does not count."""


def history_of(catalog: Catalog) -> History:
    """As the catalog is when it is asked. What is being written, or came without its contents, is not compared."""

    def history(class_name: str) -> Iterable[HistoryVolume]:
        with catalog.read() as r:
            rows = volume_history.rows(r, OWN_VOLUME, complete=None)
        of_class = sorted((row for row in rows if row.device_class == class_name), key=lambda row: row.volume)
        for row in of_class:
            known = row.complete and row.contents
            attributes = Attributes(row.stored_bytes, row.records + _LABEL_AND_END, row.contents, row.epoch)
            yield HistoryVolume(row.volume, attributes if known else None)

    return history
