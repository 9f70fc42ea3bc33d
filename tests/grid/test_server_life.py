"""A server's start and end: signals, HALT, the lock, the service manager."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.server_process import ServerProcess
from tests.patience import PATIENCE_SECONDS

from farvault.admin.execute import CONSOLE
from farvault.base.errors import InUse
from farvault.protocol.login import ADMIN, ClientLogin
from farvault.protocol.messages import Command, CommandEnd, Output, WatchConsole
from farvault.transport.dial import dial, sign_on

MakeServer = Callable[[str], GridServer]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return GridServer("DELHI", str(tmp_path / "delhi")).folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(folder: str, number: signal.Signals) -> None:
    running = ServerProcess(folder)
    running.process.send_signal(number)
    assert running.wait() == 0
    assert "ANR0991I" in running.lines[-1]
    assert not any("Traceback" in line for line in running.lines)


def test_the_service_manager_hears_when_it_is_ready_and_when_it_stops(folder: str, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE_SECONDS)
        running = ServerProcess(folder, NOTIFY_SOCKET=path)
        assert manager.recv(100) == b"READY=1"
        running.process.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        assert running.wait() == 0


def test_a_second_server_on_the_same_folder_is_refused(folder: str, make_server: MakeServer) -> None:
    running = ServerProcess(folder)
    second = ServerProcess(folder)
    assert second.wait() == InUse.return_code
    assert "ANR0998E" in second.lines[-2] and "HALT" in second.lines[-1]
    assert str(running.process.pid) in second.lines[-2]
    running.process.terminate()
    assert running.wait() == 0


def test_a_server_that_was_killed_starts_again(folder: str) -> None:
    ServerProcess(folder).kill()
    again = ServerProcess(folder)
    assert again.port
    again.process.terminate()
    assert again.wait() == 0


def test_halt_answers_and_then_stops_it(folder: str) -> None:
    running = ServerProcess(folder)
    from farvault.apps.instance_folder import InstanceFolder

    instance = InstanceFolder(folder)
    assert instance.running_port() == running.port
    connection = dial("127.0.0.1", instance.running_port(), fingerprint=instance.fingerprint())
    login = ClientLogin(ADMIN, CONSOLE, instance.console_secret(), connection.peer_certificate_der)
    sign_on(connection, login)
    connection.send(Command(text="halt", confirmed=True))
    while not isinstance(connection.expect(Output, CommandEnd)[0], CommandEnd):
        pass
    assert running.wait() == 0
    assert "ANR0991I" in running.lines[-1]


def test_halt_in_this_process_asks_and_does_not_wait(make_server: MakeServer) -> None:
    delhi = make_server("DELHI")
    assert not delhi.server.wait_until_asked(0)
    delhi.admin("halt")
    assert delhi.server.wait_until_asked(PATIENCE_SECONDS)


def test_two_servers_in_one_process_share_nothing(make_server: MakeServer) -> None:
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    delhi.admin(f"register node ann {PASSWORD}")
    assert "ANN" in delhi.admin("query node").text
    tokyo.admin("query node ann", allow=(11,))
    assert delhi.server.fingerprint != tokyo.server.fingerprint


def test_a_stopped_server_leaves_nothing_behind(make_server: MakeServer) -> None:
    delhi = make_server("DELHI")
    port = delhi.port
    delhi.stop()
    assert delhi.lines.ids[-1] == "ANR0991I"
    with pytest.raises(Exception, match="ANR8214E"):
        dial("127.0.0.1", port)
    delhi.start()


def test_what_was_said_is_in_the_activity_log_after_a_restart(make_server: MakeServer) -> None:
    delhi = make_server("DELHI")
    delhi.restart()
    text = delhi.admin("query actlog").text
    assert "ANR0916I" in text
    assert "ANR0991I" in text


def test_a_console_watcher_sees_lines_as_they_are_said_and_may_leave(make_server: MakeServer) -> None:
    delhi = make_server("DELHI")
    watcher, _ = delhi.sign_on(CONSOLE, delhi.server.folder.console_secret(), role=ADMIN)
    watcher.send(WatchConsole())
    seen = []
    while "ANR0422W" not in seen:
        with pytest.raises(Exception, match="ANR0422W"):
            delhi.sign_on(f"nobody-{len(seen)}")
        seen.append(watcher.expect(Output)[0].message_id)
    watcher.close()
    delhi.lines.wait_for("ANR0405I")


def test_a_command_through_a_session_is_answered_and_carries_its_session_number(
    make_server: MakeServer,
) -> None:
    delhi = make_server("DELHI")
    delhi.admin(f"register admin root {PASSWORD}")
    connection, welcome = delhi.sign_on("root", role=ADMIN)
    connection.send(Command(text="query node"))
    body, _ = connection.expect(Output, CommandEnd)
    assert isinstance(body, Output)
    delhi.lines.wait_for("ANR0407I")
    assert any(line.session == welcome.session for line in delhi.lines.all)
    connection.close()
