"""Writes the tables of `docs/protocol.md` from the code: `python -m farvault.protocol.document < page > new`.

The verb table, the fields of every message and the sign-on's states stand between markers in the page; the text
around them is written by hand. A test checks that the page is current.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Final

from farvault.base.units import KIB, MIB
from farvault.protocol import beat, messages, truth, virtual_volumes
from farvault.protocol.login_states import CLIENT_STEPS, SERVER_STEPS, State
from farvault.protocol.verbs import VERBS, Verb

_MODULES: Final = (messages, virtual_volumes, truth, beat)
_TYPES: Final = {
    "Natural": "count",
    "Digest": "32 bytes",
    "Nonce": "32 bytes",
    "str": "text",
    "bytes": "bytes",
    "bool": "boolean",
}


def verb_table() -> str:
    """One line a verb."""
    lines = [
        "| number | verb | goes to | body at most | tail at most | before sign-on | in a read-only session |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_verb_line(verb) for verb in VERBS]
    return "\n".join(lines)


def message_fields() -> str:
    """Every message and row with its fields, in the order of the source."""
    numbers = {verb.name: verb.number for verb in VERBS}
    parts = []
    for node in [one for module in _MODULES for one in ast.parse(inspect.getsource(module)).body]:
        if isinstance(node, ast.ClassDef) and node.name not in ("Body", "Row"):
            number = numbers.get(node.name)
            title = f"#### {number} {node.name}" if number else f"#### {node.name} (a row)"
            parts.append("\n".join([title, "", ast.get_docstring(node) or "", "", *_fields(node)]).rstrip())
    return "\n\n".join(parts)


def state_diagram(steps: Mapping[tuple[State, type[messages.Body]], State], start: State) -> str:
    """The steps as a picture; `start` is where a connection begins."""

    def name(state: State) -> str:
        return state.name

    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {name(start)}"]
    lines += [f"    {name(old)} --> {name(new)}: {body.__name__}" for (old, body), new in steps.items()]
    ends = sorted({name(new) for new in steps.values()} - {name(old) for old, _ in steps})
    return "\n".join([*lines, *(f"    {end} --> [*]" for end in ends), "```"])


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "verbs": verb_table,
    "messages": message_fields,
    "client states": lambda: state_diagram(CLIENT_STEPS, State.HELLO_SENT),
    "server states": lambda: state_diagram(SERVER_STEPS, State.AWAITS_HELLO),
}


def refreshed(page: str) -> str:
    """The page with everything between markers written anew. `KeyError` for a marker that nothing belongs to."""

    def write(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- begin {name} -->\n\n{PARTS[name]()}\n\n<!-- end {name} -->"

    return re.sub(r"<!-- begin ([\w ]+) -->\n.*?<!-- end \1 -->", write, page, flags=re.S)


def _verb_line(verb: Verb) -> str:
    cells = (
        str(verb.number),
        verb.name,
        verb.to.value,
        _size(verb.body_max_bytes),
        _size(verb.tail_max_bytes),
        "yes" if verb.before_login else "",
        "refused" if verb.changes else "",
    )
    return f"| {' | '.join(cells)} |"


def _size(size_bytes: int) -> str:
    if not size_bytes:
        return ""
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // KIB} KiB"


def _fields(node: ast.ClassDef) -> list[str]:
    rows: list[list[str]] = []
    for line in node.body:
        if isinstance(line, ast.AnnAssign):
            default = ast.unparse(line.value) if line.value else ""
            rows.append([f"`{ast.unparse(line.target)}`", _type(ast.unparse(line.annotation)), default, ""])
        elif rows and isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            rows[-1][3] = inspect.cleandoc(str(line.value.value))
    if not rows:
        return ["No fields."]
    return ["| field | type | default | |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _type(annotation: str) -> str:
    if inner := re.fullmatch(r"Many\[(\w+)\]", annotation):
        return f"list of {_TYPES.get(inner[1], inner[1])}"
    if optional := re.fullmatch(r"(\w+) \| None", annotation):
        return f"{_TYPES.get(optional[1], optional[1])} or nil"
    return _TYPES.get(annotation, annotation)


if __name__ == "__main__":
    sys.stdout.write(refreshed(sys.stdin.read()))
