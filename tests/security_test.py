"""SECURITY.md: each test that it names is there, and none of its claims is without one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_every_test_that_the_page_names_is_there() -> None:
    missing = []
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if name and name not in known:
            missing.append(f"{file}::{name}")
    assert not missing
    assert len(NAMED) > 20


def test_every_row_and_every_secret_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| file ")]
    assert len(rows) >= 10
    assert [row for row in rows if "::test_" not in row] == []
    secrets = PAGE.partition("## How secrets travel\n")[2].partition("\n## ")[0]
    claims = re.split(r"^- ", secrets, flags=re.MULTILINE)[1:]
    assert [claim for claim in claims if "::test_" not in claim] == []
