"""Processes: QUERY and CANCEL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Column, Report, count_column
from farvault.base.messages import message
from farvault.model.attribute import Integer
from farvault.processes.process import Process


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    found = [p for p in instance.processes.list() if call["number"] in (None, p.number)]
    yield Report(columns=_COLUMNS, rows=[_row(process) for process in found])


def _row(process: Process) -> dict[str, Any]:
    return {
        "number": process.number,
        "description": process.description,
        "status": process.status(),
        "objects": process.objects,
        "bytes": process.bytes,
        "bytes_per_second": int(process.bytes_per_second),
        "failed_objects": process.failed_objects,
    }


_COLUMNS = (
    count_column("number", "Process Number"),
    Column(key="description", label="Process Description", wrap_words=True),
    Column(key="status", label="Status", wrap_words=True),
)


def _cancel(instance: Instance, call: Call) -> Iterator[Answer]:
    process = instance.processes.cancel(call["number"])
    yield message("ANR0940I", number=process.number, description=process.description)


COMMANDS = (
    Command(
        words=("Query", "PRocess"),
        rule=ANYONE,
        help="Show background work with its figures so far.",
        parameters=(positional("number", Integer(1), "one process", optional=True),),
        run=_query,
    ),
    Command(
        words=("CANcel", "PRocess"),
        rule=SYSTEM,
        help="Ask a process to stop at its next safe point. What it has done is kept.",
        parameters=(positional("number", Integer(1), "which"),),
        run=_cancel,
    ),
)
