"""Frames: bytes to messages and back. No I/O: `transport/connection.py` moves the bytes.

A frame is a 16-byte header, a msgpack body and, for some verbs, a raw tail (`docs/protocol.md`). The header is
checked against the verb table before a byte of room is made for the rest, so a claimed length costs nothing.
Whatever arrives becomes a message or a `ProtocolError`.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from farvault.base.errors import BadInput, PeerMisbehaved
from farvault.protocol.messages import Body
from farvault.protocol.verbs import BY_BODY, BY_NUMBER, FRAME_MAX_BYTES_BEFORE_LOGIN, VERBS, End, Verb

HEADER_BYTES: Final = 16
_HEADER: Final = struct.Struct("<IIHHI")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = {verb.number: msgspec.msgpack.Decoder(verb.body) for verb in VERBS}


class ProtocolError(PeerMisbehaved):
    """The other side sent something the protocol does not allow. The session cannot go on."""

    def __init__(self, problem: str, peer: str = "the other side") -> None:
        self.problem = problem
        super().__init__("ANR0446W", peer=peer, problem=problem)


class FrameHeader(NamedTuple):
    """A header that passed all checks."""

    verb: Verb
    body_bytes: int
    tail_bytes: int
    request: int


def encode(body: Body, request: int = 0, tail_bytes: int = 0) -> bytearray:
    """Header and body of one frame; the caller sends `tail_bytes` of tail after it. `BadInput` over the limits."""
    verb = BY_BODY[type(body)]
    frame = bytearray(HEADER_BYTES)
    _ENCODER.encode_into(body, frame, HEADER_BYTES)
    body_bytes = len(frame) - HEADER_BYTES
    if body_bytes > verb.body_max_bytes or tail_bytes > verb.tail_max_bytes:
        raise BadInput("ANR0447E", verb=verb.name, size=body_bytes + tail_bytes)
    _HEADER.pack_into(frame, 0, body_bytes, tail_bytes, verb.number, 0, request)
    return frame


def parse_header(
    header: bytes | bytearray | memoryview, logged_in: bool, receiver: End | None = None
) -> FrameHeader:
    """Check 16 bytes against the verb table. `receiver` None: either end. Raises `ProtocolError`."""
    if len(header) != HEADER_BYTES:
        raise ProtocolError(f"a frame header of {len(header)} bytes")
    body_bytes, tail_bytes, number, flags, request = _HEADER.unpack(header)
    verb = BY_NUMBER.get(number)
    if verb is None:
        raise ProtocolError(f"verb {number}, which does not exist")
    if flags:
        raise ProtocolError(f"flags {flags:#06x}, which mean nothing")
    if not logged_in and not verb.before_login:
        raise ProtocolError(f"verb {verb.name} before sign-on")
    if receiver is not None and verb.to is not receiver:
        raise ProtocolError(f"verb {verb.name}, which only a {verb.to.value} may receive")
    if body_bytes > verb.body_max_bytes:
        raise ProtocolError(f"a body of {body_bytes} bytes for verb {verb.name}")
    if tail_bytes > verb.tail_max_bytes:
        raise ProtocolError(f"a tail of {tail_bytes} bytes for verb {verb.name}")
    if not logged_in and body_bytes + tail_bytes > FRAME_MAX_BYTES_BEFORE_LOGIN:
        raise ProtocolError(f"a frame of {body_bytes + tail_bytes} bytes before sign-on")
    return FrameHeader(verb, body_bytes, tail_bytes, request)


def parse_body(header: FrameHeader, body: bytes | bytearray | memoryview) -> Body:
    """Decode a body strictly; nothing of `body` is referred to afterwards. Raises `ProtocolError`."""
    if len(body) != header.body_bytes:
        raise ProtocolError(f"{len(body)} bytes of body where {header.body_bytes} were announced")
    try:
        return _DECODERS[header.verb.number].decode(body)
    except (ValueError, RecursionError) as error:  # ValueError covers msgspec's own errors and bad UTF-8
        raise ProtocolError(f"a body that is no {header.verb.name}: {_printable(error)}") from None


def _printable(error: Exception) -> str:
    """What was wrong, safe to log: the text may quote field names the other side made up."""
    return "".join(c if c.isprintable() else "?" for c in str(error))[:200]
