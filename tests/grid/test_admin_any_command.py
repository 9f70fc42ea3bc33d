"""Whatever is typed, a command ends with exactly one answer and never with an internal error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.grid.grid_server import GridServer

from farvault.admin.execute import CONSOLE, execute
from farvault.admin.registry import all_commands
from farvault.protocol.messages import CommandEnd, Output, Question

_LEFT_OUT = ("HALT", "PING SERVER")  # the one ends the server, the other waits for the network
_COMMANDS = [command for command in all_commands() if command.name not in _LEFT_OUT]
_VALUES = [
    "x",
    "1",
    "*",
    "standard",
    "filepool",
    "backuppool",
    "ann",
    "-1",
    "today",
    "yes",
    "no",
    '""',
    "a,b",
    "'a b'",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path_factory.mktemp("any") / "delhi")).start()
    server.admin("register node ann secret1")
    yield server
    server.stop()


def check(server: GridServer, text: str, style: str) -> None:
    answers = list(
        execute(server.server.instance, CONSOLE, text, style=style, width=60, confirmed=True, session=1)
    )
    assert all(isinstance(answer, Output) for answer in answers[:-1])
    assert isinstance(answers[-1], CommandEnd | Question)
    assert not any("ANR9999D" in answer.text for answer in answers[:-1] if isinstance(answer, Output)), text


@st.composite
def commands(draw: st.DrawFn) -> str:
    """A command with plausible operands: many pass the grammar and reach the command itself."""
    command = draw(st.sampled_from(_COMMANDS))
    places = draw(st.lists(st.sampled_from(_VALUES), max_size=len(command.positionals)))
    pairs = []
    if command.keywords:
        chosen = draw(st.lists(st.sampled_from(command.keywords), max_size=3, unique_by=lambda p: p.keyword))
        for parameter in chosen:
            words = parameter.kind.describe().split("|") + _VALUES
            pairs.append(f"{parameter.keyword}={draw(st.sampled_from(words)).split()[0]}")
    return " ".join([command.name, *places, *pairs])


@settings(max_examples=250, deadline=None)
@given(text=commands(), style=st.sampled_from(["", "TABLE", "LIST", "COMMA", "TAB", "JSON"]))
def test_a_plausible_command_gets_an_answer_or_a_refusal(server: GridServer, text: str, style: str) -> None:
    check(server, text, style)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=100), style=st.text(max_size=5))
def test_any_text_gets_an_answer_or_a_refusal(server: GridServer, text: str, style: str) -> None:
    check(server, text, style)
