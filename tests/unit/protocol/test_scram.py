"""Password verifiers: text form, forbidden characters, and the time a sign-on costs."""

from __future__ import annotations

import time

import pytest

from farvault.base.errors import BadInput
from farvault.protocol.scram import ITERATIONS, decoy_verifier, make_verifier, parse_verifier, password_fits


def test_a_verifier_survives_its_text() -> None:
    text = make_verifier("secret")
    assert text.startswith(f"SCRAM-SHA-256${ITERATIONS}:")
    assert parse_verifier(text).to_text() == text
    assert "secret" not in text


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert make_verifier("secret") != make_verifier("secret")


def test_a_password_at_hand_can_be_checked() -> None:
    verifier = parse_verifier(make_verifier("s\u00e9cret"))
    assert password_fits("s\u00e9cret", verifier)
    assert password_fits("se\u0301cret", verifier), "the same letters, composed differently"
    assert not password_fits("secret", verifier)
    assert not password_fits("\0", verifier)


def test_nothing_fits_a_decoy() -> None:
    decoy = decoy_verifier(b"k" * 32, "OSAKA")
    assert decoy == decoy_verifier(b"k" * 32, "OSAKA")
    assert not password_fits("", decoy)


def test_a_password_that_cannot_be_typed_twice_is_refused() -> None:
    with pytest.raises(BadInput):
        make_verifier("a\0b")


@pytest.mark.parametrize(
    "text", ["", "SCRAM", "SCRAM-SHA-1$1:AA==$AA==:AA==", "SCRAM-SHA-256$x:AA==$AA==:AA==", "a$b$c"]
)
def test_a_text_that_is_no_verifier_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_verifier(text)


def test_a_sign_on_stays_cheap() -> None:
    verifier = parse_verifier(make_verifier("secret"))
    started = time.process_time()
    for _ in range(5):
        password_fits("secret", verifier)
    assert (time.process_time() - started) / 5 < 0.02
