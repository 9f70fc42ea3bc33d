"""A volume: a place for records inside a pool."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Choice, Noun, Size, Text, YesNo

ONLINE, OFFLINE = "ONLINE", "OFFLINE"
EMPTY, FILLING, FULL, PENDING = "EMPTY", "FILLING", "FULL", "PENDING"
READWRITE, READONLY, UNAVAILABLE, DESTROYED, OFFSITE = (
    "READWRITE",
    "READONLY",
    "UNAVAILABLE",
    "DESTROYED",
    "OFFSITE",
)


class Volume(Noun, frozen=True, kw_only=True):
    """`written_bytes` is the append position (sequential) or 0 (random); what placements cover lies below it."""

    TABLE: ClassVar[str] = "volumes"
    TITLE: ClassVar[str] = "volume"

    name: Annotated[
        str,
        Attribute(
            label="Volume Name",
            kind=Text(1024),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="file path, or name at the target",
        ),
    ]
    pool_id: int
    scratch: Annotated[
        bool,
        Attribute(
            label="Scratch Volume?",
            kind=YesNo(),
            default=False,
            help="made by the pool itself, and removed when empty",
        ),
    ] = False
    access: Annotated[
        str,
        Attribute(
            keyword="ACCess",
            label="Access",
            kind=Choice("READWrite", "READOnly", "UNAVailable", "DEStroyed", "OFfsite"),
            default=READWRITE,
            help="what may be done with it",
        ),
    ] = READWRITE
    status: Annotated[
        str,
        Attribute(
            label="Volume Status",
            kind=Choice(ONLINE, OFFLINE, EMPTY, PENDING, FILLING, FULL),
            default=EMPTY,
            standard=True,
            help="where it stands in its life",
        ),
    ] = EMPTY
    capacity_bytes: Annotated[
        int,
        Attribute(
            label="Estimated Capacity", kind=Size(0), default=0, standard=True, help="how much it can hold"
        ),
    ] = 0
    written_bytes: int = 0
    location: Annotated[
        str, Attribute(keyword="LOcation", label="Volume Location", kind=Text(), default="", help="free text")
    ] = ""
    read_errors: int = 0
    write_errors: int = 0
    mounts: int = 0
    write_pass: int = 0
    created_time: int = 0
    last_read_time: int = 0
    last_written_time: int = 0
    pending_time: int | None = None
    receipt: bytes = b""
    updated_time: int = 0
    updated_by: str = ""

    @property
    def status_now(self) -> str:
        """Its status as people see it: a random-access volume that its access keeps out of use is off-line."""
        is_out_of_use = self.status == ONLINE and self.access in (UNAVAILABLE, DESTROYED)
        return OFFLINE if is_out_of_use else self.status
