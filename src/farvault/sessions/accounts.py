"""Who may sign on in which role, found in the catalog. Everything refused here has its own message.

Unknown names are refused at once; the sign-on then goes through the motions with a decoy, so that nobody learns names
by timing. A known name that may not come in (locked, wrong type, server disabled) is refused only after the password
was right: the reason is nobody else's business.
"""

from __future__ import annotations

from farvault.admin.instance import Availability
from farvault.admin.server_secrets import server_password_context
from farvault.base.clock import Clock
from farvault.base.errors import LoginRefused
from farvault.catalog import nouns, vault_rules
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Snapshot
from farvault.model.administrator import Administrator
from farvault.model.node import Node
from farvault.model.server import Server
from farvault.protocol.login import ADMIN, NODE, SERVER, SOURCE, Account
from farvault.protocol.messages import Hello
from farvault.protocol.scram import Verifier, make_verifier, parse_verifier
from farvault.seal.digest import digest
from farvault.seal.keyring import Keyring

TRANSACTION_OBJECTS = 4096
"""TXNGROUPMAX of a node that has no value of its own."""


class Accounts:
    """The catalog's view of names. `console_secret`: the password of the local administrator SERVER_CONSOLE."""

    def __init__(
        self,
        catalog: Catalog,
        keyring: Keyring,
        clock: Clock,
        availability: Availability,
        console_name: str,
        console_secret: str,
    ) -> None:
        self._catalog = catalog
        self._keyring = keyring
        self._clock = clock
        self._availability = availability
        self._console_name = console_name
        self._console_verifier = parse_verifier(make_verifier(console_secret))

    def find(self, hello: Hello, address: str) -> Account:
        """The account that `hello` names; raises `LoginRefused` where there is none."""
        name = hello.name.upper()
        with self._catalog.read() as r:
            if hello.role in (NODE, SOURCE):
                account = self._node(r, hello.role, name, address)
            elif hello.role == ADMIN:
                account = self._administrator(r, name, address)
            else:
                assert hello.role == SERVER
                account = self._server(r, name, address)
        if account.refusal is None and not self._availability.admits(hello.role):
            refusal = LoginRefused("ANR0420W", name=name, address=address)
            account = _refused(account, refusal)
        return account

    def _node(self, r: Snapshot, role: str, name: str, address: str) -> Account:
        node = nouns.find(r, Node, name)
        if node is None:
            raise LoginRefused("ANR0422W", name=name, address=address)
        return Account(
            verifier=_verifier(node.password_verifier),
            registered_code_key=node.verification_public_key,
            registered_identity=node.identity_public_key,
            refusal=_node_refusal(node, role, address),
            admits_readers=not node.is_source or vault_rules.of_node(r, node.id).read_only_sessions,
            server_time=self._clock.now_seconds(),
            last_access_time=node.last_access_time,
            transaction_objects=node.transaction_group_max or TRANSACTION_OBJECTS,
        )

    def _administrator(self, r: Snapshot, name: str, address: str) -> Account:
        now = self._clock.now_seconds()
        if name == self._console_name:
            return Account(verifier=self._console_verifier, server_time=now)
        administrator = nouns.find(r, Administrator, name)
        if administrator is None:
            raise LoginRefused("ANR0423W", name=name, address=address)
        refusal = LoginRefused("ANR0431W", name=name, address=address) if administrator.locked else None
        return Account(
            verifier=_verifier(administrator.password_verifier),
            refusal=refusal,
            server_time=now,
            last_access_time=administrator.last_access_time,
        )

    def _server(self, r: Snapshot, name: str, address: str) -> Account:
        """The caller shows its own SERVERPASSWORD; DEFINE SERVER here told us which that is.

        Kept is the password itself, so the verifier is made each time: with the same salt, and for unknown names too,
        else its change or its cost would tell which names are known.
        """
        server = nouns.find(r, Server, name)
        if server is None or not server.sealed_server_password:
            make_verifier("nobody's")
            raise LoginRefused("ANR0450W", name=name, address=address)
        sealed = server.sealed_server_password
        password = self._keyring.open_secret(sealed, server_password_context(name))
        verifier = parse_verifier(make_verifier(password.decode(), salt=digest(sealed)))
        return Account(verifier=verifier, server_time=self._clock.now_seconds())


def _node_refusal(node: Node, role: str, address: str) -> LoginRefused | None:
    if node.locked:
        return LoginRefused("ANR0430W", name=node.name, address=address)
    if role == NODE and node.is_source:
        return LoginRefused("ANR0495W", name=node.name, address=address)
    if role == SOURCE and not node.is_source:
        return LoginRefused("ANR0496W", name=node.name, address=address)
    return None


def _refused(account: Account, refusal: LoginRefused) -> Account:
    return Account(
        verifier=account.verifier,
        refusal=refusal,
        server_time=account.server_time,
        last_access_time=account.last_access_time,
    )


def _verifier(text: str) -> Verifier | None:
    """The stored verifier; None where no password was ever set."""
    return parse_verifier(text) if text else None
