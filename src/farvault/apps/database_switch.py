"""The last step of a restore of the database: the new one takes the place of the old one, which is set aside.

The new database lies beside the old one as `catalog.db.restored` from the moment on when it is whole. Killed before: the
old one is as it was. Killed after the first rename: whoever comes next, the server's start or another restore, goes on
from there.
"""

from __future__ import annotations

import os
import re
from typing import Final

from farvault.base.disk import crash_point, remove_file, sync_folder
from farvault.base.errors import NotFound
from farvault.base.messages import Message, message
from farvault.processes.database_pages import remove_database

_BELONGING: Final = ("", "-wal", "-shm", "-replaying")
"""Files of a database, the database itself first: nobody opens it without the others."""


def building_path(final: str) -> str:
    """Where the new database is built."""
    return f"{final}.restoring"


def switch(final: str, now: int) -> str:
    """What was built takes its place; returns where the old database lies now, '' where there was none."""
    building, whole = building_path(final), _whole_path(final)
    aside = _begun_aside(final) or _aside(final, now)
    os.rename(building, whole)
    sync_folder(os.path.dirname(final))
    remove_database(building)
    crash_point("restore.database.before_switch")
    return _take_place(final, aside)


def finish_or_give_up(final: str, folder: str, now: int) -> Message | None:
    """Before the catalog is opened: what a restore that was killed has left, if anything; what to say about it.

    `NotFound` where it was killed before the database was whole, and there is no older one.
    """
    building, whole = building_path(final), _whole_path(final)
    is_left = os.path.exists(building) or os.path.exists(whole)
    if os.path.exists(final):
        if not is_left:
            return None
        remove_database(building)
        remove_file(whole)
        return message("ANR4908W", path=final, folder=folder)
    if os.path.exists(whole):
        aside = _begun_aside(final) or _aside(final, now)
        return message("ANR4909W", aside=_take_place(final, aside) or "nothing")
    raise NotFound("ANR4971E" if is_left else "ANR4970E", path=final, folder=folder)


def _whole_path(final: str) -> str:
    return f"{final}.restored"


def _aside(final: str, now: int) -> str:
    return f"{final}.before-restore-{now}"


def _take_place(final: str, aside: str) -> str:
    folder = os.path.dirname(final)
    for suffix in _BELONGING:
        if os.path.exists(final + suffix):
            os.rename(final + suffix, aside + suffix)
            sync_folder(folder)
            crash_point("restore.database.setting_aside")
    crash_point("restore.database.between")
    os.rename(_whole_path(final), final)
    sync_folder(folder)
    for name in os.listdir(folder):
        if name.startswith(f"{os.path.basename(final)}-pages."):
            remove_file(f"{folder}/{name}")
    return aside if os.path.exists(aside) else ""


def _begun_aside(final: str) -> str:
    """Where the restore that left a whole database here had set the old one aside: what belongs to it follows. '' = nowhere."""
    whole = _whole_path(final)
    if os.path.exists(final) or not os.path.exists(whole):
        return ""
    pattern = re.compile(re.escape(os.path.basename(final)) + r"\.before-restore-(\d+)")
    times = [
        int(match[1]) for name in os.listdir(os.path.dirname(final)) if (match := pattern.fullmatch(name))
    ]
    latest = max(times, default=0)
    return _aside(final, latest) if latest >= int(os.stat(whole).st_mtime) else ""
