"""Definitions: servers, nodes, administrators, device classes, pools, volumes, policy, file spaces.

One piece of code for all of them: a noun's table has a column for each of its fields, of the same name. Tuples of
names are kept as comma text, booleans as 0 and 1. Every row carries a digest over all its values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import apsw
import msgspec

from farvault.base.errors import AlreadyExists, NotFound, StillReferenced
from farvault.base.wildcard import is_pattern, wildcard
from farvault.catalog.sequences import next_value
from farvault.catalog.transaction import Row, Snapshot, Transaction
from farvault.model.attribute import Noun

N = TypeVar("N", bound=Noun)

NOT_FOUND = {
    "servers": "ANR1650E",
    "nodes": "ANR2146E",
    "administrators": "ANR2148E",
    "device_classes": "ANR8201E",
    "storage_pools": "ANR2382E",
    "volumes": "ANR2401E",
    "domains": "ANR1550E",
    "policy_sets": "ANR1551E",
    "management_classes": "ANR1552E",
    "copy_groups": "ANR1553E",
    "file_spaces": "ANR0852E",
    "holds": "ANR4420E",
    "hold_rules": "ANR4422E",
    "vault_rules": "ANR2146E",
    "vault_floors": "ANR2146E",
    "pending_deletions": "ANR2401E",
    "collocation_groups": "ANR4764E",
    "collocation_members": "ANR4766E",
    "volume_history": "ANR4900E",
    "database_backup_trigger": "ANR4921E",
}
ALREADY_EXISTS = {
    "servers": "ANR1656E",
    "nodes": "ANR2147E",
    "administrators": "ANR2150E",
    "device_classes": "ANR8202E",
    "storage_pools": "ANR2381E",
    "volumes": "ANR2404E",
    "domains": "ANR1566E",
    "policy_sets": "ANR1567E",
    "management_classes": "ANR1568E",
    "copy_groups": "ANR1569E",
    "file_spaces": "ANR0853E",
    "holds": "ANR4421E",
    "hold_rules": "ANR4421E",
    "vault_rules": "ANR2147E",
    "vault_floors": "ANR2147E",
    "pending_deletions": "ANR2404E",
    "collocation_groups": "ANR4765E",
    "collocation_members": "ANR4767E",
    "volume_history": "ANR4900E",
    "database_backup_trigger": "ANR4922E",
}


class _Shape(NamedTuple):
    """How one noun class maps to its table."""

    fields: tuple[str, ...]
    select: str
    insert: str
    update: str
    from_column: tuple[Callable[[Any], Any] | None, ...]


@cache
def _shape(noun: type[Noun]) -> _Shape:
    fields = columns(noun)
    names = ", ".join(fields)
    marks = ", ".join("?" * (len(fields) + 1))
    sets = ", ".join(f"{field} = ?" for field in fields[1:])
    hints = get_type_hints(noun)
    return _Shape(
        fields,
        f"SELECT {names} FROM {noun.TABLE}",
        f"INSERT INTO {noun.TABLE} ({names}, row_digest) VALUES ({marks})",
        f"UPDATE {noun.TABLE} SET {sets}, row_digest = ? WHERE id = ?",
        tuple(_from_column(hints[field]) for field in fields),
    )


def columns(noun: type[Noun]) -> tuple[str, ...]:
    """The noun's columns, `id` first; its table has these and `row_digest`."""
    fields = tuple(field.name for field in msgspec.structs.fields(noun))
    return ("id", *(field for field in fields if field != "id"))


def find(r: Snapshot, noun: type[N], *key: str | int) -> N | None:
    """The one with this key (the fields named by `KEY`), or None."""
    tests = " AND ".join(f"{field} = ?" for field in noun.KEY)
    return _first(noun, r.one(f"{_shape(noun).select} WHERE {tests}", key))


def get(r: Snapshot, noun: type[N], *key: str | int) -> N:
    """The one with this key; `NotFound` with the noun's own message."""
    found = find(r, noun, *key)
    if found is None:
        raise NotFound(NOT_FOUND[noun.TABLE], name=show_key(key))
    return found


def by_id(r: Snapshot, noun: type[N], noun_id: int) -> N:
    """The one with this number; `NotFound`."""
    found = _first(noun, r.one(f"{_shape(noun).select} WHERE id = ?", (noun_id,)))
    if found is None:
        raise NotFound(NOT_FOUND[noun.TABLE], name=f"number {noun_id}")
    return found


