"""What RECONCILE VOLUMES compares of the volume history: database backups, exports and plan files at a target.

They are in no pool, and nothing at the target tells them from files nobody knows: whoever compares has to know them.
"""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog import volume_history
from farvault.catalog.transaction import Snapshot
from farvault.media import receipt as receipts
from farvault.model.volume_history import HistoryVolume
from farvault.policy.reconcile import Attributes
from farvault.seal.digest import digest_parts


class VolumeOfHistory(NamedTuple):
    """`attributes` None: it is being written, there is nothing to compare yet."""

    name: str
    attributes: Attributes | None


def volumes_of_history(r: Snapshot, device_class: str) -> list[VolumeOfHistory]:
    """In order of names, those that are being written as well."""
    return [VolumeOfHistory(row.volume, _attributes(row)) for row in volume_history.of_class(r, device_class)]


def _attributes(row: HistoryVolume) -> Attributes | None:
    """From the receipts of its segments; an entry without them knows its length only."""
    if not row.complete:
        return None
    signed = receipts.parted(row.receipt)
    if not signed:
        return Attributes(row.stored_bytes, 0, b"", row.epoch)
    return Attributes(
        sum(one.stored_bytes for one in signed),
        sum(one.records for one in signed),
        digest_parts(one.digest for one in signed),
        max(one.epoch for one in signed),
    )
