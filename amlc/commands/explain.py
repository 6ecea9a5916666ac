"""`amlc explain`: what a code of a message means, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from amlc.errors import UsageError, nearest, shorten
from amlc.resources import diagnostics_file

_HEADING: Final = re.compile(r"^## `([EWN]-[a-z-]+)`: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to say about a code, in Markdown; `title` is it in a few words."""

    code: str
    title: str
    text: str


@cache
def pages() -> Mapping[str, Page]:
    """Return the page of each code, in the order of the document."""
    text = diagnostics_file().read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {
        heading[1]: Page(heading[1], heading[2], text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    }


def explain(code: str) -> Page:
    """Return the page of a code, in whatever case, with or without its brackets."""
    known = pages()
    wanted = code.strip(" []").lower()
    found = next((name for name in known if name.lower() == wanted), None)
    if found is None:
        same = [name for name in known if name.lower().endswith(wanted[1:]) and wanted[1:2] == "-"]
        near = same[0] if same else nearest(wanted, known)
        hint = f"Did you mean '{near}'?" if near else "They stand at the end of messages."
        raise UsageError(
            f"'{shorten(code)}' is no code of amlc's. {hint} amlc explain lists all of them."
        )
    return known[found]
