"""A collocation group: nodes whose data shares volumes where a pool says COLLOCATE=GROUP; and its members."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Name, Noun, Text


class CollocationGroup(Noun, frozen=True, kw_only=True):
    """DEFINE COLLOCGROUP. It has no members before DEFINE COLLOCMEMBER."""

    TABLE: ClassVar[str] = "collocation_groups"
    TITLE: ClassVar[str] = "collocation group"

    name: Annotated[
        str,
        Attribute(
            label="Collocation Group Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the group",
        ),
    ]
    description: Annotated[
        str,
        Attribute(
            keyword="DESCription",
            label="Collocation Group Description",
            kind=Text(),
            default="",
            standard=True,
            help="free text",
        ),
    ] = ""


class CollocationMember(Noun, frozen=True, kw_only=True):
    """DEFINE COLLOCMEMBER: one node of a group. A node belongs to one group at most."""

    TABLE: ClassVar[str] = "collocation_members"
    TITLE: ClassVar[str] = "collocation member"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    group_id: int
    node_id: int
