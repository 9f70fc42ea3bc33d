"""Definitions: every noun of the model fits its table, comes back as it was, and says clearly what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from farvault.base.errors import AlreadyExists, NotFound, StillReferenced
from farvault.base.messages import catalogue
from farvault.catalog import nouns
from farvault.catalog.audit import NOUNS
from farvault.catalog.catalog import Catalog
from farvault.model.administrator import Administrator
from farvault.model.attribute import Noun
from farvault.model.collocation import CollocationGroup
from farvault.model.file_space import FileSpace
from farvault.model.hold import Hold
from farvault.model.node import Node
from farvault.model.policy import CopyGroup, PolicySet
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

_SAMPLES: dict[object, object] = {
    str: "TEXT, with 'quotes'",
    int: (1 << 62) - 1,
    bool: True,
    bytes: b"\x00\xff",
    tuple[str, ...]: ("ONE", "TWO"),
    int | None: None,
}


def _subclasses(base: type[Noun]) -> set[type[Noun]]:
    return {*base.__subclasses__(), *(deep for one in base.__subclasses__() for deep in _subclasses(one))}


def sample(noun: type[Noun], **fixed: Any) -> Noun:
    fields = {f.name: _SAMPLES[_plain(f.type)] for f in msgspec.structs.fields(noun) if f.name != "id"}
    return noun(**{**fields, **fixed})


def _plain(hint: Any) -> Any:
    return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint


def parents(catalog: Catalog) -> dict[str, Any]:
    with catalog.write() as tx:
        return {
            "node_id": nouns.insert(tx, Node(name="PARENT")),
            "hold_id": nouns.insert(tx, Hold(name="PARENT")),
            "group_id": nouns.insert(tx, CollocationGroup(name="PARENT")),
            "file_space_id": None,
            "pool_id": nouns.insert(tx, StoragePool(name="PARENT", device_class="F", variant="RANDOM")),
        }


def test_every_noun_of_the_model_has_a_table() -> None:
    assert set(NOUNS) == {
        noun for noun in _subclasses(Noun) if noun.TABLE and noun.__module__.startswith("farvault")
    }


@pytest.mark.parametrize("noun", NOUNS, ids=lambda n: n.TABLE)
def test_the_fields_of_a_noun_are_the_columns_of_its_table(catalog: Catalog, noun: type[Noun]) -> None:
    with catalog.read() as r:
        columns = [row[0] for row in r.all("SELECT name FROM pragma_table_info(?)", (noun.TABLE,))]
    assert sorted(columns) == sorted([*nouns.columns(noun), "row_digest"])
    assert nouns.NOT_FOUND[noun.TABLE] in catalogue() and nouns.ALREADY_EXISTS[noun.TABLE] in catalogue()


@pytest.mark.parametrize("noun", NOUNS, ids=lambda n: n.TABLE)
def test_a_noun_comes_back_as_it_was_stored(catalog: Catalog, noun: type[Noun]) -> None:
    ids = parents(catalog)
    fixed = {name: ids[name] for name in ids if name in nouns.columns(noun)}
    with catalog.write() as tx:
        noun_id = nouns.insert(tx, sample(noun, **fixed))
    with catalog.read() as r:
        stored = nouns.by_id(r, noun, noun_id)
    assert stored == sample(noun, **fixed, id=noun_id)
    key = tuple(getattr(stored, field) for field in noun.KEY)
    with catalog.read() as r:
        assert nouns.get(r, noun, *key) == nouns.find(r, noun, *key) == stored
        assert stored in nouns.select(r, noun)
    if noun.KEY != ("id",):
        with catalog.write() as tx, pytest.raises(AlreadyExists, match=nouns.ALREADY_EXISTS[noun.TABLE]):
            nouns.insert(tx, sample(noun, **fixed))
    with catalog.write() as tx:
        nouns.delete(tx, stored)
        nouns.delete(tx, stored)
        assert nouns.find(tx, noun, *key) is None
        for missing in (lambda: nouns.get(tx, noun, *key), lambda: nouns.by_id(tx, noun, noun_id)):
            with pytest.raises(NotFound, match=nouns.NOT_FOUND[noun.TABLE]):
                missing()
        with pytest.raises(NotFound):
            nouns.update(tx, stored)
        assert nouns.insert(tx, sample(noun, **fixed)) > noun_id, "a number is never given twice"


def test_select_takes_wildcards_and_equal_fields_in_the_order_of_keys(catalog: Catalog) -> None:
    with catalog.write() as tx:
        for name in ("DELHI.2", "DELHI_1", "TOKYO", "DELHI10"):
            nouns.insert(tx, Node(name=name, locked=name == "TOKYO", domain="D" if "1" in name else "E"))
        assert [n.name for n in nouns.select(tx, Node, "DELHI*")] == ["DELHI.2", "DELHI10", "DELHI_1"]
        assert [n.name for n in nouns.select(tx, Node, "DELHI??")] == ["DELHI.2", "DELHI10", "DELHI_1"]
        assert [n.name for n in nouns.select(tx, Node, "DELHI?1")] == ["DELHI_1"]
        assert [n.name for n in nouns.select(tx, Node, "TOKYO")] == ["TOKYO"]
        assert [n.name for n in nouns.select(tx, Node, "*1*", domain="D")] == ["DELHI10", "DELHI_1"]
        assert [n.name for n in nouns.select(tx, Node, locked=True)] == ["TOKYO"]
        assert nouns.select(tx, Node, "NONE") == []
        assert (nouns.count(tx, Node), nouns.count(tx, Node, domain="D")) == (4, 2)


def test_policy_names_are_ordered_by_their_whole_key(catalog: Catalog) -> None:
    with catalog.write() as tx:
        for domain, name in (("B", "X"), ("A", "Y"), ("B", "ACTIVE")):
            nouns.insert(tx, PolicySet(domain=domain, name=name))
        assert [(p.domain, p.name) for p in nouns.select(tx, PolicySet)] == [
            ("A", "Y"),
            ("B", "ACTIVE"),
            ("B", "X"),
        ]
        nouns.insert(tx, CopyGroup(domain="B", policy_set="X", management_class="M", destination="P"))
        with pytest.raises(NotFound, match=r"ANR1553E.*B, X, M, ARCHIVE"):
            nouns.get(tx, CopyGroup, "B", "X", "M", "ARCHIVE")


def test_renaming_onto_another_is_refused(catalog: Catalog) -> None:
    with catalog.write() as tx:
        nouns.insert(tx, Administrator(name="A"))
        second = nouns.by_id(tx, Administrator, nouns.insert(tx, Administrator(name="B")))
        nouns.update(tx, msgspec.structs.replace(second, name="C", classes=("SYSTEM", "POLICY")))
        assert nouns.get(tx, Administrator, "C").classes == ("SYSTEM", "POLICY")
        with pytest.raises(AlreadyExists):
            nouns.update(tx, msgspec.structs.replace(second, name="A"))


def test_what_others_belong_to_cannot_be_deleted(catalog: Catalog) -> None:
    ids = parents(catalog)
    with catalog.write() as tx:
        nouns.insert(tx, FileSpace(node_id=ids["node_id"], name="/", number=1))
        nouns.insert(tx, Volume(name="V", pool_id=ids["pool_id"]))
        for noun, name in ((Node, "PARENT"), (StoragePool, "PARENT")):
            with pytest.raises(StillReferenced, match="ANR0140E"):
                nouns.delete(tx, nouns.get(tx, noun, name))
        with pytest.raises(StillReferenced):
            nouns.insert(tx, Volume(name="W", pool_id=999))
