"""Source side: how far each target can be believed. Its newest receipt, challenges, reconciles, and what differed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from farvault.base.errors import NotFound, PeerMisbehaved
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import digest


class Truth(NamedTuple):
    """What is known of one target; columns as in `docs/catalog.md`."""

    server_id: int
    receipt_number: int = 0
    receipt_digest: bytes = b""
    told_number: int = 0
    set_back_time: int = 0
    challenge_time: int = 0
    challenges: int = 0
    missed: int = 0
    missed_time: int = 0
    identity: bytes = b""


class Reconciliation(NamedTuple):
    """How a RECONCILE VOLUMES ended; columns as in `docs/catalog.md`."""

    server_id: int
    whole: int
    ended_time: int
    fix: int
    here: int
    there: int
    same: int
    differing: int
    fixed: int
    left_open: int
    in_use: int
    trusted: int


class FindingRow(NamedTuple):
    """One difference; columns as in `docs/catalog.md`."""

    server_id: int
    volume: str
    kind: str
    finding: str
    differs: str
    here_bytes: int
    there_bytes: int
    receipts: str
    actions: str
    found_time: int


def server_id(r: Snapshot, server_name: str) -> int:
    """The number of a server definition; `NotFound`."""
    row = r.one("SELECT id FROM servers WHERE name = ?", (server_name,))
    if row is None:
        raise NotFound("ANR1650E", name=server_name)
    return int(row[0])


def server_of_volume(r: Snapshot, volume_id: int) -> int | None:
    """The target a pool volume lies at; None where it is none of virtual volumes."""
    row = r.one(
        "SELECT s.id FROM volumes v JOIN storage_pools p ON p.id = v.pool_id"
        " JOIN device_classes d ON d.name = p.device_class JOIN servers s ON s.name = d.server_name WHERE v.id = ?",
        (volume_id,),
    )
    return None if row is None else int(row[0])


def server_of_class(r: Snapshot, device_class: str) -> int | None:
    """The target of a device class; None where it has none."""
    row = r.one(
        "SELECT s.id FROM device_classes d JOIN servers s ON s.name = d.server_name WHERE d.name = ?",
        (device_class,),
    )
    return None if row is None else int(row[0])


def truth(r: Snapshot, server: int) -> Truth:
    """As it stands; for a target nothing is known of, the row it would begin with."""
    row = r.one(f"SELECT {', '.join(Truth._fields)} FROM target_truth WHERE server_id = ?", (server,))
    return Truth(server) if row is None else Truth._make(row)


def write(tx: Transaction, row: Truth) -> None:
    marks = ", ".join("?" * (len(row) + 1))
    digest_of_row = tx.digester.of("target_truth", tuple(row))
    tx.run(f"INSERT OR REPLACE INTO target_truth VALUES ({marks})", (*row, digest_of_row))


def note_identity(tx: Transaction, server: int, identity: bytes) -> None:
    """Who answered at the last sign-on."""
    write(tx, truth(tx, server)._replace(identity=identity))


def identity_of(r: Snapshot, server_name: str) -> bytes:
    """The identity key of a target, by its definition; empty where it was never reached, or there is no definition."""
    row = r.one(
        "SELECT t.identity FROM target_truth t JOIN servers s ON s.id = t.server_id WHERE s.name = ?",
        (server_name,),
    )
    return b"" if row is None else bytes(row[0])


def note_receipt(tx: Transaction, server: int, number: int, receipt: bytes) -> None:
    """A receipt that counts from now on. Sessions close segments side by side: the highest number is the head."""
    before = truth(tx, server)
    if number > before.receipt_number:
        write(tx, before._replace(receipt_number=number, receipt_digest=digest(receipt)))


def check_follows(r: Snapshot, server: int, receipt: Receipt) -> None:
    """Sessions get their receipts side by side, so only the very next number can be told to follow or not."""
    known = truth(r, server)
    is_next = known.receipt_number > 0 and receipt.number == known.receipt_number + 1
    if is_next and receipt.previous != known.receipt_digest:
        name = (r.one("SELECT name FROM servers WHERE id = ?", (server,)) or ("?",))[0]
        reason = f"number {receipt.number} does not name the one before it"
        raise PeerMisbehaved("ANR4804E", server=name, volume=receipt.volume, reason=reason)


def accept_head(tx: Transaction, server: int, number: int, receipt: bytes) -> None:
    """After a reconcile: what the target calls its newest receipt is where its chain goes on, and it is believed again."""
    known = digest(receipt) if receipt else b""
    before = truth(tx, server)
    write(
        tx, before._replace(receipt_number=number, receipt_digest=known, told_number=number, set_back_time=0)
    )


# --- what RECONCILE VOLUMES found ------------------------------------------------------------------------------------


def begin_findings(tx: Transaction, server: int, prefix: str) -> None:
    """A new run over the volumes whose names at the target begin with this: what an earlier one found is forgotten."""
    after_all = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else ""
    if prefix:
        sql = "DELETE FROM reconcile_findings WHERE server_id = ? AND volume >= ? AND volume < ?"
        tx.run(sql, (server, prefix, after_all))
    else:
        tx.run("DELETE FROM reconcile_findings WHERE server_id = ?", (server,))


def add_findings(tx: Transaction, rows: list[FindingRow]) -> None:
    tx.run_many(f"INSERT OR REPLACE INTO reconcile_findings VALUES ({', '.join('?' * 10)})", rows)


def findings(r: Snapshot, server: int) -> Iterator[FindingRow]:
    """By name of the volume; ends with the snapshot."""
    sql = (
        f"SELECT {', '.join(FindingRow._fields)} FROM reconcile_findings WHERE server_id = ? ORDER BY volume"
    )
    return map(FindingRow._make, r.rows(sql, (server,)))


def note_reconciliation(tx: Transaction, row: Reconciliation) -> None:
    tx.run(f"INSERT OR REPLACE INTO reconciliations VALUES ({', '.join('?' * len(row))})", row)


def reconciliations(r: Snapshot, server: int) -> list[Reconciliation]:
    """The last one of everything, and the last one of a part; those that were."""
    sql = f"SELECT {', '.join(Reconciliation._fields)} FROM reconciliations WHERE server_id = ? ORDER BY whole DESC"
    return [Reconciliation._make(row) for row in r.all(sql, (server,))]


def findings_behind(
    r: Snapshot, server: int, after: str, kinds: tuple[str, ...], limit: int
) -> list[FindingRow]:
    """The next findings of these kinds behind this volume."""
    sql = (
        f"SELECT {', '.join(FindingRow._fields)} FROM reconcile_findings WHERE server_id = ? AND volume > ?"
        f" AND finding IN ({', '.join('?' * len(kinds))}) ORDER BY volume LIMIT ?"
    )
    return [FindingRow._make(row) for row in r.all(sql, (server, after, *kinds, limit))]


def unavailable_at(r: Snapshot, server_name: str) -> tuple[int, str]:
    """How many pool volumes at a target are UNAVAILABLE, and the first of them by name."""
    row = r.one(
        "SELECT COUNT(*), COALESCE(MIN(v.name), '') FROM volumes v JOIN storage_pools p ON p.id = v.pool_id"
        " JOIN device_classes d ON d.name = p.device_class WHERE d.server_name = ? AND v.access = 'UNAVAILABLE'",
        (server_name,),
    )
    return (int(row[0]), str(row[1])) if row else (0, "")


def broken_promises(r: Snapshot, server: int) -> int:
    """Volumes the target has signed for and did not have, or not as signed, when it was last asked."""
    row = r.one(
        "SELECT COUNT(*) FROM reconcile_findings WHERE server_id = ? AND receipts <> ''"
        " AND finding IN ('no file', 'differs', 'file is marked and differs')",
        (server,),
    )
    return int(row[0]) if row else 0
