"""Every message the source says is in the catalogue, with the values it needs; every row is said somewhere."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.base.messages import catalogue

SOURCE = Path(__file__).parents[2] / "src" / "farvault"
ID = re.compile(r"^(ANR|ANS)\d{4}[IWESD]$")


def _files() -> Iterator[Path]:
    return (path for path in SOURCE.rglob("*.py") if "messages" not in path.parts)


def _uses() -> Iterator[tuple[Path, int, str, ast.Call | None]]:
    """(file, line, id, the call it is the first argument of, if any) for every id in the source."""
    for path in _files():
        tree = ast.parse(path.read_text())
        first_arguments = {id(c.args[0]): c for c in ast.walk(tree) if isinstance(c, ast.Call) and c.args}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ID.match(node.value):
                yield path, node.lineno, node.value, first_arguments.get(id(node))


def _needs(text: str) -> set[str]:
    return {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_id_in_the_source_is_in_the_catalogue() -> None:
    unknown = [f"{p.relative_to(SOURCE)}:{line} {i}" for p, line, i, _ in _uses() if i not in catalogue()]
    assert not unknown


def test_every_call_gives_the_values_its_text_needs() -> None:
    wrong = []
    for path, line, message_id, call in _uses():
        row = catalogue().get(message_id)
        if row is None or call is None or any(k.arg is None for k in call.keywords):
            continue
        if not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        missing = _needs(row.text) - {str(k.arg) for k in call.keywords}
        if isinstance(call.func, ast.Attribute) and call.func.attr == "say":  # it fills these in by itself
            missing -= {"session", "process", "node"}
        if missing:
            wrong.append(f"{path.relative_to(SOURCE)}:{line} {message_id} lacks {sorted(missing)}")
    assert not wrong


def test_every_row_is_said_somewhere() -> None:
    text = "\n".join(path.read_text() for path in _files())
    silent = [message_id for message_id in catalogue() if message_id not in text]
    assert not silent


@pytest.mark.parametrize("message_id", sorted(catalogue()))
def test_an_id_is_well_formed_and_an_error_says_what_to_do(message_id: str) -> None:
    assert ID.match(message_id)
    row = catalogue()[message_id]
    assert row.text and not row.text.endswith(" ")
    if message_id[-1] in "ES":
        assert row.action or row.explanation, "an error needs an explanation or an action"
