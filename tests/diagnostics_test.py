"""The codes of problems: docs/diagnostics.md has a page for each, with a message that is recorded.

AMLC_GOLDEN=1 writes the messages anew; what else stands there, people write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "diagnostics.md"
RAISED = re.compile(r"\"([EWN]-[a-z-]*(?:\{kind\})?[a-z-]*)\"")
MESSAGE = re.compile(
    r"\S+(?::\d+:\d+)?(?: /\S*)?: (?:warning: |note: )?(?P<text>.*) \[(?P<code>[EWN]-[a-z-]+)\]", re.MULTILINE
)
PAGE = re.compile(
    r"^## `(?P<code>[EWN]-[a-z-]+)`: (?P<title>.+)\n\n(?P<means>(?:.+\n)+)\n"
    r"```text\n(?P<example>(?:.*\n)*?)```\n\n\*\*To mend it:\*\* (?P<mend>(?:.+\n)+)",
    re.MULTILINE,
)


def raised() -> set[str]:
    """The codes that stand in the code."""
    found: set[str] = set()
    for path in sorted((ROOT / "amlc").rglob("*.py")):
        for code in RAISED.findall(path.read_text(encoding="utf-8")):
            found |= {code.replace("{kind}", kind) for kind in ("tuner", "assessor")}
    return found - {"E-refused"}  # what a class of errors has; each of its own says better


def recorded() -> Iterator[tuple[str, str]]:
    """The codes of all recorded messages, each with the message."""
    for folder in ("invalid", "refused", "reported"):
        for path in sorted((ROOT / "tests" / folder).rglob("*.txt")):
            for found in MESSAGE.finditer(path.read_text(encoding="utf-8")):
                yield found["code"], found[0]


def shortest() -> dict[str, str]:
    """The shortest recorded message of each code."""
    found: dict[str, str] = {}
    for code, text in recorded():
        found[code] = min(found.get(code, text), text, key=lambda text: (len(text), text))
    return found


def with_examples(text: str) -> str:
    """The pages with the messages as they are recorded now."""
    examples = shortest()

    def renewed(page: re.Match[str]) -> str:
        start, end = page.start("example") - page.start(), page.end("example") - page.start()
        return f"{page[0][:start]}{examples[page['code']]}\n{page[0][end:]}"

    return PAGE.sub(renewed, text)


@pytest.mark.golden
def test_the_messages_on_the_pages_are_those_recorded() -> None:
    text = PAGES.read_text(encoding="utf-8")
    if os.environ.get("AMLC_GOLDEN") == "1":
        PAGES.write_text(with_examples(text), encoding="utf-8")
        return
    assert text == with_examples(text)


def test_every_code_has_a_page_in_order() -> None:
    text = PAGES.read_text(encoding="utf-8")
    codes = [page["code"] for page in PAGE.finditer(text)]
    assert codes == sorted(raised(), key=lambda code: ("EWN".index(code[0]), code))
    assert len(codes) == text.count("\n## "), "a page is not of the form that the others have"


def test_every_code_that_is_raised_is_recorded_and_the_other_way_round() -> None:
    assert raised() == {code for code, _ in recorded()}
