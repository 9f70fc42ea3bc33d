"""Which file systems are mounted here, and how a path divides into file space and the rest.

Each mounted file system is a file space of its own, named by its mount point; a VIRTUALMOUNTPOINT makes a folder one.
The longest match wins, and a walk never goes from one file space into another.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from typing import Final, NamedTuple

from farvault.base.units import show_path as show_path  # goes with join_path

# File systems without stored files of their own, or whose files belong to another machine.
_NOT_LOCAL: Final = frozenset(
    b"autofs bdev binder binfmt_misc bpf cgroup cgroup2 cifs configfs cpuset debugfs devpts devtmpfs drm efivarfs "
    b"fuse.gvfsd-fuse fuse.portal fuse.sshfs fusectl hugetlbfs mqueue nfs nfs4 nfsd nsfs pipefs proc pstore ramfs "
    b"rpc_pipefs securityfs selinuxfs smb3 smbfs sockfs squashfs sysfs tmpfs tracefs 9p afs ceph glusterfs "
    b"fuse.glusterfs lustre overlay_ro iso9660 udf".split()
)
_GONE: Final = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT}
)
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")


class FileSystem(NamedTuple):
    """One mount. `type` as the kernel names it (`ext4`)."""

    mount_point: bytes
    type: str
    device: bytes
    local: bool


class Place(NamedTuple):
    """A path divided: the file space's root and what is below it, components joined by NUL (as the server keeps them)."""

    root: bytes
    below: bytes


def read_mounts(path: str = "/proc/self/mountinfo") -> list[FileSystem]:
    """What is mounted, one entry a mount point: a later mount hides an earlier one. Folders only."""
    with open(path, "rb") as file:
        found = {system.mount_point: system for system in map(_parse, file.read().splitlines())}
    return [found[point] for point in sorted(found)]


def local_file_systems(mounts: Iterable[FileSystem]) -> list[FileSystem]:
    """What DOMAIN ALL-LOCAL means: stored on this machine, folders, and a device mounted twice counts once."""
    chosen: dict[bytes, FileSystem] = {}
    for system in mounts:
        if system.local and _is_folder(system.mount_point):
            chosen.setdefault(system.device, system)
    return sorted(chosen.values())


def _is_folder(path: bytes) -> bool:
    """Also where nobody can say because its disk or server is gone: who backs it up is told, and nothing is left out silently."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as problem:
        return problem.errno in _GONE


def _parse(line: bytes) -> FileSystem:
    before, _, after = line.partition(b" - ")
    fields, kind = before.split(b" "), after.split(b" ")
    device = fields[2] + b" " + _plain(fields[3])
    return FileSystem(_plain(fields[4]), os.fsdecode(kind[0]), device, kind[0] not in _NOT_LOCAL)


def _plain(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field)


class FileSpaces:
    """Divides absolute, normal paths. `virtual`: VIRTUALMOUNTPOINT folders."""

    def __init__(self, mounts: Iterable[FileSystem], virtual: Iterable[bytes] = ()) -> None:
        self._systems = {system.mount_point: system for system in mounts}
        self.roots = frozenset([*self._systems, *virtual, b"/"])

    def divide(self, path: bytes) -> Place:
        """The longest mount point (or virtual one) that holds the path."""
        root = path
        while root not in self.roots:
            root = os.path.dirname(root)
        return Place(root, components_below(root, path))

    def type_of(self, root: bytes) -> str:
        """The file system type for the file space record, `EXT4`; of a virtual mount point its file system's."""
        while root not in self._systems and root != b"/":
            root = os.path.dirname(root)
        system = self._systems.get(root)
        return system.type.upper() if system else "UNKNOWN"

    def is_root(self, path: bytes) -> bool:
        """Does another file space begin here?"""
        return path in self.roots


def components_below(root: bytes, path: bytes) -> bytes:
    """What of `path` stands below `root`, components joined by NUL."""
    return path[len(root) :].strip(b"/").replace(b"/", b"\0")


def join_path(root: bytes, directory: bytes, name: bytes = b"") -> bytes:
    """The full path of a stored (directory, name) below a file space's root."""
    parts = [part for part in (root.rstrip(b"/"), directory.replace(b"\0", b"/"), name) if part]
    path = b"/".join(parts)
    return path if path.startswith(b"/") else b"/" + path
