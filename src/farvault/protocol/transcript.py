"""What both sides of a sign-on saw of each other, as one hash, and what a source's keys sign over it.

The hash is the data of the SCRAM channel binding, so both the password proof and the keys' signatures hold only
between these two ends, for these names, roles, features and nonces, over this server certificate.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from farvault.protocol.messages import Hello, HelloAnswer, ScramFinal

_ENCODE: Final = msgspec.msgpack.Encoder().encode


def transcript(hello: Hello, answer: HelloAnswer, certificate_der: bytes) -> bytes:
    """SHA-256 over what both sides saw. Bodies as this program encodes them, each after its length (u32 LE)."""
    running = hashlib.sha256(b"farvault transcript 1\0")
    for body in (hello, answer):
        encoded = _ENCODE(body)
        running.update(len(encoded).to_bytes(4, "little"))
        running.update(encoded)
    running.update(hashlib.sha256(certificate_der).digest())
    return running.digest()


def proof_text(purpose: str, signed_transcript: bytes, final: ScramFinal) -> bytes:
    """What a source's identity key (`purpose` "identity") and code key ("code") sign. Each covers both keys."""
    head = f"farvault {purpose} proof 1\0".encode()
    return b"".join((head, signed_transcript, final.identity, final.code_key, bytes([final.force_sync])))
