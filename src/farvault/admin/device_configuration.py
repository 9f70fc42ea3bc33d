"""The device configuration as a text file of commands: what restoring the database needs to reach its volumes.

SET SERVERNAME, DEFINE SERVER, DEFINE DEVCLASS, as an administrator types them. Passwords are sealed by the keyring
(SEALEDPASSWORD); who writes the file by hand on another site may give PASSWORD instead. The verification code is not in
it: reading needs none. Pure: `apps/protection_files.py` writes it, `apps/restore_volumes.py` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from farvault.admin import registry
from farvault.admin.command import Call
from farvault.admin.definition import defined
from farvault.admin.grammar import Word, parse
from farvault.admin.server_secrets import node_password_context
from farvault.base.errors import BadInput, FarvaultError
from farvault.catalog import nouns
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.administrator import Administrator
from farvault.model.attribute import Noun, attributes
from farvault.model.device_class import DISK, DeviceClass
from farvault.model.server import Server
from farvault.seal.keyring import Keyring

_SEALED = "SEALEDPASSWORD"


@dataclass(frozen=True, slots=True)
class DeviceConfiguration:
    """What such a file says."""

    server_name: str = ""
    servers: dict[str, Server] = field(default_factory=dict)
    classes: dict[str, DeviceClass] = field(default_factory=dict)


HEADING: Final = "/* Device configuration of server"
"""What such a file begins with."""


def device_configuration_text(r: Snapshot) -> str:
    """The whole file, from the catalog."""
    name = get_setting(r, "SERVERNAME") or ""
    return configuration_text(name, nouns.select(r, Server), nouns.select(r, DeviceClass))


def configuration_text(name: str, servers: Iterable[Server], classes: Iterable[DeviceClass]) -> str:
    """The whole file, from these definitions."""
    lines = [f"{HEADING} {name}. Read by `farvault server restore-db`. */"]
    lines.append(f"SET SERVERNAME {name}")
    for server in servers:
        sealed = f" {_SEALED}={server.sealed_node_password.hex()}" if server.is_target else ""
        lines.append(f"DEFINE SERVER {_operands(server)}{sealed}")
    for device_class in classes:
        if device_class.device_type != DISK:
            lines.append(f"DEFINE DEVCLASS {_operands(device_class, device_class.device_type)}")
    return "\n".join([*lines, ""])


def parse_device_configuration(text: str, keyring: Keyring, path: str) -> DeviceConfiguration:
    """`BadInput` with the line that is no such command."""
    found = DeviceConfiguration()
    name = ""
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = parse(line)
            if not words:
                continue
            sealed = next((word.text for word in words if word.keyword.upper() == _SEALED), "")
            command, operands = registry.find([word for word in words if word.keyword.upper() != _SEALED])
            values, given = command.bind(_with_password(command.name, operands, sealed))
            call = Call(command=command, administrator=Administrator(name="X"), values=values, given=given)
            if command.name == "SET SERVERNAME":
                name = values["name"]
            elif command.name == "DEFINE SERVER":
                server = _server(call, sealed, keyring)
                found.servers[server.name] = server
            elif command.name == "DEFINE DEVCLASS":
                device_class = DeviceClass(**defined(DeviceClass, call, values["device_type"]))
                found.classes[device_class.name] = device_class
        except (FarvaultError, ValueError) as error:
            reason = error.message.text if isinstance(error, FarvaultError) else str(error)
            raise BadInput("ANR4931E", path=path, line=number, reason=reason) from None
    return DeviceConfiguration(name, found.servers, found.classes)


def _with_password(command: str, operands: Any, sealed: str) -> list[Word]:
    """DEFINE SERVER wants a password; the sealed one stands in its place."""
    words = list(operands)
    if command == "DEFINE SERVER" and sealed:
        words.append(Word("PASSWORD", ("sealed",), False, 0, 0, 0))
    return words


def _server(call: Call, sealed: str, keyring: Keyring) -> Server:
    fields = {name: value for name, value in defined(Server, call).items() if name in attributes(Server)}
    server_name = str(fields["name"])
    password = bytes.fromhex(sealed)
    if not password and (typed := call.values.get("password")):
        password = keyring.seal_secret(str(typed).encode(), node_password_context(server_name))
    return Server(**fields, sealed_node_password=password)


def _operands(noun: Noun, variant: str = "") -> str:
    """Every attribute of the noun that can be typed, as DEFINE takes it."""
    parts = []
    for name, attribute in attributes(type(noun)).items():
        value = getattr(noun, name)
        if attribute.positional:
            parts.append(str(value))
        elif attribute.keyword and attribute.applies_to(variant) and value not in ("", None):
            parts.append(f"{attribute.keyword.upper()}={_typed(value)}")
    return " ".join(parts)


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return '"' + text.replace('"', '""') + '"' if not text.isalnum() else text
