"""What is kept beside a file's bytes: reading it at backup, giving it back at restore.

Owner before mode (the kernel drops set-uid at chown), mode before extended attributes (an ACL's mask is part of the
mode), times last (everything else touches them).
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from typing import ClassVar, Final

import msgspec

from farvault.model.stored_object import FileAttributes, ObjectType
from farvault.seal.pack import ATTRIBUTES_MAX_BYTES

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(FileAttributes).decode

# Kept by the kernel or a security module for its own use: they cannot be given back as they were.
_NOT_OURS: Final = frozenset({"security.ima", "security.evm", "system.nfs4_acl", "system.ntfs_acl"})
_NO_EXTENDED: Final = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EINVAL, errno.ENOSYS})

TIME_MOST_NS: Final = 2**63 - 1
"""Either way from 1970: until the year 2262. Some file systems know later ones."""

_TYPES: Final = {
    stat.S_IFREG: ObjectType.FILE,
    stat.S_IFDIR: ObjectType.DIRECTORY,
    stat.S_IFLNK: ObjectType.SYMLINK,
    stat.S_IFIFO: ObjectType.FIFO,
    stat.S_IFCHR: ObjectType.DEVICE,
    stat.S_IFBLK: ObjectType.DEVICE,
}


class TooLong(Exception):
    """An object has more of something than can be stored. Whoever knows its path says `message_id`."""

    message_id: ClassVar[str]

    def __init__(self, reason: str) -> None:
        self.reason = reason


class AttributesTooLong(TooLong):
    """Its extended attributes."""

    message_id = "ANS9811E"


class TooManyExtents(TooLong):
    """Its data."""

    message_id = "ANS9812E"


def encode_attributes(attributes: FileAttributes) -> bytes:
    """The blob the server keeps; `TooLong` where there are too many extended attributes."""
    blob = _ENCODE(attributes)
    if len(blob) > ATTRIBUTES_MAX_BYTES:
        raise AttributesTooLong(f"{len(blob):,} bytes, at most {ATTRIBUTES_MAX_BYTES:,} can")
    return blob


def decode_attributes(blob: bytes) -> FileAttributes:
    """`msgspec.ValidationError` for a blob that is none."""
    return _DECODE(blob)


def attributes_of(blob: bytes) -> FileAttributes | None:
    """The same; None for a blob that is none: a server may send anything."""
    try:
        return decode_attributes(blob)
    except (msgspec.MsgspecError, ValueError):
        return None


def object_type(mode: int) -> ObjectType | None:
    """What a file is stored as; None for a socket, which is never stored."""
    return _TYPES.get(stat.S_IFMT(mode))


def nearest_time(moment_ns: int) -> int:
    """The nearest moment that can be kept."""
    return max(-TIME_MOST_NS, min(moment_ns, TIME_MOST_NS))


def _text(name: str) -> str:
    """A name from the system's tables: what is no UTF-8 in it is shown as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class Owners:
    """Names of users and groups, looked up once each."""

    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def user(self, uid: int) -> str:
        name = self._users.get(uid)
        if name is None:
            with contextlib.suppress(KeyError):
                name = _text(pwd.getpwuid(uid).pw_name)
            name = self._users[uid] = name or ""
        return name

    def group(self, gid: int) -> str:
        name = self._groups.get(gid)
        if name is None:
            with contextlib.suppress(KeyError):
                name = _text(grp.getgrgid(gid).gr_name)
            name = self._groups[gid] = name or ""
        return name

    def attributes(
        self,
        st: os.stat_result,
        *,
        link_target: bytes = b"",
        extended: dict[str, bytes] | None = None,
        holes: Iterable[tuple[int, int]] = (),
    ) -> FileAttributes:
        """Everything of a stat result. Names of one inode share a non-zero `hard_link`."""
        mode = st.st_mode
        kind = stat.S_IFMT(mode)
        return FileAttributes(
            mode,
            st.st_uid,
            st.st_gid,
            st.st_size if kind == stat.S_IFREG else 0,
            nearest_time(st.st_mtime_ns),
            nearest_time(st.st_ctime_ns),
            st.st_ino,
            st.st_dev,
            self.user(st.st_uid),
            self.group(st.st_gid),
            link_target,
            st.st_ino if st.st_nlink > 1 and kind == stat.S_IFREG else 0,
            st.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            extended or {},
            tuple(holes),
        )


def read_extended(target: int | bytes) -> dict[str, bytes]:
    """Extended attributes, ACLs among them, of an open file or a path (links not followed); empty where there are none."""
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as problem:
        if problem.errno in _NO_EXTENDED:
            return {}
        raise
    if not names:
        return {}
    found: dict[str, bytes] = {}
    for name in names:
        if name in _NOT_OURS or not name.isprintable():
            continue
        try:
            found[name] = os.getxattr(target, name, follow_symlinks=follow)
        except OSError as problem:
            if problem.errno not in _NO_EXTENDED:
                raise
    return found


def give_extended(target: int | str, wanted: dict[str, bytes]) -> list[str]:
    """Set them at an open file, or through its path in /proc; returns the names that could not be given."""
    refused = []
    for name, value in wanted.items():
        try:
            os.setxattr(target, name, value)
        except (OSError, ValueError):  # ValueError: nothing could have such a name
            refused.append(name)
    return refused


def permissions(attributes: FileAttributes, owner_kept: bool) -> int:
    """The mode bits to give back: set-uid and set-gid only together with their owner."""
    bits = stat.S_IMODE(attributes.mode)
    return bits if owner_kept else bits & ~(stat.S_ISUID | stat.S_ISGID)
