"""The target administrator's word: APPROVE and REJECT FORCESYNC, APPROVE DELETION, CONFIRM CLOCK, QUERY MARKED."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM, policy
from farvault.admin.command import Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, Pattern, TimeOfDay, When, moment
from farvault.admin.lookup import select
from farvault.admin.output import Answer, Column, Report, Row, count_column, time_column
from farvault.base.errors import BadInput, NotFound
from farvault.base.messages import message
from farvault.base.units import show_size, show_time
from farvault.catalog import nouns, vault, vault_rules
from farvault.catalog.transaction import Snapshot
from farvault.catalog.vault import SegmentRow
from farvault.catalog.vault_rules import HOUR_SECONDS, VaultLock
from farvault.model.attribute import Integer, Name, Text
from farvault.model.node import Node
from farvault.policy.clock_guard import DAY_SECONDS
from farvault.seal.identity import key_fingerprint, same_fingerprint
from farvault.storage.vault_trust import accept, forget_pending
from farvault.storage.vault_volumes import revert_vault

_PAGE = 1000
_LAST_SECOND = When(absolute=datetime.time(23, 59, 59))


def _approve(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["name"])
        rules = vault_rules.of_node(tx, node.id)
        if not rules.pending_code_key:
            raise NotFound("ANR4879E", node=node.name)
        shown = key_fingerprint(rules.pending_identity)
        if call["fingerprint"] and not same_fingerprint(shown, call["fingerprint"]):
            raise BadInput(
                "ANR2020E",
                command=call.command.name,
                parameter="FINGERPRINT",
                value=call["fingerprint"],
                right=f"the one that waits, {shown}",
            )
        now = instance.storage.vault_clock.look(tx).moment
        accept(tx, instance.log, node, rules, rules.pending_code_key, rules.pending_identity, now)
    yield message("ANR4875I", node=node.name, fingerprint=shown)


def _confirm_approval(instance: Instance, call: Call) -> str:
    with instance.catalog.read() as r:
        node = nouns.find(r, Node, call["name"])
        rules = vault_rules.of_node(r, node.id) if node else None
    if node is None or rules is None or not rules.pending_identity or call["fingerprint"]:
        return ""
    shown = {"address": rules.pending_address, "fingerprint": key_fingerprint(rules.pending_identity)}
    return str(message("ANR0570W", node=node.name, **shown))


def _reject(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["name"])
        rules = vault_rules.of_node(tx, node.id)
        if not rules.pending_code_key:
            raise NotFound("ANR4879E", node=node.name)
        forget_pending(tx, node.id)
    yield message("ANR4992I", node=node.name, fingerprint=key_fingerprint(rules.pending_identity))


def _revert(instance: Instance, call: Call) -> Iterator[Answer]:
    at = moment(call["todate"], call["totime"] or _LAST_SECOND, instance.clock.now_seconds())
    with instance.catalog.read() as r:
        node = nouns.get(r, Node, call["name"])
    if not node.is_source:
        raise BadInput("ANR2268E", node=node.name)
    revived, aside = revert_vault(instance.storage, node.id, at)
    yield message(
        "ANR4876I", node=node.name, moment=show_time(at), revived=f"{revived:,}", aside=f"{aside:,}"
    )


def _confirm_revert(instance: Instance, call: Call) -> str:
    at = moment(call["todate"], call["totime"] or _LAST_SECOND, instance.clock.now_seconds())
    return str(message("ANR4861I", node=call["name"], moment=show_time(at)))


def _approve_deletion(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        node = nouns.get(tx, Node, call["name"])
        if not node.is_source:
            raise BadInput("ANR2268E", node=node.name)
        running = instance.storage.vault_clock.look(tx).running
        until = running + call["hours"] * HOUR_SECONDS
        vault_rules.change(tx, node.id, mass_stopped_time=0, mass_allowed_running=until)
    yield message("ANR4878I", node=node.name, hours=call["hours"])


def _confirm_clock(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.write() as tx:
        instance.storage.vault_clock.confirm(tx)
    yield message("ANR4869I", now=show_time(instance.clock.now_seconds()))


def _query_marked(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        seen = instance.storage.vault_clock.look(tx)
    with instance.catalog.read() as r:
        rows = [
            _marked_row(node, row, lock.seconds_left(row, seen.moment), seen.wall)
            for node in select(r, Node, [call["node"]])
            if node.is_source
            for lock in [VaultLock(r, node.id)]
            for row in _marked(r, node, call["volume"])
        ]
    yield Report(columns=_COLUMNS, rows=rows)


def _marked(r: Snapshot, node: Node, pattern: str) -> Iterator[SegmentRow]:
    after = ("", -1, -1)
    while found := vault.list_volumes(r, node.id, pattern, after, _PAGE):
        yield from (row for row in found if row.marked_time)
        after = (found[-1].volume, found[-1].offset_bytes, found[-1].object_id)


def _marked_row(node: Node, row: SegmentRow, seconds_left: int, now: int) -> Row:
    return {
        "node": node.name,
        "volume": row.volume,
        "stored_bytes": row.stored_bytes,
        "received_time": row.received_time,
        "marked_time": row.marked_time,
        "earliest_removal_time": now + seconds_left,
        "days_left": -(-seconds_left // DAY_SECONDS),
    }


_COLUMNS = [
    Column(key="node", label="Node Name"),
    Column(key="volume", label="Volume Name"),
    Column(key="stored_bytes", label="Size", show=show_size, number=True),
    time_column("received_time", "Received"),
    time_column("marked_time", "Marked for Deletion"),
    time_column("earliest_removal_time", "Removed Not Before"),
    count_column("days_left", "Days Left"),
]


def _domain(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        node = nouns.find(r, Node, call["name"])
        return [node.domain] if node else []


_NODE = positional("name", Name(64), "the source's node")

COMMANDS = (
    Command(
        words=("APPRove", "FORCESync"),
        rule=policy(_domain),
        help="Let a source in whose FORCESYNC waits. Compare the fingerprint with the source's administrator first.",
        parameters=(
            _NODE,
            keyword("FINGERprint", Text(95), "approve only this identity fingerprint"),
        ),
        run=_approve,
        confirm=_confirm_approval,
    ),
    Command(
        words=("REJect", "FORCESync"),
        rule=policy(_domain),
        help="Forget a FORCESYNC that waits; the registered code and identity stay.",
        parameters=(_NODE,),
        run=_reject,
    ),
    Command(
        words=("APPRove", "DELetion"),
        rule=policy(_domain),
        help="Let a source delete volumes again after a mass deletion stopped it.",
        parameters=(
            _NODE,
            keyword("HOURs", Integer(1, 720), "for so long its deletions are not counted", default=24),
        ),
        run=_approve_deletion,
    ),
    Command(
        words=("REVErt", "VAult"),
        rule=policy(_domain),
        help="Make the volumes of a source what they were at a moment, as far as they are still here: what was deleted or "
        "overwritten since comes back, what came later is marked for deletion.",
        parameters=(
            _NODE,
            keyword("TODate", Day(), "the day", required=True),
            keyword("TOTime", TimeOfDay(), "time on that day; without it its end"),
        ),
        run=_revert,
        confirm=_confirm_revert,
    ),
    Command(
        words=("CONFirm", "CLock"),
        rule=SYSTEM,
        help="Say that the clock is right after it jumped: virtual volumes may be removed again.",
        run=_confirm_clock,
    ),
    Command(
        words=("Query", "MArked"),
        rule=ANYONE,
        help="Show virtual volumes that their sources have deleted, and when each is removed at the earliest.",
        parameters=(
            positional("node", Pattern(64), "nodes of sources", default="*"),
            positional("volume", Text(1024), "volumes, by their names here", default="*"),
        ),
        run=_query_marked,
    ),
)
