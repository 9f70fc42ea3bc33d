"""What QUERY SERVER and QUERY VOLUME show of the honesty of targets: states, receipts, challenges, reconciles."""

from __future__ import annotations

from typing import Final

from farvault.admin.output import Column, Row, count_column, time_column
from farvault.base.units import show_numbers
from farvault.catalog import kept_receipts, target_truth, volume_history
from farvault.catalog.transaction import Snapshot
from farvault.model.server import Server
from farvault.model.volume import Volume

SET_BACK: Final = "Rolled back"
STATE_COLUMN: Final = Column(key="state", label="State")


def server_row(r: Snapshot, server: Server) -> Row:
    """Nothing for a server that is no target."""
    if not server.is_target:
        return {}
    truth = target_truth.truth(r, server.id)
    row = {
        "state": SET_BACK if truth.set_back_time else "Normal",
        "newest_receipt": truth.receipt_number,
        "broken_promises": target_truth.broken_promises(r, server.id),
        "challenge_time": truth.challenge_time,
        "challenges": truth.challenges,
        "missed": truth.missed,
        "missed_time": truth.missed_time,
        "history_missed": volume_history.count_missed_at(r, server.name),
    }
    for last in target_truth.reconciliations(r, server.id):
        if last.whole:
            row |= {"reconcile_time": last.ended_time, "reconcile_open": last.left_open + last.in_use}
    if truth.set_back_time:
        row |= {"set_back_time": truth.set_back_time, "told_number": truth.told_number}
    return row


SERVER_COLUMNS: Final = (
    STATE_COLUMN,
    time_column("set_back_time", "Found rolled back"),
    count_column("told_number", "Its newest receipt then"),
    count_column("newest_receipt", "Newest receipt here"),
    count_column("broken_promises", "Volumes it signed for and lacks"),
    time_column("challenge_time", "Last Challenge"),
    count_column("challenges", "Challenges"),
    count_column("missed", "Challenges missed"),
    time_column("missed_time", "Last Challenge missed"),
    count_column("history_missed", "Backups and plans not provable"),
    time_column("reconcile_time", "Last Reconcile"),
    count_column("reconcile_open", "Differences left then"),
)


def volume_row(r: Snapshot, volume: Volume) -> Row:
    """Nothing for a volume without receipts."""
    kept = [one for one in kept_receipts.of_volume(r, volume.id) if one.offset_bytes < volume.written_bytes]
    if not kept:
        return {}
    return {
        "receipts": len(kept),
        "receipt_numbers": show_numbers([one.number for one in kept]),
        "receipt_records": sum(one.records for one in kept),
        "verified_time": min(one.verified_time for one in kept),
    }


VOLUME_COLUMNS: Final = (
    count_column("receipts", "Receipts"),
    Column(key="receipt_numbers", label="Receipt Numbers"),
    count_column("receipt_records", "Records signed for"),
    time_column("verified_time", "All Receipts validated"),
)
