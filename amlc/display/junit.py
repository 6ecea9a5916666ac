"""Write what a command found as JUnit's XML: a test case for each thing that it looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from amlc.display.formats import Case, Findings
from amlc.errors import Problem, Severity

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def written(findings: Findings) -> Iterator[str]:
    """Yield the document: a suite for each group of cases."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites name={_attribute(f'amlc {findings.command}')}>\n"
    for group, cases in groupby(findings.cases, lambda case: case.group):
        yield from _suite(group, list(cases))
    yield "</testsuites>\n"


def _suite(group: str, cases: Sequence[Case]) -> Iterator[str]:
    failures = sum(bool(_errors(case)) for case in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="0"'
    yield f" <testsuite name={_attribute(group)} {counts}>\n"
    for case in cases:
        yield f"  <testcase classname={_attribute(group)} name={_attribute(case.name)}>\n"
        errors = _errors(case)
        if errors:
            kind, message = _attribute(errors[0].code), _attribute(errors[0].message)
            text = _text("\n".join(map(str, errors)))
            yield f"   <failure type={kind} message={message}>{text}</failure>\n"
        others = [problem for problem in case.problems if problem not in errors]
        if others:
            yield f"   <system-out>{_text(chr(10).join(map(str, others)))}</system-out>\n"
        yield "  </testcase>\n"
    yield " </testsuite>\n"


def _errors(case: Case) -> list[Problem]:
    return [problem for problem in case.problems if problem.severity is Severity.ERROR]


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
