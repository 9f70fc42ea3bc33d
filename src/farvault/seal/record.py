"""The record: the one sealed unit on every volume, in every vault and on the wire. `docs/volume-format.md` is its page.

64 bytes of head, 32 bytes of digest, the body, zeros to the next 4 KiB. The digest covers every other byte and is
the record's address everywhere; who has no key verifies with it. The head is the associated data of AES-256-GCM.
The key comes from the master key and the record's own random id, so it seals one record and a fixed nonce is
right: nobody can pass one, none can repeat. 96 + 16 bytes a record, and half a block of padding on average.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from farvault.base.errors import RecordDamaged
from farvault.seal.compress import PLAIN_MAX_BYTES, RAW, ZSTD
from farvault.seal.digest import Buffer
from farvault.seal.keyring import Keyring

MAGIC: Final = b"\x89FVR\r\n\x1a\n"
"""Not text, and changed by everything that treats it as text."""
FORMAT_VERSION: Final = 1
ALIGNMENT_BYTES: Final = 4096
HEAD_BYTES: Final = 64
HEADER_BYTES: Final = 96
TAG_BYTES: Final = 16
RECORD_ID_BYTES: Final = 16
STORED_MAX_BYTES: Final = 5 * 1024 * 1024
"""No record is longer. The protocol's limit for a record in one frame is the same."""

CIPHER_NONE: Final = 0
CIPHER_AES256_GCM: Final = 1

HEAD: Final = struct.Struct("<8sHBBB3sI16sQQQ4s")
FIELDS: Final = (
    "magic",
    "format version",
    "kind",
    "codec",
    "cipher",
    "reserved 1",
    "key id",
    "record id",
    "plain bytes",
    "packed bytes",
    "stored bytes",
    "reserved 2",
)
"""Names of the head's fields in order; a test holds the document's table against them."""

_NONCE: Final = bytes(12)
_ZEROS: Final = bytes(ALIGNMENT_BYTES)


class RecordKind(IntEnum):
    """What the body is once opened."""

    LABEL = 1
    AGGREGATE = 2
    DATABASE = 3
    EXPORT = 4
    PLAN = 5
    END = 6


_KINDS: Final = frozenset(int(kind) for kind in RecordKind)


class Header(NamedTuple):
    """What stands before the body. `digest` is the record's address."""

    kind: int
    codec: int
    cipher: int
    key_id: int
    record_id: bytes
    plain_bytes: int
    packed_bytes: int
    stored_bytes: int
    digest: bytes


def sealed_bytes(packed_bytes: int, cipher: int) -> int:
    """Length of a record on its volume: header, body, tag, rounded up to 4 KiB."""
    used = HEADER_BYTES + packed_bytes + (TAG_BYTES if cipher else 0)
    return -(-used // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def seal(
    into: memoryview,
    parts: Sequence[Buffer],
    *,
    kind: RecordKind,
    codec: int,
    plain_bytes: int,
    keyring: Keyring | None,
) -> Header:
    """Write one record into the start of `into`, which has room for `sealed_bytes`; its body is the parts joined.

    `codec` and `plain_bytes` say what the parts are: they are sealed as they come. Without a keyring nothing is
    enciphered: for labels, and for what its owner has sealed already. `RecordDamaged` where the lengths are not
    those of a record.
    """
    return _seal_as(secrets.token_bytes(RECORD_ID_BYTES), into, parts, kind, codec, plain_bytes, keyring)


def _seal_as(
    record_id: bytes,
    into: memoryview,
    parts: Sequence[Buffer],
    kind: int,
    codec: int,
    plain_bytes: int,
    keyring: Keyring | None,
) -> Header:
    """`seal` with a given id. Not for callers: the same id twice under one key would break the cipher."""
    cipher, key_id = (CIPHER_AES256_GCM, keyring.current_id) if keyring else (CIPHER_NONE, 0)
    packed_bytes = sum(map(len, parts))
    stored_bytes = sealed_bytes(packed_bytes, cipher)
    numbers = (plain_bytes, packed_bytes, stored_bytes)
    if problem := _disagreement(kind, codec, cipher, key_id, *numbers):
        raise RecordDamaged("ANR9803E", reason=problem)
    record = into[:stored_bytes]
    if len(record) != stored_bytes:
        raise ValueError(f"a record of {stored_bytes} bytes does not fit a buffer of {len(into)}")
    HEAD.pack_into(
        record, 0, MAGIC, FORMAT_VERSION, kind, codec, cipher, bytes(3), key_id, record_id, *numbers, bytes(4)
    )
    end = HEADER_BYTES + packed_bytes
    if keyring:
        key = keyring.derive_record_key(key_id, record_id)
        record[end : end + TAG_BYTES] = _encipher(key, record[:HEAD_BYTES], parts, record[HEADER_BYTES:])
        end += TAG_BYTES
    else:
        _copy(parts, record[HEADER_BYTES:])
    record[end:] = _ZEROS[: stored_bytes - end]
    address = _digest_of(record)
    record[HEAD_BYTES:HEADER_BYTES] = address
    return Header(kind, codec, cipher, key_id, record_id, *numbers, address)


