"""Trust at the target: codes and identities, read-only sessions, deletion, the vault lock, quota, epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD
from tests.grid.trusting import DAY, Tokyo, mark, of_epoch, read, write
from tests.grid.vaults import Source, sealed_record

from farvault.base.errors import FarvaultError, LoginRefused, NotAuthorized, NotAvailable
from farvault.catalog import audit
from farvault.catalog.inventory import InventoryRow, every_volume
from farvault.media.inventory_digest import InventoryDigest
from farvault.media.target import TargetSession
from farvault.protocol import messages as m
from farvault.protocol.truth import ReconcileDone
from farvault.protocol.virtual_volumes import QueryVolumes, Volumes
from farvault.seal.identity import Identity, key_fingerprint, new_code
from farvault.sessions.source import LOOK_SECONDS


@pytest.fixture
def tokyo(tmp_path: Path) -> Iterator[Tokyo]:
    tokyo = Tokyo(tmp_path / "tokyo")
    yield tokyo
    with tokyo.server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []
    tokyo.server.stop()


@contextmanager
def session(source: Source) -> Iterator[TargetSession]:
    opened = source.target().open_session()
    try:
        yield opened
    finally:
        opened.close()


def right(source: Source) -> str:
    with session(source) as opened:
        waits = ", waits" if opened.welcome.sync_pending else ""
        return ("read" if opened.read_only else "write") + waits


def made_anew(source: Source, **values: object) -> Source:
    """DELHI after its disk was lost: another identity, another code."""
    changed = {"identity": Identity.create("DELHI"), "code": new_code(), "force_sync": True, **values}
    return Source(source.port, node_name=source.node_name, **changed)  # type: ignore[arg-type]


def shown(tokyo: Tokyo, label: str, node: str = "delhi") -> str:
    for line in tokyo.admin(f"query node {node} format=detailed").splitlines():
        if line.strip().startswith(f"{label}:"):
            return line.partition(":")[2].strip()
    raise AssertionError(f"no {label}")


# --- the life of a verification code (reference 1.4) -----------------------------------------------------------------


def test_the_code_is_registered_at_the_first_sign_on_and_proved_later(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    assert shown(tokyo, "Verification Code Registered") == "No"
    assert right(delhi) == "write" and delhi.events == ["pinned", "registered"]
    assert shown(tokyo, "Verification Code Registered") == "Yes"
    assert right(delhi) == "write" and delhi.events == ["pinned", "registered"]


def test_no_code_or_another_one_only_reads(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    right(delhi)
    assert right(tokyo.source(identity=delhi.identity, code=b"")) == "read"
    assert right(tokyo.source(identity=delhi.identity)) == "read"
    assert right(tokyo.source(code=delhi.code)) == "read"
    assert right(delhi) == "write"


def test_forcesync_is_allowed_at_once_and_the_flag_drops(tokyo: Tokyo) -> None:
    """DELETE SERVER and DEFINE SERVER, or a restored database, give the same server another code."""
    delhi = tokyo.source()
    right(delhi)
    again = tokyo.source(identity=delhi.identity)
    assert right(again) == "read"
    again.force_sync = True
    assert right(again) == "write" and not again.force_sync
    assert right(delhi) == "read", "the old code is nothing any more"


def test_with_approve_a_new_code_waits_and_reads_until_the_administrator_says_yes(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    tokyo.admin("update node delhi forcesync=approve")
    again = tokyo.source(identity=delhi.identity, force_sync=True)
    assert right(again) == "read, waits"
    assert right(delhi) == "write", "what is registered stays until then"
    with pytest.raises(NotAuthorized, match="ANR4860E"):
        write(again, "W", 2)
    assert shown(tokyo, "Its Identity Fingerprint") == key_fingerprint(delhi.identity.public_key_bytes)
    assert shown(tokyo, "FORCESYNC Waits for Approval Since") and "127.0.0.1" in shown(tokyo, "It Came From")
    assert "ANR4875I" in tokyo.admin("approve forcesync delhi")
    assert right(again) == "write" and not again.force_sync
    assert right(delhi) == "read"
    assert shown(tokyo, "FORCESYNC Waits for Approval Since") == ""
    assert shown(tokyo, "Deletions Sleep Until") == "", "it is the same server"
    assert "ANR4879E" in tokyo.admin("approve forcesync delhi", 11)


def test_another_identity_waits_whatever_is_allowed_and_then_deletions_sleep(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    anew = made_anew(delhi)
    assert right(anew) == "read, waits"
    wrong = key_fingerprint(b"x" * 32)
    assert "ANR2020E" in tokyo.admin(f"approve forcesync delhi fingerprint={wrong}", 3)
    seen = key_fingerprint(anew.identity.public_key_bytes)
    tokyo.admin(f"approve forcesync delhi fingerprint={seen}")
    assert right(anew) == "write" and right(delhi) == "read"
    assert shown(tokyo, "Deletions Sleep Until")
    with session(anew) as opened:
        mark(opened, "ADSM.V")
    tokyo.pass_days(4.9)
    assert tokyo.names() == ["ADSM.V"]
    tokyo.pass_days(0.2)
    assert tokyo.names() == []


def test_a_thief_cannot_take_the_place_of_a_forcesync_that_waits(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    anew = made_anew(delhi)
    right(anew)
    assert right(made_anew(delhi)) == "read, waits"
    assert shown(tokyo, "Its Identity Fingerprint") == key_fingerprint(anew.identity.public_key_bytes)
    tokyo.admin("reject forcesync delhi")
    assert shown(tokyo, "Its Identity Fingerprint") == ""
    assert right(delhi) == "write", "a rejected one changes nothing"
    assert "ANR4879E" in tokyo.admin("reject forcesync delhi", 11)


def test_the_administrators_forcesync_yes_forgets_and_the_next_sign_on_registers(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    tokyo.admin("update node delhi forcesync=yes")
    anew = made_anew(delhi, force_sync=False)
    assert right(anew) == "write"
    assert shown(tokyo, "Deletions Sleep Until")


def test_a_node_removed_and_registered_again_takes_the_present_code(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    right(delhi)
    tokyo.server.lines.wait_for("ANR0409I")
    tokyo.admin("remove node delhi")
    tokyo.admin(f"register node delhi {PASSWORD} domain=vaultdomain type=server")
    assert right(made_anew(delhi, force_sync=False)) == "write"


def test_an_open_session_loses_its_right_with_its_code(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    with session(delhi) as old:
        again = tokyo.source(identity=delhi.identity, force_sync=True)
        assert right(again) == "write"
        with pytest.raises(NotAuthorized, match="ANR4852E"):
            mark(old, "ADSM.V")
    assert tokyo.names(marked=True) == []


# --- who only reads --------------------------------------------------------------------------------------------------


def test_read_only_sessions_can_be_forbidden(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    placed = write(delhi, "V", 1)
    third = tokyo.source()
    assert read(third, "V", [placed[0][0]]) == [bytes(sealed_record(1)[0])]
    tokyo.admin("update node delhi readonlysessions=no")
    with pytest.raises(LoginRefused, match="ANR0497W"):
        right(third)
    assert right(delhi) == "write"
    tokyo.admin("update node delhi readonlysessions=yes")
    assert right(third) == "read"


@pytest.mark.parametrize(
    ("command", "message_id"),
    [
        ("lock node delhi", "ANR0430W"),
        ("update node delhi readonlysessions=no", "ANR0497W"),
        ("update node delhi another-secret-2", "ANR0434W"),
    ],
)
def test_a_reader_who_is_in_already_hears_of_it_too(tokyo: Tokyo, command: str, message_id: str) -> None:
    write(tokyo.source(), "V", 1)
    with session(tokyo.source()) as third:
        asked = QueryVolumes(pattern="*")
        third.connection.send(asked)
        third.connection.expect(Volumes)
        tokyo.admin(command)
        tokyo.clock.advance(LOOK_SECONDS)
        third.connection.send(asked)
        with pytest.raises(NotAuthorized, match=message_id):
            third.connection.expect(Volumes)


def test_refused_changes_are_said_once_and_counted(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    with session(tokyo.source()) as third:
        for _ in range(3):
            with pytest.raises(NotAuthorized, match="ANR4852E MarkVolume"):
                mark(third, "ADSM.V")
    tokyo.server.lines.wait_for("ANR4863W")
    tokyo.server.lines.wait_for("ANR0409I", 2)
    assert tokyo.server.lines.ids.count("ANR4863W") == 1
    assert shown(tokyo, "Refused Changes") == "3"


def test_rules_of_sources_are_refused_for_other_nodes_and_unknown_values(tokyo: Tokyo) -> None:
    tokyo.admin(f"register node ann {PASSWORD}")
    assert "ANR2268E" in tokyo.admin("update node ann minretention=5", 3)
    assert "ANR2268E" in tokyo.admin("approve deletion ann", 3)
    tokyo.admin("update node delhi minretention=10000", 3)
    assert shown(tokyo, "Minimum Retention", "ann") == "" and shown(tokyo, "Minimum Retention") == "0"


# --- deletion and the vault lock ---------------------------------------------------------------------------------------


def test_a_deleted_volume_stays_for_its_grace_on_the_targets_clock(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    with session(delhi) as opened:
        mark(opened, "ADSM.V", grace_days=3)
    marked = tokyo.admin("query marked delhi")
    assert "ADSM.V" in marked and marked.split()[-1] == "3"
    told = " ".join(marked.split()[-3:-1])
    retention = " ".join(tokyo.admin("query retention delhi").split())
    assert f"{told} deleted by its source: grace period, vault lock" in retention
    tokyo.pass_days(2.9)
    assert tokyo.names() == ["ADSM.V"]
    tokyo.clock.advance(0.2 * DAY)
    tokyo.admin("expire inventory wait=yes")
    assert tokyo.names() == [] and "ADSM.V" not in tokyo.admin("query marked", 11, 0)


def test_nothing_goes_before_minimum_retention_and_grace_are_over(tokyo: Tokyo) -> None:
    tokyo.admin("update node delhi minretention=30 mingrace=7")
    delhi = tokyo.source()
    write(delhi, "EARLY", 1)
    tokyo.pass_days(1)
    with session(delhi) as opened:
        mark(opened, "ADSM.EARLY")
    for _ in range(28):
        tokyo.pass_days(1)
        assert tokyo.names() == ["ADSM.EARLY"]
    write(delhi, "LATE", 2)
    tokyo.pass_days(1.1)
    assert tokyo.names() == ["ADSM.LATE"], "30 days since it came"
    tokyo.pass_days(40)
    with session(delhi) as opened:
        mark(opened, "ADSM.LATE")
    tokyo.pass_days(6.9)
    assert tokyo.names() == ["ADSM.LATE"]
    tokyo.pass_days(0.2)
    assert tokyo.names() == [], "7 days since it was marked"


def test_a_lowered_lock_holds_what_came_before_and_a_raised_one_holds_everything(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "FIRST", 1)
    tokyo.admin("update node delhi minretention=10")
    tokyo.pass_days(1)
    tokyo.admin("update node delhi minretention=0")
    tokyo.pass_days(1)
    write(delhi, "SECOND", 2)
    with session(delhi) as opened:
        mark(opened, "ADSM.FIRST")
        mark(opened, "ADSM.SECOND")
    tokyo.pass_days(0.1)
    assert tokyo.names() == ["ADSM.FIRST"]
    tokyo.pass_days(8)
    assert tokyo.names() == []


def test_not_even_tokyos_administrator_deletes_what_is_locked(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    tokyo.admin("update node delhi minretention=10")
    refused = tokyo.admin("delete filespace delhi ADSM.SERVER type=server wait=yes", 4)
    assert "vault lock of DELHI" in refused
    assert tokyo.names() == ["ADSM.V"]
    tokyo.pass_days(11)
    tokyo.admin("delete filespace delhi ADSM.SERVER type=server wait=yes")
    assert tokyo.names() == []


def test_a_clock_that_jumps_removes_nothing_until_it_is_confirmed(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    with session(delhi) as opened:
        mark(opened, "ADSM.V", grace_days=5)
    tokyo.clock.jump(3650 * DAY)
    tokyo.pass_days(0)
    assert tokyo.server.lines.wait_for("ANR4868W")
    assert tokyo.names() == ["ADSM.V"]
    tokyo.clock.jump(-3650 * DAY)
    tokyo.pass_days(6)
    assert tokyo.names() == ["ADSM.V"], "not believed yet"
    assert "ANR4869I" in tokyo.admin("confirm clock")
    tokyo.pass_days(0)
    assert tokyo.names() == []


def test_confirming_a_wrong_clock_or_many_small_jumps_does_not_help_either(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    write(delhi, "V", 1)
    with session(delhi) as opened:
        mark(opened, "ADSM.V", grace_days=5)
    for _ in range(10):
        tokyo.clock.jump(23 * 3600)
        tokyo.pass_days(0.1)
    tokyo.clock.jump(40 * DAY)
    tokyo.pass_days(0.1)
    tokyo.admin("confirm clock")
    tokyo.pass_days(0.1)
    assert tokyo.names() == ["ADSM.V"]
    tokyo.server.restart()
    tokyo.pass_days(3)
    assert tokyo.names() == ["ADSM.V"]
    tokyo.pass_days(1)
    assert tokyo.names() == []


# --- mass deletion and quota -------------------------------------------------------------------------------------------


def test_a_mass_deletion_is_stopped_and_alerts_until_it_is_approved(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    for number in range(10):
        write(delhi, f"V{number}", number)
    with session(delhi) as opened:
        for number in range(5):
            mark(opened, f"ADSM.V{number}", 9)
        for number in (5, 6):
            with pytest.raises(NotAvailable, match="ANR4864E"):
                mark(opened, f"ADSM.V{number}")
        assert tokyo.server.lines.wait_for("ANR4865W")
        assert len(tokyo.names(marked=True)) == 5
        tokyo.clock.advance(2 * 3600)
        with pytest.raises(NotAvailable, match="ANR4864E"):
            mark(opened, "ADSM.V5")
        assert shown(tokyo, "Deletions Stopped Since")
        with pytest.raises(FarvaultError, match=r"ANR4803E.*ANR4864E"):
            write(delhi, "V6", 99)  # overwriting is deleting too
        assert "ANR4878I" in tokyo.admin("approve deletion delhi hours=1")
        for number in range(5, 10):
            mark(opened, f"ADSM.V{number}", 9)
    assert tokyo.server.lines.ids.count("ANR4865W") == 1
    assert len(tokyo.names(marked=True)) == 10


def test_five_an_hour_may_go_for_ever_and_the_limits_are_the_nodes_own(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    tokyo.admin("update node delhi massdeletepct=0 massdeletecount=2")
    for number in range(6):
        write(delhi, f"V{number}", number)
    with session(delhi) as opened:
        for number in range(6):
            mark(opened, f"ADSM.V{number}", 9)
            tokyo.clock.advance(1801)
    assert len(tokyo.names(marked=True)) == 6


def test_the_quota_is_enforced_at_the_target_and_told_at_the_source(tokyo: Tokyo) -> None:
    delhi, osaka = tokyo.source(), tokyo.source("OSAKA")
    tokyo.admin("update node delhi maxvaultvolumes=2 maxvaultbytes=1m")
    write(delhi, "V1", *range(20))
    with pytest.raises(NotAvailable, match=r"ANR4803E.*ANR4866W.*MAXVAULTBYTES"):
        write(delhi, "V2", *range(100, 140))
    assert tokyo.names() == ["ADSM.V1"]
    with pytest.raises(NotAvailable, match="ANR4867W"):
        write(delhi, "V3", 1)
    write(osaka, "V3", *range(100, 140))
    tokyo.admin("update node delhi maxvaultvolumes=nolimit maxvaultbytes=nolimit")
    write(delhi, "V3", *range(100, 140))


# --- epoch ---------------------------------------------------------------------------------------------------------------


def said_of(volumes: list[InventoryRow], epoch: int) -> ReconcileDone:
    """What a source says that was told of these."""
    seen = InventoryDigest()
    for one in volumes:
        seen.add(one.volume, one.stored_bytes, one.records, one.digest)
    return ReconcileDone(
        epoch=epoch, volumes=seen.volumes, stored_bytes=seen.stored_bytes, digest=seen.digest()
    )


def test_a_moved_epoch_stops_deletions_until_a_reconcile_is_believed(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    first = of_epoch(delhi, 7).open_session()
    first.close()
    write(delhi, "V1", 1)
    write(delhi, "V2", 2)
    opened = of_epoch(delhi, 8).open_session()
    assert tokyo.server.lines.wait_for("ANR4874W")
    with pytest.raises(NotAvailable, match="ANR4862E"):
        mark(opened, "ADSM.V1")
    with pytest.raises(FarvaultError, match="ANR4862E"):
        write(delhi, "V1", 3)
    write(delhi, "V3", 3)
    opened.close()
    opened = of_epoch(delhi, 8).open_session()  # signing on again does not help
    with pytest.raises(NotAvailable, match="ANR4862E"):
        mark(opened, "ADSM.V1")
    with tokyo.server.server.catalog.read() as r:
        here = list(every_volume(r, tokyo.segments()[0].node_id))
    false = (
        said_of(here[:-1], 8),
        said_of([one._replace(stored_bytes=one.stored_bytes + 1) for one in here], 8),
        said_of([one._replace(digest=bytes(32)) for one in here], 8),
        said_of(here, 7),
    )
    for one in false:
        with pytest.raises(NotAvailable, match="ANR4872E"):
            opened.connection.call(one, m.Done)
    with pytest.raises(NotAvailable, match="ANR4862E"):
        mark(opened, "ADSM.V1")
    opened.connection.call(said_of(here, 8), m.Done)
    assert tokyo.server.lines.wait_for("ANR4873I")
    mark(opened, "ADSM.V1", 5)
    opened.close()
    assert tokyo.names(marked=True) == ["ADSM.V1"]


def test_the_epoch_of_an_empty_vault_is_just_remembered(tokyo: Tokyo) -> None:
    delhi = tokyo.source()
    for epoch in (7, 9):
        opened = of_epoch(delhi, epoch).open_session()
        opened.connection.call(m.Ping(), m.Done)
        opened.close()
    assert shown(tokyo, "Epoch") == "9" and shown(tokyo, "Reconcile Needed Since") == ""


# --- putting a vault back -------------------------------------------------------------------------------------------------


def test_a_vault_is_put_back_to_a_moment(tokyo: Tokyo) -> None:
    tokyo.admin("update node delhi mingrace=30")
    delhi = tokyo.source()
    kept = write(delhi, "V1", 1, 2)
    write(delhi, "V2", 3)
    tokyo.pass_days(2)
    write(delhi, "V1", 66)  # overwritten
    write(delhi, "EVIL", 77)
    with session(delhi) as opened:
        mark(opened, "ADSM.V2")
    assert "ANR4876I" in tokyo.admin("revert vault delhi todate=-1")
    assert tokyo.names(marked=False) == ["ADSM.V1", "ADSM.V2"]
    assert read(delhi, "V1", [span for span, _ in kept]) == [bytes(sealed_record(n)[0]) for n in (1, 2)]
    assert "ADSM.EVIL" in tokyo.names(marked=True)
