"""Options: abbreviations, places, files with stanzas, and refusals that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from farvault.base.errors import BadInput, NotAvailable
from farvault.client.commands import find_command
from farvault.client.options import (
    OPTIONS,
    Options,
    Where,
    apply_option,
    find_option,
    resolve,
    split_command_line,
)


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("FARVAULT_CLIENT_CONFIG", raising=False)


def options(*words: str) -> Options:
    return resolve(split_command_line(words))


@pytest.mark.parametrize(
    ("typed", "keyword"),
    [
        ("su", "SUbdir"),
        ("SUBDIR", "SUbdir"),
        ("se", "SErvername"),
        ("servername", "SErvername"),
        ("rep", "REPlace"),
        ("compressi", "COMPRESSIon"),
        ("compressionl", "COMPRESSIONLevel"),
        ("pa", "PAssword"),
        ("password", "PAssword"),
        ("passwordf", "PASSWORDFile"),
        ("node", "NODename"),
        ("ina", "INActive"),
        ("skipacl", "SKIPACL"),
        ("skipaclup", "SKIPACLUPdatecheck"),
    ],
)
def test_an_option_is_found_by_its_abbreviation(typed: str, keyword: str) -> None:
    found = find_option(typed)
    assert found is not None and found.keyword == keyword


@pytest.mark.parametrize("typed", ["s", "x", "subdirs", ""])
def test_too_short_or_unknown(typed: str) -> None:
    with pytest.raises(BadInput, match="ANS1107E"):
        apply_option(Options(), typed, "yes", Where.COMMAND)


def test_every_keyword_in_full_finds_itself() -> None:
    for option in OPTIONS:
        assert find_option(option.keyword) == option


def test_options_stand_anywhere_and_words_stay_words() -> None:
    line = split_command_line(["-quiet", "restore", "-su=yes", "/a/*", "--", "-strange name"])
    assert line.words == ["restore", "/a/*", "-strange name"]
    assert line.options == [("quiet", None), ("su", "yes")]


def test_values_are_checked() -> None:
    for word in ("-subdir=maybe", "-txnbytelimit=1K", "-changingretries=5", "-quiet=yes", "-replace=often"):
        with pytest.raises(BadInput, match="ANS1108E"):
            options(word)


def test_what_is_not_there_yet_is_refused_and_what_only_tunes_is_not() -> None:
    with pytest.raises(NotAvailable, match="FILELIST"):
        options("-filelist=names")
    assert options("-tapeprompt=no", "-tcpbuffsize=512") == Options()


def test_txnbytelimit_is_in_kilobytes_unless_it_says_otherwise() -> None:
    assert options("-txnbytelimit=2048").transaction_bytes == 2 << 20
    assert options("-txnbytelimit=1G").transaction_bytes == 1 << 30


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("delhi:1600", "delhi", 1600),
        ("delhi", "delhi", 1500),
        ("[::1]:1600", "::1", 1600),
        ("127.0.0.1:9", "127.0.0.1", 9),
    ],
)
def test_a_server_may_be_an_address(typed: str, host: str, port: int) -> None:
    made = options(f"-se={typed}")
    assert (made.address, made.port) == (host, port)


def test_a_stanza_is_chosen_by_its_label(tmp_path: Path) -> None:
    file = tmp_path / "client.opt"
    file.write_text(
        "* the house\nSUBDIR yes\n\nSERVERNAME first\n  TCPSERVERADDRESS one.example\n"
        "SERVERNAME second\n  TCPSERVERADDRESS two.example\n  TCPPORT 1600\n  NODENAME web07\n"
    )
    chosen = options(f"-optfile={file}", "-se=second")
    assert (chosen.address, chosen.port, chosen.node, chosen.subdir) == ("two.example", 1600, "web07", True)
    assert options(f"-optfile={file}").address == "one.example"
    assert options(f"-optfile={file}", "-se=other:99").address == "other"


def test_the_environment_names_the_file_and_the_command_line_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "client.opt"
    file.write_text("NODENAME web07\nDOMAIN /home\n")
    monkeypatch.setenv("FARVAULT_CLIENT_CONFIG", str(file))
    made = options("-nodename=other", "-domain=/srv")
    assert made.node == "other"
    assert made.domain == ("/home", "/srv"), "DOMAIN adds up"


def test_include_and_exclude_keep_the_order_of_the_file(tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text("exclude /b\n")
    file = tmp_path / "client.opt"
    file.write_text(f"exclude /a\nINCLEXCL {listed}\ninclude /c\n")
    assert [each.pattern for each in options(f"-optfile={file}").statements] == ["/a", "/b", "/c"]


def test_a_bad_line_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "client.opt"
    file.write_text("SUBDIR yes\nTCPPORT many\n")
    with pytest.raises(BadInput, match=r"ANS1036S .*client\.opt, line 2: TCPPORT"):
        options(f"-optfile={file}")


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("i", "Incremental"),
        ("s", "Selective"),
        ("ar", "ARchive"),
        ("rest", "RESTore"),
        ("ret", "RETrieve"),
        ("q b", "Query Backup"),
        ("q ar", "Query ARchive"),
        ("q f", "Query Filespace"),
        ("q se", "Query SEssion"),
        ("del ar", "DELete ARchive"),
        ("restar r", "RESTARt Restore"),
        ("INCREMENTAL", "Incremental"),
    ],
)
def test_a_command_is_found_by_its_abbreviation(typed: str, full: str) -> None:
    command, operands = find_command([*typed.split(), "/x"])
    assert " ".join(command.words) == full and operands == ["/x"]


@pytest.mark.parametrize(
    "word",
    [
        "-compressionlevel=--5",
        "-compressionlevel=²",
        "-compressionlevel=-",
        "-tcpport=²",
        "-txnbytelimit=²",
        "-commrestartduration=٣",
        "-resourceutilization=" + "9" * 5000,
    ],
)
def test_what_only_looks_like_a_number_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="ANS1108E"):
        options(word)


@pytest.mark.parametrize("port", ["²", "٣", "-1", "0", "65536", "9" * 5000, ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(BadInput, match="ANS1217E"):
        options(f"-se=host:{port}")
