"""Keys: kept, wrapped, derived; a wrong code and a damaged file are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import BadInput, RecordDamaged
from farvault.seal import recovery_code
from farvault.seal.keyring import Keyring

KEYS = Keyring({1: bytes(range(32)), 2: bytes(range(1, 33))})


def test_a_keyring_comes_back_from_its_bytes() -> None:
    again = Keyring.from_bytes(KEYS.to_bytes())
    assert again.to_bytes() == KEYS.to_bytes()
    assert again.current_id == 2
    assert again.derive_record_key(1, b"i" * 16) == KEYS.derive_record_key(1, b"i" * 16)


def test_new_keyrings_share_nothing() -> None:
    assert Keyring.create().to_bytes() != Keyring.create().to_bytes()


def test_every_derived_key_is_another() -> None:
    keys = {KEYS.derive_record_key(i, bytes([j]) * 16) for i in (1, 2) for j in range(50)}
    assert len(keys | {KEYS.row_key()}) == 101


def test_the_row_key_stays_when_a_key_is_added() -> None:
    assert KEYS.with_new_key().row_key() == KEYS.row_key()
    assert KEYS.with_new_key().key_ids == (1, 2, 3)


@pytest.mark.parametrize(
    "stored", [b"", b"x", b"\x92\x02\x90", b"\x92\x01\x90", KEYS.to_bytes()[:-1], KEYS.to_bytes() + b"x"]
)
def test_bytes_that_are_no_keyring_are_refused(stored: bytes) -> None:
    with pytest.raises(RecordDamaged):
        Keyring.from_bytes(stored)


def test_the_recovery_code_opens_what_it_wrapped_however_it_is_typed() -> None:
    code = Keyring.new_recovery_code()
    wrapped = KEYS.wrap(code)
    for typed in (code, code.lower(), code.replace("-", ""), f"  {code.replace('-', ' ')}\n"):
        assert Keyring.unwrap(wrapped, typed).to_bytes() == KEYS.to_bytes()
    assert KEYS.to_bytes()[5:] not in wrapped


def test_a_wrong_code_is_told_from_a_mistyped_one_and_from_damage() -> None:
    code, other = Keyring.new_recovery_code(), Keyring.new_recovery_code()
    wrapped = KEYS.wrap(code)
    with pytest.raises(BadInput, match="do not open with this recovery code"):
        Keyring.unwrap(wrapped, other)
    mistyped = ("1" if code[0] != "1" else "2") + code[1:]
    with pytest.raises(BadInput, match="mistyped"):
        Keyring.unwrap(wrapped, mistyped)
    with pytest.raises(RecordDamaged, match="not the bytes of a wrapped keyring"):
        Keyring.unwrap(b"x" + wrapped[1:], code)


@pytest.mark.parametrize("length", [0, 5, 23])
def test_a_wrapped_keyring_that_is_cut_is_refused(length: int) -> None:
    code = Keyring.new_recovery_code()
    with pytest.raises(RecordDamaged):
        Keyring.unwrap(KEYS.wrap(code)[:length], code)


@given(st.binary(max_size=100), st.text(max_size=20))
@settings(deadline=None, max_examples=50)
def test_a_secret_opens_only_as_what_it_was_sealed(plain: bytes, context: str) -> None:
    sealed = KEYS.seal_secret(plain, context)
    assert KEYS.open_secret(sealed, context) == plain
    assert KEYS.with_new_key().open_secret(sealed, context) == plain
    with pytest.raises(RecordDamaged):
        KEYS.open_secret(sealed, context + "!")


def test_every_changed_byte_of_a_secret_is_refused() -> None:
    sealed = KEYS.seal_secret(b"password", "server password")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(RecordDamaged):
            KEYS.open_secret(bytes(changed), "server password")
    for length in range(len(sealed)):
        with pytest.raises(RecordDamaged):
            KEYS.open_secret(sealed[:length], "server password")


def test_a_code_has_28_characters_in_seven_groups() -> None:
    code = recovery_code.new_code()
    assert [len(group) for group in code.split("-")] == [4] * 7
    assert len({recovery_code.new_code() for _ in range(100)}) == 100


def test_every_single_wrong_character_is_found() -> None:
    code = recovery_code.new_code()
    for position, right in enumerate(code):
        for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if right not in ("-", letter):
                with pytest.raises(BadInput, match="mistyped"):
                    recovery_code.parse_code(code[:position] + letter + code[position + 1 :])


@given(st.integers(0, 27), st.integers(0, 27))
@settings(deadline=None)
def test_any_two_swapped_characters_are_found(one: int, other: int) -> None:
    letters = list(recovery_code.new_code().replace("-", ""))
    letters[one], letters[other] = letters[other], letters[one]
    if letters[one] != letters[other]:
        with pytest.raises(BadInput, match="swapped"):
            recovery_code.parse_code("".join(letters))


def test_what_looks_alike_is_read_alike() -> None:
    for _ in range(20):
        code = recovery_code.new_code()
        assert recovery_code.parse_code(code.replace("0", "O").replace("1", "l")) == recovery_code.parse_code(
            code
        )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "0 characters instead of 28"),
        ("ABCD", "4 characters instead of 28"),
        ("U" * 28, "'U'"),
        ("ABCD?", r"'\?'"),
        ("ÄBCD", "'Ä'"),
        ("ß", "'S'|2 characters"),
    ],
)
def test_a_code_that_cannot_be_one_says_why(typed: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        recovery_code.parse_code(typed)
