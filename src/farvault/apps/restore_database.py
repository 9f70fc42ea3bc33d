"""`farvault server restore-db`: the catalog from its backups, when it is lost or must be set back.

Needs the keys of the instance folder, and the volume history and device configuration files kept beside them. Everything
is proved before anything is touched: signatures first, then the address of every record, then the root over all pages,
then the rows. The database is built beside the old one; the old one is set aside, never overwritten. A restore that is
broken off at any point is simply run again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from farvault import __version__
from farvault.admin.device_configuration import DeviceConfiguration, parse_device_configuration
from farvault.admin.server_secrets import opened
from farvault.admin.volume_history_file import parse_volume_history
from farvault.apps.instance_folder import InstanceFolder, InstanceLock, Settings
from farvault.apps.make_instance import catalog_path
from farvault.apps.server import identity_of
from farvault.base.clock import Clock, SystemClock
from farvault.base.disk import crash_point, make_folder, remove_file, sync_folder, write_file
from farvault.base.errors import BadInput, MediaFailed, NotAvailable, NotFound, RecordDamaged
from farvault.base.messages import Message, message
from farvault.base.units import MIB, show_size, show_time
from farvault.catalog import restored, roll_forward
from farvault.catalog.catalog import PAGE_BYTES, Catalog
from farvault.catalog.log import RecoveryLog
from farvault.media.file import FileDevice
from farvault.media.interface import Device
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget
from farvault.model.device_class import FILE, DeviceClass
from farvault.model.volume_history import BACKUPINCR, OWN_VOLUME, HistoryVolume
from farvault.policy.database_restore import choose
from farvault.processes.backup_database import Manifest
from farvault.processes.database_pages import (
    check_root,
    manifest_of,
    remove_database,
    write_pages,
    written,
)
from farvault.seal import volume_end
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.record import check
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.devices import folders_of
from farvault.storage.history_volumes import Place, place_of, read_end_record, read_ends, read_records

Say = Callable[[Message], None]
_FOREVER: Final = 1 << 62
_PROGRESS_BYTES: Final = 1 << 30


class Request(NamedTuple):
    """What to restore. Neither `until` nor `volumes`: the most current state, with the recovery log.

    `until`: seconds; the newest backup from before then. `volumes`: these, of `device_class`, whatever the history says.
    """

    until: int | None = None
    snapshot: bool = False
    device_class: str = ""
    volumes: Sequence[str] = ()
    preview: bool = False
    volume_history: str = ""
    device_configuration: str = ""


class Restored(NamedTuple):
    """How it ended. `set_aside`: where the old database lies now; empty where there was none."""

    series: int
    operation: int
    backup_time: int
    entries: int
    epoch: int
    set_aside: str


class _Operation(NamedTuple):
    """One proved backup operation, ready to be read."""

    places: list[Place]
    ends: list[VolumeEnd]
    manifest: Manifest


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
        self._identity: Identity = identity_of(folder)
        self._devices: dict[str, Device] = {}
        self._history: list[HistoryVolume] = []
        self._configuration = DeviceConfiguration()

    def run(self) -> Restored | None:
        request = self._request
        self._configuration = self._read_configuration()
        try:
            operations = self._named() if request.volumes else self._from_history()
            log = self._surviving_log(operations[-1].manifest)
            if request.preview:
                self._say(message("ANR4936I"))
                return None
            return self._restore(operations, log)
        finally:
            for device in self._devices.values():
                device.close()

    # --- what is there -----------------------------------------------------------------------------------------

    def _read_configuration(self) -> DeviceConfiguration:
        path = self._request.device_configuration or self._folder.device_configuration_path
        return parse_device_configuration(_read_text(path), self._keyring, path)

    def _read_history(self) -> list[HistoryVolume]:
        path = self._request.volume_history or self._folder.volume_history_path
        return parse_volume_history(_read_text(path), path)

    def _device(self, name: str) -> Device:
        if name not in self._devices:
            found = self._configuration.classes.get(name)
            if found is None:
                raise NotFound("ANR4932E", device_class=name)
            self._devices[name] = self._open_device(found)
        return self._devices[name]

    def _open_device(self, found: DeviceClass) -> Device:
        if found.device_type == FILE:
            return FileDevice(folders_of(found, self._folder.inside(self._settings.volumes_folder)))
        server = self._configuration.servers.get(found.server_name)
        if server is None:
            raise NotFound("ANR1650E", name=found.server_name)
        own_name = self._configuration.server_name or self._identity.common_name
        target = DefinedTarget(
            server.name,
            lambda: opened(server, own_name, self._keyring),
            self._identity,
            pinned=lambda fingerprint: None,  # noqa: ARG005 - the catalog that keeps it is not there yet
            code_registered=lambda: None,
            product_version=__version__,
        )
        return ServerDevice(found, target, self._clock)

    # --- which volumes -----------------------------------------------------------------------------------------

    def _from_history(self) -> list[_Operation]:
        request = self._request
        self._history = self._read_history()
        until = _FOREVER if request.until is None else request.until
        chosen = choose(self._history, until, snapshot=request.snapshot)
        if not chosen.operations:
            raise NotFound("ANR4602E", time=show_time(request.until) or "now")
        first = chosen.operations[0][0]
        if chosen.problem:
            raise BadInput("ANR4933E", series=first.series, reason=chosen.problem)
        self._say(message("ANR4591I", series=first.series, time=show_time(first.time)))
        for row in (row for volumes in chosen.operations for row in volumes):
            self._say(
                message(
                    "ANR4592I",
                    series=row.series,
                    operation=row.operation,
                    volume=row.volume,
                    sequence=row.sequence,
                    device_class=row.device_class,
                )
            )
        return self._proved(
            [[place_of(row) for row in volumes] for volumes in chosen.operations], chosen.operations
        )

    def _named(self) -> list[_Operation]:
        """The ends of the volumes themselves say which operations they are."""
        with contextlib.suppress(NotFound):
            self._history = self._read_history()
        name = self._request.device_class
        found: dict[int, list[tuple[int, Place]]] = {}
        for typed in self._request.volumes:
            place = Place(name, self._full_name(name, typed))
            record = read_end_record(self._device(name), place)
            end = volume_end.parse(record, self._identity.public_key_bytes)
            found.setdefault(end.operation, []).append((end.sequence, place))
        groups = [
            [place for _, place in sorted(found[number], key=lambda one: one[0])] for number in sorted(found)
        ]
        if sorted(found) != list(range(len(found))):
            raise BadInput(
                "ANR4933E", series="?", reason="an operation between the first and the last is missing"
            )
        return self._proved(groups, [])

    def _full_name(self, class_name: str, typed: str) -> str:
        definition = self._configuration.classes.get(class_name)
        if definition is None or definition.device_type != FILE:
            return typed
        folder = folders_of(definition, self._folder.inside(self._settings.volumes_folder))[0]
        return os.path.normpath(os.path.join(folder, typed))

    def _proved(self, groups: list[list[Place]], rows: list[list[HistoryVolume]]) -> list[_Operation]:
        """Signatures of all volumes, and that they form one unbroken series. Nothing of the pages is read yet."""
        operations: list[_Operation] = []
        previous = b""
        for number, places in enumerate(groups):
            for place in places:
                self._say(message("ANR4598I", volume=place.volume))
            ends = read_ends(self._device, places, self._identity.public_key_bytes)
            first, last = ends[0], ends[-1]
            if rows and (first.series, first.operation) != (
                rows[number][0].series,
                rows[number][0].operation,
            ):
                raise BadInput(
                    "ANR4606E", volume=first.volume, series=rows[number][0].series, found=first.series
                )
            if rows and first.time != rows[number][0].time:
                raise BadInput(
                    "ANR4614E",
                    volume=first.volume,
                    time=show_time(first.time),
                    expected=show_time(rows[number][0].time),
                )
            manifest = manifest_of(last)
            if manifest.page_bytes != PAGE_BYTES:
                raise RecordDamaged(
                    "ANR4904E", volume=last.volume, reason="it is not of this database's page size"
                )
            builds_on = first.type == BACKUPINCR
            if builds_on != (number > 0) or manifest.previous != previous:
                raise BadInput(
                    "ANR4933E",
                    series=first.series,
                    reason=f"{first.volume} does not follow what is before it",
                )
            if operations and operations[0].ends[0].series != first.series:
                raise BadInput(
                    "ANR4606E", volume=first.volume, series=operations[0].ends[0].series, found=first.series
                )
            operations.append(_Operation(places, ends, manifest))
            previous = _end_address(self._device(places[-1].device_class), places[-1])
        return operations

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

    def _restore(self, operations: list[_Operation], log: RecoveryLog | None) -> Restored:
        final = catalog_path(self._folder, self._settings)
        building = f"{final}.restoring"
        last = operations[-1].ends[-1]
        self._say(message("ANR4634I", time=show_time(last.time)))
        try:
            make_folder(os.path.dirname(final))
            remove_database(building)
            with written(building) as descriptor:
                for operation in operations:
                    self._write_operation(descriptor, operation)
                check_root(descriptor, operations[-1].manifest, last.volume)
        except OSError as error:
            raise MediaFailed("ANR0132E", path=building, reason=error.strerror or error) from error
        crash_point("restore.database.written")
        entries = 0
        if log is not None:
            entries = roll_forward.replay(building, log, operations[-1].manifest.log_sequence)
            self._say(message("ANR4915I", entries=entries))
        epoch = self._adapt(building, operations)
        crash_point("restore.database.before_switch")
        set_aside = self._switch(building, final)
        crash_point("restore.database.after_switch")
        self._say(
            message("ANR4635I", series=last.series, operation=last.operation, time=show_time(last.time))
        )
        return Restored(last.series, last.operation, last.time, entries, epoch, set_aside)

    def _write_operation(self, descriptor: int, operation: _Operation) -> None:
        first, manifest = operation.ends[0], operation.manifest
        self._say(message("ANR4638I", series=first.series, operation=first.operation))
        pages, done = 0, 0
        for place, end in zip(operation.places, operation.ends, strict=True):
            self._say(message("ANR1363I", volume=place.volume, sequence=end.sequence))
            for record in read_records(self._device(place.device_class), place.volume, end, self._keyring):
                pages += write_pages(descriptor, memoryview(record), manifest, place.volume)
                done += len(record)
                if done >= _PROGRESS_BYTES:
                    self._say(message("ANR4912I", size=show_size(pages * PAGE_BYTES)))
                    done = 0
        if pages != manifest.pages:
            raise RecordDamaged("ANR4904E", volume=operation.places[-1].volume, reason="pages are missing")
        os.ftruncate(descriptor, manifest.page_count * PAGE_BYTES)

    def _adapt(self, building: str, operations: list[_Operation]) -> int:
        """Open what was built, look at all of it, and tell it that it was restored."""
        catalog = Catalog.open(building, self._keyring.row_key(), self._clock)
        try:
            restored.check_whole(catalog)
            crash_point("restore.database.checked")
            used = [row for operation in operations for row in _rows(operation)]
            known = [row for row in self._history if row.type in OWN_VOLUME]
            names = {(row.volume, row.time) for row in known}
            with catalog.write() as tx:
                return restored.adapt(
                    tx,
                    [*known, *(row for row in used if (row.volume, row.time) not in names)],
                    self._clock.now_seconds(),
                )
        finally:
            catalog.close()

    def _switch(self, building: str, final: str) -> str:
        """The old database, with all that belongs to it, gets another name; the new one its."""
        now = self._clock.now_seconds()
        history = self._folder.volume_history_path
        if os.path.exists(history):
            with open(history, "rb") as file:
                write_file(f"{history}.{now}", file.read())
        folder = os.path.dirname(final)
        set_aside = ""
        for suffix in (
            "",
            "-wal",
            "-shm",
            "-replaying",
        ):  # the database first: nobody opens it without the others
            if os.path.exists(final + suffix):
                set_aside = f"{final}.before-restore-{now}"
                os.rename(final + suffix, set_aside + suffix)
                crash_point("restore.database.setting_aside")
        crash_point("restore.database.between")
        os.rename(building, final)
        sync_folder(folder)
        for name in os.listdir(folder):
            if name.startswith(f"{os.path.basename(final)}-pages."):
                remove_file(f"{folder}/{name}")
        remove_database(building)
        return set_aside


def _rows(operation: _Operation) -> Iterator[HistoryVolume]:
    """Entries of the volumes that were used, as far as their ends tell."""
    for place, end in zip(operation.places, operation.ends, strict=True):
        yield HistoryVolume(
            time=end.time,
            type=end.type,
            series=end.series,
            operation=end.operation,
            sequence=end.sequence,
            device_class=place.device_class,
            volume=place.volume,
            records=len(end.lengths) // 4,
            stored_bytes=place.stored_bytes,
            end_bytes=place.end_bytes,
            digest=place.digest,
            epoch=end.epoch,
        )


def _end_address(device: Device, place: Place) -> bytes:
    return place.digest or check(read_end_record(device, place)).digest


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFound("ANR4937E", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("ANR4931E", path=path, line=0, reason=error) from None
