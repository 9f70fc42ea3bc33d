"""`farvault server init`: what it makes, what it refuses, and what is left when it dies in the middle."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from farvault.apps.cli import main
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.make_instance import Made, catalog_path, make_instance
from farvault.base.clock import ManualClock
from farvault.base.errors import BadInput
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.model.administrator import Administrator
from farvault.model.device_class import DeviceClass
from farvault.model.policy import ACTIVE, ARCHIVE, BACKUP, CopyGroup, PolicySet
from farvault.model.storage_pool import RANDOM, SEQUENTIAL, StoragePool
from farvault.seal.identity import Identity, fingerprint
from farvault.seal.keyring import Keyring


@pytest.fixture
def made(tmp_path: Path) -> tuple[InstanceFolder, Made]:
    folder = str(tmp_path / "delhi")
    return InstanceFolder(folder), make_instance(folder, "delhi", Settings(data_port=0), password="sesame-1")


@pytest.fixture
def catalog(made: tuple[InstanceFolder, Made]) -> Catalog:
    folder = made[0]
    keyring = Keyring.from_bytes(folder.read_secret(folder.keyring_path))
    return Catalog.open(catalog_path(folder, folder.settings()), keyring.row_key(), ManualClock())


def test_the_keys_are_nobody_elses_and_fit_together(made: tuple[InstanceFolder, Made]) -> None:
    folder, answer = made
    assert not folder.readable_secrets()
    assert os.stat(folder.keys).st_mode & 0o077 == 0
    keyring = Keyring.from_bytes(folder.read_secret(folder.keyring_path))
    unwrapped = Keyring.unwrap(folder.read_secret(folder.wrapped_keyring_path), answer.recovery_code)
    assert unwrapped.to_bytes() == keyring.to_bytes()
    assert folder.fingerprint() == answer.fingerprint
    pem = folder.read_secret(folder.identity_path)
    begin = pem.find(b"-----BEGIN CERTIFICATE-----")
    assert fingerprint(Identity.from_pem(pem[:begin], pem[begin:]).certificate_der) == answer.fingerprint


def test_the_recovery_code_is_in_no_file(made: tuple[InstanceFolder, Made]) -> None:
    folder, answer = made
    for path in Path(folder.path).rglob("*"):
        assert not path.is_file() or answer.recovery_code.encode() not in path.read_bytes()


def test_a_fresh_server_can_store_without_defining_anything(catalog: Catalog) -> None:
    with catalog.read() as r:
        assert get_setting(r, "SERVERNAME") == "DELHI"
        assert nouns.get(r, PolicySet, "STANDARD", ACTIVE).default_class == "STANDARD"
        backup = nouns.get(r, CopyGroup, "STANDARD", ACTIVE, "STANDARD", BACKUP)
        archive = nouns.get(r, CopyGroup, "STANDARD", ACTIVE, "STANDARD", ARCHIVE)
        assert (backup.destination, archive.destination) == ("BACKUPPOOL", "ARCHIVEPOOL")
        assert (backup.versions_exist, backup.versions_deleted) == (2, 1)
        assert (backup.retain_extra_days, backup.retain_only_days) == (30, 60)
        assert archive.retain_version_days == 365
        for name in ("BACKUPPOOL", "ARCHIVEPOOL"):
            pool = nouns.get(r, StoragePool, name)
            assert (pool.variant, pool.next_pool, pool.high_migration_percent) == (RANDOM, "FILEPOOL", 90)
        pool = nouns.get(r, StoragePool, "FILEPOOL")
        assert (pool.variant, pool.device_class, pool.max_scratch > 1000) == (SEQUENTIAL, "FILEDEV", True)
        assert {one.name for one in nouns.select(r, DeviceClass)} == {"DISK", "FILEDEV"}
        assert nouns.get(r, Administrator, "ADMIN").classes == ("SYSTEM",)
    catalog.close()


def test_names_and_passwords_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        make_instance(str(tmp_path / "x"), "no good name!", Settings())
    assert not (tmp_path / "x").exists()


def test_the_command_prints_what_must_be_kept_and_refuses_a_second_time(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("sesame-1\n")
    words = [
        "server",
        "init",
        str(tmp_path / "tokyo"),
        "--name",
        "tokyo",
        "--admin-password-file",
        str(password),
    ]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert re.search(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", done.output)
    assert "Recovery code" in done.output
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 10
    assert "ANR0997E" in again.output


@pytest.mark.parametrize(
    "label",
    [
        "file.replace.before_rename#2",
        "instance.make.before_catalog",
        "catalog.commit.before",
        "instance.make.before_settings",
    ],
)
def test_killed_in_the_middle_the_next_try_says_what_to_do(tmp_path: Path, label: str) -> None:
    folder = str(tmp_path / "delhi")
    words = [sys.executable, "-m", "farvault", "server", "init", folder, "--name", "delhi"]
    killed = subprocess.run(
        words, env={**os.environ, "FARVAULT_CRASH_AT": label}, capture_output=True, check=False
    )
    assert killed.returncode == -9
    again = subprocess.run(words, capture_output=True, text=True, check=False)
    assert again.returncode == 10
    assert "ANR0996E" in again.stderr
    run = subprocess.run([*words[:4], "run", folder], capture_output=True, text=True, check=False)
    assert run.returncode == 11
    assert "ANR0996E" in run.stderr
