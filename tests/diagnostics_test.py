"""The codes of problems: docs/diagnostics.md lists each with a message that is recorded; AMLC_GOLDEN=1 rewrites it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "diagnostics.md"
RAISED = re.compile(r"\"([EWN]-[a-z-]*(?:\{kind\})?[a-z-]*)\"")
MESSAGE = re.compile(
    r"\S+:\d+:\d+(?: /\S*)?: (?:warning: |note: )?(?P<text>.*) \[(?P<code>[EWN]-[a-z-]+)\]", re.MULTILINE
)
HEAD = """\
# The codes of problems

Each problem that amlc finds in an experiment file ends with a code, which stays when the words change; `--format json`
and `--format github` carry it, too. E is an error, W a warning, N a note. The examples are from amlc's own tests.

| code | for example | where it is decided |
|---|---|---|
"""


def raised() -> dict[str, set[str]]:
    """The codes that stand in the code, each with its modules."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "amlc").rglob("*.py")):
        for code in RAISED.findall(path.read_text(encoding="utf-8")):
            for kind in ("tuner", "assessor"):
                found.setdefault(code.replace("{kind}", kind), set()).add(path.relative_to(ROOT).as_posix())
    del found["E-refused"]  # what a class of errors has; each of its own says better
    return found


def recorded() -> Iterator[tuple[str, str]]:
    """The codes of all recorded messages, each with the message."""
    for path in sorted([*ROOT.glob("tests/invalid/**/*.txt"), *ROOT.glob("tests/refused/*.txt")]):
        for found in MESSAGE.finditer(path.read_text(encoding="utf-8")):
            yield found["code"], found["text"]


def page() -> str:
    shortest: dict[str, str] = {}
    for code, text in recorded():
        shortest[code] = min(shortest.get(code, text), text, key=lambda text: (len(text), text))
    rows = []
    for code, modules in sorted(raised().items(), key=lambda item: ("EWN".index(item[0][0]), item[0])):
        text = shortest.get(code, "").replace("|", "\\|")
        rows.append(f"| `{code}` | {text} | {', '.join(f'`{module}`' for module in sorted(modules))} |\n")
    return HEAD + "".join(rows)


@pytest.mark.golden
def test_the_page_has_every_code_with_a_message() -> None:
    if os.environ.get("AMLC_GOLDEN") == "1":
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_code_that_is_raised_is_recorded_and_the_other_way_round() -> None:
    assert raised().keys() == {code for code, _ in recorded()}
