"""Receipts: a target's signed statement that a segment of a virtual volume is durable there.

Each receipt of a node has the next number and names the digest of the one before, so a target that was set back to
an older state shows it with its next receipt. The source keeps the receipt with the volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from farvault.base.errors import PeerMisbehaved
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import DIGEST_BYTES, digest, digest_parts
from farvault.seal.identity import Identity, verify

FIRST_PREVIOUS: Final = bytes(DIGEST_BYTES)
"""What stands as `previous` in a node's first receipt."""

_PURPOSE: Final = b"farvault receipt 1\0"
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(Receipt).decode
_DECODE_JOINED: Final = msgspec.msgpack.Decoder(list[bytes]).decode


def contents_digest(record_digests: Iterable[bytes]) -> bytes:
    """What CloseSegment and Receipt call `digest`: BLAKE3 over the record digests in order."""
    return digest_parts(record_digests)


def sign(receipt: Receipt, identity: Identity) -> Receipt:
    """The same receipt with the target's signature over all other fields."""
    return msgspec.structs.replace(receipt, signature=identity.sign(_statement(receipt)))


def is_signed_by(receipt: Receipt, identity_key: bytes) -> bool:
    """Did the owner of this key state exactly this?"""
    return verify(identity_key, receipt.signature, _statement(receipt))


def chain_digest(receipt: Receipt) -> bytes:
    """What the next receipt names as `previous`."""
    return digest(to_bytes(receipt))


def to_bytes(receipt: Receipt) -> bytes:
    """As it is kept in a catalog."""
    return _ENCODE(receipt)


def from_bytes(stored: bytes) -> Receipt:
    """What `to_bytes` made. `PeerMisbehaved` for anything else."""
    try:
        return _DECODE(stored)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PeerMisbehaved("ANR4804E", server="?", volume="?", reason=str(error)) from None


def joined(kept: Iterable[bytes]) -> bytes:
    """Several receipts, in order, as the volume history keeps those of a volume; empty where there is none."""
    parts = list(kept)
    return _ENCODE(parts) if parts else b""


def parted(stored: bytes) -> list[Receipt]:
    """What was `joined`. `PeerMisbehaved` for anything else."""
    try:
        parts = _DECODE_JOINED(stored) if stored else []
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PeerMisbehaved("ANR4804E", server="?", volume="?", reason=str(error)) from None
    return [from_bytes(part) for part in parts]


def check(receipt: Receipt, expected: Receipt, identity_key: bytes, server: str) -> None:
    """Is it the target's word for what we sent? `expected` holds our contents. `PeerMisbehaved` otherwise."""
    reason = ""
    if not is_signed_by(receipt, identity_key):
        reason = "the signature is not the server's"
    elif _contents(receipt) != _contents(expected):
        reason = "it does not state what was sent"
    if reason:
        raise PeerMisbehaved("ANR4804E", server=server, volume=expected.volume, reason=reason)


def _contents(receipt: Receipt) -> tuple[str, int, int, int, bytes, int]:
    return (
        receipt.volume,
        receipt.offset_bytes,
        receipt.stored_bytes,
        receipt.records,
        receipt.digest,
        receipt.epoch,
    )


def _statement(receipt: Receipt) -> bytes:
    return _PURPOSE + _ENCODE(msgspec.structs.replace(receipt, signature=b""))