def read_header(view: Buffer) -> Header:
    """Take the header apart; its structure is checked, its digest is not. Needs the first 96 bytes."""
    if len(view) < HEADER_BYTES:
        raise RecordDamaged("ANR9803E", reason=f"{len(view)} bytes are too few for a record")
    fields = HEAD.unpack_from(view)
    magic, version, kind, codec, cipher, reserved_1, key_id, record_id, plain, packed, stored, reserved_2 = (
        fields
    )
    if magic != MAGIC:
        raise RecordDamaged("ANR9803E", reason="no record starts here")
    if version != FORMAT_VERSION:
        raise RecordDamaged("ANR9803E", reason=f"format version {version} is not known")
    if any(reserved_1) or any(reserved_2):
        raise RecordDamaged("ANR9803E", reason="reserved bytes are not zero")
    if problem := _disagreement(kind, codec, cipher, key_id, plain, packed, stored):
        raise RecordDamaged("ANR9803E", reason=problem)
    address = bytes(view[HEAD_BYTES:HEADER_BYTES])
    return Header(kind, codec, cipher, key_id, record_id, plain, packed, stored, address)


def check(record: Buffer) -> Header:
    """Verify a whole record without any key: structure, length, zero padding, digest. `RecordDamaged` otherwise."""
    header = read_header(record)
    if len(record) != header.stored_bytes:
        raise RecordDamaged("ANR9803E", reason=f"{len(record)} bytes where {header.stored_bytes} are stated")
    view = memoryview(record)
    padding = bytes(view[_body_end(header) :])
    if padding != _ZEROS[: len(padding)]:
        raise RecordDamaged("ANR9803E", reason="the padding is not zero")
    if _digest_of(view) != header.digest:
        raise RecordDamaged("ANR9803E", reason="the bytes do not match the digest")
    return header


def open_record(record: Buffer, keyring: Keyring | None, into: memoryview | None = None) -> memoryview:
    """Check a record and return its packed body, deciphered. `RecordDamaged` where anything is wrong.

    Without a cipher the body is a view into the record. Else it is deciphered into `into` where that is given (it
    may be longer), or into fresh memory.
    """
    return open_checked(check(record), record, keyring, into)


def open_checked(
    header: Header, record: Buffer, keyring: Keyring | None, into: memoryview | None = None
) -> memoryview:
    """`open_record` for a record that `check` has just passed: the digest is not computed again."""
    view = memoryview(record)
    if header.cipher == CIPHER_NONE:
        return view[HEADER_BYTES : HEADER_BYTES + header.packed_bytes]
    if keyring is None:
        raise RecordDamaged("ANR9803E", reason="it is enciphered and no key is at hand")
    cipher = AESGCM(keyring.derive_record_key(header.key_id, header.record_id))
    sealed, head = view[HEADER_BYTES : _body_end(header)], view[:HEAD_BYTES]
    try:
        if into is None:
            return memoryview(cipher.decrypt(_NONCE, sealed, head))
        plain = into[: header.packed_bytes]
        cipher.decrypt_into(_NONCE, sealed, head, plain)
        return plain
    except InvalidTag:
        raise RecordDamaged("ANR9803E", reason="it does not open with its key") from None


def _disagreement(
    kind: int, codec: int, cipher: int, key_id: int, plain: int, packed: int, stored: int
) -> str:
    """Why these cannot be the numbers of one record; empty where they can."""
    if kind not in _KINDS:
        return f"record kind {kind} is not known"
    if codec not in (RAW, ZSTD):
        return f"codec {codec} is not known"
    if cipher not in (CIPHER_NONE, CIPHER_AES256_GCM):
        return f"cipher {cipher} is not known"
    if (key_id == 0) != (cipher == CIPHER_NONE):
        return "key and cipher do not agree"
    if stored > STORED_MAX_BYTES or plain > PLAIN_MAX_BYTES:
        return "it states more bytes than a record may have"
    if stored != sealed_bytes(packed, cipher) or (codec == RAW and plain != packed):
        return "its lengths do not agree"
    return ""


def _body_end(header: Header) -> int:
    return HEADER_BYTES + header.packed_bytes + (TAG_BYTES if header.cipher else 0)


def _digest_of(record: memoryview) -> bytes:
    state = blake3(record[:HEAD_BYTES])
    state.update(record[HEADER_BYTES:])
    return state.digest()


def _encipher(key: bytes, head: memoryview, parts: Sequence[Buffer], into: memoryview) -> bytes:
    """Encipher the parts into the buffer one after the other, without joining them; returns the tag."""
    context = Cipher(algorithms.AES256(key), modes.GCM(_NONCE)).encryptor()
    context.authenticate_additional_data(head)
    position = 0
    for part in parts:
        position += context.update_into(part, into[position:])
    context.finalize()
    return context.tag


def _copy(parts: Sequence[Buffer], into: memoryview) -> None:
    position = 0
    for part in parts:
        into[position : position + len(part)] = part
        position += len(part)
