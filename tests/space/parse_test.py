"""Search spaces become dimensions; tests/invalid holds what is said of bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amlc.config.load import parse_document
from amlc.errors import Severity
from amlc.model import Choice, Integer, Real, Space
from amlc.space.parse import parse_space
from tests.conftest import work


def parse(space: Any, *, tuner: str | None = "Random") -> Space:
    document = parse_document(json.dumps({"at": [space]}), Path("x.json"))
    found, problems = parse_space(document, ("at", 0), tuner=tuner)
    assert not [problem for problem in problems if problem.severity is Severity.ERROR]
    return found


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("choice", [1, "a", None, True, [1], {"x": 1}], Choice("p", (1, "a", None, True, [1], {"x": 1}))),
        ("randint", [0, 10], Integer("p", 0, 10)),
        ("randint", [0.5, 3.2], Integer("p", 1, 4)),
        ("randint", [-2.0, "3"], Integer("p", -2, 3)),
        ("randint", [2**62, 2**63], Integer("p", 2**62, 2**63)),
        ("uniform", [0, 1], Real("p", 0.0, 1.0)),
        ("uniform", [0.1, 0.1], Real("p", 0.1, 0.1)),
        ("quniform", [2, 2, 5], Real("p", 2.0, 2.0, q=5.0)),
        ("qloguniform", [2, 2, 1], Real("p", 2.0, 2.0, log=True, q=1.0)),
        ("quniform", [0, 10, 3], Real("p", 0.0, 10.0, q=3.0)),
        ("quniform", [0, 1, 5], Real("p", 0.0, 1.0, q=5.0)),
        ("loguniform", [1e-4, 1e-1], Real("p", 1e-4, 1e-1, log=True)),
        ("loguniform", ["1e-4", "1E-1"], Real("p", 1e-4, 1e-1, log=True)),
        ("qloguniform", [1, 100, 5], Real("p", 1.0, 100.0, log=True, q=5.0)),
        ("normal", [5, 2], Real("p", 5.0, 2.0, normal=True)),
        ("qnormal", [-5, 2, 0.5], Real("p", -5.0, 2.0, normal=True, q=0.5)),
        ("lognormal", [-1, 0.5], Real("p", -1.0, 0.5, normal=True, log=True)),
        ("qlognormal", [0, 1, 1], Real("p", 0.0, 1.0, normal=True, log=True, q=1.0)),
    ],
)
def test_each_type(kind: str, value: list[Any], expected: Any) -> None:
    assert parse({"p": {"_type": kind, "_value": value}}) == (expected,)


def test_dimensions_keep_the_order_of_the_file() -> None:
    names = ["z", "a", "_name", "10", "É", "a b", "a/b"]
    assert [
        dimension.name for dimension in parse({name: {"_type": "choice", "_value": [1]} for name in names})
    ] == names


def test_nested_choice_has_a_space_for_each_option() -> None:
    layer = {
        "_type": "choice",
        "_value": [
            {"_name": "empty"},
            {"_name": "conv", "k": {"_type": "choice", "_value": [1, 3]}, "a": {"_type": "randint", "_value": [1, 5]}},
        ],
    }
    conv = (Choice("k", (1, 3)), Integer("a", 1, 5))
    assert parse({"layer": layer}) == (Choice("layer", ("empty", "conv"), ((), conv)),)


@pytest.mark.parametrize("options", [[{"_name": "x"}, {"k": 1}], [{"_name": "x"}, 3], [{"k": 1}]])
def test_options_of_which_not_all_have_names_are_plain_values(options: list[Any]) -> None:
    assert parse({"p": {"_type": "choice", "_value": options}}) == (Choice("p", tuple(options)),)


def test_ninety_levels_of_nesting() -> None:
    space: dict[str, Any] = {"leaf": {"_type": "choice", "_value": [1]}}
    for _ in range(90):
        space = {"level": {"_type": "choice", "_value": [{"_name": "deeper", **space}]}}
    found = parse(space)
    for _ in range(90):
        assert isinstance(found[0], Choice)
        found = found[0].branches[0]
    assert found == (Choice("leaf", (1,)),)


@pytest.mark.parametrize("tuner", ["Random", "TPE", None])
def test_an_empty_space_is_fine_where_one_trial_makes_sense(tuner: str | None) -> None:
    assert parse({}, tuner=tuner) == ()


def test_batch_takes_its_options_as_they_stand() -> None:
    rows = [{"lr": 1, "_name": "x"}, {"lr": 2, "nested": {"_type": "bogus"}}]
    assert parse({"any": {"_type": "choice", "_value": rows}}, tuner="Batch") == (Choice("any", tuple(rows)),)


def test_batch_takes_plain_values() -> None:
    assert parse({"a": {"_type": "choice", "_value": ["cat", 1, None]}}, tuner="Batch") == (
        Choice("a", ("cat", 1, None)),
    )


def test_huge_choices_stay_linear() -> None:
    def calls(count: int) -> int:
        document = parse_document(json.dumps({"p": {"_type": "choice", "_value": list(range(count))}}), Path("x"))
        return work(lambda: parse_space(document, (), tuner="Random"))

    assert calls(80_000) < 10 * calls(10_000)
