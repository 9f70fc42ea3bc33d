"""`docs/commands.md`, drawn from the command table: `python -m farvault.admin.manual`. A test keeps the page current."""

from __future__ import annotations

import sys

from farvault.admin.command import Command
from farvault.admin.help import explain
from farvault.admin.registry import all_commands

_HEAD = """# Administrative commands

Drawn from the command table by `python -m farvault.admin.manual`; do not edit.

## How commands are written

* Capital letters are the shortest form of a word; any longer beginning will do. Case never matters in command words,
  keywords and choices. Names of objects are stored in upper case; paths, texts and passwords stay as typed.
* Values without a keyword come first, in the order shown. `KEYword=value` pairs follow in any order, without blanks
  around `=`. Brackets mark what may be left out.
* A value that holds blanks, commas or `=` stands in `"..."` or `'...'`; inside, that quote is doubled. `""` is the empty
  value. Lists are divided by commas, without blanks.
* `*` stands for any run of characters in a pattern, `?` for one.
* A line that ends in `-` or `\\` goes on with the next one, and so does a command whose next line is indented and begins
  with `KEYWORD=`. `/* ... */` is a comment.
* Sizes take K, M, G or T, powers of 1024.
* Return codes: 0 done, 2 unknown command, 3 syntax, 4 error, 8 no space, 9 not authorized, 10 exists already, 11 not
  found or no match, 12 in use, 13 still referenced, 14 not available (in this version, or now), 15 input/output error.
"""


def commands_page() -> str:
    """The whole page as Markdown."""
    commands = all_commands()
    index = "\n".join(f"* [{command.name}](#{_anchor(command)}): {command.help}" for command in commands)
    return "\n".join([_HEAD, "## All commands\n", index, "", *(_section(command) for command in commands)])


def _anchor(command: Command) -> str:
    return command.name.lower().replace(" ", "-")


def _section(command: Command) -> str:
    lines = [f"## {command.name}", "", command.help, "", f"`{command.syntax}`", ""]
    if command.parameters:
        lines += ["| parameter | meaning |", "|---|---|"]
        for parameter in command.parameters:
            shown = f"`{parameter.keyword}=`" if parameter.keyword else parameter.name
            lines.append(f"| {shown} | {explain(parameter).replace('|', chr(92) + '|')} |")
        lines.append("")
    lines += [f"Authority: {command.rule.describe()}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(commands_page())
