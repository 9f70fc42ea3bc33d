"""Pins are remembered by address, survive other lines in the file, and are replaced as a whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.errors import NotAvailable
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


def test_two_programs_that_meet_servers_at_once_lose_no_pin(tmp_path: Path) -> None:
    known = KnownServers(str(tmp_path / "known_servers"))
    ports = range(1, 41)
    start = threading.Barrier(4)

    def meet(mine: range) -> None:
        start.wait(PATIENCE_SECONDS)
        for port in mine:
            KnownServers(known.path).remember("delhi", port, f"{port}")

    threads = [threading.Thread(target=meet, args=(ports[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert [known.fingerprint("delhi", port) for port in ports] == [str(port) for port in ports]
    assert [path.name for path in tmp_path.iterdir()] == ["known_servers"]


def test_what_is_no_utf8_does_no_harm_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "known_servers"
    path.write_bytes(b"# J\xfcrgen's\ndelhi:1500 AA:BB\n")
    known = KnownServers(str(path))
    assert known.fingerprint("delhi", 1500) == "AA:BB"
    known.remember("tokyo", 1500, "CC:DD")
    assert path.read_bytes() == b"# J\xfcrgen's\ndelhi:1500 AA:BB\ntokyo:1500 CC:DD\n"


def test_pins_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "known_servers").mkdir()
    with pytest.raises(NotAvailable, match="ANR8221E"):
        KnownServers(str(tmp_path / "known_servers")).fingerprint("delhi", 1500)
