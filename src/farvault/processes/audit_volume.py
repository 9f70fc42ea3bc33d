"""AUDIT VOLUME: read every record of a volume where it is, compare it with its digest, and set the catalog right."""

from __future__ import annotations

from farvault.base.errors import NotAvailable
from farvault.processes.process import Process
from farvault.storage.storage import Storage


def audit_volume(
    storage: Storage, process: Process, name: str, *, fix: bool = False, quiet: bool = False
) -> None:
    """Audit the volume of this name."""
    raise NotAvailable("ANR2990E", command="AUDIT VOLUME")


def audit_pool(
    storage: Storage,
    process: Process,
    name: str,
    *,
    fix: bool = False,
    quiet: bool = False,
    written_from: int | None = None,
    written_to: int | None = None,
) -> None:
    """Audit the volumes of a pool that were last written between the two times; random-access ones always."""
    raise NotAvailable("ANR2990E", command="AUDIT VOLUME")
