"""AUDIT CATALOG misses nothing: whichever value of a protected row is changed behind our back, it is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.unit.catalog.catalog_image import Opened
from tests.unit.catalog.catalog_world import KEY, World, new_file

from farvault.base.clock import ManualClock
from farvault.catalog import (
    audit,
    expiration,
    nouns,
    pending_deletions,
    placements,
    vault,
    vault_rules,
    volume_checks,
    volume_history,
)
from farvault.catalog.catalog import Catalog
from farvault.model.administrator import Administrator
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.device_class import DeviceClass
from farvault.model.hold import Hold, HoldRule
from farvault.model.policy import CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.server import Server
from farvault.model.stored_object import ObjectKind
from farvault.policy.clock_guard import ClockState
from farvault.policy.scrub import VolumeCheck

PROTECTED = {
    **dict.fromkeys((noun.TABLE for noun in audit.NOUNS), "id"),
    "objects": "id",
    "extents": "id",
    "aggregates": "id",
    "placements": "volume_id",
    "segments": "object_id",
    "superseded_aggregates": "aggregate_id",
    "retention_events": "object_id",
    "volume_checks": "volume_id",
    "clock_guard": "id",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A closed catalog with at least one row in every protected table."""
    path = str(tmp_path_factory.mktemp("audit") / "catalog.db")
    catalog = Catalog.create(path, KEY, ManualClock())
    world = World(catalog)
    with catalog.write() as tx:
        nouns.insert(tx, Administrator(name="A"))
        nouns.insert(tx, Server(name="S", high_level_address="h", low_level_address=1500))
        nouns.insert(tx, DeviceClass(name="F", device_type="FILE"))
        nouns.insert(tx, Domain(name="D"))
        nouns.insert(tx, PolicySet(domain="D", name="P"))
        nouns.insert(tx, ManagementClass(domain="D", policy_set="P", name="M"))
        nouns.insert(tx, CopyGroup(domain="D", policy_set="P", management_class="M", destination="B"))
        aggregate_id, (one, two) = world.aggregate(tx, b"one", b"two!")
        placements.add(tx, aggregate_id, world.copy_volume, 0)
        world.store(tx, new_file(b"d", b"f", one, two), new_file(b"d", b"g"))
        (archived,) = world.store(tx, new_file(b"d", b"f"), kind=ObjectKind.ARCHIVE)
        expiration.signal(tx, [archived], 8)
        hold_id = nouns.insert(tx, Hold(name="H"))
        nouns.insert(tx, HoldRule(hold_id=hold_id, node_id=world.node, from_time=1))
        group_id = nouns.insert(tx, CollocationGroup(name="G"))
        nouns.insert(tx, CollocationMember(group_id=group_id, node_id=world.node))
        nouns.insert(tx, DatabaseBackupTrigger(device_class="F"))
        volume_history.add_event(tx, "STGNEW", "F", "/v/1", 7)
        volume_checks.put(tx, VolumeCheck(world.volume, checked_time=5, verdict="GOOD"))
        segment = vault.open_segment(tx, world.node, world.space, "V", 0, 5)
        vault.append_records(tx, segment, [(one, 3)])
        vault.close_segment(tx, segment, 3, 1, b"D" * 32, b"", 6)
        vault_rules.change_lock(tx, world.node, 7, min_retention_days=3)
        vault_rules.change_lock(tx, world.node, 8, min_retention_days=2)
        vault_rules.set_clock(tx, ClockState(9, 8, 0))
        pending_deletions.add(tx, "F", "GONE", 9)
        rebuilt_id, (three,) = world.aggregate(tx, b"three")
        world.store(tx, new_file(b"d", b"h", three))
        world.rebuild(tx, rebuilt_id)
    catalog.close()
    return path


def found_after(path: str, *statements: str) -> list[tuple[str, int]]:
    """What the audit finds after these statements; the file stays as it is."""
    image = Opened(Path(path).read_bytes())
    with image as snapshot:
        image.connection.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            image.connection.execute(statement)
        return list(audit.check_row_digests(snapshot))


