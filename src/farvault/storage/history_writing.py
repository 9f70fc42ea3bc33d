"""Writing volumes outside of pools: a run of sealed records of one kind, on as many volumes of a sequential class as it takes.

Database backups, exports and plan files are written here. Order: a row of the volume history (not complete), its media,
label and records, the end alone, all durable (`history_output.py`); then one catalog transaction completes the rows of all
volumes, and only then anybody is told. What an operation leaves behind that did not end goes at the next start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import (
    AlreadyExists,
    FarvaultError,
    MediaFailed,
    MediaFull,
)
from farvault.catalog import nouns, offsite_media, questions, target_truth, volume_history
from farvault.catalog.sequences import next_value
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.media import receipt as receipts
from farvault.media.interface import Device
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.volume_history import (
    HistoryVolume,
)
from farvault.seal.compress import RAW, Compressor
from farvault.seal.digest import Buffer
from farvault.seal.probe import Kept
from farvault.seal.record import STORED_MAX_BYTES, RecordKind, seal
from farvault.storage.history_output import HistoryOutput, Origin
from farvault.storage.history_volumes import USES, forget_volume
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES
from farvault.storage.storage import Storage

NAME_TRIES: Final = 100
"""Scratch names that are taken already (after a restored catalog) are stepped over, this often."""


class Operation(NamedTuple):
    """What is written. `time`: when it began. `command`: what made it, for exports."""

    type: str
    content: RecordKind
    series: int
    operation: int
    time: int
    command: str = ""


class Sealed(NamedTuple):
    """A record as it goes to the media."""

    record: memoryview
    digest: bytes


class HistoryWriter:
    """Writes one operation. Use as a context: what was not committed when it ends is undone.

    `volume_names`: used first, in order; then, with `scratch`, names of our own.
    """

    def __init__(
        self,
        storage: Storage,
        class_name: str,
        operation: Operation,
        *,
        wrapped_keyring: bytes = b"",
        volume_names: Sequence[str] = (),
        scratch: bool = True,
        compressor: Compressor | None = None,
    ) -> None:
        self._storage, self._class_name, self._operation = storage, class_name, operation
        self._names = [storage.devices.full_name(class_name, name) for name in volume_names]
        self._scratch, self._compressor = scratch, compressor
        self._origin = Origin(storage, wrapped_keyring)
        self._capacity = max(
            storage.devices.device_class(class_name).max_capacity_bytes, SMALLEST_CAPACITY_BYTES
        )
        self._buffer = aligned_buffer(STORED_MAX_BYTES)
        self._rows: list[HistoryVolume] = []
        self._output: HistoryOutput | None = None
        """The volume that is being filled."""
        self._questions: dict[int, list[Kept]] = {}
        """Of each volume, by its row: what its target will be asked later."""
        self._signed: list[bytes] = []
        """The target's receipts of all volumes, as they came."""
        self._committed: set[int] = set()
        """Rows whose volume another server may know: the others need not be deleted there."""

    @property
    def epoch(self) -> int:
        """Of the catalog that is written by."""
        return self._origin.epoch

    def __enter__(self) -> HistoryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_volume()
        if self._rows:
            self._undo()

    def put(self, *parts: Buffer) -> None:
        """Compress (where that was asked for), seal and append one record: the parts joined, at most 4 MiB and a bit."""
        self.put_sealed(self.seal(self._buffer, *parts))

    def seal(self, into: memoryview, *parts: Buffer) -> Sealed:
        """The first half of `put`, into the caller's `aligned_buffer(STORED_MAX_BYTES)`; any thread may do it ahead."""
        size = sum(map(len, parts))
        if self._compressor is None:
            return self._seal_packed(into, RAW, parts, size)
        codec, packed = self._compressor.compress(b"".join(parts))
        return self._seal_packed(into, codec, [packed], size)

    def put_sealed(self, sealed: Sealed) -> None:
        """The second half: the buffer is free again when this returns."""
        self._append(sealed.record, sealed.digest)

    def put_packed(self, codec: int, parts: Sequence[Buffer], plain_bytes: int) -> None:
        """The same as `put` for what was compressed elsewhere."""
        self.put_sealed(self._seal_packed(self._buffer, codec, parts, plain_bytes))

    def _seal_packed(self, into: memoryview, codec: int, parts: Sequence[Buffer], plain_bytes: int) -> Sealed:
        header = seal(
            into,
            parts,
            kind=self._operation.content,
            codec=codec,
            plain_bytes=plain_bytes,
            keyring=self._storage.keyring,
        )
        return Sealed(into[: header.stored_bytes], header.digest)

    @property
    def stored_bytes(self) -> int:
        """On all volumes so far."""
        under_way = self._output.records_bytes if self._output is not None else 0
        return sum(row.stored_bytes for row in self._rows) + under_way

    def commit(
        self, body: bytes = b"", on_store: Callable[[Transaction], None] | None = None
    ) -> list[HistoryVolume]:
        """End the last volume and complete all rows in one transaction, together with `on_store`."""
        self._end_volume(self._output or self._next_volume(), is_last=True, body=body)
        crash_point("history.commit.before_catalog")
        with self._storage.catalog.write(uses_reserve=True) as tx:
            done = [msgspec.structs.replace(row, complete=True) for row in self._rows]
            for row in done:
                nouns.update(tx, row)
                questions.OF_HISTORY.keep(tx, row.id, self._questions.get(row.id, ()))
            self._note_receipts(tx)
            if on_store is not None:
                on_store(tx)
        crash_point("history.commit.after_catalog")
        self._storage.history_in_use.difference_update(row.id for row in self._rows)
        self._rows = []
        return done

    def _note_receipts(self, tx: Transaction) -> None:
        """They count from now on: a target that was set back before them shows itself at the next sign-on."""
        server = target_truth.server_of_class(tx, self._class_name)
        if server is None:
            return
        for stored in self._signed:
            receipt = receipts.from_bytes(stored)
            target_truth.check_follows(tx, server, receipt)
            target_truth.note_receipt(tx, server, receipt.number, stored)

    # --- volumes -----------------------------------------------------------------------------------------------

    def _append(self, record: memoryview, digest: bytes) -> None:
        output = self._output
        if output is not None and not output.has_room(record.nbytes):
            self._end_volume(output, is_last=False)
            output = None
        (output or self._next_volume()).append(record, digest)

    def _next_volume(self) -> HistoryOutput:
        """A row, its media, its label."""
        device = self._storage.devices.device(self._class_name)
        row = self._named(device) if self._names else self._scratch_volume(device)
        self._output = HistoryOutput(self._storage, device, row, self._origin, self._capacity)
        return self._output

    def _named(self, device: Device) -> HistoryVolume:
        name = self._names.pop(0)
        with self._storage.catalog.read() as r:
            _refuse_taken(r, name)
        device.check_free(name)
        row = self._new_row(name, scratch=False)
        try:
            crash_point("history.volume.before_create")
            device.create(row.volume, self._capacity)
        except BaseException:
            self._forget(row)
            raise
        return row

    def _scratch_volume(self, device: Device) -> HistoryVolume:
        if not self._scratch:
            raise MediaFull("ANR4902E", device_class=self._class_name)
        for _ in range(NAME_TRIES):
            name = self._scratch_name(device)
            try:
                device.check_free(name)
            except AlreadyExists:
                continue
            row = self._new_row(name, scratch=True)
            try:
                crash_point("history.volume.before_create")
                device.create(row.volume, self._capacity)
            except AlreadyExists:
                self._forget(row)
                continue
            except BaseException:
                self._forget(row)
                raise
            return row
        raise MediaFailed("ANR1404W", pool=self._class_name)

    def _scratch_name(self, device: Device) -> str:
        with self._storage.catalog.write(uses_reserve=True) as tx:
            for _ in range(NAME_TRIES):
                name = device.scratch_name("", next_value(tx, "scratch_volumes"), USES[self._operation.type])
                if not volume_history.is_taken(tx, name):
                    break
        return name

    def _new_row(self, name: str, *, scratch: bool) -> HistoryVolume:
        """Its number is known to be in use before anybody can see it."""
        one = self._operation
        with self._storage.catalog.write(uses_reserve=True) as tx:
            _refuse_taken(tx, name)
            row = HistoryVolume(
                time=one.time,
                type=one.type,
                series=one.series,
                operation=one.operation,
                sequence=len(self._rows) + 1,
                device_class=self._class_name,
                volume=name,
                command=one.command,
                scratch=scratch,
                complete=False,
                epoch=self._origin.epoch,
            )
            row = msgspec.structs.replace(row, id=nouns.insert(tx, row))
            offsite_media.forget(tx, name)
            self._storage.history_in_use.add(row.id)
        self._rows.append(row)
        return row

    def _end_volume(self, output: HistoryOutput, *, is_last: bool, body: bytes = b"") -> None:
        """Records durable first, then the end alone: a segment of its own at a target."""
        self._committed.add(output.row.id)
        output.commit_records()
        self._rows[-1] = output.end(int(self._operation.content), body, is_last=is_last)
        self._signed += output.signed
        self._questions[output.row.id] = output.questions
        self._close_volume()

    def _close_volume(self) -> None:
        output, self._output = self._output, None
        if output is not None:
            try:
                output.close()
            except FarvaultError as error:
                self._storage.log.repeat(error.message)

    def _undo(self) -> None:
        """It did not end: volumes and rows go. What cannot go now goes at the next start. Never raises."""
        rows, self._rows = self._rows, []
        remote = self._storage.devices.device(self._class_name).capabilities.remote
        queued: list[PendingDeletion] = []
        for row in rows:
            try:
                self._storage.catalog.check_writable()
                if remote and row.id not in self._committed:
                    self._remove_row(row)
                elif (left := forget_volume(self._storage, row)) is not None:
                    queued.append(left)
            except FarvaultError as error:
                self._storage.log.repeat(error.message)
            finally:
                self._storage.history_in_use.discard(row.id)
        self._storage.deletions.tell_all(queued)

    def _remove_row(self, row: HistoryVolume) -> None:
        with self._storage.catalog.write(uses_reserve=True) as tx:
            nouns.delete(tx, row)

    def _forget(self, row: HistoryVolume) -> None:
        """Its media was never made."""
        self._rows.remove(row)
        with contextlib.suppress(FarvaultError):
            self._remove_row(row)
        self._storage.history_in_use.discard(row.id)


def _refuse_taken(r: Snapshot, name: str) -> None:
    if volume_history.is_taken(r, name):
        raise AlreadyExists("ANR4901E", volume=name)
