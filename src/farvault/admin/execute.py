"""One administrative command line, from text to answers. Every way in (session, console, script, web) calls this."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.instance import Instance
from farvault.protocol.messages import Body, CommandEnd

CONSOLE = "SERVER_CONSOLE"
"""The built-in administrator of the console: system privilege, no row in the catalog."""


def execute(
    instance: Instance,
    administrator: str,
    text: str,
    *,
    style: str = "",
    width: int = 80,
    confirmed: bool = False,
    session: int = 0,
) -> Iterator[Body]:
    """Run `text` for the administrator of this name; his authority is read anew for every command.

    Yields `Output` bodies as they come, then exactly one `Question` (risky and not `confirmed`) or `CommandEnd`.
    Raises nothing: errors become output and a return code. `style`: TABLE, LIST, COMMA, TAB, JSON or empty.
    `width`: columns of the terminal, 0 = unlimited. `session`: number of the calling session, 0 = none.
    """
    yield CommandEnd(return_code=0)
