"""A volume open for writing, and where the next record goes on it: at the end, or into a free span.

What is put here is neither durable (`commit`) nor known to the catalog (`describe` gives the row to store) before its
owner says so. `abandon` leaves the volume as the catalog knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from farvault.base.disk import aligned_buffer
from farvault.base.errors import MediaFull
from farvault.catalog import kept_receipts, questions
from farvault.catalog.transaction import Transaction
from farvault.media import receipt as receipts
from farvault.media.interface import VolumeWriter
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import EMPTY, FILLING, FULL, Volume
from farvault.seal import label
from farvault.seal.probe import Sampler
from farvault.seal.record import Header
from farvault.storage.free_space import LABEL_BYTES, FreeSpace
from farvault.storage.mount_points import Worker

SMALLEST_CAPACITY_BYTES = 8 << 20
"""A volume takes at least one record and its label, whatever MAXCAPACITY says."""
QUESTIONS_IN_A_STORE = 4
"""Questions kept about what one transaction of the catalog puts on a virtual volume: about 200 bytes each."""


class Output(Protocol):
    """One volume that a `PoolWriter` fills."""

    volume: Volume
    pool: StoragePool
    worker: Worker | None
    """Who holds the mount point for it."""

    @property
    def refers(self) -> bool:
        """Records may be added by digest alone."""
        ...

    @property
    def has_uncommitted(self) -> bool: ...

    def put(self, record: memoryview, digest: bytes) -> int:
        """Place one record; returns its offset. `MediaFull` where it does not fit."""
        ...

    def put_known(self, digests: list[bytes], lengths: list[int]) -> list[int | None]:
        """Place what the device holds already. Takes as many from the front as fit; the result is as long as that."""
        ...

    def commit(self) -> None:
        """All of it is durable."""
        ...

    def finish(self, *, full: bool) -> None:
        """No more goes on it from us: durable, closed, but still ours until the catalog has it or forgets it."""
        ...

    def describe(self, volume: Volume, now: int) -> Volume:
        """The row after these writes; `volume` is the row as it is in the storing transaction."""
        ...

    def keep(self, tx: Transaction) -> None:
        """In that same transaction: what the target has signed, and questions to ask it later."""
        ...

    def stored(self) -> None:
        """The catalog has everything put so far."""
        ...

    @property
    def was_never_used(self) -> bool:
        """Nothing of it is in the catalog: a scratch volume that may go again."""
        ...

    @property
    def was_never_committed(self) -> bool:
        """Nor is anything durable on it: there is nothing to delete where somebody else keeps the bytes."""
        ...

    def release_span(self, offset_bytes: int, stored_bytes: int) -> None:
        """One record of these will not be stored after all."""
        ...

    def abandon(self) -> None:
        """Forget what the catalog does not have."""
        ...

    def close(self) -> None: ...


class SequentialOutput:
    """Appends, the label first. Exclusive: nobody else writes this volume meanwhile."""

    def __init__(
        self,
        volume: Volume,
        pool: StoragePool,
        writer: VolumeWriter,
        refers: bool,
        server_name: str,
        now: int,
        *,
        remote: bool = False,
    ) -> None:
        self.volume, self.pool, self.refers = volume, pool, refers
        self._writer: VolumeWriter | None = writer
        self._label = label.Label(server=server_name, volume=volume.name, pool=pool.name, created=now)
        self._position = volume.written_bytes
        self._committed = self._most_committed = self._stored = self._position
        self._receipt = volume.receipt
        self._receipts: list[bytes] = []
        """Those the catalog does not have yet."""
        self._sampler = Sampler(QUESTIONS_IN_A_STORE if remote else 0)
        self.worker: Worker | None = None
        self._full = False
        self._mounts = 1

    @property
    def has_uncommitted(self) -> bool:
        return self._position != self._committed

    def put(self, record: memoryview, digest: bytes) -> int:
        writer = self._open_writer(record.nbytes)
        offset = writer.append(record, digest)
        self._sampler.show(offset, record)
        self._position = writer.position_bytes
        return offset

    def put_known(self, digests: list[bytes], lengths: list[int]) -> list[int | None]:
        writer = self._open_writer(lengths[0])
        room = self._capacity - self._position
        fitting = 0
        while fitting < len(lengths) and lengths[fitting] <= room:
            room -= lengths[fitting]
            fitting += 1
        placed = writer.append_known(digests[:fitting], lengths[:fitting])
        self._position = writer.position_bytes
        return placed

    def commit(self) -> None:
        if self._writer is not None and self.has_uncommitted:
            if receipt := self._writer.commit():
                self._receipt = receipt
                self._receipts.append(receipt)
            self._committed = self._position
            self._most_committed = max(self._most_committed, self._committed)

    def finish(self, *, full: bool) -> None:
        self.commit()
        self._full = full
        self._close_writer()

    def describe(self, volume: Volume, now: int) -> Volume:
        return msgspec.structs.replace(
            volume,
            status=FULL if self._full else FILLING if self._position else EMPTY,
            written_bytes=self._position,
            last_written_time=now,
            mounts=volume.mounts + self._mounts,
            write_pass=volume.write_pass + (0 if volume.written_bytes else 1),
            receipt=self._receipt,
        )

    def keep(self, tx: Transaction) -> None:
        if self._receipts:
            kept_receipts.keep(
                tx, self.volume.id, [(receipts.from_bytes(one), one) for one in self._receipts]
            )
            questions.OF_POOLS.keep(tx, self.volume.id, self._sampler.kept)

    def stored(self) -> None:
        self._stored = self._position
        self._mounts = 0
        self._receipts = []
        self._sampler.begin()

    @property
    def was_never_used(self) -> bool:
        return self._stored == 0

    @property
    def was_never_committed(self) -> bool:
        return self._most_committed == 0

    def release_span(self, offset_bytes: int, stored_bytes: int) -> None:
        """Nothing to do: the bytes are dead from birth, reclamation finds them."""

    def abandon(self) -> None:
        """What was committed since the catalog last heard is cut off by the next open: close now."""
        self._position = self._committed = self._stored
        self._receipts = []
        self._sampler.begin()
        try:
            if self._writer is not None:
                self._writer.abort()
        finally:
            self._close_writer()

    def close(self) -> None:
        self._close_writer()

    @property
    def _capacity(self) -> int:
        return max(self.volume.capacity_bytes, SMALLEST_CAPACITY_BYTES)

    def _open_writer(self, next_bytes: int) -> VolumeWriter:
        """The writer, after the label and with room for `next_bytes` more."""
        if self._writer is None or max(self._position, LABEL_BYTES) + next_bytes > self._capacity:
            raise MediaFull("ANR8341I", volume=self.volume.name)
        if self._position == 0:
            block = aligned_buffer(LABEL_BYTES)
            header: Header = label.make(block, self._label)
            self._writer.append(block, header.digest)
            self._position = self._writer.position_bytes
        return self._writer

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


class RandomOutput:
    """Puts records into free spans of one volume. Several outputs may work on the same volume."""

    refers = False

    def __init__(
        self,
        volume: Volume,
        pool: StoragePool,
        writer: VolumeWriter,
        free: FreeSpace,
        make_room: Callable[[int], bool],
    ) -> None:
        """`make_room(size)`: True where giving cached copies up has made a record of this size fit."""
        self.volume, self.pool = volume, pool
        self._writer = writer
        self._free, self._make_room = free, make_room
        self.worker: Worker | None = None
        self._reserved: list[tuple[int, int]] = []
        self._dirty = False
        self._mounts = 1

    @property
    def has_uncommitted(self) -> bool:
        return self._dirty

    def put(self, record: memoryview, digest: bytes) -> int:  # noqa: ARG002 - the record carries it
        offset = self._free.reserve(record.nbytes)
        while offset is None and self._make_room(record.nbytes):
            offset = self._free.reserve(record.nbytes)
        if offset is None:
            raise MediaFull("ANR8341I", volume=self.volume.name)
        self._reserved.append((offset, record.nbytes))
        self._dirty = True
        try:
            self._writer.write_at(offset, record)
        except MediaFull:  # the output goes on without it; after other errors `abandon` gives everything back
            self.release_span(offset, record.nbytes)
            raise
        return offset

    def put_known(self, digests: list[bytes], lengths: list[int]) -> list[int | None]:  # noqa: ARG002
        return [None] * len(digests)

    def commit(self) -> None:
        if self._dirty:
            self._writer.commit()
            self._dirty = False

    def finish(self, *, full: bool) -> None:  # noqa: ARG002 - its spans come back
        self.commit()
        self._writer.close()

    def describe(self, volume: Volume, now: int) -> Volume:
        return msgspec.structs.replace(volume, last_written_time=now, mounts=volume.mounts + self._mounts)

    def keep(self, tx: Transaction) -> None:
        """Its media is ours: there is nobody to sign or to ask."""

    def stored(self) -> None:
        self._reserved.clear()
        self._mounts = 0

    @property
    def was_never_used(self) -> bool:
        return False

    @property
    def was_never_committed(self) -> bool:
        return False

    def release_span(self, offset_bytes: int, stored_bytes: int) -> None:
        self._reserved.remove((offset_bytes, stored_bytes))
        self._free.release(offset_bytes, stored_bytes)

    def abandon(self) -> None:
        """The spans go back only after the writer is closed: nothing of ours may still be written into them."""
        self._writer.close()
        for offset, length in self._reserved:
            self._free.release(offset, length)
        self._reserved.clear()
        self._dirty = False

    def close(self) -> None:
        self._writer.close()
