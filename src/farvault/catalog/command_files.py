"""Files that QUERY and MOVE DRMEDIA have written (CMDFILENAME): only these may be replaced. One path a line in the settings."""

from __future__ import annotations

from typing import Final

from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction

_NAME: Final = "COMMANDFILES"
_MOST: Final = 64
"""The ones noted last."""


def is_command_file(r: Snapshot, path: str) -> bool:
    return path in (get_setting(r, _NAME) or "").splitlines()


def note_command_file(tx: Transaction, path: str) -> None:
    known = [one for one in (get_setting(tx, _NAME) or "").splitlines() if one != path]
    set_setting(tx, _NAME, "\n".join([*known[1 - _MOST :], path]))
