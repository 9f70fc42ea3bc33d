"""A device class: how the volumes of a pool are reached. Variants: DISK (predefined), FILE, SERVER."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.base.units import GIB, MIB
from farvault.model.attribute import REQUIRED, Attribute, Choice, Integer, Name, Noun, Size, Text, YesNo
from farvault.model.bandwidth import Bandwidth

DISK = "DISK"
FILE = "FILE"
SERVER = "SERVER"


class DeviceClass(Noun, frozen=True, kw_only=True):
    """DEFINE DEVCLASS. The variant is `device_type`."""

    TABLE: ClassVar[str] = "device_classes"
    TITLE: ClassVar[str] = "device class"

    name: Annotated[
        str,
        Attribute(
            label="Device Class Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the class",
        ),
    ]
    device_type: Annotated[
        str,
        Attribute(
            keyword="DEVType",
            label="Device Type",
            kind=Choice("FILE", "SERVER"),
            default=REQUIRED,
            standard=True,
            update=False,
            help="kind of device",
        ),
    ]
    server_name: Annotated[
        str,
        Attribute(
            keyword="SERVERName",
            label="Server Name",
            kind=Name(64),
            default={SERVER: REQUIRED},
            help="the target: a defined server",
        ),
    ] = ""
    directory: Annotated[
        str,
        Attribute(
            keyword="DIRectory",
            label="Directory",
            kind=Text(1024),
            default={FILE: ""},
            help="folder of the volume files; default: the instance's volumes folder",
        ),
    ] = ""
    max_capacity_bytes: Annotated[
        int,
        Attribute(
            keyword="MAXCAPacity",
            label="Est/Max Capacity",
            kind=Size(MIB),
            default={FILE: 10 * GIB, SERVER: 500 * MIB},
            standard=True,
            help="largest size of one volume",
        ),
    ] = 0
    mount_limit: Annotated[
        int,
        Attribute(
            keyword="MOUNTLimit",
            label="Mount Limit",
            kind=Integer(1, 4096),
            default={FILE: 20, SERVER: 1},
            standard=True,
            help="volumes open at once (SERVER: sessions with the target)",
        ),
    ] = 0
    mount_retention_minutes: Annotated[
        int,
        Attribute(
            keyword="MOUNTRetention",
            label="Mount Retention (min)",
            kind=Integer(0, 9999),
            default={SERVER: 60},
            help="how long an idle session with the target is kept",
        ),
    ] = 0
    prefix: Annotated[
        str,
        Attribute(
            keyword="PREFIX",
            label="Label Prefix",
            kind=Name(8),
            default={SERVER: "ADSM"},
            help="first part of the archive file names at the target",
        ),
    ] = ""
    retry_period_minutes: Annotated[
        int,
        Attribute(
            keyword="RETRYPeriod",
            label="Retry Period (min)",
            kind=Integer(0, 9999),
            default={SERVER: 10},
            help="how long an unreachable target is tried again; 0 = not at all",
        ),
    ] = 0
    retry_interval_seconds: Annotated[
        int,
        Attribute(
            keyword="RETRYInterval",
            label="Retry Interval (sec)",
            kind=Integer(1, 9999),
            default={SERVER: 30},
            help="pause between two tries",
        ),
    ] = 0
    bandwidth: Annotated[
        str,
        Attribute(
            keyword="BANDWidth",
            label="Bandwidth Limit",
            kind=Bandwidth(),
            default={FILE: "", SERVER: ""},
            help="bytes a second that all volumes of the class together may move, by the time of day",
        ),
    ] = ""
    shared: Annotated[
        bool,
        Attribute(
            keyword="SHAREd",
            label="Shared",
            kind=YesNo(),
            default={FILE: False},
            help="accepted; there are no storage agents",
        ),
    ] = False

    @property
    def random_access(self) -> bool:
        return self.device_type == DISK
