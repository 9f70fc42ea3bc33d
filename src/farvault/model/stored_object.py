"""Stored objects: the kinds, types and states of one version of one file, and the attributes a client keeps with it."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class ObjectKind(IntEnum):
    """How the object came here, and which rules end it."""

    BACKUP = 1
    ARCHIVE = 2
    SPACE_MANAGED = 3


class ObjectType(IntEnum):
    """What it is at the client."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    FIFO = 4
    DEVICE = 5
    VIRTUAL_VOLUME = 9


class ObjectState(IntEnum):
    """OPEN: a virtual volume segment still being sent. MARKED: deleted by its source, kept until the grace is over.
    EXPIRED: one version too many; nobody is shown it, and EXPIRE INVENTORY removes it.
    """

    OPEN = 0
    ACTIVE = 1
    INACTIVE = 2
    MARKED = 3
    EXPIRED = 4


class FileAttributes(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a client stores beside the bytes. The server keeps it as an opaque msgpack blob.

    Times are nanoseconds since 1970. `link_target`: symbolic link text. `hard_link`: the same non-zero number for
    every name of one inode in one backup. `extended` holds extended attributes; POSIX ACLs are among them
    (`system.posix_acl_access`). `holes`: (offset, length) pairs of a sparse file that were not sent.
    """

    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int = 0
    device: int = 0
    user: str = ""
    group: str = ""
    link_target: bytes = b""
    hard_link: int = 0
    device_number: int = 0
    extended: dict[str, bytes] = {}
    holes: tuple[tuple[int, int], ...] = ()
