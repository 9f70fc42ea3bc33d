"""Rot in a volume: every flipped byte of every kind of record is found by AUDIT VOLUME and named; FULL opens them too.

The suite samples 20,000 bytes of a small volume, one in each record at a time; `make soak` tries every byte three times.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.grid.vaults import sealed_record
from tests.unit.processes.depot_work import run, said
from tests.unit.storage.depot import Depot, some_bytes, some_files

from farvault.catalog.placements import PlacementRow
from farvault.media import receipt as receipts
from farvault.processes.audit_volume import audit_volume
from farvault.processes.process import Process, State
from farvault.seal.keyring import Keyring
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.vault import Segment, Vault

SAMPLES = 20_000
Change = Callable[[int], int]
CHANGES: tuple[Change, ...] = (lambda byte: byte ^ 1, lambda byte: byte ^ 128, lambda byte: 0)


def keep_records_of_another_server(depot: Depot) -> None:
    node = depot.node("BOB")
    keeper = Vault(depot.storage, depot.storage.destination("TAPEPOOL"), "STANDARD", node.id, node.name)
    segment = Segment(keeper, "V", 0, lambda *_: None, lambda *_: None)
    digests, size = [], 0
    for seed in range(3):
        record, address = sealed_record(seed, 5000)
        buffer = depot.storage.buffers.take()
        buffer[: record.nbytes] = record
        segment.store(address, buffer[: record.nbytes], buffer)
        digests.append(address)
        size += record.nbytes
    segment.close(size, len(digests), receipts.contents_digest(digests))


def audited(depot: Depot, *, full: bool = False) -> Process:
    (volume,) = depot.volumes()
    return run(depot, lambda process: audit_volume(depot.storage, process, volume.name, full=full))


@pytest.fixture
def filled(depot: Depot) -> Depot:
    """A volume of about 128 KiB: its label, sealed records that are compressed or raw, wrapped ones of another server."""
    for number in range(8):
        depot.send({f"raw{number}": some_bytes(number, 7000)})
        depot.send({f"text{number}": b"%d likes to be compressed. " % number * 400})
    keep_records_of_another_server(depot)
    assert audited(depot).state is State.SUCCESS
    return depot


class Rotting:
    """Puts changed bytes on the disk and looks which records the audit names."""

    def __init__(self, depot: Depot) -> None:
        self.depot = depot
        self.rows = depot.placed("TAPEPOOL")
        self.path = Path(self.rows[0].volume_name)
        self.whole = self.path.read_bytes()

    def found(self, changes: dict[int, int]) -> tuple[set[int], bool]:
        """Offset -> new byte; returns the offsets of the records named, and whether the label was."""
        bad = bytearray(self.whole)
        for at, value in changes.items():
            bad[at] = value
        self.path.write_bytes(bad)
        del self.depot.said[:]
        process = audited(self.depot)
        named = {
            int(line.message.text.split("offset ")[1].split()[0])
            for line in self.depot.said
            if line.message.id == "ANR2316W"
        }
        label = "ANR2319W" in self.depot.messages()
        assert process.state is State.FAILURE
        assert process.failed_objects == len(named) + label
        return named, label

    def records(self) -> Iterator[tuple[int, int]]:
        yield from ((row.offset_bytes, row.stored_bytes) for row in self.rows)


def test_twenty_thousand_changed_bytes_are_all_found_and_named(filled: Depot) -> None:
    rotting = Rotting(filled)
    chance = random.Random(4)
    records = list(rotting.records())
    assert 96 << 10 < len(rotting.whole) < 160 << 10
    for _ in range(SAMPLES // (len(records) + 1)):
        change = chance.choice(CHANGES)
        changes, expected = {}, set()
        for offset, length in records:
            at = offset + chance.randrange(length)
            if change(rotting.whole[at]) != rotting.whole[at]:
                changes[at] = change(rotting.whole[at])
                expected.add(offset)
        at = chance.randrange(LABEL_BYTES)
        changes[at] = rotting.whole[at] ^ 1
        assert rotting.found(changes) == (expected, True), changes


@pytest.mark.soak
def test_every_changed_byte_is_found_and_named(filled: Depot) -> None:
    rotting = Rotting(filled)
    for offset, length in [(0, LABEL_BYTES), *rotting.records()]:
        for at in range(offset, offset + length):
            for value in {change(rotting.whole[at]) for change in CHANGES} - {rotting.whole[at]}:
                assert rotting.found({at: value}) == (({offset} if offset else set()), not offset)


def test_a_volume_without_its_label_never_ends_with_success(filled: Depot) -> None:
    rotting = Rotting(filled)
    assert rotting.found({0: 0}) == (set(), True)


# --- FULL=YES -----------------------------------------------------------------------------------------------------------


def test_in_full_every_record_is_opened_and_a_good_volume_is_good(filled: Depot) -> None:
    process = audited(filled, full=True)
    assert (process.state, process.objects) == (State.SUCCESS, len(filled.placed("TAPEPOOL")))


def test_in_full_damage_is_found_as_well(filled: Depot) -> None:
    rotting = Rotting(filled)
    bad: PlacementRow = rotting.rows[2]
    rotting.path.write_bytes(_flipped(rotting.whole, bad.offset_bytes + 200))
    process = audited(filled, full=True)
    assert process.failed_objects == 1
    assert f"offset {bad.offset_bytes} is damaged" in said(filled, "ANR2316W").text


def test_what_does_not_open_is_said_and_neither_marked_nor_deleted(depot: Depot) -> None:
    """Its bytes are right: no copy would be better."""
    depot.send(some_files(4, 100_000))
    depot.storage.keyring = Keyring.create()  # the key is lost
    (volume,) = depot.volumes()
    process = run(depot, lambda one: audit_volume(depot.storage, one, volume.name, fix=True, full=True))
    rows = depot.placed("TAPEPOOL")
    assert (process.state, process.failed_objects) == (State.FAILURE, len(rows))
    assert "does not open" in said(depot, "ANR4740E").text
    assert not any(row.damaged for row in rows)
    assert len(depot.inventory()) == 4
    depot.storage.keyring = depot.keyring


def test_an_extent_that_the_record_does_not_hold_is_found_in_full(depot: Depot) -> None:
    """The record is whole and opens, but is not what the catalog says."""
    depot.send(some_files(2, 50_000))
    with depot.catalog.read() as r:
        *kept, digest, _ = r.all("SELECT * FROM extents ORDER BY id")[0]

    def set_digest(value: bytes) -> None:
        with depot.catalog.write() as tx:
            row_digest = tx.digester.of("extents", (*kept, value))
            tx.run("UPDATE extents SET digest = ?, row_digest = ? WHERE id = ?", (value, row_digest, kept[0]))

    set_digest(b"w" * 32)
    assert audited(depot).state is State.SUCCESS
    assert audited(depot, full=True).state is State.FAILURE
    assert "is not in it" in said(depot, "ANR4740E").text
    set_digest(digest)


def _flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
