"""Collocation groups and their members: DEFINE, UPDATE, QUERY, DELETE COLLOCGROUP; DEFINE and DELETE COLLOCMEMBER."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.command import FORMAT, Call, Command, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern, Patterns
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer, Column, Report, Row, count_column, of_attribute, row_of
from farvault.base.errors import AlreadyExists, NotFound, StillReferenced
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Name
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.node import Node


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    made = CollocationGroup(**defined(CollocationGroup, call))
    with instance.catalog.write() as tx:
        nouns.insert(tx, made)
    yield message("ANR4769I", group=made.name)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        found = nouns.get(tx, CollocationGroup, call["name"])
        nouns.update(tx, replace(found, **changed(CollocationGroup, call)))
    yield message("ANR4770I", group=found.name)


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        found = nouns.get(tx, CollocationGroup, call["name"])
        if members := nouns.count(tx, CollocationMember, group_id=found.id):
            raise StillReferenced("ANR4768E", group=found.name, members=f"{members:,}")
        nouns.delete(tx, found)
    yield message("ANR4771I", group=found.name)


def _define_members(instance: Instance, call: Call) -> Iterator[Answer]:
    """All of the nodes or none. What is stored already stays where it is; reclamation and moves bring it together."""
    with instance.catalog.write() as tx:
        group = nouns.get(tx, CollocationGroup, call["group"])
        nodes = some(select(tx, Node, call["nodes"]), call)
        for node in nodes:
            if nouns.count(tx, CollocationMember, node_id=node.id):
                raise AlreadyExists("ANR4767E", name=node.name)
            nouns.insert(tx, CollocationMember(group_id=group.id, node_id=node.id))
    for node in nodes:
        yield message("ANR4772I", node=node.name, group=group.name)


def _delete_members(instance: Instance, call: Call) -> Iterator[Answer]:
    """A node that is named must be a member; of those a pattern finds the members go."""
    with instance.catalog.write() as tx:
        group = nouns.get(tx, CollocationGroup, call["group"])
        members = {one.node_id: one for one in nouns.select(tx, CollocationMember, group_id=group.id)}
        nodes = some(select(tx, Node, call["nodes"]), call)
        for node in nodes:
            if node.id not in members and node.name in call["nodes"]:
                raise NotFound("ANR4766E", name=node.name)
        gone = [node for node in nodes if node.id in members]
        for node in some(gone, call):
            nouns.delete(tx, members[node.id])
    for node in gone:
        yield message("ANR4773I", node=node.name, group=group.name)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [_row(r, group) for group in select(r, CollocationGroup, [call["name"]])]
    columns = [
        of_attribute(CollocationGroup, "name"),
        of_attribute(CollocationGroup, "description"),
        count_column("members", "Number of Members"),
    ]
    if call.detailed:
        columns.append(Column(key="names", label="Collocation Group Member(s)", wrap_words=True))
    yield Report(columns=columns, rows=rows, detailed=call.detailed)


def _row(r: Snapshot, group: CollocationGroup) -> Row:
    members = {one.node_id for one in nouns.select(r, CollocationMember, group_id=group.id)}
    names = sorted(nouns.by_id(r, Node, number).name for number in members)
    return row_of(group, members=len(names), names=" ".join(names))


_NAME = positional("name", Name(30), "name of the group")
_MEMBERS = (
    positional("group", Name(30), "name of the group"),
    positional("nodes", Patterns(64), "nodes; a list of names or patterns"),
)

COMMANDS = (
    Command(
        words=("DEFine", "COLLOCGroup"),
        rule=STORAGE,
        help="Make a collocation group: its nodes share volumes in pools with COLLOCATE=GROUP.",
        parameters=define_parameters(CollocationGroup),
        run=_define,
    ),
    Command(
        words=("UPDate", "COLLOCGroup"),
        rule=STORAGE,
        help="Change the description of a collocation group.",
        parameters=(_NAME, *update_parameters(CollocationGroup)),
        run=_update,
    ),
    Command(
        words=("DELete", "COLLOCGroup"),
        rule=STORAGE,
        help="Delete a collocation group that has no members.",
        parameters=(_NAME,),
        run=_delete,
    ),
    Command(
        words=("Query", "COLLOCGroup"),
        rule=ANYONE,
        help="Show collocation groups.",
        parameters=(positional("name", Pattern(30), "which", default="*"), FORMAT),
        run=_query,
    ),
    Command(
        words=("DEFine", "COLLOCMember"),
        rule=STORAGE,
        help="Add nodes to a collocation group. A node belongs to one group at most.",
        parameters=_MEMBERS,
        run=_define_members,
    ),
    Command(
        words=("DELete", "COLLOCMember"),
        rule=STORAGE,
        help="Take nodes out of a collocation group.",
        parameters=_MEMBERS,
        run=_delete_members,
    ),
)
