"""The epoch of a catalog: it moves when an older state comes back, so that targets notice that we have forgotten things.

A target refuses deletions from a source whose epoch moved until both inventories were found to agree.
"""

from __future__ import annotations

from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction


def epoch(r: Snapshot) -> int:
    """The present one."""
    return int(get_setting(r, "EPOCH") or 1)


def raise_epoch(tx: Transaction, now: int) -> int:
    """RESTORE DB calls this once in the restored catalog, before it is used. Returns the new epoch.

    Two restores of the same backup must not get the same one, so it is at least the time.
    """
    raised = max(epoch(tx) + 1, now)
    set_setting(tx, "EPOCH", str(raised))
    return raised
