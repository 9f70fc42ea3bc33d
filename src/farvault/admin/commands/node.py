"""Nodes: REGISTER, UPDATE, QUERY, RENAME, LOCK, UNLOCK, REMOVE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, policy
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.definition import (
    changed,
    define_parameters,
    defined,
    replace,
    update_parameters,
)
from farvault.admin.instance import Instance
from farvault.admin.kinds import Password, Pattern, Patterns
from farvault.admin.lookup import archive_destination, select, some
from farvault.admin.node_trust import set_rules, vault_columns, vault_figures, vault_values
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    count_column,
    days_column,
    of_attribute,
    row_of,
    time_column,
)
from farvault.base.errors import AlreadyExists, BadInput, InUse, StillReferenced
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.policy import Domain
from farvault.model.vault_rules import VaultRules
from farvault.protocol.login import make_verifier

_NAME = positional("name", Name(64), "name of the node")
_SIGN_ON_HELP = "what the node signs on with; case matters"
_ACCEPTED = (
    keyword("PASSExp", Integer(0, 9999), "days until the password expires; 0 = never", only=0),
    keyword("Userid", Name(64), "administrator made with the node", only="NONE"),
    keyword("FORCEPwreset", YesNo(), "the node must change its password at first use", only=False),
    keyword("AUTOFSRename", Choice("No", "Yes", "Client"), "rename old file spaces", only="NO"),
    keyword("DATAWritepath", Choice("ANY", "LAN", "LANFree"), "path of data sent", only="ANY"),
    keyword("DATAReadpath", Choice("ANY", "LAN", "LANFree"), "path of data read", only="ANY"),
    keyword(
        "SESSIONINITiation",
        Choice("Clientorserver", "SERVEROnly"),
        "who opens sessions",
        only="CLIENTORSERVER",
    ),
)


def _register(instance: Instance, call: Call) -> Iterator[Answer]:
    now = instance.clock.now_seconds()
    verifier = make_verifier(call["password"])
    with instance.catalog.write() as tx:
        node = Node(
            **defined(Node, call),
            password_verifier=verifier,
            password_set_time=now,
            registered_time=now,
            registering_administrator=call.administrator.name,
        )
        nouns.get(tx, Domain, node.domain)
        nouns.insert(tx, node)
        can_store = not node.is_source or bool(archive_destination(tx, node.domain))
    yield message("ANR2060I", node=node.name, domain=node.domain)
    if not can_store:
        yield message("ANR2096W", node=node.name, domain=node.domain)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    values = changed(Node, call)
    if "password" in call.given:
        values |= {
            "password_verifier": make_verifier(call["password"]),
            "password_set_time": instance.clock.now_seconds(),
        }
    if call["forcesync"] == "YES":
        values |= {"verification_public_key": b"", "identity_public_key": b""}
    rules = vault_values(call)
    with instance.catalog.write() as tx:
        found = some(select(tx, Node, call["name"]), call)
        if "password" in call.given and len(found) > 1:
            raise BadInput("ANR2097E", nodes=len(found))
        if "domain" in values:
            nouns.get(tx, Domain, values["domain"])
        for node in found:
            nouns.update(tx, replace(node, **values))
            set_rules(tx, instance.storage, node, rules)
    for node in found:
        yield message("ANR2063I", node=node.name)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    now = instance.clock.now_seconds()
    with instance.catalog.read() as r:
        domains = {domain.name for domain in select(r, Domain, call["domain"] or ["*"])}
        found = [
            node
            for node in select(r, Node, [call["name"]])
            if call["type"] in ("ANY", node.type) and (call["domain"] is None or node.domain in domains)
        ]
        groups = {group.id: group.name for group in nouns.select(r, CollocationGroup)}
        members = {one.node_id: groups[one.group_id] for one in nouns.select(r, CollocationMember)}
        rows = [
            _row(node, members.get(node.id, ""), vault_figures(r, node) if call.detailed else {})
            for node in found
        ]
    columns = _detailed_columns(now) if call.detailed else _standard_columns(now)
    yield Report(columns=columns, rows=rows, detailed=call.detailed)


def _row(node: Node, collocation_group: str, figures: dict[str, Any]) -> dict[str, Any]:
    return row_of(
        node,
        **figures,
        collocation_group=collocation_group,
        last_access_days=node.last_access_time,
        password_days=node.password_set_time,
        code_registered="Yes" if node.verification_public_key else "No",
    )


def _standard_columns(now: int) -> list[Column]:
    return [
        of_attribute(Node, "name"),
        of_attribute(Node, "platform"),
        of_attribute(Node, "domain"),
        days_column("last_access_days", "Days Since Last Access", now),
        days_column("password_days", "Days Since Password Set", now),
        of_attribute(Node, "locked"),
    ]


def _detailed_columns(now: int) -> list[Column]:
    return [
        of_attribute(Node, "name"),
        of_attribute(Node, "platform"),
        of_attribute(Node, "domain"),
        time_column("last_access_time", "Last Access Date/Time"),
        days_column("last_access_days", "Days Since Last Access", now),
        time_column("password_set_time", "Password Set Date/Time"),
        days_column("password_days", "Days Since Password Set", now),
        *(
            of_attribute(Node, f)
            for f in ("locked", "contact", "compression", "archive_delete", "backup_delete")
        ),
        time_column("registered_time", "Registration Date/Time"),
        Column(key="registering_administrator", label="Registering Administrator"),
        count_column("total_bytes_received", "Bytes Received"),
        count_column("total_bytes_sent", "Bytes Sent"),
        *(
            of_attribute(Node, f)
            for f in (
                "url",
                "type",
                "keep_mount_point",
                "max_mount_points",
                "validate_protocol",
                "transaction_group_max",
                "email",
            )
        ),
        Column(key="collocation_group", label="Collocation Group Name"),
        Column(key="code_registered", label="Verification Code Registered"),
        *vault_columns(),
    ]


def _rename(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["name"])
        if nouns.find(tx, Node, call["new_name"]):
            raise AlreadyExists("ANR2147E", name=call["new_name"])
        nouns.update(tx, replace(node, name=call["new_name"]))
    yield message("ANR2062I", node=node.name, new_name=call["new_name"])
    if node.is_source:
        yield message("ANR2098W", node=node.name, new_name=call["new_name"])


def _set_locked(instance: Instance, call: Call, locked: bool) -> None:
    with instance.catalog.write() as tx:
        nouns.update(tx, replace(nouns.get(tx, Node, call["name"]), locked=locked))


def _lock(instance: Instance, call: Call) -> Iterator[Answer]:
    _set_locked(instance, call, True)
    yield message("ANR2064I", node=call["name"])


def _unlock(instance: Instance, call: Call) -> Iterator[Answer]:
    _set_locked(instance, call, False)
    yield message("ANR2065I", node=call["name"])


def _remove(instance: Instance, call: Call) -> Iterator[Answer]:
    if any(e.name == call["name"] and e.type.upper() != "ADMIN" for e in instance.session_table.list()):
        raise InUse("ANR2099E", node=call["name"])
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["name"])
        if number := nouns.count(tx, FileSpace, node_id=node.id):
            raise StillReferenced("ANR2137E", node=node.name, number=number)
        for member in nouns.select(tx, CollocationMember, node_id=node.id):
            nouns.delete(tx, member)
        nouns.delete(tx, node)
    yield message("ANR2061I", node=node.name)


def _domains(instance: Instance, call: Call) -> list[str]:
    """The domains of the nodes named and, where a node moves, the one it moves to."""
    patterns = call["name"] if isinstance(call["name"], tuple) else (call["name"],)
    with instance.catalog.read() as r:
        domains = [node.domain for node in select(r, Node, patterns)]
    return [*domains, call["domain"]] if "domain" in call.given else domains


def _new_domain(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["domain"]]


_BY_DOMAIN = policy(_domains)
_define = define_parameters(Node)
_change = update_parameters(Node)

COMMANDS = (
    Command(
        words=("REGister", "Node"),
        rule=policy(_new_domain),
        help="Make a client, or with TYPE=SERVER another server that keeps its virtual volumes here, known.",
        parameters=(
            _define[0],
            positional("password", Password(), _SIGN_ON_HELP, secret=True),
            *_define[1:],
            *_ACCEPTED,
        ),
        run=_register,
    ),
    Command(
        words=("UPDate", "Node"),
        rule=_BY_DOMAIN,
        help="Change nodes. TYPE cannot be changed.",
        parameters=(
            positional("name", Patterns(64), "nodes; a list of names or patterns"),
            positional("password", Password(), _SIGN_ON_HELP, optional=True, secret=True),
            *_change,
            keyword(
                "FORCESync",
                Choice("ALlow", "APprove", "Yes", "No"),
                "source: take a new code from its known identity at once (ALLOW), or let it wait for APPROVE FORCESYNC; "
                "YES forgets code and identity key once: the next sign-on registers anew",
            ),
            *update_parameters(VaultRules),
            *_ACCEPTED,
        ),
        run=_update,
    ),
    Command(
        words=("Query", "Node"),
        rule=ANYONE,
        help="Show nodes.",
        parameters=(
            positional("name", Pattern(64), "which", default="*"),
            keyword("DOmain", Patterns(30), "only nodes of these domains"),
            FORMAT,
            keyword("Type", Choice("Any", "Client", "Server"), "only nodes of this type", default="ANY"),
        ),
        run=_query,
    ),
    Command(
        words=("REName", "Node"),
        rule=_BY_DOMAIN,
        help="Give a node another name; its data stays with it.",
        parameters=(_NAME, positional("new_name", Name(64), "the new name")),
        run=_rename,
    ),
    Command(
        words=("LOCK", "Node"),
        rule=_BY_DOMAIN,
        help="Keep a node from signing on.",
        parameters=(_NAME,),
        run=_lock,
    ),
    Command(
        words=("UNLOCK", "Node"),
        rule=_BY_DOMAIN,
        help="Let a locked node sign on.",
        parameters=(_NAME,),
        run=_unlock,
    ),
    Command(
        words=("REMove", "Node"),
        rule=_BY_DOMAIN,
        help="Forget a node. Its file spaces must be deleted first.",
        parameters=(_NAME,),
        run=_remove,
    ),
)
