"""Looks at the records of one volume: are they there, as they were stored, and (FULL) do they open to what the catalog says?

The device checks digests where the bytes are: of a virtual volume only the verdict travels, and no key is needed. In
full, every record is read to here, deciphered and unpacked, and each of its extents is digested (docs/decisions/0049).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from farvault.base.disk import aligned_buffer
from farvault.base.errors import MediaFailed, NotFound, RecordDamaged
from farvault.catalog import placements
from farvault.catalog.placements import PlacementRow
from farvault.media.interface import Device, Span
from farvault.model.volume import UNAVAILABLE, Volume
from farvault.processes.process import Process
from farvault.seal import label
from farvault.seal.compress import decompress
from farvault.seal.pack import parse
from farvault.seal.record import CIPHER_NONE, Header, check, open_checked
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.storage import Storage


@dataclass(slots=True)
class Checked:
    """`reset`: marked damaged and good. `sealed_wrong`: the bytes are right, but do not open; with why."""

    inspected: int = 0
    reset: list[PlacementRow] = field(default_factory=list)
    bad: list[PlacementRow] = field(default_factory=list)
    sealed_wrong: list[tuple[PlacementRow, str]] = field(default_factory=list)


class Verifier:
    """Of one volume, on the device that `Volumes.examine` gave. `spend` is asked before each record is read, and so is
    `stops`, which ends it early.
    """

    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume: Volume,
        device: Device,
        *,
        full: bool = False,
        spend: Callable[[int], None] = lambda _bytes: None,
        stops: Callable[[], bool] = lambda: False,
    ) -> None:
        self._storage, self._process, self._volume, self._device = storage, process, volume, device
        self._full, self._spend, self._stops = full, spend, stops

    def has_its_label(self) -> bool:
        """Is what lies under this name the volume we mean? Raises where there is nothing at all."""
        block = aligned_buffer(LABEL_BYTES)
        try:
            reader = self._device.open_reader(self._volume.name)
        except (NotFound, MediaFailed) as error:
            self._storage.life.set_access(self._volume.id, UNAVAILABLE, error)
            raise
        try:
            return label.parse(reader.read(Span(0, LABEL_BYTES), block)).volume == self._volume.name
        except (MediaFailed, RecordDamaged):
            return False
        finally:
            reader.close()

    def check(self, rows: list[PlacementRow]) -> Checked:
        """A record is bad when two reads say so."""
        found = Checked()
        suspect: list[PlacementRow] = []
        look = self._opened(rows, found) if self._full else self._verified(self._until_stopped(rows))
        for is_good, row in zip(look, rows, strict=False):  # the device first: it must come to its end
            self._process.advance(1, row.stored_bytes)
            found.inspected += 1
            if not is_good:
                suspect.append(row)
            elif row.damaged:
                found.reset.append(row)
        if suspect:
            again = self._verified(suspect)
            found.bad = [row for row, is_good in zip(suspect, again, strict=True) if not is_good]
        return found

    def _until_stopped(self, rows: Iterable[PlacementRow]) -> Iterator[PlacementRow]:
        """The device ends by itself when it is asked for nothing more, and lets go of what it holds."""
        for row in rows:
            self._spend(row.stored_bytes)
            if self._stops():
                return
            yield row

    def _verified(self, rows: Iterable[PlacementRow]) -> Iterator[bool]:
        for _, is_good in self._device.verify(self._volume.name, map(_asked, rows)):
            yield is_good

    def _opened(self, rows: list[PlacementRow], found: Checked) -> Iterator[bool]:
        reader = self._device.open_reader(self._volume.name)
        with contextlib.closing(reader):
            views = reader.read_many(_asked(row)[0] for row in self._until_stopped(rows))
            for view, row in zip(views, rows, strict=False):
                header = None if view is None else _checked(view, row.digest)
                if header is not None and view is not None:
                    try:
                        self._open(row, header, view)
                    except RecordDamaged as wrong:
                        found.sealed_wrong.append((row, wrong.message.text))
                yield header is not None

    def _open(self, row: PlacementRow, header: Header, record: memoryview) -> None:
        """`RecordDamaged` where the body is not what the catalog says. What was freed meanwhile is not missed."""
        with self._storage.catalog.read() as r:
            if not placements.aggregates(r, [row.aggregate_id]):
                return
            wanted = placements.aggregate_extents(r, row.aggregate_id)
        packed = open_checked(header, record, self._storage.keyring)
        pack = parse(decompress(header.codec, packed, header.plain_bytes))
        held = {digest for digest, _ in pack.directory.extents}
        if (
            header.cipher == CIPHER_NONE
        ):  # another server's record, wrapped as it is: its own header has its digest
            if held != {check(pack.extent(0)).digest}:
                raise RecordDamaged("ANR9803E", reason="the record inside is another one")
        else:
            pack.verify()
        for _, _, _, digest in wanted:
            if digest not in held:
                raise RecordDamaged("ANR9803E", reason=f"extent {digest.hex()[:16]} is not in it")


def _checked(record: memoryview, digest: bytes) -> Header | None:
    try:
        header = check(record)
    except RecordDamaged:
        return None
    return header if header.digest == digest else None


def _asked(row: PlacementRow) -> tuple[Span, bytes]:
    return Span(row.offset_bytes, row.stored_bytes), row.digest
