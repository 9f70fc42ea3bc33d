"""The parts of a running server, handed to every command. Assembled once by `apps/server.py`.

A command takes from here the few parts it needs and passes those on; nothing below `admin` ever sees the whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from farvault.base.clock import Clock
from farvault.base.log import Log
from farvault.catalog.catalog import Catalog
from farvault.media.link_book import LinkBook
from farvault.media.target import DefinedTarget
from farvault.processes.backup_database import DatabaseBackups
from farvault.processes.prepare import RecoveryPlans
from farvault.processes.process import Processes
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.storage.storage import Storage
from farvault.transport.session_table import SessionTable


class Availability:
    """Which kinds of session may be opened: what ENABLE and DISABLE SESSIONS switch. Thread safe.

    Roles are those of `Hello.role`: NODE sessions are CLIENT, SOURCE and SERVER sessions are SERVER;
    administrators are always let in.
    """

    _KIND: ClassVar = {"NODE": "CLIENT", "SOURCE": "SERVER", "SERVER": "SERVER"}

    def __init__(self) -> None:
        self._disabled: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def enable(self, *kinds: str) -> None:
        """`kinds`: CLIENT, SERVER."""
        with self._lock:
            self._disabled -= set(kinds)

    def disable(self, *kinds: str) -> None:
        with self._lock:
            self._disabled |= set(kinds)

    def admits(self, role: str) -> bool:
        """May a session of this `Hello.role` be opened now?"""
        return self._KIND.get(role, "ADMIN") not in self._disabled

    @property
    def disabled(self) -> tuple[str, ...]:
        return tuple(sorted(self._disabled))


class ProtectionFiles(Protocol):
    """The volume history and device configuration files. `MediaFailed` names one that could not be written."""

    def write(self, option: str, paths: Sequence[str] = ()) -> list[str]:
        """To these files, or to all that are kept; returns their paths. `option`: VOLUMEHISTORY or DEVCONFIG."""
        ...

    def paths(self, option: str) -> list[str]:
        """Those that are kept: in the instance folder, of farvault.toml, of SETOPT."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One server. `data_port`: where it listens. `started_time`: seconds UTC.

    `halt` asks the whole server to stop cleanly and returns at once.
    """

    folder: str
    data_port: int
    product_version: str
    started_time: int
    catalog: Catalog
    storage: Storage
    processes: Processes
    database_backups: DatabaseBackups
    recovery_plans: RecoveryPlans
    protection_files: ProtectionFiles
    session_table: SessionTable
    keyring: Keyring
    identity: Identity
    log: Log
    clock: Clock
    halt: Callable[[], None]
    target: Callable[[str], DefinedTarget]
    """A defined server, by name, as a target to sign on to."""
    links: LinkBook
    """What goes on between us and each target."""
    availability: Availability = field(default_factory=Availability)
