"""Writes `docs/catalog.md` from the comments in the migrations: `python -m farvault.catalog.document`.

The SQL is the source: a comment above a table or index describes it, one beside a column describes the column. The
page cannot disagree with the schema, and a test checks that it is current.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field

from farvault.catalog.migrate import migrations

_HEAD = """# The catalog

Written by `python -m farvault.catalog.document` from the comments in `src/farvault/catalog/migrations/`; change
them there.

The catalog is one SQLite database in WAL mode with `synchronous=FULL`. One connection makes every change and every
checkpoint; readers see the state of the moment they began. A transaction that was acknowledged survives a power cut,
one that was not leaves nothing behind.
"""


@dataclass
class _Column:
    name: str
    type: str
    text: str


@dataclass
class _Table:
    name: str
    text: str
    columns: list[_Column] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    indexes: list[tuple[str, str]] = field(default_factory=list)
    clustered: bool = False


def document() -> str:
    """The whole page."""
    parts = [_HEAD]
    for step in migrations():
        preface, tables = _parse(step.sql)
        parts.append(f"## Step {step.number}\n\n{preface}\n")
        parts += [_show(table) for table in tables]
    return "\n".join(parts)


def _parse(sql: str) -> tuple[str, list[_Table]]:
    """The comment that opens the file, and the tables in their order."""
    tables: list[_Table] = []
    comment: list[str] = []
    preface = ""
    current: _Table | None = None
    for line in sql.splitlines():
        if current is not None:
            if line.startswith(")"):
                current.clustered = "WITHOUT ROWID" in line
                current = None
            else:
                _column(current, line)
        elif line.startswith("--"):
            comment.append(line[2:].strip())
        elif made := re.match(r"CREATE TABLE (\w+)", line):
            current = _Table(made[1], " ".join(comment))
            tables.append(current)
            comment = []
        elif made := re.match(r"CREATE (UNIQUE )?INDEX \w+ ON (\w+) (\(.*);", line):
            owner = next(table for table in tables if table.name == made[2])
            owner.indexes.append((f"{made[1] or ''}INDEX {made[3]}", " ".join(comment)))
            comment = []
        elif not line.strip() and comment and not tables and not preface:
            preface, comment = "\n".join(comment), []
    return preface, tables


def _column(table: _Table, line: str) -> None:
    """A column with its comment, a comment that goes on, or a key of the whole table."""
    declaration, _, text = (part.strip() for part in line.partition("--"))
    if not declaration:
        table.columns[-1].text += f" {text}"
    elif re.match(r"(PRIMARY KEY|UNIQUE|CHECK)\b", declaration):
        table.keys.append(declaration.rstrip(","))
    else:
        name, kind = declaration.rstrip(",").split(" ", 1)
        table.columns.append(_Column(name, kind, text))


def _show(table: _Table) -> str:
    lines = [f"### {table.name}", "", table.text, "", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {one.type} | {one.text} |" for one in table.columns]
    notes = [*table.keys, *(["clustered by its primary key"] if table.clustered else [])]
    lines += ["", *(f"* {note}" for note in notes)]
    lines += [f"* {index}: {text}" for index, text in table.indexes]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
