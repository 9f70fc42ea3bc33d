"""The parts that protect the server itself, wired together: its files, database backups, plans, and what follows a recovery."""

from __future__ import annotations

from collections.abc import Callable

from farvault import __version__
from farvault.admin.recovery_plan_contents import PlanComposer
from farvault.apps.housekeeping import Housekeeping, Piece
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.protection_files import PIECE as PROTECTION_FILES
from farvault.apps.protection_files import SHOWN_TABLES, ProtectionFiles
from farvault.base.errors import FarvaultError
from farvault.catalog import volume_history
from farvault.catalog.drm_settings import drm_setting
from farvault.media.target import Target
from farvault.model.volume_history import DBSNAPSHOT, SERIES_TYPES, HistoryVolume
from farvault.processes.backup_database import DatabaseBackups
from farvault.processes.database_trigger import PERIOD_SECONDS, DatabaseTrigger
from farvault.processes.drill import DESCRIPTION as DRILL
from farvault.processes.drill import DrillWhenDue
from farvault.processes.prepare import DESCRIPTION as PREPARE
from farvault.processes.prepare import RecoveryPlans, Request
from farvault.processes.process import Process, Processes
from farvault.processes.recover import DESCRIPTION as RECOVERY
from farvault.processes.recover import PERIOD_SECONDS as RECOVERY_SECONDS
from farvault.processes.recover import RecoverRest
from farvault.storage.storage import Storage

DATABASE_TRIGGER = "database backup trigger"


class SelfProtection:
    """Made while the server starts; `pieces` go to its housekeeping, which `watch` is told of."""

    def __init__(
        self,
        folder: InstanceFolder,
        settings: Settings,
        storage: Storage,
        processes: Processes,
        target: Callable[[str], Target],
    ) -> None:
        self._folder, self._storage, self._processes = folder, storage, processes
        self._housekeeping: Housekeeping | None = None
        catalog, clock = storage.catalog, storage.clock
        self.files = ProtectionFiles(folder, settings, catalog, clock)
        self.database_backups = DatabaseBackups(storage, self._wrapped_keyring, self._backed_up)
        compose = PlanComposer(
            folder=folder.path,
            settings_text=folder.settings_text,
            product_version=__version__,
            catalog=catalog,
            keyring=storage.keyring,
            identity=storage.identity,
            wrapped_keyring=self._wrapped_keyring,
            clock=clock,
        )
        self.plans = RecoveryPlans(storage, folder.path, compose)
        self._trigger = DatabaseTrigger(catalog, self.database_backups, processes, storage.log)
        self.drill = DrillWhenDue(storage, processes, f"{folder.path}/drill")
        self.pieces = [
            Piece(DATABASE_TRIGGER, self._trigger, PERIOD_SECONDS, is_urgent=True),
            Piece(PROTECTION_FILES, self.files.refresh),
            Piece(DRILL, self.drill),
            Piece(RECOVERY, RecoverRest(storage, processes, target), RECOVERY_SECONDS),
        ]

    def watch(self, housekeeping: Housekeeping) -> None:
        """From now on changes are followed at once."""
        self._housekeeping = housekeeping
        self.database_backups.poke = self._look_at_trigger_at_once
        self._storage.catalog.on_log_growth(self._log_grown)
        self._storage.catalog.nouns_changed = self._nouns_changed
        housekeeping.poke(PROTECTION_FILES)

    def serving(self) -> None:
        """Clients come first: what is left of a recovery begins when they are served."""
        if self._housekeeping is not None:
            self._housekeeping.poke(RECOVERY)

    def last_look(self) -> None:
        """What changed just before the end."""
        try:
            self.files.refresh()
        except FarvaultError as error:
            self._storage.log.repeat(error.message)

    def _look_at_trigger(self) -> None:
        if self._housekeeping is not None:
            self._housekeeping.poke(DATABASE_TRIGGER)

    def _look_at_trigger_at_once(self) -> None:
        self.database_backups.forget_failures()
        self._look_at_trigger()

    def _log_grown(self) -> None:
        """A backup that failed has its pause, however fast the log grows."""
        if self._trigger.may_be_due():
            self._look_at_trigger()

    def _nouns_changed(self, tables: set[str]) -> None:
        if tables & SHOWN_TABLES and self._housekeeping is not None:
            self._housekeeping.poke(PROTECTION_FILES)

    def _wrapped_keyring(self) -> bytes:
        return self._folder.read_secret(self._folder.wrapped_keyring_path)

    def _backed_up(self) -> None:
        """Volume history and device configuration go where the backup went: a plan carries both to the partner.

        Also where one of the files could not be written: that is told afterwards.
        """
        problem: FarvaultError | None = None
        try:
            self.files.write_all()
        except FarvaultError as error:
            problem = error
        with self._storage.catalog.read() as r:
            newest = max(volume_history.rows(r, (*SERIES_TYPES, DBSNAPSHOT)), key=_age)
            wanted = drm_setting(r, "DRMPLANWITHBACKUP") == "YES"
        if wanted and self._storage.devices.device(newest.device_class).capabilities.remote:
            request = Request(newest.device_class, newest.type == DBSNAPSHOT, command="BACKUP DB")

            def work(process: Process) -> None:
                self.plans.write(process, request)

            self._processes.start(PREPARE, work, wait=True)
        if problem is not None:
            raise problem


def _age(row: HistoryVolume) -> tuple[int, int]:
    return row.time, row.id
