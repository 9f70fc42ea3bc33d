"""The end of a volume outside of pools: its last record. It lists the others and is signed by the server that wrote it.

In the clear, like the label: a volume found without its catalog says what it is, and carries the keyring, wrapped by the
recovery code. Who reads it trusts it only after `verify`: signature first, then the address of every record. It is
committed alone, so a target that knows no records can tell where it lies.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from farvault.base.errors import RecordDamaged
from farvault.seal.compress import RAW
from farvault.seal.digest import DIGEST_BYTES, Buffer
from farvault.seal.identity import Identity, verify
from farvault.seal.record import CIPHER_NONE, Header, RecordKind, check, open_checked, seal, sealed_bytes

MOST_RECORDS: Final = 65_536
"""On one volume: with them its end still fits one record."""
BODY_MOST_BYTES: Final = 64 * 1024
_FIXED_BYTES: Final = 32 * 1024
"""More than all names and keys take."""
_EACH_BYTES: Final = DIGEST_BYTES + 4
_PURPOSE: Final = b"farvault volume end 1\0"

Name = Annotated[str, msgspec.Meta(max_length=1024)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class VolumeEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`instance`: the server's own random id. `content`: kind of the records. `first`: where the first of them starts.

    `is_last`: the operation ends on this volume; only there `body` says more about the whole (for a database backup a
    msgpack manifest). `key`: the identity's public key. `sealed_identity`: the identity, enciphered by the keyring.
    """

    server: Name
    instance: Name
    volume: Name
    type: Name
    content: Number
    series: Number
    operation: Number
    sequence: Number
    time: Number
    epoch: Number
    is_last: bool
    first: Number
    lengths: bytes
    digests: bytes
    wrapped_keyring: Annotated[bytes, msgspec.Meta(max_length=16_384)]
    sealed_identity: Annotated[bytes, msgspec.Meta(max_length=8_192)]
    key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    body: Annotated[bytes, msgspec.Meta(max_length=BODY_MOST_BYTES)] = b""
    signature: Annotated[bytes, msgspec.Meta(max_length=64)] = b""

    def records(self) -> list[tuple[int, int, bytes]]:
        """(offset, length, address) of every record, in order."""
        lengths = struct.unpack(f"<{len(self.lengths) // 4}I", self.lengths)
        found, offset = [], self.first
        for number, length in enumerate(lengths):
            found.append((offset, length, self.digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]))
            offset += length
        return found

    @property
    def operation_key(self) -> tuple[str, str, int, int, int]:
        """What the volumes of one operation share."""
        return self.instance, self.type, self.series, self.operation, self.time


def pack_lengths(lengths: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(lengths)}I", *lengths)


def most_bytes(records: int) -> int:
    """No end of a volume with so many records is longer."""
    return sealed_bytes(_FIXED_BYTES + BODY_MOST_BYTES + records * _EACH_BYTES, CIPHER_NONE)


def sign(end: VolumeEnd, identity: Identity) -> VolumeEnd:
    """The same with the server's signature over all other fields."""
    return msgspec.structs.replace(end, signature=identity.sign(_statement(end)))


def make(into: memoryview, end: VolumeEnd) -> Header:
    """Write the record into the start of `into`, which has room for `most_bytes`."""
    body = msgspec.msgpack.encode(end)
    return seal(into, [body], kind=RecordKind.END, codec=RAW, plain_bytes=len(body), keyring=None)


def parse(record: Buffer, key: bytes) -> VolumeEnd:
    """Check an end and its signature by this identity key; `RecordDamaged` where anything is wrong."""
    end = parse_unproved(record)
    if end.key != key or not verify(key, end.signature, _statement(end)):
        raise RecordDamaged("ANR4905E", volume=end.volume, server=end.server)
    return end


def parse_unproved(record: Buffer) -> VolumeEnd:
    """As `parse` without the proof: to find out whose it is and which keys travel with it."""
    header = check(record)
    if header.kind != RecordKind.END or header.cipher != CIPHER_NONE or header.codec != RAW:
        raise RecordDamaged("ANR9803E", reason="a record stands where the end of a volume should")
    try:
        end = msgspec.msgpack.decode(open_checked(header, record, None), type=VolumeEnd)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordDamaged("ANR9803E", reason=f"the end of a volume does not open: {error}") from None
    if len(end.lengths) % 4 or len(end.digests) != len(end.lengths) // 4 * DIGEST_BYTES:
        raise RecordDamaged(
            "ANR9803E", reason="the end of a volume lists lengths and digests that do not agree"
        )
    return end


def _statement(end: VolumeEnd) -> bytes:
    return _PURPOSE + msgspec.msgpack.encode(msgspec.structs.replace(end, signature=b""))
