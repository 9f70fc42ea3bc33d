"""Has a file changed since its last backup, and does its data have to be sent again? (TSM reference, clients 5.3.)"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from farvault.model.stored_object import FileAttributes

_TYPE_BITS: Final = 0o170000
_DIRECTORY: Final = 0o040000


class Change(IntEnum):
    """What an incremental backup does: nothing, update the attributes at the server, or send a new version."""

    NONE = 0
    ATTRIBUTES = 1
    DATA = 2


class CtimeRule(IntEnum):
    """What a changed ctime alone means. A chmod moves it too, so resending by it would resend after every chmod."""

    IGNORE = 0
    UPDATE = 1
    RESEND = 2


def what_changed(
    old: FileAttributes,
    new: FileAttributes,
    *,
    ctime: CtimeRule = CtimeRule.UPDATE,
    compare_extended: bool = True,
) -> Change:
    """Compare what the server has with what the file system says now.

    `compare_extended` False: ACLs and extended attributes are stored but not compared (SKIPACLUPDATECHECK).
    Device, holes and hard link numbers do not count: they differ between two looks at the same file.
    """
    if old == new:
        return Change.NONE
    if (old.mode ^ new.mode) & _TYPE_BITS:
        return Change.DATA
    if old.mtime_ns != new.mtime_ns or (compare_extended and old.extended != new.extended):
        return Change.DATA
    if new.mode & _TYPE_BITS == _DIRECTORY:
        return _directory_change(old, new, ctime)
    if (
        old.size_bytes != new.size_bytes
        or old.link_target != new.link_target
        or old.device_number != new.device_number
    ):
        return Change.DATA
    return max(_owner_change(old, new), _ctime_change(old, new, ctime), _link_change(old, new))


def _directory_change(old: FileAttributes, new: FileAttributes, ctime: CtimeRule) -> Change:
    """A directory has no data: a new time stamp or permission makes a new version, its size and inode say nothing."""
    if old.mode != new.mode:
        return Change.DATA
    return max(_owner_change(old, new), _ctime_change(old, new, ctime))


def _owner_change(old: FileAttributes, new: FileAttributes) -> Change:
    same = (
        old.mode == new.mode
        and old.uid == new.uid
        and old.gid == new.gid
        and old.user == new.user
        and old.group == new.group
    )
    return Change.NONE if same else Change.ATTRIBUTES


def _ctime_change(old: FileAttributes, new: FileAttributes, rule: CtimeRule) -> Change:
    return Change.NONE if old.ctime_ns == new.ctime_ns else Change(rule)


def _link_change(old: FileAttributes, new: FileAttributes) -> Change:
    """A restore needs to know whether the file has several names; which number they share does not matter."""
    same = old.inode == new.inode and bool(old.hard_link) == bool(new.hard_link)
    return Change.NONE if same else Change.ATTRIBUTES
