"""`farvault server init`: keys, catalog, first definitions; the settings file comes last and says "complete".

A crash before that leaves a folder that is recognised as unfinished (keys, no settings); nothing was stored there,
so the advice is to remove it. Nothing is repaired: a half-made key is worse than none.
"""

from __future__ import annotations

import os
import secrets
from typing import NamedTuple

from farvault.apps.first_definitions import make_first_definitions
from farvault.apps.instance_folder import InstanceFolder, Settings, check_new_folder
from farvault.base.clock import Clock, SystemClock
from farvault.base.disk import crash_point, make_folder, write_file
from farvault.base.errors import BadInput, MediaFailed
from farvault.base.messages import Message, message
from farvault.catalog.catalog import Catalog
from farvault.model.attribute import BadValue, Name
from farvault.protocol.login import make_verifier
from farvault.seal.identity import Identity, fingerprint
from farvault.seal.keyring import Keyring

CATALOG_FILE = "catalog.db"


class Made(NamedTuple):
    """What the person must see. The recovery code exists nowhere else."""

    message: Message
    fingerprint: str
    recovery_code: str


def make_instance(
    path: str,
    server_name: str,
    settings: Settings,
    *,
    administrator: str = "ADMIN",
    password: str = "",
    clock: Clock | None = None,
) -> Made:
    """Make a server in an empty or new folder. Raises `BadInput`, `AlreadyExists`, `MediaFailed`."""
    name = _name(server_name, "server name")
    administrator = _name(administrator, "administrator name")
    verifier = make_verifier(password) if password else ""
    folder = InstanceFolder(path)
    check_new_folder(folder)
    try:
        return _make(folder, name, settings, administrator, verifier, clock or SystemClock())
    except OSError as error:
        raise MediaFailed("ANR0905E", folder=folder.path, reason=error.strerror or error) from error


def _make(
    folder: InstanceFolder, name: str, settings: Settings, administrator: str, verifier: str, clock: Clock
) -> Made:
    folder.make()
    os.chmod(folder.keys, 0o700)
    keyring = Keyring.create()
    recovery_code = Keyring.new_recovery_code()
    identity = Identity.create(name)
    write_file(folder.keyring_path, keyring.to_bytes())
    write_file(folder.wrapped_keyring_path, keyring.wrap(recovery_code))
    write_file(folder.identity_path, identity.private_pem + identity.certificate_pem)
    write_file(folder.console_path, secrets.token_hex(32).encode() + b"\n")
    crash_point("instance.make.before_catalog")
    for inner in (settings.catalog_folder, settings.volumes_folder):
        make_folder(folder.inside(inner))
    catalog = Catalog.create(catalog_path(folder, settings), keyring.row_key(), clock)
    try:
        with catalog.write() as tx:
            make_first_definitions(
                tx,
                server_name=name,
                instance_id=secrets.token_hex(16),
                administrator=administrator,
                verifier=verifier,
                now=clock.now_seconds(),
            )
    finally:
        catalog.close()
    crash_point("instance.make.before_settings")
    folder.write_settings(settings)
    return Made(
        message("ANR0992I", server=name, folder=folder.path),
        fingerprint(identity.certificate_der),
        recovery_code,
    )


def catalog_path(folder: InstanceFolder, settings: Settings) -> str:
    """The catalog's file."""
    return os.path.join(folder.inside(settings.catalog_folder), CATALOG_FILE)


def _name(text: str, what: str) -> str:
    try:
        return Name(64).parse(text)
    except BadValue as reason:
        raise BadInput("ANR0999E", value=repr(text), what=what, reason=f"it must be {reason}") from None
