"""A target is asked whether it still has what it signed for: receipts at every sign-on, VALIDATE VOLUME, challenges."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.grid.both_sides import COPY, Disk, access, truth, volumes
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.vaults import restored, store_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import NotAvailable
from farvault.catalog import kept_receipts, nouns, placements
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.target_link import TargetLink
from farvault.model.node import Node
from farvault.model.volume import Volume
from farvault.protocol.truth import Challenge, Probe, Proofs, QueryReceipts, Receipts
from farvault.seal import probe

SEEDS = tuple(range(12))
CHALLENGE = "challenge server tokyo count={} wait=yes"


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With copies at TOKYO."""
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    return delhi


# --- receipts ----------------------------------------------------------------------------------------------------------


def test_every_receipt_is_kept_with_its_volume_and_shown(delhi: GridServer, tokyo: GridServer) -> None:
    store_files(delhi, 100)
    delhi.admin(COPY)
    with delhi.server.catalog.read() as r:
        here = kept_receipts.volumes_here(r, ["TARGETCLASS"])
    assert any(len(one.receipts) > 1 for one in here), "a volume has several"
    identity = tokyo.server.identity.public_key_bytes
    numbers = sorted(kept.number for one in here for kept in one.receipts)
    assert numbers == list(range(1, len(numbers) + 1))
    for one in here:
        assert sum(kept.stored_bytes for kept in one.receipts) == one.written_bytes
        for kept in one.receipts:
            assert receipts.is_signed_by(receipts.from_bytes(kept.receipt), identity)
            assert receipts.from_bytes(kept.receipt).epoch == 1
    assert truth(delhi).receipt_number == numbers[-1]
    shown = delhi.admin(f"query volume {here[-1].name} f=d").text
    assert "Receipt Numbers" in shown and "Records signed for" in shown
    table = delhi.admin(f"query receipt {here[-1].name}").text
    assert "Signature" not in table and max(map(len, table.splitlines())) < 120, "a screen holds it"
    assert "Signature" in delhi.admin(f"query receipt {here[-1].name} f=d").text
    assert is_sound(delhi)


def test_receipts_go_with_their_volume(delhi: GridServer) -> None:
    name, _ = volumes(delhi)
    delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    with delhi.server.catalog.read() as r:
        left = r.all("SELECT DISTINCT volume_id FROM volume_receipts")
        assert left == r.all("SELECT id FROM volumes WHERE name = ?", (volumes(delhi)[0],))
        assert r.one("SELECT COUNT(*) FROM probes WHERE volume_id NOT IN (SELECT id FROM volumes)") == (0,)


def test_validate_volume_finds_the_target_standing_by_its_word(delhi: GridServer) -> None:
    name, _ = volumes(delhi)
    assert "stands by all 1 receipts" in delhi.admin(f"validate volume {name}").text
    with delhi.server.catalog.read() as r:
        (kept,) = kept_receipts.of_volume(r, nouns.get(r, Volume, name).id)
    assert kept.verified_time
    assert is_sound(delhi)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE segments SET records = records + 1", "differs (records)"),
        ("UPDATE segments SET marked_time = 5, delete_time = 1000000000000", "file is marked"),
        ("DELETE FROM segments", "no file"),
        ("DELETE FROM receipts WHERE number = 1", "it knows no receipt 1"),
        (
            "UPDATE receipts SET receipt = (SELECT receipt FROM receipts WHERE number = 2) WHERE number = 1",
            "its receipt 1 is another one",
        ),
    ],
)
def test_a_target_that_denies_what_it_signed_is_shown_by_its_receipt(
    delhi: GridServer, tokyo: GridServer, sql: str, reason: str
) -> None:
    name = volumes(delhi)[0]
    with tokyo.server.catalog.write() as tx:
        tx.run(sql)
    said = delhi.admin(f"validate volume {name}", allow=(4,)).text
    assert "ANR4889E" in said and reason in said
    if "receipt" not in reason:
        assert (
            "Volumes it signed for and lacks: 1" in delhi.admin("query server tokyo f=d").text
            or "marked" in reason
        )


def test_a_volume_on_a_disk_of_ours_has_no_receipts(delhi: GridServer) -> None:
    with delhi.server.catalog.read() as r:
        tape = next(one.name for one in nouns.select(r, Volume) if "/tapes" in one.name)
    assert "ANR4893E" in delhi.admin(f"validate volume {tape}", allow=(11,)).text


