"""The next segment of the recovery log, reserved before it is needed: a commit never waits for room on the disk."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final

from farvault.base.disk import remove_file, sync_folder
from farvault.base.units import MIB

_ZEROS: Final = bytes(MIB)


class Spare:
    """The file `log.spare` of a folder. `OSError` where the disk has no room for it."""

    def __init__(self, folder: str, segment_bytes: int) -> None:
        self._folder, self._segment_bytes = folder, segment_bytes
        self.path = f"{folder}/log.spare"
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        return os.path.exists(self.path)

    @property
    def is_being_made(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def prepare(self) -> None:
        """A segment's worth of room that nobody else can take; fine where it is there."""
        with self._lock:
            if not self.is_ready:
                self._make()

    def prepare_ahead(self) -> None:
        """The same in a thread of its own. Where it fails, who begins the next change hears of it."""
        self._thread = threading.Thread(target=self._try, name="recovery log", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is there, where it is being made. Not while the writer waits."""
        if self._thread is not None:
            self._thread.join()

    def take(self, path: str) -> None:
        """A segment was pruned: it is the next spare where there is none, its blocks are written already."""
        with self._lock:
            if self.is_ready or os.path.getsize(path) != self._segment_bytes:
                remove_file(path)
            else:
                os.rename(path, self.path)
                sync_folder(self._folder)

    def remove(self) -> None:
        """Also one that another log has left: its old entries must not be taken for later ones of a new log."""
        with self._lock:
            remove_file(self.path)

    def _try(self) -> None:
        with contextlib.suppress(OSError):
            self.prepare()

    def _make(self) -> None:
        """Written, not only reserved: the first write to a reserved block changes the file system's own tables, and every
        sync of an entry would wait for those as well.
        """
        temporary = f"{self.path}.new"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._segment_bytes)
            for at in range(0, self._segment_bytes, len(_ZEROS)):
                os.pwrite(descriptor, _ZEROS, at)
            os.fsync(descriptor)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        os.rename(temporary, self.path)
        sync_folder(self._folder)
