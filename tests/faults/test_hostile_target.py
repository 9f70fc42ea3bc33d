"""A target that lies, stalls or floods: nothing false reaches a client, its volumes are marked, other copies are used."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from tests.faults.lying_target import (
    raw,
    receipts_changed,
    record_frame,
    records_changed,
    records_sent_raw,
    signed_by,
)
from tests.grid.grid_server import GridServer
from tests.grid.vaults import file_bytes, restored, sealed_record, store_files

from farvault.base.errors import NotAvailable
from farvault.catalog import kept_receipts, nouns, placements, target_truth
from farvault.media import server as server_device
from farvault.media import target
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes import reconcile_volumes as reconciling
from farvault.protocol.messages import Body
from farvault.protocol.truth import (
    Challenge,
    Inventory,
    InventoryRow,
    Proofs,
    QueryInventory,
    QueryReceipts,
    Receipts,
    ReconcileDone,
)
from farvault.protocol.virtual_volumes import RecordAnswer, VerifyAnswer, Volumes
from farvault.seal.identity import Identity
from farvault.sessions import source, source_truth
from farvault.transport.connection import Connection

SEEDS = tuple(range(5))
MIB = 1 << 20
COPY = "backup stgpool tapepool targetcopypool wait=yes"


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With a copy pool on files, too."""
    delhi.admin("define stgpool shelfpool tapeclass pooltype=copy maxscratch=20")
    return delhi


@pytest.fixture
def ids(delhi: GridServer) -> list[int]:
    """Files with a copy at TOKYO and one on a shelf; the tapes are gone."""
    numbers = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin("backup stgpool tapepool shelfpool wait=yes")
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    delhi.server.devices.forget()  # the next session is a new one, with a target that may have changed its mind
    return numbers


def right(ids: list[int]) -> dict[int, bytes]:
    return {number: file_bytes(seed, MIB) for number, seed in zip(ids, SEEDS, strict=True)}


def is_suspect(delhi: GridServer) -> bool:
    """Everything read at TOKYO is marked: the record damaged, or the whole volume UNAVAILABLE."""
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TARGETCOPYPOOL")
        for volume in nouns.select(r, Volume, pool_id=pool.id):
            lying = placements.on_volume(r, volume.id)
            if volume.access != "UNAVAILABLE" and not all(row.damaged for row in lying):
                return False
    return True


class Previous:
    """Instead of each record the one before it: whole, with its own digest, only not the one asked for."""

    def __init__(self) -> None:
        self._last = bytes(sealed_record(1, MIB)[0])

    def __call__(self, record: bytes) -> bytes:
        self._last, answer = record, self._last
        return answer[: len(record)].ljust(len(record), b"\0")


def flipped(record: bytes) -> bytes:
    return record[:5000] + bytes([record[5000] ^ 1]) + record[5001:]


