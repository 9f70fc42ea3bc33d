"""Keeps the volume history and device configuration files of an instance current: small files, replaced as a whole."""

from __future__ import annotations

from farvault.admin.device_configuration import device_configuration_text
from farvault.admin.volume_history_file import volume_history_text
from farvault.apps.instance_folder import InstanceFolder
from farvault.base.clock import Clock
from farvault.base.disk import write_file
from farvault.base.errors import MediaFailed
from farvault.catalog import volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.model.volume_history import QUERY_TYPES


def write_protection_files(folder: InstanceFolder, catalog: Catalog, clock: Clock) -> None:
    """Both files. `MediaFailed` names the one that could not be written; the old one is still there then."""
    with catalog.read() as r:
        rows = volume_history.rows(r, QUERY_TYPES["ALL"])
        server, instance = get_setting(r, "SERVERNAME") or "", get_setting(r, "INSTANCE_ID") or ""
        devices = device_configuration_text(r)
    history = volume_history_text(rows, server, instance, clock.now_seconds())
    for path, text in (
        (folder.volume_history_path, history),
        (folder.device_configuration_path, devices),
    ):
        try:
            write_file(path, text.encode())
        except OSError as error:
            raise MediaFailed("ANR4510E", path=path, reason=error.strerror or error) from error
