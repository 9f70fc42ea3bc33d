"""Administrators: REGISTER, UPDATE, QUERY, RENAME, LOCK, UNLOCK, REMOVE. Their rights are in `authority.py` beside this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.kinds import Choices, Password, Pattern
from farvault.admin.lookup import select
from farvault.admin.output import Answer, Column, Report, days_column, of_attribute, row_of, time_column
from farvault.admin.system_administrators import CONSOLE, keep_one
from farvault.base.errors import BadInput, InUse, NotAuthorized
from farvault.base.messages import message
from farvault.base.wildcard import matches
from farvault.catalog import nouns
from farvault.model.administrator import PRIVILEGE_CLASSES, Administrator
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.protocol.login import make_verifier

_NAME = positional("name", Name(64), "name of the administrator")
_SIGN_ON_HELP = "what he signs on with; case matters"
_ACCEPTED = (
    keyword("FORCEPwreset", YesNo(), "the password must be changed at first use", only=False),
    keyword("PASSExp", Integer(0, 9999), "days until the password expires; 0 = never", only=0),
)


def _register(instance: Instance, call: Call) -> Iterator[Answer]:
    if call["name"] == CONSOLE:
        raise BadInput("ANR2100E", administrator=CONSOLE)
    now = instance.clock.now_seconds()
    administrator = Administrator(
        **defined(Administrator, call),
        password_verifier=make_verifier(call["password"]),
        password_set_time=now,
        registered_time=now,
        registering_administrator=call.administrator.name,
    )
    with instance.catalog.write() as tx:
        nouns.insert(tx, administrator)
    yield message("ANR2068I", administrator=administrator.name)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    own = call["name"] == call.administrator.name
    if not own and "SYSTEM" not in call.administrator.classes:
        raise NotAuthorized(
            "ANR2035E", administrator=call.administrator.name, command=call.command.name, needs="system"
        )
    values = changed(Administrator, call)
    if "password" in call.given:
        values |= {
            "password_verifier": make_verifier(call["password"]),
            "password_set_time": instance.clock.now_seconds(),
        }
    with instance.catalog.write() as tx:
        nouns.update(tx, replace(nouns.get(tx, Administrator, call["name"]), **values))
    yield message("ANR2071I", administrator=call["name"])


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    now = instance.clock.now_seconds()
    with instance.catalog.read() as r:
        found = select(r, Administrator, [call["name"]])
    if matches(call["name"], CONSOLE):
        found.append(Administrator(name=CONSOLE, classes=("SYSTEM",)))
    wanted = call["classes"]
    rows = [_row(a) for a in found if wanted is None or set(wanted) & _all_classes(a)]
    yield Report(columns=_columns(now, call.detailed), rows=rows, detailed=call.detailed)


def _row(administrator: Administrator) -> dict[str, Any]:
    return row_of(
        administrator,
        last_access_days=administrator.last_access_time,
        password_days=administrator.password_set_time,
        classes=_shown_classes(administrator),
    )


def _all_classes(administrator: Administrator) -> set[str]:
    restricted = {
        name
        for name, held in (("POLICY", administrator.policy_domains), ("STORAGE", administrator.storage_pools))
        if held
    }
    return {*administrator.classes, *restricted}


def _shown_classes(administrator: Administrator) -> str:
    shown = [name.capitalize() for name in PRIVILEGE_CLASSES if name in administrator.classes]
    shown += ["Policy (restricted)"] if administrator.policy_domains else []
    shown += ["Storage (restricted)"] if administrator.storage_pools else []
    return ", ".join(shown)


def _columns(now: int, detailed: bool) -> list[Column]:
    name = of_attribute(Administrator, "name")
    access = days_column("last_access_days", "Days Since Last Access", now)
    password = days_column("password_days", "Days Since Password Set", now)
    locked = of_attribute(Administrator, "locked")
    classes = Column(key="classes", label="Privilege Classes", wrap_words=True)
    if not detailed:
        return [name, access, password, locked, classes]
    return [
        name,
        time_column("last_access_time", "Last Access Date/Time"),
        access,
        time_column("password_set_time", "Password Set Date/Time"),
        password,
        locked,
        of_attribute(Administrator, "contact"),
        classes,
        of_attribute(Administrator, "policy_domains"),
        of_attribute(Administrator, "storage_pools"),
        time_column("registered_time", "Registration Date/Time"),
        Column(key="registering_administrator", label="Registering Administrator"),
        of_attribute(Administrator, "email"),
    ]


def _rename(instance: Instance, call: Call) -> Iterator[Answer]:
    if call["new_name"] == CONSOLE:
        raise BadInput("ANR2100E", administrator=CONSOLE)
    _refuse_while_signed_on(instance, call["name"])
    with instance.catalog.write() as tx:
        found = nouns.get(tx, Administrator, call["name"])
        nouns.update(tx, replace(found, name=call["new_name"]))
    yield message("ANR2070I", administrator=call["name"], new_name=call["new_name"])


def _lock(instance: Instance, call: Call) -> Iterator[Answer]:
    if call["name"] == call.administrator.name:
        raise NotAuthorized("ANR2101E", administrator=call["name"])
    with instance.catalog.write() as tx:
        found = nouns.get(tx, Administrator, call["name"])
        keep_one(tx, found)
        nouns.update(tx, replace(found, locked=True))
    yield message("ANR2072I", administrator=call["name"])


def _unlock(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        nouns.update(tx, replace(nouns.get(tx, Administrator, call["name"]), locked=False))
    yield message("ANR2073I", administrator=call["name"])


def _remove(instance: Instance, call: Call) -> Iterator[Answer]:
    _refuse_while_signed_on(instance, call["name"])
    with instance.catalog.write() as tx:
        found = nouns.get(tx, Administrator, call["name"])
        keep_one(tx, found)
        nouns.delete(tx, found)
    yield message("ANR2069I", administrator=call["name"])


def _refuse_while_signed_on(instance: Instance, name: str) -> None:
    """An open session keeps its name: with the rights of whoever has it next."""
    if any(e.name == name and e.type.upper() == "ADMIN" for e in instance.session_table.list()):
        raise InUse("ANR2102E", administrator=name)


_define = define_parameters(Administrator)
_change = update_parameters(Administrator)

COMMANDS = (
    Command(
        words=("REGister", "ADmin"),
        rule=SYSTEM,
        help="Make an administrator known. He may query; GRANT AUTHORITY gives him more.",
        parameters=(
            _define[0],
            positional("password", Password(), _SIGN_ON_HELP, secret=True),
            *_define[1:],
            *_ACCEPTED,
        ),
        run=_register,
    ),
    Command(
        words=("UPDate", "ADmin"),
        rule=ANYONE,
        help="Change an administrator. Without system privilege only one's own password, contact and address.",
        parameters=(
            _NAME,
            positional("password", Password(), _SIGN_ON_HELP, optional=True, secret=True),
            *_change,
            *_ACCEPTED,
        ),
        run=_update,
    ),
    Command(
        words=("Query", "ADmin"),
        rule=ANYONE,
        help="Show administrators.",
        parameters=(
            positional("name", Pattern(64), "which", default="*"),
            keyword("CLasses", Choices(Choice(*PRIVILEGE_CLASSES)), "only those who hold one of these"),
            FORMAT,
        ),
        run=_query,
    ),
    Command(
        words=("REName", "ADmin"),
        rule=SYSTEM,
        help="Give an administrator another name.",
        parameters=(_NAME, positional("new_name", Name(64), "the new name")),
        run=_rename,
    ),
    Command(
        words=("LOCK", "ADmin"),
        rule=SYSTEM,
        help="Keep an administrator from signing on.",
        parameters=(_NAME,),
        run=_lock,
    ),
    Command(
        words=("UNLOCK", "ADmin"),
        rule=SYSTEM,
        help="Let a locked administrator sign on.",
        parameters=(_NAME,),
        run=_unlock,
    ),
    Command(
        words=("REMove", "ADmin"),
        rule=SYSTEM,
        help="Forget an administrator; not the last one with system privilege.",
        parameters=(_NAME,),
        run=_remove,
    ),
)
