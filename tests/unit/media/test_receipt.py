"""A receipt is a target's word: signed, chained, and only for what was sent."""

from __future__ import annotations

import msgspec
import pytest

from farvault.base.errors import PeerMisbehaved
from farvault.media import receipt as receipts
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import digest
from farvault.seal.identity import Identity

TOKYO = Identity.create("TOKYO")
SIGNED = receipts.sign(
    Receipt(
        number=7,
        volume="ADSM.DELHI.BFS.1",
        offset_bytes=4096,
        stored_bytes=8192,
        records=2,
        digest=b"d" * 32,
        received_time=1000,
        previous=b"p" * 32,
    ),
    TOKYO,
)


def test_a_signed_receipt_is_the_signers() -> None:
    assert receipts.is_signed_by(SIGNED, TOKYO.public_key_bytes)
    receipts.check(SIGNED, SIGNED, TOKYO.public_key_bytes, "TOKYO")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", 8),
        ("volume", "ADSM.DELHI.BFS.2"),
        ("offset_bytes", 0),
        ("stored_bytes", 4096),
        ("records", 3),
        ("digest", b"e" * 32),
        ("received_time", 1001),
        ("previous", b"q" * 32),
        ("signature", b"s" * 64),
    ],
)
def test_no_field_can_be_changed_without_the_key(field: str, value: object) -> None:
    forged = msgspec.structs.replace(SIGNED, **{field: value})
    assert not receipts.is_signed_by(forged, TOKYO.public_key_bytes)
    with pytest.raises(PeerMisbehaved, match="ANR4804E"):
        receipts.check(forged, forged, TOKYO.public_key_bytes, "TOKYO")


@pytest.mark.parametrize(
    ("field", "value"),
    [("volume", "V"), ("offset_bytes", 0), ("stored_bytes", 1), ("records", 1), ("digest", b"")],
)
def test_a_true_receipt_for_something_else_is_not_accepted(field: str, value: object) -> None:
    expected = msgspec.structs.replace(SIGNED, **{field: value})
    with pytest.raises(PeerMisbehaved, match="does not state"):
        receipts.check(SIGNED, expected, TOKYO.public_key_bytes, "TOKYO")


def test_it_survives_the_catalog_and_garbage_does_not() -> None:
    assert receipts.from_bytes(receipts.to_bytes(SIGNED)) == SIGNED
    for garbage in (b"", b"\xc1", b"\x80", receipts.to_bytes(SIGNED)[:-1]):
        with pytest.raises(PeerMisbehaved):
            receipts.from_bytes(garbage)


def test_the_chain_covers_the_signature_too() -> None:
    other = msgspec.structs.replace(SIGNED, signature=b"s" * 64)
    assert receipts.chain_digest(other) != receipts.chain_digest(SIGNED)
    assert receipts.contents_digest([b"a" * 32, b"b" * 32]) == digest(b"a" * 32 + b"b" * 32)
