"""Hands out volumes: open for writing the best that nobody writes, open for reading any, never more than MOUNTLIMIT.

Which one is best: `output_choice.py`. Who uses which now: `volume_use.py`. Whose turn it is where mount points are short:
`mount_points.py`. How volumes come and go: `volume_life.py`, and when those that have emptied do: `emptied.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator
from functools import partial

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, MediaFailed, MediaFull, NotFound
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.media.interface import Device, VolumeReader, VolumeWriter
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import UNAVAILABLE, Volume
from farvault.policy.collocation import NEW_SCRATCH, Key
from farvault.policy.mount_points import Priority
from farvault.storage.cache import Cache
from farvault.storage.devices import Devices
from farvault.storage.emptied import EmptiedVolumes
from farvault.storage.free_space import FreeSpaces
from farvault.storage.mount_points import MountPoints, Worker
from farvault.storage.output_choice import OutputChoice, Wanted
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES, Output, RandomOutput, SequentialOutput
from farvault.storage.volume_life import VolumeLife
from farvault.storage.volume_use import OpenVolume, VolumeUse


class Volumes:
    """Thread safe; no lock is held while media or the catalog's writer are waited for."""

    def __init__(
        self,
        catalog: Catalog,
        devices: Devices,
        life: VolumeLife,
        spaces: FreeSpaces,
        cache: Cache,
        clock: Clock,
        mounts: MountPoints,
        use: VolumeUse,
        choice: OutputChoice,
        emptied: EmptiedVolumes,
    ) -> None:
        self._catalog, self._devices, self._life, self._spaces = catalog, devices, life, spaces
        self._cache, self._clock = cache, clock
        self.mounts = mounts
        self._use, self._choice, self._emptied = use, choice, emptied

    # --- writing -----------------------------------------------------------------------------------------------

    def acquire_output(
        self,
        pool: StoragePool,
        size_bytes: int,
        exclude: Container[int] = (),
        *,
        worker: Worker | None = None,
        key: Key | None = None,
        continuing: bool = False,
    ) -> Output:
        """A volume of the pool that is ready to take a record of this size.

        `exclude`: numbers of volumes the caller has filled or found broken. `worker`: who holds the mount point. `key`:
        what is kept together on it (`OutputChoice.key_of`). `continuing`: the caller has just filled another. `MediaFull`
        where the pool has no room, `NotAvailable` where everything stayed in use for too long, `PeerUnreachable` where its
        server is away.
        """
        worker = worker or self.mounts.worker(Priority.STORE)
        wanted = Wanted(pool, size_bytes, exclude, key, continuing)
        broken: set[int] = set()
        while True:
            volume = self._reserve(wanted, broken, worker)
            if volume is None:
                return self._opened(self._open_scratch(pool, worker), worker)
            try:
                return self._opened(self._open(volume, pool), worker)
            except (MediaFailed, NotFound) as error:
                broken.add(volume.id)
                try:
                    self._life.set_access(volume.id, UNAVAILABLE, error)
                finally:
                    self._let_go(pool, volume.id, worker)
            except BaseException:
                self._let_go(pool, volume.id, worker)
                raise

    def _opened(self, output: Output, worker: Worker) -> Output:
        output.worker = worker
        self._use.opened(_written(output))
        return output

    def unmount(self, output: Output) -> None:
        """It is closed: another volume of its class may be opened, but nobody else gets this one yet."""
        self._use.closed(_written(output))
        self._use.set_aside(output.volume.id)
        self._unmount(output.worker, output.pool)

    @property
    def are_frozen(self) -> bool:
        """The catalog has failed: what was put last may or may not be in it, so nothing is undone or overwritten."""
        return self._catalog.has_failed

    def release(self, output: Output, *, mounted: bool = True) -> None:
        """Close it; the next one may have it. A scratch volume that nothing was stored on goes again. Never raises."""
        try:
            output.close()
        except FarvaultError as error:
            self._life.report(error)
        try:
            if output.volume.scratch and output.was_never_used:
                self._life.discard_scratch(
                    output.volume, output.pool, was_never_committed=output.was_never_committed
                )
        finally:
            if mounted:
                self._use.closed(_written(output))
            self._let_go(output.pool, output.volume.id, output.worker if mounted else None)
        self._emptied.empty_if_free()

    def _let_go(self, pool: StoragePool, volume_id: int, worker: Worker | None) -> None:
        """`worker`: who still has a mount point for it."""
        self._use.end_writing(volume_id)
        self._unmount(worker, pool)

    def _unmount(self, worker: Worker | None, pool: StoragePool) -> None:
        if worker is not None:
            self.mounts.give(worker, pool.device_class)

    def _reserve(self, wanted: Wanted, broken: Container[int], worker: Worker) -> Volume | None:
        """Count a mount and a writer for a volume; None: a scratch volume is to be made."""
        pool = wanted.pool
        with self.mounts.asking(worker, pool.device_class) as asked:
            while True:
                has_point = asked.may_take()
                if has_point:
                    usable, order = self._choice.volumes(wanted, broken)
                    for number in order:
                        if number == NEW_SCRATCH:
                            asked.take()
                            self._use.begin_making(pool.id)
                            return None
                        if pool.is_random or not self._use.is_written(number):
                            asked.take()
                            self._use.begin_writing(number)
                            return usable[number]
                    if not usable and not self._choice.more_may_come(wanted):
                        raise MediaFull("ANR1405W", pool=pool.name)
                asked.wait(for_volume=has_point)

    def _open_scratch(self, pool: StoragePool, worker: Worker) -> Output:
        volume: Volume | None = None
        try:
            volume = self._life.make_scratch(pool)
            output = self._open(volume, pool)
        except BaseException:
            if volume is not None:
                self._life.discard_scratch(volume, pool, was_never_committed=True)
            self._use.end_making(pool.id, None)
            self._unmount(worker, pool)
            raise
        self._use.end_making(pool.id, volume)
        return output

    def _open(self, volume: Volume, pool: StoragePool) -> Output:
        """Cuts off what the catalog does not have: never while it is open whether a commit has happened."""
        self._catalog.check_writable()
        device = self._devices.device(pool.device_class)
        if pool.is_random:
            writer = device.open_writer(volume.name, 0, volume.capacity_bytes)
            make_room = partial(self._cache.make_room, volume.id)
            return RandomOutput(volume, pool, writer, self._spaces.of(volume), make_room)
        writer = self._sequential_writer(volume, pool)
        with self._catalog.read() as r:
            server_name = get_setting(r, "SERVERNAME") or ""
        able, now = device.capabilities, self._clock.now_seconds()
        return SequentialOutput(volume, pool, writer, able.refers, server_name, now, remote=able.remote)

    def _sequential_writer(self, volume: Volume, pool: StoragePool) -> VolumeWriter:
        device = self._devices.device(pool.device_class)
        capacity = max(volume.capacity_bytes, SMALLEST_CAPACITY_BYTES)
        try:
            return device.open_writer(volume.name, volume.written_bytes, capacity)
        except NotFound:
            if volume.written_bytes:
                raise
        device.create(volume.name, capacity)  # a defined volume that was emptied
        return device.open_writer(volume.name, 0, capacity)

    # --- reading -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def open_reader(
        self, class_name: str, volume_name: str, worker: Worker | None = None
    ) -> Iterator[VolumeReader]:
        """One volume open for reading, counted as a mount. `worker`: who holds the point."""
        with self.mount(class_name, volume_name, worker) as device:
            reader = device.open_reader(volume_name)
            try:
                yield reader
            finally:
                reader.close()

    @contextlib.contextmanager
    def examine(self, volume: Volume, class_name: str, worker: Worker | None = None) -> Iterator[Device]:
        """The device to verify this volume on, counted as a mount. Others may write it meanwhile, nobody may delete it.

        `worker`: who holds the mount point; a long examination leaves the block when that is wanted, and goes on later.
        `InUse` where somebody holds it for longer than a mount is waited for.
        """
        try:
            with (
                self._use.examining(volume, self.mounts.wait_seconds),
                self.mount(class_name, volume.name, worker) as device,
            ):
                yield device
        finally:
            self._emptied.empty_if_free()

    @contextlib.contextmanager
    def mount(
        self, class_name: str, volume_name: str, worker: Worker | None = None, *, is_written: bool = False
    ) -> Iterator[Device]:
        """The device, while a volume of it is open; waits for its MOUNTLIMIT."""
        worker = worker or self.mounts.worker(Priority.COPY)
        self.mounts.take(worker, class_name)
        self._use.opened(OpenVolume(volume_name, class_name, is_written))
        try:
            yield self._devices.device(class_name)
        finally:
            self._use.closed(OpenVolume(volume_name, class_name, is_written))
            self.mounts.give(worker, class_name)


def _written(output: Output) -> OpenVolume:
    return OpenVolume(output.volume.name, output.pool.device_class, True)
