"""Files with problems, each with the exact messages beside it; AMLC_GOLDEN=1 rewrites them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from amlc.config import load_experiment
from amlc.config.given import settings
from amlc.errors import ConfigError, Problem

INVALID = Path(__file__).parent.parent / "invalid"
CASES = sorted([*INVALID.glob("*.yml"), *INVALID.glob("*/experiment.yml")])


def expected_file(case: Path) -> Path:
    return case.parent / "problems.txt" if case.name == "experiment.yml" else case.with_suffix(".txt")


def found_in(case: Path) -> tuple[Problem, ...]:
    head = case.read_bytes().split(b"\n")[0]
    backend = "local" if head == b"# backend: local" else None
    given = settings(head[6:].decode().split()) if head.startswith(b"# set ") else {}
    untrusted = head == b"# untrusted"
    try:
        _, found = load_experiment(case, backend=backend, environ={}, untrusted=untrusted, given=given)
    except ConfigError as error:
        return error.problems
    return found


def problems(case: Path) -> str:
    return "".join(f"{problem}\n" for problem in found_in(case))


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(INVALID).with_suffix("")))
def test_problems_are_exactly_those_recorded(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INVALID)
    found = problems(case.relative_to(INVALID))
    expected = expected_file(case)
    if os.environ.get("AMLC_GOLDEN") == "1":
        expected.write_text(found, encoding="utf-8")
    assert found, "the file has no problem"
    assert expected.read_text(encoding="utf-8") == found


@pytest.mark.parametrize("case", sorted(INVALID.glob("yaml-*.yml")), ids=lambda case: case.stem)
def test_no_message_depends_on_the_words_of_the_yaml_reader(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*arguments: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from found(*arguments, **options)
        except yaml.MarkedYAMLError as error:
            raise type(error)("other", error.context_mark, "words", error.problem_mark, "here") from None

    found = yaml.parse
    monkeypatch.setattr(yaml, "parse", parse)
    monkeypatch.chdir(INVALID)
    assert expected_file(case).read_text(encoding="utf-8") == problems(case.relative_to(INVALID))


def test_every_recorded_message_has_its_file() -> None:
    recorded = {*INVALID.glob("*.txt"), *INVALID.glob("*/problems.txt")}
    assert recorded == {expected_file(case) for case in CASES}


SAYS = {
    "found": re.compile(r"\bgot \S|\bunknown (key|_type|platform)"),
    "expected": re.compile(r"\bmust\b|, got \S|\bis expected\b|\bunknown (key|_type|platform)|\bneeds '"),
    "hint": re.compile(r"\. (?=[A-Z]|`)(?!Known|1e)"),
}
"""What a message says when it has a part."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(INVALID).with_suffix("")))
def test_what_a_message_says_is_a_field_too(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INVALID)
    for problem in found_in(case.relative_to(INVALID)):
        missing = [name for name, says in SAYS.items() if says.search(problem.message) and getattr(problem, name) is None]
        assert not missing, problem
        assert problem.message.endswith(problem.hint or "")


def test_most_messages_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INVALID)
    every = {problem.message: problem for case in CASES for problem in found_in(case.relative_to(INVALID))}
    assert sum(problem.hint is not None for problem in every.values()) > 0.95 * len(every) > 400
