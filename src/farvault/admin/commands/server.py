"""Server definitions: DEFINE, UPDATE, QUERY, DELETE, PING. In the virtual-volume form they name a target.

A definition may be made before the other server exists: the verification code is delivered at first contact.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import FORMAT, Call, Command, Parameter, keyword, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.kinds import Password, Pattern
from farvault.admin.link_columns import LINK_COLUMNS, link_row
from farvault.admin.lookup import select
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    Row,
    count_column,
    days_column,
    of_attribute,
    row_of,
    time_column,
    yes_column,
)
from farvault.admin.server_secrets import (
    OWN_PASSWORD_CONTEXT,
    code_context,
    node_password_context,
    server_password_context,
)
from farvault.admin.target_columns import SERVER_COLUMNS, STATE_COLUMN, server_row
from farvault.base.errors import BadInput, FarvaultError, NotAvailable, StillReferenced
from farvault.base.messages import Message, message
from farvault.catalog import nouns, pending_deletions
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Name, YesNo
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.protocol.login import SERVER, ClientLogin
from farvault.seal.identity import certificate_key_bytes, new_code
from farvault.transport.dial import dial, sign_on

_TARGET_ONLY = ("node_name", "delete_grace_days")
_REACH = ("high_level_address", "low_level_address", "node_name", "password")


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    server = Server(
        **{**defined(Server, call), "fingerprint": _fingerprint(call)},
        **_sealed(instance, call, call["name"]),
        defined_time=instance.clock.now_seconds(),
    )
    if not server.is_target:
        for parameter in _TARGET_ONLY:
            if parameter in call.given:
                raise BadInput("ANR1665E", keyword=_keyword_of(call, parameter))
    with instance.catalog.write(uses_reserve=True) as tx:
        _refuse_ourselves(tx, instance, server)
        nouns.insert(tx, server)
        own_name = get_setting(tx, "SERVERNAME") or ""
    if server.is_target:
        yield message("ANR1667I", server=server.name, node=server.node_name or own_name)
    else:
        yield message("ANR1660I", server=server.name)


def _sealed(instance: Instance, call: Call, name: str, old: Server | None = None) -> dict[str, Any]:
    """The secrets typed, sealed; with the first node password comes a verification code."""
    values: dict[str, Any] = {}
    if "serverpassword" in call.given:
        plain = call["serverpassword"].encode()
        values["sealed_server_password"] = instance.keyring.seal_secret(plain, server_password_context(name))
    if "password" in call.given:
        plain = call["password"].encode()
        values["sealed_node_password"] = instance.keyring.seal_secret(plain, node_password_context(name))
    is_target = "password" in call.given or (old is not None and old.is_target)
    if is_target and (old is None or not old.sealed_verification_code):
        values["sealed_verification_code"] = instance.keyring.seal_secret(new_code(), code_context(name))
    return values


def _fingerprint(call: Call) -> str:
    """As it is stored: `AA:BB:...`; empty = pin at first contact."""
    typed: str = call["fingerprint"] or ""
    digits = re.sub(r"[:\s]", "", typed).upper()
    if digits and not re.fullmatch(r"[0-9A-F]{64}", digits):
        raise BadInput(
            "ANR2020E",
            command=call.command.name,
            parameter="FINGERPRINT",
            value=typed,
            right="64 hexadecimal digits, with or without colons",
        )
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _refuse_ourselves(r: Snapshot, instance: Instance, server: Server) -> None:
    """A server is never its own target: one fire would take both copies, and its own locks could block it."""
    own_name = get_setting(r, "SERVERNAME") or ""
    if server.name == own_name:
        raise BadInput("ANR1668E", server=server.name)
    if server.is_target and server.low_level_address == instance.data_port:
        own_address = get_setting(r, "SERVERHLADDRESS") or ""
        host = server.high_level_address.lower()
        if _is_loopback(host) or host == own_address.lower():
            raise BadInput("ANR1669E", address=f"{host}:{instance.data_port}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    values = changed(Server, call)
    if "fingerprint" in values:
        values["fingerprint"] = _fingerprint(call)
    with instance.catalog.write(uses_reserve=True) as tx:
        old = nouns.get(tx, Server, call["name"])
        values |= _sealed(instance, call, old.name, old)
        if "forcesync" in call.given:
            values["force_sync"] = call["forcesync"]
        server: Server = replace(old, **values)
        for parameter in (*_TARGET_ONLY, "forcesync"):
            if parameter in call.given and not server.is_target:
                raise BadInput("ANR1665E", keyword=_keyword_of(call, parameter))
        _refuse_ourselves(tx, instance, server)
        nouns.update(tx, server)
        classes = _classes_of(tx, server.name)
    for name in classes:
        instance.storage.devices.renew(name)
    instance.database_backups.poke()
    yield message("ANR1662I", server=server.name)
    yield from _update_warnings(call, server, classes)


def _update_warnings(call: Call, server: Server, classes: list[str]) -> Iterator[Message]:
    if call["forcesync"]:
        yield message("ANR1671I", server=server.name)
    if classes and call.given & set(_REACH):
        yield message("ANR1670W", server=server.name, classes=", ".join(classes))


def _classes_of(r: Snapshot, server_name: str) -> list[str]:
    return [c.name for c in nouns.select(r, DeviceClass) if c.server_name == server_name]


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = select(r, Server, [call["name"]])
        own_name = get_setting(r, "SERVERNAME") or ""
        rows = [
            {**_row(one, own_name, pending_deletions.of_server(r, one.name)), **server_row(r, one)}
            for one in found
        ]
        classes = {one.name: _classes_of(r, one.name) for one in found if one.is_target}
    idle = instance.storage.devices.idle_sessions()
    for row in rows:
        if (name := str(row["name"])) in classes:
            row |= link_row(instance.links.of(name).status(), sum(idle.get(one, 0) for one in classes[name]))
    now = instance.clock.now_seconds()
    columns = _detailed_columns(now) if call.detailed else _standard_columns(now)
    yield Report(columns=columns, rows=rows, detailed=call.detailed)


def _row(server: Server, own_name: str, waiting: tuple[int, int, str]) -> Row:
    more: dict[str, Any] = {
        "deletions_waiting": waiting[0],
        "deletions_since_time": waiting[1],
        "deletions_error": waiting[2],
        "last_access_days": server.last_access_time,
        "server_password_set": bool(server.sealed_server_password),
        "virtual_volume_password_set": server.is_target,
        "verification_code_set": bool(server.sealed_verification_code),
    }
    row = row_of(server, **more)
    if server.is_target:
        row["node_name"] = server.node_name or own_name
    else:
        for field in (*_TARGET_ONLY, *(key for key in row if key.startswith("deletions_")), "force_sync"):
            del row[field]
    return row


def _standard_columns(now: int) -> list[Column]:
    return [
        of_attribute(Server, "name"),
        of_attribute(Server, "communication_method"),
        of_attribute(Server, "high_level_address"),
        Column(key="low_level_address", label="Low-level Address", number=True),
        days_column("last_access_days", "Days Since Last Access", now),
        yes_column("server_password_set", "Server Password Set"),
        yes_column("virtual_volume_password_set", "Virtual Volume Password Set"),
        of_attribute(Server, "allow_replace", label="Allow Replacement"),
        STATE_COLUMN,
    ]


def _detailed_columns(now: int) -> list[Column]:
    return [
        of_attribute(Server, "name"),
        of_attribute(Server, "communication_method"),
        of_attribute(Server, "high_level_address"),
        Column(key="low_level_address", label="Low-level Address", number=True),
        of_attribute(Server, "description"),
        of_attribute(Server, "allow_replace"),
        of_attribute(Server, "node_name"),
        time_column("last_access_time", "Last Access Date/Time"),
        days_column("last_access_days", "Days Since Last Access", now),
        time_column("defined_time", "Registration Date/Time"),
        of_attribute(Server, "delete_grace_days"),
        count_column("deletions_waiting", "Deletions Waiting"),
        time_column("deletions_since_time", "Deletions Wait Since"),
        Column(key="deletions_error", label="Deletions Wait Because"),
        yes_column("server_password_set", "Server Password Set"),
        yes_column("virtual_volume_password_set", "Virtual Volume Password Set"),
        yes_column("verification_code_set", "Verification Code Set"),
        of_attribute(Server, "force_sync"),
        of_attribute(Server, "validate_protocol"),
        of_attribute(Server, "url"),
        of_attribute(Server, "fingerprint"),
        *SERVER_COLUMNS,
        *LINK_COLUMNS,
    ]


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write(uses_reserve=True) as tx:
        server = nouns.get(tx, Server, call["name"])
        if classes := _classes_of(tx, server.name):
            raise StillReferenced("ANR1672E", server=server.name, classes=", ".join(classes))
        nouns.delete(tx, server)
    yield message("ANR1661I", server=call["name"])


def _ping(instance: Instance, call: Call) -> Iterator[Answer]:
    """TLS and the pin for any server; for a target also the sign-on as its node: password, type and code."""
    with instance.catalog.read() as r:
        server = nouns.get(r, Server, call["name"])
    try:
        answer = _ping_target(instance, server) if server.is_target else _ping_general(instance, server)
    except FarvaultError as failed:
        raise NotAvailable("ANR1705W", server=server.name, reason=str(failed.message)) from None
    yield answer


def _ping_target(instance: Instance, server: Server) -> Message:
    target = instance.target(server.name)
    session = target.open_session()
    try:
        _reached(instance, server.name)
        mode = "read-only" if session.read_only else "read/write"
        if session.set_back:
            mode = f"{mode}, but it was rolled back and takes nothing"
        if session.welcome.sync_pending:
            mode = "read-only: the verification code waits for approval there"
        return message("ANR1707I", server=server.name, node=target.definition().node_name, mode=mode)
    finally:
        session.close()


def _reached(instance: Instance, name: str, **values: str) -> None:
    with instance.catalog.write(uses_reserve=True) as tx:
        found = nouns.get(tx, Server, name)
        nouns.update(tx, replace(found, last_access_time=instance.clock.now_seconds(), **values))


def _ping_general(instance: Instance, server: Server) -> Message:
    """The connection and the pin; where our SERVERPASSWORD is set, also a sign-on as the server we are."""
    with instance.catalog.read() as r:
        own_name, sealed = get_setting(r, "SERVERNAME") or "", get_setting(r, "SERVERPASSWORD")
    connection = dial(
        server.high_level_address, server.low_level_address, fingerprint=server.fingerprint or None
    )
    try:
        if certificate_key_bytes(connection.peer_certificate_der) == instance.identity.public_key_bytes:
            raise BadInput("ANR1668E", server=server.name)
        if sealed:
            password = instance.keyring.open_secret(bytes.fromhex(sealed), OWN_PASSWORD_CONTEXT).decode()
            sign_on(
                connection,
                ClientLogin(
                    SERVER, own_name, password, connection.peer_certificate_der, server_name=own_name
                ),
            )
        _reached(instance, server.name, fingerprint=server.fingerprint or connection.fingerprint)
        return message("ANR1706I", server=server.name, fingerprint=connection.fingerprint)
    finally:
        connection.close()


def _keyword_of(call: Call, name: str) -> str:
    return next(p.title for p in call.command.parameters if p.name == name)


_NAME = positional("name", Name(64), "name of the server")
_SECRETS: tuple[Parameter, ...] = (
    keyword("SERVERPAssword", Password(), "the other server's SET SERVERPASSWORD", secret=True),
    keyword("PAssword", Password(), "our node password at the target: makes it a target", secret=True),
)
_ACCEPTED = (
    keyword("CROSSDEFine", YesNo(), "define us at the other server too", only=False),
    keyword("SSL", YesNo(), "every connection is TLS 1.3", only=True),
    keyword(
        "SESSIONSECurity", Choice("STRict", "TRANSitional"), "every connection is TLS 1.3", only="STRICT"
    ),
    keyword("TRANSFERMethod", Choice("Tcpip", "Fasp"), "how data travels", only="TCPIP"),
)

COMMANDS = (
    Command(
        words=("DEFine", "SERver"),
        rule=SYSTEM,
        help="Make another server known: in general, or with PASSWORD as the target of our virtual volumes. "
        "It need not be reachable yet.",
        parameters=(*define_parameters(Server), *_SECRETS, *_ACCEPTED),
        run=_define,
    ),
    Command(
        words=("UPDate", "SERver"),
        rule=SYSTEM,
        help="Change a server definition. FORCESYNC=YES registers the verification code anew at the next sign-on.",
        parameters=(
            _NAME,
            *update_parameters(Server),
            *_SECRETS,
            keyword("FORCESync", YesNo(), "register the verification code anew at the target"),
            *_ACCEPTED,
        ),
        run=_update,
    ),
    Command(
        words=("Query", "SERver"),
        rule=ANYONE,
        help="Show server definitions.",
        parameters=(positional("name", Pattern(64), "which", default="*"), FORMAT),
        run=_query,
    ),
    Command(
        words=("DELete", "SERver"),
        rule=SYSTEM,
        help="Forget a server. No device class may name it.",
        parameters=(_NAME,),
        run=_delete,
    ),
    Command(
        words=("PING", "SERver"),
        rule=ANYONE,
        help="Try the connection; at a target also sign on as our node there.",
        parameters=(_NAME,),
        run=_ping,
    ),
)
