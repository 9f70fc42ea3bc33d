"""The only door to files that must survive a crash.

Write rule: temporary name with O_EXCL, write, fdatasync, rename, fsync of the folder; only then may anybody be
told. After a failed fsync the descriptor is never used again: the kernel may have dropped the pages and would
report success for a retry. Volume files are read and written with direct I/O where the file system allows it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

BLOCK_BYTES = 4096
"""Alignment of every record: offset, length and memory. What direct I/O needs on all common disks."""

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""A write that ended with one of these has broken nothing: what was written before is as good as ever."""

Buffer = bytes | bytearray | memoryview | mmap.mmap

_crash_at, _, _crash_count = os.environ.get("FARVAULT_CRASH_AT", "").partition("#")
_crash_left = int(_crash_count or 1)
_crash_lock = threading.Lock()
_observer: Callable[[str], None] | None = None


def crash_point(label: str) -> None:
    """Name a step that touches disk: `crash_point("volume.append.before_sync")`.

    With `FARVAULT_CRASH_AT=label#n` in the environment the n-th arrival kills this process with SIGKILL;
    a test in the same process may set an observer instead. Otherwise it costs one comparison.
    """
    global _crash_left
    if _observer is not None:
        _observer(label)
    if label == _crash_at:
        with _crash_lock:
            _crash_left -= 1
            if _crash_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def observe_crash_points(observer: Callable[[str], None] | None) -> None:
    """For tests: call `observer(label)` at every crash point of this process (None stops it). It may raise."""
    global _observer
    _observer = observer


def aligned_buffer(size_bytes: int) -> memoryview:
    """Page-aligned, zeroed, writable memory. Make it once and reuse it: first touch is the hidden cost."""
    return memoryview(mmap.mmap(-1, max(size_bytes, BLOCK_BYTES)))[:size_bytes]


def align_up(size_bytes: int) -> int:
    """The next multiple of `BLOCK_BYTES`."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def sync_folder(path: str) -> None:
    """Make the names inside a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str, mode: int = 0o700) -> None:
    """Make a folder and its parents, durable; fine where it exists."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path) or "."
    make_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)
    sync_folder(parent)


def write_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a small file as a whole: after this returns the new content is there, before it the old one.

    Several programs may do so at once: each writes a temporary file of its own, and the last one to rename it wins.
    """
    _remove_leftovers(path)
    temporary, descriptor = _make_temporary(path, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        crash_point("file.replace.before_rename")
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    sync_folder(os.path.dirname(path) or ".")


def _make_temporary(path: str, mode: int) -> tuple[str, int]:
    """(name, descriptor) of a new file beside `path`, locked for as long as its writer lives."""
    while True:
        temporary = f"{path}.{secrets.token_hex(4)}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return temporary, descriptor
        os.close(descriptor)  # somebody took it for a leftover before it was locked


def _remove_leftovers(path: str) -> None:
    """Temporary files whose writers have died."""
    folder, name = os.path.split(path)
    ours = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.new")
    for each in filter(ours.fullmatch, os.listdir(folder or ".")):
        leftover = os.path.join(folder, each)
        with contextlib.suppress(OSError):  # its writer lives, or is quicker
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(leftover)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def locked_folder(path: str) -> Iterator[None]:
    """One program at a time, for reading a file in it, changing it and writing it back."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_file(path: str) -> None:
    """Remove a file, durably; fine where it is gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync_folder(os.path.dirname(path) or ".")


class VolumeFile:
    """An open file of aligned records. Not thread safe: one owner at a time.

    `create` makes it (it must not exist) and makes its name durable. Direct I/O is tried first; where the file
    system refuses it, plain I/O is used and `direct` is False. All offsets and lengths are multiples of
    `BLOCK_BYTES`, buffers page-aligned (`aligned_buffer`), else `OSError(EINVAL)` comes from the kernel.
    """

    def __init__(self, path: str, *, write: bool = False, create: bool = False) -> None:
        flags = (os.O_RDWR if write or create else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        self.path = path
        self.direct = True
        try:
            self._descriptor = os.open(path, flags | os.O_DIRECT, 0o600)
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            if create:  # some file systems make the name before they refuse
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            self.direct = False
            self._descriptor = os.open(path, flags, 0o600)
        self._failed = False
        if create:
            sync_folder(os.path.dirname(path) or ".")

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._descriptor).st_size

    def write_at(self, offset_bytes: int, buffers: Sequence[Buffer]) -> int:
        """Write the buffers one after the other from `offset_bytes` on; returns bytes written. Not yet durable."""
        self._refuse_after_failure()
        views = [memoryview(buffer) for buffer in buffers]
        total = sum(view.nbytes for view in views)
        done = 0
        while done < total:
            try:
                wrote = os.pwritev(self._descriptor, views[:1024], offset_bytes + done)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    self._failed = True
                raise
            done += wrote
            while views and wrote >= views[0].nbytes:
                wrote -= views.pop(0).nbytes
            if wrote:
                views[0] = views[0][wrote:]
        return total

    def read_at(self, offset_bytes: int, into: memoryview) -> int:
        """Fill `into` from `offset_bytes`; returns how many bytes there were (fewer only at the end of the file)."""
        done = 0
        while done < into.nbytes:
            got = os.preadv(self._descriptor, [into[done:]], offset_bytes + done)
            if got == 0:
                break
            done += got
        return done

    def sync(self) -> None:
        """Everything written is durable when this returns. After an error this file is finished."""
        self._refuse_after_failure()
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self._failed = True
            raise

    def preallocate(self, size_bytes: int) -> None:
        """Reserve real blocks up to `size_bytes`; `OSError(ENOSPC)` where there is no room."""
        os.posix_fallocate(self._descriptor, 0, size_bytes)
        self.sync()

    def truncate(self, size_bytes: int) -> None:
        """Cut back to `size_bytes`, durably."""
        os.ftruncate(self._descriptor, size_bytes)
        self.sync()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise OSError(errno.EIO, "an earlier write or sync of this file failed", self.path)
