"""One definition, many faces: what is typed becomes a value, and is shown again."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import farvault.model
from farvault.model.attribute import (
    REQUIRED,
    BadValue,
    Choice,
    Integer,
    Kind,
    Name,
    Names,
    Noun,
    Size,
    Text,
    YesNo,
    abbreviates,
    attributes,
)
from farvault.model.storage_pool import StoragePool

for _module in pkgutil.iter_modules(farvault.model.__path__):
    importlib.import_module(f"farvault.model.{_module.name}")
NOUNS = Noun.__subclasses__()
KEPT_BY_SESSIONS = {"PendingDeletion", "VaultFloor"}
"""Rows of a source and its target: shown to people, whose commands change no field of theirs."""


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Name(), "tapepool", "TAPEPOOL"),
        (Text(), "Mixed case, kept", "Mixed case, kept"),
        (Integer(0, 100), "70", 70),
        (Integer(0, 9999, nolimit=True), "nol", None),
        (Size(), "500m", 500 << 20),
        (Size(1, nolimit=True), "NOLIMIT", None),
        (Choice("READWrite", "READOnly"), "reado", "READONLY"),
        (YesNo(), "y", True),
        (YesNo(), "NO", False),
        (Names(), "a,b", ("A", "B")),
        (Names(), "", ()),
    ],
)
def test_what_is_typed_becomes_a_value(kind: Kind, text: str, value: Any) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Name(), ""),
        (Name(), "with blank"),
        (Name(3), "long"),
        (Text(3), "long"),
        (Text(), "line\nbreak"),
        (Integer(0, 100), "101"),
        (Integer(0, 100), "-1"),
        (Integer(0, 100), "1e1"),
        (Integer(0, 100), "9" * 400),
        (Integer(0, 100), "nolimit"),
        (Size(), "500K"),
        (Size(), "lots"),
        (Size(), "9" * 30),
        (Choice("READWrite", "READOnly"), "read"),
        (YesNo(), "maybe"),
        (Names(30, 2), "a,b,c"),
        (Names(), "a,,b"),
    ],
)
def test_bad_text_is_refused_with_what_would_be_right(kind: Kind, text: str) -> None:
    with pytest.raises(BadValue) as refused:
        kind.parse(text)
    assert str(refused.value)


@pytest.mark.parametrize(
    ("text", "word", "matches"),
    [
        ("hi", "HIghmig", True),
        ("HIGHM", "HIghmig", True),
        ("h", "HIghmig", False),
        ("highmigx", "HIghmig", False),
        ("def", "DEFine", True),
        ("de", "DEFine", False),
    ],
)
def test_a_short_form_has_at_least_the_capitals(text: str, word: str, matches: bool) -> None:
    assert abbreviates(text, word) is matches


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_every_noun_is_described_completely(noun: type[Noun]) -> None:
    described = attributes(noun)
    assert noun.TABLE and noun.TITLE
    is_kept = noun.KEY == ("id",) or noun.__name__ in KEPT_BY_SESSIONS
    assert described or is_kept, "only what people never name goes without"
    assert set(noun.KEY) <= set(noun.__struct_fields__)
    keywords = [a.keyword.upper() for a in described.values() if a.keyword]
    assert len(keywords) == len(set(keywords)), "a keyword means one thing"
    for attribute in described.values():
        assert attribute.label and attribute.help and attribute.kind.describe()


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_defaults_survive_being_shown_and_typed_again(noun: type[Noun]) -> None:
    for attribute in attributes(noun).values():
        defaults = attribute.default.values() if isinstance(attribute.default, dict) else [attribute.default]
        for default in defaults:
            if default is not REQUIRED and default is not None and attribute.keyword:
                assert isinstance(attribute.kind.show(default), str)


def test_a_variant_has_only_its_own_attributes() -> None:
    of_pool = attributes(StoragePool)
    assert of_pool["reclaim_percent"].default_for("COPY") == 100
    assert of_pool["reclaim_percent"].default_for("SEQUENTIAL") == 60
    assert not of_pool["cache"].applies_to("COPY")
    assert of_pool["description"].applies_to("COPY")
