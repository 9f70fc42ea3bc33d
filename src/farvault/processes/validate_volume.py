"""VALIDATE VOLUME: does the target stand by what it has signed for this volume, of a pool or of the volume history?

No record is read; of pools AUDIT VOLUME does that, of database backups and plans CONTENTS=YES.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from farvault.base.errors import BadInput, MediaFailed, NotFound, PeerMisbehaved, RecordDamaged
from farvault.base.messages import message
from farvault.base.units import show_numbers
from farvault.catalog import kept_receipts, nouns, target_truth, volume_history
from farvault.catalog.kept_receipts import KeptReceipt
from farvault.catalog.target_truth import FindingRow
from farvault.catalog.transaction import Snapshot
from farvault.media import receipt as receipts
from farvault.media import receipt_head
from farvault.media.target import Target, TargetSession
from farvault.media.target_link import TargetLink
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.model.volume_history import HistoryVolume
from farvault.policy import reconcile
from farvault.policy.reconcile import Attributes, Kind
from farvault.processes.reconcile_history import attributes_of, receipts_of
from farvault.seal import volume_end
from farvault.storage.history_reading import place_of, read_end_record, read_records
from farvault.storage.storage import Storage

RECEIPTS_AT_ONCE: Final = 500


class Validated(NamedTuple):
    """What the target stands by. `is_read`: every record was read here and proved, too."""

    server: str
    receipts: int
    attributes: Attributes
    is_read: bool = False


class _Promised(NamedTuple):
    """A volume here, what its target has signed for it, and what that makes together."""

    kind: Kind
    volume_id: int
    at_target: str
    server: str
    receipts: Sequence[KeptReceipt]
    attributes: Attributes


def validate_volume(
    storage: Storage, open_target: Callable[[str], Target], name: str, *, contents: bool = False
) -> Validated:
    """`PeerMisbehaved` where the target does not stand by its word; `NotFound` where it has given none.

    `contents`: also read and prove all of a volume of the volume history; `RecordDamaged`, `MediaFailed` where it is not
    whole. Volumes of pools are read by AUDIT VOLUME.
    """
    with storage.catalog.read() as r:
        entry = None if nouns.select(r, Volume, name) else volume_history.own_volume(r, name)
        promised = _of_pool(r, name) if entry is None else _of_history(r, entry)
    if not promised.receipts:
        raise NotFound("ANR4893E", volume=name)
    if contents and entry is None:
        raise BadInput("ANR4840E", volume=name)
    with TargetLink(open_target(promised.server)) as link:
        reason = _broken_word(link, promised) or _difference(storage, link, promised)
    if reason:
        raise PeerMisbehaved.from_message(
            message("ANR4889E", volume=name, server=promised.server, reason=reason)
        )
    if contents and entry is not None:
        _read(storage, entry)
    now = storage.clock.now_seconds()
    with storage.catalog.write() as tx:
        if entry is None:
            kept_receipts.note_verified(tx, promised.receipts, now)
        else:
            volume_history.note_verified(tx, entry.id, now, is_whole=contents)
    return Validated(promised.server, len(promised.receipts), promised.attributes, contents)


def _of_pool(r: Snapshot, name: str) -> _Promised:
    volume = nouns.get(r, Volume, name)
    here = kept_receipts.volume_here(r, name)
    device_class = nouns.get(r, DeviceClass, nouns.by_id(r, StoragePool, volume.pool_id).device_class)
    if here is None:
        raise NotFound("ANR4893E", volume=name)
    at_target = f"{device_class.prefix}.{name}"
    return _Promised(
        Kind.POOL, volume.id, at_target, device_class.server_name, here.receipts, here.attributes
    )


def _of_history(r: Snapshot, row: HistoryVolume) -> _Promised:
    device_class = nouns.get(r, DeviceClass, row.device_class)
    at_target = f"{device_class.prefix}.{row.volume}"
    kept = receipts_of(r, row)
    return _Promised(Kind.HISTORY, row.id, at_target, device_class.server_name, kept, attributes_of(row))


def _read(storage: Storage, row: HistoryVolume) -> None:
    """Every record, against the end that is signed by this server. One that is not there as it was written is noted."""
    device = storage.devices.device(row.device_class)
    with _noting_a_loss(storage, row):
        record = read_end_record(device, place_of(row))
    end = volume_end.parse(record, storage.identity.public_key_bytes)
    with _noting_a_loss(storage, row):
        for _ in read_records(device, row.volume, end, storage.keyring):
            pass


@contextlib.contextmanager
def _noting_a_loss(storage: Storage, row: HistoryVolume) -> Iterator[None]:
    """No incremental backup may follow it. A target that is only away has lost nothing."""
    try:
        yield
    except (RecordDamaged, MediaFailed):
        with storage.catalog.write() as tx:
            volume_history.note_missed(tx, row.id, storage.clock.now_seconds())
        raise


def _broken_word(link: TargetLink, promised: _Promised) -> str:
    """What is wrong with the receipts themselves; '' where they are the target's and it still has them."""
    for batch in _batches(promised.receipts):
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
            if stated != (promised.at_target, *kept[1:6]):
                return f"receipt {kept.number} states something else"
            if again != kept.receipt:
                return (
                    f"it knows no receipt {kept.number}"
                    if not again
                    else f"its receipt {kept.number} is another one"
                )
    return ""


def _difference(storage: Storage, link: TargetLink, promised: _Promised) -> str:
    """What the target says it has now against what the receipts say; kept as a finding where it differs.

    A volume of the volume history that is lost there is noted as such: no incremental backup may follow it.
    """
    row = link.volume(promised.at_target)
    here = promised.attributes
    there = None if row is None else Attributes(row.stored_bytes, row.records, row.digest, row.epoch)
    finding = reconcile.find(here, there, marked=row is not None and row.marked)
    if finding is reconcile.Finding.SAME:
        return ""
    differs = ", ".join(reconcile.differing(here, there)) if there else ""
    now = storage.clock.now_seconds()
    found = FindingRow(
        promised.receipts[0].server_id,
        promised.at_target,
        promised.kind.value,
        finding.value,
        differs,
        here.stored_bytes,
        there.stored_bytes if there else 0,
        show_numbers([one.number for one in promised.receipts]),
        "reported",
        now,
    )
    with storage.catalog.write() as tx:
        target_truth.add_findings(tx, [found])
        if promised.kind is Kind.HISTORY and reconcile.is_lost(finding):
            volume_history.note_missed(tx, promised.volume_id, now)
    return f"{finding.value} ({differs})" if differs else finding.value


def _batches(rows: Sequence[KeptReceipt]) -> Iterator[Sequence[KeptReceipt]]:
    for start in range(0, len(rows), RECEIPTS_AT_ONCE):
        yield rows[start : start + RECEIPTS_AT_ONCE]
