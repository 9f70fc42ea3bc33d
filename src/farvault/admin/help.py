"""Help texts, drawn from the declarations: what HELP prints, and what the manual page is made of."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from farvault.admin.command import Command, Parameter

_WIDTH = 78


def overview(commands: Sequence[Command]) -> str:
    """All commands by verb."""
    verbs: dict[str, list[str]] = {}
    for command in commands:
        verbs.setdefault(command.words[0], []).append(" ".join(command.words[1:]))
    widest = max(len(verb) for verb in verbs)
    lines = [
        "Commands; capitals are the shortest form. HELP DEFINE STGPOOL explains one, HELP ANR2034E a message.",
        "",
    ]
    for verb, nouns in sorted(verbs.items(), key=lambda item: item[0].upper()):
        text = ", ".join(noun for noun in nouns if noun)
        lines += textwrap.wrap(
            f"{verb.ljust(widest)}  {text}".rstrip(), _WIDTH, subsequent_indent=" " * (widest + 2)
        )
    return "\n".join(lines)


def page(command: Command) -> str:
    """One command in full."""
    lines = [command.name, "", *textwrap.wrap(command.help, _WIDTH), ""]
    lines += textwrap.wrap(command.syntax, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    if command.parameters:
        lines.append("")
    for parameter in command.parameters:
        lines.append(f"  {parameter.keyword + '=' if parameter.keyword else parameter.name}")
        lines += textwrap.wrap(
            explain(parameter), _WIDTH, initial_indent="      ", subsequent_indent="      "
        )
    lines += ["", f"Authority: {command.rule.describe()}."]
    return "\n".join(lines)


def explain(parameter: Parameter) -> str:
    """What it means, what may be typed, and its default."""
    parts = [parameter.help, parameter.kind.describe()]
    if parameter.required:
        parts.append("required")
    elif parameter.default is not None and not parameter.secret:
        shown = parameter.kind.show(parameter.default)
        parts.append(f"default {shown or 'empty'}")
    if parameter.only is not None:
        parts.append(f"this version: only {parameter.kind.show(parameter.only)}")
    return "; ".join(parts)
