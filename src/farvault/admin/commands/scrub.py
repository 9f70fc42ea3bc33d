"""The scrub: SET SCRUBPERIOD, SET SCRUBRATE, QUERY SCRUB."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Pattern
from farvault.admin.output import Answer, Column, Report, Row, count_column, percent_column, time_column
from farvault.base.errors import NotFound
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.base.wildcard import matches
from farvault.catalog import nouns, volume_checks
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Integer
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.scrub import VolumeState, notice_new, pieces_of
from farvault.processes.scrub import PERIOD_SETTING, RATE_SETTING, period_days


def _set_period(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_setting(tx, PERIOD_SETTING, str(call["days"]))
    yield message("ANR4752I", days=call["days"]) if call["days"] else message("ANR4754I")


def _set_rate(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_setting(tx, RATE_SETTING, str(call["mib"]))
    yield message("ANR4753I", rate=call["mib"]) if call["mib"] else message("ANR4755I")


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = list(_rows(r, call, instance.clock.now_seconds()))
    if not rows:
        raise NotFound("ANR2034E", command=call.command.name)
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _rows(r: Snapshot, call: Call, now: int) -> Iterator[Row]:
    """`now`: what nobody has looked at yet counts as new since it was written, also where no scrub has run so far."""
    pools = {pool.id: pool.name for pool in nouns.select(r, StoragePool, call["stgpool"])}
    days = period_days(r)
    states = {state.check.volume_id: state for state in volume_checks.states(r)}
    for volume in nouns.select(r, Volume):
        state = states.get(volume.id)
        if state is not None and volume.pool_id in pools and matches(call["volume"], volume.name):
            noticed = state._replace(check=notice_new(state, now))
            yield _row(volume, pools[volume.pool_id], noticed, days)


def _row(volume: Volume, pool: str, state: VolumeState, days: int) -> Row:
    check = state.check
    due = [piece.due_time for piece in pieces_of(state, days)] if days else []
    unchecked = state.unchecked_bytes
    left = state.left_bytes if state.is_random else max(state.end_bytes - check.next_offset, 0)
    return {
        "volume": volume.name,
        "pool": pool,
        "verdict": check.verdict,
        "checked_time": check.checked_time,
        "due_time": min(due, default=0),
        "size_bytes": state.end_bytes,
        "unchecked_bytes": unchecked,
        "bad_records": check.bad_records,
        "last_time": check.last_time,
        "pass_time": check.pass_time,
        "pass_percent": round(100.0 * (state.end_bytes - left) / state.end_bytes, 1)
        if check.pass_time and state.end_bytes
        else 0.0,
        "new_time": check.new_time,
    }


_VERDICTS = {"": "", "GOOD": "Good", "DAMAGED": "Damaged", "UNREADABLE": "Unreadable"}


def _columns(detailed: bool) -> list[Column]:
    standard = [
        Column(key="volume", label="Volume Name"),
        Column(key="pool", label="Storage Pool Name"),
        Column(key="verdict", label="Verdict", show=_VERDICTS.__getitem__),
        time_column("checked_time", "All Checked Since"),
        time_column("due_time", "Due By"),
        Column(key="unchecked_bytes", label="Never Checked", show=show_size, number=True),
    ]
    if not detailed:
        return standard
    return [
        *standard,
        Column(key="size_bytes", label="Data on Volume", show=show_size, number=True),
        count_column("bad_records", "Damaged Records Found"),
        time_column("last_time", "Last Looked At"),
        time_column("new_time", "New Data Since"),
        time_column("pass_time", "Present Pass Began"),
        percent_column("pass_percent", "Present Pass Pct"),
    ]


COMMANDS = (
    Command(
        words=("Set", "SCRUBPeriod"),
        rule=SYSTEM,
        help="Within how many days everything on volumes is checked again. What is new is checked within 7 days.",
        parameters=(positional("days", Integer(0, 3650), "days; 0 = no scrub"),),
        run=_set_period,
    ),
    Command(
        words=("Set", "SCRUBRate"),
        rule=SYSTEM,
        help="How fast the scrub reads at most.",
        parameters=(positional("mib", Integer(0, 1_000_000), "MiB a second; 0 = no limit"),),
        run=_set_rate,
    ),
    Command(
        words=("Query", "SCRub"),
        rule=ANYONE,
        help="Show how far each volume was checked, by the scrub or by AUDIT VOLUME, and when it is due again.",
        parameters=(
            positional("volume", PathPattern(), "volumes", default="*"),
            keyword("STGpool", Pattern(30), "only volumes of these pools", default="*"),
            FORMAT,
        ),
        run=_query,
    ),
)
