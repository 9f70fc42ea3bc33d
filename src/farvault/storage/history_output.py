"""One volume outside of pools while it is filled: label, records, and an end of its own that names them all.

The records are durable before the end is written, and the end is a segment of its own at a target. What its target will be
asked later is chosen meanwhile.
"""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from farvault.base.disk import aligned_buffer, crash_point
from farvault.catalog.epoch import epoch
from farvault.catalog.settings import get_setting
from farvault.media import receipt as receipts
from farvault.media.interface import Device
from farvault.model.volume_history import HistoryVolume
from farvault.policy.mount_points import Priority
from farvault.seal import label, probe, volume_end
from farvault.seal.identity import Identity
from farvault.seal.probe import Kept, Sampler
from farvault.seal.record import Header
from farvault.seal.recovery_plan import IDENTITY_CONTEXT
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.history_reading import contents_of
from farvault.storage.storage import Storage

QUESTIONS_IN_A_VOLUME: Final = 16
"""Questions kept about records of a volume at a target, and one about its end: about 200 bytes each."""


class Origin:
    """Who writes: what every volume of an operation says of its server, taken once."""

    def __init__(self, storage: Storage, wrapped_keyring: bytes = b"") -> None:
        with storage.catalog.read() as r:
            self.server = get_setting(r, "SERVERNAME") or ""
            self.instance = get_setting(r, "INSTANCE_ID") or ""
            self.epoch = epoch(r)
        self.identity: Identity = storage.identity
        self.wrapped_keyring = wrapped_keyring
        self.sealed_identity = storage.keyring.seal_secret(
            self.identity.private_pem + self.identity.certificate_pem, IDENTITY_CONTEXT
        )


class HistoryOutput:
    """A volume whose media is there and empty. `close` it in any case; it holds a mount point until then."""

    def __init__(
        self, storage: Storage, device: Device, row: HistoryVolume, origin: Origin, capacity_bytes: int
    ) -> None:
        self.row, self._origin, self._capacity = row, origin, capacity_bytes
        self.signed: list[bytes] = []
        """The target's receipts, as they came."""
        self.questions: list[Kept] = []
        self._lengths: list[int] = []
        self._digests: list[bytes] = []
        self._sampler = Sampler(QUESTIONS_IN_A_VOLUME if device.capabilities.remote else 0)
        with contextlib.ExitStack() as opened:
            worker = storage.volumes.mounts.worker(Priority.RESTORE, row.type)
            opened.enter_context(storage.volumes.mount(row.device_class, row.volume, worker, is_written=True))
            self._writer = device.open_writer(row.volume, 0, capacity_bytes)
            opened.callback(self._writer.close)
            block = aligned_buffer(LABEL_BYTES)
            header = label.make(
                block, label.Label(server=origin.server, volume=row.volume, pool="", created=row.time)
            )
            self._writer.append(block, header.digest)
            self._label_digest = header.digest
            self._open = opened.pop_all()

    @property
    def records_bytes(self) -> int:
        """Of the records so far, without label and end."""
        return sum(self._lengths)

    def has_room(self, size_bytes: int) -> bool:
        after = self._writer.position_bytes + size_bytes
        count = len(self._lengths) + 1
        return count <= volume_end.MOST_RECORDS and after + volume_end.most_bytes(count) <= self._capacity

    def append(self, record: memoryview, digest: bytes) -> None:
        self._sampler.show(self._writer.append(record, digest), record)
        self._lengths.append(record.nbytes)
        self._digests.append(digest)

    def commit_records(self) -> None:
        """All of them are durable when this returns."""
        self._keep(self._writer.commit())

    def end(self, content: int, body: bytes, *, is_last: bool) -> HistoryVolume:
        """Write the end, durable; returns the row as it is to be completed."""
        header, block = self._make_end(content, body, is_last)
        crash_point("history.volume.before_end")
        record = block[: header.stored_bytes]
        offset = self._writer.append(record, header.digest)
        self._keep(self._writer.commit())
        if self.signed:
            question = probe.ask(offset, record.nbytes)
            self.questions = [*self._sampler.kept, Kept(question, probe.answer(question, record))]
        crash_point("history.volume.after_end")
        return msgspec.structs.replace(
            self.row,
            records=len(self._lengths),
            stored_bytes=self._writer.position_bytes,
            end_bytes=header.stored_bytes,
            digest=header.digest,
            receipt=receipts.joined(self.signed),
            contents=contents_of(self._label_digest, self._digests, header.digest),
        )

    def close(self) -> None:
        self._open.close()

    def _keep(self, receipt: bytes) -> None:
        if receipt:
            self.signed.append(receipt)

    def _make_end(self, content: int, body: bytes, is_last: bool) -> tuple[Header, memoryview]:
        """In a block of its own: the writer's buffer may hold the next record."""
        row, origin = self.row, self._origin
        end = VolumeEnd(
            server=origin.server,
            instance=origin.instance,
            volume=row.volume,
            type=row.type,
            content=content,
            series=row.series,
            operation=row.operation,
            sequence=row.sequence,
            time=row.time,
            epoch=origin.epoch,
            is_last=is_last,
            first=LABEL_BYTES,
            lengths=volume_end.pack_lengths(self._lengths),
            digests=b"".join(self._digests),
            wrapped_keyring=origin.wrapped_keyring,
            sealed_identity=origin.sealed_identity,
            key=origin.identity.public_key_bytes,
            body=body,
        )
        block = aligned_buffer(volume_end.most_bytes(len(self._lengths)))
        return volume_end.make(block, volume_end.sign(end, origin.identity)), block
