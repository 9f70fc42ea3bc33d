"""Volumes outside of pools: a run of sealed records of one kind, on as many volumes of a sequential class as it takes.

Database backups, exports and plan files are written here (`history_reading.py` reads them). Order: a row of the volume history (not complete),
its media, label and records, the end alone, all durable; then one catalog transaction completes the rows of all volumes,
and only then anybody is told. What an operation leaves behind that did not end goes at the next start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import (
    AlreadyExists,
    FarvaultError,
    InUse,
    MediaFailed,
    MediaFull,
)
from farvault.catalog import history_probes, nouns, offsite_media, target_truth, volume_history
from farvault.catalog.epoch import epoch
from farvault.catalog.sequences import next_value
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Transaction
from farvault.media import receipt as receipts
from farvault.media.interface import Device, VolumeWriter
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.volume_history import (
    BACKUPFULL,
    BACKUPINCR,
    DBSNAPSHOT,
    EXPORT,
    RPFILE,
    RPFSNAPSHOT,
    HistoryVolume,
)
from farvault.policy.mount_points import Priority
from farvault.seal import label, probe, volume_end
from farvault.seal.compress import RAW, Compressor
from farvault.seal.digest import Buffer
from farvault.seal.probe import Kept, Sampler
from farvault.seal.record import STORED_MAX_BYTES, RecordKind, seal
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.history_reading import contents_of
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES
from farvault.storage.storage import Storage

USES: Final = {
    BACKUPFULL: "DBB",
    BACKUPINCR: "DBB",
    DBSNAPSHOT: "DSS",
    EXPORT: "EXP",
    RPFILE: "RPF",
    RPFSNAPSHOT: "RPF",
}
"""Part of the names of scratch volumes."""
IDENTITY_CONTEXT: Final = "server identity in a volume end"
QUESTIONS_IN_A_VOLUME: Final = 16
"""Questions kept about records of a volume at a target, and one about its end: about 200 bytes each."""
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
        self._wrapped_keyring = wrapped_keyring
        self._capacity = max(
            storage.devices.device_class(class_name).max_capacity_bytes, SMALLEST_CAPACITY_BYTES
        )
        self._buffer = aligned_buffer(STORED_MAX_BYTES)
        self._rows: list[HistoryVolume] = []
        self._open: contextlib.ExitStack | None = None
        self._writer: VolumeWriter
        self._label_digest = b""
        self._lengths: list[int] = []
        self._digests: list[bytes] = []
        self._sampler = Sampler(0)
        self._questions: dict[int, list[Kept]] = {}
        """Of each volume, by its row: what its target will be asked later."""
        self._signed: list[bytes] = []
        """The target's receipts of all volumes, as they came."""
        self._committed: set[int] = set()
        """Rows whose volume another server may know: the others need not be deleted there."""
        with storage.catalog.read() as r:
            self._server = get_setting(r, "SERVERNAME") or ""
            self._instance = get_setting(r, "INSTANCE_ID") or ""
            self.epoch = epoch(r)
        identity = storage.identity
        self._sealed_identity = storage.keyring.seal_secret(
            identity.private_pem + identity.certificate_pem, IDENTITY_CONTEXT
        )

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
        return sum(row.stored_bytes for row in self._rows) + sum(self._lengths)

    def commit(
        self, body: bytes = b"", on_store: Callable[[Transaction], None] | None = None
    ) -> list[HistoryVolume]:
        """End the last volume and complete all rows in one transaction, together with `on_store`."""
        if self._open is None:
            self._next_volume()
        self._end_volume(is_last=True, body=body)
        crash_point("history.commit.before_catalog")
        with self._storage.catalog.write(uses_reserve=True) as tx:
            done = [msgspec.structs.replace(row, complete=True) for row in self._rows]
            for row in done:
                nouns.update(tx, row)
                history_probes.keep(tx, row.id, self._questions.get(row.id, ()))
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
        if self._open is not None and not self._has_room(record.nbytes):
            self._end_volume(is_last=False)
        if self._open is None:
            self._next_volume()
        self._sampler.show(self._writer.append(record, digest), record)
        self._lengths.append(record.nbytes)
        self._digests.append(digest)

    def _has_room(self, size_bytes: int) -> bool:
        after = self._writer.position_bytes + size_bytes
        count = len(self._lengths) + 1
        return count <= volume_end.MOST_RECORDS and after + volume_end.most_bytes(count) <= self._capacity

    def _next_volume(self) -> None:
        """A row, its media, its label."""
        device = self._storage.devices.device(self._class_name)
        row = self._named(device) if self._names else self._scratch_volume(device)
        with contextlib.ExitStack() as opened:
            volumes = self._storage.volumes
            worker = volumes.mounts.worker(Priority.RESTORE, row.type)
            opened.enter_context(volumes.mount(self._class_name, row.volume, worker, is_written=True))
            self._writer = device.open_writer(row.volume, 0, self._capacity)
            opened.callback(self._writer.close)
            block = aligned_buffer(LABEL_BYTES)
            header = label.make(
                block,
                label.Label(server=self._server, volume=row.volume, pool="", created=self._operation.time),
            )
            self._writer.append(block, header.digest)
            self._label_digest = header.digest
            self._open = opened.pop_all()
        self._lengths, self._digests = [], []
        self._sampler = Sampler(QUESTIONS_IN_A_VOLUME if device.capabilities.remote else 0)

    def _named(self, device: Device) -> HistoryVolume:
        row = self._new_row(self._names.pop(0), scratch=False)
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
            row = self._new_row("", scratch=True)
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

    def _new_row(self, name: str, *, scratch: bool) -> HistoryVolume:
        """Its number is known to be in use before anybody can see it."""
        one = self._operation
        device = self._storage.devices.device(self._class_name)
        with self._storage.catalog.write(uses_reserve=True) as tx:
            for _ in range(NAME_TRIES if scratch else 0):
                name = device.scratch_name("", next_value(tx, "scratch_volumes"), USES[one.type])
                if not volume_history.is_taken(tx, name):
                    break
            if volume_history.is_taken(tx, name):
                raise AlreadyExists("ANR4901E", volume=name)
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
                epoch=self.epoch,
            )
            row = msgspec.structs.replace(row, id=nouns.insert(tx, row))
            offsite_media.forget(tx, name)
            self._storage.history_in_use.add(row.id)
        self._rows.append(row)
        return row

    def _end_volume(self, *, is_last: bool, body: bytes = b"") -> None:
        """Records durable first, then the end alone: a segment of its own at a target."""
        row, one = self._rows[-1], self._operation
        self._committed.add(row.id)
        signed = [self._writer.commit()]
        end = VolumeEnd(
            server=self._server,
            instance=self._instance,
            volume=row.volume,
            type=one.type,
            content=int(one.content),
            series=one.series,
            operation=one.operation,
            sequence=row.sequence,
            time=one.time,
            epoch=self.epoch,
            is_last=is_last,
            first=LABEL_BYTES,
            lengths=volume_end.pack_lengths(self._lengths),
            digests=b"".join(self._digests),
            wrapped_keyring=self._wrapped_keyring,
            sealed_identity=self._sealed_identity,
            key=self._storage.identity.public_key_bytes,
            body=body,
        )
        block = aligned_buffer(
            volume_end.most_bytes(len(self._lengths))
        )  # the other one holds the next record
        header = volume_end.make(block, volume_end.sign(end, self._storage.identity))
        crash_point("history.volume.before_end")
        record = block[: header.stored_bytes]
        offset = self._writer.append(record, header.digest)
        signed.append(self._writer.commit())
        self._signed += (one for one in signed if one)
        if self._signed:
            question = probe.ask(offset, record.nbytes)
            self._questions[row.id] = [*self._sampler.kept, Kept(question, probe.answer(question, record))]
        crash_point("history.volume.after_end")
        self._rows[-1] = msgspec.structs.replace(
            row,
            records=len(self._lengths),
            stored_bytes=self._writer.position_bytes,
            end_bytes=header.stored_bytes,
            digest=header.digest,
            receipt=receipts.joined(one for one in signed if one),
            contents=contents_of(self._label_digest, self._digests, header.digest),
        )
        self._lengths = []
        self._close_volume()

    def _close_volume(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            try:
                opened.close()
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


# --- deleting ----------------------------------------------------------------------------------------------------------


class Deleted(NamedTuple):
    """`waiting`: of those that are gone here, how many their targets have still to be told of."""

    gone: int
    waiting: int


def delete_volume(storage: Storage, row: HistoryVolume) -> None:
    """The entry and its volume; a target that cannot be told now is told later."""
    delete_volumes(storage, [row])


def delete_volumes(
    storage: Storage,
    rows: Iterable[HistoryVolume],
    refused: Callable[[HistoryVolume, FarvaultError], None] | None = None,
) -> Deleted:
    """Entries and their volumes. `rows`: of each series the end first, so that one broken off is whole up to there.

    Without `refused` the first that cannot go ends it. With it each of them is told there, what is before it in its series
    stays as well, and the others go.
    """
    queued: list[PendingDeletion] = []
    stuck: set[tuple[str, int]] = set()
    gone = waiting = 0
    try:
        for row in rows:
            series = (USES.get(row.type, ""), row.series)
            if series in stuck:
                continue
            try:
                refuse_in_use(storage, row)
                crash_point("history.delete.before")
                left = forget_volume(storage, row)
            except FarvaultError as error:
                if refused is None:
                    raise
                refused(row, error)
                if row.has_own_volume:
                    stuck.add(series)
                continue
            gone += 1
            if left is not None:
                queued.append(left)
    finally:
        waiting = storage.deletions.tell_all(queued)
    return Deleted(gone, waiting)


def forget_volume(storage: Storage, row: HistoryVolume) -> PendingDeletion | None:
    """Media first, the row last; of another server's media the row, and what is returned is to be told (`deletions.py`).

    Rows of events have no media of their own.
    """
    if row.has_own_volume:
        device = storage.devices.device(row.device_class)
        if device.capabilities.remote:
            return storage.deletions.delete(
                row.device_class, row.volume, lambda tx: nouns.delete(tx, row), uses_reserve=True
            )
        device.delete(row.volume)
        crash_point("history.delete.before_row")
    with storage.catalog.write(uses_reserve=True) as tx:
        nouns.delete(tx, row)
    return None


def refuse_in_use(storage: Storage, row: HistoryVolume) -> None:
    """`InUse` where an operation writes it now."""
    if row.id in storage.history_in_use:
        raise InUse("ANR2405E", volume=row.volume)


def _is_left_behind(storage: Storage, row: HistoryVolume) -> bool:
    """Looked at in this order: an operation completes its entries before they stop being in use."""
    if row.id in storage.history_in_use:
        return False
    with storage.catalog.read() as r:
        return bool(nouns.select(r, HistoryVolume, id=row.id, complete=False))


def delete_left_behind(storage: Storage, *, remote: bool) -> int:
    """Volumes of operations that did not end: at start those on this machine, later (`remote`) all. Returns how many.

    What another epoch of this catalog began is not ours to delete: its end may stand in the part that was lost.
    """
    with storage.catalog.read() as r:
        left, present = volume_history.incomplete(r), epoch(r)
    gone = 0
    queued: list[PendingDeletion] = []
    for row in left:
        try:
            if not _is_left_behind(storage, row):
                continue
            if row.epoch != present:
                with storage.catalog.write() as tx:
                    nouns.delete(tx, row)
            elif remote or not storage.devices.device(row.device_class).capabilities.remote:
                if (to_tell := forget_volume(storage, row)) is not None:
                    queued.append(to_tell)
                gone += 1
        except FarvaultError as error:
            storage.log.repeat(error.message)
    storage.deletions.tell_all(queued)
    return gone
