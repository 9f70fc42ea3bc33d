"""Include-exclude lists: how lines are read, in which order they decide, and what EXCLUDE.DIR and EXCLUDE.FS add."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import BadInput, NotAvailable
from farvault.policy.inclexcl import (
    INCLUDED,
    VERBS,
    Decision,
    Purpose,
    Rules,
    Statement,
    parse_lines,
    parse_statement,
)
from farvault.policy.pattern import translate


def rules(*lines: str, server: tuple[str, ...] = ()) -> Rules:
    return Rules(parse_lines(lines), parse_lines(server, "Server"))


def outcome(decision: Decision) -> str:
    return "out" if decision.excluded else decision.management_class or "in"


@pytest.mark.parametrize(
    ("lines", "path", "expected"),
    [
        # the last line that matches decides
        (["EXCLUDE /.../*.o", "INCLUDE /src/.../*"], b"/src/a.o", "in"),
        (["INCLUDE /src/.../*", "EXCLUDE /.../*.o"], b"/src/a.o", "out"),
        (["INCLUDE /src/.../*", "EXCLUDE /.../*.o"], b"/src/a.c", "in"),
        ([], b"/a", "in"),
        (["EXCLUDE /b"], b"/a", "in"),
        # only log files of /var (test vector 26)
        (["EXCLUDE /var/.../*", "INCLUDE /var/log/.../*"], b"/var/spool/x", "out"),
        (["EXCLUDE /var/.../*", "INCLUDE /var/log/.../*"], b"/var/log/a/b", "in"),
        # binding
        (["INCLUDE /home/.../* longkeep"], b"/home/u/f", "LONGKEEP"),
        (["INCLUDE /.../* one", "INCLUDE /home/.../* two"], b"/home/f", "TWO"),
        (["INCLUDE /.../* one", "INCLUDE /home/.../* two"], b"/etc/f", "ONE"),
        (["INCLUDE /.../* one", "INCLUDE /home/.../*"], b"/home/f", "in"),
        # names that are not UTF-8, and names with several bytes to a character
        (["EXCLUDE /a/?"], b"/a/\xff", "out"),
        (["EXCLUDE /a/?"], "/a/\N{SNOWMAN}".encode(), "out"),
        (["EXCLUDE /a/?"], b"/a/\xff\xfe", "in"),
        (["EXCLUDE /.../caf\N{LATIN SMALL LETTER E WITH ACUTE}"], b"/x/caf\xc3\xa9", "out"),
    ],
)
def test_the_last_matching_line_decides(lines: list[str], path: bytes, expected: str) -> None:
    assert outcome(rules(*lines).decide(path)) == expected


FOR = {
    "EXCLUDE": {Purpose.BACKUP, Purpose.SPACE_MANAGEMENT},
    "EXCLUDE.FILE": {Purpose.BACKUP, Purpose.SPACE_MANAGEMENT},
    "EXCLUDE.BACKUP": {Purpose.BACKUP},
    "EXCLUDE.FILE.BACKUP": {Purpose.BACKUP},
    "EXCLUDE.ARCHIVE": {Purpose.ARCHIVE},
    "EXCLUDE.SPACEMGMT": {Purpose.SPACE_MANAGEMENT},
    "EXCLUDE.DIR": set(),
    "EXCLUDE.FS": set(),
}


@pytest.mark.parametrize("verb", FOR)
def test_an_exclude_acts_on_what_it_names_and_on_nothing_else(verb: str) -> None:
    asked = rules(f"{verb} /a/b")
    kinds = (Purpose.BACKUP, Purpose.ARCHIVE, Purpose.SPACE_MANAGEMENT)
    assert {purpose for purpose in kinds if asked.decide(b"/a/b", purpose).excluded} == FOR[verb]


@pytest.mark.parametrize(
    ("verb", "purpose"),
    [
        ("INCLUDE", Purpose.BACKUP),
        ("INCLUDE.FILE", Purpose.BACKUP),
        ("INCLUDE.BACKUP", Purpose.BACKUP),
        ("INCLUDE.ARCHIVE", Purpose.ARCHIVE),
        ("INCLUDE", Purpose.SPACE_MANAGEMENT),
    ],
)
def test_an_include_readmits_what_it_names(verb: str, purpose: Purpose) -> None:
    asked = rules("EXCLUDE /.../*", "EXCLUDE.ARCHIVE /.../*", f"{verb} /a/b CLASS")
    assert outcome(asked.decide(b"/a/b", purpose)) == "CLASS"
    assert outcome(asked.decide(b"/a/c", purpose)) == "out"


def test_the_servers_lines_are_asked_before_the_local_ones() -> None:
    asked = rules("INCLUDE /a LOCAL", server=("EXCLUDE /a",))
    decision = asked.decide(b"/a")
    assert decision.excluded
    assert decision.statement is not None
    assert decision.statement.source == "Server"


def test_a_decision_names_the_line_that_made_it() -> None:
    decision = rules("EXCLUDE /.../*.o", "EXCLUDE /tmp/.../*").decide(b"/x/a.o")
    assert decision.statement == Statement("EXCLUDE", "/.../*.o")


def test_exclude_dir_beats_any_include_below_it() -> None:
    asked = rules("EXCLUDE.DIR /a", "INCLUDE /a/b/*")  # test vector 25
    assert asked.excludes_directory(b"/a")
    assert not asked.excludes_directory(b"/a/b")
    assert asked.is_below_excluded_directory(b"/a/b/c")
    assert not asked.is_below_excluded_directory(b"/a")
    assert not asked.is_below_excluded_directory(b"/ab/c")


@pytest.mark.parametrize("pattern", ["/.../cache", "/.../cache/", "/home/*/cache"])
def test_exclude_dir_takes_patterns_and_a_trailing_slash(pattern: str) -> None:
    asked = rules(f"EXCLUDE.DIR {pattern}")
    assert asked.excludes_directory(b"/home/user/cache")
    assert not asked.excludes_directory(b"/home/user/caches")


def test_plain_excludes_never_stop_a_directory() -> None:
    asked = rules("EXCLUDE /.../*")
    assert not asked.excludes_directory(b"/a")
    assert not asked.is_below_excluded_directory(b"/a/b/c")


def test_exclude_fs_drops_a_file_space_and_no_file() -> None:
    asked = rules("EXCLUDE.FS /mnt/*")
    assert asked.excludes_file_space(b"/mnt/usb")
    assert not asked.excludes_file_space(b"/mnt")
    assert asked.decide(b"/mnt/usb") is INCLUDED


def test_the_root_file_space_can_be_dropped() -> None:
    asked = rules("EXCLUDE.FS /", "EXCLUDE.FS /mnt/")
    assert asked.excludes_file_space(b"/")
    assert asked.excludes_file_space(b"/mnt")
    assert not asked.excludes_file_space(b"/home")


_LINES = st.lists(
    st.tuples(
        st.sampled_from([verb for verb, purposes in VERBS.items() if purposes]),
        st.sampled_from(["/a", "/a/*", "/.../b", "/a/.../*", "/?", "/.../*", "/a/[ab]"]),
        st.sampled_from(["", "ONE", "TWO"]),
    ),
    max_size=8,
)


@given(_LINES, st.integers(0, 8), st.sampled_from(["/a", "/b", "/a/b", "/a/a", "/a/b/b", "/b/c"]))
@settings(max_examples=500, deadline=None)
def test_it_agrees_with_the_reference_algorithm(
    lines: list[tuple[str, str, str]], cut: int, path: str
) -> None:
    """Statement by statement, from the last one up; the server's stand at the end (clients 4.4)."""
    statements = [
        Statement(verb, pattern, "" if verb.startswith("EXCLUDE") else name) for verb, pattern, name in lines
    ]
    asked = Rules(statements[:cut], statements[cut:])
    for purpose in (Purpose.BACKUP, Purpose.ARCHIVE, Purpose.SPACE_MANAGEMENT):
        expected = "in"
        for one in reversed(statements):
            if purpose in VERBS[one.verb] and re.fullmatch(translate(one.pattern), path):
                expected = "out" if one.verb.startswith("EXCLUDE") else one.management_class or "in"
                break
        assert outcome(asked.decide(path.encode(), purpose)) == expected


