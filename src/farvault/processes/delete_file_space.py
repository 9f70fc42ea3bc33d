"""DELETE FILESPACE: everything a node keeps in a file space, or one kind of it, for good."""

from __future__ import annotations

from farvault.base.errors import NotAvailable
from farvault.model.stored_object import ObjectKind
from farvault.processes.process import Process
from farvault.storage.storage import Storage


def delete_file_space(
    storage: Storage, process: Process, node: str, file_space: str, *, kind: ObjectKind | None = None
) -> None:
    """Delete the objects of this kind (None: all, and the file space itself)."""
    raise NotAvailable("ANR2990E", command="DELETE FILESPACE")
