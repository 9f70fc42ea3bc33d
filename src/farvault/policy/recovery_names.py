"""What a virtual volume is, told by its name: all there is to go by when the catalog is gone. Pure."""

from __future__ import annotations

import re
from typing import Final

_PLAN: Final = re.compile(r".+\.\d{8}\.\d{6}")
_DATABASE: Final = re.compile(r".+\.(DBB|DSS)\.\d+")


def is_plan(name: str) -> bool:
    """`DELHI.20261126.070734`."""
    return _PLAN.fullmatch(name) is not None


def is_database(name: str) -> bool:
    """`DELHI.DBB.12`, `DELHI.DSS.3`: names that backups make themselves."""
    return _DATABASE.fullmatch(name) is not None


def plan_stamp(name: str) -> str:
    """What plans are ordered by: `20261126.070734`."""
    return name[-len("yyyymmdd.hhmmss") :]
