"""The device of each device class: made from its definition at first use, kept until the definition changes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

import msgspec

from farvault.base.clock import Clock, SystemClock
from farvault.base.errors import NotFound
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.media.disk import DiskDevice
from farvault.media.file import FileDevice
from farvault.media.interface import Device
from farvault.media.throttle import Throttle, ThrottledDevice
from farvault.model.bandwidth import Rates, parse_rates
from farvault.model.device_class import DISK, FILE, DeviceClass

ConnectServer = Callable[[DeviceClass], Device]
"""Makes the device of a SERVER class; its sessions with the target open at first use."""


def _as_it_is(device: Device) -> Device:
    return device


class Devices:
    """Hands out devices by class name. `wrap` puts, in tests, faults around each one."""

    def __init__(
        self,
        catalog: Catalog,
        volumes_folder: str,
        connect_server: ConnectServer,
        wrap: Callable[[Device], Device] = _as_it_is,
        clock: Clock | None = None,
    ) -> None:
        self._catalog = catalog
        self._volumes_folder = volumes_folder
        self._connect_server = connect_server
        self._wrap = wrap
        self._clock = clock or SystemClock()
        self._made: dict[str, tuple[DeviceClass, Device]] = {}
        self._lock = threading.Lock()

    def device_class(self, class_name: str) -> DeviceClass:
        """Its definition as it stands now; `NotFound`."""
        with self._catalog.read() as r:
            return nouns.get(r, DeviceClass, class_name)

    def device(self, class_name: str) -> Device:
        """The class at work. After UPDATE DEVCLASS new uses get a new device; who holds the old one finishes with it."""
        definition = self.device_class(class_name)
        with self._lock:
            made = self._made.get(class_name)
            if made is not None and _is_same(made[0], definition):
                return made[1]
            device = self._throttled(self._wrap(self._make(definition)), definition)
            self._made[class_name] = (definition, device)
        if made is not None:
            made[1].close()
        return device

    def idle_sessions(self) -> dict[str, int]:
        """Class -> sessions with its target that are kept open; only of classes that were used."""
        with self._lock:
            made = dict(self._made)
        idle = {name: device.idle_sessions() for name, (_, device) in made.items()}
        return {name: number for name, number in sorted(idle.items()) if number}

    def full_name(self, class_name: str, typed: str) -> str:
        """The name the catalog keeps for a volume a person named: local volumes are files in the class's folder.

        One file has one name: `/pool/a/../b` is `/pool/b`.
        """
        definition = self.device_class(class_name)
        if self.device(class_name).capabilities.remote:
            return typed
        return os.path.normpath(os.path.join(self._folders(definition)[0], typed))

    def forget(self, class_name: str | None = None) -> None:
        """Make it anew at the next use: the class is gone, or its server's definition changed. None: all of them."""
        with self._lock:
            names = list(self._made) if class_name is None else [class_name]
            gone = [self._made.pop(name)[1] for name in names if name in self._made]
        for device in gone:
            device.close()

    def renew(self, class_name: str) -> None:
        """Its server's definition has changed; what is under way goes on."""
        with self._lock:
            made = self._made.get(class_name)
        if made is not None:
            made[1].renew()

    def close(self) -> None:
        self.forget()

    def _make(self, definition: DeviceClass) -> Device:
        if definition.device_type == DISK:
            return DiskDevice()
        if definition.device_type == FILE:
            return FileDevice(self._folders(definition))
        return self._connect_server(definition)

    def _throttled(self, device: Device, definition: DeviceClass) -> Device:
        """BANDWIDTH counts as it is when a record moves, also for volumes that are open."""
        if definition.random_access:
            return device
        return ThrottledDevice(device, Throttle(lambda: self._rates(definition.name), self._clock))

    def _rates(self, class_name: str) -> Rates:
        with contextlib.suppress(NotFound):  # deleted, and somebody still finishes with it
            return parse_rates(self.device_class(class_name).bandwidth)
        return Rates(None, ())

    def _folders(self, definition: DeviceClass) -> list[str]:
        return folders_of(definition, self._volumes_folder)


def _is_same(made: DeviceClass, now: DeviceClass) -> bool:
    """May the device go on? Another BANDWIDTH is heard by itself."""
    return msgspec.structs.replace(made, bandwidth=now.bandwidth) == now


def folders_of(definition: DeviceClass, volumes_folder: str) -> list[str]:
    """Where the volume files of a FILE class lie."""
    named = [folder.strip() for folder in definition.directory.split(",") if folder.strip()]
    return [os.path.join(volumes_folder, folder) for folder in named] or [volumes_folder]
