"""Identities: kept as PEM, sign, and serve TLS 1.3; the verification code is a key of its own."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from farvault.base.errors import RecordDamaged
from farvault.seal import identity
from farvault.seal.identity import Identity


def test_an_identity_comes_back_from_its_pem() -> None:
    delhi = Identity.create("DELHI")
    again = Identity.from_pem(delhi.private_pem, delhi.certificate_pem)
    assert again.common_name == "DELHI"
    assert again.certificate_der == delhi.certificate_der
    assert (
        again.public_key_bytes
        == delhi.public_key_bytes
        == identity.certificate_key_bytes(delhi.certificate_der)
    )
    assert identity.verify(delhi.public_key_bytes, again.sign(b"text"), b"text")


def test_a_certificate_is_good_for_ten_years_and_for_a_clock_that_is_behind() -> None:
    now = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)
    certificate = x509.load_der_x509_certificate(Identity.create("DELHI", now).certificate_der)
    assert certificate.not_valid_before_utc == now - datetime.timedelta(days=2)
    assert certificate.not_valid_after_utc > now + datetime.timedelta(days=3650)


def test_a_key_without_its_own_certificate_is_refused() -> None:
    one, other = Identity.create("ONE"), Identity.create("OTHER")
    with pytest.raises(RecordDamaged, match="do not belong together"):
        Identity.from_pem(one.private_pem, other.certificate_pem)
    for key, certificate in (
        (b"x", one.certificate_pem),
        (one.private_pem, b"x"),
        (one.certificate_pem, b""),
    ):
        with pytest.raises(RecordDamaged, match="does not open"):
            Identity.from_pem(key, certificate)


def test_a_fingerprint_is_64_hex_digits_with_colons_and_compares_as_typed() -> None:
    seen = identity.fingerprint(Identity.create("DELHI").certificate_der)
    assert len(seen) == 95
    assert seen == seen.upper()
    assert identity.same_fingerprint(seen, seen.lower().replace(":", ""))
    assert not identity.same_fingerprint(seen, identity.fingerprint(Identity.create("DELHI").certificate_der))
    assert not identity.same_fingerprint(seen, seen[:-1])
    assert not identity.same_fingerprint("", "")


def test_a_signature_counts_only_for_its_key_and_text() -> None:
    delhi, tokyo = Identity.create("DELHI"), Identity.create("TOKYO")
    signature = delhi.sign(b"text")
    assert identity.verify(delhi.public_key_bytes, signature, b"text")
    assert not identity.verify(delhi.public_key_bytes, signature, b"texts")
    assert not identity.verify(tokyo.public_key_bytes, signature, b"text")
    for key, wrong in (
        (b"", signature),
        (b"x" * 31, signature),
        (delhi.public_key_bytes, b""),
        (b"\xff" * 32, b"x" * 64),
    ):
        assert not identity.verify(key, wrong, b"text")


def test_the_verification_code_is_always_the_same_key() -> None:
    code = identity.new_code()
    public_key, sign = identity.code_identity(code)
    again, _ = identity.code_identity(code)
    other, _ = identity.code_identity(identity.new_code())
    assert public_key == again != other
    assert identity.verify(public_key, sign(b"transcript"), b"transcript")
    with pytest.raises(ValueError, match="32 bytes"):
        identity.code_identity(b"short")


def test_bytes_that_are_no_certificate_have_no_key() -> None:
    assert identity.certificate_key_bytes(b"x") == b""


def test_the_certificate_serves_tls_1_3(tmp_path: Path) -> None:
    delhi = Identity.create("DELHI")
    (tmp_path / "key.pem").write_bytes(delhi.private_pem)
    (tmp_path / "certificate.pem").write_bytes(delhi.certificate_pem)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.minimum_version = ssl.TLSVersion.TLSv1_3
    server_context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    assert client.version() == "TLSv1.3"
    assert client.getpeercert(binary_form=True) == delhi.certificate_der
