"""SET: values of the server as a whole that other servers need to know."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, Parameter, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Password
from farvault.admin.output import Answer
from farvault.admin.server_secrets import OWN_PASSWORD_CONTEXT
from farvault.base.errors import BadInput
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.settings import get_setting, set_setting
from farvault.model.attribute import Choice, Integer, Name, Text
from farvault.model.server import Server


def _set_name(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        if nouns.find(tx, Server, call["name"]):
            raise BadInput("ANR1668E", server=call["name"])
        changes = get_setting(tx, "SERVERNAME") != call["name"]
        set_setting(tx, "SERVERNAME", call["name"])
        targets = [
            server.name for server in nouns.select(tx, Server) if server.is_target and not server.node_name
        ]
    yield message("ANR2094I", name=call["name"])
    if changes and targets:
        yield message("ANR2095W", name=call["name"], targets=", ".join(targets))


def _confirm_name(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR2093W", name=call["name"]))


def _set_password(instance: Instance, call: Call) -> Iterator[Answer]:
    sealed = instance.keyring.seal_secret(call["password"].encode(), OWN_PASSWORD_CONTEXT)
    with instance.catalog.write() as tx:
        set_setting(tx, "SERVERPASSWORD", sealed.hex())
    yield message("ANR2131I")


def _set_high_level_address(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_setting(tx, "SERVERHLADDRESS", call["address"])
    yield message("ANR2132I", address=call["address"])


def _set_low_level_address(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_setting(tx, "SERVERLLADDRESS", str(call["port"]))
    yield message("ANR2133I", port=call["port"])


def _set_cross_define(instance: Instance, call: Call) -> Iterator[Answer]:
    """OFF is how it is; ON needs what comes later."""
    with instance.catalog.write() as tx:
        set_setting(tx, "CROSSDEFINE", call["state"])
    yield message("ANR2134I", state=call["state"])


COMMANDS = (
    Command(
        words=("Set", "SERVername"),
        rule=SYSTEM,
        help="Change this server's name. It is also its node name at targets whose definition gives none.",
        parameters=(positional("name", Name(64), "the new name"),),
        run=_set_name,
        confirm=_confirm_name,
    ),
    Command(
        words=("Set", "SERVERPAssword"),
        rule=SYSTEM,
        help="Set the password that other servers give as SERVERPASSWORD.",
        parameters=(positional("password", Password(), "the password; case matters", secret=True),),
        run=_set_password,
    ),
    Command(
        words=("Set", "SERVERHladdress"),
        rule=SYSTEM,
        help="Set the host name or address under which other servers reach this one.",
        parameters=(positional("address", Text(255), "host name or address"),),
        run=_set_high_level_address,
    ),
    Command(
        words=("Set", "SERVERLladdress"),
        rule=SYSTEM,
        help="Set the port under which other servers reach this one.",
        parameters=(positional("port", Integer(1, 65535), "port"),),
        run=_set_low_level_address,
    ),
    Command(
        words=("Set", "CROSSDefine"),
        rule=SYSTEM,
        help="Whether other servers may define themselves here. Only OFF in this version.",
        parameters=(
            Parameter(name="state", kind=Choice("ON", "OFf"), help="on or off", required=True, only="OFF"),
        ),
        run=_set_cross_define,
    ),
)
