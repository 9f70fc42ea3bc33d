"""A storage pool. Variants: RANDOM (primary on DISK), SEQUENTIAL (primary), COPY."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import (
    REQUIRED,
    Attribute,
    Choice,
    Integer,
    Name,
    Names,
    Noun,
    Size,
    Text,
    YesNo,
)

RANDOM = "RANDOM"
SEQUENTIAL = "SEQUENTIAL"
COPY = "COPY"


class StoragePool(Noun, frozen=True, kw_only=True):
    """DEFINE STGPOOL. `variant` follows from POOLTYPE and the device class and never changes."""

    TABLE: ClassVar[str] = "storage_pools"
    TITLE: ClassVar[str] = "storage pool"

    name: Annotated[
        str,
        Attribute(
            label="Storage Pool Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the pool",
        ),
    ]
    device_class: Annotated[
        str,
        Attribute(
            label="Device Class Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="class its volumes are reached by",
        ),
    ]
    pool_type: Annotated[
        str,
        Attribute(
            keyword="POoltype",
            label="Storage Pool Type",
            kind=Choice("PRimary", "COpy"),
            default="PRIMARY",
            update=False,
            help="primary or copy",
        ),
    ] = "PRIMARY"
    variant: str
    description: Annotated[
        str, Attribute(keyword="DESCription", label="Description", kind=Text(), default="", help="free text")
    ] = ""
    access: Annotated[
        str,
        Attribute(
            keyword="ACCess",
            label="Access",
            kind=Choice("READWrite", "READOnly", "UNAVailable"),
            default="READWRITE",
            help="what clients and processes may do",
        ),
    ] = "READWRITE"
    high_migration_percent: Annotated[
        int,
        Attribute(
            keyword="HIghmig",
            label="High Mig Pct",
            kind=Integer(0, 100),
            default={RANDOM: 90, SEQUENTIAL: 90},
            standard=True,
            help="migration starts at this occupancy",
        ),
    ] = 0
    low_migration_percent: Annotated[
        int,
        Attribute(
            keyword="LOwmig",
            label="Low Mig Pct",
            kind=Integer(0, 99),
            default={RANDOM: 70, SEQUENTIAL: 70},
            standard=True,
            help="migration stops at this occupancy",
        ),
    ] = 0
    next_pool: Annotated[
        str,
        Attribute(
            keyword="NEXTstgpool",
            label="Next Storage Pool",
            kind=Name(30),
            default={RANDOM: "", SEQUENTIAL: ""},
            standard=True,
            help="where data goes when this pool is full or migrates",
        ),
    ] = ""
    max_size_bytes: Annotated[
        int | None,
        Attribute(
            keyword="MAXSIze",
            label="Maximum Size Threshold",
            kind=Size(1, nolimit=True),
            default={RANDOM: None, SEQUENTIAL: None},
            help="larger files go to the next pool",
        ),
    ] = None
    crc_data: Annotated[
        bool,
        Attribute(
            keyword="CRCData",
            label="CRC Data",
            kind=YesNo(),
            default=False,
            help="accepted; every record always carries a digest",
        ),
    ] = False
    cache: Annotated[
        bool,
        Attribute(
            keyword="CAChe",
            label="Cache Migrated Files?",
            kind=YesNo(),
            default={RANDOM: False},
            help="keep migrated data until the space is needed",
        ),
    ] = False
    migration_processes: Annotated[
        int,
        Attribute(
            keyword="MIGPRocess",
            label="Migration Processes",
            kind=Integer(1, 999),
            default={RANDOM: 1, SEQUENTIAL: 1},
            help="parallel migration processes",
        ),
    ] = 1
    migration_delay_days: Annotated[
        int,
        Attribute(
            keyword="MIGDelay",
            label="Migration Delay",
            kind=Integer(0, 9999),
            default={RANDOM: 0, SEQUENTIAL: 0},
            help="days data stays before it may migrate",
        ),
    ] = 0
    migration_continue: Annotated[
        bool,
        Attribute(
            keyword="MIGContinue",
            label="Migration Continue",
            kind=YesNo(),
            default={RANDOM: True, SEQUENTIAL: True},
            help="migrate younger data where the delay would stop migration",
        ),
    ] = True
    auto_copy: Annotated[
        str,
        Attribute(
            keyword="AUTOCopy",
            label="Auto-copy Mode",
            kind=Choice("None", "CLient", "MIGRation", "All"),
            default={RANDOM: "CLIENT", SEQUENTIAL: "CLIENT"},
            help="when simultaneous write happens",
        ),
    ] = "CLIENT"
    copy_pools: Annotated[
        tuple[str, ...],
        Attribute(
            keyword="COPYSTGpools",
            label="Copy Storage Pool(s)",
            kind=Names(30, 3),
            default={RANDOM: (), SEQUENTIAL: ()},
            help="copy pools written at the same time",
        ),
    ] = ()
    copy_continue: Annotated[
        bool,
        Attribute(
            keyword="COPYContinue",
            label="Continue Copy on Error?",
            kind=YesNo(),
            default={RANDOM: True, SEQUENTIAL: True},
            help="go on when a copy pool fails during simultaneous write",
        ),
    ] = True
    reclaim_percent: Annotated[
        int,
        Attribute(
            keyword="REClaim",
            label="Reclamation Threshold",
            kind=Integer(1, 100),
            default={SEQUENTIAL: 60, COPY: 100},
            help="a volume with this much dead space is reclaimed; 100 = never by itself",
        ),
    ] = 100
    reclaim_processes: Annotated[
        int,
        Attribute(
            keyword="RECLAIMPRocess",
            label="Reclamation Processes",
            kind=Integer(1, 999),
            default={SEQUENTIAL: 1, COPY: 1},
            help="parallel reclamation processes",
        ),
    ] = 1
    reclaim_pool: Annotated[
        str,
        Attribute(
            keyword="RECLAIMSTGpool",
            label="Reclaim Storage Pool",
            kind=Name(30),
            default={SEQUENTIAL: ""},
            help="where reclaimed data goes",
        ),
    ] = ""
    offsite_reclaim_limit: Annotated[
        int | None,
        Attribute(
            keyword="OFFSITERECLAIMLimit",
            label="Offsite Reclamation Limit",
            kind=Integer(0, 99999, nolimit=True),
            default={COPY: None},
            help="offsite volumes reclaimed in one run",
        ),
    ] = None
    collocate: Annotated[
        str,
        Attribute(
            keyword="COLlocate",
            label="Collocate?",
            kind=Choice("No", "GRoup", "NODe", "FIlespace"),
            default={SEQUENTIAL: "GROUP", COPY: "NO"},
            help="whose data shares volumes",
        ),
    ] = "NO"
    max_scratch: Annotated[
        int,
        Attribute(
            keyword="MAXSCRatch",
            label="Maximum Scratch Volumes Allowed",
            kind=Integer(0, 100_000_000),
            default={SEQUENTIAL: REQUIRED, COPY: REQUIRED},
            help="volumes the pool may make by itself",
        ),
    ] = 0
    reuse_delay_days: Annotated[
        int,
        Attribute(
            keyword="REUsedelay",
            label="Delay Period for Volume Reuse",
            kind=Integer(0, 9999),
            default={SEQUENTIAL: 0, COPY: 0},
            help="days an emptied volume stays PENDING",
        ),
    ] = 0
    overflow_location: Annotated[
        str,
        Attribute(
            keyword="OVFLOcation",
            label="Overflow Location",
            kind=Text(),
            default={SEQUENTIAL: "", COPY: ""},
            help="free text",
        ),
    ] = ""
    updated_time: int = 0
    updated_by: str = ""

    @property
    def is_copy(self) -> bool:
        return self.variant == COPY

    @property
    def is_random(self) -> bool:
        return self.variant == RANDOM
