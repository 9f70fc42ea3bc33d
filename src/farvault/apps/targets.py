"""Server definitions put to use: the device of a SERVER class, and a session with any defined server.

Definitions and secrets are read anew for every session, so UPDATE SERVER works at once. What a sign-on teaches (the
pin at first contact, that our verification code is registered) is in the catalog before the session is used.
"""

from __future__ import annotations

import msgspec

from farvault import __version__
from farvault.base.clock import Clock
from farvault.base.errors import NotAvailable
from farvault.base.log import Log
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.media.interface import Device
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget, TargetDefinition
from farvault.model import server as servers
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.protocol.login import SERVER, ClientLogin
from farvault.seal.identity import Identity, new_code
from farvault.seal.keyring import Keyring
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on

_NODE_PASSWORD, _CODE = "sealed_node_password", "sealed_verification_code"


class Targets:
    """Opens sessions with the servers defined in one catalog."""

    def __init__(self, catalog: Catalog, keyring: Keyring, identity: Identity, log: Log, clock: Clock) -> None:
        self._catalog = catalog
        self._keyring = keyring
        self._identity = identity
        self._log = log
        self._clock = clock

    def device(self, device_class: DeviceClass) -> Device:
        """The device of a SERVER class; nothing is dialled before its first use."""
        return ServerDevice(device_class, self._target(device_class.server_name), self._clock, self._log)

    def connect(self, server: Server) -> Connection:
        """A signed-on session with a defined server: as its source where it is a target, else as a server."""
        if server.is_target:
            return self._target(server.name).open_session().connection
        connection = dial(
            server.high_level_address, server.low_level_address, fingerprint=server.fingerprint or None
        )
        own_name, password = self._own()
        login = ClientLogin(
            SERVER,
            own_name,
            password,
            connection.peer_certificate_der,
            server_name=own_name,
            platform=f"Farvault {__version__}",
            product_version=__version__,
            own_identity=self._identity.public_key_bytes,
        )
        sign_on(connection, login)
        if not server.fingerprint:
            self._pin(server.name, connection.fingerprint)
        return connection

    def _target(self, server_name: str) -> DefinedTarget:
        return DefinedTarget(
            server_name,
            lambda: self._definition(server_name),
            self._identity,
            pinned=lambda fingerprint: self._pin(server_name, fingerprint),
            code_registered=lambda: self._note_registered(server_name),
            product_version=__version__,
        )

    def _definition(self, server_name: str) -> TargetDefinition:
        with self._catalog.read() as r:
            server = nouns.get(r, Server, server_name)
            own_name = get_setting(r, "SERVERNAME") or ""
        if not server.is_target:
            raise NotAvailable("ANR0906E", server=server_name)
        if not server.sealed_verification_code:
            server = self._with_code(server_name)
        return TargetDefinition(
            server_name=server.name,
            host=server.high_level_address,
            port=server.low_level_address,
            node_name=server.node_name or own_name,
            password=self._open(server, _NODE_PASSWORD).decode(),
            own_server_name=own_name,
            fingerprint=server.fingerprint,
            code=self._open(server, _CODE),
            force_sync=server.force_sync,
            delete_grace_days=server.delete_grace_days,
        )

    def _open(self, server: Server, field: str) -> bytes:
        return self._keyring.open_secret(getattr(server, field), servers.secret_context(server.name, field))

    def _with_code(self, server_name: str) -> Server:
        """Make the verification code; it is durable here before the target hears of it."""
        with self._catalog.write() as tx:
            server = nouns.get(tx, Server, server_name)
            if not server.sealed_verification_code:
                sealed = self._keyring.seal_secret(new_code(), servers.secret_context(server_name, _CODE))
                server = msgspec.structs.replace(server, sealed_verification_code=sealed)
                nouns.update(tx, server)
        return server

    def _pin(self, server_name: str, fingerprint: str) -> None:
        with self._catalog.write() as tx:
            server = nouns.get(tx, Server, server_name)
            nouns.update(tx, msgspec.structs.replace(server, fingerprint=fingerprint))
        self._log.say("ANR0907I", server=server_name, fingerprint=fingerprint)

    def _note_registered(self, server_name: str) -> None:
        with self._catalog.write() as tx:
            server = nouns.get(tx, Server, server_name)
            nouns.update(tx, msgspec.structs.replace(server, force_sync=False))
        self._log.say("ANR0908I", server=server_name)

    def _own(self) -> tuple[str, str]:
        """Our server name and SERVERPASSWORD, which other servers know us by."""
        with self._catalog.read() as r:
            name = get_setting(r, "SERVERNAME") or ""
            sealed = get_setting(r, "SERVERPASSWORD")
        if not sealed:
            raise NotAvailable("ANR0909E")
        return name, self._keyring.open_secret(bytes.fromhex(sealed), servers.SERVER_PASSWORD_CONTEXT).decode()
