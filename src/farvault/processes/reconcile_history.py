"""What is known here of volumes of the volume history at a target: database backups, exports and plan files.

They are in no pool, and nothing at the target tells them from files nobody knows: whoever compares has to know them.
"""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog import target_truth, volume_history
from farvault.catalog.kept_receipts import KeptReceipt
from farvault.catalog.transaction import Snapshot
from farvault.media import receipt as receipts
from farvault.model.volume_history import HistoryVolume
from farvault.policy.reconcile import Attributes
from farvault.seal.digest import digest_parts

_LABEL_AND_END = 2
"""Records of a volume that its entry does not count."""


class VolumeOfHistory(NamedTuple):
    """`attributes` None: it is being written, there is nothing to compare yet. `receipts`: numbers. `number`: its entry's."""

    name: str
    attributes: Attributes | None
    receipts: tuple[int, ...]
    number: int


def volumes_of_history(r: Snapshot, device_class: str) -> list[VolumeOfHistory]:
    """In order of names, those that are being written as well."""
    return [
        VolumeOfHistory(
            row.volume,
            attributes_of(row) if row.complete else None,
            tuple(one.number for one in receipts.parted(row.receipt)),
            row.id,
        )
        for row in volume_history.of_class(r, device_class)
    ]


def receipts_of(r: Snapshot, row: HistoryVolume) -> list[KeptReceipt]:
    """What its target has signed for it, segment by segment, as it is kept of volumes of pools."""
    server_id = target_truth.server_of_class(r, row.device_class) or 0
    return [
        KeptReceipt(
            row.id,
            one.offset_bytes,
            one.stored_bytes,
            one.records,
            one.digest,
            one.epoch,
            server_id,
            one.number,
            receipts.to_bytes(one),
            row.verified_time,
        )
        for one in receipts.parted(row.receipt)
    ]


def attributes_of(row: HistoryVolume) -> Attributes:
    """From its own contents, or the receipts of its segments; an entry without both knows its length only."""
    if row.contents:
        return Attributes(row.stored_bytes, row.records + _LABEL_AND_END, row.contents, row.epoch)
    signed = receipts.parted(row.receipt)
    if not signed:
        return Attributes(row.stored_bytes, 0, b"", row.epoch)
    return Attributes(
        sum(one.stored_bytes for one in signed),
        sum(one.records for one in signed),
        digest_parts(one.digest for one in signed),
        max(one.epoch for one in signed),
    )
