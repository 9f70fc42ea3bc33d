"""Single values of the server as a whole: its name, addresses, sealed password, instance id, epoch."""

from __future__ import annotations

from farvault.catalog.transaction import Snapshot, Transaction


def get_setting(r: Snapshot, name: str) -> str | None:
    """The value, or None where it was never set."""
    row = r.one("SELECT value FROM settings WHERE name = ?", (name,))
    return None if row is None else str(row[0])


def set_setting(tx: Transaction, name: str, value: str) -> None:
    """Set or replace a value."""
    tx.changed_nouns.add("settings")
    tx.run(
        "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def all_settings(r: Snapshot) -> dict[str, str]:
    """Every value by name."""
    return dict(r.all("SELECT name, value FROM settings ORDER BY name"))
