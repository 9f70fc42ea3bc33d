"""The command line as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.admin.grammar import parse, split_commands
from farvault.base.errors import BadInput


def shapes(text: str) -> list[tuple[str, str]]:
    return [(word.keyword, word.text) for word in parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   \t\n", []),
        ("query stgpool", [("", "query"), ("", "stgpool")]),
        ("  query   stgpool  ", [("", "query"), ("", "stgpool")]),
        ("q stg format=detailed", [("", "q"), ("", "stg"), ("format", "detailed")]),
        ("q stg\n  format=d", [("", "q"), ("", "stg"), ("format", "d")]),
        ('x desc="two words"', [("", "x"), ("desc", "two words")]),
        ("x desc='two words'", [("", "x"), ("desc", "two words")]),
        ('x desc="say ""hi"""', [("", "x"), ("desc", 'say "hi"')]),
        ("x desc='manager''s \"report\"'", [("", "x"), ("desc", 'manager\'s "report"')]),
        ('x desc="it\'s"', [("", "x"), ("desc", "it's")]),
        ("x desc=it's", [("", "x"), ("desc", "it's")]),
        ('x desc=""', [("", "x"), ("desc", "")]),
        ('x "a=b"', [("", "x"), ("", "a=b")]),
        ("x /vol/a=b", [("", "x"), ("", "/vol/a=b")]),
        ("x a=b=c", [("", "x"), ("a", "b=c")]),
        ("x list=a,b,c", [("", "x"), ("list", "a,b,c")]),
        ("x a,b", [("", "x"), ("", "a,b")]),
        ("x /* not seen */ y", [("", "x"), ("", "y")]),
        ("/* all of it */", []),
        ("x /pool/*", [("", "x"), ("", "/pool/*")]),
        ("q vol /*", [("", "q"), ("", "vol"), ("", "/*")]),
        ("query -\n stgpool", [("", "query"), ("", "stgpool")]),
        ("query stg-\npool", [("", "query"), ("", "stgpool")]),
        ("query \\\nstgpool", [("", "query"), ("", "stgpool")]),
        ('x desc="long -\ntext"', [("", "x"), ("desc", "long text")]),
        ("x a-b", [("", "x"), ("", "a-b")]),
        ("x begind=-1", [("", "x"), ("begind", "-1")]),
    ],
)
def test_a_command_is_cut_into_words_and_parameters(text: str, expected: list[tuple[str, str]]) -> None:
    assert shapes(text) == expected


def test_a_comma_inside_quotes_does_not_cut_a_list() -> None:
    (word,) = parse('"a,b",c')
    assert word.items == ("a,b", "c")


@pytest.mark.parametrize(
    ("text", "message_id", "says"),
    [
        ('x desc="open', "ANR2002E", "column 8"),
        ("x 'open", "ANR2002E", "column 3"),
        ("x ='v'", "ANR2003E", "column 3"),
        ("x desc= v", "ANR2004E", "DESC"),
        ("x desc=", "ANR2004E", "column 3"),
        ('x "a"b', "ANR2010E", "column 6"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, message_id: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert caught.value.message.id == message_id
    assert says in caught.value.message.text


@given(st.text(max_size=200))
def test_any_text_is_words_or_bad_input(text: str) -> None:
    try:
        words = parse(text)
    except BadInput:
        return
    for word in words:
        assert 0 <= word.start <= word.value_start <= word.end


@given(st.text(alphabet="abc ='\",-\\/*\n>", max_size=60))
def test_any_arrangement_of_marks_is_words_or_bad_input(text: str) -> None:
    try:
        parse(text)
    except BadInput as refused:
        assert refused.message.text


@given(st.text(min_size=1, max_size=50).filter(lambda s: s == s.strip() and "\n" not in s))
def test_a_quoted_value_comes_back_as_it_was(value: str) -> None:
    if value.endswith(("-", "\\")):
        value += "."
    quoted = value.replace('"', '""')
    assert parse(f'x="{quoted}"')[0].text == value


@pytest.mark.parametrize("text", ["register node n secret-", "query node \\\\", "query stgpool - \t", "-"])
def test_a_command_that_goes_on_behind_its_end_is_refused(text: str) -> None:
    """A password that ends so would be cut by a character, and nobody would know."""
    with pytest.raises(BadInput, match="ANR2028E"):
        parse(text)
    assert parse('register node n "secret-"')[-1].text == "secret-"


def test_a_script_is_cut_into_commands() -> None:
    script = """
/* set up the
   pools */
define stgpool targetpool targetclass maxscratch=20
  reclaim=100
query stgpool -
   targetpool
  query volume
/* the end */
backup stgpool tapepool targetcopypool
"""
    commands = [[word.text for word in parse(command)] for command in split_commands(script.splitlines())]
    assert commands == [
        ["define", "stgpool", "targetpool", "targetclass", "20", "100"],
        ["query", "stgpool", "targetpool"],
        ["query", "volume"],
        ["backup", "stgpool", "tapepool", "targetcopypool"],
    ]
