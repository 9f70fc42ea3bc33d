"""Pages of a database backup become a database file: what restoring and drills share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import msgspec

from farvault.base.disk import NO_ROOM, remove_file
from farvault.base.errors import MediaFull, RecordDamaged
from farvault.catalog.image import CHUNK_PAGES, page_digests
from farvault.catalog.writer import PAGE_BYTES
from farvault.processes.backup_database import Manifest, unpack_pages
from farvault.seal.digest import digest
from farvault.seal.volume_end import VolumeEnd


def manifest_of(end: VolumeEnd) -> Manifest:
    try:
        return msgspec.msgpack.decode(end.body, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordDamaged(
            "ANR4904E", volume=end.volume, reason=f"it is no database backup: {error}"
        ) from None


def write_pages(descriptor: int, record: memoryview, manifest: Manifest, volume: str) -> int:
    """Runs of neighbours are written at once."""
    try:
        pages = list(unpack_pages(record, PAGE_BYTES))
    except (ValueError, IndexError) as error:
        raise RecordDamaged(
            "ANR4904E", volume=volume, reason=f"a page record is not whole: {error}"
        ) from None
    if not all(0 < number <= manifest.page_count for number, _ in pages):
        raise RecordDamaged("ANR4904E", volume=volume, reason="a page lies outside the database")
    body = record[len(record) - len(pages) * PAGE_BYTES :]
    start = 0
    for place in range(1, len(pages) + 1):
        if place == len(pages) or pages[place][0] != pages[place - 1][0] + 1:
            offset = (pages[start][0] - 1) * PAGE_BYTES
            _write_all(descriptor, body[start * PAGE_BYTES : place * PAGE_BYTES], offset)
            start = place
    return len(pages)


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        wrote = os.pwrite(descriptor, data, offset)
        data, offset = data[wrote:], offset + wrote


def check_root(descriptor: int, manifest: Manifest, volume: str) -> None:
    """What stands in the file now, read back: is it the database that was backed up?"""
    os.fsync(descriptor)
    digests = []
    for first in range(0, manifest.page_count, CHUNK_PAGES):
        count = min(CHUNK_PAGES, manifest.page_count - first)
        pages = os.pread(descriptor, count * PAGE_BYTES, first * PAGE_BYTES)
        digests.append(page_digests(memoryview(pages), PAGE_BYTES))
    if digest(b"".join(digests)) != manifest.root:
        raise RecordDamaged(
            "ANR4904E", volume=volume, reason="the pages do not make up the database it states"
        )


@contextlib.contextmanager
def written(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    except OSError as error:
        if error.errno in NO_ROOM:
            raise MediaFull("ANR0131E", path=path) from error
        raise
    finally:
        os.close(descriptor)


def remove_database(path: str) -> None:
    for suffix in ("", "-wal", "-shm", "-lock", "-replaying"):
        remove_file(path + suffix)
