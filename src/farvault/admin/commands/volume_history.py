"""The volume history: QUERY VOLHISTORY, DELETE VOLHISTORY."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.command import FORMAT, Call, Command, Parameter, keyword
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, TimeOfDay, When, moment
from farvault.admin.output import Answer, Report, of_attribute, row_of, time_column
from farvault.base.messages import message
from farvault.base.units import show_time
from farvault.catalog import volume_history
from farvault.model.attribute import Choice, Name, YesNo
from farvault.model.volume_history import QUERY_TYPES, HistoryVolume
from farvault.policy import volume_history as policy
from farvault.storage.history_volumes import delete_volumes

_TODAY = When(offset=0)
_MIDNIGHT = When(absolute=datetime.time(0, 0, 0))
_LAST_SECOND = When(absolute=datetime.time(23, 59, 59))


def _columns(*, detailed: bool) -> tuple[object, ...]:
    fields = ("series", "operation", "sequence", "device_class", "volume", "location", "command")
    more = ("records", "stored_bytes", "epoch") if detailed else ()
    times = [time_column("verified_time", "Last Validated")] if detailed else []
    return (
        time_column("time", "Date/Time"),
        *(of_attribute(HistoryVolume, field) for field in ("type", *fields, *more)),
        *times,
        time_column("missed_time", "Not Provable Since"),
    )


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    now = instance.clock.now_seconds()
    from_time = moment(call["begindate"], call["begintime"] or _MIDNIGHT, now) if call["begindate"] else 0
    to_time = 1 << 62
    if call["enddate"] or call["endtime"]:
        to_time = moment(call["enddate"] or _TODAY, call["endtime"] or _LAST_SECOND, now)
    with instance.catalog.read() as r:
        rows = volume_history.rows(r, QUERY_TYPES[call["type"]], from_time=from_time, to_time=to_time)
    yield Report(
        columns=_columns(detailed=call.detailed),  # type: ignore[arg-type]
        rows=[row_of(row) for row in rows],
        detailed=True,
    )


def _until(instance: Instance, call: Call) -> int:
    return moment(call["todate"], call["totime"] or _LAST_SECOND, instance.clock.now_seconds())


def _chosen(instance: Instance, call: Call) -> policy.Choice:
    with instance.catalog.read() as r:
        rows = volume_history.rows(r, QUERY_TYPES["ALL"])
    return policy.choose(
        rows,
        call["type"],
        _until(instance, call),
        device_class=call["devclass"] or "",
        delete_latest=call["deletelatest"],
    )


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    """Newest operations of a series first: one that is broken off leaves a series that is whole up to there."""
    chosen = _chosen(instance, call)
    for row, reason in chosen.kept:
        yield message(
            "ANR2469I",
            volume=row.volume,
            type=row.type,
            series=row.series,
            operation=row.operation,
            reason=reason,
        )
    newest_first = sorted(
        chosen.deleted, key=lambda row: (row.series, row.operation, row.sequence), reverse=True
    )
    waiting = delete_volumes(instance.storage, newest_first)
    yield message("ANR2467I", count=len(newest_first))
    if waiting:
        yield message("ANR4890W", count=f"{waiting:,}")


def _confirm(instance: Instance, call: Call) -> str:
    until = show_time(_until(instance, call))
    count = len(_chosen(instance, call).deleted)
    return str(message("ANR2468W", count=count, type=call["type"], time=until)) if count else ""


def _type(default: str | None) -> Parameter:
    kind = Choice(
        "All", "DBBackup", "DBSnapshot", "DBRpf", "EXPort", "RPFile", "RPFSnapshot", "STGNew", "STGReuse", "STGDelete"
    )  # fmt: skip
    return keyword("Type", kind, "only entries of this type", default=default, required=default is None)


COMMANDS = (
    Command(
        words=("Query", "VOLHistory"),
        rule=ANYONE,
        help="Show volumes of database backups, exports and plan files, and what happened to sequential pool volumes.",
        parameters=(
            keyword("BEGINDate", Day(), "only from this day on"),
            keyword("ENDDate", Day(), "only until this day"),
            keyword("BEGINTime", TimeOfDay(), "time on that day; default: 00:00:00"),
            keyword("ENDTime", TimeOfDay(), "time on that day; default: its end"),
            _type("ALL"),
            FORMAT,
        ),
        run=_query,
    ),
    Command(
        words=("DELete", "VOLHistory"),
        rule=STORAGE,
        help="Delete entries of the volume history and their volumes. The newest series always stays.",
        parameters=(
            keyword("TODate", Day(), "until this day", required=True),
            keyword("TOTime", TimeOfDay(), "time on that day; default: 23:59:59"),
            _type(None),
            keyword("DEVclass", Name(30), "only volumes of this class"),
            keyword("DELETELatest", YesNo(), "also the latest snapshot or plan file", default=False),
        ),
        run=_delete,
        confirm=_confirm,
    ),
)
