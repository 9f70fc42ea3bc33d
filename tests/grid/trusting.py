"""TOKYO with a clock that tests move, and sources that talk to it as servers do: for tests of trust and of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.grid.grid_server import GridServer
from tests.grid.vaults import Source, make_target, sealed_record

from farvault.apps.server import Server
from farvault.base.clock import ManualClock
from farvault.base.log import Log
from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.media.interface import Span
from farvault.media.target import DefinedTarget, TargetDefinition, TargetSession
from farvault.model.node import Node
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v

DAY = 86_400
START = 1_800_000_000
CAPACITY = 64 << 20


class WrongClock(ManualClock):
    """`advance` lets time pass; `jump` only changes what the clock shows."""

    error_seconds = 0

    def now_seconds(self) -> int:
        return super().now_seconds() + self.error_seconds

    def jump(self, seconds: int) -> None:
        self.error_seconds += seconds


class Tokyo:
    """A target whose days pass when we say so."""

    def __init__(self, folder: Path, *nodes: str) -> None:
        self.clock = WrongClock(START)
        self.server = GridServer("TOKYO", str(folder), change=self._take_clock)
        self.server.start()
        self.admin("setopt expinterval 0")
        make_target(self.server, *(nodes or ("DELHI", "OSAKA")))

    def _take_clock(self, server: Server) -> None:
        server.clock, server.log = self.clock, Log(self.clock)

    def admin(self, command: str, *allow: int) -> str:
        return self.server.admin(command, allow=allow or (0,)).text

    def pass_days(self, days: float) -> None:
        """Time passes, and what a server does by itself is done."""
        self.clock.advance(days * DAY)
        self.server.server.housekeeping.do_everything()

    def source(self, node: str = "DELHI", **values: object) -> Source:
        return Source(self.server.port, node_name=node, **values)  # type: ignore[arg-type]

    def segments(self, node: str = "DELHI") -> list[rows.SegmentRow]:
        with self.server.server.catalog.read() as r:
            return rows.list_volumes(r, nouns.get(r, Node, node).id)

    def names(self, node: str = "DELHI", *, marked: bool | None = None) -> list[str]:
        """Volumes with complete segments; `marked`: only those, or only the others."""
        found = [one for one in self.segments(node) if marked is None or bool(one.marked_time) is marked]
        return list(dict.fromkeys(one.volume for one in found))


def write(source: Source, name: str, *seeds: int, at: int = 0, **device: object) -> list[tuple[Span, bytes]]:
    """A volume with these records, committed; through a device class of its own."""
    made = source.device(retry_period_minutes=0, **device)
    try:
        writer = made.open_writer(name, at, CAPACITY)
        try:
            placed = []
            for seed in seeds:
                record, digest = sealed_record(seed)
                placed.append((Span(writer.append(record, digest), record.nbytes), digest))
            writer.commit()
            return placed
        finally:
            writer.close()
    finally:
        made.close()


def read(source: Source, name: str, spans: Sequence[Span]) -> list[bytes | None]:
    made = source.device(retry_period_minutes=0)
    try:
        reader = made.open_reader(name)
        try:
            return [None if one is None else bytes(one) for one in reader.read_many(spans)]
        finally:
            reader.close()
    finally:
        made.close()


def mark(session: TargetSession, volume: str, grace_days: int = 0) -> None:
    """What a source sends to delete a volume; raises the target's refusal."""
    session.connection.call(v.MarkVolume(volume=volume, grace_days=grace_days), m.Done)


def of_epoch(source: Source, epoch: int) -> DefinedTarget:
    """The same source after RESTORE DB."""

    def definition() -> TargetDefinition:
        given = source.definition()
        values = {field: getattr(given, field) for field in TargetDefinition.__dataclass_fields__}
        return TargetDefinition(**{**values, "epoch": epoch})

    return DefinedTarget(
        "TOKYO", definition, source.identity, pinned=source._pin, code_registered=source._registered
    )
