"""Who may use which volume: one writer at a time, no more open than MOUNTLIMIT, and only what its access allows.

Choosing an output volume follows the TSM reference (storage 3.3, collocation off): a FILLING volume, the fullest first;
an EMPTY defined one; a new scratch volume while there are fewer than MAXSCRATCH. Who finds all of them taken waits.
How volumes come, empty and go: `volume_life.py`.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, InUse, MediaFailed, MediaFull, NotAvailable, NotFound
from farvault.catalog import nouns, placements
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.media.interface import Device, VolumeReader, VolumeWriter
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import EMPTY, FILLING, ONLINE, READWRITE, UNAVAILABLE, Volume
from farvault.storage.cache import Cache
from farvault.storage.devices import Devices
from farvault.storage.free_space import FreeSpaces
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES, Output, RandomOutput, SequentialOutput
from farvault.storage.volume_life import VolumeLife

MOUNT_WAIT_SECONDS = 60.0


class OpenVolume(NamedTuple):
    """A volume in use now: what QUERY MOUNT shows."""

    name: str
    device_class: str
    is_written: bool


class Volumes:
    """Hands out volumes. Thread safe; no lock is held while media or the catalog's writer are waited for."""

    def __init__(
        self,
        catalog: Catalog,
        devices: Devices,
        life: VolumeLife,
        spaces: FreeSpaces,
        cache: Cache,
        clock: Clock,
        mount_wait_seconds: float = MOUNT_WAIT_SECONDS,
    ) -> None:
        self._catalog, self._devices, self._life, self._spaces = catalog, devices, life, spaces
        self._cache, self._clock = cache, clock
        self._wait_seconds = mount_wait_seconds
        self._changed = threading.Condition()
        self._writers: Counter[int] = Counter()
        self._held: set[int] = set()
        self._examined: Counter[int] = Counter()
        self._mounted: Counter[str] = Counter()
        self._open_now: Counter[OpenVolume] = Counter()
        self._making: Counter[int] = Counter()
        self._to_empty: set[int] = set()

    # --- writing -----------------------------------------------------------------------------------------------

    def acquire_output(self, pool: StoragePool, size_bytes: int, exclude: Container[int] = ()) -> Output:
        """A volume of the pool that is ready to take a record of this size.

        `exclude`: numbers of volumes the caller has filled or found broken. `MediaFull` where the pool has no room,
        `NotAvailable` where everything stayed in use for too long, `PeerUnreachable` where its server is away.
        """
        broken: set[int] = set()
        while True:
            volume = self._reserve(pool, size_bytes, exclude, broken)
            if volume is None:
                return self._noted(self._open_scratch(pool))
            try:
                return self._noted(self._open(volume, pool))
            except (MediaFailed, NotFound) as error:
                broken.add(volume.id)
                try:
                    self._life.set_access(volume.id, UNAVAILABLE, error)
                finally:
                    self._let_go(pool, volume.id)
            except BaseException:
                self._let_go(pool, volume.id)
                raise

    def _noted(self, output: Output) -> Output:
        with self._changed:
            self._note(_written(output), 1)
        return output

    def _note(self, volume: OpenVolume, change: int) -> None:
        """The lock is held."""
        self._open_now[volume] += change
        if not self._open_now[volume]:
            del self._open_now[volume]

    @property
    def open_now(self) -> list[OpenVolume]:
        """What is open for reading or writing at this moment, by name."""
        with self._changed:
            return sorted(self._open_now)

    def unmount(self, output: Output) -> None:
        """It is full and closed: another volume of its class may be opened, but nobody else gets this one yet."""
        with self._changed:
            self._note(_written(output), -1)
            self._mounted[output.pool.device_class] -= 1
            self._changed.notify_all()

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
                with self._changed:
                    self._note(_written(output), -1)
            self._let_go(output.pool, output.volume.id, mounted=mounted)
        self.empty_if_free(())

    def _let_go(self, pool: StoragePool, volume_id: int, *, mounted: bool = True) -> None:
        with self._changed:
            self._mounted[pool.device_class] -= 1 if mounted else 0
            self._writers[volume_id] -= 1
            self._changed.notify_all()

    def _reserve(
        self, pool: StoragePool, size_bytes: int, exclude: Container[int], broken: Container[int]
    ) -> Volume | None:
        """Count a mount and a writer for a volume; None: a scratch volume is to be made."""
        limit = self._devices.device_class(pool.device_class).mount_limit
        deadline = self._clock.monotonic_seconds() + self._wait_seconds
        with self._changed:
            while True:
                if not limit or self._mounted[pool.device_class] < limit:
                    with self._catalog.read() as r:
                        usable = [
                            volume
                            for volume in self._candidates(r, pool, size_bytes)
                            if volume.id not in exclude
                            and volume.id not in broken
                            and volume.id not in self._held
                        ]
                        scratch = nouns.count(r, Volume, pool_id=pool.id, scratch=True)
                    for volume in usable:
                        if pool.is_random or not self._writers[volume.id]:
                            self._writers[volume.id] += 1
                            self._mounted[pool.device_class] += 1
                            return volume
                    if not pool.is_random and scratch + self._making[pool.id] < pool.max_scratch:
                        self._making[pool.id] += 1
                        self._mounted[pool.device_class] += 1
                        return None
                    if not usable:
                        raise MediaFull("ANR1405W", pool=pool.name)
                self._wait(deadline, pool.device_class)

    def _candidates(self, r: Snapshot, pool: StoragePool, size_bytes: int) -> list[Volume]:
        """What may be written, best first."""
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = [(one, self._spaces.find(one)) for one in volumes]
            has_room = [one for one, free in spaces if free is not None and free.largest_bytes >= size_bytes]
            makes_room = [one for one, free in spaces if free is not None and free.cached_bytes]
            return [*has_room, *(one for one in makes_room if one not in has_room)]
        filling = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=FILLING)
        empty = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=EMPTY, scratch=False)
        return [*sorted(filling, key=lambda one: -one.written_bytes), *empty]

    def _wait(self, deadline: float, class_name: str) -> None:
        """Until something was given back; `NotAvailable` when the time is over. The lock is held."""
        left = deadline - self._clock.monotonic_seconds()
        if left <= 0:
            raise NotAvailable("ANR0535W", device_class=class_name, seconds=int(self._wait_seconds))
        self._changed.wait(min(left, 1.0))

    def _open_scratch(self, pool: StoragePool) -> Output:
        volume: Volume | None = None
        try:
            volume = self._life.make_scratch(pool)
            output = self._open(volume, pool)
        except BaseException:
            if volume is not None:
                self._life.discard_scratch(volume, pool, was_never_committed=True)
            with self._changed:
                self._making[pool.id] -= 1
                self._mounted[pool.device_class] -= 1
                self._changed.notify_all()
            raise
        with self._changed:
            self._making[pool.id] -= 1
            self._writers[volume.id] += 1
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
    def open_reader(self, class_name: str, volume_name: str) -> Iterator[VolumeReader]:
        """One volume open for reading, counted as a mount."""
        with self.mount(class_name, volume_name) as device:
            reader = device.open_reader(volume_name)
            try:
                yield reader
            finally:
                reader.close()

    @contextlib.contextmanager
    def examine(self, volume: Volume, class_name: str) -> Iterator[Device]:
        """The device to verify this volume on, counted as a mount. Others may write it meanwhile, nobody may delete it.

        `InUse` where somebody holds it for longer than a mount is waited for.
        """
        deadline = self._clock.monotonic_seconds() + self._wait_seconds
        with self._changed:
            while volume.id in self._held:
                if self._clock.monotonic_seconds() >= deadline:
                    raise InUse("ANR2405E", volume=volume.name)
                self._changed.wait(1.0)
            self._examined[volume.id] += 1
        try:
            with self.mount(class_name, volume.name) as device:
                yield device
        finally:
            with self._changed:
                self._examined[volume.id] -= 1
                self._changed.notify_all()
            self.empty_if_free(())

    @contextlib.contextmanager
    def mount(self, class_name: str, volume_name: str, *, is_written: bool = False) -> Iterator[Device]:
        """The device, while a volume of it is open; waits for its MOUNTLIMIT."""
        limit = self._devices.device_class(class_name).mount_limit
        deadline = self._clock.monotonic_seconds() + self._wait_seconds
        with self._changed:
            while limit and self._mounted[class_name] >= limit:
                self._wait(deadline, class_name)
            self._mounted[class_name] += 1
            self._note(OpenVolume(volume_name, class_name, is_written), 1)
        try:
            yield self._devices.device(class_name)
        finally:
            with self._changed:
                self._mounted[class_name] -= 1
                self._note(OpenVolume(volume_name, class_name, is_written), -1)
                self._changed.notify_all()

    # --- exclusive use and space -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self, volume: Volume) -> Iterator[None]:
        """Nobody writes or examines this volume inside the block; `InUse` where somebody does."""
        if not self._try_hold(volume.id):
            raise InUse("ANR2405E", volume=volume.name)
        try:
            yield
        finally:
            self._end_hold(volume.id)

    def is_in_use(self, volume_id: int) -> bool:
        with self._changed:
            return volume_id in self._held or bool(self._writers[volume_id])

    def empty_if_free(self, volume_ids: Iterable[int]) -> None:
        """Sequential volumes that lost records: those with nothing left are emptied; those in use, when they are let go."""
        with self._changed:
            self._to_empty.update(volume_ids)
            candidates = list(self._to_empty)
        for volume_id in candidates:
            if self._try_hold(volume_id):
                try:
                    with self._changed:
                        self._to_empty.discard(volume_id)
                    self._life.empty(volume_id)
                except FarvaultError as error:  # what led here is durable already and must not fail by it
                    self._life.report(error)
                finally:
                    self._end_hold(volume_id)

    def tidy(self) -> None:
        """Every now and then: end PENDING times that are over, delete what could not be deleted when it emptied."""
        self._life.end_pending()
        with self._catalog.read() as r:
            emptied = placements.emptied_volumes(r)
        self.empty_if_free(emptied)
        for volume, pool in self._life.interrupted():
            with self._changed:
                being_made = self._making[pool.id]
            if not being_made and self._try_hold(volume.id):
                try:
                    self._life.discard_scratch(volume, pool)
                finally:
                    self._end_hold(volume.id)

    def free_bytes(self, r: Snapshot, pool: StoragePool) -> int | None:
        """Room for new data in the pool, cached copies not counted; None where a scratch volume may still be made."""
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = map(self._spaces.find, volumes)
            return sum(free.free_bytes + free.cached_bytes for free in spaces if free is not None)
        if nouns.count(r, Volume, pool_id=pool.id, scratch=True) < pool.max_scratch:
            return None
        volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE)
        usable = (
            one for one in volumes if one.status == FILLING or (one.status == EMPTY and not one.scratch)
        )
        return sum(max(one.capacity_bytes - one.written_bytes, 0) for one in usable)

    def _try_hold(self, volume_id: int) -> bool:
        with self._changed:
            if volume_id in self._held or self._writers[volume_id] or self._examined[volume_id]:
                return False
            self._held.add(volume_id)
            return True

    def _end_hold(self, volume_id: int) -> None:
        with self._changed:
            self._held.discard(volume_id)
            self._changed.notify_all()


def _written(output: Output) -> OpenVolume:
    return OpenVolume(output.volume.name, output.pool.device_class, True)
