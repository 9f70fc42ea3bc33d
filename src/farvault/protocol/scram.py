"""SCRAM-SHA-256-PLUS as Farvault uses it: the password verifier and its text form, over the `scramp` package.

What a server keeps of a password is salt, iterations, stored key and server key (RFC 5802); none of it lets
anybody sign on. 16,384 iterations cost the client about 3 ms at sign-on and the server nothing, since it only
compares; a guess from a stolen catalog costs the same 3 ms. Sessions are opened often (one for each command), so
no slower function is used: a catalog's thief gets sealed records whatever the passwords are.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Final, NamedTuple

from scramp import ScramException, ScramMechanism

from farvault.base.errors import BadInput

MECHANISM: Final = "SCRAM-SHA-256-PLUS"
BINDING: Final = "tls-server-end-point"
"""The binding's name in the SCRAM text; its data is the transcript hash (`login.py`), which covers more."""
ITERATIONS: Final = 16_384
ITERATIONS_MAX: Final = 1_000_000
"""More than a client will compute for a server that asks for it."""


class Verifier(NamedTuple):
    """What a server stores of a password."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def to_text(self) -> str:
        """`SCRAM-SHA-256$iterations:salt$stored key:server key`, base64: one column of the catalog."""
        salt, stored, server = (
            b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def make_verifier(password: str, salt: bytes | None = None) -> str:
    """The text to store for a password, with fresh salt if none is given. `BadInput` for characters no password may have."""
    try:
        salt, stored_key, server_key, iterations = ScramMechanism(MECHANISM).make_auth_info(
            password, ITERATIONS, salt
        )
    except ScramException:
        raise BadInput("ANR0448E") from None
    return Verifier(salt, iterations, stored_key, server_key).to_text()


def parse_verifier(text: str) -> Verifier:
    """The stored text back. `ValueError` where it is not one."""
    method, cost, keys = text.split("$")
    iterations, salt = cost.split(":")
    stored_key, server_key = keys.split(":")
    if method != "SCRAM-SHA-256":
        raise ValueError(method)
    parts = [b64decode(part, validate=True) for part in (salt, stored_key, server_key)]
    return Verifier(parts[0], int(iterations), parts[1], parts[2])


def decoy_verifier(key: bytes, name: str) -> Verifier:
    """What an unknown name is answered with: the same salt at every try, and no password fits."""

    def part(purpose: str) -> bytes:
        return hmac.digest(key, f"farvault decoy {purpose}\0{name}".encode(), hashlib.sha256)

    return Verifier(part("salt"), ITERATIONS, part("stored key"), part("server key"))


def password_fits(password: str, verifier: Verifier) -> bool:
    """Check a password that is at hand, for example when an administrator types the old one."""
    try:
        _, stored_key, _, _ = ScramMechanism(MECHANISM).make_auth_info(
            password, verifier.iterations, verifier.salt
        )
    except ScramException:
        return False
    return hmac.compare_digest(stored_key, verifier.stored_key)
