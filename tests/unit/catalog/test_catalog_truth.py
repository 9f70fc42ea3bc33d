"""Receipts and questions kept with volumes, what is known of targets, and a target's inventory: rows in, rows out."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.catalog.catalog_world import World

from farvault.base.errors import NotFound, PeerMisbehaved
from farvault.catalog import audit, inventory, kept_receipts, nouns, placements, questions, target_truth
from farvault.catalog import vault as rows
from farvault.catalog.catalog import Catalog
from farvault.catalog.target_truth import FindingRow, Truth
from farvault.catalog.transaction import Transaction
from farvault.media import receipt as receipts
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.digest import digest, digest_parts
from farvault.seal.probe import Kept, Question

KIB = 1 << 10


class Far:
    """A world with a target: one pool of virtual volumes there."""

    def __init__(self, catalog: Catalog) -> None:
        self.world, self.catalog = World(catalog), catalog
        with catalog.write() as tx:
            self.server = nouns.insert(tx, Server(name="TOKYO", high_level_address="h", low_level_address=1))
            nouns.insert(tx, DeviceClass(name="T", device_type="SERVER", server_name="TOKYO"))
            pool = StoragePool(name="TARGETPOOL", device_class="T", variant="COPY", pool_type="COPY")
            self.pool = nouns.insert(tx, pool)

    def volume(self, tx: Transaction, name: str, written_bytes: int = 0, access: str = "READWRITE") -> int:
        volume = Volume(name=name, pool_id=self.pool, written_bytes=written_bytes, access=access)
        return nouns.insert(tx, volume)


@pytest.fixture
def far(catalog: Catalog) -> Far:
    return Far(catalog)


def signed(number: int, offset: int, size: int, previous: bytes = bytes(32)) -> tuple[Receipt, bytes]:
    receipt = Receipt(
        number=number,
        volume="ADSM.V",
        offset_bytes=offset,
        stored_bytes=size,
        records=size // KIB,
        digest=digest(b"%d %d" % (offset, size)),
        received_time=5,
        previous=previous,
        epoch=1,
    )
    return receipt, receipts.to_bytes(receipt)


def test_receipts_cover_a_volume_and_make_up_its_attributes(far: Far) -> None:
    first = signed(1, 0, 8 * KIB)
    second = signed(2, 8 * KIB, 4 * KIB, digest(first[1]))
    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", 12 * KIB)
        kept_receipts.keep(tx, volume, [first, second])
    with far.catalog.read() as r:
        (here,) = kept_receipts.volumes_here(r, ["T"])
        assert here == kept_receipts.volume_here(r, "V")
        assert [one.number for one in here.receipts] == [1, 2]
        assert here.attributes == (12 * KIB, 12, digest_parts([first[0].digest, second[0].digest]), 1)
        assert target_truth.truth(r, far.server) == Truth(far.server, 2, digest(second[1]))
        assert list(audit.check_row_digests(r)) == [] and list(audit.check_sums(r)) == []


def test_what_was_written_over_is_forgotten_with_its_questions(far: Far) -> None:
    def question(offset: int) -> Kept:
        return Kept(Question(offset, KIB, 0, 10, b"n" * 32), b"a" * 32)

    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", 8 * KIB)
        kept_receipts.keep(tx, volume, [signed(1, 0, 8 * KIB), signed(7, 8 * KIB, KIB)])
        far.world.aggregate(tx, b"needed", volume=volume)
        questions.OF_POOLS.keep(tx, volume, [question(0), question(8 * KIB)])
        kept_receipts.keep(tx, volume, [signed(9, 8 * KIB, 2 * KIB)])
        assert [one.number for one in kept_receipts.of_volume(tx, volume)] == [1, 9]
        assert questions.OF_POOLS.take(tx, volume, 5 * KIB) == question(0), "the only one left"
        assert questions.OF_POOLS.take(tx, volume, 0) is None, "it is used up"


def test_nothing_is_asked_about_what_is_needed_no_more_or_known_to_be_damaged(far: Far) -> None:
    def question(offset: int) -> Kept:
        return Kept(Question(offset, KIB, 0, 10, b"n" * 32), b"a" * 32)

    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", 64 * KIB)
        needed, _ = far.world.aggregate(tx, b"needed", volume=volume)
        damaged, _ = far.world.aggregate(tx, b"damaged", volume=volume)
        (first, second) = placements.on_volume(tx, volume)
        questions.OF_POOLS.keep(tx, volume, [question(first.offset_bytes), question(second.offset_bytes)])
        questions.OF_POOLS.keep(tx, volume, [question(32 * KIB)])
        placements.mark_damaged(tx, damaged, volume, True)
        assert questions.OF_POOLS.take(tx, volume, 32 * KIB) == question(first.offset_bytes)
        assert questions.OF_POOLS.take(tx, volume, 0) is None
        placements.mark_damaged(tx, damaged, volume, False)
        placements.remove(tx, needed, volume)
        assert questions.OF_POOLS.take(tx, volume, 0) == question(second.offset_bytes)


def test_receipts_and_questions_go_with_their_volume(far: Far) -> None:
    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", 8 * KIB)
        kept_receipts.keep(tx, volume, [signed(1, 0, 8 * KIB)])
        questions.OF_POOLS.keep(tx, volume, [Kept(Question(0, KIB, 0, 1, b"n" * 32), b"a" * 32)])
        nouns.delete(tx, nouns.get(tx, Volume, "V"))
        assert tx.one("SELECT (SELECT COUNT(*) FROM volume_receipts) + (SELECT COUNT(*) FROM probes)") == (0,)


def test_a_volume_of_our_own_disk_keeps_nothing(far: Far) -> None:
    with far.catalog.write() as tx:
        kept_receipts.keep(tx, far.world.volume, [signed(1, 0, KIB)])
        assert kept_receipts.of_volume(tx, far.world.volume) == []


def test_the_very_next_receipt_has_to_name_the_one_before(far: Far) -> None:
    first = signed(1, 0, KIB)
    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", KIB)
        kept_receipts.keep(tx, volume, [first])
        with pytest.raises(PeerMisbehaved, match="number 2 does not name"):
            kept_receipts.keep(tx, volume, [signed(2, KIB, KIB)])
        kept_receipts.keep(tx, volume, [signed(3, KIB, KIB)])  # another session has number 2
        target_truth.accept_head(tx, far.server, 1, first[1])
        kept_receipts.keep(tx, volume, [signed(2, 2 * KIB, KIB, digest(first[1]))])


def test_volumes_come_in_pages_by_name_and_without_data_not_at_all(far: Far) -> None:
    with far.catalog.write() as tx:
        for name in ("B", "A", "C", "D"):
            volume = far.volume(tx, name, KIB)
            kept_receipts.keep(tx, volume, [signed(1, 0, KIB)])
        far.volume(tx, "EMPTY")
        first = kept_receipts.volumes_here(tx, ["T"], limit=3)
        assert [one.name for one in first] == ["A", "B", "C"]
        assert [one.name for one in kept_receipts.volumes_here(tx, ["T"], "C")] == ["D"]
        assert kept_receipts.volumes_here(tx, ["OTHER"]) == []
        assert kept_receipts.volume_here(tx, "EMPTY") is None


def test_places_are_spread_over_the_bytes_of_readable_volumes(far: Far) -> None:
    with far.catalog.write() as tx:
        assert list(kept_receipts.random_places(tx, "TOKYO", [0.5])) == []
        one, three = far.volume(tx, "ONE", KIB), far.volume(tx, "THREE", 3 * KIB)
        far.volume(tx, "AWAY", 100 * KIB, access="UNAVAILABLE")
        positions = [0.0, 0.2, 0.25, 0.5, 0.999]
        assert list(kept_receipts.random_places(tx, "TOKYO", positions)) == [
            (one, 0),
            (one, 819),
            (three, 0),
            (three, KIB),
            (three, 3067),
        ]


def test_findings_are_kept_by_prefix_and_paged(far: Far) -> None:
    def finding(volume: str, kind: str = "no file", receipts_of: str = "1") -> FindingRow:
        return FindingRow(far.server, volume, "POOL", kind, "", 1, 0, receipts_of, "reported", 9)

    with far.catalog.write() as tx:
        target_truth.add_findings(tx, [finding("ADSM.B"), finding("ADSM.A", "no volume", ""), finding("X.A")])
        assert [one.volume for one in target_truth.findings(tx, far.server)] == ["ADSM.A", "ADSM.B", "X.A"]
        assert target_truth.broken_promises(tx, far.server) == 2
        behind = target_truth.findings_behind(tx, far.server, "ADSM.A", ("no file",), 1)
        assert [one.volume for one in behind] == ["ADSM.B"]
        target_truth.begin_findings(tx, far.server, "ADSM.")
        assert [one.volume for one in target_truth.findings(tx, far.server)] == ["X.A"]
        target_truth.begin_findings(tx, far.server, "")
        assert list(target_truth.findings(tx, far.server)) == []


def test_an_unknown_server_is_not_found(far: Far) -> None:
    with far.catalog.read() as r, pytest.raises(NotFound, match="ANR1650E"):
        target_truth.server_id(r, "NOBODY")


@pytest.mark.parametrize("table", ["volume_receipts", "probes", "target_truth"])
def test_a_changed_row_is_found(far: Far, table: str) -> None:
    with far.catalog.write() as tx:
        volume = far.volume(tx, "V", KIB)
        kept_receipts.keep(tx, volume, [signed(1, 0, KIB)])
        questions.OF_POOLS.keep(tx, volume, [Kept(Question(0, KIB, 0, 1, b"n" * 32), b"a" * 32)])
        column = {"volume_receipts": "epoch", "probes": "size_bytes", "target_truth": "missed"}[table]
        tx.run(f"UPDATE {table} SET {column} = {column} + 1")
        assert [name for name, _ in audit.check_row_digests(tx)] == [table]


# --- a target's inventory ------------------------------------------------------------------------------------------------


def close(tx: Transaction, world: World, volume: str, offset: int, epoch: int = 1) -> int:
    """A segment without records; only its row matters here."""
    number = rows.open_segment(tx, world.node, world.space, volume, offset, 5)
    receipt = receipts.to_bytes(msgspec.structs.replace(signed(1, offset, KIB)[0], epoch=epoch))
    rows._write(tx, rows.segment(tx, number)._replace(stored_bytes=KIB, records=1))
    rows.close_segment(tx, number, KIB, 1, digest(b"%d" % offset), receipt, 5)
    return number


def test_a_volume_is_the_sum_of_its_unmarked_segments(catalog: Catalog) -> None:
    world = World(catalog)
    with catalog.write() as tx:
        close(tx, world, "V", 0, 3)
        close(tx, world, "V", KIB, 4)
        (row,) = inventory.inventory(tx, world.node)
        joined = digest_parts([digest(b"0"), digest(b"%d" % KIB)])
        assert row == ("V", False, 2 * KIB, 2, joined, 4)
        rows.mark(tx, world.node, "V", 9, 5, from_offset_bytes=KIB)
        (row,) = inventory.inventory(tx, world.node)
        assert row == ("V", False, KIB, 1, digest_parts([digest(b"0")]), 3)
        rows.mark(tx, world.node, "V", 9, 5)
        (row,) = inventory.inventory(tx, world.node)
        assert row == ("V", True, 2 * KIB, 2, joined, 4), "what unmark would bring back"


def test_an_open_segment_is_nobodys_yet(catalog: Catalog) -> None:
    world = World(catalog)
    with catalog.write() as tx:
        rows.open_segment(tx, world.node, world.space, "V", 0, 5)
        assert inventory.inventory(tx, world.node) == []


def test_an_inventory_comes_in_pages_by_name_below_a_prefix(catalog: Catalog) -> None:
    world = World(catalog)
    with catalog.write() as tx:
        for name in ("ADSM.B", "ADSM.A", "ADSM.C", "B.A", "ADSN"):
            close(tx, world, name, 0)
        names = [row.volume for row in inventory.inventory(tx, world.node, "ADSM.", limit=2)]
        assert names == ["ADSM.A", "ADSM.B"]
        rest = inventory.inventory(tx, world.node, "ADSM.", "ADSM.B", 2)
        assert [row.volume for row in rest] == ["ADSM.C"]
        assert len(list(inventory.every_volume(tx, world.node))) == 5
        assert inventory.inventory(tx, world.other_node) == []
        found = inventory.receipts_by_number(tx, world.node, [1, 99])
        assert found[0] and found[1] == b""
