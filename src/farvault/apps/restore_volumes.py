"""The volumes that a restore of the database reads: found in the volume history file or named, reached, and proved.

Needs the keys of the instance folder and the device configuration file; the catalog is not there. A proved operation is
signed by this server and follows what is before it in its series. Nothing of the pages is read yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from farvault import __version__
from farvault.admin.device_configuration import parse_device_configuration
from farvault.admin.server_secrets import opened
from farvault.admin.volume_history_file import parse_volume_history
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.base.clock import Clock
from farvault.base.errors import BadInput, NotFound, RecordDamaged
from farvault.base.messages import Message, message
from farvault.base.units import show_time
from farvault.catalog.writer import PAGE_BYTES
from farvault.media.file import FileDevice
from farvault.media.interface import Device
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget
from farvault.model.device_class import FILE, DeviceClass
from farvault.model.volume_history import BACKUPINCR, HistoryVolume
from farvault.policy.database_restore import choose
from farvault.processes.backup_database import Manifest
from farvault.processes.database_pages import manifest_of
from farvault.seal import volume_end
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.record import check
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.devices import folders_of
from farvault.storage.history_reading import Place, place_of, read_end_record, read_ends

Say = Callable[[Message], None]
FOREVER = 1 << 62


class Proved(NamedTuple):
    """One proved backup operation, ready to be read."""

    places: list[Place]
    ends: list[VolumeEnd]
    manifest: Manifest

    def rows(self) -> Iterator[HistoryVolume]:
        """Entries of its volumes, as far as their ends tell."""
        for place, end in zip(self.places, self.ends, strict=True):
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


class RestoreVolumes:
    """Close it. `volume_history`, `device_configuration`: other files than the folder's own."""

    def __init__(
        self,
        folder: InstanceFolder,
        settings: Settings,
        keyring: Keyring,
        identity: Identity,
        clock: Clock,
        say: Say,
        *,
        volume_history: str = "",
        device_configuration: str = "",
    ) -> None:
        self._keyring, self._identity, self._clock, self._say = keyring, identity, clock, say
        self._volumes_folder = folder.inside(settings.volumes_folder)
        self._history_path = volume_history or folder.volume_history_path
        self._devices: dict[str, Device] = {}
        self.history: list[HistoryVolume] = []
        """What the file said; empty until it was read."""
        path = self._configuration_path = device_configuration or folder.device_configuration_path
        self._configuration = parse_device_configuration(_read_text(path), keyring, path)

    def of_history(self, until: int | None, *, snapshot: bool) -> list[Proved]:
        """The newest ones from before `until` (seconds), in order."""
        self.history = self._read_history()
        chosen = choose(self.history, FOREVER if until is None else until, snapshot=snapshot)
        if not chosen.operations:
            is_limited = until is not None and until < FOREVER
            raise NotFound(
                "ANR4602E",
                kind="snapshot of the database" if snapshot else "database backup",
                time=show_time(until) if is_limited else "now",
            )
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

    def named(self, class_name: str, volumes: Sequence[str]) -> list[Proved]:
        """These, in any order: the ends of the volumes themselves say which operations they are."""
        with contextlib.suppress(NotFound):
            self.history = self._read_history()
        found: dict[int, list[tuple[int, Place]]] = {}
        series = 0
        for typed in volumes:
            place = Place(class_name, self._full_name(class_name, typed))
            record = read_end_record(self.device(class_name), place)
            end = volume_end.parse(record, self._identity.public_key_bytes)
            series = end.series
            found.setdefault(end.operation, []).append((end.sequence, place))
        groups = [
            [place for _, place in sorted(found[number], key=lambda one: one[0])] for number in sorted(found)
        ]
        missing = next((number for number in range(len(found)) if number not in found), None)
        if missing is not None:
            what = "operation 0, the full backup," if not missing else f"operation {missing}"
            raise BadInput("ANR4933E", series=series, reason=f"{what} is not among the volumes named")
        return self._proved(groups, [])

    def device(self, name: str) -> Device:
        """A class of the device configuration file."""
        if name not in self._devices:
            found = self._configuration.classes.get(name)
            if found is None:
                raise NotFound("ANR4932E", device_class=name)
            self._devices[name] = self._open_device(found)
        return self._devices[name]

    def close(self) -> None:
        for device in self._devices.values():
            device.close()

    def _read_history(self) -> list[HistoryVolume]:
        return parse_volume_history(_read_text(self._history_path), self._history_path)

    def _open_device(self, found: DeviceClass) -> Device:
        if found.device_type == FILE:
            return FileDevice(folders_of(found, self._volumes_folder))
        server = self._configuration.servers.get(found.server_name)
        if server is None:
            raise NotFound("ANR1650E", name=found.server_name)
        own_name = self._configuration.server_name or self._identity.common_name
        try:
            opened(server, own_name, self._keyring)
        except RecordDamaged:
            raise BadInput("ANR4977E", server=server.name, path=self._configuration_path) from None
        target = DefinedTarget(
            server.name,
            lambda: opened(server, own_name, self._keyring),
            self._identity,
            pinned=lambda fingerprint: None,  # noqa: ARG005 - the catalog that keeps it is not there yet
            code_registered=lambda: None,
            product_version=__version__,
        )
        return ServerDevice(found, target, self._clock)

    def _full_name(self, class_name: str, typed: str) -> str:
        definition = self._configuration.classes.get(class_name)
        if definition is None or definition.device_type != FILE:
            return typed
        return os.path.normpath(os.path.join(folders_of(definition, self._volumes_folder)[0], typed))

    def _proved(self, groups: list[list[Place]], rows: list[list[HistoryVolume]]) -> list[Proved]:
        """Signatures of all volumes, and that they form one unbroken series."""
        operations: list[Proved] = []
        previous = b""
        for number, places in enumerate(groups):
            for place in places:
                self._say(message("ANR4598I", volume=place.volume))
            ends = read_ends(self.device, places, self._identity.public_key_bytes)
            first, last = ends[0], ends[-1]
            if rows:
                _check_expected(first, rows[number][0])
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
            operations.append(Proved(places, ends, manifest))
            previous = _end_address(self.device(places[-1].device_class), places[-1])
        return operations


def _check_expected(first: VolumeEnd, row: HistoryVolume) -> None:
    """Is it the operation that the volume history means?"""
    if (first.series, first.operation) != (row.series, row.operation):
        raise BadInput("ANR4606E", volume=first.volume, series=row.series, found=first.series)
    if first.time != row.time:
        raise BadInput(
            "ANR4614E", volume=first.volume, time=show_time(first.time), expected=show_time(row.time)
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
