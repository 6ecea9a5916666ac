"""Write what a command found as SARIF 2.1.0, the format of code scanning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from amlc import __version__
from amlc.commands.explain import Page, pages
from amlc.display.formats import Findings
from amlc.errors import Problem

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"  # what the viewer replaces by the folder of the checkout


def written(findings: Findings) -> Iterator[str]:
    """Yield the log, which has one run."""
    codes = sorted({problem.code for problem in findings.problems})
    known = pages()
    driver = {
        "name": "amlc",
        "version": __version__,
        "rules": [_rule(code, known.get(code)) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, codes.index(problem.code)) for problem in findings.problems],
    }
    yield json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)
    yield "\n"


def _rule(code: str, page: Page | None) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": code}
    if page is not None:
        rule["shortDescription"] = {"text": page.title}
        rule["help"] = {"text": page.text, "markdown": page.text}
    return rule


def _result(problem: Problem, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity.value,
        "message": {"text": problem.message},
    }
    place = problem.position
    if place.line:
        physical = {
            "artifactLocation": _artifact(place.file),
            "region": {"startLine": place.line, "startColumn": place.column},
        }
        location: dict[str, Any] = {"physicalLocation": physical}
        if problem.path:
            location["logicalLocations"] = [{"fullyQualifiedName": problem.path}]
        result["locations"] = [location]
    return result


def _artifact(file: Path) -> dict[str, str]:
    if file.is_absolute():
        return {"uri": file.as_uri()}
    return {"uri": quote(file.as_posix()), "uriBaseId": _ROOT}
