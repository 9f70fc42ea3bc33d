"""Source side: the receipts of virtual volumes, and where on them it may be asked.

Receipts come with the transaction that makes the segment count, and go with their volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from farvault.catalog import questions, target_truth
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.policy.reconcile import Attributes
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import digest_parts


class KeptReceipt(NamedTuple):
    """One segment's; columns as in `docs/catalog.md`."""

    volume_id: int
    offset_bytes: int
    stored_bytes: int
    records: int
    digest: bytes
    epoch: int
    server_id: int
    number: int
    receipt: bytes
    verified_time: int


class VolumeHere(NamedTuple):
    """A virtual volume with data, and what its receipts say of it up to its end."""

    volume_id: int
    name: str
    written_bytes: int
    receipts: tuple[KeptReceipt, ...]

    @property
    def attributes(self) -> Attributes:
        """What the target has to hold. The length is the catalog's own; receipts that do not cover it show as a difference."""
        return Attributes(
            self.written_bytes,
            sum(one.records for one in self.receipts),
            digest_parts(one.digest for one in self.receipts),
            max((one.epoch for one in self.receipts), default=0),
        )


_COLUMNS = ", ".join(KeptReceipt._fields)


def keep(tx: Transaction, volume_id: int, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
    """New segments of a volume, in the order they were closed, each with its receipt as it came.

    What was kept of the volume from their start on is of bytes that have been written over. `PeerMisbehaved` where the
    next receipt does not name the one before it: the target's chain was cut.
    """
    server_id = target_truth.server_of_volume(tx, volume_id)
    if server_id is None:
        return
    for receipt, stored in receipts:
        target_truth.check_follows(tx, server_id, receipt)
        after = (volume_id, receipt.offset_bytes)
        tx.run("DELETE FROM volume_receipts WHERE volume_id = ? AND offset_bytes >= ?", after)
        questions.OF_POOLS.forget_from(tx, *after)
        row = KeptReceipt(
            volume_id,
            receipt.offset_bytes,
            receipt.stored_bytes,
            receipt.records,
            receipt.digest,
            receipt.epoch,
            server_id,
            receipt.number,
            stored,
            0,
        )
        _write(tx, row)
        target_truth.note_receipt(tx, server_id, receipt.number, stored)


def of_volume(r: Snapshot, volume_id: int) -> list[KeptReceipt]:
    """All of a volume, in the order of its segments."""
    sql = f"SELECT {_COLUMNS} FROM volume_receipts WHERE volume_id = ? ORDER BY offset_bytes"
    return [KeptReceipt._make(row) for row in r.all(sql, (volume_id,))]


def note_verified(tx: Transaction, rows: Sequence[KeptReceipt], now: int) -> None:
    """The target stands by these. Those that were replaced meanwhile are left as they are."""
    for row in rows:
        here = tx.one("SELECT number FROM volume_receipts WHERE volume_id = ? AND offset_bytes = ?", row[:2])
        if here is not None and here[0] == row.number:
            _write(tx, row._replace(verified_time=now))


def volumes_here(
    r: Snapshot, class_names: Sequence[str], after: str = "", limit: int = 1000
) -> list[VolumeHere]:
    """The next pool volumes of these device classes that have data, by name, with their receipts."""
    marks = ", ".join("?" * len(class_names))
    sql = (
        f"SELECT v.id, v.name, v.written_bytes, {', '.join(f'k.{name}' for name in KeptReceipt._fields)}"
        " FROM (SELECT v.id, v.name, v.written_bytes FROM volumes v JOIN storage_pools p ON p.id = v.pool_id"
        f" WHERE v.name > ? AND v.written_bytes > 0 AND p.device_class IN ({marks}) ORDER BY v.name LIMIT ?) v"
        " LEFT JOIN volume_receipts k ON k.volume_id = v.id AND k.offset_bytes < v.written_bytes"
        " ORDER BY v.name, k.offset_bytes"
    )
    found: list[VolumeHere] = []
    for row in r.rows(sql, (after, *class_names, limit)):
        receipts = () if row[3] is None else (KeptReceipt._make(row[3:]),)
        if found and found[-1].volume_id == row[0]:
            found[-1] = found[-1]._replace(receipts=(*found[-1].receipts, *receipts))
        else:
            found.append(VolumeHere(row[0], row[1], row[2], receipts))
    return found


def volume_here(r: Snapshot, name: str) -> VolumeHere | None:
    """One pool volume with data as it is now; None where there is none."""
    row = r.one("SELECT id, name, written_bytes FROM volumes WHERE name = ? AND written_bytes > 0", (name,))
    if row is None:
        return None
    receipts = tuple(one for one in of_volume(r, row[0]) if one.offset_bytes < row[2])
    return VolumeHere(row[0], row[1], row[2], receipts)


def random_places(r: Snapshot, server_name: str, positions: Sequence[float]) -> Iterator[tuple[int, int]]:
    """(volume id, offset) for each of these positions, 0 to below 1, in the bytes of all readable volumes at a target.

    `positions` in rising order. Nothing where there are no bytes.
    """
    where = (
        " FROM volumes v JOIN storage_pools p ON p.id = v.pool_id JOIN device_classes d ON d.name = p.device_class"
        " WHERE d.server_name = ? AND v.written_bytes > 0 AND v.access IN ('READWRITE', 'READONLY')"
    )
    total = (r.one(f"SELECT COALESCE(SUM(v.written_bytes), 0){where}", (server_name,)) or (0,))[0]
    if not total:
        return
    wanted = iter([int(position * total) for position in positions])
    at, passed = next(wanted, None), 0
    for volume_id, size in r.rows(f"SELECT v.id, v.written_bytes{where} ORDER BY v.id", (server_name,)):
        while at is not None and at < passed + size:
            yield volume_id, at - passed
            at = next(wanted, None)
        passed += size


def _write(tx: Transaction, row: KeptReceipt) -> None:
    marks = ", ".join("?" * (len(row) + 1))
    tx.run(
        f"INSERT OR REPLACE INTO volume_receipts VALUES ({marks})",
        (*row, tx.digester.of("volume_receipts", tuple(row))),
    )
