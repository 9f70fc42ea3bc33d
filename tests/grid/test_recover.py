"""`farvault recover`: DELHI's folder is gone; its partner's address, a password and the recovery code bring it back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.two_servers import prepare_source, prepare_target
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import Source, change_node, file_bytes, restored, sealed_record, store_files

from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.recover import Recovered, Wanted, recover
from farvault.base.disk import observe_crash_points
from farvault.base.errors import FarvaultError, MediaFailed
from farvault.catalog import audit, nouns, vault, volume_history
from farvault.catalog.epoch import epoch
from farvault.catalog.settings import set_setting
from farvault.model.node import Node
from farvault.model.volume import DESTROYED, Volume
from farvault.model.volume_history import OWN_VOLUME, SERIES_TYPES
from farvault.processes.prepare import stamp
from farvault.seal.record import RecordKind
from farvault.storage.history_writing import HistoryWriter, Operation

SEEDS = tuple(range(6))
COPY = "backup stgpool tapepool targetcopypool wait=yes"
FULL = "backup db type=full devclass=targetclass wait=yes"
INCREMENTAL = "backup db type=incremental devclass=targetclass wait=yes"


@dataclass
class Story:
    delhi: GridServer
    tokyo: GridServer
    said: list[str]
    port: int = 0

    def wanted(self, **values: object) -> Wanted:
        one = Wanted(
            folder=self.delhi.folder,
            host="127.0.0.1",
            port=self.port,
            node="DELHI",
            password=PASSWORD,
            recovery_code=self.delhi.made.recovery_code,
        )
        return one._replace(**values)

    def burn(self) -> None:
        """Nothing of DELHI is left."""
        self.delhi.stop()
        shutil.rmtree(self.delhi.folder)

    def recover(self, **values: object) -> Recovered | None:
        return recover(self.wanted(**values), lambda said: self.said.append(str(said)))

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi")).start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    yield Story(delhi, tokyo, [], tokyo.port)
    delhi.stop()
    tokyo.stop()


def is_whole(server: GridServer, ids: list[int]) -> bool:
    with server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == [] and list(audit.check_sums(r)) == []
    return restored(server, ids) == {
        number: file_bytes(seed, 1 << 20) for number, seed in zip(ids, SEEDS, strict=True)
    }


def test_a_burned_server_comes_back_from_its_partner_alone(story: Story) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    delhi.admin("register node late correct-horse-1")
    delhi.admin(INCREMENTAL)
    fingerprint = delhi.server.fingerprint
    story.burn()
    done = story.recover()
    assert done is not None and done.server == "DELHI" and done.epoch > 1, story.text
    delhi.start()
    assert delhi.server.fingerprint == fingerprint, "clients that pinned it go on"
    assert is_whole(delhi, ids), "straight from TOKYO"
    assert "LATE" in delhi.admin("query node late").text, "the incremental backup counts"
    delhi.lines.wait_for("ANR4959I")
    with delhi.server.catalog.read() as r:
        assert not nouns.select(r, Volume, access=DESTROYED)
        assert epoch(r) == done.epoch
    tokyo.stop()
    assert is_whole(delhi, ids), "the local pool is whole again"


def test_a_random_access_pool_comes_back_on_new_volumes(story: Story) -> None:
    delhi = story.delhi
    delhi.admin("define stgpool diskpool disk")
    delhi.admin(f"define volume diskpool {delhi.folder}/disk1 formatsize=16 wait=yes")
    ids = store_files(delhi, *SEEDS, pool="DISKPOOL")
    delhi.admin("backup stgpool diskpool targetcopypool wait=yes")
    delhi.admin(FULL)
    story.burn()
    assert story.recover() is not None
    delhi.start()
    assert is_whole(delhi, ids)
    delhi.lines.wait_for("ANR4959I")
    assert os.path.exists(f"{delhi.folder}/disk1@")
    story.tokyo.stop()
    assert is_whole(delhi, ids)


def test_where_the_partner_wants_to_be_asked_recovery_waits_and_goes_on(story: Story) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    change_node(tokyo, "DELHI", verification_public_key=bytes(32))  # the code was changed after the backup
    tokyo.admin("update node delhi forcesync=approve")
    story.burn()
    assert story.recover() is not None
    delhi.start()
    assert is_whole(delhi, ids), "clients need no approval"
    delhi.lines.wait_for("ANR4958W")
    delhi.lines.wait_for("ANR4960W")
    assert "Recovery in Progress?: Yes" in delhi.admin("query status").text
    tokyo.admin("approve forcesync delhi")
    delhi.server.self_protection.serving()
    delhi.lines.wait_for("ANR4959I")
    assert "Recovery in Progress?: No" in delhi.admin("query status").text
    delhi.admin(FULL)


def test_a_partner_that_admits_no_readers_says_so(story: Story) -> None:
    story.delhi.admin(FULL)
    story.tokyo.admin("update node delhi readonlysessions=no")
    story.burn()
    with pytest.raises(FarvaultError, match="ANR0497W"):
        story.recover()


def test_what_the_restored_catalog_does_not_know_is_marked_and_backups_are_not(story: Story) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    store_files(delhi, 91, 92)
    delhi.admin(COPY)  # on volumes the backup knows nothing of, or behind the end of one it knows
    story.burn()
    assert story.recover() is not None
    delhi.start()
    delhi.lines.wait_for("ANR4959I")
    delhi.admin("reconcile volumes * fix=no wait=yes")
    with delhi.server.catalog.read() as r:
        known = {row.volume for row in volume_history.rows(r, OWN_VOLUME)}
    with tokyo.server.catalog.read() as r:
        rows = vault.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    marked = {row.volume.partition(".")[2] for row in rows if row.marked_time}
    assert known and not known & marked, "no backup and no plan is taken for an orphan"


def test_preview_says_what_would_come_back_and_touches_nothing(story: Story) -> None:
    story.delhi.admin(FULL)
    story.burn()
    assert story.recover(preview=True) is None
    assert "ANR4952I" in story.text and "ANR4949I" in story.text
    assert not os.path.exists(story.delhi.folder) and not os.path.exists(f"{story.delhi.folder}.recovering")


def test_a_backup_newer_than_the_newest_plan_is_found_by_itself(story: Story) -> None:
    delhi = story.delhi
    delhi.admin(FULL)
    delhi.admin("set drmplanwithbackup no")
    delhi.admin("register node late correct-horse-1")
    delhi.admin(INCREMENTAL)
    story.burn()
    assert story.recover() is not None
    delhi.start()
    delhi.admin("query node late")
    with delhi.server.catalog.read() as r:
        operations = {(row.type, row.series, row.operation) for row in volume_history.rows(r, SERIES_TYPES)}
        classes = {row.device_class for row in volume_history.rows(r, OWN_VOLUME)}
    assert operations == {("BACKUPFULL", 1, 0), ("BACKUPINCR", 1, 1)} and classes == {"TARGETCLASS"}


@pytest.mark.parametrize("volumes", [1, 2])
def test_a_backup_that_was_being_sent_when_it_burned_is_passed_over(
    story: Story, monkeypatch: pytest.MonkeyPatch, volumes: int
) -> None:
    """Its last volume has no end, the one before it has a whole one."""
    delhi = story.delhi
    delhi.admin(FULL)
    with delhi.server.catalog.write() as tx:
        for number in range(1 if volumes == 1 else 320):
            set_setting(tx, f"FILL{number}", os.urandom(30_000).hex())
    ends = 0

    def burn(label: str) -> None:
        nonlocal ends
        ends += label == "history.volume.before_end"
        if ends == volumes:
            raise MediaFailed("ANR4911E", folder="", reason="fire")

    monkeypatch.setattr(HistoryWriter, "_undo", lambda self: None)
    observe_crash_points(burn)
    try:
        delhi.admin(FULL, allow=(4,))
    finally:
        observe_crash_points(None)
    story.burn()
    done = story.recover()
    assert done is not None and "series 1" in story.text, story.text
    delhi.start()


def test_without_any_plan_the_backups_alone_are_enough(story: Story) -> None:
    delhi = story.delhi
    delhi.admin("set drmplanwithbackup no")
    delhi.admin(FULL)
    story.burn()
    assert story.recover() is not None
    assert "ANR4950W" in story.text
    InstanceFolder(delhi.folder).write_settings(Settings(data_port=0))
    delhi.start()
    with delhi.server.catalog.read() as r:
        assert {row.device_class for row in volume_history.rows(r, OWN_VOLUME)} == {"TARGETCLASS"}
    assert "TOKYO" in delhi.admin("query server").text


def test_a_local_plan_that_was_carried_away_serves_too(story: Story, tmp_path: Path) -> None:
    delhi = story.delhi
    delhi.admin(FULL)
    delhi.admin(f"prepare planprefix={tmp_path}/carried/ wait=yes")
    (plan,) = (tmp_path / "carried").iterdir()
    story.burn()
    assert story.recover(plan_file=str(plan)) is not None
    assert str(plan) in story.text
    delhi.start()


def test_a_partner_that_has_moved_is_found_under_its_new_address(story: Story) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    story.burn()
    story.port = tokyo.restart().port  # another one
    assert story.recover() is not None
    delhi.start()
    assert str(tokyo.port) in delhi.admin("query server tokyo").text.replace(",", "")
    assert is_whole(delhi, ids)


# --- what is refused: told clearly, and the folder is as it was ---------------------------------------------------------


def refused(story: Story, number: str, **values: object) -> None:
    with pytest.raises(FarvaultError, match=number):
        story.recover(**values)
    assert not os.path.exists(story.delhi.folder) and not os.path.exists(f"{story.delhi.folder}.recovering")


def test_wrong_keys_words_and_places_are_refused(story: Story, tmp_path: Path) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    delhi.admin(FULL)
    delhi.admin(f"prepare planprefix={tmp_path}/carried/ wait=yes")
    (plan,) = (tmp_path / "carried").iterdir()
    with pytest.raises(FarvaultError, match="ANR0997E"):
        story.recover()  # the server is still there
    osaka = GridServer("OSAKA", str(tmp_path / "osaka"))
    osaka.start()
    osaka.admin(f"prepare planprefix={tmp_path}/osaka-plan/ wait=yes")
    osaka.stop()
    (other,) = (tmp_path / "osaka-plan").iterdir()
    tokyo.admin(f"register node empty {PASSWORD} domain=vaultdomain type=server")
    story.burn()
    refused(story, "ANR9801E", recovery_code="AAAA-BBBB")
    refused(story, "ANR9802E", recovery_code=osaka.made.recovery_code)
    refused(story, "ANR4943E", plan_file=str(other))
    refused(story, "ANR4942E", node="EMPTY")
    refused(story, "ANR04", password="wrong-horse-2")
    refused(story, "ANR8214E", port=1)
    refused(story, "ANR8599E", fingerprint=":".join(["AB"] * 32))
    altered = tmp_path / "altered"
    altered.write_bytes(plan.read_bytes().replace(b"SET SERVERNAME DELHI", b"SET SERVERNAME DELHJ"))
    refused(story, "ANR4941E", plan_file=str(altered))
    cut = tmp_path / "cut"
    cut.write_bytes(plan.read_bytes()[:-200])
    refused(story, "ANR4940E", plan_file=str(cut))
    os.mkdir(delhi.folder)
    Path(delhi.folder, "something").write_text("else")
    with pytest.raises(FarvaultError, match="ANR0995E"):
        story.recover()
    assert Path(delhi.folder, "something").read_text() == "else"
    Path(delhi.folder, "something").unlink()
    os.rename(delhi.folder, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", delhi.folder)
    with pytest.raises(FarvaultError, match="ANR4998E"):
        story.recover()
    os.unlink(delhi.folder)
    os.rename(tmp_path / "elsewhere", delhi.folder)
    theirs = Path(f"{delhi.folder}.recovering")
    theirs.mkdir()
    (theirs / "something").write_text("else")
    with pytest.raises(FarvaultError, match="ANR4999E"):
        story.recover()
    (theirs / "something").unlink()
    assert story.recover() is not None, "an empty folder is as good as none"


def test_another_server_at_the_partners_address_is_not_believed(story: Story, tmp_path: Path) -> None:
    story.delhi.admin(FULL)
    story.delhi.admin(f"prepare planprefix={tmp_path}/carried/ wait=yes")
    (plan,) = (tmp_path / "carried").iterdir()
    port = story.tokyo.port
    story.burn()
    story.tokyo.stop()
    false = GridServer("TOKYO2", str(tmp_path / "false"), data_port=port).start()
    try:
        prepare_target(false)
        source = Source(port)
        device = source.device()
        writer = device.open_writer("DELHI.DBB.1", 0, 8 << 20)
        writer.append(*sealed_record(1))
        writer.commit()
        writer.close()
        device.close()
        refused(story, "ANR4945E", plan_file=str(plan))
    finally:
        false.stop()


def test_a_damaged_newest_plan_gives_way_to_the_one_before(story: Story) -> None:
    delhi = story.delhi
    delhi.admin(FULL)
    now = delhi.server.clock.now_seconds()
    operation = Operation("RPFILE", RecordKind.PLAN, 99, 0, now)
    name = f"DELHI.{stamp(now + 1000)}"
    wrapped = delhi.server.folder.read_secret(delhi.server.folder.wrapped_keyring_path)
    with HistoryWriter(
        delhi.server.storage,
        "TARGETCLASS",
        operation,
        wrapped_keyring=wrapped,
        volume_names=[name],
        scratch=False,
    ) as writer:
        writer.put(b"half of a plan")
        writer.commit()
    story.burn()
    assert story.recover() is not None
    assert "ANR4956W" in story.text and "ANR4949I" in story.text
