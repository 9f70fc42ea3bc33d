"""A whole server in this process: a folder of its own, loopback, port 0. What grid tests drive."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.patience import PATIENCE_SECONDS

from farvault.admin.execute import CONSOLE, execute
from farvault.apps.instance_folder import Settings
from farvault.apps.make_instance import make_instance
from farvault.apps.server import Server
from farvault.base.log import Line
from farvault.catalog import audit
from farvault.protocol.login import NODE, ClientLogin, SourceProof
from farvault.protocol.messages import CommandEnd, Output, Question, Welcome
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on

PASSWORD = "correct-horse-1"


@dataclass(frozen=True)
class AdminAnswer:
    """What an administrative command answered."""

    text: str
    return_code: int


class Lines:
    """Sink: what a server said, and a way to wait for a message instead of sleeping."""

    def __init__(self) -> None:
        self.all: list[Line] = []
        self._changed = threading.Condition()

    def __call__(self, line: Line) -> None:
        with self._changed:
            self.all.append(line)
            self._changed.notify_all()

    @property
    def ids(self) -> list[str]:
        with self._changed:
            return [line.message.id for line in self.all]

    def wait_for(self, message_id: str, count: int = 1) -> Line:
        """The `count`-th line with this id, now or within `PATIENCE_SECONDS`."""

        def found() -> list[Line]:
            return [line for line in self.all if line.message.id == message_id]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, PATIENCE_SECONDS), (
                f"{message_id} was never said; said were {[str(line) for line in self.all[-20:]]}"
            )
            return found()[count - 1]


@dataclass
class GridServer:
    """A server and its folder. `start` again after `stop` to see what a restart keeps."""

    name: str
    folder: str
    lines: Lines = field(default_factory=Lines)
    change: Callable[[Server], None] = lambda server: None
    """Called before each start: tests put a faulty device or another clock in here."""
    data_port: int = 0
    """0 = another one at each start."""
    log_capacity_mib: int = Settings().log_capacity_mib
    """Of the recovery log, once there is one: 16 is the smallest."""

    def __post_init__(self) -> None:
        if not os.path.isdir(self.folder):  # else it was made before, and is only started again
            settings = Settings(data_port=self.data_port, log_capacity_mib=self.log_capacity_mib)
            self.made = make_instance(self.folder, self.name, settings)
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        assert self._server is not None, "not started"
        return self._server

    @property
    def port(self) -> int:
        return self.server.port

    def start(self) -> GridServer:
        server = Server(self.folder, console=self.lines)
        self.change(server)
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def restart(self) -> GridServer:
        self.stop()
        return self.start()

    def admin(self, command: str, *, allow: tuple[int, ...] = (0,), style: str = "") -> AdminAnswer:
        """One command as SERVER_CONSOLE, confirmed; fails the test where the return code is not in `allow`."""
        text, return_code = [], 0
        for answer in execute(self.server.instance, CONSOLE, command, width=0, style=style, confirmed=True):
            if isinstance(answer, Output | Question):
                text.append(answer.text)
            elif isinstance(answer, CommandEnd):
                return_code = answer.return_code
        whole = "\n".join(text)
        assert return_code in allow, f"{self.name}: {command}: rc {return_code}\n{whole}"
        return AdminAnswer(whole, return_code)

    def rows(self, command: str) -> list[dict[str, Any]]:
        """What a query finds, a column by its name; none where it finds nothing."""
        text = self.admin(command, style="JSON", allow=(0, 11)).text
        found: list[dict[str, Any]] = []
        if text.startswith("["):
            found = json.loads(text.partition("\nANR2034E")[0])
        return found

    def volumes(self) -> list[str]:
        return [row["name"] for row in self.rows("query volume")]

    def sign_on(
        self,
        name: str,
        password: str = PASSWORD,
        *,
        role: str = NODE,
        proof: SourceProof | None = None,
        server_name: str = "",
    ) -> tuple[Connection, Welcome]:
        """A signed-on connection; close it. Raises what a client would get."""
        connection = dial("127.0.0.1", self.port, fingerprint=self.server.fingerprint)
        login = ClientLogin(
            role,
            name,
            password,
            connection.peer_certificate_der,
            platform="Linux",
            proof=proof,
            server_name=server_name,
        )
        return connection, sign_on(connection, login)


def is_sound(*servers: GridServer) -> bool:
    """Are all rows of their catalogs as they were written, and do all sums add up?"""
    for server in servers:
        with server.server.catalog.read() as r:
            assert list(audit.check_row_digests(r)) == []
            assert list(audit.check_sums(r)) == []
    return True
