"""A message in full: what HELP shows of its number."""

from __future__ import annotations

import pytest

from farvault.base.messages import catalogue
from farvault.base.messages.page import is_message_number, pages


@pytest.mark.parametrize("typed", ["ANR1578E", "anr1578e", "ANR1578", "1578"])
def test_a_message_is_found_as_it_was_shown_or_by_its_number(typed: str) -> None:
    (page,) = pages(typed)
    row = catalogue()["ANR1578E"]
    words = " ".join(page.split())
    assert words.startswith(f"ANR1578E {row.text}")
    assert f"User response: {row.action}" in words


def test_one_number_may_be_of_both_programs() -> None:
    assert [page[:8] for page in pages("1025")] == ["ANR1025W", "ANS1025E"]
    assert [page[:8] for page in pages("ANS1025")] == ["ANS1025E"]


@pytest.mark.parametrize("typed", ["9998", "ANR1578W", "ANS1578", "define", ""])
def test_nothing_is_found_of_what_is_no_message(typed: str) -> None:
    assert pages(typed) == []


def test_words_are_no_numbers() -> None:
    assert not any(map(is_message_number, ("define", "ANR", "20344", "ANX2034E", "")))


@pytest.mark.parametrize("message_id", sorted(catalogue()))
def test_every_message_has_a_page_that_a_terminal_shows(message_id: str) -> None:
    (page,) = pages(message_id)
    assert "{" not in page, "values are shown by their names"
    assert max(map(len, page.splitlines())) <= 78
