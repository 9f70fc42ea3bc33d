"""The recovery code as people write it down: 28 characters in groups of four, which catch typing errors.

26 characters carry 130 random bits, the last two make the whole, read as a number in base 32, divisible by 1021
(a prime; as ISO 7064 does it). So every single wrong character and every swap of two is found, and other errors
with 99.9 %. Crockford's alphabet: no I, L, O, U; what looks alike is read alike.
"""

from __future__ import annotations

import secrets
from typing import Final

from farvault.base.errors import BadInput

CODE_CHARACTERS: Final = 28
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKE: Final = str.maketrans("OIL", "011")
_PRIME: Final = 1021
_CHECK_SPACE: Final = 32**2
_RANDOM_BITS: Final = 130


def new_code() -> str:
    """A new random code, to be shown once."""
    number = secrets.randbits(_RANDOM_BITS) * _CHECK_SPACE
    number += -number % _PRIME
    text = "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(CODE_CHARACTERS)))
    return "-".join(text[i : i + 4] for i in range(0, CODE_CHARACTERS, 4))


def parse_code(text: str) -> bytes:
    """The code's 26 significant characters as bytes, whatever its case, spaces and dashes.

    `BadInput` that says what is wrong: a character that cannot be, the length, or the check.
    """
    letters = "".join(text.split()).replace("-", "").upper().translate(_LOOK_ALIKE)
    for letter in letters:
        if letter not in _ALPHABET:
            raise BadInput("ANR9801E", reason=f"it has a character {letter!r}, which no code has")
    if len(letters) != CODE_CHARACTERS:
        raise BadInput("ANR9801E", reason=f"it has {len(letters)} characters instead of {CODE_CHARACTERS}")
    number = 0
    for letter in letters:
        number = number * 32 + _ALPHABET.index(letter)
    if number % _PRIME:
        raise BadInput("ANR9801E", reason="a character is mistyped or two are swapped")
    return letters[:-2].encode("ascii")
