"""The volume history: QUERY VOLHISTORY, UPDATE VOLHISTORY, DELETE VOLHISTORY."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.command import FORMAT, Call, Command, Parameter, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, PathPattern, TimeOfDay, moment
from farvault.admin.movable_media import usual_place
from farvault.admin.output import Answer, Code, Column, Report, of_attribute, row_of, time_column
from farvault.admin.period import LAST_SECOND, PERIOD, period
from farvault.base.errors import BadInput, FarvaultError, NotFound
from farvault.base.messages import Message, message
from farvault.base.units import show_time
from farvault.catalog import nouns, offsite_media, volume_history
from farvault.catalog.offsite_media import COURIERRETRIEVE, MOUNTABLE, VAULTRETRIEVE
from farvault.catalog.transaction import Transaction
from farvault.model.attribute import Choice, Name, Text, YesNo
from farvault.model.device_class import FILE, DeviceClass
from farvault.model.volume_history import QUERY_TYPES, HistoryVolume
from farvault.policy import volume_history as policy
from farvault.storage.history_volumes import delete_volumes


def _columns(*, detailed: bool) -> tuple[Column, ...]:
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
    begin, end = period(call, instance.clock.now_seconds())
    with instance.catalog.read() as r:
        rows = volume_history.rows(r, QUERY_TYPES[call["type"]], from_time=begin, to_time=end)
    yield Report(columns=_columns(detailed=call.detailed), rows=[row_of(row) for row in rows], detailed=True)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    """Corrects what is noted, wherever the volume is: MOVE DRMEDIA goes forward only."""
    if call["location"] is None and call["ormstate"] is None:
        raise BadInput("ANR2026E", command=call.command.name)
    name = instance.storage.devices.full_name(call["devclass"], call["volume"])
    with instance.catalog.write(uses_reserve=True) as tx:
        entry = volume_history.with_volume(tx, call["devclass"], name)
        if entry is None:
            raise NotFound("ANR4900E", name=name)
        _note(tx, entry, call["ormstate"], call["location"], instance.clock.now_seconds())
    yield message("ANR2475I", volume=name)


def _note(tx: Transaction, entry: HistoryVolume, state: str | None, location: str | None, now: int) -> None:
    media = offsite_media.all_media(tx).get(entry.volume)
    before = media.state if media else MOUNTABLE
    if state is not None and nouns.get(tx, DeviceClass, entry.device_class).device_type != FILE:
        raise BadInput("ANR2476E", volume=entry.volume)
    if state == COURIERRETRIEVE and before not in (VAULTRETRIEVE, COURIERRETRIEVE):
        raise BadInput("ANR2477E", volume=entry.volume, state=before)
    after = state or before
    if after == MOUNTABLE:
        offsite_media.forget(tx, entry.volume)
    elif state is not None:
        offsite_media.set_state(tx, entry.volume, state, location or "", now)
    elif media is not None:
        offsite_media.set_state(tx, entry.volume, media.state, location, media.updated_time)
    place = location if location is not None else usual_place(tx, after)
    nouns.update(tx, msgspec.structs.replace(entry, location=place))


def _until(instance: Instance, call: Call) -> int:
    return moment(call["todate"], call["totime"] or LAST_SECOND, instance.clock.now_seconds())


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
    refused: list[Message] = []

    def refuse(row: HistoryVolume, error: FarvaultError) -> None:
        place = {"volume": row.volume, "series": row.series, "operation": row.operation}
        refused.append(message("ANR4973W", **place, reason=error.message.text))

    done = delete_volumes(instance.storage, newest_first, refuse)
    yield from refused
    yield message("ANR2467I", count=done.gone)
    if done.waiting:
        yield message("ANR4890W", count=f"{done.waiting:,}")
    if refused:
        yield Code(4)


def _confirm(instance: Instance, call: Call) -> str:
    until = show_time(_until(instance, call))
    count = len(_chosen(instance, call).deleted)
    return str(message("ANR2468W", count=count, type=call["type"], time=until)) if count else ""


_TYPES = (
    "All", "DBBackup", "DBSnapshot", "DBRpf", "EXPort", "RPFile", "RPFSnapshot", "STGNew", "STGReuse", "STGDelete"
)  # fmt: skip
_NEVER_HERE = ("DBDump", "BACKUPSET", "REMote")
"""May be asked for: nothing here writes such volumes."""


def _type(*words: str, default: str | None) -> Parameter:
    return keyword(
        "Type", Choice(*words), "only entries of this type", default=default, required=default is None
    )


COMMANDS = (
    Command(
        words=("Query", "VOLHistory"),
        rule=ANYONE,
        help="Show volumes of database backups, exports and plan files, and what happened to sequential pool volumes.",
        parameters=(*PERIOD, _type(*_TYPES, *_NEVER_HERE, default="ALL"), FORMAT),
        run=_query,
    ),
    Command(
        words=("UPDate", "VOLHistory"),
        rule=STORAGE,
        help="Correct where a volume of a database backup, export or plan is: its location, or its state of DRMEDIA.",
        parameters=(
            positional("volume", PathPattern(), "its name"),
            keyword("DEVclass", Name(30), "its class", required=True),
            keyword("LOcation", Text(255), "where it is, in your words"),
            keyword(
                "ORMSTate",
                Choice("MOuntable", "NOTMOuntable", "COUrier", "VAult", "COURIERRetrieve"),
                "its state of DRMEDIA; COURIERRETRIEVE only after it has expired",
            ),
        ),
        run=_update,
    ),
    Command(
        words=("DELete", "VOLHistory"),
        rule=STORAGE,
        help="Delete entries of the volume history and their volumes. The newest series always stays.",
        parameters=(
            keyword("TODate", Day(), "until this day", required=True),
            keyword("TOTime", TimeOfDay(), "time on that day; default: 23:59:59"),
            _type(*_TYPES, default=None),
            keyword("DEVclass", Name(30), "only volumes of this class"),
            keyword("DELETELatest", YesNo(), "also the latest snapshot or plan file", default=False),
        ),
        run=_delete,
        confirm=_confirm,
    ),
)
