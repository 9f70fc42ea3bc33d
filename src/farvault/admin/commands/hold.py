"""Holds: DEFINE, DELETE, QUERY, and HOLD OBJECT / RELEASE OBJECT, which say what is kept whatever policy says."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.definition import define_parameters, defined
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, PathPattern, Pattern, TimeOfDay, When, moment
from farvault.admin.lookup import select, some
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    Row,
    count_column,
    of_attribute,
    row_of,
    time_column,
)
from farvault.base.errors import BadInput, StillReferenced
from farvault.base.messages import message
from farvault.base.units import show_size, show_time
from farvault.catalog import holds, nouns
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.attribute import Choice, Name
from farvault.model.file_space import FileSpace
from farvault.model.hold import Hold, HoldRule
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind

_KINDS = {"ANY": 0, "BACKUP": int(ObjectKind.BACKUP), "ARCHIVE": int(ObjectKind.ARCHIVE)}
_KIND_NAMES = {number: name.capitalize() for name, number in _KINDS.items()}
_FIRST = When(absolute=datetime.time(0, 0, 0))
_LAST = When(absolute=datetime.time(23, 59, 59))


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    made = Hold(
        **defined(Hold, call),
        defined_time=instance.clock.now_seconds(),
        defined_by=call.administrator.name,
    )
    with instance.catalog.write() as tx:
        nouns.insert(tx, made)
    yield message("ANR4400I", hold=made.name)


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        hold = nouns.get(tx, Hold, call["name"])
        holding = {rule.node_id for rule in nouns.select(tx, HoldRule, hold_id=hold.id) if rule.holds}
        if holding:
            raise StillReferenced("ANR4405E", hold=hold.name, nodes=f"{len(holding):,}")
        nouns.delete(tx, hold)
    yield message("ANR4401I", hold=hold.name)


def _hold(instance: Instance, call: Call) -> Iterator[Answer]:
    hold = _add_rules(instance, call, holds_them=True)
    with instance.catalog.read() as r:
        kept = holds.count(r, hold)
    yield message("ANR4402I", hold=hold.name, objects=f"{kept.objects:,}", size=show_size(kept.bytes))


def _release(instance: Instance, call: Call) -> Iterator[Answer]:
    hold = _add_rules(instance, call, holds_them=False)
    with instance.catalog.read() as r:
        rules = nouns.count(r, HoldRule, hold_id=hold.id)
        kept = holds.count(r, hold)
    if not rules:
        yield message("ANR4404W", hold=hold.name)
        return
    yield message("ANR4403I", hold=hold.name, objects=f"{kept.objects:,}", size=show_size(kept.bytes))


def _add_rules(instance: Instance, call: Call, *, holds_them: bool) -> Hold:
    """One rule for each node or file space named. One that concerns all of a node takes the place of its earlier ones."""
    now = instance.clock.now_seconds()
    from_time, to_time = _times(call, now)
    with instance.catalog.write() as tx:
        hold = nouns.get(tx, Hold, call["hold"])
        for node, file_space_id in _named(tx, call):
            rule = HoldRule(
                hold_id=hold.id,
                node_id=node.id,
                file_space_id=file_space_id,
                pattern=call["pattern"],
                kind=_KINDS[call["type"]],
                from_time=from_time,
                to_time=to_time,
                holds=holds_them,
                created_time=now,
                created_by=call.administrator.name,
            )
            concerns_all = _concerns_all(rule)
            if concerns_all:
                for earlier in nouns.select(tx, HoldRule, hold_id=hold.id, node_id=node.id):
                    nouns.delete(tx, earlier)
            if holds_them or not concerns_all:
                nouns.insert(tx, rule)
    return hold


def _concerns_all(rule: HoldRule) -> bool:
    return (
        rule.file_space_id is None
        and set(rule.pattern) == {"*"}
        and not rule.kind
        and rule.from_time is None
        and rule.to_time is None
    )


def _named(tx: Transaction, call: Call) -> Iterator[tuple[Node, int | None]]:
    """Nodes with a file space each, or None for all of theirs, later ones too. `NotFound` where there is nothing."""
    found = select(tx, Node, [call["node"]])
    if len(found) == 1 and found[0].is_source and found[0].name == call["node"]:
        raise BadInput("ANR4406E", node=found[0].name)
    nodes = some([node for node in found if not node.is_source], call)
    if set(call["name"]) == {"*"}:
        yield from ((node, None) for node in nodes)
        return
    spaces = [
        (node, space)
        for node in nodes
        for space in nouns.select(tx, FileSpace, call["name"], node_id=node.id)
    ]
    some([space for _, space in spaces], call)
    yield from ((node, space.id) for node, space in spaces)


def _times(call: Call, now: int) -> tuple[int | None, int | None]:
    """A day alone means the whole day; a time alone means today."""
    bounds: list[int | None] = []
    for day, time_of_day, whole in (("fromdate", "fromtime", _FIRST), ("todate", "totime", _LAST)):
        if call[day] is None and call[time_of_day] is None:
            bounds.append(None)
        else:
            bounds.append(moment(call[day] or When(), call[time_of_day] or whole, now))
    begin, end = bounds
    if begin is not None and end is not None and begin > end:
        raise BadInput("ANR2106E")
    return begin, end


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [_row(r, hold, call) for hold in nouns.select(r, Hold, call["name"])]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _row(r: Snapshot, hold: Hold, call: Call) -> Row:
    kept = holds.count(r, hold)
    rules = nouns.select(r, HoldRule, hold_id=hold.id) if call.detailed else []
    shown = "; ".join(_show(r, rule) for rule in rules)
    return row_of(hold, objects=kept.objects, size_bytes=kept.bytes, rules=shown)


def _show(r: Snapshot, rule: HoldRule) -> str:
    """`hold ALICE /home /letters/* from 01/01/2026 00:00:00`"""
    space = nouns.by_id(r, FileSpace, rule.file_space_id).name if rule.file_space_id else "*"
    parts = [
        "hold" if rule.holds else "release",
        nouns.by_id(r, Node, rule.node_id).name,
        space,
        rule.pattern,
    ]
    if rule.kind:
        parts.append(f"{_KIND_NAMES[rule.kind].lower()} only")
    if rule.from_time is not None:
        parts.append(f"from {show_time(rule.from_time)}")
    if rule.to_time is not None:
        parts.append(f"to {show_time(rule.to_time)}")
    return " ".join(parts)


def _columns(detailed: bool) -> list[Column]:
    columns = [
        of_attribute(Hold, "name"),
        of_attribute(Hold, "reason"),
        count_column("objects", "Objects Held"),
        Column(key="size_bytes", label="Size", show=show_size, number=True),
        time_column("defined_time", "Defined"),
    ]
    if detailed:
        columns += [
            Column(key="defined_by", label="Defined by"),
            Column(key="rules", label="Rules", wrap_words=True),
        ]
    return columns


def _confirm_release(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR4411W", hold=call["hold"]))


_NAME = positional("name", Name(64), "name of the hold")
_OBJECTS = (
    positional("hold", Name(64), "name of the hold"),
    positional("node", Pattern(64), "nodes"),
    positional("name", PathPattern(), "file spaces; * also means those that come later", default="*"),
    positional("pattern", PathPattern(), "paths in the file space, as /folder/*", default="*"),
    keyword("Type", Choice("ANY", "Backup", "Archive"), "which copies", default="ANY"),
    keyword("FROMDate", Day(), "only what was stored since"),
    keyword("FROMTime", TimeOfDay(), "time on that day"),
    keyword("TODate", Day(), "only what was stored until; without it also what comes later"),
    keyword("TOTime", TimeOfDay(), "time on that day"),
)

COMMANDS = (
    Command(
        words=("DEFine", "HOLd"),
        rule=SYSTEM,
        help="Make a hold. What it holds is said with HOLD OBJECT.",
        parameters=define_parameters(Hold),
        run=_define,
    ),
    Command(
        words=("DELete", "HOLd"),
        rule=SYSTEM,
        help="Delete a hold that holds nothing.",
        parameters=(_NAME,),
        run=_delete,
    ),
    Command(
        words=("Query", "HOLd"),
        rule=ANYONE,
        help="Show holds and how much they hold at this moment.",
        parameters=(positional("name", Pattern(64), "holds", default="*"), FORMAT),
        run=_query,
    ),
    Command(
        words=("HOLd", "OBject"),
        rule=SYSTEM,
        help="Put objects under a hold: they do not expire and nobody can delete them.",
        parameters=_OBJECTS,
        run=_hold,
    ),
    Command(
        words=("RELease", "OBject"),
        rule=SYSTEM,
        help="Release objects from one hold; others may still hold them.",
        parameters=_OBJECTS,
        run=_release,
        confirm=_confirm_release,
    ),
)
