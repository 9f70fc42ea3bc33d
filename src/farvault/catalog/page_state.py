"""Digests of all pages as the last database backup found them, in a file beside the catalog: what an incremental one compares.

One file for each backup, named after it and written before the backup is complete, so that after a crash the file of the
newest complete backup is there. Where it is not, the next backup is a full one: nothing else depends on it.
"""

from __future__ import annotations

import contextlib
import os
import re

import msgspec

from farvault.base.disk import crash_point, remove_file, write_file
from farvault.seal.digest import digest


class PageState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`digests`: `PAGE_DIGEST_BYTES` a page."""

    series: int
    operation: int
    epoch: int
    page_count: int
    digests: bytes


class PageStates:
    """The files of one catalog."""

    def __init__(self, catalog_path: str) -> None:
        self._prefix = f"{catalog_path}-pages."

    def save(self, state: PageState) -> None:
        body = msgspec.msgpack.encode(state)
        write_file(self._path(state.series, state.operation), digest(body) + body)
        crash_point("database.page_state.after")

    def load(self, series: int, operation: int) -> PageState | None:
        """None where it is not there or not what was written."""
        try:
            with open(self._path(series, operation), "rb") as file:
                stored = file.read()
        except OSError:
            return None
        if digest(stored[32:]) != stored[:32]:
            return None
        try:
            return msgspec.msgpack.decode(stored[32:], type=PageState)
        except msgspec.MsgspecError:
            return None

    def keep_only(self, series: int, operation: int) -> None:
        """The files of all other backups go."""
        folder, prefix = os.path.split(self._prefix)
        wanted = os.path.basename(self._path(series, operation))
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder or "."):
                if re.fullmatch(re.escape(prefix) + r"\d+\.\d+(\.new)?", entry.name) and entry.name != wanted:
                    remove_file(entry.path)

    def _path(self, series: int, operation: int) -> str:
        return f"{self._prefix}{series}.{operation}"