def test_without_rules_nothing_is_made_for_a_file() -> None:
    asked = Rules()
    assert asked.decide(b"/a") is asked.decide(b"/b") is INCLUDED
    assert not asked.excludes_directory(b"/a")
    assert not asked.excludes_file_space(b"/")


def test_a_long_list_costs_one_match_a_file() -> None:
    asked = rules(*(f"EXCLUDE /a{i}/.../*" for i in range(300)), "INCLUDE /.../keep MC")
    assert outcome(asked.decide(b"/a0/x")) == "out"
    assert outcome(asked.decide(b"/a299/b/c")) == "out"
    assert outcome(asked.decide(b"/a17/keep")) == "MC"
    assert outcome(asked.decide(b"/other")) == "in"


def test_a_file_of_lines_has_comments_and_empty_lines() -> None:
    found = parse_lines(["* a comment", "", "  * another", " exclude /a ", "include /b mc\n"], "/etc/list")
    assert found == [
        Statement("EXCLUDE", "/a", "", "/etc/list"),
        Statement("INCLUDE", "/b", "MC", "/etc/list"),
    ]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ('exclude "/a b/*"', "/a b/*"),
        ("exclude '/a \"b/*'", '/a "b/*'),
        ("EXCLUDE\t/a", "/a"),
        ("exclude /it's", "/it's"),
    ],
)
def test_a_pattern_may_be_quoted(text: str, pattern: str) -> None:
    assert parse_statement(text).pattern == pattern


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exclude", "needs a pattern"),
        ("excluse /a", "starts with no word known here"),
        ("exclude /a b", "'b' does not belong there"),
        ("include /a b c", "'c' does not belong there"),
        ("exclude a", "must start with /"),
        ("exclude /a/[b", "has no ]"),
        ("exclude /a/...", "must stand between"),
        ('exclude "/a', "quotation marks"),
        ('exclude "/a"b', "quotation marks"),
    ],
)
def test_a_line_that_is_wrong_says_why(text: str, said: str) -> None:
    with pytest.raises(BadInput, match="ANS1480E") as caught:
        parse_statement(text)
    assert said in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize("verb", [verb for verb, purposes in VERBS.items() if not purposes])
def test_a_statement_for_a_function_that_is_not_there_is_refused_and_not_ignored(verb: str) -> None:
    with pytest.raises(NotAvailable, match="not supported yet"):
        parse_statement(f"{verb} /a")
