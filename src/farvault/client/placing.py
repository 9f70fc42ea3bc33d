"""Put objects back where they belong: names, data, attributes (TSM reference, clients 7.7).

What is not complete never has its final name: a new file has none while it is written (O_TMPFILE) and gets it in one
step; where the file system knows no such files, it has a temporary one. So whatever ends a restore, the next one finds
whole files or none (docs/decisions/0074). Every open is relative to a folder descriptor that was opened beneath the
destination, with one safe name: nothing leads outside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import Final

from farvault.client.attributes import give_extended, object_type, permissions
from farvault.client.beneath import is_safe_name, open_beneath
from farvault.client.work import RestoreFile
from farvault.model.stored_object import FileAttributes, ObjectType

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMELESS: Final = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
_AGAIN: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

TEMPORARY_PREFIX: Final = b".farvault-restore-"
"""What a killed restore may leave. The rest of the name is by chance, so it is in nobody's way."""
_ACL: Final = "system.posix_acl_access"
_DEFAULT_ACL: Final = "system.posix_acl_default"


class Skipped(Exception):
    """There is a file of this name and it is to stay."""


class TargetFolder:
    """One open folder that objects go into. `group`: the group new files get here without being asked."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        st = os.fstat(descriptor)
        self.device = st.st_dev
        self.group = st.st_gid if st.st_mode & stat.S_ISGID else os.getegid()
        self.gives_acl = False
        with contextlib.suppress(OSError):
            self.gives_acl = _DEFAULT_ACL in os.listxattr(descriptor)

    @classmethod
    def open(cls, root: int, directory: bytes) -> TargetFolder:
        """`OSError` with ELOOP or ENOTDIR where a link or a file stands in the way."""
        return cls(open_beneath(root, directory))

    def close(self) -> None:
        os.close(self.descriptor)


class NewFile:
    """A file that is being written: `name` is its temporary one, empty where it has none. `descriptor` -1: put aside."""

    __slots__ = ("descriptor", "identity", "name")

    def __init__(self, descriptor: int, name: bytes) -> None:
        self.descriptor = descriptor
        self.name = name
        self.identity = (0, 0)

    def close(self) -> None:
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)


class Placer:
    """Makes files and gives attributes with this process's rights."""

    def __init__(self, skip_acl: bool = False) -> None:
        self._is_root = os.geteuid() == 0
        self._user = os.geteuid()
        self._skip_acl = skip_acl
        self._run = secrets.token_hex(6).encode()
        self._count = 0
        self._nameless: dict[int, bool] = {}

    def create(self, folder: TargetFolder, file: RestoreFile, mtime_ns: int) -> NewFile:
        """Open a file for writing. `Skipped` where an existing one stays."""
        check_name(file.name)
        if (
            file.replace != "YES"
        ):  # else it turns out when the file gets its name: most have nothing in their way
            with contextlib.suppress(FileNotFoundError):
                self.allow_replacing(folder, file, mtime_ns)
        if self._can_be_nameless(folder):
            return NewFile(os.open(b".", _NAMELESS, 0o600, dir_fd=folder.descriptor), b"")
        temporary = self._temporary_name()
        return NewFile(os.open(temporary, _NEW, 0o600, dir_fd=folder.descriptor), temporary)

    def put_aside(self, folder: TargetFolder, new: NewFile) -> None:
        """Close a file that is not complete: too many are open."""
        self._name_temporarily(folder, new)
        st = os.fstat(new.descriptor)
        new.identity = (st.st_dev, st.st_ino)
        new.close()

    def reopen(self, folder: TargetFolder, new: NewFile) -> None:
        """One that was put aside. `OSError` (ESTALE) where something else has its name now: that is left alone."""
        descriptor = os.open(new.name, _AGAIN, dir_fd=folder.descriptor)
        st = os.fstat(descriptor)
        if (st.st_dev, st.st_ino) != new.identity:
            os.close(descriptor)
            new.name = b""
            raise OSError(errno.ESTALE, "somebody put another file in its place while it was written")
        new.descriptor = descriptor

    def discard(self, folder: TargetFolder, new: NewFile) -> None:
        """Take away a file that did not become complete."""
        with contextlib.suppress(OSError):
            new.close()
        self._forget_name(folder, new)

    def allow_replacing(self, folder: TargetFolder, file: RestoreFile, mtime_ns: int) -> None:
        """`Skipped` unless what stands there may go; `IsADirectoryError` where it is a folder."""
        st = os.stat(file.name, dir_fd=folder.descriptor, follow_symlinks=False)
        if stat.S_ISDIR(st.st_mode):
            raise IsADirectoryError(21, "a folder of this name is there")
        if file.replace == "NO" or (file.replace == "IFNEWER" and mtime_ns <= st.st_mtime_ns):
            raise Skipped

    def finish(
        self, folder: TargetFolder, file: RestoreFile, attributes: FileAttributes, new: NewFile
    ) -> list[str]:
        """Attributes, then the final name; close it then. Returns the extended attributes that were refused.

        `Skipped` where a file has come meanwhile and stays.
        """
        refused = self._give(folder, attributes, new.descriptor)
        if new.name:
            new.close()  # a network file system may say only now that there is no room
        self._name_finally(folder, file, attributes.mtime_ns, new)
        return refused

    def _name_finally(self, folder: TargetFolder, file: RestoreFile, mtime_ns: int, new: NewFile) -> None:
        try:
            self._link(folder, new, file.name)
        except FileExistsError:
            self.allow_replacing(folder, file, mtime_ns)
            self._name_temporarily(folder, new)
        except OSError:
            if not new.name:
                raise
            with contextlib.suppress(FileNotFoundError):  # a file system without links
                self.allow_replacing(folder, file, mtime_ns)
        else:
            self._forget_name(folder, new)
            return
        os.rename(new.name, file.name, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
        new.name = b""

    def _name_temporarily(self, folder: TargetFolder, new: NewFile) -> None:
        if not new.name:
            temporary = self._temporary_name()
            self._link(folder, new, temporary)
            new.name = temporary

    def _link(self, folder: TargetFolder, new: NewFile, name: bytes) -> None:
        """Give it one more name. `FileExistsError` where that is taken: nothing is ever replaced by this."""
        if new.name:
            at = folder.descriptor
            os.link(new.name, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
        else:
            os.link(b"/proc/self/fd/%d" % new.descriptor, name, dst_dir_fd=folder.descriptor)

    def _forget_name(self, folder: TargetFolder, new: NewFile) -> None:
        if new.name:
            with contextlib.suppress(OSError):
                os.unlink(new.name, dir_fd=folder.descriptor)
            new.name = b""

    def _can_be_nameless(self, folder: TargetFolder) -> bool:
        """Files without a name, and giving them one: tried once for each file system."""
        can = self._nameless.get(folder.device)
        if can is None:
            can = self._nameless[folder.device] = self._try_nameless(folder)
        return can

    def _try_nameless(self, folder: TargetFolder) -> bool:
        try:
            new = NewFile(os.open(b".", _NAMELESS, 0o600, dir_fd=folder.descriptor), b"")
        except OSError:
            return False
        try:
            self._name_temporarily(folder, new)
        except OSError:
            return False
        finally:
            self.discard(folder, new)
        return True

    def _give(self, folder: TargetFolder, attributes: FileAttributes, descriptor: int) -> list[str]:
        owned = self._own(folder.group, attributes, descriptor)
        bits = permissions(attributes, owned)
        if bits != 0o600 or folder.gives_acl:
            os.fchmod(descriptor, bits)
        refused: list[str] = []
        if folder.gives_acl and _ACL not in attributes.extended:
            with contextlib.suppress(OSError):
                os.removexattr(descriptor, _ACL)
        if attributes.extended and not self._skip_acl:
            refused = give_extended(descriptor, attributes.extended)
        os.utime(descriptor, ns=(attributes.mtime_ns, attributes.mtime_ns))
        return refused

    def _own(self, group: int, attributes: FileAttributes, descriptor: int) -> bool:
        """Owner and group where they differ; True where the file has its owner now."""
        if attributes.uid == self._user and attributes.gid == group:
            return True
        if self._is_root:
            os.fchown(descriptor, attributes.uid, attributes.gid)
            return True
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, attributes.gid)
            return attributes.uid == self._user
        return False

    def make_special(self, folder: TargetFolder, file: RestoreFile, attributes: FileAttributes) -> list[str]:
        """A symbolic link, FIFO or device; returns the extended attributes that were refused."""
        check_name(file.name)
        if object_type(attributes.mode) != file.type:
            raise ValueError("they are of another kind of file")
        if file.replace != "YES":
            with contextlib.suppress(FileNotFoundError):
                self.allow_replacing(folder, file, attributes.mtime_ns)
        new = NewFile(-1, self._temporary_name())
        try:
            self._make(folder, new.name, file.type, attributes)
            new.descriptor = os.open(new.name, _LOOK, dir_fd=folder.descriptor)
            if not self._is_what_was_made(new.descriptor, attributes):
                new.name = b""
                raise OSError(errno.ESTALE, "somebody put another file in its place while it was made")
            refused = self._give_special(new.descriptor, file.type, attributes)
            self._name_finally(folder, file, attributes.mtime_ns, new)
        finally:
            self.discard(folder, new)
        return refused

    def _make(self, folder: TargetFolder, name: bytes, kind: int, attributes: FileAttributes) -> None:
        if kind == ObjectType.SYMLINK:
            os.symlink(attributes.link_target, name, dir_fd=folder.descriptor)
        elif kind == ObjectType.FIFO:
            os.mkfifo(name, 0o600, dir_fd=folder.descriptor)
        else:
            mode = stat.S_IFMT(attributes.mode) | 0o600
            os.mknod(name, mode, attributes.device_number, dir_fd=folder.descriptor)

    @staticmethod
    def _is_what_was_made(opened: int, attributes: FileAttributes) -> bool:
        """Nothing tells which inode a call made that returns no descriptor: this is of its kind and has one name."""
        st = os.fstat(opened)
        kind = stat.S_IFMT(st.st_mode)
        return (
            kind == stat.S_IFMT(attributes.mode)
            and st.st_nlink <= 1
            and (kind not in (stat.S_IFCHR, stat.S_IFBLK) or st.st_rdev == attributes.device_number)
            and (kind != stat.S_IFLNK or os.readlink(b"", dir_fd=opened) == attributes.link_target)
        )

    def _give_special(self, opened: int, kind: int, attributes: FileAttributes) -> list[str]:
        """`opened`: with O_PATH. The way through /proc leads to that inode, a symbolic link too, whatever its name is now."""
        path = f"/proc/self/fd/{opened}"
        owned = self._is_root
        if self._is_root:
            os.chown(path, attributes.uid, attributes.gid)
        refused: list[str] = []
        if kind != ObjectType.SYMLINK:
            os.chmod(path, permissions(attributes, owned))
            refused = [] if self._skip_acl else give_extended(path, attributes.extended)
        os.utime(path, ns=(attributes.mtime_ns, attributes.mtime_ns))
        return refused

    def link_over(self, source: int, first: bytes, target: int, name: bytes) -> None:
        """Put a further name of a file in the place of another one, which is there until then."""
        temporary = self._temporary_name()
        os.link(first, temporary, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        try:
            os.rename(temporary, name, src_dir_fd=target, dst_dir_fd=target)
        finally:
            with contextlib.suppress(
                OSError
            ):  # it stays where both are names of one file already, or nothing is done
                os.unlink(temporary, dir_fd=target)

    def give_folder(self, descriptor: int, attributes: FileAttributes) -> list[str]:
        """A folder's attributes, when nothing more is put into it."""
        owned = True
        if self._is_root:
            os.fchown(descriptor, attributes.uid, attributes.gid)
        else:
            owned = os.fstat(descriptor).st_uid == attributes.uid
        os.fchmod(descriptor, permissions(attributes, owned))
        refused = [] if self._skip_acl else give_extended(descriptor, attributes.extended)
        os.utime(descriptor, ns=(attributes.mtime_ns, attributes.mtime_ns))
        return refused

    def _temporary_name(self) -> bytes:
        self._count += 1
        return TEMPORARY_PREFIX + b"%s-%d" % (self._run, self._count)


def check_name(name: bytes) -> None:
    """`OSError` (EINVAL) for a name that could lead out of its folder. A server is not trusted to send only good ones."""
    if not is_safe_name(name):
        raise OSError(22, "not a name of a file")
