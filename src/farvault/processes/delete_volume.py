"""DELETE VOLUME: take a volume out of its pool, and with DISCARDDATA=YES give up what lies on it."""

from __future__ import annotations

from farvault.base.errors import NotAvailable
from farvault.processes.process import Process
from farvault.storage.storage import Storage


def delete_volume(storage: Storage, process: Process, name: str, *, discard: bool) -> None:
    """Delete the volume of this name. `StillReferenced` where it holds data and `discard` is not given."""
    raise NotAvailable("ANR2990E", command="DELETE VOLUME")
