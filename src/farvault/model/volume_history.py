"""A row of the volume history: a volume outside of pools, or an event in the life of a sequential pool volume."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from farvault.model.attribute import Attribute, Integer, Name, Noun, Size, Text

BACKUPFULL: Final = "BACKUPFULL"
BACKUPINCR: Final = "BACKUPINCR"
DBSNAPSHOT: Final = "DBSNAPSHOT"
EXPORT: Final = "EXPORT"
RPFILE: Final = "RPFILE"
RPFSNAPSHOT: Final = "RPFSNAPSHOT"
STGNEW: Final = "STGNEW"
STGREUSE: Final = "STGREUSE"
STGDELETE: Final = "STGDELETE"

SERIES_TYPES: Final = (BACKUPFULL, BACKUPINCR)
"""Types whose rows form one series: a full backup with its incremental ones."""
OWN_VOLUME: Final = (BACKUPFULL, BACKUPINCR, DBSNAPSHOT, EXPORT, RPFILE, RPFSNAPSHOT)
"""Types whose volume belongs to the row and goes with it."""

QUERY_TYPES: Final = {
    "ALL": (*OWN_VOLUME, STGNEW, STGREUSE, STGDELETE),
    "DBBACKUP": SERIES_TYPES,
    "DBSNAPSHOT": (DBSNAPSHOT,),
    "DBRPF": (*SERIES_TYPES, RPFILE, RPFSNAPSHOT),
    "EXPORT": (EXPORT,),
    "RPFILE": (RPFILE,),
    "RPFSNAPSHOT": (RPFSNAPSHOT,),
    "STGNEW": (STGNEW,),
    "STGREUSE": (STGREUSE,),
    "STGDELETE": (STGDELETE,),
    "DBDUMP": (),
    "BACKUPSET": (),
    "REMOTE": (),
}
"""What TYPE= of the commands stands for. The last ones are TSM's; no entry here is of them."""


class HistoryVolume(Noun, frozen=True, kw_only=True):
    """One row. Volumes of one operation share time, type, series and operation."""

    TABLE: ClassVar[str] = "volume_history"
    TITLE: ClassVar[str] = "volume history entry"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    time: int
    type: Annotated[str, Attribute(label="Volume Type", kind=Name(), standard=True, help="kind of entry")]
    series: Annotated[int, Attribute(label="Backup Series", kind=Integer(), help="number of the series")] = 0
    operation: Annotated[
        int, Attribute(label="Backup Operation", kind=Integer(), help="within the series")
    ] = 0
    sequence: Annotated[int, Attribute(label="Volume Seq", kind=Integer(), help="within the operation")] = 0
    device_class: Annotated[str, Attribute(label="Device Class", kind=Name(), help="device class")] = ""
    volume: Annotated[str, Attribute(label="Volume Name", kind=Text(1024), help="name of the volume")] = ""
    location: Annotated[str, Attribute(label="Volume Location", kind=Text(), help="where it is kept")] = ""
    command: Annotated[str, Attribute(label="Command", kind=Text(2000), help="what made it")] = ""
    scratch: bool = True
    complete: bool = True
    records: Annotated[int, Attribute(label="Records", kind=Integer(), help="records on it")] = 0
    stored_bytes: Annotated[
        int, Attribute(label="Stored Bytes", kind=Size(0), help="length of the volume")
    ] = 0
    end_bytes: int = 0
    digest: bytes = b""
    receipt: bytes = b""
    contents: bytes = b""
    epoch: Annotated[int, Attribute(label="Catalog Epoch", kind=Integer(), help="epoch of the catalog")] = 1
    verified_time: int = 0
    missed_time: int = 0

    @property
    def has_own_volume(self) -> bool:
        return self.type in OWN_VOLUME

    @property
    def described(self) -> str:
        """What it is to a person: `full database backup, series 3, operation 0`."""
        operation = f", operation {self.operation}" if self.type in SERIES_TYPES else ""
        return f"{_DESCRIBED.get(self.type, self.type)}, series {self.series}{operation}"


_DESCRIBED: Final = {
    BACKUPFULL: "full database backup",
    BACKUPINCR: "incremental database backup",
    DBSNAPSHOT: "database snapshot",
    EXPORT: "export",
    RPFILE: "recovery plan",
    RPFSNAPSHOT: "recovery plan of a snapshot",
}
