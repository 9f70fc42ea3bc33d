"""Writes sealed records into a pool: volume after volume, down the pool's hierarchy when it is full.

The order that keeps every promise: `append`..., `sync` (durable on the media), `store` inside the caller's catalog
transaction, and only then may anybody be told. `abort` leaves media and catalog as they were before. Works the same for
every device class; what a target says (receipts) is kept with the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from farvault.base.clock import Clock
from farvault.base.disk import crash_point
from farvault.base.errors import CatalogFull, FarvaultError, MediaFailed, MediaFull, WriteUndone
from farvault.catalog import nouns, placements
from farvault.catalog.transaction import Transaction
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import READONLY, Volume
from farvault.policy.collocation import Key, Owner
from farvault.policy.mount_points import Priority
from farvault.storage.mount_points import Worker
from farvault.storage.output_choice import OutputChoice
from farvault.storage.outputs import Output
from farvault.storage.volume_life import VolumeLife
from farvault.storage.volumes import Volumes
from farvault.storage.watch import PoolWatch

END_OF_VOLUME = "ANR8341I"
TRIES_WITHOUT_SPACE = 3
"""Volumes of one pool tried while none of them takes a single record, before the pool counts as full."""
TRIES_BROKEN = 3
"""Volumes tried while each of them fails at once: then it is not the volumes."""


class _Place(NamedTuple):
    output: Output
    offset_bytes: int
    stored_bytes: int


class PoolWriter:
    """One writer into one pool (and its successors). One thread at a time; close it in any case.

    `next_pool(full_pool, size)` names the successor that takes what a full pool cannot, or raises. `worker`: who holds
    the mount points.
    """

    def __init__(
        self,
        volumes: Volumes,
        choice: OutputChoice,
        life: VolumeLife,
        watch: PoolWatch,
        clock: Clock,
        pool: StoragePool,
        next_pool: Callable[[StoragePool, int], StoragePool] | None = None,
        exclude: Iterable[int] = (),
        worker: Worker | None = None,
    ) -> None:
        self._volumes, self._choice, self._life = volumes, choice, life
        self._watch, self._clock = watch, clock
        self._worker = worker or volumes.mounts.worker(Priority.STORE)
        self._owner: Owner | None = None
        self._key: Key | None = None
        self._continuing = False
        self._pool = pool
        self._next_pool = next_pool
        self._exclude = set(exclude)
        self._output: Output | None = None
        self._finished: list[Output] = []
        self._places: list[_Place] = []
        self._unsynced = 0
        self._without_space = self._broken = 0

    @property
    def pool(self) -> StoragePool:
        """Where the next record goes: the pool asked for, or a successor."""
        return self._pool

    def append(self, record: memoryview, digest: bytes, owner: Owner | None = None) -> int:
        """Put one record somewhere; returns its place: 0, 1, 2... since the last `store`.

        `owner`: whose it is; a pool that collocates keeps owners apart, and changing over costs a sync: give the records
        of one owner in a row. `MediaFull` where neither the pool nor a successor has room. `MediaFailed` where a volume broke that holds
        records not durable yet: they are lost, abort. The volume is READONLY then, a new try uses another.
        """
        self._turn_to(owner)
        while True:
            output = self._output or self._open(record.nbytes)
            try:
                offset = output.put(record, digest)
            except MediaFull as full:
                self._leave(output, full)
            except MediaFailed as error:
                self._break(output, error)
            else:
                return self._add(output, offset, record.nbytes)

    def append_known(
        self, digests: Sequence[bytes], lengths: Sequence[int], owner: Owner | None = None
    ) -> list[int | None]:
        """Where the device refers: put records it holds already by their digests; None marks those it does not hold.

        All of them belong to `owner`, or to others with the same key. The answer is as long as one volume takes them, one
        at least: ask again for the rest. Where it raises, none of these was put.
        """
        self._turn_to(owner)
        while True:
            output = self._output or self._open(lengths[0])
            if not output.refers:
                return [None] * len(digests)
            try:
                offsets = output.put_known(list(digests), list(lengths))
            except MediaFull as full:
                self._leave(output, full)
            except MediaFailed as error:
                self._break(output, error)
            else:
                return [
                    None if offset is None else self._add(output, offset, length)
                    for offset, length in zip(offsets, lengths, strict=False)
                ]

    def sync(self) -> None:
        """Everything appended is durable. `MediaFailed`: it is not; abort."""
        if self._output is not None and self._unsynced:
            crash_point("writer.sync.before")
            try:
                self._output.commit()
            except MediaFailed as error:
                self._break(self._output, error)
            self._unsynced = 0
            crash_point("writer.sync.after")

    def store(self, tx: Transaction, aggregate_ids: Sequence[int | None]) -> None:
        """Inside the caller's transaction: what lies at place 0, 1, 2... is these aggregates (None: nothing after all).

        When the transaction commits, the volumes that were filled are let go and the next window may begin.
        """
        if self._unsynced:
            raise AssertionError("sync comes before store")
        pairs = list(zip(self._places, aggregate_ids, strict=True))
        rows = [
            (number, place.output.volume.id, place.offset_bytes)
            for place, number in pairs
            if number is not None
        ]
        placements.add_many(tx, rows)
        outputs = self._outputs()
        now = self._clock.now_seconds()
        for output in outputs:
            row = nouns.by_id(tx, Volume, output.volume.id)
            nouns.update(tx, output.describe(row, now))
            output.keep(tx)
        unused = [place for place, number in pairs if number is None]
        tx.after_commit.append(lambda: self._stored(outputs, unused))

    def abort(self) -> None:
        """Forget everything since the last store. Never raises; the writer may go on."""
        outputs = self._outputs()
        finished = set(map(id, self._finished))
        self._output, self._finished, self._places, self._unsynced = None, [], [], 0
        for output in outputs:
            self._give_up(output, mounted=id(output) not in finished)

    def close(self) -> None:
        """Let go of the volumes; the writer may go on. What was not stored is as after `abort`."""
        if self._places or self._finished:
            self.abort()
        elif self._output is not None:
            output, self._output = self._output, None
            self._give_up(output)

    # --- volumes come and go ---------------------------------------------------------------------------------------

    def _outputs(self) -> list[Output]:
        return [*self._finished, *([self._output] if self._output is not None else [])]

    def _add(self, output: Output, offset: int, stored_bytes: int) -> int:
        self._places.append(_Place(output, offset, stored_bytes))
        self._unsynced += 1
        self._without_space = self._broken = 0
        return len(self._places) - 1

    def _open(self, size_bytes: int) -> Output:
        while True:
            try:
                if self._without_space >= TRIES_WITHOUT_SPACE:
                    raise MediaFull("ANR0522W", pool=self._pool.name)
                self._output = self._volumes.acquire_output(
                    self._pool,
                    size_bytes,
                    self._exclude | {output.volume.id for output in self._finished},
                    worker=self._worker,
                    key=self._key,
                    continuing=self._continuing,
                )
                self._continuing = False
                return self._output
            except MediaFull as full:
                if isinstance(full, CatalogFull):
                    raise  # no successor is any better off
                if self._next_pool is None:
                    raise MediaFull("ANR0522W", pool=self._pool.name) from None
                self._pool = self._next_pool(self._pool, size_bytes)
                self._key = self._choice.key_of(self._pool, self._owner)
                self._without_space, self._continuing = 0, False

    def _turn_to(self, owner: Owner | None) -> None:
        """Where the pool keeps this owner apart from the one before, what is open is left: others may fill it."""
        if owner == self._owner:
            return
        self._owner = owner
        key, before = self._choice.key_of(self._pool, owner), self._key
        self._key = key
        if key == before:
            return
        self._continuing = False
        if self._output is not None:
            self._put_aside(self._output, full=False)

    def _leave(self, output: Output, full: MediaFull) -> None:
        """No more fits on this volume (it is FULL then), or the device under it has no room."""
        if isinstance(full, CatalogFull):
            raise full
        end_of_volume = full.message.id == END_OF_VOLUME
        self._exclude.add(output.volume.id)
        if not end_of_volume:
            self._life.report(full)
        if not end_of_volume or self._is_empty(output):
            self._without_space += 1
        self._continuing = end_of_volume
        self._put_aside(output, full=end_of_volume)

    def _put_aside(self, output: Output, *, full: bool) -> None:
        """Durable and closed; ours until the catalog has it."""
        try:
            output.finish(full=full)
        except MediaFailed as error:
            self._break(output, error)
            return
        self._output, self._unsynced = None, 0
        if self._is_empty(output):
            self._give_up(output)
        else:
            self._finished.append(output)
            self._volumes.unmount(output)

    def _is_empty(self, output: Output) -> bool:
        return output.was_never_used and not any(place.output is output for place in self._places)

    def _break(self, output: Output, error: MediaFailed) -> None:
        """A write failed: the volume takes no more. Raises where records that were not durable went with it."""
        self._exclude.add(output.volume.id)
        if isinstance(error, WriteUndone):
            self._life.report(error)
        else:
            self._life.set_access(output.volume.id, READONLY, error)
        self._broken += 1
        if any(place.output is output for place in self._places) or self._broken >= TRIES_BROKEN:
            raise error
        self._output = None
        self._give_up(output)

    def _give_up(self, output: Output, *, mounted: bool = True) -> None:
        """The volume is left as the catalog knows it; a device that cannot do that now does it at the next open.

        Where the catalog failed while it stored, only its next start knows that: everything put stays where it is.
        """
        try:
            if not self._volumes.are_frozen:
                output.abandon()
        except FarvaultError as error:
            self._life.report(error)
        self._volumes.release(output, mounted=mounted)

    def _stored(self, outputs: list[Output], unused: list[_Place]) -> None:
        for place in unused:
            place.output.release_span(place.offset_bytes, place.stored_bytes)
        for output in outputs:
            output.stored()
        finished, self._finished, self._places = self._finished, [], []
        for output in finished:
            self._volumes.release(output, mounted=False)
        filled = {output.pool.id for output in finished}
        for pool in {output.pool.id: output.pool for output in outputs}.values():
            self._watch.stored(pool, filled_a_volume=pool.id in filled)
