"""SET DBRECOVERY: what database backups use where nothing else is said. Kept in the settings."""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction

_CLASS, _COMPRESS = "DBRECOVERY", "DBRECOVERYCOMPRESS"


class DatabaseRecovery(NamedTuple):
    """`device_class` empty: never set. `compress` None: as the kind of the class suggests."""

    device_class: str = ""
    compress: bool | None = None


def database_recovery(r: Snapshot) -> DatabaseRecovery:
    compress = get_setting(r, _COMPRESS)
    return DatabaseRecovery(get_setting(r, _CLASS) or "", compress == "YES" if compress else None)


def set_database_recovery(tx: Transaction, wanted: DatabaseRecovery) -> None:
    set_setting(tx, _CLASS, wanted.device_class)
    set_setting(tx, _COMPRESS, "" if wanted.compress is None else "YES" if wanted.compress else "NO")
