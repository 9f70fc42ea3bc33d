"""`docs/catalog.md` is what the comments in the schema say, and they say something about everything."""

from __future__ import annotations

from pathlib import Path

from farvault.catalog import document
from farvault.catalog.catalog import Catalog
from farvault.catalog.migrate import migrations

PAGE = Path(__file__).parents[3] / "docs" / "catalog.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document.document(), (
        "run `python -m farvault.catalog.document > docs/catalog.md`"
    )


def test_every_table_and_column_is_described(catalog: Catalog) -> None:
    described = {t.name: t for step in migrations() for t in document._parse(step.sql)[1]}
    with catalog.read() as r:
        tables = [name for (name,) in r.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert sorted(described) == sorted(tables)
        for name, table in described.items():
            columns = [row[0] for row in r.all("SELECT name FROM pragma_table_info(?)", (name,))]
            assert [column.name for column in table.columns] == columns
            assert table.text and all(column.text for column in table.columns), name
            assert all(text for _, text in table.indexes), name


def test_steps_are_numbered_without_a_gap() -> None:
    assert [step.number for step in migrations()] == list(range(1, len(migrations()) + 1))
