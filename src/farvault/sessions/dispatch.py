"""From a connection to the work: sign-on, role, and whatever ends a session told in one line.

Nothing that comes from a peer may hurt the server: a refused request is an answer, broken protocol closes the session,
a defect of ours is told to the console with its traceback and to the peer without.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

from farvault.admin.instance import Instance
from farvault.base.address import neighbourhood
from farvault.base.errors import FarvaultError, LoginRefused, NotAvailable, PeerMisbehaved, PeerUnreachable
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.node import Node
from farvault.protocol.login import ADMIN, NODE, SERVER, SOURCE, Account, ServerLogin
from farvault.protocol.messages import Hello
from farvault.protocol.refusal import to_refused
from farvault.protocol.throttle import Throttle
from farvault.seal.identity import verify
from farvault.sessions.accounts import Accounts
from farvault.sessions.administrator import serve_administrator
from farvault.sessions.client_node import serve_node
from farvault.sessions.last_access import LastAccess
from farvault.sessions.node_session import NodeSession
from farvault.sessions.ping import serve_ping
from farvault.sessions.source import serve_source
from farvault.sessions.source_trust import Registrar
from farvault.sessions.takeover import Takeover
from farvault.storage.simultaneous import StoreSession
from farvault.transport.connection import Connection
from farvault.transport.heartbeat import STEADY, Pulse, keep_beating
from farvault.transport.listen import let_in
from farvault.transport.session_table import SessionEntry


class _Words(NamedTuple):
    """What QUERY SESSION and the start and end messages call a role."""

    type: str
    started: str
    ended: str


_WORDS: Final = {
    NODE: _Words("Node", "ANR0406I", "ANR0403I"),
    ADMIN: _Words("Admin", "ANR0407I", "ANR0405I"),
    SOURCE: _Words("Server", "ANR0408I", "ANR0409I"),
    SERVER: _Words("Server", "ANR0408I", "ANR0409I"),
}
_IDLE: Final = "ANR8217E"
"""The connection's message for "nothing came for too long"."""
_GUESSES: Final = frozenset({"ANR0422W", "ANR0423W", "ANR0424W", "ANR0450W"})
"""Refusals that somebody who guesses names or passwords gets: they make the next try slower."""


