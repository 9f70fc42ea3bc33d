"""How volumes come into being, empty and go (TSM reference, storage 3.9). Who uses one meanwhile: `volume_use.py`.

Order at the edges: a row first, its media second, so that a crash never leaves a file that no row names; on the way
out the media first, its row last. Meanwhile the row is an EMPTY scratch volume's, whatever it was before: those the next
start removes. A volume that another server keeps goes here at once and there when it can be told (`deletions.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from farvault.base.clock import Clock
from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import AlreadyExists, FarvaultError, MediaFailed, StillReferenced
from farvault.base.log import Log
from farvault.catalog import nouns, pending_deletions, placements, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.sequences import next_value
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import EMPTY, OFFSITE, ONLINE, PENDING, READONLY, READWRITE, Volume
from farvault.model.volume_history import STGDELETE, STGNEW, STGREUSE
from farvault.seal import label
from farvault.storage.deletions import Deletions
from farvault.storage.devices import Devices
from farvault.storage.free_space import LABEL_BYTES, FreeSpaces
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES

NAME_TRIES = 100
"""Scratch names that are taken already (after a restored catalog) are stepped over, this often."""
DAY_SECONDS = 86_400


class VolumeLife:
    """Makes, empties and deletes volumes. The caller sees to it that nobody uses the volume at that moment."""

    def __init__(
        self,
        catalog: Catalog,
        devices: Devices,
        spaces: FreeSpaces,
        deletions: Deletions,
        log: Log,
        clock: Clock,
    ) -> None:
        self._catalog, self._devices, self._spaces = catalog, devices, spaces
        self._deletions = deletions
        self._log, self._clock = log, clock

    # --- coming ------------------------------------------------------------------------------------------------

    def define(
        self,
        pool: StoragePool,
        typed_name: str,
        *,
        capacity_bytes: int = 0,
        access: str = READWRITE,
        location: str = "",
    ) -> Volume:
        """DEFINE VOLUME: make the media and the row. `capacity_bytes` 0: the class's MAXCAPACITY (sequential only)."""
        definition = self._devices.device_class(pool.device_class)
        smallest = 0 if pool.is_random else SMALLEST_CAPACITY_BYTES
        capacity = max(capacity_bytes or definition.max_capacity_bytes, smallest)
        volume = Volume(
            name=self._devices.full_name(pool.device_class, typed_name),
            pool_id=pool.id,
            access=access,
            status=ONLINE if pool.is_random else EMPTY,
            capacity_bytes=capacity,
            location=location,
            created_time=self._clock.now_seconds(),
        )
        self._devices.device(pool.device_class).check_free(volume.name)
        with self._catalog.write() as tx:
            _refuse_known(tx, volume.name)
            volume = msgspec.structs.replace(volume, id=nouns.insert(tx, volume))
        try:
            crash_point("volume.define.before_create")
            self._devices.device(pool.device_class).create(volume.name, capacity)
            if pool.is_random:
                self._write_label(volume, pool)
                self._spaces.add(volume)
            self._remember(STGNEW, volume, pool)
        except BaseException as error:
            if pool.is_random and not isinstance(error, AlreadyExists):
                with contextlib.suppress(FarvaultError):
                    self._devices.device(pool.device_class).delete(volume.name)
            self._remove_row(volume)
            raise
        return volume

    def refuse_known(self, pool: StoragePool, typed_names: Iterable[str]) -> None:
        """`AlreadyExists` for the first name that DEFINE VOLUME could not give: in any pool, or still to be deleted."""
        full = [self._devices.full_name(pool.device_class, typed) for typed in typed_names]
        with self._catalog.read() as r:
            for name in full:
                _refuse_known(r, name)

    def make_scratch(self, pool: StoragePool) -> Volume:
        """The next volume the pool makes by itself."""
        definition = self._devices.device_class(pool.device_class)
        device = self._devices.device(pool.device_class)
        for _ in range(NAME_TRIES):
            with self._catalog.write() as tx:
                name = device.scratch_name(pool.name, next_value(tx, "scratch_volumes"))
            try:
                device.check_free(name)
            except AlreadyExists:
                continue
            with self._catalog.write() as tx:
                nouns.by_id(tx, StoragePool, pool.id)  # the pool may have been deleted since its writer began
                volume = Volume(
                    name=name,
                    pool_id=pool.id,
                    scratch=True,
                    capacity_bytes=max(definition.max_capacity_bytes, SMALLEST_CAPACITY_BYTES),
                    created_time=self._clock.now_seconds(),
                )
                volume = msgspec.structs.replace(volume, id=nouns.insert(tx, volume))
            try:
                crash_point("volume.scratch.before_create")
                device.create(volume.name, volume.capacity_bytes)
            except AlreadyExists:
                self._remove_row(volume)
                continue
            except BaseException:
                self._remove_row(volume)
                raise
            self._remember(STGNEW, volume, pool)
            self._log.say("ANR1340I", volume=volume.name, pool=pool.name)
            return volume
        raise MediaFailed("ANR1404W", pool=pool.name)

    def _write_label(self, volume: Volume, pool: StoragePool) -> None:
        with self._catalog.read() as r:
            server_name = get_setting(r, "SERVERNAME") or ""
        block = aligned_buffer(LABEL_BYTES)
        label.make(
            block,
            label.Label(server=server_name, volume=volume.name, pool=pool.name, created=volume.created_time),
        )
        writer = self._devices.device(pool.device_class).open_writer(volume.name, 0, volume.capacity_bytes)
        try:
            writer.write_at(0, block)
            writer.commit()
        finally:
            writer.close()

    # --- going -------------------------------------------------------------------------------------------------

    def empty(self, volume_id: int) -> None:
        """Where nothing lies on a sequential volume any more: PENDING, or straight on to EMPTY or gone. Else nothing.

        Like `came_back` and `end_pending` only while nobody else may have the volume (`VolumeUse.hold`): once its row says
        EMPTY a writer would take it, and lose what it writes when the old bytes go.
        """
        with self._catalog.write() as tx:
            found = nouns.select(tx, Volume, id=volume_id)
            if not found or not found[0].written_bytes or placements.has_placements(tx, volume_id):
                return
            volume, pool = found[0], nouns.by_id(tx, StoragePool, found[0].pool_id)
            if volume.status == PENDING or pool.reuse_delay_days:
                if volume.status != PENDING:
                    now = self._clock.now_seconds()
                    nouns.update(tx, msgspec.structs.replace(volume, status=PENDING, pending_time=now))
                    self._log.say("ANR1342I", volume=volume.name, pool=pool.name)
                return
            volume = _emptied(volume)
            nouns.update(tx, volume)
        self._reuse(volume, pool)

    def came_back(self, volume_id: int) -> None:
        """It was OFFSITE and is here again: where it was emptied meanwhile, it goes on as any other emptied volume."""
        with self._catalog.read() as r:
            volume = _row(r, volume_id)
            pool = nouns.by_id(r, StoragePool, volume.pool_id) if volume else None
        if volume and pool and volume.status == EMPTY and (volume.scratch or volume.write_pass):
            self._reuse(volume, pool)
        else:
            self.empty(volume_id)

    def pending_over(self) -> list[Volume]:
        """Volumes whose REUSEDELAY is over: each is for `end_pending`."""
        with self._catalog.read() as r:
            return [one for one in nouns.select(r, Volume, status=PENDING) if self._is_over(r, one)]

    def end_pending(self, volume_id: int) -> None:
        """It becomes EMPTY or goes, where it still waits for that."""
        with self._catalog.write() as tx:
            volume = _row(tx, volume_id)
            if volume is None or volume.status != PENDING or not self._is_over(tx, volume):
                return
            pool = nouns.by_id(tx, StoragePool, volume.pool_id)
            volume = _emptied(volume)
            nouns.update(tx, volume)
        self._reuse(volume, pool)

    def _is_over(self, r: Snapshot, volume: Volume) -> bool:
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
        over = (volume.pending_time or 0) + pool.reuse_delay_days * DAY_SECONDS <= self._clock.now_seconds()
        return over and not placements.has_placements(r, volume.id)

    def delete(self, volume: Volume) -> None:
        """DELETE VOLUME, and what ends RESTORE VOLUME: media and row go. `StillReferenced` while it holds data."""
        with self._catalog.read() as r:
            pool = nouns.by_id(r, StoragePool, volume.pool_id)
            if placements.has_placements(r, volume.id):
                raise StillReferenced("ANR2406E", volume=volume.name)
        self._remove(volume, pool)
        self._remember(STGDELETE, volume, pool)

    def discard_scratch(
        self, volume: Volume, pool: StoragePool, *, was_never_committed: bool = False
    ) -> None:
        """A scratch volume on which nothing lies returns to scratch. Never raises: `tidy` tries again.

        `was_never_committed`: another server that should have kept it never got to know it and need not be asked.
        """
        try:
            with self._catalog.read() as r:
                if placements.has_placements(r, volume.id):
                    return
            if was_never_committed and self._is_remote(pool):
                self._remove_row(volume)
            else:
                self._remove(volume, pool)
            self._remember(STGDELETE, volume, pool)
        except FarvaultError as error:
            self._log.repeat(error.message)
            return
        self._log.say("ANR1341I", volume=volume.name, pool=pool.name)

    def finish_interrupted(self) -> None:
        """At start: what was on its way in or out on this machine. Other servers are asked by `EmptiedVolumes.tidy` later."""
        for volume, pool in self.interrupted():
            if not self._is_remote(pool):
                self.discard_scratch(volume, pool)

    def interrupted(self) -> list[tuple[Volume, StoragePool]]:
        """EMPTY scratch volumes: about to be written for the first time, or left behind on their way in or out."""
        with self._catalog.read() as r:
            left = nouns.select(r, Volume, status=EMPTY, scratch=True)
            pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
        return [(volume, pools[volume.pool_id]) for volume in left if volume.access != OFFSITE]

    def _is_remote(self, pool: StoragePool) -> bool:
        return self._devices.device(pool.device_class).capabilities.remote

    def report(self, error: FarvaultError) -> None:
        """Say what went wrong with a volume where the work goes on elsewhere."""
        self._log.repeat(error.message)

    def set_access(self, volume_id: int, access: str, because: FarvaultError) -> None:
        """After an error: READONLY (writing failed) or UNAVAILABLE (it cannot be opened), said in the log.

        Only ever takes rights away: what a person has set to less stays.
        """
        self._log.repeat(because.message)
        writing = access == READONLY
        with self._catalog.write() as tx:
            volume = _row(tx, volume_id)
            if volume is None:
                return
            lowered = volume.access == READWRITE or (volume.access == READONLY and not writing)
            changed = msgspec.structs.replace(
                volume,
                access=access if lowered else volume.access,
                write_errors=volume.write_errors + writing,
                read_errors=volume.read_errors + (not writing),
            )
            nouns.update(tx, changed)
        if changed.access != volume.access:
            self._log.say("ANR1411W" if writing else "ANR1410W", volume=volume.name)

    def _reuse(self, volume: Volume, pool: StoragePool) -> None:
        """An emptied volume: scratch goes, a defined one waits for its next pass with its old bytes gone.

        One that is OFFSITE stays as it is, until it is brought back.
        """
        if volume.access == OFFSITE:
            self._log.say("ANR1423W", volume=volume.name)
            return
        crash_point("volume.empty.before_delete")
        if volume.scratch:
            self.discard_scratch(volume, pool)
            return
        try:
            self._delete_media(volume, pool)
            self._remember(STGREUSE, volume, pool)
        except FarvaultError as error:  # the next writer starts at 0 and cuts the rest off
            self._log.repeat(error.message)

    def _remove(self, volume: Volume, pool: StoragePool) -> None:
        """Media and row. Of another server's media the row goes first, with a note that the server is to be told."""
        if not self._is_remote(pool):
            self._mark_as_going(volume)
            self._delete_media(volume, pool)
            self._remove_row(volume)
            self._spaces.drop(volume.id)
            return
        queued = self._deletions.delete(pool.device_class, volume.name, lambda tx: nouns.delete(tx, volume))
        self._deletions.tell(queued)

    def _mark_as_going(self, volume: Volume) -> None:
        """From here on the next start ends what is begun, rather than miss the volume's media."""
        if volume.status != EMPTY or not volume.scratch:
            with self._catalog.write() as tx:
                nouns.update(tx, msgspec.structs.replace(_emptied(volume), scratch=True))

    def _delete_media(self, volume: Volume, pool: StoragePool) -> None:
        self._catalog.check_writable()  # else the next start may find that its last change did happen
        self._devices.device(pool.device_class).delete(volume.name)
        crash_point("volume.delete.before_row")

    def _remember(self, event: str, volume: Volume, pool: StoragePool) -> None:
        """In the volume history, for sequential volumes: after a restored database it tells what has changed since."""
        if not pool.is_random:
            with self._catalog.write() as tx:
                volume_history.add_event(tx, event, pool.device_class, volume.name, self._clock.now_seconds())

    def _remove_row(self, volume: Volume) -> None:
        with self._catalog.write() as tx:
            nouns.delete(tx, volume)


def _emptied(volume: Volume) -> Volume:
    return msgspec.structs.replace(volume, status=EMPTY, written_bytes=0, pending_time=None, receipt=b"")


def _row(r: Snapshot, volume_id: int) -> Volume | None:
    found = nouns.select(r, Volume, id=volume_id)
    return found[0] if found else None


def _refuse_known(r: Snapshot, name: str) -> None:
    if nouns.find(r, Volume, name) is not None:
        raise AlreadyExists("ANR2404E", name=name)
    if pending_deletions.is_waiting(r, name):
        raise AlreadyExists("ANR4901E", volume=name)