def test_only_its_own_receipts_are_told_to_a_node(delhi: GridServer, tokyo: GridServer) -> None:
    make_target_node(tokyo, "OSAKA")
    delhi.admin("update server tokyo nodename=osaka")
    with TargetLink(delhi.server._target("TOKYO")) as link:
        answer = link.run(lambda session: session.connection.call(QueryReceipts(numbers=(1, 2)), Receipts))
    assert (answer.last, answer.receipts) == (0, (b"", b""))


def make_target_node(tokyo: GridServer, name: str) -> None:
    tokyo.admin(f"register node {name} correct-horse-1 domain=vaultdomain type=server")


# --- a target that was set back ------------------------------------------------------------------------------------------


def test_a_target_set_back_to_last_weeks_disk_is_noticed_at_first_contact(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    last_week = Disk(tokyo, tmp_path / "last week")
    before = volumes(delhi)
    ids = store_files(delhi, *range(100, 112))
    delhi.admin(COPY)
    lost = [name for name in volumes(delhi) if name not in before]
    last_week.put_back()
    store_files(delhi, 300)

    said = delhi.admin(COPY, allow=(4,)).text
    assert "ANR4882E" in delhi.lines.ids, "the alert"
    assert "ANR4880E" in said, "nothing more is stored there"
    shown = delhi.admin("query server tokyo f=d").text
    assert "State: Rolled back" in shown
    assert "Rolled back" in delhi.admin("query server tokyo").text
    assert "rolled back" in delhi.admin("ping server tokyo").text

    device = delhi.server.devices.device("TARGETCLASS")
    with pytest.raises(NotAvailable, match="ANR4880E"):
        device.delete(before[0])
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert len(restored(delhi, ids)) < len(ids), "what is gone is gone"
    delhi.admin("update volume * access=readwrite wherestgpool=tapepool")

    found = delhi.admin("reconcile volumes fix=yes wait=yes", allow=(4,)).text
    assert all(f"ADSM.{name}" in found for name in lost), "what is missing is listed"
    assert {access(delhi, name) for name in lost} == {"UNAVAILABLE"}
    assert "State: Normal" in delhi.admin("query server tokyo f=d").text
    assert truth(delhi).receipt_number < 20

    for name in volumes(delhi):
        if access(delhi, name) == "UNAVAILABLE":
            delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    delhi.admin(COPY)
    assert "0 differ" in delhi.admin("reconcile volumes wait=yes").text
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert len(restored(delhi, ids)) == len(ids), "everything is there again"
    assert is_sound(delhi)


def test_a_target_that_went_on_from_an_older_state_is_noticed_too(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    """Its counter is as high as ours again, but under our number it has signed something else."""
    last_week = Disk(tokyo, tmp_path / "last week")
    store_files(delhi, 100)
    delhi.admin(COPY)
    number = truth(delhi).receipt_number
    last_week.put_back()
    with tokyo.server.catalog.write() as tx:
        node = nouns.get(tx, Node, "DELHI").id
        kept = rows.last_receipt(tx, node)
        assert kept is not None and kept[0] < number
        for other in range(kept[0] + 1, number + 3):
            tx.run("INSERT INTO receipts VALUES (?, ?, ?)", (node, other, kept[1]))
    assert "rolled back" in delhi.admin("ping server tokyo").text
    assert truth(delhi).set_back_time


def test_a_target_whose_newer_state_comes_back_is_believed_again(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    last_week = Disk(tokyo, tmp_path / "last week")
    store_files(delhi, 100)
    delhi.admin(COPY)
    today = Disk(tokyo, tmp_path / "today")
    last_week.put_back()
    delhi.admin("ping server tokyo")
    assert truth(delhi).set_back_time
    today.put_back()
    delhi.admin("ping server tokyo")
    assert not truth(delhi).set_back_time
    assert "ANR4883I" in delhi.lines.ids
    store_files(delhi, 101)
    delhi.admin(COPY)


def test_a_source_set_back_is_no_reason_to_doubt_its_target(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    """Its own newest receipt is an older one, and the target knows it."""
    last_week = Disk(delhi, tmp_path / "delhi last week")
    store_files(delhi, 100)
    delhi.admin(COPY)
    last_week.put_back()
    assert "read/write" in delhi.admin("ping server tokyo").text
    assert not truth(delhi).set_back_time
    store_files(delhi, 101)
    delhi.admin(COPY)


# --- challenges ------------------------------------------------------------------------------------------------------------


def test_a_target_that_has_everything_proves_it(delhi: GridServer) -> None:
    said = delhi.admin(CHALLENGE.format(20)).text
    assert "challenged about 20 records: 20 proven, 0 missed (20 compared with data here" in said
    known = truth(delhi)
    assert (known.challenges, known.missed) == (20, 0) and known.challenge_time
    shown = delhi.admin("query server tokyo f=d").text
    assert "Challenges: 20" in shown and "Challenges missed: 0" in shown


def test_where_nothing_lies_here_questions_kept_before_are_used_and_then_records_fetched(
    delhi: GridServer,
) -> None:
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    with delhi.server.catalog.read() as r:
        (kept,) = r.one("SELECT COUNT(*) FROM probes") or (0,)
    assert kept
    said = delhi.admin(CHALLENGE.format(30)).text
    assert "30 proven, 0 missed (0 compared with data here" in said
    with delhi.server.catalog.read() as r:
        (left,) = r.one("SELECT COUNT(*) FROM probes") or (0,)
    assert left < kept + 30 and ", 0 fetched" not in said
    assert is_sound(delhi)


def test_what_is_needed_no_more_when_it_is_missed_counts_nowhere(
    delhi: GridServer, tokyo: GridServer
) -> None:
    """The numbers told add up: so many asked, so many of them answered from here."""
    spoilt = volumes(delhi)[0]
    with tokyo.server.catalog.read() as r:
        node = nouns.get(r, Node, "DELHI").id
        numbers = [number for *_, number in rows.volume_records(r, node, f"ADSM.{spoilt}")]
        places = placements.of_aggregates(r, numbers)
    for (place,) in places.values():
        with open(place.volume_name, "r+b") as file:
            file.seek(place.offset_bytes + 200)
            file.write(b"\xff" * 128)

    def delete(label: str) -> None:
        if label == "challenge.missed.before_catalog":
            delhi.admin(f"delete volume {spoilt} discarddata=yes wait=yes")

    observe_crash_points(delete)
    try:
        said = delhi.admin(CHALLENGE.format(40)).text
    finally:
        observe_crash_points(None)
    assert spoilt not in volumes(delhi) and "ANR4888E" not in said
    asked = truth(delhi).challenges
    assert f"about {asked} records: {asked} proven, 0 missed ({asked} compared with data here, 0 with" in said


@pytest.mark.parametrize("locally", [True, False])
def test_a_missed_challenge_makes_the_volume_unavailable_and_alerts(
    delhi: GridServer, tokyo: GridServer, locally: bool
) -> None:
    if not locally:
        delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    vault = f"{tokyo.folder}/vault"
    for name in os.listdir(vault):
        with open(f"{vault}/{name}", "r+b") as file:
            size = os.path.getsize(file.name)
            for at in range(4096, size, 64 * 1024):
                file.seek(at)
                file.write(b"\xff" * 128)
    said = delhi.admin(CHALLENGE.format(10), allow=(4,)).text
    assert "ANR4888E" in said and "ALERT" in said
    assert {access(delhi, name) for name in volumes(delhi)} == {"UNAVAILABLE"}
    assert truth(delhi).missed == 2, "a volume that missed one is not asked again"


def test_a_part_of_the_days_number_is_asked_every_six_hours(delhi: GridServer) -> None:
    delhi.server.housekeeping.do_everything()
    delhi.lines.wait_for("ANR4887I")
    delhi.lines.wait_for("ANR0987I", 2)
    assert truth(delhi).challenges == 25
    delhi.server.housekeeping.do_everything()
    assert truth(delhi).challenges == 25, "not again within six hours"
    assert "ANR4896I" in delhi.admin("setopt challenges 0").text
    assert "Challenges per Day: 0" in delhi.admin("query status").text
    assert "ANR4896I" in delhi.admin("setopt challenges 400").text


def test_a_challenge_needs_a_target_with_volumes(delhi: GridServer) -> None:
    delhi.admin("define server osaka hladdress=127.0.0.1 lladdress=1")
    assert "ANR4898E" in delhi.admin("challenge server osaka", allow=(14,)).text
    delhi.admin("update volume * access=unavailable wherestgpool=targetcopypool")
    assert "ANR4995I" in delhi.admin(CHALLENGE.format(5)).text


def test_what_is_damaged_or_outside_has_no_answer(delhi: GridServer) -> None:
    with delhi.server.catalog.read() as r:
        here = kept_receipts.volumes_here(r, ["TARGETCLASS"])[0]
    with TargetLink(delhi.server._target("TOKYO")) as link:
        nothing = Probe(1 << 40, 4096, 0, 16, bytes(32))
        body = Challenge(volume=f"ADSM.{here.name}", probes=(nothing,))
        assert link.run(lambda session: session.connection.call(body, Proofs)).answers == probe.NO_ANSWER
