"""`farvault client`: the backup-archive client. Its grammar is TSM's, so the words go to it as they were typed."""

from __future__ import annotations

import gc
import sys

import click


def main(arguments: list[str]) -> int:
    """Run one command line; the return code is 0, 4, 8 or 12."""
    from farvault.client.commands import run

    gc.set_threshold(100_000, 50, 100)  # hundreds of thousands of live rows, hardly a cycle among them
    return run(arguments)


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def client(words: tuple[str, ...]) -> None:
    """Back up, archive, restore, retrieve (dsmc): `farvault client help`."""
    sys.exit(main(list(words)))
