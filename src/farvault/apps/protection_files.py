"""Keeps the volume history and device configuration files current: small files, each replaced as a whole.

Two lie in the instance folder; `volumehistory` and `devconfig` in farvault.toml name more, for other disks, and so do
SETOPT VOLUMEHISTORY and SETOPT DEVCONFIG. Written at every change of what they show, and before a database backup is told
to be complete.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

from farvault.admin.device_configuration import device_configuration_text
from farvault.admin.volume_history_file import volume_history_text
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.base.clock import Clock
from farvault.base.disk import make_folder, write_file
from farvault.base.errors import FarvaultError, MediaFailed
from farvault.catalog import volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.protection_file_settings import DEVCONFIG, VOLUMEHISTORY, protection_file_paths
from farvault.catalog.settings import get_setting
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.model.volume_history import QUERY_TYPES, HistoryVolume

PIECE: Final = "protection files"
SHOWN_TABLES: Final = frozenset({HistoryVolume.TABLE, DeviceClass.TABLE, Server.TABLE, "settings"})
"""What these files repeat of the catalog."""


class ProtectionFiles:
    """`MediaFailed` names a file that could not be written; the others are, and the old one is still there."""

    def __init__(self, folder: InstanceFolder, settings: Settings, catalog: Catalog, clock: Clock) -> None:
        self._catalog, self._clock = catalog, clock
        self._fixed = {
            VOLUMEHISTORY: [folder.volume_history_path, *map(folder.inside, settings.volumehistory)],
            DEVCONFIG: [folder.device_configuration_path, *map(folder.inside, settings.devconfig)],
        }
        self._inside = folder.inside
        self._lock = threading.Lock()
        self._shown: tuple[object, ...] = ()

    def write_all(self) -> None:
        """Every file of both kinds, now; a problem with one does not keep the others from being written."""
        problems: list[FarvaultError] = []
        for option in self._fixed:
            try:
                self.write(option)
            except FarvaultError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    def refresh(self) -> None:
        """All of them, where what they show has changed since the last time."""
        shown = self._look()
        if shown != self._shown:
            self.write_all()
            self._shown = shown

    def write(self, option: str, paths: Sequence[str] = ()) -> list[str]:
        """To these, or to all that are kept. Returns their paths."""
        with self._lock:  # looked at inside: nothing older comes after what is newer
            rows, server, instance, devices, *_ = self._look()
            text = (
                volume_history_text(rows, server, instance, self._clock.now_seconds())
                if option == VOLUMEHISTORY
                else devices
            )
            return self._write(text, [self._inside(path) for path in paths] or self.paths(option))

    def paths(self, option: str) -> list[str]:
        """Each once: a file may be named in farvault.toml and by SETOPT."""
        with self._catalog.read() as r:
            return list(dict.fromkeys([*self._fixed[option], *protection_file_paths(r, option)]))

    def _look(self) -> tuple[list[HistoryVolume], str, str, str, list[tuple[str, ...]]]:
        with self._catalog.read() as r:
            return (
                volume_history.rows(r, QUERY_TYPES["ALL"]),
                get_setting(r, "SERVERNAME") or "",
                get_setting(r, "INSTANCE_ID") or "",
                device_configuration_text(r),
                [protection_file_paths(r, option) for option in self._fixed],
            )

    def _write(self, text: str, paths: list[str]) -> list[str]:
        problem: MediaFailed | None = None
        for path in paths:
            try:
                make_folder(os.path.dirname(path))
                write_file(path, text.encode())
            except OSError as error:
                problem = problem or MediaFailed("ANR4510E", path=path, reason=error.strerror or error)
        if problem is not None:
            raise problem
        return paths
