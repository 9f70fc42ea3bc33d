"""Who a server is: an Ed25519 key made at init, with a certificate it signed itself. Pinned by fingerprint.

The same key signs receipts and proves a source at its target. The verification code is a second, separate key:
derived from a 256-bit secret that never leaves the source, proved by signature.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from farvault.base.errors import RecordDamaged
from farvault.seal.digest import derive_key

CODE_BYTES: Final = 32
_LIFETIME: Final = datetime.timedelta(days=3653)
_CLOCK_ERROR: Final = datetime.timedelta(days=2)
_CODE_CONTEXT: Final = "farvault verification code: identity key"


class Identity:
    """A private key and its certificate."""

    def __init__(self, private_key: Ed25519PrivateKey, certificate: x509.Certificate) -> None:
        self._private_key = private_key
        self._certificate = certificate

    @classmethod
    def create(cls, common_name: str, now: datetime.datetime | None = None) -> Identity:
        """A new key and a certificate for ten years. `common_name`: the server's name, at most 64 characters."""
        private_key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        start = (now or datetime.datetime.now(datetime.UTC)) - _CLOCK_ERROR  # a peer's clock may be behind
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(private_key, None)
        )
        return cls(private_key, certificate)

    @classmethod
    def from_pem(cls, private_pem: bytes, certificate_pem: bytes) -> Identity:
        """`RecordDamaged` where these are not an Ed25519 key and its own certificate."""
        try:
            private_key = serialization.load_pem_private_key(private_pem, None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            same = certificate.public_key() == private_key.public_key()
        except (ValueError, TypeError) as error:
            raise RecordDamaged("ANR9803E", reason=f"the server's identity does not open: {error}") from None
        if not isinstance(private_key, Ed25519PrivateKey) or not same:
            raise RecordDamaged("ANR9803E", reason="the server's key and certificate do not belong together")
        return cls(private_key, certificate)

    @property
    def common_name(self) -> str:
        return str(self._certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def private_pem(self) -> bytes:
        """The key in the clear (PKCS 8), for a file only the server may read."""
        return self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def certificate_pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.DER)

    @property
    def public_key_bytes(self) -> bytes:
        """32 bytes."""
        return self._private_key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._private_key.sign(data)


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 of the certificate as people compare it: `AA:BB:...`."""
    return hashlib.sha256(certificate_der).digest().hex(":").upper()


def key_fingerprint(public_key_bytes: bytes) -> str:
    """SHA-256 of an identity key as people compare it: what a target can show of a source that it never dialled."""
    return hashlib.sha256(public_key_bytes).digest().hex(":").upper()


def same_fingerprint(seen: str, expected: str) -> bool:
    """Are these one fingerprint, whatever the case and separators it was typed with?"""
    one, other = (re.sub(r"[^0-9A-F]", "", text.upper()) for text in (seen, expected))
    return len(one) == 64 and secrets.compare_digest(one, other)


def certificate_key_bytes(certificate_der: bytes) -> bytes:
    """The Ed25519 public key inside a certificate; b'' where there is none."""
    try:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
    except ValueError:
        return b""
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""


def verify(public_key_bytes: bytes, signature: bytes, data: bytes) -> bool:
    """Is this the key's signature over the data? False for anything malformed."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key_bytes).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def new_code() -> bytes:
    """A new verification code: 32 random bytes."""
    return secrets.token_bytes(CODE_BYTES)


def code_identity(code: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The code's public key (32 bytes: what a target registers) and the function that signs with it."""
    if len(code) != CODE_BYTES:
        raise ValueError(f"a verification code has {CODE_BYTES} bytes")
    private_key = Ed25519PrivateKey.from_private_bytes(derive_key(_CODE_CONTEXT, code))
    return private_key.public_key().public_bytes_raw(), private_key.sign
