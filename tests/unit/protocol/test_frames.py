"""Frames: what is sent arrives; what is not allowed is refused before room is made for it."""

from __future__ import annotations

import struct

import pytest

from farvault.base.errors import BadInput, PeerMisbehaved
from farvault.base.units import KIB, MIB
from farvault.protocol import beat, frames, truth
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v
from farvault.protocol.frames import (
    HEADER_BYTES,
    FrameHeader,
    ProtocolError,
    encode,
    parse_body,
    parse_header,
)
from farvault.protocol.verbs import BY_BODY, FRAME_MAX_BYTES, VERBS, End, Verb


def header(body: int = 0, tail: int = 0, verb: int = 9, flags: int = 0, request: int = 0) -> bytes:
    return struct.pack("<IIHHI", body, tail, verb, flags, request)


def decode(frame: bytes | bytearray, *, logged_in: bool = True) -> m.Body:
    parsed = parse_header(frame[:HEADER_BYTES], logged_in)
    return parse_body(parsed, frame[HEADER_BYTES:])


def test_a_message_arrives_as_it_was_sent() -> None:
    sent = v.StoreRecord(segment=7, digest=b"d" * 32)
    frame = encode(sent, request=3, tail_bytes=4096)
    parsed = parse_header(frame[:HEADER_BYTES], True, End.SERVER)
    assert parsed == FrameHeader(BY_BODY[v.StoreRecord], len(frame) - HEADER_BYTES, 4096, 3)
    assert parse_body(parsed, memoryview(frame)[HEADER_BYTES:]) == sent


def test_the_header_is_sixteen_bytes_little_endian() -> None:
    frame = encode(m.Ping(), request=0x01020304)
    assert bytes(frame) == bytes.fromhex("01000000 00000000 0900 0000 04030201") + b"\x80"


