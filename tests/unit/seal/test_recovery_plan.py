"""The recovery plan's format: what is composed is parsed, what is altered by one byte is not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.base.errors import BadInput, RecordDamaged
from farvault.seal import recovery_plan
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring

IDENTITY, KEYRING, CODE = Identity.create("DELHI"), Keyring.create(), Keyring.new_recovery_code()
WRAPPED = KEYRING.wrap(CODE)
STANZAS = {
    recovery_plan.DESCRIPTION: "Server: DELHI\nCreated: 17",
    "RECOVERY.INSTRUCTIONS.GENERAL": "Call 110.\nend RECOVERY.INSTRUCTIONS.GENERAL\nbegin something\n",
    "EMPTY": "",
    "LINES": "one\u2028still one\x85 and still\ntwo",
}
TEXT = recovery_plan.compose(STANZAS, IDENTITY, KEYRING, WRAPPED)


def test_what_was_composed_is_read_and_its_keys_open() -> None:
    plan = recovery_plan.parse(TEXT, "it")
    recovery_plan.prove(plan, IDENTITY.public_key_bytes, "it")
    assert plan.description == {"Server": "DELHI", "Created": "17"}
    assert plan.stanzas["EMPTY"] == "" and "Call 110." in plan.stanzas["RECOVERY.INSTRUCTIONS.GENERAL"]
    assert "begin something" in plan.stanzas["RECOVERY.INSTRUCTIONS.GENERAL"]
    assert plan.stanzas["LINES"] == STANZAS["LINES"]
    keyring, identity = recovery_plan.open_keys(plan.keys, CODE)
    assert keyring.to_bytes() == KEYRING.to_bytes()
    assert identity.private_pem == IDENTITY.private_pem


def test_the_contents_name_every_stanza_in_order() -> None:
    names = recovery_plan.parse(TEXT, "it").stanzas[recovery_plan.CONTENTS].splitlines()
    assert names[0] == recovery_plan.DESCRIPTION and names[-1] == recovery_plan.SIGNATURE
    assert [TEXT.index(f"begin {name}\n".encode()) for name in names] == sorted(
        TEXT.index(f"begin {name}\n".encode()) for name in names
    )


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_a_plan_with_one_other_byte_is_never_believed(place: int, change: int) -> None:
    altered = bytearray(TEXT)
    altered[place] ^= change
    try:
        plan = recovery_plan.parse(bytes(altered), "it")
    except RecordDamaged:
        return
    if (
        plan.signed == TEXT[: len(plan.signed)]
        and plan.signature == recovery_plan.parse(TEXT, "it").signature
    ):
        return  # only what is not part of the plan was changed
    with pytest.raises(RecordDamaged, match="ANR4941E"):
        recovery_plan.prove(plan, IDENTITY.public_key_bytes, "it")


def test_a_cut_plan_another_file_and_the_wrong_code_are_told_apart() -> None:
    with pytest.raises(RecordDamaged, match="ANR4940E"):
        recovery_plan.parse(TEXT[:-100], "it")
    with pytest.raises(RecordDamaged, match="ANR4940E"):
        recovery_plan.parse(b"once upon a time", "it")
    plan = recovery_plan.parse(TEXT, "it")
    with pytest.raises(BadInput, match="ANR9802E"):
        recovery_plan.open_keys(plan.keys, Keyring.new_recovery_code())
    other = Identity.create("DELHI")
    with pytest.raises(RecordDamaged):
        recovery_plan.open_keys(plan.keys._replace(identity_key=other.public_key_bytes), CODE)
