"""GridSearch walks the grid in NNI 3.0's order, epoch by epoch."""

from __future__ import annotations

import math
import sys
from functools import partial
from itertools import islice

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amlc.space.canonical import canonical
from amlc.tuners import gridsearch

propose = partial(gridsearch.propose, history=(), count=sys.maxsize, allowed=lambda parameters: True)


def same(found: object, expected: object) -> bool:
    """Compare trials; numbers within 1e-9, since NNI's inverse of the normal distribution is another one."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(expected)
            and all(same(found[key], expected[key]) for key in expected)
        )
    if isinstance(expected, float):
        return isinstance(found, float) and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(expected) and found == expected


def assert_same(found: list, expected: list) -> None:
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert same(one, other), f"trial {number}"


EXACT = {
    "choice": ["choice", ["a", None, 2, {"k": 1}]],
    "choice with equal options": ["choice", [1, 1, 2]],
    "randint": ["randint", [2, 9]],
    "uniform": ["uniform", [-1, 2]],
    "quniform": ["quniform", [0, 10, 3]],
    "quniform that merges quantiles": ["quniform", [0, 1, 0.4]],
    "quniform of one value": ["quniform", [0.1, 0.2, 1]],
    "loguniform": ["loguniform", [1e-4, 0.1]],
    "qloguniform": ["qloguniform", [1, 9, 2]],
}
NORMAL = {
    "normal": ["normal", [1, 2]],
    "qnormal": ["qnormal", [0, 1, 0.5]],
    "lognormal": ["lognormal", [0, 1]],
    "qlognormal": ["qlognormal", [0, 1, 0.5]],
}


def one(kind: str, values: list) -> dict:
    return {"x": {"_type": kind, "_value": values}}


@pytest.mark.parametrize("case", EXACT)
def test_one_dimension_is_walked_as_by_nni(case, nni_trials, parsed) -> None:
    space = one(*EXACT[case])
    found = list(islice(propose(parsed(space), seed=0, args={}), 127))
    assert found == list(islice(nni_trials("GridSearch", space), len(found)))


@pytest.mark.parametrize("case", NORMAL)
def test_one_normal_dimension_is_walked_as_by_nni(case, nni_trials, parsed) -> None:
    space = one(*NORMAL[case])
    count = 15 if case.startswith("q") else 127  # the tails of a rounded one take NNI ever longer
    assert_same(
        list(islice(propose(parsed(space), seed=0, args={}), count)),
        list(islice(nni_trials("GridSearch", space), count)),
    )


SPACES = [
    pytest.param(
        {
            "x": {"_type": "choice", "_value": [5, 7]},
            "y": {"_type": "normal", "_value": [0, 1]},
            "z": {"_type": "quniform", "_value": [2, 3, 1]},
        },
        400,
        id="the example of NNI's documentation",
    ),
    pytest.param(
        {
            "u": {"_type": "uniform", "_value": [0, 1]},
            "c": {"_type": "choice", "_value": ["a", "b"]},
            "l": {"_type": "loguniform", "_value": [1e-3, 1]},
            "r": {"_type": "randint", "_value": [0, 3]},
        },
        1500,
        id="four epochs of two continuous dimensions",
    ),
    pytest.param(
        {
            "layer": {
                "_type": "choice",
                "_value": [
                    {"_name": "empty"},
                    {
                        "_name": "conv",
                        "k": {"_type": "choice", "_value": [3, 5]},
                        "r": {"_type": "uniform", "_value": [0, 1]},
                    },
                    {"_name": "pool", "q": {"_type": "quniform", "_value": [0, 4, 1]}},
                ],
            },
            "lr": {"_type": "quniform", "_value": [0, 1, 0.25]},
        },
        500,
        id="nested with a continuous branch",
    ),
    pytest.param(
        {
            "a": {
                "_type": "choice",
                "_value": [
                    {
                        "_name": "p",
                        "b": {
                            "_type": "choice",
                            "_value": [
                                {
                                    "_name": "s",
                                    "c": {
                                        "_type": "choice",
                                        "_value": [
                                            {"_name": "t", "d": {"_type": "quniform", "_value": [0, 2, 1]}},
                                            {"_name": "u"},
                                        ],
                                    },
                                },
                                {"_name": "v"},
                            ],
                        },
                    },
                    {"_name": "w", "e": {"_type": "randint", "_value": [0, 3]}},
                ],
            },
            "z": {"_type": "quniform", "_value": [0, 4, 1]},
        },
        10_000,
        id="nested three deep and finite",
    ),
]


@pytest.mark.parametrize(("space", "most"), SPACES)
def test_several_dimensions_are_walked_as_by_nni(space, most, nni_trials, parsed) -> None:
    found = list(islice(propose(parsed(space), seed=0, args={}), most))
    assert_same(found, list(islice(nni_trials("GridSearch", space), most)))
    assert len({canonical(trial) for trial in found}) == len(found)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        pytest.param("uniform", [0, 1], [0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875], id="uniform"),
        pytest.param("quniform", [0, 1, 0.25], [0.5, 0.25, 0.75, 0.0, 1.0], id="quniform"),
        pytest.param("quniform", [0, 10, 3], [6.0, 3.0, 0.0, 9.0], id="quniform that never reaches its end"),
        pytest.param("quniform", [1, 10, 2], [6.0, 4.0, 8.0, 2.0, 10.0, 1.0], id="quniform with a clipped start"),
        pytest.param("randint", [2, 6], [2, 3, 4, 5], id="randint"),
        pytest.param("normal", [0, 1], [0, -0.674490, 0.674490, -1.150349, -0.318639, 0.318639, 1.150349], id="normal"),
        pytest.param("qnormal", [0, 1, 0.5], [0.0, -0.5, 0.5, -1.0, 1.0, -1.5], id="qnormal"),
    ],
)
def test_parity_vectors_of_nni_3_0(kind, values, expected, parsed) -> None:
    found = [trial["x"] for trial in islice(propose(parsed(one(kind, values)), seed=0, args={}), len(expected))]
    assert found == pytest.approx(expected, abs=1e-6)
    if kind in ("quniform", "randint"):
        assert len(list(propose(parsed(one(kind, values)), seed=0, args={}))) == len(expected)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        pytest.param("qloguniform", [1, 9, 2], [4.0, 2.0, 6.0, 8.0, 9.0, 1.0], id="an end that only p = 1 reaches"),
        pytest.param("quniform", [0.1, 0.2, 1], [0.1], id="clipped to one value"),
        pytest.param("qnormal", [0, 0.01, 7], [0.0], id="steps beyond the tails of numbers"),
    ],
)
def test_a_rounded_dimension_ends_where_nni_searches_for_ever(kind, values, expected, parsed) -> None:
    assert [trial["x"] for trial in propose(parsed(one(kind, values)), seed=0, args={})] == expected


def test_a_huge_discrete_axis_is_walked_lazily(parsed) -> None:
    space = {"x": {"_type": "randint", "_value": [0, 2**62]}, "y": {"_type": "uniform", "_value": [0, 1]}}
    assert [trial["x"] for trial in islice(propose(parsed(space), seed=0, args={}), 3)] == [0, 1, 2]


def test_many_dimensions_are_no_problem(parsed) -> None:
    space = {f"p{i}": {"_type": "choice", "_value": [0, 1]} for i in range(1500)}
    first, second = islice(propose(parsed(space), seed=0, args={}), 2)
    assert set(first.values()) == {0}
    assert [name for name in space if first[name] != second[name]] == ["p1499"]


# --- spaces made by hypothesis --------------------------------------------------------------------------------------

STEPS = st.sampled_from([0.5, 1, 2.5, 4])
BOUNDS = st.tuples(st.integers(1, 9), st.integers(1, 12)).map(lambda t: [t[0], t[0] + t[1]])


def spec(kind: str, values: object) -> dict:
    return {"_type": kind, "_value": values}


LEAVES = st.one_of(
    st.lists(st.sampled_from(["a", 1, True, None]), min_size=1, max_size=3).map(lambda values: spec("choice", values)),
    BOUNDS.map(lambda bounds: spec("randint", bounds)),
    BOUNDS.map(lambda bounds: spec("uniform", bounds)),
    st.tuples(BOUNDS, STEPS).map(lambda t: spec("quniform", [*t[0], t[1]])),
    BOUNDS.map(lambda bounds: spec("loguniform", bounds)),
    st.tuples(BOUNDS, STEPS).map(lambda t: spec("qloguniform", [*t[0], t[1]])),
    BOUNDS.map(lambda bounds: spec("normal", bounds)),
)


def branches(inner: st.SearchStrategy) -> st.SearchStrategy:
    branch = st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)
    return st.lists(branch, min_size=1, max_size=3).map(
        lambda spaces: spec("choice", [{"_name": f"n{index}", **space} for index, space in enumerate(spaces)])
    )


ANY_SPACE = st.dictionaries(
    st.sampled_from(list("abc")), st.recursive(LEAVES, branches, max_leaves=5), min_size=1, max_size=3
)


@settings(
    max_examples=100, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(space=ANY_SPACE)
def test_any_space_is_walked_as_by_nni(space, nni_trials, parsed) -> None:
    found = list(islice(propose(parsed(space), seed=0, args={}), 80))
    assert_same(found, list(islice(nni_trials("GridSearch", space), len(found))))