def test_a_decoded_body_refers_to_nothing_of_the_buffer() -> None:
    frame = encode(m.Known(digests=b"a" * 64))
    parsed = parse_header(frame[:HEADER_BYTES], True)
    room = bytearray(frame[HEADER_BYTES:])
    body = parse_body(parsed, room)
    room[:] = bytes(len(room))
    assert body == m.Known(digests=b"a" * 64)


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("too short", header()[:15]),
        ("too long", header() + b"\0"),
        ("unknown verb", header(verb=999)),
        ("verb zero", header(verb=0)),
        ("flags", header(flags=1)),
        ("body over the verb's limit", header(body=64 * KIB + 1)),
        ("tail where the verb has none", header(tail=1)),
        ("tail over the verb's limit", header(verb=43, tail=5 * MIB + 1)),
        ("lengths of four gigabytes", header(body=2**32 - 1, tail=2**32 - 1)),
    ],
)
def test_a_wrong_header_is_a_protocol_error(what: str, wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_header(wrong, True)


def test_before_sign_on_only_its_own_verbs_are_accepted() -> None:
    accepted = {verb.name for verb in VERBS if _accepted(verb, logged_in=False)}
    assert accepted == {
        "Hello",
        "HelloAnswer",
        "ScramFirst",
        "ScramChallenge",
        "ScramFinal",
        "Welcome",
        "Refused",
    }


def _accepted(verb: Verb, *, logged_in: bool) -> bool:
    try:
        parse_header(header(verb=verb.number), logged_in)
    except ProtocolError:
        return False
    return True


def test_before_sign_on_no_frame_is_over_64_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    generous = Verb(1, m.Hello, body_max_bytes=MIB, tail_max_bytes=MIB, before_login=True)
    monkeypatch.setitem(frames.BY_NUMBER, 1, generous)
    assert parse_header(header(verb=1, body=64 * KIB), False)
    for body, tail in ((64 * KIB + 1, 0), (32 * KIB, 32 * KIB + 1)):
        assert parse_header(header(verb=1, body=body, tail=tail), True)
        with pytest.raises(ProtocolError, match="before sign-on"):
            parse_header(header(verb=1, body=body, tail=tail), False)


def test_an_end_refuses_what_only_the_other_may_receive() -> None:
    for verb in VERBS:
        wrong = End.CLIENT if verb.to is End.SERVER else End.SERVER
        assert parse_header(header(verb=verb.number), True, verb.to)
        with pytest.raises(ProtocolError, match="may receive"):
            parse_header(header(verb=verb.number), True, wrong)


@pytest.mark.parametrize(
    ("what", "verb", "body"),
    [
        ("not msgpack", 9, b"\xc1"),
        ("nothing", 9, b""),
        ("bytes left over", 9, b"\x80\x80"),
        ("a list, not a map", 9, b"\x90"),
        ("a field that does not exist", 9, b"\x81\xa1x\x01"),
        ("a field missing", 82, b"\x80"),
        ("a field of another type", 82, b"\x81\xa4text\x01"),
        ("text that is not UTF-8", 82, b"\x81\xa4text\xa1\xff"),
        ("a field name that is not UTF-8", 82, b"\x81\xa4tex\xff\xa1a"),
        ("a negative count", 83, b"\x81\xabreturn_code\xff"),
        ("a count no catalog can hold", 83, b"\x81\xabreturn_code\xcf" + b"\xff" * 8),
        ("a list of four billion entries", 60, b"\x81\xa3ids\xdd\xff\xff\xff\xff"),
        ("a string of four gigabytes", 82, b"\x81\xa4text\xdb\xff\xff\xff\xff"),
        ("a digest of 31 bytes", 106, b"\x81\xa6digest\xc4\x1f" + b"d" * 31),
        ("lists within lists without end", 60, b"\x81\xa3ids" + b"\x91" * 60_000),
    ],
)
def test_a_wrong_body_is_a_protocol_error(what: str, verb: int, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_body(parse_header(header(verb=verb, body=len(body)), True), body)


def test_a_list_has_a_bound_however_small_its_entries() -> None:
    # one byte an entry: the body would be within its limit
    ids = b"\x81\xa3ids\xdd" + struct.pack(">I", m.LIST_MAX + 1) + b"\x01" * (m.LIST_MAX + 1)
    assert len(ids) < BY_BODY[m.ReadObjects].body_max_bytes
    with pytest.raises(ProtocolError, match="length"):
        parse_body(parse_header(header(verb=60, body=len(ids)), True), ids)


def test_a_body_of_another_length_than_announced_is_refused() -> None:
    with pytest.raises(ProtocolError, match="announced"):
        parse_body(parse_header(header(body=1), True), b"\x80\x80")


def test_an_error_text_cannot_drive_a_terminal() -> None:
    body = b"\x81\xa5\x1b[2Jx\x01"
    with pytest.raises(ProtocolError) as told:
        parse_body(parse_header(header(body=len(body)), True), body)
    assert str(told.value).isprintable()


def test_a_protocol_error_is_the_peers_fault_and_names_it() -> None:
    error = ProtocolError("a joke", "10.0.0.1:5")
    assert isinstance(error, PeerMisbehaved)
    assert "10.0.0.1:5 sent a joke" in str(error)


def test_what_is_too_long_is_not_sent() -> None:
    with pytest.raises(BadInput):
        encode(m.Command(text="x" * 70_000))
    with pytest.raises(BadInput):
        encode(m.Ping(), tail_bytes=1)


def test_no_verb_allows_a_frame_over_the_limit() -> None:
    assert max(HEADER_BYTES + verb.body_max_bytes + verb.tail_max_bytes for verb in VERBS) <= FRAME_MAX_BYTES


def test_verbs_and_bodies_are_numbered_once() -> None:
    assert len({verb.number for verb in VERBS}) == len({verb.body for verb in VERBS}) == len(VERBS)
    bodies = {
        b
        for part in (m, v, truth, beat)
        for b in vars(part).values()
        if isinstance(b, type) and issubclass(b, m.Body) and b is not m.Body
    }
    assert bodies == {verb.body for verb in VERBS}, "every body has a number"
    assert all(0 < verb.number < 2**16 for verb in VERBS)
