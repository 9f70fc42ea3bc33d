"""The SET DRM... values of a server (TSM reference, database 2.5), each with what holds where it was never set."""

from __future__ import annotations

from typing import Final

from farvault.base.wildcard import wildcard
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot

DEFAULTS: Final = {
    "DRMDBBACKUPEXPIREDAYS": "60",
    "DRMRPFEXPIREDAYS": "60",
    "DRMPRIMSTGPOOL": "",
    "DRMCOPYSTGPOOL": "",
    "DRMPLANPREFIX": "",
    "DRMINSTRPREFIX": "",
    "DRMPLANVPOSTFIX": "@",
    "DRMCHECKLABEL": "YES",
    "DRMFILEPROCESS": "NO",
    "DRMCMDFILENAME": "",
    "DRMCOURIERNAME": "COURIER",
    "DRMNOTMOUNTABLENAME": "NOTMOUNTABLE",
    "DRMVAULTNAME": "VAULT",
    "DRMPLANWITHBACKUP": "YES",
}
"""Empty: of pools all, of prefixes the instance folder."""


def drm_setting(r: Snapshot, name: str) -> str:
    """The value, or its default."""
    found = get_setting(r, name)
    return DEFAULTS[name] if found is None else found


def drm_days(r: Snapshot, name: str) -> int:
    return int(drm_setting(r, name))


def drm_pools(r: Snapshot, name: str, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Patterns of pool names: those given, else those set, else every pool."""
    return given or tuple(part for part in drm_setting(r, name).split(",") if part) or ("*",)


def is_chosen(pool: str, patterns: tuple[str, ...]) -> bool:
    return any(wildcard(pattern)(pool) for pattern in patterns)
