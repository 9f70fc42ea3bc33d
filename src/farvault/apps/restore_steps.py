"""What is left to do after the database was restored: printed at its end, in the order in which it is done."""

from __future__ import annotations

from farvault.apps.restore_database import Restored
from farvault.base.units import show_time


def steps_after(done: Restored, folder: str, *, reconciles: bool = False) -> str:
    """The list, ready to be shown. `reconciles`: the server does its part by itself once it serves."""
    lost = (
        "nothing that was acknowledged is missing"
        if done.entries is not None
        else "what came later is not in it"
    )
    aside = (
        f"The old database is {done.set_aside}; remove it when everything is in order."
        if done.set_aside
        else ""
    )
    by_hand = [
        "RECONCILE VOLUMES FIX=YES for every device class of DEVTYPE=SERVER. Until then its target refuses deletions.",
        "UPDATE SERVER ... FORCESYNC=YES where a target answers that the session is read-only.",
    ]
    by_itself = [
        "Wait for ANR4959I: the server signs on at its targets anew and reconciles with them by itself (QUERY PROCESS)."
        " ANR4958W names one that waits for its administrator.",
    ]
    steps = [
        f"Start the server: farvault server run {folder}",
        "BACKUP DB TYPE=FULL at once: a new series begins.",
        "QUERY VOLHISTORY TYPE=STGNEW, STGREUSE and STGDELETE in the old volume history (volhist.out with a number behind"
        " it): volumes added, reused or deleted since the backup.",
        "AUDIT VOLUME FIX=YES for every random-access volume and for every volume of that list.",
        *(by_itself if reconciles else by_hand),
        "EXPIRE INVENTORY only after all of this.",
    ]
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
    head = (
        f"The database is as of {show_time(done.backup_time)}, {done.entries or 0:,} later changes from the recovery log: "
        f"{lost}."
    )
    return "\n".join(
        filter(
            None, [head, f"Its epoch is {done.epoch} now. {aside}".strip(), "What is left to do:", numbered]
        )
    )
