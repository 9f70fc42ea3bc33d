"""GRANT AUTHORITY and REVOKE AUTHORITY: unrestricted classes, and restricted ones over domains and pools."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, Parameter, keyword, positional
from farvault.admin.definition import replace
from farvault.admin.instance import Instance
from farvault.admin.kinds import Choices
from farvault.admin.output import Answer
from farvault.admin.system_administrators import keep_one
from farvault.base.errors import AlreadyExists, BadInput, NotFound
from farvault.base.messages import Message, message
from farvault.catalog import nouns
from farvault.catalog.transaction import Transaction
from farvault.model.administrator import Administrator
from farvault.model.attribute import Choice, Name, Names
from farvault.model.policy import Domain
from farvault.model.storage_pool import StoragePool

_RESTRICTED = (("domains", "POLICY", "policy_domains"), ("stgpools", "STORAGE", "storage_pools"))


def _grant(instance: Instance, call: Call) -> Iterator[Answer]:
    if not call.given & {"classes", "domains", "stgpools"}:
        raise BadInput(
            "ANR2022E",
            command=call.command.name,
            parameter="CLASSES",
            syntax="CLasses=, DOmains= or STGpools=",
        )
    said: list[Message] = []
    with instance.catalog.write() as tx:
        administrator = nouns.get(tx, Administrator, call["name"])
        _must_exist(tx, call)
        for parameter, privilege, field in _RESTRICTED:
            if call[parameter]:
                administrator = _grant_restricted(administrator, call[parameter], privilege, field, said)
        unrestricted = _unrestricted(call)
        administrator = _grant_unrestricted(administrator, unrestricted, said)
        nouns.update(tx, administrator)
    yield from said


def _must_exist(tx: Transaction, call: Call) -> None:
    for name in call["domains"] or ():
        nouns.get(tx, Domain, name)
    for name in call["stgpools"] or ():
        nouns.get(tx, StoragePool, name)


def _unrestricted(call: Call) -> tuple[str, ...]:
    """The classes named, without those that DOMAINS or STGPOOLS restrict."""
    restricted = {privilege for parameter, privilege, _ in _RESTRICTED if call[parameter]}
    return tuple(privilege for privilege in call["classes"] or () if privilege not in restricted)


def _grant_restricted(
    administrator: Administrator, names: tuple[str, ...], privilege: str, field: str, said: list[Message]
) -> Administrator:
    if privilege in administrator.classes or "SYSTEM" in administrator.classes:
        raise AlreadyExists("ANR2104E", administrator=administrator.name, privilege=privilege)
    held: tuple[str, ...] = getattr(administrator, field)
    for name in names:
        said.append(message("ANR2078I", privilege=privilege, name=name, administrator=administrator.name))
    granted: Administrator = replace(administrator, **{field: tuple(dict.fromkeys((*held, *names)))})
    return granted


def _grant_unrestricted(
    administrator: Administrator, classes: tuple[str, ...], said: list[Message]
) -> Administrator:
    values: dict[str, tuple[str, ...]] = {"classes": tuple(dict.fromkeys((*administrator.classes, *classes)))}
    for _, privilege, field in _RESTRICTED:
        if privilege in classes or "SYSTEM" in classes:
            values[field] = ()
    for privilege in classes:
        if privilege == "SYSTEM":
            said.append(message("ANR2076I", administrator=administrator.name))
        else:
            said.append(message("ANR2077I", privilege=privilege, administrator=administrator.name))
    granted: Administrator = replace(administrator, **values)
    return granted


def _revoke(instance: Instance, call: Call) -> Iterator[Answer]:
    """Without any keyword everything is revoked."""
    everything = not call.given & {"classes", "domains", "stgpools"}
    said: list[Message] = []
    with instance.catalog.write() as tx:
        administrator = nouns.get(tx, Administrator, call["name"])
        classes = administrator.classes if everything else _unrestricted(call)
        if "SYSTEM" in classes:
            keep_one(tx, administrator)
        values: dict[str, tuple[str, ...]] = {}
        for parameter, privilege, field in _RESTRICTED:
            held: tuple[str, ...] = getattr(administrator, field)
            gone = set(held) if everything or privilege in classes else set(call[parameter] or ())
            values[field] = tuple(name for name in held if name not in gone)
            said += [
                message("ANR2085I", privilege=privilege, name=name, administrator=administrator.name)
                for name in held
                if name in gone
            ]
        values["classes"] = tuple(name for name in administrator.classes if name not in classes)
        said += [
            message("ANR2084I", privilege=name, administrator=administrator.name)
            for name in administrator.classes
            if name in classes
        ]
        if not said:
            raise NotFound("ANR2105E", administrator=administrator.name)
        nouns.update(tx, replace(administrator, **values))
    yield from said


def _parameters(what: str) -> tuple[Parameter, ...]:
    classes = Choice("SYstem", "Policy", "STorage", "Operator", "Analyst")
    return (
        positional("name", Name(64), "name of the administrator"),
        keyword("CLasses", Choices(classes), f"classes {what}"),
        keyword("DOmains", Names(30), f"domains of restricted policy authority {what}"),
        keyword("STGpools", Names(30), f"pools of restricted storage authority {what}"),
    )


COMMANDS = (
    Command(
        words=("GRant", "AUTHority"),
        rule=SYSTEM,
        help="Give an administrator privilege classes; with DOMAINS or STGPOOLS restricted to these.",
        parameters=_parameters("granted"),
        run=_grant,
    ),
    Command(
        words=("REVoke", "AUTHority"),
        rule=SYSTEM,
        help="Take privilege classes from an administrator; without keywords all of them.",
        parameters=_parameters("revoked"),
        run=_revoke,
    ),
)
