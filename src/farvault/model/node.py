"""A node: a client known to this server, or (TYPE=SERVER) a source that keeps virtual volumes here."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Choice, Integer, Name, Noun, Text, YesNo


class Node(Noun, frozen=True, kw_only=True):
    """REGISTER NODE. `password_verifier` is the SCRAM verifier (salt, iterations, stored key, server key)."""

    TABLE: ClassVar[str] = "nodes"
    TITLE: ClassVar[str] = "node"

    name: Annotated[
        str,
        Attribute(
            label="Node Name",
            kind=Name(64),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the node",
        ),
    ]
    platform: Annotated[
        str,
        Attribute(
            label="Platform",
            kind=Text(),
            default="",
            standard=True,
            help="as the client told at its last sign-on",
        ),
    ] = ""
    domain: Annotated[
        str,
        Attribute(
            keyword="DOmain",
            label="Policy Domain Name",
            kind=Name(30),
            default="STANDARD",
            standard=True,
            help="policy domain it belongs to",
        ),
    ] = "STANDARD"
    last_access_time: int = 0
    password_set_time: int = 0
    locked: Annotated[
        bool,
        Attribute(
            label="Locked?", kind=YesNo(), default=False, standard=True, help="a locked node cannot sign on"
        ),
    ] = False
    contact: Annotated[
        str, Attribute(keyword="CONtact", label="Contact", kind=Text(), default="", help="who looks after it")
    ] = ""
    compression: Annotated[
        str,
        Attribute(
            keyword="COMPression",
            label="Compression",
            kind=Choice("Client", "Yes", "No"),
            default="CLIENT",
            help="who decides about compression",
        ),
    ] = "CLIENT"
    archive_delete: Annotated[
        bool,
        Attribute(
            keyword="ARCHDELete",
            label="Archive Delete Allowed?",
            kind=YesNo(),
            default=True,
            help="may the node delete its archive copies",
        ),
    ] = True
    backup_delete: Annotated[
        bool,
        Attribute(
            keyword="BACKDELete",
            label="Backup Delete Allowed?",
            kind=YesNo(),
            default=False,
            help="may the node delete its backup copies",
        ),
    ] = False
    type: Annotated[
        str,
        Attribute(
            keyword="Type",
            label="Node Type",
            kind=Choice("Client", "Server"),
            default="CLIENT",
            update=False,
            help="SERVER = a source of virtual volumes",
        ),
    ] = "CLIENT"
    url: Annotated[
        str, Attribute(keyword="URL", label="URL", kind=Text(), default="", help="address of its web pages")
    ] = ""
    email: Annotated[
        str,
        Attribute(
            keyword="EMAILADdress", label="Email Address", kind=Text(), default="", help="whom to write to"
        ),
    ] = ""
    keep_mount_point: Annotated[
        bool,
        Attribute(
            keyword="KEEPMP",
            label="Keep Mount Point?",
            kind=YesNo(),
            default=False,
            help="keep mount points from one transaction to the next, until the session ends",
        ),
    ] = False
    max_mount_points: Annotated[
        int,
        Attribute(
            keyword="MAXNUMMP",
            label="Maximum Mount Points Allowed",
            kind=Integer(0, 999),
            default=20,
            help="mount points it may use at once while it stores; 0 = it may not store on sequential volumes",
        ),
    ] = 20
    validate_protocol: Annotated[
        str,
        Attribute(
            keyword="VALIdateprotocol",
            label="Validate Protocol",
            kind=Choice("No", "Dataonly", "All"),
            default="NO",
            help="accepted; every frame is always validated",
        ),
    ] = "NO"
    transaction_group_max: Annotated[
        int,
        Attribute(
            keyword="TXNGroupmax",
            label="Transaction Group Max",
            kind=Integer(0, 65000),
            default=0,
            help="objects in one transaction; 0 = the server's value",
        ),
    ] = 0
    password_verifier: str = ""
    verification_public_key: bytes = b""
    identity_public_key: bytes = b""
    registered_time: int = 0
    registering_administrator: str = ""
    total_bytes_received: int = 0
    total_bytes_sent: int = 0

    @property
    def is_source(self) -> bool:
        """A server whose virtual volumes are kept here."""
        return self.type == "SERVER"
