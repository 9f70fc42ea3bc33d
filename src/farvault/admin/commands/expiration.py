"""EXPIRE INVENTORY, QUERY RETENTION (what goes when, and why), SIGNAL OBJECT (retention by event), EXPINTERVAL, EXPQUIET."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from farvault.admin.authority import ANYONE, SYSTEM, policy
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, PathPattern, Patterns, TimeOfDay, When, moment
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer, Column, Report, Row, time_column
from farvault.base.errors import BadInput, NotFound
from farvault.base.messages import message
from farvault.base.units import show_path, show_time
from farvault.base.wildcard import matches
from farvault.catalog import expiration, nouns, vault
from farvault.catalog.expiration import RetentionRow
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Snapshot
from farvault.catalog.vault_rules import VaultLock
from farvault.model.attribute import Integer, Name, YesNo
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind, ObjectState
from farvault.policy.clock_guard import ClockState
from farvault.policy.holding import path_matches, path_of
from farvault.policy.retention import ArchiveRule
from farvault.policy.versions import AT_ONCE, Decision, Why
from farvault.processes.expire_inventory import DESCRIPTION, ONE_RUNS, Options, expire_inventory, is_quiet
from farvault.processes.judge import Judge
from farvault.processes.process import Process

_SIGNALLED_AT_ONCE = 5000
_KINDS = {ObjectKind.BACKUP: "Bkup", ObjectKind.ARCHIVE: "Arch", ObjectKind.SPACE_MANAGED: "SpMg"}
_STATES = {ObjectState.ACTIVE: "Active", ObjectState.EXPIRED: "Expired", ObjectState.MARKED: "Deleted"}
_NEXT_RUN, _NEVER = "next expiration", "never"


def _expire(instance: Instance, call: Call) -> Iterator[Answer]:
    minutes = call["duration"]
    with instance.catalog.read() as r:
        quiet = call["quiet"] if "quiet" in call.given else is_quiet(r)
    options = Options(
        nodes=_chosen(instance, call),
        duration_seconds=None if minutes is None else minutes * 60.0,
        resources=call["resource"],
        skip_directories=call["skipdirs"],
        quiet=quiet,
        preview=call["preview"],
    )

    def work(process: Process) -> None:
        expire_inventory(instance.storage, process, options)

    yield from run_process(instance, call, DESCRIPTION, work, refusal=ONE_RUNS)


def _chosen(instance: Instance, call: Call) -> list[Node] | None:
    """None where the command names neither nodes nor domains."""
    if not call.given & {"node", "domain"}:
        return None
    with instance.catalog.read() as r:
        found = select(r, Node, call["node"] or ("*",))
    domains = call["domain"] or ("*",)
    return some([node for node in found if any(matches(one, node.domain) for one in domains)], call)


# --- what goes when, and why ------------------------------------------------------------------------------------------


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        node = nouns.get(r, Node, call["node"])
        spaces = some(nouns.select(r, FileSpace, call["name"], node_id=node.id), call)
    yield Report(columns=_COLUMNS, rows=_rows(instance, node, spaces, call["pattern"]))


def _rows(instance: Instance, node: Node, spaces: list[FileSpace], pattern: str) -> Iterator[Row]:
    wanted = path_matches(pattern)
    seen = _vault_clock(instance) if node.is_source else None
    with instance.catalog.read() as r:
        lock = VaultLock(r, node.id)
        for space in spaces:
            judge = Judge(r, node, space.id)
            for of_name in _by_name(r, space):
                path = path_of(of_name[0].directory, of_name[0].row.name)
                if not wanted(path):
                    continue
                judged = judge.decisions(r, [one.row for one in of_name], of_name[0].directory)
                for one, decision in zip(of_name, judged, strict=True):
                    if seen and one.row.state == ObjectState.MARKED:
                        yield _row(space, path, one, _removal(r, one, lock, seen))
                    else:
                        yield _row(space, path, one, decision)


def _vault_clock(instance: Instance) -> ClockState:
    with instance.catalog.write() as tx:
        return instance.storage.vault_clock.look(tx)


def _removal(r: Snapshot, one: RetentionRow, lock: VaultLock, seen: ClockState) -> Decision:
    """Of a virtual volume that its source has deleted: the same moment as QUERY MARKED tells."""
    left = lock.seconds_left(vault.segment(r, one.row.id), seen.moment)
    return Decision(seen.wall + left if left else AT_ONCE, Why.MARKED)


def _by_name(r: Snapshot, space: FileSpace) -> Iterator[list[RetentionRow]]:
    rows = expiration.with_paths(r, space.id)
    return (list(group) for _, group in groupby(rows, key=lambda one: (one.directory, one.row.name)))


def _row(space: FileSpace, path: bytes, one: RetentionRow, decision: Decision) -> Row:
    goes = decision.goes
    return {
        "file_space": space.name,
        "path": show_path(path),
        "kind": _KINDS.get(ObjectKind(one.row.kind), ""),
        "state": _STATES.get(ObjectState(one.row.state), "Inactive"),
        "management_class": one.management_class,
        "inserted_time": one.row.inserted_time,
        "deactivated_time": one.row.deactivated_time,
        "goes": _NEVER if goes is None else _NEXT_RUN if goes == AT_ONCE else show_time(goes),
        "why": decision.why.value,
        "by": decision.by,
    }


_COLUMNS = (
    Column(key="file_space", label="Filespace"),
    Column(key="path", label="Object"),
    Column(key="kind", label="Type"),
    Column(key="state", label="State"),
    Column(key="management_class", label="Mgmt Class"),
    time_column("inserted_time", "Stored"),
    time_column("deactivated_time", "Inactive since"),
    Column(key="goes", label="Goes after"),
    Column(key="why", label="Why", wrap_words=True),
    Column(key="by", label="Decided by"),
)


# --- retention by event -------------------------------------------------------------------------------------------------


def _signal(instance: Instance, call: Call) -> Iterator[Answer]:
    """Archive copies whose copy group waits for an event; an event that came before is not moved."""
    now = instance.clock.now_seconds()
    event_time = moment(call["date"], call["time"], now)
    if event_time > now:
        raise BadInput("ANR4431E")
    waiting = _waiting(instance, call)
    new = total = 0
    while batch := list(islice(waiting, _SIGNALLED_AT_ONCE)):
        with instance.catalog.write() as tx:
            new += expiration.signal(tx, batch, event_time)
        total += len(batch)
    if not total:
        raise NotFound("ANR4432E", node=call["node"])
    yield message("ANR4430I", objects=f"{new:,}", time=show_time(event_time), known=f"{total - new:,}")


def _waiting(instance: Instance, call: Call) -> Iterator[int]:
    wanted = path_matches(call["pattern"])
    with instance.catalog.read() as r:
        node = nouns.get(r, Node, call["node"])
        for space in some(nouns.select(r, FileSpace, call["name"], node_id=node.id), call):
            judge = Judge(r, node, space.id)
            for one in expiration.with_paths(r, space.id):
                if (
                    one.row.kind == ObjectKind.ARCHIVE
                    and one.row.state == ObjectState.ACTIVE
                    and isinstance(rule := judge.retention.archive(one.management_class), ArchiveRule)
                    and rule.by_event
                    and wanted(path_of(one.directory, one.row.name))
                ):
                    yield one.row.id


# --- by itself -----------------------------------------------------------------------------------------------------------


def _set_interval(instance: Instance, call: Call) -> Iterator[Answer]:
    hours = call["hours"]
    with instance.catalog.write() as tx:
        set_setting(tx, "EXPINTERVAL", str(hours))
    yield message("ANR0816I", hours=hours) if hours else message("ANR0817I")


def _set_quiet(instance: Instance, call: Call) -> Iterator[Answer]:
    quiet = call["quiet"]
    with instance.catalog.write() as tx:
        set_setting(tx, "EXPQUIET", "YES" if quiet else "NO")
    yield message(
        "ANR2980I", value="YES" if quiet else "NO", what="nothing" if quiet else "what there is to say"
    )


def _domain_of_node(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        node = nouns.find(r, Node, call["node"])
        return [node.domain] if node else []


_OBJECTS = (
    positional("node", Name(64), "its node"),
    positional("name", PathPattern(), "file spaces", default="*"),
    positional("pattern", PathPattern(), "paths in the file space, as /folder/name", default="*"),
)

COMMANDS = (
    Command(
        words=("EXPIre", "Inventory"),
        rule=SYSTEM,
        help="Delete what policy no longer keeps. It also runs by itself, see SETOPT EXPINTERVAL.",
        parameters=(
            keyword(
                "Quiet", YesNo(), "no messages about nodes and their policy; without it EXPQUIET decides"
            ),
            WAIT,
            keyword("Node", Patterns(64), "only these nodes"),
            keyword("DOmain", Patterns(30), "only nodes of these domains"),
            keyword("DUration", Integer(1, 999_999), "most minutes it may take; the next run goes on there"),
            keyword("RESource", Integer(1, 10), "file spaces looked at side by side", default=4),
            keyword("SKipdirs", YesNo(), "leave directories", default=False),
            keyword("PREView", YesNo(), "only say what would be deleted, and why", default=False),
        ),
        run=_expire,
    ),
    Command(
        words=("Query", "RETention"),
        rule=ANYONE,
        help="Show for each version and archive copy when it goes and why, if nothing changes until then.",
        parameters=_OBJECTS,
        run=_query,
    ),
    Command(
        words=("SIGnal", "OBject"),
        rule=policy(_domain_of_node),
        help="The event has come that archive copies of RETINIT=EVENT wait for; their retention runs from then on.",
        parameters=(
            *_OBJECTS,
            keyword("DATE", Day(), "day of the event", default=When()),
            keyword("TIME", TimeOfDay(), "time of the event", default=When()),
        ),
        run=_signal,
    ),
    Command(
        words=("SETOPT", "EXPINterval"),
        rule=SYSTEM,
        help="Set how often expiration runs by itself.",
        parameters=(positional("hours", Integer(0, 336), "hours between two runs; 0 = never"),),
        run=_set_interval,
    ),
    Command(
        words=("SETOPT", "EXPQuiet"),
        rule=SYSTEM,
        help="Set whether expiration says less where EXPIRE INVENTORY has no QUIET; also when it runs by itself.",
        parameters=(positional("quiet", YesNo(), "Yes = no messages about nodes and their policy"),),
        run=_set_quiet,
    ),
)
