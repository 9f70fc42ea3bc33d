"""VALIDATE VOLUME: does the target stand by what it has signed for this volume? No record is read; AUDIT VOLUME does that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from farvault.base.errors import NotFound, PeerMisbehaved
from farvault.base.messages import message
from farvault.catalog import kept_receipts, nouns, target_truth
from farvault.catalog.kept_receipts import KeptReceipt, VolumeHere
from farvault.catalog.target_truth import FindingRow
from farvault.media import receipt as receipts
from farvault.media import receipt_head
from farvault.media.target import Target, TargetSession
from farvault.media.target_link import TargetLink
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy import reconcile
from farvault.policy.reconcile import Attributes, Kind
from farvault.processes.reconcile_volumes import show_numbers
from farvault.storage.storage import Storage

RECEIPTS_AT_ONCE: Final = 500


class Validated(NamedTuple):
    """What the target stands by."""

    server: str
    receipts: int
    attributes: Attributes


def validate_volume(storage: Storage, open_target: Callable[[str], Target], name: str) -> Validated:
    """`PeerMisbehaved` where the target does not stand by its word; `NotFound` where it has given none."""
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, name)
        here = kept_receipts.volume_here(r, name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
        device_class = nouns.get(r, DeviceClass, pool.device_class)
    if here is None or not here.receipts:
        raise NotFound("ANR4893E", volume=name)
    at_target = f"{device_class.prefix}.{name}"
    with TargetLink(open_target(device_class.server_name)) as link:
        reason = _broken_word(link, at_target, here)
        if not reason:
            reason = _difference(storage, link, at_target, here)
    if reason:
        said = message("ANR4889E", volume=name, server=device_class.server_name, reason=reason)
        raise PeerMisbehaved.from_message(said)
    with storage.catalog.write() as tx:
        kept_receipts.note_verified(tx, here.receipts, storage.clock.now_seconds())
    return Validated(device_class.server_name, len(here.receipts), here.attributes)


def _broken_word(link: TargetLink, at_target: str, here: VolumeHere) -> str:
    """What is wrong with the receipts themselves; '' where they are the target's and it still has them."""
    for batch in _batches(here.receipts):
        numbers = tuple(one.number for one in batch)

        def ask(session: TargetSession, numbers: tuple[int, ...] = numbers) -> tuple[Sequence[bytes], bytes]:
            return receipt_head.receipts(session, numbers).receipts, session.identity_key

        told, identity_key = link.run(ask)
        for kept, again in zip(batch, told, strict=True):
            ours = receipts.from_bytes(kept.receipt)
            stated = (
                ours.volume,
                ours.offset_bytes,
                ours.stored_bytes,
                ours.records,
                ours.digest,
                ours.epoch,
            )
            if not receipts.is_signed_by(ours, identity_key):
                return f"receipt {kept.number} is not signed by the key it has now"
            if stated != (at_target, *kept[1:6]):
                return f"receipt {kept.number} states something else"
            if again != kept.receipt:
                return (
                    f"it knows no receipt {kept.number}"
                    if not again
                    else f"its receipt {kept.number} is another one"
                )
    return ""


def _difference(storage: Storage, link: TargetLink, at_target: str, here: VolumeHere) -> str:
    """What the target says it has now against what the receipts say; kept as a finding where it differs."""
    row = link.volume(at_target)
    there = None if row is None else Attributes(row.stored_bytes, row.records, row.digest, row.epoch)
    finding = reconcile.find(here.attributes, there, marked=row is not None and row.marked)
    if finding is reconcile.Finding.SAME:
        return ""
    differs = ", ".join(reconcile.differing(here.attributes, there)) if there else ""
    with storage.catalog.write() as tx:
        target_truth.add_findings(
            tx,
            [
                FindingRow(
                    here.receipts[0].server_id,
                    at_target,
                    Kind.POOL.value,
                    finding.value,
                    differs,
                    here.written_bytes,
                    there.stored_bytes if there else 0,
                    show_numbers([one.number for one in here.receipts]),
                    "reported",
                    storage.clock.now_seconds(),
                )
            ],
        )
    return f"{finding.value} ({differs})" if differs else finding.value


def _batches(rows: Sequence[KeptReceipt]) -> Iterator[Sequence[KeptReceipt]]:
    for start in range(0, len(rows), RECEIPTS_AT_ONCE):
        yield rows[start : start + RECEIPTS_AT_ONCE]
