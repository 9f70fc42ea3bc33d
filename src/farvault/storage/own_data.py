"""Target side: is what a source brings here this server's own data, come back over others?

A target wraps each record it keeps for somebody into one of its own, without a cipher, and its device classes send records
as they lie. So whatever went round a circle, however long, is our own sealed record inside one wrapping for each server on
the way. That it is ours only its seal tells: all keyrings count their keys from one.
"""

from __future__ import annotations

from typing import Final

from farvault.base.errors import RecordDamaged
from farvault.seal.compress import RAW
from farvault.seal.digest import Buffer
from farvault.seal.keyring import Keyring
from farvault.seal.pack import parse
from farvault.seal.record import (
    CIPHER_NONE,
    HEADER_BYTES,
    Header,
    RecordKind,
    open_checked,
    read_header,
)

LONGEST_WAY: Final = 16
"""Servers on the way. Each one is 4 KiB and a look at a header."""


def is_own_data(record: Buffer, keyring: Keyring, into: memoryview) -> bool:
    """Has this keyring sealed what a record of another server wraps? `into`: room to decipher it.

    A record that wraps nothing costs a look at its header.
    """
    try:
        inside = _innermost(memoryview(record))
        if inside is None:
            return False
        header, sealed = inside
        open_checked(header, sealed, keyring, into)
    except RecordDamaged:  # somebody else's, or not even a record
        return False
    return True


def _innermost(record: memoryview) -> tuple[Header, memoryview] | None:
    """The sealed record in all wrappings; None where it is not wrapped, or nothing sealed is inside."""
    header = read_header(record)
    for _ in range(LONGEST_WAY):
        if header.cipher != CIPHER_NONE or header.kind != RecordKind.AGGREGATE or header.codec != RAW:
            return None
        pack = parse(record[HEADER_BYTES : HEADER_BYTES + header.packed_bytes])
        if len(pack.directory.extents) != 1 or pack.directory.objects:
            return None
        record = pack.extent(0)
        header = read_header(record)
        if header.stored_bytes != len(record):
            return None
        if header.cipher != CIPHER_NONE:
            return header, record
    return None
