"""How far each volume was checked: what AUDIT VOLUME and the scrub remember across restarts."""

from __future__ import annotations

from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.volume import Volume
from farvault.policy.scrub import VolumeCheck, VolumeState

COLUMNS = ", ".join(VolumeCheck._fields)


def find(r: Snapshot, volume: Volume) -> VolumeCheck:
    """What is known; nothing of a volume that was written anew from its start."""
    row = r.one(f"SELECT {COLUMNS} FROM volume_checks WHERE volume_id = ?", (volume.id,))
    check = VolumeCheck._make(row) if row else VolumeCheck(volume.id)
    return check if check.write_pass == volume.write_pass else VolumeCheck(volume.id, volume.write_pass)


def put(tx: Transaction, check: VolumeCheck) -> None:
    """Remember it; fine where the volume is gone."""
    if tx.one("SELECT 1 FROM volumes WHERE id = ?", (check.volume_id,)) is None:
        return
    marks = ", ".join("?" * (len(check) + 1))
    tx.run("DELETE FROM volume_checks WHERE volume_id = ?", (check.volume_id,))
    tx.run(f"INSERT INTO volume_checks VALUES ({marks})", (*check, tx.digester.of("volume_checks", check)))


def states(r: Snapshot) -> list[VolumeState]:
    """Every volume that was written, by number."""
    found = []
    fields = [f"c.{name}" for name in VolumeCheck._fields]
    for row in r.rows(
        "SELECT v.id, v.write_pass, s.variant, v.access, s.access, v.status, v.written_bytes, v.last_written_time,"
        f" {', '.join(fields)} FROM volumes v JOIN storage_pools s ON s.id = v.pool_id"
        " LEFT JOIN volume_checks c ON c.volume_id = v.id"
        " WHERE v.status IN ('FILLING', 'FULL', 'ONLINE', 'OFFLINE') ORDER BY v.id"
    ):
        volume_id, write_pass, variant, access, pool_access, status, end, last_written, *kept = row
        check = VolumeCheck._make(kept) if kept[0] is not None else VolumeCheck(volume_id)
        if check.write_pass != write_pass:
            check = VolumeCheck(volume_id, write_pass)
        is_random = variant == "RANDOM"
        left = 0
        if is_random:
            end, left = _placed_bytes(r, volume_id, -1), _placed_bytes(r, volume_id, check.next_offset)
        readable = {"READWRITE", "READONLY"}
        is_readable = access in readable and pool_access in readable and status != "OFFLINE"
        found.append(VolumeState(check, is_random, is_readable, end, last_written, left))
    return found


def _placed_bytes(r: Snapshot, volume_id: int, from_offset: int) -> int:
    row = r.one(
        "SELECT COALESCE(SUM(a.stored_bytes), 0) FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " WHERE p.volume_id = ? AND p.offset_bytes >= ?",
        (volume_id, from_offset),
    )
    return int(row[0]) if row else 0
