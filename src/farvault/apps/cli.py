"""`farvault`: one program, TSM's programs as subcommands. Each is imported only when it is asked for, so start-up is fast.

`farvault client` must never pay for the server's modules: a client may run every few minutes on a small machine.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click

from farvault import __version__


class _Place(NamedTuple):
    """Where a subcommand lives, and its line in `farvault --help` (so help imports nothing)."""

    module: str
    attribute: str
    summary: str


_COMMANDS = {
    "server": _Place("farvault.apps.server_commands", "server", "Make and run a server (dsmserv)."),
    "admin": _Place("farvault.apps.admin_terminal", "admin", "Administrative command line (dsmadmc)."),
    "client": _Place("farvault.apps.client", "client", "Back up, archive, restore, retrieve (dsmc)."),
    "recover": _Place(
        "farvault.apps.recover_command", "recover", "Make a lost server anew from its partner."
    ),
    "volume": _Place("farvault.apps.volume_commands", "volume", "Check volume files without the catalog."),
    "demo": _Place("farvault.apps.demo", "demo", "Two servers on this machine, from set-up to rebuild."),
}


class _LateCommands(click.Group):
    """A group that imports the chosen subcommand's module and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = getattr(importlib.import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in _COMMANDS.items()])


@click.group(cls=_LateCommands, context_settings={"help_option_names": ["-h", "-?", "--help"]})
@click.version_option(__version__, prog_name="farvault")
def main() -> None:
    """A backup server that keeps its data on another backup server."""
