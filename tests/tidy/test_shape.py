"""The source keeps its shape: layers, file sizes, names, docstrings."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "farvault"
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
MOST_LINES = 600


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_has_a_subject_and_says_it(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "the file's docstring says what it is and why"
    assert text.count("\n") <= MOST_LINES, "a crowded room: cut it by subject"


def test_pickle_eval_and_shells_are_used_nowhere() -> None:
    banned = re.compile(r"^\s*(import|from) (pickle|marshal|shelve)\b|\beval\(|\bexec\(|shell=True", re.M)
    assert not [str(p) for p in FILES if banned.search(p.read_text())]


def test_documents_and_locks_name_no_registry_host() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("requirements/*")]
    assert not [
        str(p) for p in texts if re.search(r"pypi\.org|pythonhosted|deb\.debian|npmjs", p.read_text())
    ]


def test_the_architecture_page_stays_short_and_names_only_files_that_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert page.count("\n") < 300
    named = set(re.findall(r"`((?:src|tests|docs|bench)/[\w/.-]+|\w+/\w+\.py)`", page))
    missing = [n for n in named if not (ROOT / n).exists() and not (SOURCE / n).exists()]
    assert not missing


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken


def test_run_time_packages_are_few() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 25


@pytest.mark.parametrize(
    "module", sorted(p.stem for p in (ROOT / "bench").glob("*.py") if p.stem != "__main__")
)
def test_every_bench_can_be_started(module: str) -> None:
    """What a bench imports is still there."""
    importlib.import_module(f"bench.{module}")
