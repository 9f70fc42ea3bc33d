"""Where movable volumes are (DRMEDIA): copy pool and database backup volumes on their way to the vault and back.

A volume without a row is MOUNTABLE. A new volume has none, also where one of its name was there before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from farvault.catalog.transaction import Snapshot, Transaction

MOUNTABLE: Final = "MOUNTABLE"
NOTMOUNTABLE: Final = "NOTMOUNTABLE"
COURIER: Final = "COURIER"
VAULT: Final = "VAULT"
VAULTRETRIEVE: Final = "VAULTRETRIEVE"
COURIERRETRIEVE: Final = "COURIERRETRIEVE"
ONSITERETRIEVE: Final = "ONSITERETRIEVE"
REMOTE: Final = "REMOTE"


class Media(NamedTuple):
    """One volume. `location` empty: the one that goes with the state."""

    volume: str
    state: str
    location: str
    updated_time: int


def all_media(r: Snapshot) -> dict[str, Media]:
    rows = r.all("SELECT volume, state, location, updated_time FROM offsite_media ORDER BY volume")
    return {row[0]: Media(*row) for row in rows}


def states(r: Snapshot) -> dict[str, str]:
    return {name: media.state for name, media in all_media(r).items()}


def set_state(tx: Transaction, volume: str, state: str, location: str | None, now: int) -> None:
    """`location` None: as it was, or empty."""
    before = tx.one("SELECT location FROM offsite_media WHERE volume = ?", (volume,))
    where = location if location is not None else (before[0] if before else "")
    values = (volume, state, where, now)
    digest = tx.digester.of("offsite_media", values)
    tx.run("DELETE FROM offsite_media WHERE volume = ?", (volume,))
    tx.run(
        "INSERT INTO offsite_media (volume, state, location, updated_time, row_digest) VALUES (?, ?, ?, ?, ?)",
        (*values, digest),
    )


def forget(tx: Transaction, volume: str) -> None:
    tx.run("DELETE FROM offsite_media WHERE volume = ?", (volume,))
