"""Open files beneath a folder and never outside it, whatever links lie on the way: Linux `openat2`.

A restore runs as root over folders that somebody else may change meanwhile. A path that is checked first and opened
later can be swapped in between; the kernel's own rule (`RESOLVE_BENEATH`, no symbolic links) cannot. Where the
call is missing (kernels before 5.6, some sandboxes) each component is opened by itself without following links.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import Final

NAME_MAX_BYTES: Final = 255
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

_OPENAT2: Final = 437  # the same number on every architecture
_NO_MAGIC_LINKS: Final = 0x02
_NO_SYMBOLIC_LINKS: Final = 0x04
_BENEATH: Final = 0x08
_MISSING: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP})


class _How(ctypes.Structure):
    """`struct open_how` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def is_safe_name(name: bytes) -> bool:
    """May this be one component of a path: not empty, no separator, no NUL, neither `.` nor `..`, not too long."""
    return (
        0 < len(name) <= NAME_MAX_BYTES
        and b"/" not in name
        and b"\0" not in name
        and name not in (b".", b"..")
    )


def split_directory(directory: bytes) -> list[bytes]:
    """The components of a stored directory (joined by NUL; the root is empty)."""
    return directory.split(b"\0") if directory else []


def open_beneath(root: int, directory: bytes, flags: int = FOLDER_FLAGS) -> int:
    """Open a stored directory (components joined by NUL) below the folder `root`.

    `OSError` as from `open`; ELOOP or ENOTDIR where a component is a symbolic link, EINVAL for a component that no
    path may hold.
    """
    if not directory:
        return os.open(b".", flags, dir_fd=root)
    if b"/" in directory or not all(map(is_safe_name, directory.split(b"\0"))):
        raise OSError(errno.EINVAL, "not a name", os.fsdecode(directory.replace(b"\0", b"/")))
    if not _has_openat2():
        return _open_by_steps(root, directory, flags)
    path = directory.replace(b"\0", b"/")
    if len(path) > 4000:  # PATH_MAX: the kernel takes no longer one at once
        return _open_by_steps(root, directory, flags)
    return _openat2(root, path, flags)


def _openat2(root: int, path: bytes, flags: int) -> int:
    how = _How(flags, 0, _BENEATH | _NO_SYMBOLIC_LINKS | _NO_MAGIC_LINKS)
    while True:
        opened: int = _libc().syscall(_OPENAT2, root, path, ctypes.byref(how), ctypes.sizeof(how))
        if opened >= 0:
            return opened
        number = ctypes.get_errno()
        if number not in (errno.EINTR, errno.EAGAIN):
            raise OSError(number, os.strerror(number), os.fsdecode(path))


def _open_by_steps(root: int, directory: bytes, flags: int) -> int:
    """One component at a time, never following a link. `directory` has been checked."""
    at = root
    try:
        components = directory.split(b"\0")
        for component in components[:-1]:
            deeper = os.open(component, FOLDER_FLAGS, dir_fd=at)
            if at != root:
                os.close(at)
            at = deeper
        return os.open(components[-1], flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        if at != root:
            os.close(at)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _has_openat2() -> bool:
    """Try it once on a folder that everybody may open."""
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(root, b".", FOLDER_FLAGS))
    except OSError as problem:
        if problem.errno in _MISSING:
            return False
        raise
    finally:
        os.close(root)
    return True
