"""A file space: one file system (or virtual mount point) of a node; `ADSM.SERVER` holds virtual volumes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Integer, Noun, Text

VAULT_FILE_SPACE = "ADSM.SERVER"


class FileSpace(Noun, frozen=True, kw_only=True):
    """Registered by the client on first use. `number` is the FSID, unique within the node."""

    TABLE: ClassVar[str] = "file_spaces"
    TITLE: ClassVar[str] = "file space"
    KEY: ClassVar[tuple[str, ...]] = ("node_id", "name")

    node_id: int
    name: Annotated[
        str,
        Attribute(
            label="Filespace Name",
            kind=Text(1024),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="mount point",
        ),
    ]
    number: Annotated[
        int,
        Attribute(
            label="FSID",
            kind=Integer(1),
            default=REQUIRED,
            standard=True,
            help="number of the file space within its node",
        ),
    ]
    platform: Annotated[
        str, Attribute(label="Platform", kind=Text(), default="", standard=True, help="as the client told")
    ] = ""
    type: Annotated[
        str,
        Attribute(
            label="Filespace Type",
            kind=Text(),
            default="",
            standard=True,
            help="file system type: EXT4, XFS, ...",
        ),
    ] = ""
    capacity_bytes: int = 0
    occupied_bytes: int = 0
    backup_start_time: int | None = None
    backup_end_time: int | None = None
