"""Who may use which volume: one writer at a time, no more open than MOUNTLIMIT, and only what its access allows.

Which output volume is best is decided in `policy/collocation.py`; of these the best that nobody writes is taken, a new
scratch volume while there are fewer than MAXSCRATCH. Who finds all of them taken waits. Whose turn it is where mount
points are short: `mount_points.py`. How volumes come, empty and go: `volume_life.py`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, InUse, MediaFailed, MediaFull, NotFound
from farvault.catalog import nouns, owners, placements
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.media.interface import Device, VolumeReader, VolumeWriter
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import EMPTY, FILLING, ONLINE, READWRITE, UNAVAILABLE, Volume
from farvault.policy.collocation import GROUP, NEW_SCRATCH, Candidate, Key, Owner, key_of, order_of_choice
from farvault.policy.mount_points import Priority
from farvault.storage.cache import Cache
from farvault.storage.devices import Devices
from farvault.storage.free_space import FreeSpaces
from farvault.storage.mount_points import MOUNT_WAIT_SECONDS, MountPoints, Worker
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES, Output, RandomOutput, SequentialOutput
from farvault.storage.volume_life import VolumeLife


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
        self.mounts = MountPoints(self._mount_limit, clock, mount_wait_seconds)
        self._changed = self.mounts.changed
        self._writers: Counter[int] = Counter()
        self._held: set[int] = set()
        self._examined: Counter[int] = Counter()
        self._open_now: Counter[OpenVolume] = Counter()
        self._making: Counter[int] = Counter()
        self._set_aside: set[int] = set()
        self._to_empty: set[int] = set()

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
        what is kept together on it (`key_of`). `continuing`: the caller has just filled another. `MediaFull` where the
        pool has no room, `NotAvailable` where everything stayed in use for too long, `PeerUnreachable` where its server
        is away.
        """
        worker = worker or self.mounts.worker(Priority.STORE)
        broken: set[int] = set()
        while True:
            volume = self._reserve(pool, size_bytes, exclude, broken, worker, key, continuing)
            if volume is None:
                return self._noted(self._open_scratch(pool, worker), worker)
            try:
                return self._noted(self._open(volume, pool), worker)
            except (MediaFailed, NotFound) as error:
                broken.add(volume.id)
                try:
                    self._life.set_access(volume.id, UNAVAILABLE, error)
                finally:
                    self._let_go(pool, volume.id, worker)
            except BaseException:
                self._let_go(pool, volume.id, worker)
                raise

    def key_of(self, pool: StoragePool, owner: Owner | None) -> Key | None:
        """What is kept together in this pool; None where it keeps nobody apart."""
        if owner is None or pool.is_random:
            return None
        group_id: int | None = None
        if pool.collocate == GROUP:
            with self._catalog.read() as r:
                group_id = owners.group_of(r, owner.node_id)
        return key_of(pool.collocate, owner, group_id)

    def _noted(self, output: Output, worker: Worker) -> Output:
        output.worker = worker
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
        """It is closed: another volume of its class may be opened, but nobody else gets this one yet."""
        with self._changed:
            self._note(_written(output), -1)
            self._set_aside.add(output.volume.id)
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
                with self._changed:
                    self._note(_written(output), -1)
            self._let_go(output.pool, output.volume.id, output.worker if mounted else None)
        self.empty_if_free(())

    def _let_go(self, pool: StoragePool, volume_id: int, worker: Worker | None) -> None:
        """`worker`: who still has a mount point for it."""
        with self._changed:
            self._writers[volume_id] -= 1
            self._set_aside.discard(volume_id)
            self._changed.notify_all()
        self._unmount(worker, pool)

    def _unmount(self, worker: Worker | None, pool: StoragePool) -> None:
        if worker is not None:
            self.mounts.give(worker, pool.device_class)

    def _reserve(
        self,
        pool: StoragePool,
        size_bytes: int,
        exclude: Container[int],
        broken: Container[int],
        worker: Worker,
        key: Key | None,
        continuing: bool,
    ) -> Volume | None:
        """Count a mount and a writer for a volume; None: a scratch volume is to be made."""
        with self.mounts.asking(worker, pool.device_class) as asked:
            while True:
                has_point = asked.may_take()
                if has_point:
                    usable, order = self._choices(pool, size_bytes, exclude, broken, key, continuing)
                    for number in order:
                        if number == NEW_SCRATCH:
                            asked.take()
                            self._making[pool.id] += 1
                            return None
                        if pool.is_random or not self._writers[number]:
                            asked.take()
                            self._writers[number] += 1
                            return usable[number]
                    if not usable and not self._more_may_come(pool, exclude):
                        raise MediaFull("ANR1405W", pool=pool.name)
                asked.wait(for_volume=has_point)

    def _choices(
        self,
        pool: StoragePool,
        size_bytes: int,
        exclude: Container[int],
        broken: Container[int],
        key: Key | None,
        continuing: bool,
    ) -> tuple[dict[int, Volume], list[int]]:
        """What may be written, and in which order; a new scratch volume stands in it only where one may be made."""

        def may_be_used(volume: Volume) -> bool:
            return volume.id not in exclude and volume.id not in broken and volume.id not in self._held

        with self._catalog.read() as r:
            own = owners.volumes_of(r, pool.id, key) if key else set()
            found = None if continuing else self._free_one_of(r, own, may_be_used)
            if found is not None:
                return {found.id: found}, [found.id]
            usable = {one.id: one for one in self._candidates(r, pool, size_bytes) if may_be_used(one)}
            if pool.is_random:
                return usable, list(usable)
            scratch = nouns.count(r, Volume, pool_id=pool.id, scratch=True)
            of_node = owners.volumes_of_node(r, pool.id, key.node_id) if key and key.node_id else set()
        candidates = [
            Candidate(
                number,
                volume.status == FILLING,
                volume.written_bytes,
                volume.capacity_bytes,
                number in own,
                number in of_node,
            )
            for number, volume in usable.items()
        ]
        order = order_of_choice(key, candidates, continuing=continuing)
        if scratch + self._making[pool.id] >= pool.max_scratch:
            order.remove(NEW_SCRATCH)
        return usable, order

    def _free_one_of(
        self, r: Snapshot, own: set[int], may_be_used: Callable[[Volume], bool]
    ) -> Volume | None:
        """First in every order of choice: the fullest that holds data of the same owner. A pool may have thousands of others."""
        volumes = (nouns.by_id(r, Volume, number) for number in own if not self._writers[number])
        free = [one for one in volumes if one.access == READWRITE and may_be_used(one)]
        return max(free, key=lambda one: (one.written_bytes, -one.id), default=None)

    def _candidates(self, r: Snapshot, pool: StoragePool, size_bytes: int) -> list[Volume]:
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = [(one, self._spaces.find(one)) for one in volumes]
            has_room = [one for one, free in spaces if free is not None and free.largest_bytes >= size_bytes]
            makes_room = [one for one, free in spaces if free is not None and free.cached_bytes]
            return [*has_room, *(one for one in makes_room if one not in has_room)]
        filling = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=FILLING)
        return [
            *filling,
            *nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=EMPTY, scratch=False),
        ]

    def _more_may_come(self, pool: StoragePool, exclude: Container[int]) -> bool:
        """Are there scratch volumes that somebody writes for the first time? They can be had when that is stored."""
        if self._making[pool.id]:
            return True
        with self._catalog.read() as r:
            new = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=EMPTY, scratch=True)
        return any(
            self._writers[one.id] and one.id not in self._set_aside and one.id not in exclude for one in new
        )

    def _mount_limit(self, class_name: str) -> int:
        return self._devices.device_class(class_name).mount_limit

    def _open_scratch(self, pool: StoragePool, worker: Worker) -> Output:
        volume: Volume | None = None
        try:
            volume = self._life.make_scratch(pool)
            output = self._open(volume, pool)
        except BaseException:
            if volume is not None:
                self._life.discard_scratch(volume, pool, was_never_committed=True)
            with self._changed:
                self._making[pool.id] -= 1
                self._changed.notify_all()
            self._unmount(worker, pool)
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
        deadline = self._clock.monotonic_seconds() + self.mounts.wait_seconds
        with self._changed:
            while volume.id in self._held:
                if self._clock.monotonic_seconds() >= deadline:
                    raise InUse("ANR2405E", volume=volume.name)
                self._changed.wait(1.0)
            self._examined[volume.id] += 1
        try:
            with self.mount(class_name, volume.name, worker) as device:
                yield device
        finally:
            with self._changed:
                self._examined[volume.id] -= 1
                self._changed.notify_all()
            self.empty_if_free(())

    @contextlib.contextmanager
    def mount(
        self, class_name: str, volume_name: str, worker: Worker | None = None, *, is_written: bool = False
    ) -> Iterator[Device]:
        """The device, while a volume of it is open; waits for its MOUNTLIMIT."""
        worker = worker or self.mounts.worker(Priority.COPY)
        self.mounts.take(worker, class_name)
        with self._changed:
            self._note(OpenVolume(volume_name, class_name, is_written), 1)
        try:
            yield self._devices.device(class_name)
        finally:
            with self._changed:
                self._note(OpenVolume(volume_name, class_name, is_written), -1)
            self.mounts.give(worker, class_name)

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

    def came_back(self, volume_id: int) -> None:
        """A volume that was OFFSITE: what was emptied meanwhile is reused. One that is in use by now needs nothing of it."""
        self._alone(volume_id, lambda: self._life.came_back(volume_id))

    def end_pending(self) -> list[str]:
        """Volumes whose REUSEDELAY is over become EMPTY or go; returns their names. To be called now and then."""
        return [
            one.name
            for one in self._life.pending_over()
            if self._alone(one.id, partial(self._life.end_pending, one.id))
        ]

    def tidy(self) -> None:
        """Every now and then: end PENDING times that are over, delete what could not be deleted when it emptied."""
        self.end_pending()
        with self._catalog.read() as r:
            emptied = placements.emptied_volumes(r)
        self.empty_if_free(emptied)
        for volume, pool in self._life.interrupted():
            with self._changed:
                being_made = self._making[pool.id]
            if not being_made:
                self._alone(volume.id, partial(self._life.discard_scratch, volume, pool))

    def free_bytes(self, r: Snapshot, pool: StoragePool) -> int | None:
        """Room for new data in the pool, cached copies not counted; None where a scratch volume may still be made."""
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = map(self._spaces.find, volumes)
            return sum(free.free_bytes + free.cached_bytes for free in spaces if free is not None)
        if nouns.count(r, Volume, pool_id=pool.id, scratch=True) < pool.max_scratch:
            return None
        volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE)
        usable = (one for one in volumes if one.status in (FILLING, EMPTY))
        return sum(max(one.capacity_bytes - one.written_bytes, 0) for one in usable)

    def _alone(self, volume_id: int, work: Callable[[], None]) -> bool:
        """Do it while nobody writes or examines the volume; False where somebody does."""
        if not self._try_hold(volume_id):
            return False
        try:
            work()
        finally:
            self._end_hold(volume_id)
        return True

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
