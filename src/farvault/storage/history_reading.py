"""Reading volumes outside of pools (`history_writing.py` writes them): ends first, then records, each proved before it is used.

Needs no catalog: restoring a lost server reads with the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from farvault.base.disk import aligned_buffer
from farvault.base.errors import BadInput, RecordDamaged
from farvault.media.interface import Device, Span, VolumeReader
from farvault.media.receipt import contents_digest
from farvault.model.volume_history import HistoryVolume
from farvault.seal import volume_end
from farvault.seal.compress import decompress
from farvault.seal.digest import DIGEST_BYTES, Buffer, digest_parts
from farvault.seal.keyring import Keyring
from farvault.seal.record import STORED_MAX_BYTES, check, open_checked
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.free_space import LABEL_BYTES


def contents_of(label: bytes, records: Sequence[bytes], end: bytes) -> bytes:
    """What a target's inventory says of such a volume: label and records are one segment, the end is another."""
    return digest_parts([contents_digest([label, *records]), contents_digest([end])])


class Place(NamedTuple):
    """A volume to read. `stored_bytes`, `end_bytes`, `digest`: as its row says; 0 and empty = found out from the media."""

    device_class: str
    volume: str
    stored_bytes: int = 0
    end_bytes: int = 0
    digest: bytes = b""


def place_of(row: HistoryVolume) -> Place:
    return Place(row.device_class, row.volume, row.stored_bytes, row.end_bytes, row.digest)


def read_end_record(device: Device, place: Place) -> bytes:
    """The end of a volume, as it is: only its own digest is checked, and that it is the one that is expected."""
    if place.end_bytes:
        span = Span(place.stored_bytes - place.end_bytes, place.end_bytes)
    else:
        span = device.last_record(place.volume)
    if not 0 < span.stored_bytes <= STORED_MAX_BYTES:
        raise RecordDamaged("ANR4904E", volume=place.volume, reason="it has no end")
    reader = device.open_reader(place.volume)
    try:
        record = bytes(reader.read(span, aligned_buffer(span.stored_bytes)))
    finally:
        reader.close()
    try:
        found = check(record).digest
    except RecordDamaged as error:
        raise RecordDamaged("ANR4904E", volume=place.volume, reason=error.message.text) from error
    if place.digest and found != place.digest:
        raise RecordDamaged("ANR4904E", volume=place.volume, reason="its end is another one than was written")
    return record


def read_contents(device: Device, place: Place, end: VolumeEnd) -> bytes:
    """`VolumeEnd` proved: the digest over the whole volume, for which only the label is read."""
    reader = device.open_reader(place.volume)
    try:
        label_digest = check(reader.read(Span(0, LABEL_BYTES), aligned_buffer(LABEL_BYTES))).digest
    finally:
        reader.close()
    records = [end.digests[at : at + DIGEST_BYTES] for at in range(0, len(end.digests), DIGEST_BYTES)]
    return contents_of(label_digest, records, place.digest)


def read_ends(
    device_of: Callable[[str], Device], places: Iterable[Place], identity_key: bytes
) -> list[VolumeEnd]:
    """The ends of the volumes of one whole operation, proved and in order; `RecordDamaged`, `BadInput` otherwise."""
    ends = [
        volume_end.parse(read_end_record(device_of(place.device_class), place), identity_key)
        for place in places
    ]
    ends.sort(key=lambda end: end.sequence)
    first = ends[0]
    for number, end in enumerate(ends, 1):
        if end.operation_key != first.operation_key:
            raise BadInput("ANR4606E", volume=end.volume, series=first.series, found=end.series)
        if end.sequence != number or end.is_last != (number == len(ends)):
            raise BadInput("ANR4903E", series=first.series, operation=first.operation, sequence=number)
    return ends


def read_records(device: Device, volume: str, end: VolumeEnd, keyring: Keyring) -> Iterator[Buffer]:
    """The plain bytes of every record of a volume, in order, each checked against the proved end and opened."""
    wanted = end.records()
    reader: VolumeReader = device.open_reader(volume)
    plain_into = memoryview(bytearray(STORED_MAX_BYTES))
    try:
        views = reader.read_many(Span(offset, length) for offset, length, _ in wanted)
        for (offset, _, digest), view in zip(wanted, views, strict=True):
            if view is None:
                raise RecordDamaged("ANR4904E", volume=volume, reason=f"it cannot be read at {offset}")
            try:
                header = check(view)
                if header.digest != digest or header.kind != end.content:
                    raise RecordDamaged("ANR9803E", reason="another record stands there")
                packed = open_checked(header, view, keyring, plain_into)
                plain = decompress(header.codec, packed, header.plain_bytes)
            except RecordDamaged as error:
                reason = f"at {offset}: {error.message.text}"
                raise RecordDamaged("ANR4904E", volume=volume, reason=reason) from error
            yield plain
    finally:
        reader.close()
