"""One command at work: its options, its report, and sessions with the server, opened late and shared."""

from __future__ import annotations

import getpass
import os
import platform
from typing import TextIO

from farvault.base.errors import BadInput, LoginRefused
from farvault.client.crew import default_processes
from farvault.client.options import Options
from farvault.client.report import Report
from farvault.client.session import Address, NodeSession, Sessions, open_session
from farvault.client.work import ConsumerSettings
from farvault.seal.pack import PIECE_EXTENTS
from farvault.transport.known_servers import KnownServers


class Job:
    """One command at work: its options, report, and the sessions it opens late."""

    piece_extents = PIECE_EXTENTS
    """A longer list of extents is sent in pieces."""

    def __init__(self, options: Options, report: Report, stdin: TextIO) -> None:
        self.options = options
        self.report = report
        self.stdin = stdin
        self.sessions = Sessions(self._connect)
        self._password: str | None = None
        self._fingerprint = options.fingerprint
        self._greeted = False

    @property
    def node(self) -> str:
        return (self.options.node or platform.node().partition(".")[0]).upper()

    def session(self) -> NodeSession:
        """An idle session or a new one; the first shows the banner."""
        session = self.sessions.take()
        if not self._greeted:
            self._greeted = True
            self.report.banner(session, self.node)
        return session

    def _connect(self) -> NodeSession:
        known = None if self._fingerprint else KnownServers()
        address = self.address
        was_known = known is None or known.fingerprint(address.host, address.port) is not None
        session = open_session(address, known)
        if not was_known:
            self.report.say(
                "ANS9806I", server=session.connection.peer, fingerprint=session.connection.fingerprint
            )
            self._remember(address, session.connection.fingerprint)
        self._fingerprint = session.connection.fingerprint
        return session

    def _remember(self, address: Address, fingerprint: str) -> None:
        known = KnownServers()
        try:
            known.remember(address.host, address.port, fingerprint)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            self.report.say("ANS9829W", path=known.path, reason=reason, fingerprint=fingerprint)

    @property
    def address(self) -> Address:
        o = self.options
        return Address(o.address, o.port, self.node, self.password, self._fingerprint)

    @property
    def password(self) -> str:
        if self._password is None:
            self._password = self._find_password()
        return self._password

    def _find_password(self) -> str:
        if self.options.password:
            return self.options.password
        if path := self.options.password_file:
            try:
                with open(path, encoding="utf-8") as file:
                    return file.readline().rstrip("\r\n")
            except OSError as problem:
                raise BadInput("ANS1035S", path=path, reason=problem.strerror or "") from None
        if found := os.environ.get("FARVAULT_CLIENT_PASSWORD", ""):
            return found
        if not self.stdin.isatty():
            raise LoginRefused("ANS2050E", node=self.node)
        return getpass.getpass(f"Please enter password for node {self.node}: ")

    def consumer_settings(self, policy_compression: str = "CLIENT") -> ConsumerSettings:
        """What the crew has to know. Call after the first session: the fingerprint is that server's."""
        o = self.options
        compress = o.compression if policy_compression == "CLIENT" else policy_compression == "YES"
        return ConsumerSettings(
            host=o.address,
            port=o.port,
            fingerprint=self._fingerprint,
            node=self.node,
            password=self.password,
            compression_level=o.compression_level if compress else None,
            changing_retries=o.changing_retries,
            restart_seconds=o.restart_minutes * 60.0,
            restart_interval_seconds=float(o.restart_interval_seconds),
            skip_acl=o.skip_acl,
            piece_extents=self.piece_extents,
        )

    def processes(self) -> int:
        """RESOURCEUTILIZATION as a number of worker processes: 1 none beside this one, 2 and 3 two, then more."""
        wanted = self.options.resources
        return default_processes() if not wanted else 1 if wanted == 1 else min(wanted // 2 + 1, 8)
