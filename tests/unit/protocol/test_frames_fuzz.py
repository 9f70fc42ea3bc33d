"""Any bytes become a message or a `ProtocolError`, and any message survives the wire."""

from __future__ import annotations

import struct
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.protocol import messages as m
from farvault.protocol.frames import HEADER_BYTES, ProtocolError, encode, parse_body, parse_header
from farvault.protocol.verbs import BY_BODY, VERBS, End

NUMBERS = st.sampled_from([verb.number for verb in VERBS])
MSGPACK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NATURAL = st.integers(0, 2**63 - 1)
BYTES = st.binary(max_size=40)
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
ROWS = st.builds(m.ObjectRow, *[NATURAL, NATURAL, BYTES, *[NATURAL] * 6, BYTES, WORDS])
BODIES = st.one_of(
    st.builds(
        m.Objects,
        directories=st.lists(BYTES, max_size=3).map(tuple),
        classes=st.lists(WORDS, max_size=3).map(tuple),
        rows=st.lists(ROWS, max_size=3).map(tuple),
        last=st.booleans(),
    ),
    st.builds(m.Hello, role=WORDS, name=WORDS, nonce=st.binary(min_size=32, max_size=32)),
    st.builds(m.Refused, message_id=WORDS, text=WORDS, return_code=NATURAL),
    st.builds(m.Known, digests=BYTES),
    st.builds(m.BeginTransaction, file_space=WORDS, kind=NATURAL, management_class=WORDS),
    st.builds(m.ExpireObjects, ids=st.lists(NATURAL).map(tuple)),
)


def receive(data: bytes, logged_in: bool, end: End | None) -> m.Body:
    header = parse_header(data[:HEADER_BYTES], logged_in, end)
    return parse_body(header, data[HEADER_BYTES : HEADER_BYTES + header.body_bytes])


@given(st.binary(max_size=400), st.booleans(), st.sampled_from([None, *End]))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes, logged_in: bool, end: End | None) -> None:
    try:
        body = receive(data, logged_in, end)
    except ProtocolError:
        return
    assert type(body) in BY_BODY


@given(NUMBERS, st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_any_body_bytes_of_any_verb_are_a_message_or_a_protocol_error(number: int, body: bytes) -> None:
    try:
        decoded = receive(struct.pack("<IIHHI", len(body), 0, number, 0, 0) + body, True, None)
    except ProtocolError:
        return
    assert BY_BODY[type(decoded)].number == number


@given(NUMBERS, st.data())
@settings(max_examples=400, deadline=None)
def test_any_msgpack_of_any_verb_is_a_message_or_a_protocol_error(number: int, data: st.DataObject) -> None:
    fields = next(verb for verb in VERBS if verb.number == number).body.__struct_fields__
    names = st.sampled_from(fields) if fields else st.text(max_size=3)
    body = msgspec.msgpack.encode(
        data.draw(MSGPACK | st.dictionaries(names, MSGPACK, max_size=len(fields) + 1))
    )
    try:
        decoded = receive(struct.pack("<IIHHI", len(body), 0, number, 0, 0) + body, True, None)
    except ProtocolError:
        return
    assert BY_BODY[type(decoded)].number == number


@given(BODIES, st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_any_message_survives_the_wire(body: m.Body, request: int) -> None:
    frame = encode(body, request)
    assert parse_header(frame[:HEADER_BYTES], True).request == request
    assert receive(bytes(frame), True, None) == body


@given(BODIES, st.integers(0, 200), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_is_a_message_or_a_protocol_error(body: m.Body, position: int, bit: int) -> None:
    frame = encode(body)
    frame[position % len(frame)] ^= 1 << bit
    try:
        assert type(receive(bytes(frame), True, None)) in BY_BODY
    except ProtocolError:
        return


@pytest.mark.parametrize("claimed", [2**16, 2**24, 2**32 - 1])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_claimed_length_costs_no_memory(verb: object, claimed: int) -> None:
    number = verb.number  # type: ignore[attr-defined]
    fields = verb.body.__struct_fields__  # type: ignore[attr-defined]
    kinds = (
        b"\xdd",
        b"\xdf",
        b"\xc6",
        b"\xdb",
        b"\xc9",
    )  # list, map, bytes, text, extension of 32-bit length
    for field in fields:
        for kind in kinds:
            body = b"\x81" + msgspec.msgpack.encode(field) + kind + struct.pack(">I", claimed)
            tracemalloc.start()
            try:
                with pytest.raises(ProtocolError):
                    receive(struct.pack("<IIHHI", len(body), 0, number, 0, 0) + body, True, None)
                assert tracemalloc.get_traced_memory()[1] < 4 << 20
            finally:
                tracemalloc.stop()
