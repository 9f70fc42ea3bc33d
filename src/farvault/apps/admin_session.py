"""The administrative program's session with its server: where it is, who it must be, signing on, one command at a time."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator

from farvault import __version__
from farvault.apps.admin_options import Options
from farvault.apps.instance_folder import LOCAL_ADMINISTRATOR, InstanceFolder
from farvault.base.errors import BadInput, FarvaultError, NotAvailable, NotFound
from farvault.base.messages import Message, message
from farvault.base.units import show_time
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import ADMIN, ClientLogin
from farvault.protocol.messages import (
    Body,
    Command,
    CommandEnd,
    Output,
    Question,
    Refused,
    SignOff,
    WatchConsole,
)
from farvault.protocol.refusal import from_refused
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on
from farvault.transport.known_servers import KnownServers

Ask = Callable[[str, bool], str]
"""Ask a person: what, and whether it is secret. Raises `BadInput` where there is nobody to ask."""


class AdminSession:
    """Signs on at the first command and again where the link was lost in between. `notice` gets what one should see."""

    def __init__(self, options: Options, ask: Ask, notice: Callable[[Message], None]) -> None:
        self._options, self._ask, self._notice = options, ask, notice
        self._credentials: tuple[str, str] | None = None
        self._connection: Connection | None = None
        self.server_name = ""
        self.banner = ""

    def connect(self) -> None:
        """Sign on where we are not; `LoginRefused`, `PeerUnreachable`, `BadInput`."""
        if self._connection is not None:
            if not self._connection.is_readable():
                return
            self.drop()  # the server has closed it: nobody speaks unasked
        host, port, fingerprint = self._where()
        name, password = self._who()
        pins = KnownServers()
        pinned = fingerprint or pins.fingerprint(host, port)
        connection = dial(host, port, fingerprint=pinned)
        login = ClientLogin(
            ADMIN,
            name,
            password,
            connection.peer_certificate_der,
            platform=platform.system(),
            product_version=__version__,
        )
        try:
            welcome = sign_on(connection, login)
        except BaseException:
            connection.close()
            raise
        if not self._options.instance:
            self._remember(pins, host, port, connection.fingerprint)
        assert login.answer is not None
        self._connection = connection
        self.server_name = login.answer.server_name
        self.banner = (
            f"Session established with server {self.server_name}\n"
            f"  Server Version {login.answer.product_version}\n"
            f"  Server date/time: {show_time(welcome.server_time)}  Last access: "
            f"{show_time(welcome.last_access_time or None)}"
        )

    def _where(self) -> tuple[str, int, str]:
        """Host, port and the fingerprint that must be seen ('' = as pinned)."""
        if not self._options.instance:
            return *self._options.address, self._options.fingerprint
        folder = InstanceFolder(self._options.instance)
        bind = folder.settings().bind
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared
        return host, folder.running_port(), folder.fingerprint()

    def _who(self) -> tuple[str, str]:
        if self._credentials is None:
            options = self._options
            if options.instance and not options.id:
                return LOCAL_ADMINISTRATOR, InstanceFolder(options.instance).console_secret()
            name = options.id or self._ask("Enter your user id", False)
            self._credentials = name, self._password()
        return self._credentials

    def _password(self) -> str:
        if self._options.password:
            return self._options.password
        if self._options.password_file:
            try:
                with open(self._options.password_file, encoding="utf-8") as file:
                    line = file.readline().rstrip("\r\n")
            except OSError as error:
                raise NotFound("ANS8013E", path=self._options.password_file, reason=error.strerror) from None
            if not line:
                raise BadInput("ANS8013E", path=self._options.password_file, reason="its first line is empty")
            return line
        return self._ask("Enter your password", True)

    def _remember(self, pins: KnownServers, host: str, port: int, fingerprint: str) -> None:
        try:
            if pins.fingerprint(host, port) == fingerprint:
                return
        except NotAvailable:
            return  # the fingerprint was given, else this would be known before the sign-on
        self._notice(message("ANS8014I", host=host, port=port, fingerprint=fingerprint, path=pins.path))
        with contextlib.suppress(OSError):  # a read-only home: trusted this time, asked again the next
            pins.remember(host, port, fingerprint)

    def run(self, text: str, *, width: int, confirmed: bool) -> Iterator[Output | Question | CommandEnd]:
        """One command; the last thing it yields is a Question or a CommandEnd."""
        self.connect()
        assert self._connection is not None
        self._connection.send(Command(text=text, width=width, style=self._options.style, confirmed=confirmed))
        while True:
            body = self._receive()
            if not isinstance(body, Output | Question | CommandEnd):
                raise ProtocolError(f"{type(body).__name__} as an answer", self._connection.peer)
            yield body
            if not isinstance(body, Output):
                return

    def watch(self) -> Iterator[Output]:
        """What the server says, until the caller stops listening."""
        self.connect()
        assert self._connection is not None
        self._connection.send(WatchConsole())
        while True:
            body = self._receive()
            if isinstance(body, Output):
                yield body

    def _receive(self) -> Body:
        assert self._connection is not None
        body = self._connection.receive().body
        if isinstance(body, Refused):
            raise from_refused(body)
        return body

    def drop(self) -> None:
        """Cut the link; a command under way goes on at the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Say good-bye where that is still possible."""
        if self._connection is not None:
            with contextlib.suppress(FarvaultError):
                self._connection.send(SignOff())
            self.drop()