class Dispatcher:
    """Serves every connection of one server; `serve` runs in the connection's own thread."""

    def __init__(
        self,
        instance: Instance,
        accounts: Accounts,
        throttle: Throttle,
        last_access: LastAccess,
        server_name: Callable[[], str],
        most_of_a_source: int = 100,
        pulse: Pulse = STEADY,
    ) -> None:
        """`most_of_a_source`: sessions one source may have open, so that some are left for everybody else."""
        self._instance = instance
        self._most_of_a_source = most_of_a_source
        self._pulse = pulse
        self._writers, self._transactions = Takeover(), Takeover()
        self._accounts = accounts
        self._throttle = throttle
        self._last_access = last_access
        self._server_name = server_name
        self._registrar = Registrar(instance.catalog, instance.storage.vault_clock, instance.log)
        self._decoy_key = instance.keyring.derive_record_key(instance.keyring.current_id, b"sign-on decoys..")

    def serve(self, connection: Connection) -> None:
        """Sign-on, work, good-bye. Raises nothing that a peer can cause."""
        entries: list[SessionEntry] = []
        login = self._login(connection, entries)
        try:
            if self._is_let_in(connection, login):
                self._work(connection, login, entries[0])
        finally:
            for entry in entries:
                self._instance.session_table.remove(entry)

    # --- sign-on -----------------------------------------------------------------------------------------------

    def _login(self, connection: Connection, entries: list[SessionEntry]) -> ServerLogin:
        def lookup(hello: Hello) -> Account:
            self._throttle.check(hello.name.upper(), _host(connection))
            account = self._accounts.find(hello, connection.peer)
            entry = self._instance.session_table.open(
                connection, _WORDS[hello.role].type, hello.name.upper(), _printable(hello.platform)
            )
            entries.append(entry)
            return dataclasses.replace(account, session=entry.number)

        identity = self._instance.identity
        return ServerLogin(
            self._server_name(),
            identity.public_key_bytes,
            identity.certificate_der,
            self._instance.product_version,
            lookup,
            verify=verify,
            decoy_key=self._decoy_key,
            register=lambda hello, code, key: self._registrar.register(hello, code, key, connection.peer),
            address=connection.peer,
        )

    def _is_let_in(self, connection: Connection, login: ServerLogin) -> bool:
        try:
            let_in(connection, login)
        except LoginRefused as refusal:
            self._instance.log.repeat(refusal.message)
            if refusal.message.id in _GUESSES and login.hello is not None:
                self._throttle.failed(login.hello.name.upper(), _host(connection))
            return False
        except (PeerMisbehaved, PeerUnreachable) as broken:
            self._instance.log.say("ANR0440W", address=connection.peer, reason=broken.message.text)
            return False
        assert login.hello is not None
        self._throttle.succeeded(login.hello.name.upper(), _host(connection))
        return True

    # --- work --------------------------------------------------------------------------------------------------

    def _work(self, connection: Connection, login: ServerLogin, entry: SessionEntry) -> None:
        assert login.hello is not None
        role = login.hello.role
        self._note_start(login, entry)
        try:
            self._serve_role(connection, login, entry)
        except PeerUnreachable as gone:
            self._say_cut(entry, gone)
        except PeerMisbehaved as wrong:
            self._say(entry, "ANR0484W", reason=wrong.message.text)
            with contextlib.suppress(FarvaultError):
                connection.send(to_refused(wrong))
        except FarvaultError as error:
            self._instance.log.repeat(error.message, session=entry.number, node=_node(entry))
            self._say(entry, "ANR0486W")
            with contextlib.suppress(FarvaultError):
                connection.send(to_refused(error))
        except Exception as error:  # noqa: BLE001 - a defect ends this session, never the server
            traceback.print_exc(file=sys.stderr)
            self._instance.log.say(
                "ANR9999D",
                session=entry.number,
                node=_node(entry),
                place=f"session {entry.number}",
                error=repr(error),
            )
            self._say(entry, "ANR0486W")
            with contextlib.suppress(FarvaultError):
                connection.send(to_refused(NotAvailable("ANR0530W")))
        finally:
            if role in (NODE, SOURCE):
                self._last_access.node_left(entry.name, connection.bytes_received, connection.bytes_sent)
            self._say(entry, _WORDS[role].ended)

    def _serve_role(self, connection: Connection, login: ServerLogin, entry: SessionEntry) -> None:
        assert login.hello is not None and login.account is not None
        instance, role = self._instance, login.hello.role
        if role == ADMIN:
            serve_administrator(connection, instance, entry.name, entry.number)
        elif role == SERVER:
            serve_ping(connection, entry.name)
        else:
            with instance.catalog.read() as r:
                node = nouns.get(r, Node, entry.name)
            session = NodeSession(
                connection=connection,
                number=entry.number,
                node_id=node.id,
                node_name=node.name,
                catalog=instance.catalog,
                storage=instance.storage,
                processes=instance.processes,
                log=instance.log,
                clock=instance.clock,
                transaction_objects=login.account.transaction_objects,
                storing=StoreSession(instance.storage, f"session {entry.number} of node {node.name}"),
                transactions=self._transactions,
            )
            with contextlib.closing(session.storing):
                if role == NODE:
                    serve_node(session)
                else:
                    self._refuse_too_many(entry)
                    keep_beating(connection, self._pulse)
                    serve_source(session, self._writers, code_key=login.code_key, epoch=login.hello.epoch)

    def _refuse_too_many(self, entry: SessionEntry) -> None:
        open_now = [
            one
            for one in self._instance.session_table.list()
            if (one.name, one.type) == (entry.name, entry.type) and one.number <= entry.number
        ]
        if len(open_now) > self._most_of_a_source:
            raise NotAvailable("ANR4897E", node=entry.name, most=self._most_of_a_source)

    # --- what is said ------------------------------------------------------------------------------------------

    def _say(self, entry: SessionEntry, message_id: str, **values: object) -> None:
        said = message(
            message_id, **{"session": entry.number, "name": entry.name, "platform": entry.platform, **values}
        )
        self._instance.log.repeat(said, session=entry.number, node=_node(entry))

    def _note_start(self, login: ServerLogin, entry: SessionEntry) -> None:
        assert login.hello is not None
        role, now = login.hello.role, self._instance.clock.now_seconds()
        if role in (NODE, SOURCE):
            self._last_access.node_came(entry.name, entry.platform, now)
        elif role == ADMIN:
            self._last_access.administrator_came(entry.name, now)
        purpose = ", read only" if login.read_only else " for ping" if role == SERVER else ""
        self._say(entry, _WORDS[role].started, address=entry.address, purpose=purpose)
        if login.code_registered:
            self._say(entry, "ANR0567I")

    def _say_cut(self, entry: SessionEntry, gone: PeerUnreachable) -> None:
        if entry.cancelled:
            self._say(entry, "ANR0483W")
        elif gone.message.id == _IDLE:
            self._say(entry, "ANR0482W", minutes=round((entry.connection.idle_seconds or 0) / 60))
        else:
            self._say(entry, "ANR0480W", reason=gone.message.text)


def _node(entry: SessionEntry) -> str:
    """The node a line belongs to, for QUERY ACTLOG NODENAME=."""
    return "" if entry.type == _WORDS[ADMIN].type else entry.name


def _host(connection: Connection) -> str:
    """What failed sign-ons are counted by."""
    return neighbourhood(connection.host)


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:64]
