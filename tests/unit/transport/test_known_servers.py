"""Pins are remembered by address, survive other lines in the file, and are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from farvault.transport.known_servers import KnownServers, default_path


def test_a_server_never_met_has_no_pin(tmp_path: Path) -> None:
    assert KnownServers(str(tmp_path / "none")).fingerprint("delhi", 1500) is None


def test_a_remembered_pin_is_found_by_host_and_port(tmp_path: Path) -> None:
    known = KnownServers(str(tmp_path / "deep" / "known_servers"))
    known.remember("Delhi", 1500, "AA:BB")
    known.remember("::1", 1500, "CC:DD")
    assert known.fingerprint("delhi", 1500) == "AA:BB"
    assert known.fingerprint("::1", 1500) == "CC:DD"
    assert known.fingerprint("delhi", 1501) is None


def test_remembering_again_replaces_the_pin_and_keeps_comments(tmp_path: Path) -> None:
    path = tmp_path / "known_servers"
    path.write_text("# mine\ndelhi:1500 AA:BB\ntokyo:1500 EE:FF\n")
    KnownServers(str(path)).remember("delhi", 1500, "CC:DD")
    assert path.read_text().splitlines() == ["# mine", "tokyo:1500 EE:FF", "delhi:1500 CC:DD"]


def test_the_file_lies_in_the_users_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert default_path() == "/somewhere/farvault/known_servers"
