"""The command table: finding, binding, hiding secrets, help, and the commands of the guide as they are printed there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.admin.command import Command
from farvault.admin.grammar import parse, split_commands
from farvault.admin.help import page
from farvault.admin.manual import commands_page
from farvault.admin.registry import all_commands, find, masked
from farvault.base.errors import BadInput, FarvaultError, NotAvailable

CHAPTER = """
set servername delhi
define server tokyo password=secret hladdress=tokyo.example lladdress=1500 nodename=delhi
define devclass targetclass devtype=server servername=tokyo
register node delhi secret domain=standard type=server
backup db type=incremental devclass=targetclass
define dbbackuptrigger devclass=targetclass logfullpct=60
define stgpool targetcopypool targetclass pooltype=copy
  maxscratch=20
backup stgpool tapepool targetcopypool
define stgpool targetpool targetclass maxscratch=20
  reclaim=100
define stgpool tapepool tapeclass nextstgpool=targetpool
  maxscratch=20
export server devclass=targetclass
import server devclass=targetclass
reconcile volumes targetclass fix=yes
update server tokyo forcesync=yes
"""


def bind(text: str) -> tuple[Command, dict[str, Any]]:
    command, operands = find(parse(text))
    return command, command.bind(operands)[0]


def refusal(text: str) -> str:
    with pytest.raises(FarvaultError) as caught:
        bind(text)
    return str(caught.value.message)


def shortest(word: str) -> str:
    return word[: len(word) - len(word.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"))]


@pytest.mark.parametrize("text", list(split_commands(CHAPTER.splitlines())))
def test_every_command_of_the_chapter_parses_as_printed(text: str) -> None:
    bind(text)


def test_values_of_the_chapter_arrive() -> None:
    _, values = bind("define stgpool targetpool targetclass maxscratch=20\n  reclaim=100")
    assert values["name"] == "TARGETPOOL"
    assert values["device_class"] == "TARGETCLASS"
    assert values["max_scratch"] == 20
    assert values["reclaim_percent"] == 100
    assert values["pool_type"] == "PRIMARY"


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: command.name)
def test_the_shortest_form_is_not_ambiguous(command: Command) -> None:
    typed = " ".join(shortest(word) for word in command.words).lower()
    assert find(parse(typed))[0] is command
    for parameter in command.keywords:
        found = command._keyword_of(parse(f"{shortest(parameter.keyword)}=x")[0])
        assert found is parameter


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: command.name)
def test_a_command_says_what_it_is(command: Command) -> None:
    text = page(command)
    assert command.name in text
    assert command.help.endswith(".")
    names = [parameter.name for parameter in command.parameters]
    assert len(set(names)) == len(names)
    assert all(parameter.help for parameter in command.parameters)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("q stg", "QUERY STGPOOL"),
        ("Q STGPOOL", "QUERY STGPOOL"),
        ("query stgp", "QUERY STGPOOL"),
        ("q st", "QUERY STATUS"),
        ("q se", "QUERY SESSION"),
        ("q ser", "QUERY SERVER"),
        ("ba stg a b", "BACKUP STGPOOL"),
        ("def co a b c dest=x", "DEFINE COPYGROUP"),
        ("halt", "HALT"),
        ("h", "HELP"),
        ("upd n x pw", "UPDATE NODE"),
        ("del v x", "DELETE VOLUME"),
        ("del volh tod=today t=all", "DELETE VOLHISTORY"),
    ],
)
def test_a_command_is_found_by_its_abbreviation(typed: str, name: str) -> None:
    assert find(parse(typed))[0].name == name


@pytest.mark.parametrize(
    ("typed", "starts", "says"),
    [
        ("frobnicate", "ANR2000E", "HELP"),
        ("qeury stgpool", "ANR2000E", "QUERY"),
        ("define foo", "ANR2000E", "STGPOOL"),
        ("q", "ANR2000E", "STGPOOL"),
        ("ren x y", "ANR2000E", "NODE"),
        ('"query" stgpool', "ANR2000E", "QUERY"),
        ("format=detailed", "ANR2000E", "HELP"),
        ("query stgpool a b", "ANR2023E", "b is one value too many"),
        ("query stgpool x=1", "ANR2021E", "POoltype"),
        ("query stgpool format=nice", "ANR2020E", "STANDARD, DETAILED"),
        ("define stgpool", "ANR2022E", "name"),
        ("define server x hladdress=a", "ANR2022E", "LLADDRESS"),
        ("define server x hladdress=a lladdress=99999", "ANR2020E", "65535"),
        ("query stgpool format=s format=d", "ANR2024E", "FORMAT"),
        ("update node x contact=two words", "ANR2025E", "column"),
        ("define domain x backret=ten", "ANR2020E", "number from 0 to 9999"),
        ('copy domain x ""', "ANR2020E", '"" is not a value of new_name'),
        ("define stgpool a b maxsize=1X maxscratch=1", "ANR2020E", "500M"),
        ("define stgpool a b m=1", "ANR2021E", "MAXSCRatch"),
        ("update stgpool a reclaimpr=1 reclaimprocess=2", "ANR2024E", "RECLAIMPROCESS"),
        ("define node x y", "ANR2000E", "DEFINE goes with"),
    ],
)
def test_mistakes_say_what_would_be_right(typed: str, starts: str, says: str) -> None:
    text = refusal(typed)
    assert text.startswith(starts)
    assert says in text


def test_a_value_this_version_cannot_honour_is_refused() -> None:
    with pytest.raises(NotAvailable, match=r"ANR2991E.*CROSSDEFINE=YES"):
        bind("define server x hladdress=a lladdress=1 crossdefine=yes")
    bind("define server x hladdress=a lladdress=1 crossdefine=no")


def test_a_secret_never_stands_in_an_error() -> None:
    assert "hunter2" not in refusal("register node ann " + "hunter2" * 20)
    assert "words" not in refusal("register node ann my words")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("reg n ann secret1 domain=x", "reg n ann ?***? domain=x"),
        ("reg n ann 'sec ret' domain=x", "reg n ann ?***? domain=x"),
        ("reg n ann sec ret domain=x", "reg n ann ?***? ?***? domain=x"),
        ("upd n ann secret1", "upd n ann ?***?"),
        ("upd n ann contact=me", "upd n ann contact=me"),
        ("def ser t pa=secret1 hla=h lla=1", "def ser t pa=?***? hla=h lla=1"),
        ('def ser t serverpa="sec ret" hla=h', "def ser t serverpa=?***? hla=h"),
        ("def ser t pasword=secret1 hla=h", "def ser t pasword=?***? hla=h"),
        ("set serverpa secret1", "set serverpa ?***?"),
        ("q n ann", "q n ann"),
    ],
)
def test_secrets_are_hidden_in_the_log(typed: str, shown: str) -> None:
    words = parse(typed)
    command, operands = find(words)
    assert command.mask(typed, operands) == shown


@given(st.text(max_size=80), st.sampled_from([command.name for command in all_commands()]))
def test_any_operands_are_bound_or_refused(tail: str, name: str) -> None:
    try:
        words = parse(f"{name} {tail}")
        command, operands = find(words)
        command.mask(f"{name} {tail}", operands)
        command.bind(operands)
    except (BadInput, NotAvailable) as refused:
        assert refused.message.text


_KEYWORDS = sorted({p.keyword for command in all_commands() for p in command.keywords})


@given(
    st.sampled_from(all_commands()),
    st.lists(st.sampled_from(["x", "1", "*", '"a b"', "a,b", "-1", "today", "yes"]), max_size=3),
    st.lists(st.tuples(st.sampled_from(_KEYWORDS), st.text(alphabet="aY1*,-:/. ", max_size=8)), max_size=4),
)
def test_any_keywords_are_bound_or_refused(
    command: Command, places: list[str], pairs: list[tuple[str, str]]
) -> None:
    text = " ".join([command.name, *places, *(f'{key}="{value}"' for key, value in pairs)])
    try:
        found, operands = find(parse(text))
        found.bind(operands)
    except (BadInput, NotAvailable) as refused:
        assert refused.message.text


def test_the_manual_page_is_current() -> None:
    path = Path(__file__).parents[3] / "docs" / "commands.md"
    assert path.read_text() == commands_page(), "run: python -m farvault.admin.manual > docs/commands.md"


class TestWhatIsShownOfACommand:
    @pytest.mark.parametrize(
        ("typed", "shown"),
        [
            ("query node ann", "query node ann"),
            ("upd node ann hush contact=x", "upd node ann ?***? contact=x"),
            ("define server t -\n password=hush hla=h lla=1", "define server t  password=?***? hla=h lla=1"),
            ("/* a comment */ set serverpassword hush", "/* a comment */ set serverpassword ?***?"),
            ("update admin op 'hush", "update admin ?***?"),
            ("regstre node ann hush", "regstre node ?***?"),
            ("/* nothing else */", "/* nothing else */"),
            ("halt", "halt"),
        ],
    )
    def test_secrets_are_hidden_also_where_the_command_is_wrong(self, typed: str, shown: str) -> None:
        assert masked(typed) == shown