def other(value: Any) -> str:
    """A slightly different value, as SQL."""
    if isinstance(value, int):
        return str(value ^ 1)
    if isinstance(value, bytes):
        return f"x'{value[:-1].hex()}{(value[-1] ^ 1) if value else 7:02x}'"
    return "'changed'"


def test_a_catalog_as_written_has_nothing_to_find(filled: str) -> None:
    assert found_after(filled) == []
    catalog = Catalog.open(filled, KEY, ManualClock())
    with catalog.read() as r:
        assert list(audit.check_sums(r)) == []
    catalog.close()


@pytest.mark.parametrize("table", PROTECTED)
def test_every_changed_value_of_a_protected_row_is_found(filled: str, table: str) -> None:
    connection = apsw.Connection(filled)
    cursor = connection.execute(f"SELECT * FROM {table} LIMIT 1")
    columns = [description[0] for description in cursor.get_description()]
    row = cursor.fetchone()
    connection.close()
    assert row is not None
    key = PROTECTED[table]
    identity = " AND ".join(f"{c} IS {literal(v)}" for c, v in zip(columns, row, strict=True))
    for column, value in zip(columns, row, strict=True):
        found = found_after(filled, f"UPDATE {table} SET {column} = {other(value)} WHERE {identity}")
        assert [where for where, _ in found] == [table], f"{table}.{column}"
        assert column == key or found[0][1] == row[columns.index(key)]


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE object_extents SET extent_id = extent_id + 1 WHERE offset_bytes = 0 AND object_id = 1",
        "UPDATE object_extents SET offset_bytes = 4 WHERE offset_bytes = 3",
        "DELETE FROM object_extents WHERE offset_bytes = 3",
        "INSERT INTO object_extents VALUES (2, 0, 1)",
        "UPDATE objects SET row_digest = (SELECT row_digest FROM objects WHERE id = 2) WHERE id = 1",
    ],
)
def test_a_changed_list_of_extents_is_found_at_its_object(filled: str, harm: str) -> None:
    found = found_after(filled, harm)
    assert len(found) == 1 and found[0][0] == "objects"


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("UPDATE aggregates SET live_bytes = 5", "aggregate whose live_bytes"),
        ("DELETE FROM extents WHERE id = 1", "object with an extent that is not there"),
        ("DELETE FROM objects WHERE id = 1", "extents of an object that is not there"),
        ("DELETE FROM object_extents WHERE extent_id = 2", "extent nobody uses"),
        ("DELETE FROM extent_index", "number of extents in the index"),
        ("UPDATE extent_index SET extent_id = 77 WHERE extent_id = 1", "index entry of an extent"),
        ("DELETE FROM directories", "object whose directory is not there"),
        ("UPDATE volumes SET written_bytes = 4095", "placement beyond the written end"),
        ("UPDATE segments SET stored_bytes = 4", "segment whose bytes"),
        (
            "UPDATE extents SET aggregate_id = (SELECT aggregate_id FROM superseded_aggregates) WHERE id = 3",
            "extent that points to a superseded aggregate",
        ),
        ("UPDATE superseded_aggregates SET by_aggregate_id = 1", "superseded aggregate whose replacement"),
        (
            "DELETE FROM placements WHERE aggregate_id IN (SELECT aggregate_id FROM superseded_aggregates)",
            "superseded aggregate that lies nowhere",
        ),
    ],
)
def test_a_sum_that_does_not_hold_is_said(filled: str, harm: str, sentence: str) -> None:
    before = Path(filled).read_bytes()
    connection = apsw.Connection(filled)
    connection.execute(harm)
    connection.close()
    catalog = Catalog.open(filled, KEY, ManualClock())
    with catalog.read() as r:
        found = list(audit.check_sums(r))
    catalog.close()
    Path(filled).write_bytes(before)
    assert any(one.startswith(sentence) for one in found), found
