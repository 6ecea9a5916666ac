"""The site has every page, and its reference every key, command, argument and code that there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from amlc.catalogue import ASSESSORS, TUNERS
from amlc.cli.everything import main
from amlc.config.schema import load_schema

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs import generate  # noqa: E402

PAGES = generate.pages()


def tables(text: str) -> list[list[str]]:
    """The cells of every row of a page's tables."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_key_has_a_row_with_both_spellings() -> None:
    schema = load_schema()
    first = " ".join(row[0] for row in tables(PAGES["keys"]))
    objects = [schema, *schema["$defs"].values(), schema["$defs"]["amlc"]["properties"]["budget"]]
    keys = {name for node in objects for name in node["properties"]}
    assert len(keys) > 60
    assert [name for name in keys if f"`{name}`" not in first] == []
    assert "`trialCommand`, `trial_command`" in first


def test_every_command_has_its_help() -> None:
    for name, command in main.commands.items():
        _, _, section = PAGES["commands"].partition(f"## `amlc {name}`\n")
        assert f"Usage: amlc {name} " in section
        for option in command.params:
            for flag in option.opts:
                assert flag in section or not flag.startswith("-"), f"{name} {flag}"


@pytest.mark.parametrize("one", [*TUNERS, *ASSESSORS], ids=lambda one: one.name)
def test_every_argument_has_a_row(one) -> None:
    first = {row[0] for row in tables(PAGES["arguments"])}
    for name, argument in one.arguments.items():
        names = [f"{name}.{inner}" for inner in argument.nested] or [name]
        assert {f"`{each}`" for each in names} <= first or one.refused


@pytest.mark.parametrize("name", PAGES)
def test_tables_are_whole(name: str) -> None:
    assert {len(row) for row in tables(PAGES[name])} <= {4}


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([a-z/-]+)$", index, re.MULTILINE))
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert listed == written | {f"reference/{name}" for name in PAGES}


def test_ci_builds_the_site() -> None:
    assert "make docs" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "sphinx -W" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            generated = page.parent / target in {page.parent / "reference" / f"{name}.md" for name in PAGES}
            assert generated or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_generator_writes_only_what_changed(tmp_path) -> None:
    generate.write(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "keys.md").write_text("old", encoding="utf-8")
    subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), str(tmp_path)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"keys.md"}
    assert (tmp_path / "keys.md").read_text(encoding="utf-8") == PAGES["keys"]
