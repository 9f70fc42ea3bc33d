"""SETOPT VOLUMEHISTORY, SETOPT DEVCONFIG: further files, besides those of farvault.toml. One path a line in the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction

VOLUMEHISTORY: Final = "VOLUMEHISTORY"
DEVCONFIG: Final = "DEVCONFIG"


def protection_file_paths(r: Snapshot, option: str) -> tuple[str, ...]:
    """What was set last; none where it never was."""
    return tuple(path for path in (get_setting(r, option) or "").split("\n") if path)


def set_protection_file_paths(tx: Transaction, option: str, paths: Sequence[str]) -> None:
    set_setting(tx, option, "\n".join(paths))
