"""When a database backup starts by itself: the recovery log fills, or the last backup is too old."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import Attribute, Integer, Name, Noun, Text


class DatabaseBackupTrigger(Noun, frozen=True, kw_only=True):
    """DEFINE DBBACKUPTRIGGER. There is one at most."""

    TABLE: ClassVar[str] = "database_backup_trigger"
    TITLE: ClassVar[str] = "database backup trigger"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    device_class: Annotated[
        str,
        Attribute(
            keyword="DEVclass",
            label="Full Device Class",
            kind=Name(30),
            default="",
            standard=True,
            help="device class of full backups; default: that of SET DBRECOVERY",
        ),
    ] = ""
    log_full_percent: Annotated[
        int,
        Attribute(
            keyword="LOGFullpct",
            label="Log Full Percentage",
            kind=Integer(1, 99),
            default=50,
            standard=True,
            help="a backup starts when more of the recovery log is used, and in any case when it is full",
        ),
    ] = 50
    incremental_device_class: Annotated[
        str,
        Attribute(
            keyword="INCRDEVclass",
            label="Incremental Device Class",
            kind=Name(30),
            default="",
            standard=True,
            help="device class of incremental backups; default: that of full ones",
        ),
    ] = ""
    incrementals: Annotated[
        int,
        Attribute(
            keyword="NUMINCremental",
            label="Incrementals Between Fulls",
            kind=Integer(0, 32),
            default=6,
            standard=True,
            help="incremental backups between two full ones; 0 = always full",
        ),
    ] = 6
    minimum_interval_minutes: Annotated[
        int,
        Attribute(
            keyword="MININTerval",
            label="Minimum Backup Interval (minutes)",
            kind=Integer(0, 9999),
            default=0,
            help="least minutes since the last backup",
        ),
    ] = 0
    minimum_log_free_percent: Annotated[
        int,
        Attribute(
            keyword="MINLOGFree",
            label="Minimum Log Percentage Freed",
            kind=Integer(0, 99),
            default=0,
            help="only where it would free so much of the recovery log",
        ),
    ] = 0
    maximum_age_hours: Annotated[
        int,
        Attribute(
            keyword="MAXAGE",
            label="Maximum Backup Age (hours)",
            kind=Integer(0, 9999),
            default=0,
            help="also when the last backup is older, whatever LOGMODE is; 0 = never",
        ),
    ] = 0
    updated_time: int = 0
    updated_by: Annotated[str, Attribute(label="Last Update by", kind=Text(), help="by whom")] = ""
