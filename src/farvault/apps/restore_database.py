"""`farvault server restore-db`: the catalog from its backups, when it is lost or must be set back.

Needs the keys of the instance folder, and the volume history and device configuration files kept beside them. Everything
is proved before anything is touched: signatures first (`restore_volumes.py`), then the address of every record, then the
root over all pages, then the rows. The database is built beside the old one; the old one is set aside, never overwritten.
A restore that is broken off is run again, or finished by the server's start (`database_switch.py`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from farvault.apps.database_switch import building_path, switch
from farvault.apps.instance_folder import InstanceFolder, InstanceLock, Settings
from farvault.apps.make_instance import catalog_path
from farvault.apps.restore_volumes import Proved, RestoreVolumes, Say
from farvault.apps.server import identity_of
from farvault.base.clock import Clock, SystemClock
from farvault.base.disk import NO_ROOM, crash_point, make_folder, write_file
from farvault.base.errors import MediaFailed, MediaFull, NotAvailable, RecordDamaged
from farvault.base.messages import message
from farvault.base.units import MIB, show_size, show_time
from farvault.catalog import lost_volumes, restored, roll_forward
from farvault.catalog.catalog import Catalog
from farvault.catalog.log import RecoveryLog
from farvault.catalog.writer import PAGE_BYTES
from farvault.model.volume_history import OWN_VOLUME
from farvault.processes.backup_database import Manifest
from farvault.processes.database_pages import check_root, remove_database, write_pages, written
from farvault.seal.keyring import Keyring
from farvault.storage.history_reading import read_records

_PROGRESS_BYTES: Final = 1 << 30


class Request(NamedTuple):
    """What to restore. Neither `until` nor `volumes`: the most current state, with the recovery log.

    `until`: seconds; the newest backup from before then. `volumes`: these, of `device_class`, whatever the history says.
    `reconcile`: the server comes to terms with its targets by itself once it serves.
    """

    until: int | None = None
    snapshot: bool = False
    device_class: str = ""
    volumes: Sequence[str] = ()
    preview: bool = False
    volume_history: str = ""
    device_configuration: str = ""
    reconcile: bool = False


class Restored(NamedTuple):
    """How it ended. `entries`: of the recovery log, None where there was none to bring in. `set_aside`: where the old
    database lies now; empty where there was none.
    """

    series: int
    operation: int
    backup_time: int
    entries: int | None
    epoch: int
    set_aside: str


def restore_database(path: str, request: Request, say: Say, clock: Clock | None = None) -> Restored | None:
    """None after a preview. Raises what kept it from being done; the instance is as it was then."""
    folder = InstanceFolder(path)
    settings = folder.settings()
    lock = InstanceLock(folder)
    try:
        return _Restore(folder, settings, request, say, clock or SystemClock()).run()
    finally:
        lock.release()


class _Restore:
    def __init__(
        self, folder: InstanceFolder, settings: Settings, request: Request, say: Say, clock: Clock
    ) -> None:
        self._folder, self._settings, self._request = folder, settings, request
        self._say, self._clock = say, clock
        self._keyring = Keyring.from_bytes(folder.read_secret(folder.keyring_path))
        self._volumes = RestoreVolumes(
            folder,
            settings,
            self._keyring,
            identity_of(folder),
            clock,
            say,
            volume_history=request.volume_history,
            device_configuration=request.device_configuration,
        )

    def run(self) -> Restored | None:
        request = self._request
        try:
            if request.volumes:
                operations = self._volumes.named(request.device_class, request.volumes)
            else:
                operations = self._volumes.of_history(request.until, snapshot=request.snapshot)
            log = self._surviving_log(operations[-1].manifest)
            if request.preview:
                self._say(message("ANR4936I"))
                return None
            return self._restore(operations, log)
        finally:
            self._volumes.close()

    def _surviving_log(self, manifest: Manifest) -> RecoveryLog | None:
        """For the most current state: the recovery log, which must reach back to the backup."""
        if self._request.until is not None or self._request.volumes:
            return None
        if not manifest.log_id:
            self._say(message("ANR4934W"))
            return None
        folder = self._folder.inside(self._settings.log_folder)
        capacity = self._settings.log_capacity_mib * MIB
        log = RecoveryLog.open(folder, capacity, self._keyring.row_key(), PAGE_BYTES, read_only=True)
        if log is None or log.log_id != manifest.log_id or log.first_sequence > manifest.log_sequence + 1:
            raise NotAvailable("ANR4935E", folder=folder)
        return log

    # --- building it -------------------------------------------------------------------------------------------

    def _restore(self, operations: list[Proved], log: RecoveryLog | None) -> Restored:
        """Where it fails, nothing of what was built is left: a full disk is not left fuller."""
        final = catalog_path(self._folder, self._settings)
        building = building_path(final)
        try:
            return self._build(building, final, operations, log)
        except BaseException as error:
            remove_database(building)
            if not isinstance(error, OSError):
                raise
            if error.errno in NO_ROOM:
                raise MediaFull("ANR0131E", path=final) from error
            reason = error.strerror or error
            raise MediaFailed("ANR0132E", path=error.filename or final, reason=reason) from error

    def _build(
        self, building: str, final: str, operations: list[Proved], log: RecoveryLog | None
    ) -> Restored:
        last = operations[-1].ends[-1]
        self._say(message("ANR4634I", time=show_time(last.time)))
        make_folder(os.path.dirname(final))
        remove_database(building)
        with written(building) as descriptor:
            for operation in operations:
                self._write_operation(descriptor, operation)
            check_root(descriptor, operations[-1].manifest, last.volume)
        crash_point("restore.database.written")
        entries: int | None = None
        if log is not None:
            entries = roll_forward.replay(building, log, operations[-1].manifest.log_sequence)
            self._say(message("ANR4915I", entries=entries))
        epoch = self._adapt(building, operations)
        set_aside = self._switch(final)
        crash_point("restore.database.after_switch")
        self._say(
            message("ANR4635I", series=last.series, operation=last.operation, time=show_time(last.time))
        )
        return Restored(last.series, last.operation, last.time, entries, epoch, set_aside)

    def _write_operation(self, descriptor: int, operation: Proved) -> None:
        first, manifest = operation.ends[0], operation.manifest
        self._say(message("ANR4638I", series=first.series, operation=first.operation))
        pages, done = 0, 0
        for place, end in zip(operation.places, operation.ends, strict=True):
            self._say(message("ANR1363I", volume=place.volume, sequence=end.sequence))
            for record in read_records(
                self._volumes.device(place.device_class), place.volume, end, self._keyring
            ):
                pages += write_pages(descriptor, memoryview(record), manifest, place.volume)
                done += len(record)
                if done >= _PROGRESS_BYTES:
                    self._say(message("ANR4912I", size=show_size(pages * PAGE_BYTES)))
                    done = 0
        if pages != manifest.pages:
            raise RecordDamaged("ANR4904E", volume=operation.places[-1].volume, reason="pages are missing")
        os.ftruncate(descriptor, manifest.page_count * PAGE_BYTES)

    def _adapt(self, building: str, operations: list[Proved]) -> int:
        """Open what was built, look at all of it, and tell it that it was restored."""
        catalog = Catalog.open(building, self._keyring.row_key(), self._clock)
        try:
            restored.check_whole(catalog)
            crash_point("restore.database.checked")
            used = [row for operation in operations for row in operation.rows()]
            known = [row for row in self._volumes.history if row.type in OWN_VOLUME]
            names = {(row.volume, row.time) for row in known}
            with catalog.write() as tx:
                if self._request.reconcile:
                    lost_volumes.begin_anew_with_targets(tx)
                adapted = restored.adapt(
                    tx,
                    [*known, *(row for row in used if (row.volume, row.time) not in names)],
                    self._clock.now_seconds(),
                )
            for row in adapted.forgotten:
                self._say(
                    message(
                        "ANR4975W", volume=row.volume, device_class=row.device_class, time=show_time(row.time)
                    )
                )
            return adapted.epoch
        finally:
            catalog.close()

    def _switch(self, final: str) -> str:
        """The volume history as it was is kept: the restored server writes a new one. Returns where the old database is."""
        now = self._clock.now_seconds()
        history = self._folder.volume_history_path
        if os.path.exists(history):
            with open(history, "rb") as file:
                write_file(f"{history}.{now}", file.read())
        return switch(final, now)
