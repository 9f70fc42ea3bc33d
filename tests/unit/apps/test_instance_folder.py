"""The folder of one server: settings, secrets, and the lock that lets only one server use it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from farvault.apps.instance_folder import InstanceFolder, InstanceLock, Settings, check_new_folder
from farvault.base.errors import AlreadyExists, BadInput, InUse, MediaFailed, NotFound


@pytest.fixture
def folder(tmp_path: Path) -> InstanceFolder:
    folder = InstanceFolder(str(tmp_path / "delhi"))
    folder.make()
    return folder


def test_settings_are_read_as_they_were_written(folder: InstanceFolder) -> None:
    settings = Settings(data_port=1600, bind="::1", volumes_folder='/mnt/odd "name"\\here')
    folder.write_settings(settings)
    assert folder.settings() == settings


@pytest.mark.parametrize(
    "text",
    ["data_port = 99999", "data_port = 'x'", "no_such_setting = 1", "data_port = ", "max_sessions = 0"],
)
def test_a_mistake_in_the_settings_is_named(folder: InstanceFolder, text: str) -> None:
    Path(folder.settings_path).write_text(text)
    with pytest.raises(BadInput) as caught:
        folder.settings()
    assert caught.value.message.id == "ANR0901E"
    assert folder.settings_path in caught.value.message.text


def test_a_folder_without_a_server_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        InstanceFolder(str(tmp_path)).settings()
    assert caught.value.message.id == "ANR0994E"


def test_what_cannot_be_read_is_named_with_the_reason(folder: InstanceFolder) -> None:
    with pytest.raises(MediaFailed, match=r"ANR0906E.*keys.*directory"):
        folder.read_secret(folder.keys)


def test_the_rest_of_an_unfinished_init_is_recognised(folder: InstanceFolder) -> None:
    with pytest.raises(NotFound) as caught:
        folder.settings()
    assert caught.value.message.id == "ANR0996E"
    with pytest.raises(AlreadyExists) as refused:
        check_new_folder(folder)
    assert refused.value.message.id == "ANR0996E"


def test_a_folder_with_anything_in_it_is_no_place_for_a_new_server(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(AlreadyExists) as caught:
        check_new_folder(InstanceFolder(str(tmp_path)))
    assert caught.value.message.id == "ANR0995E"


def test_an_empty_folder_and_no_folder_are_fine(tmp_path: Path) -> None:
    check_new_folder(InstanceFolder(str(tmp_path)))
    check_new_folder(InstanceFolder(str(tmp_path / "not-there")))


def test_only_one_holds_the_lock_and_the_other_learns_who(folder: InstanceFolder) -> None:
    first = InstanceLock(folder)
    with pytest.raises(InUse) as caught:
        InstanceLock(folder)
    assert "process" in caught.value.message.text
    first.release()
    InstanceLock(folder).release()


def test_the_port_of_the_running_server_is_found(folder: InstanceFolder) -> None:
    folder.write_settings(Settings(data_port=1500))
    assert folder.running_port() == 1500
    lock = InstanceLock(folder)
    lock.tell_port(40123)
    assert folder.running_port() == 40123
    lock.release()
    assert folder.running_port() == 1500


def test_a_key_that_others_may_read_is_noticed(folder: InstanceFolder) -> None:
    for path, mode in ((folder.keyring_path, 0o600), (folder.console_path, 0o644)):
        Path(path).write_text("secret")
        Path(path).chmod(mode)
    assert folder.readable_secrets() == [(folder.console_path, "0644")]


def test_the_operations_page_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs/operations/set-up.md").read_text()
    for name, value in msgspec.structs.asdict(Settings()).items():
        shown = f'`"{value}"`' if isinstance(value, str) else str(value)
        assert f"| `{name}` | {shown} |" in page
