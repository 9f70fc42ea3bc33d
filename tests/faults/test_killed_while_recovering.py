"""SIGKILL at every step of PREPARE, of `farvault recover`, of what follows it and of a drill: the next try succeeds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.faults.killed_child import killed_at
from tests.faults.two_servers import prepare_source, prepare_target
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.server_process import ForkedServer
from tests.grid.vaults import file_bytes, restored, store_files

from farvault.apps.recover import Wanted, recover
from farvault.catalog import audit, drills, lost_volumes, nouns, volume_history
from farvault.model.volume_history import OWN_VOLUME
from farvault.transport.ports import unused_port

SEEDS = (1, 2, 3)
TO_TARGET = "prepare devclass=targetclass wait=yes"

pytestmark = pytest.mark.slow


@dataclass
class Burned:
    """TOKYO in a process of its own; DELHI's folder, stopped. `ids`: what its node stored."""

    delhi: GridServer
    tokyo: ForkedServer
    ids: list[int]

    def recover(self, folder: str) -> None:
        wanted = Wanted(
            folder, "127.0.0.1", self.tokyo.port, "DELHI", PASSWORD, self.delhi.made.recovery_code
        )
        assert recover(wanted, lambda said: None) is not None


@pytest.fixture(scope="module")
def burned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Burned]:
    yield from make_burned(tmp_path_factory.mktemp("burned"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Burned]:
    """One of its own: nobody else has changed what the partner keeps."""
    yield from make_burned(tmp_path)


def make_burned(folder: Path) -> Iterator[Burned]:
    tokyo = GridServer("TOKYO", f"{folder}/tokyo", data_port=unused_port()).start()
    delhi = GridServer("DELHI", f"{folder}/delhi").start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    ids = store_files(delhi, *SEEDS)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    delhi.stop()
    tokyo.stop()
    process = ForkedServer(tokyo.folder)
    yield Burned(delhi, process, ids)
    process.kill()


def moved(burned: Burned, folder: Path) -> GridServer:
    """A copy of DELHI's folder to be killed in."""
    shutil.copytree(burned.delhi.folder, folder)
    server = GridServer.__new__(GridServer)
    server.__dict__.update(burned.delhi.__dict__, folder=str(folder), _server=None)
    server.lines = type(burned.delhi.lines)()
    return server


def is_sound(server: GridServer) -> bool:
    with server.server.catalog.read() as r:
        rows = volume_history.rows(r, OWN_VOLUME, complete=None)
        return list(audit.check_row_digests(r)) == [] and all(row.complete for row in rows)


def test_expiration_killed_between_media_and_entry_goes_on(own: Burned) -> None:
    delhi = own.delhi
    delhi.start()
    delhi.admin("set drmrpfexpiredays 0")
    delhi.admin("set drmdbbackupexpiredays 0")
    delhi.admin("update server tokyo delgraceperiod=0")
    with delhi.server.catalog.write() as tx:  # the first one is a day old
        (row,) = volume_history.rows(tx, ("BACKUPFULL",))
        nouns.update(tx, msgspec.structs.replace(row, time=row.time - 86_400))
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    delhi.stop()

    def work() -> None:
        delhi.start()
        delhi.admin("expire inventory wait=yes")

    assert killed_at("deletion.told.before_row", 1, work)
    delhi.start()
    try:
        delhi.admin("expire inventory wait=yes")
        with delhi.server.catalog.read() as r:
            assert len(volume_history.rows(r, ("BACKUPFULL",))) == 1
        assert is_sound(delhi)
    finally:
        delhi.stop()


@pytest.mark.parametrize(
    "label",
    [
        "history.volume.before_create",
        "prepare.volume.before_record",
        "history.volume.before_end",
        "history.volume.after_end",
        "history.commit.before_catalog",
        "history.commit.after_catalog",
        "prepare.volume.after_commit",
    ],
)
def test_prepare_killed_at_a_step_leaves_a_whole_plan_or_none(
    burned: Burned, tmp_path: Path, label: str
) -> None:
    delhi = moved(burned, tmp_path / "delhi")

    def work() -> None:
        delhi.start()
        delhi.admin(TO_TARGET)

    assert killed_at(label, 1, work), f"it never came by {label}"
    delhi.start()
    try:
        delhi.server.housekeeping.do_everything()
        assert is_sound(delhi)
        delhi.admin(TO_TARGET)
        delhi.stop()
        burned.recover(str(tmp_path / "again"))
    finally:
        delhi.stop()


@pytest.mark.parametrize("label", ["prepare.file.before_write", "file.replace.before_rename"])
def test_a_local_plan_is_whole_or_not_there(burned: Burned, tmp_path: Path, label: str) -> None:
    delhi = moved(burned, tmp_path / "delhi")
    plans = tmp_path / "plans"

    def work() -> None:
        delhi.start()
        os.mkdir(plans)
        delhi.admin(f"prepare planprefix={plans}/ wait=yes")

    assert killed_at(label, 1, work), f"it never came by {label}"
    assert [path for path in plans.glob("*") if not path.name.endswith(".new")] == []


@pytest.mark.parametrize(
    "label",
    [
        "recover.keys_written",
        "file.replace.before_rename",
        "recover.instance_written",
        "restore.database.written",
        "restore.database.checked",
        "restore.database.before_switch",
        "restore.database.between",
        "restore.database.after_switch",
        "recover.adapted",
        "recover.before_rename",
    ],
)
def test_recover_killed_at_a_step_is_simply_run_again(burned: Burned, tmp_path: Path, label: str) -> None:
    folder = str(tmp_path / "new")
    assert killed_at(label, 1, lambda: burned.recover(folder)), f"it never came by {label}"
    assert not os.path.exists(folder), "as it was"
    burned.recover(folder)
    assert os.path.exists(f"{folder}/farvault.toml") and not os.path.exists(f"{folder}.recovering")


def test_recover_killed_when_it_is_done_is_done(burned: Burned, tmp_path: Path) -> None:
    folder = str(tmp_path / "new")
    assert killed_at("recover.after_rename", 1, lambda: burned.recover(folder))
    assert os.path.exists(f"{folder}/farvault.toml")


@pytest.mark.parametrize(
    "label", ["recover.rest.before_reconcile", "recover.rest.before_pool", "recover.rest.before_done"]
)
def test_a_rebuilt_server_that_is_killed_goes_on_where_it_was(
    burned: Burned, tmp_path: Path, label: str
) -> None:
    delhi = moved(burned, tmp_path / "delhi")
    for lost in (delhi.folder, f"{burned.delhi.folder}/tapes"):
        shutil.rmtree(lost)
    burned.recover(delhi.folder)
    running = ForkedServer(delhi.folder, label)
    try:
        assert running.was_killed(), "it never came by there"
    finally:
        running.kill()
    delhi.start()
    try:
        assert restored(delhi, burned.ids) == {
            number: file_bytes(seed, 1 << 20) for number, seed in zip(burned.ids, SEEDS, strict=True)
        }
        delhi.lines.wait_for("ANR4959I")
        with delhi.server.catalog.read() as r:
            assert not lost_volumes.is_recovering(r)
    finally:
        delhi.stop()


def test_a_drill_that_is_killed_leaves_nothing_the_next_one_minds(burned: Burned, tmp_path: Path) -> None:
    delhi = moved(burned, tmp_path / "delhi")

    def work() -> None:
        delhi.start()
        delhi.admin("run drill wait=yes")

    assert killed_at("drill.database_restored", 1, work)
    delhi.start()
    try:
        delhi.admin("run drill wait=yes")
        with delhi.server.catalog.read() as r:
            assert [drill.result for drill in drills.all_drills(r)] == ["SUCCESS"]
        assert not os.listdir(f"{delhi.folder}/drill")
    finally:
        delhi.stop()