def select(r: Snapshot, noun: type[N], pattern: str = "*", **equal: str | int | bool) -> list[N]:
    """All whose name (the last field of the key) matches `pattern` (`*` any run, `?` any one) and whose fields equal.

    Ordered by key. Names are compared as they are: fold what a person typed first.
    """
    tests = [f"{field} = ?" for field in equal]
    values = list(equal.values())
    if not is_pattern(pattern):
        tests.append(f"{noun.KEY[-1]} = ?")
        values.append(pattern)
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    found = r.all(f"{_shape(noun).select}{where} ORDER BY {', '.join(noun.KEY)}", values)
    nouns = [_from_row(noun, row) for row in found]
    if pattern == "*":
        return nouns
    matches = wildcard(pattern)
    return [one for one in nouns if matches(str(getattr(one, noun.KEY[-1])))]


def count(r: Snapshot, noun: type[Noun], **equal: str | int | bool) -> int:
    """How many there are whose fields equal these."""
    where = f" WHERE {' AND '.join(f'{field} = ?' for field in equal)}" if equal else ""
    row = r.one(f"SELECT COUNT(*) FROM {noun.TABLE}{where}", list(equal.values()))
    return int(row[0]) if row else 0


def insert(tx: Transaction, noun: Noun) -> int:
    """Store a new one and return its number; `AlreadyExists` where the key is taken."""
    noun_class = type(noun)
    stored = msgspec.structs.replace(noun, id=next_value(tx, noun_class.TABLE))
    values = to_row(stored)
    tx.changed_nouns.add(noun_class.TABLE)
    try:
        tx.run(_shape(noun_class).insert, (*values, tx.digester.of(noun_class.TABLE, values)))
    except apsw.ConstraintError as broken:
        raise _explained(broken, noun) from None
    return stored.id


def update(tx: Transaction, noun: Noun) -> None:
    """Replace the one with this `id`; `NotFound`, `AlreadyExists` where a new name is taken."""
    noun_class = type(noun)
    values = to_row(noun)
    digest = tx.digester.of(noun_class.TABLE, values)
    tx.changed_nouns.add(noun_class.TABLE)
    try:
        changed = tx.run(_shape(noun_class).update, (*values[1:], digest, noun.id))
    except apsw.ConstraintError as broken:
        raise _explained(broken, noun) from None
    if not changed:
        raise NotFound(NOT_FOUND[noun_class.TABLE], name=_show_key_of(noun))


def delete(tx: Transaction, noun: Noun) -> None:
    """Remove the one with this `id`; `StillReferenced` where others hang on it. Fine where it is gone already."""
    tx.changed_nouns.add(type(noun).TABLE)
    try:
        tx.run(f"DELETE FROM {type(noun).TABLE} WHERE id = ?", (noun.id,))
    except apsw.ConstraintError as broken:
        raise _explained(broken, noun) from None


def show_key(key: tuple[str | int, ...]) -> str:
    """A key as messages name it: `STANDARD, ACTIVE`."""
    return ", ".join(str(part) for part in key)


def _show_key_of(noun: Noun) -> str:
    return show_key(tuple(getattr(noun, field) for field in type(noun).KEY))


def _explained(broken: apsw.ConstraintError, noun: Noun) -> Exception:
    """A broken constraint as the error a person can act on; any other is a defect and stays as it is."""
    name = _show_key_of(noun)
    result = getattr(broken, "extendedresult", 0)
    if result == apsw.SQLITE_CONSTRAINT_UNIQUE:
        return AlreadyExists(ALREADY_EXISTS[type(noun).TABLE], name=name)
    if result == apsw.SQLITE_CONSTRAINT_FOREIGNKEY:
        return StillReferenced("ANR0140E", title=type(noun).TITLE, name=name)
    return broken


def to_row(noun: Noun) -> Row:
    """The values of all columns but `row_digest`."""
    return tuple(_to_column(getattr(noun, field)) for field in _shape(type(noun)).fields)


def _to_column(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return value


def _from_column(hint: Any) -> Callable[[Any], Any] | None:
    if hint is bool:
        return bool
    if get_origin(hint) is tuple and get_args(hint) == (str, ...):
        return lambda text: tuple(text.split(",")) if text else ()
    return None


def _first(noun: type[N], row: Row | None) -> N | None:
    return None if row is None else _from_row(noun, row)


def _from_row(noun: type[N], row: Row) -> N:
    shape = _shape(noun)
    values = (
        value if change is None else change(value)
        for value, change in zip(row, shape.from_column, strict=True)
    )
    return noun(**dict(zip(shape.fields, values, strict=True)))