LIES: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "flipped": lambda: flipped,
    "swapped": Previous,
    "truncated": lambda: lambda record: record[:-4096],
    "longer": lambda: lambda record: record + bytes(4096),
    "another volume's": lambda: lambda record: bytes(sealed_record(9, MIB)[0])[: len(record)],
    "an older generation's": lambda: lambda record: bytes(sealed_record(7, len(record) - 4096)[0]),
    "empty": lambda: lambda record: b"",
    "zeros": lambda: lambda record: bytes(len(record)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_false_record_is_refused_marked_and_read_from_another_copy(
    delhi: GridServer, ids: list[int], lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with records_changed(monkeypatch, LIES[lie]()) as sent:
        assert restored(delhi, ids) == right(ids), "from the shelf"
        assert sent, "TOKYO was asked"
        assert is_suspect(delhi)
        delhi.admin("update volume * access=unavailable wherestgpool=shelfpool")
        assert restored(delhi, ids) == {}, "nothing rather than something false"
    assert restored(delhi, ids) == right(ids), "once it tells the truth its copies are good again"


def oversized(connection: Connection, record: memoryview) -> None:
    raw(connection, struct.pack("<IIHHI", 1, 1 << 31, 109, 0, 0) + b"\x80")


def too_long_for_the_buffer(connection: Connection, record: memoryview) -> None:
    raw(connection, struct.pack("<IIHHI", 1, 6 << 20, 109, 0, 0) + b"\x80")


def malformed(connection: Connection, record: memoryview) -> None:
    raw(connection, struct.pack("<IIHHI", 8, 0, 109, 0, 0) + b"\xff" * 8)


def unknown_verb(connection: Connection, record: memoryview) -> None:
    raw(connection, struct.pack("<IIHHI", 1, 0, 999, 0, 0) + b"\x80")


def another_answer(connection: Connection, record: memoryview) -> None:
    connection.send(Volumes(rows=(), last=True))


@pytest.mark.parametrize(
    "send", [oversized, too_long_for_the_buffer, malformed, unknown_verb, another_answer]
)
def test_an_answer_against_the_protocol_ends_the_session_and_another_copy_is_read(
    delhi: GridServer,
    ids: list[int],
    send: Callable[[Connection, memoryview], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with records_sent_raw(monkeypatch, send):
        assert restored(delhi, ids) == right(ids)
    assert is_suspect(delhi)
    assert "ANR0446W" in delhi.lines.ids


def nothing(connection: Connection, record: memoryview) -> None:
    """The answer never comes."""


def half_a_frame(connection: Connection, record: memoryview) -> None:
    raw(connection, record_frame(MIB) + b"x" * 100)


@pytest.mark.parametrize("send", [nothing, half_a_frame])
def test_an_answer_that_does_not_come_is_waited_for_only_so_long(
    delhi: GridServer,
    ids: list[int],
    send: Callable[[Connection, memoryview], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "ANSWER_SECONDS", 0.2)
    honest = target.DefinedTarget.open_session

    def impatient(self: target.DefinedTarget) -> target.TargetSession:
        session = honest(self)
        session.connection.frame_seconds = 0.2
        return session

    monkeypatch.setattr(target.DefinedTarget, "open_session", impatient)
    delhi.server.devices.forget()
    with records_sent_raw(monkeypatch, send):
        assert restored(delhi, ids) == right(ids)
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TARGETCOPYPOOL")
        assert {one.access for one in nouns.select(r, Volume, pool_id=pool.id)} == {"READWRITE"}, (
            "it may come back"
        )


def test_answers_nobody_asked_for_spoil_nothing_for_those_who_ask_next(
    delhi: GridServer, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def flood(connection: Connection, record: memoryview) -> None:
        connection.send(RecordAnswer(), record)
        for _ in range(20):
            connection.send(RecordAnswer(), record[:4096])

    with records_sent_raw(monkeypatch, flood):
        assert restored(delhi, ids) == right(ids)
    delhi.admin("update volume * access=readwrite wherestgpool=targetcopypool")
    delhi.admin("update volume * access=unavailable wherestgpool=shelfpool")
    assert restored(delhi, ids) == right(ids)


# --- receipts ----------------------------------------------------------------------------------------------------------

FALSE_RECEIPTS: dict[str, Callable[[Any], Any]] = {
    "other bytes": lambda r: msgspec.structs.replace(r, stored_bytes=r.stored_bytes + 4096),
    "another volume": lambda r: msgspec.structs.replace(r, volume="ADSM.OTHER"),
    "another digest": lambda r: msgspec.structs.replace(r, digest=bytes(32)),
    "another epoch": lambda r: msgspec.structs.replace(r, epoch=7),
    "no signature": lambda r: msgspec.structs.replace(r, signature=b""),
    "another key": lambda r: signed_by(Identity.create("MALLORY"), r),
    "a later time": lambda r: msgspec.structs.replace(r, received_time=r.received_time + 1),
}


@pytest.mark.parametrize("name", FALSE_RECEIPTS)
def test_a_false_receipt_is_none(delhi: GridServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = store_files(delhi, *SEEDS)
    with receipts_changed(monkeypatch, FALSE_RECEIPTS[name]):
        assert "ANR4804E" in delhi.admin(COPY, allow=(4,)).text
    with delhi.server.catalog.read() as r:
        assert kept_receipts.volumes_here(r, ["TARGETCLASS"]) == [], "nothing counts as copied"
    delhi.server.devices.forget()  # the next session is with one that tells the truth
    delhi.admin(COPY)
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert restored(delhi, ids) == right(ids)


def test_a_receipt_that_does_not_name_the_one_before_it_is_refused(
    delhi: GridServer, tokyo: GridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    store_files(delhi, 50)
    delhi.server.devices.forget()

    def forked(receipt: Any) -> Any:
        return signed_by(tokyo.server.identity, msgspec.structs.replace(receipt, previous=bytes(32)))

    with receipts_changed(monkeypatch, forked):
        said = delhi.admin(COPY, allow=(4,)).text
    assert "does not name the one before it" in said


# --- questions -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def answering(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[type[Body], Callable[[Body], Body]], None]]:
    """`answering(verb, answer)`: what TOKYO says to a question of its sources from now on."""
    changed: dict[type[Body], Callable[[Body], Body]] = {}
    honest = source_truth.answers

    def lie(session: Any, volumes: Any) -> Any:
        return {**honest(session, volumes), **changed}

    monkeypatch.setattr(source_truth, "answers", lie)
    yield changed.__setitem__


RECONCILE = "reconcile volumes fix=yes wait=yes"


def false_inventories() -> dict[str, Callable[[Body], Body]]:
    row = InventoryRow("ADSM.A", False, 4096, 1, bytes(32), 1)

    def never_last(body: Any) -> Body:
        return Inventory(rows=(msgspec.structs.replace(row, volume=f"{body.after or 'ADSM.'}x"),), last=False)

    return {
        "out of order": lambda _: Inventory(
            rows=(msgspec.structs.replace(row, volume="ADSM.B"), row), last=True
        ),
        "the same again": lambda _: Inventory(rows=(row,), last=False),
        "empty without end": lambda _: Inventory(rows=(), last=False),
        "without end": never_last,
    }


@pytest.mark.parametrize("name", false_inventories())
def test_a_false_inventory_ends_the_reconcile_and_marks_nothing(
    delhi: GridServer, ids: list[int], name: str, answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "VOLUMES_MAX", 200)
    answering(QueryInventory, false_inventories()[name])
    said = delhi.admin(RECONCILE, allow=(4,)).text
    assert "ANR4881E" in said
    with delhi.server.catalog.read() as r:
        assert target_truth.reconciliations(r, target_truth.server_id(r, "TOKYO")) == []


def test_an_inventory_that_hides_everything_costs_no_data(
    delhi: GridServer, ids: list[int], answering: Any
) -> None:
    answering(QueryInventory, lambda _: Inventory(rows=(), last=True))
    delhi.admin(RECONCILE, allow=(4,))
    delhi.admin("update volume * access=readwrite wherestgpool=targetcopypool")
    delhi.admin("update volume * access=unavailable wherestgpool=shelfpool")
    assert restored(delhi, ids) == right(ids), "volumes become UNAVAILABLE, nothing is deleted"


def test_a_target_that_does_not_believe_us_is_told_of_and_nothing_is_marked_there(
    delhi: GridServer, ids: list[int], answering: Any
) -> None:
    def refuse(_: Body) -> Body:
        raise NotAvailable("ANR0530W")

    answering(ReconcileDone, refuse)
    said = delhi.admin(RECONCILE).text
    assert "ANR4886W" in said and "was not told that all is well" in said


@pytest.mark.parametrize("answers", [b"", bytes(32), b"x" * 32, bytes(64)])
def test_a_false_proof_is_a_missed_challenge_or_a_broken_protocol(
    delhi: GridServer, ids: list[int], answering: Any, answers: bytes
) -> None:
    answering(Challenge, lambda _: Proofs(answers=answers))
    said = delhi.admin("challenge server tokyo count=3 wait=yes", allow=(4,)).text
    assert ("ANR4888E" if len(answers) == 32 else "ANR4881E") in said


def test_a_false_head_is_no_head(
    delhi: GridServer, tokyo: GridServer, ids: list[int], answering: Any
) -> None:
    answering(QueryReceipts, lambda _: Receipts(last=99, receipts=()))
    assert "ANR4881E" in delhi.admin("ping server tokyo", allow=(14,)).text
    answering(QueryReceipts, lambda _: Receipts(last=99, receipts=(b"something else",)))
    assert "rolled back" in delhi.admin("ping server tokyo").text


@pytest.mark.parametrize(
    "endless", [Volumes(rows=(), last=False), VerifyAnswer(records=1, stored_bytes=1, damaged=(), last=False)]
)
def test_a_list_without_end_is_not_listened_to_for_ever(
    delhi: GridServer, ids: list[int], endless: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_device, "ANSWERS_MAX", 50)

    def flood(self: Any, body: Body) -> Body:
        for _ in range(60):
            self._connection.send(endless)
        return endless

    monkeypatch.setattr(source._Source, "_query_volumes", flood)
    monkeypatch.setattr(source._Source, "_verify_volume", flood)
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TARGETCOPYPOOL")
        name = nouns.select(r, Volume, pool_id=pool.id)[0].name
    if isinstance(endless, VerifyAnswer):
        assert "ANR4881E" in delhi.admin(f"audit volume {name} wait=yes", allow=(4,)).text
    else:
        said = delhi.admin("define volume targetcopypool delhi.new wait=yes", allow=(4,)).text
        assert "ANR4881E" in said
