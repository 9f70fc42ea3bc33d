"""Secrets of server definitions: sealed by the keyring before they reach the catalog, opened only where they are used.

The context is part of the seal: a sealed password copied to another row or field does not open there.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.epoch import epoch
from farvault.catalog.settings import get_setting
from farvault.media.link_book import LinkRecord
from farvault.media.target import DefinedTarget, TargetDefinition, TargetSession
from farvault.model.server import Server
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.transport.heartbeat import STEADY, Pulse


def server_password_context(server_name: str) -> str:
    """What the other server's SERVERPASSWORD is sealed for."""
    return f"server password {server_name}"


def node_password_context(server_name: str) -> str:
    """What our node password at a target is sealed for."""
    return f"node password {server_name}"


def code_context(server_name: str) -> str:
    """What the verification code for a target is sealed for."""
    return f"verification code {server_name}"


OWN_PASSWORD_CONTEXT = "SERVERPASSWORD"  # noqa: S105 - names what is sealed


def target_definition(catalog: Catalog, keyring: Keyring, server_name: str) -> TargetDefinition:
    """A server definition with its secrets opened; `NotFound`, `RecordDamaged` where the keys do not fit."""
    with catalog.read() as r:
        server = nouns.get(r, Server, server_name)
        own_name = get_setting(r, "SERVERNAME") or ""
        own_epoch = epoch(r)
    return opened(server, own_name, keyring, own_epoch)


def opened(server: Server, own_name: str, keyring: Keyring, own_epoch: int = 0) -> TargetDefinition:
    """The same where the definition did not come from a catalog: no epoch is told then. `RecordDamaged` where the keys
    do not fit."""
    code = server.sealed_verification_code
    return TargetDefinition(
        server_name=server.name,
        host=server.high_level_address,
        port=server.low_level_address,
        node_name=server.node_name or own_name,
        password=keyring.open_secret(
            server.sealed_node_password, node_password_context(server.name)
        ).decode(),
        own_server_name=own_name,
        fingerprint=server.fingerprint,
        code=keyring.open_secret(code, code_context(server.name)) if code else b"",
        force_sync=server.force_sync,
        delete_grace_days=server.delete_grace_days,
        epoch=own_epoch,
    )


def defined_target(
    catalog: Catalog,
    keyring: Keyring,
    identity: Identity,
    server_name: str,
    product_version: str = "",
    signed_on: Callable[[], None] = lambda: None,
    is_set_back: Callable[[TargetSession], bool] = lambda _: False,
    pulse: Pulse = STEADY,
    record: LinkRecord | None = None,
) -> DefinedTarget:
    """A defined server as the SERVER device class needs it: the pin and "code registered" are kept in the catalog."""

    def change(**values: object) -> None:
        with catalog.write(uses_reserve=True) as tx:  # a backup that frees a full log begins with a sign-on
            nouns.update(tx, msgspec.structs.replace(nouns.get(tx, Server, server_name), **values))

    return DefinedTarget(
        server_name,
        lambda: target_definition(catalog, keyring, server_name),
        identity,
        pinned=lambda fingerprint: change(fingerprint=fingerprint),
        code_registered=lambda: change(force_sync=False),
        signed_on=signed_on,
        is_set_back=is_set_back,
        product_version=product_version,
        pulse=pulse,
        record=record,
    )
