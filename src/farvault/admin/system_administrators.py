"""Somebody must always be able to administer the server: the last one with system privilege is protected."""

from __future__ import annotations

from farvault.base.errors import StillReferenced
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.administrator import Administrator

CONSOLE = "SERVER_CONSOLE"
"""The built-in administrator of the console: system privilege, no row in the catalog."""


def keep_one(r: Snapshot, leaving: Administrator) -> None:
    """`StillReferenced` where nobody but this one could sign on with system privilege."""
    others = [
        other
        for other in nouns.select(r, Administrator)
        if "SYSTEM" in other.classes and not other.locked and other.id != leaving.id
    ]
    if "SYSTEM" in leaving.classes and not others:
        raise StillReferenced("ANR2103E", administrator=leaving.name)
