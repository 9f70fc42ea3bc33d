"""PREPARE: write the recovery plan, to a local file or as a virtual volume at another server.

The text is made elsewhere (`compose`); here it becomes durable. At a target it is one volume `SERVER.yyyymmdd.hhmmss` of
type RPFILE or RPFSNAPSHOT, its records sealed like every other: the partner keeps the plan and cannot read it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from farvault.base.disk import crash_point, make_folder, write_file
from farvault.base.errors import AlreadyExists, BadInput, MediaFailed, MediaFull
from farvault.base.units import show_size
from farvault.catalog import volume_history
from farvault.catalog.drm_settings import drm_setting
from farvault.model.volume_history import RPFILE, RPFSNAPSHOT
from farvault.processes.process import Process
from farvault.seal.compress import Compressor
from farvault.seal.record import RecordKind
from farvault.storage.history_writing import HistoryWriter, Operation
from farvault.storage.storage import Storage

DESCRIPTION: Final = "PREPARE"
_RECORD_BYTES: Final = 1 << 20
_NAME_TRIES: Final = 100
LEVEL: Final = 3


class Request(NamedTuple):
    """What was asked for. `class_name` empty: a local file."""

    class_name: str = ""
    snapshot: bool = False
    plan_prefix: str = ""
    instruction_prefix: str = ""
    primary_pools: tuple[str, ...] = ()
    copy_pools: tuple[str, ...] = ()
    command: str = DESCRIPTION


class Composed(NamedTuple):
    """A plan's text, and what is needed to put it somewhere. `series`: what it relies on, for people.

    `missing`: instruction files that should be there.
    """

    text: bytes
    server: str
    wrapped_keyring: bytes
    has_backup: bool
    series: str
    missing: Sequence[str] = ()


Compose = Callable[[Request, int], Composed]


class RecoveryPlans:
    """Plans of one server. `folder`: where local ones go when nothing else is said."""

    def __init__(self, storage: Storage, folder: str, compose: Compose) -> None:
        self._storage, self._folder, self._compose = storage, folder, compose

    def check(self, request: Request) -> None:
        """Refuse at once what cannot succeed: `NotFound`, `BadInput`."""
        if request.class_name and not self._device_is_remote(request.class_name):
            raise BadInput("ANR6927E", device_class=request.class_name)

    def write(self, process: Process, request: Request) -> str:
        """The work of the process; returns the plan's name."""
        self.check(request)
        now = self._storage.clock.now_seconds()
        plan = self._compose(request, now)
        if not plan.has_backup:
            process.say("ANR6921W", source="DBSNAPSHOT" if request.snapshot else "DBBACKUP")
        for path in plan.missing:
            process.say("ANR6918W", path=path)
        name = (
            self._to_target(request, plan, now) if request.class_name else self._to_file(request, plan, now)
        )
        process.advance(objects=1, bytes=len(plan.text))
        size = show_size(len(plan.text))
        if request.class_name:
            server = self._storage.devices.device_class(request.class_name).server_name
            process.say("ANR4947I", plan=name, server=server, size=size, series=plan.series)
        else:
            process.say("ANR6900I", plan=name, size=size, series=plan.series)
        return name

    def _device_is_remote(self, class_name: str) -> bool:
        return self._storage.devices.device(class_name).capabilities.remote

    def _to_file(self, request: Request, plan: Composed, now: int) -> str:
        with self._storage.catalog.read() as r:
            prefix = request.plan_prefix or drm_setting(r, "DRMPLANPREFIX")
        try:
            for later in range(_NAME_TRIES):
                path = file_name(self._folder, prefix, now + later)
                if not os.path.exists(path):
                    break
            make_folder(os.path.dirname(path))
            crash_point("prepare.file.before_write")
            write_file(path, plan.text)
        except OSError as error:
            raise MediaFailed("ANR6929E", path=path, reason=error.strerror or error) from error
        return path

    def _to_target(self, request: Request, plan: Composed, now: int) -> str:
        for later in range(_NAME_TRIES):
            name = f"{plan.server}.{stamp(now + later)}"
            try:
                return self._to_volume(request, plan, name, now)
            except AlreadyExists:  # another plan of this second
                if later == _NAME_TRIES - 1:
                    raise
        raise AssertionError

    def _to_volume(self, request: Request, plan: Composed, name: str, now: int) -> str:
        storage, type = self._storage, RPFSNAPSHOT if request.snapshot else RPFILE
        with storage.catalog.write(uses_reserve=True) as tx:
            series = volume_history.next_series(tx, type)
        operation = Operation(type, RecordKind.PLAN, series, 0, now, request.command)
        with HistoryWriter(
            storage,
            request.class_name,
            operation,
            wrapped_keyring=plan.wrapped_keyring,
            volume_names=[name],
            scratch=False,
            compressor=Compressor(LEVEL),
        ) as writer:
            try:
                for at in range(0, len(plan.text), _RECORD_BYTES):
                    crash_point("prepare.volume.before_record")
                    writer.put(plan.text[at : at + _RECORD_BYTES])
            except MediaFull as full:
                if full.message.id != "ANR4902E":
                    raise
                capacity = storage.devices.device_class(request.class_name).max_capacity_bytes
                raise MediaFull(
                    "ANR6928E",
                    size=show_size(len(plan.text)),
                    device_class=request.class_name,
                    capacity=show_size(capacity),
                ) from full
            writer.commit()
        crash_point("prepare.volume.after_commit")
        return name


def stamp(seconds: int) -> str:
    """`yyyymmdd.hhmmss` of a plan's name."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y%m%d.%H%M%S")


def file_name(folder: str, prefix: str, seconds: int) -> str:
    """A local plan's path: a prefix that ends in `/` is a folder, any other stands before a period."""
    whole = os.path.join(folder, prefix) if prefix else f"{folder}/"
    return whole + stamp(seconds) if whole.endswith("/") else f"{whole}.{stamp(seconds)}"
