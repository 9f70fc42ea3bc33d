"""A hold: a reason to keep objects whatever policy says, and the rules that say which objects."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Name, Noun, Text


class Hold(Noun, frozen=True, kw_only=True):
    """DEFINE HOLD. It holds nothing until HOLD OBJECT names objects."""

    TABLE: ClassVar[str] = "holds"
    TITLE: ClassVar[str] = "hold"

    name: Annotated[
        str,
        Attribute(
            label="Hold Name",
            kind=Name(64),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the hold",
        ),
    ]
    reason: Annotated[
        str,
        Attribute(keyword="REAson", label="Reason", kind=Text(), default="", standard=True, help="why"),
    ] = ""
    defined_time: int = 0
    defined_by: str = ""


class HoldRule(Noun, frozen=True, kw_only=True):
    """HOLD OBJECT (`holds`) or RELEASE OBJECT. Of the rules of one hold that match an object the last one decides."""

    TABLE: ClassVar[str] = "hold_rules"
    TITLE: ClassVar[str] = "hold rule"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    hold_id: int
    node_id: int
    file_space_id: int | None = None
    pattern: str = "*"
    kind: int = 0
    from_time: int | None = None
    to_time: int | None = None
    holds: bool = True
    created_time: int = 0
    created_by: str = ""
