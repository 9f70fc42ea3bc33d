"""A server knows its own sealed records again, however many other servers have wrapped them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from farvault.base.disk import aligned_buffer
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackBuilder
from farvault.seal.record import STORED_MAX_BYTES, RecordKind, seal
from farvault.storage.own_data import LONGEST_WAY, is_own_data

OURS, THEIRS = Keyring.create(), Keyring.create()
ROOM = aligned_buffer(STORED_MAX_BYTES)
CONTENT = b"what only we can read" * 1000


def sealed(
    keyring: Keyring | None, content: bytes = CONTENT, kind: RecordKind = RecordKind.AGGREGATE
) -> bytes:
    into = bytearray(STORED_MAX_BYTES)
    header = seal(
        memoryview(into), [content], kind=kind, codec=RAW, plain_bytes=len(content), keyring=keyring
    )
    return bytes(into[: header.stored_bytes])


def wrapped(record: bytes, times: int = 1) -> bytes:
    """As a target keeps it for somebody."""
    for _ in range(times):
        pack = PackBuilder("NODE", "ADSM.SERVER", 1, "STANDARD")
        pack.add_extent(digest(record), record)
        record = sealed(None, b"".join(map(bytes, pack.parts())))
    return record


@pytest.mark.parametrize("servers", [1, 2, 3, LONGEST_WAY])
@pytest.mark.parametrize("kind", [RecordKind.AGGREGATE, RecordKind.DATABASE, RecordKind.PLAN])
def test_our_own_record_is_known_in_all_its_wrappings(servers: int, kind: RecordKind) -> None:
    assert is_own_data(wrapped(sealed(OURS, kind=kind), servers), OURS, ROOM)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sealed(THEIRS),
        lambda: wrapped(sealed(THEIRS)),
        lambda: wrapped(sealed(THEIRS), 3),
        lambda: sealed(None),
        lambda: wrapped(sealed(None)),
        lambda: wrapped(sealed(OURS), LONGEST_WAY + 1),
        lambda: wrapped(sealed(OURS)[:-4096]),
        lambda: wrapped(b"\0" * 8192),
        lambda: wrapped(bytes(reversed(sealed(OURS)))),
        lambda: sealed(None, b"\xff" * 100),
        lambda: sealed(None, b"", RecordKind.LABEL),
    ],
    ids=[
        "theirs",
        "theirs wrapped",
        "theirs on a long way",
        "not sealed",
        "nothing sealed inside",
        "too long a way",
        "cut short",
        "nothing",
        "garbage",
        "no pack",
        "a label",
    ],
)
def test_anything_else_is_not_ours(make: Callable[[], bytes]) -> None:
    assert not is_own_data(make(), OURS, ROOM)
