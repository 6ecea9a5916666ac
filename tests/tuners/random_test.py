"""Random draws are those of NNI 3.0's Random tuner, bit for bit."""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amlc.model import Record
from amlc.tuners import random

propose = partial(random.propose, history=(), count=sys.maxsize, allowed=lambda parameters: True)

ALL_TYPES = {
    "choice": {"_type": "choice", "_value": ["a", 1, 1.5, True, None, [1, 2], {"x": {"y": 0}}]},
    "randint": {"_type": "randint", "_value": [-3, 40]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "loguniform": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
    "normal": {"_type": "normal", "_value": [3, 0.5]},
    "qnormal": {"_type": "qnormal", "_value": [0, 1, 0.01]},
    "lognormal": {"_type": "lognormal", "_value": [-2, 1.5]},
    "qlognormal": {"_type": "qlognormal", "_value": [1, 1, 0.5]},
    "nested": {
        "_type": "choice",
        "_value": [
            {"_name": "bare"},
            {"_name": "dense", "units": {"_type": "randint", "_value": [1, 9]}},
            {"_name": "conv", "rate": {"_type": "loguniform", "_value": [1e-3, 1]}},
        ],
    },
}
DEEP = {
    "outer": {
        "_type": "choice",
        "_value": [
            {"_name": "none"},
            {
                "_name": "one",
                "q": {"_type": "quniform", "_value": [0, 2, 1]},
                "inner": {
                    "_type": "choice",
                    "_value": [
                        {
                            "_name": "p",
                            "leaf": {
                                "_type": "choice",
                                "_value": [{"_name": "l"}, {"_name": "m", "z": {"_type": "randint", "_value": [0, 2]}}],
                            },
                        },
                        {"_name": "r", "k": {"_type": "choice", "_value": [1, 2]}},
                    ],
                },
            },
        ],
    },
    "last": {"_type": "choice", "_value": [0, 1]},
}


@pytest.mark.parametrize("seed", [0, 1, 20261122, 2**40])
@pytest.mark.parametrize("kind", list(ALL_TYPES))
def test_one_dimension_is_drawn_as_by_nni(kind, seed, nni_trials, parsed) -> None:
    space = {"x": ALL_TYPES[kind]}
    expected = list(islice(nni_trials("Random", space, seed=seed), 250))
    assert list(islice(propose(parsed(space), seed=seed, args={}), 250)) == expected


@pytest.mark.parametrize("seed", [0, 7])
def test_all_types_together_are_drawn_as_by_nni(seed, nni_trials, parsed) -> None:
    found = list(islice(propose(parsed(ALL_TYPES), seed=seed, args={}), 300))
    assert found == list(islice(nni_trials("Random", ALL_TYPES, seed=seed), 300))
    assert [list(trial) for trial in found] == [list(ALL_TYPES)] * 300


@pytest.mark.parametrize("seed", range(5))
def test_a_finite_space_of_depth_three_is_exhausted_as_by_nni(seed, nni_trials, parsed) -> None:
    expected = list(nni_trials("Random", DEEP, seed=seed))
    # bare: 1; one: q has 3 values, inner p has leaf l or m (2 values of z), inner r has 2; all times `last`
    assert len(expected) == (1 + 3 * (1 + 2 + 2)) * 2
    assert list(propose(parsed(DEEP), seed=seed, args={})) == expected


def test_parity_vector_of_nni_3_0(parsed) -> None:
    space = {
        "lr": {"_type": "loguniform", "_value": [1e-4, 1e-1]},
        "q": {"_type": "quniform", "_value": [0, 1, 0.3]},
        "r": {"_type": "randint", "_value": [0, 10]},
        "c": {"_type": "choice", "_value": ["a", "b"]},
        "n": {"_type": "qnormal", "_value": [0, 1, 0.5]},
    }
    assert list(islice(propose(parsed(space), seed=0, args={}), 3)) == [
        {"lr": 0.008144886973076106, "q": 0.3, "r": 3, "c": "a", "n": 0.0},
        {"lr": 0.027530285650729847, "q": 0.8999999999999999, "r": 5, "c": "b", "n": 1.0},
        {"lr": 0.004274398161693905, "q": 0.8999999999999999, "r": 2, "c": "b", "n": 0.0},
    ]


def test_values_are_plain_json_types(parsed) -> None:
    kinds = {"choice": "a", "randint": 1, "uniform": 1.0, "quniform": 1.0, "normal": 1.0, "qlognormal": 1.0}
    for trial in islice(propose(parsed(ALL_TYPES), seed=3, args={}), 50):
        assert {name: type(trial[name]) for name in kinds if name != "choice"} == {
            name: type(value) for name, value in kinds.items() if name != "choice"
        }


@pytest.mark.parametrize(
    ("space", "count"),
    [
        pytest.param({}, 1, id="empty"),
        pytest.param({"a": {"_type": "choice", "_value": [1]}}, 1, id="one option"),
        pytest.param({"a": {"_type": "choice", "_value": [1, 1, 2]}}, 2, id="equal options are one trial"),
        pytest.param(
            {"a": {"_type": "choice", "_value": [1, 1.0, True, "1"]}}, 4, id="options that Python finds equal"
        ),
        pytest.param({"a": {"_type": "quniform", "_value": [2, 10, 5]}}, 3, id="clipped"),
        pytest.param({"a": {"_type": "randint", "_value": [0.5, 3.2]}}, 3, id="float bounds"),
    ],
)
def test_a_finite_space_gives_every_trial_once(space, count, nni_trials, parsed) -> None:
    found = list(propose(parsed(space), seed=5, args={}))
    assert list(map(repr, found)) == list(map(repr, nni_trials("Random", space, seed=5)))
    assert len({repr(trial) for trial in found}) == len(found) == count


def test_the_seed_argument_decides_whatever_the_tuners_own_says(parsed) -> None:
    space = parsed({"x": {"_type": "uniform", "_value": [0, 1]}})
    assert next(propose(space, seed=1, args={"seed": 2})) == next(propose(space, seed=1, args={}))


def test_the_sequence_goes_on_behind_its_history(parsed) -> None:
    for space in (ALL_TYPES, DEEP):
        whole = list(islice(propose(parsed(space), seed=4, args={}), 30))
        history = [Record(parameters=parameters) for parameters in whole[:11]]
        imported = Record(parameters=whole[0], imported=True)
        following = propose(parsed(space), seed=4, args={}, history=[imported, *history], count=12)
        assert list(following) == whole[11:23]


def test_a_huge_space_is_drawn_from_without_listing_it(parsed) -> None:
    space = parsed({name: {"_type": "randint", "_value": [0, 2**62]} for name in "abcdef"})
    assert len(list(islice(propose(space, seed=0, args={}), 100))) == 100


# --- spaces made by hypothesis --------------------------------------------------------------------------------------

OPTIONS = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b", "é", ""]), st.booleans(), st.none(), st.floats(0, 1))
NUMBERS = st.floats(-50, 50).map(lambda x: round(x, 3))
WIDTHS = st.floats(0.01, 40).map(lambda x: round(x, 3))
STEPS = st.sampled_from([0.1, 0.25, 0.3, 1, 2.5, 7])


def spec(kind: str, values: object) -> dict[str, object]:
    return {"_type": kind, "_value": values}


LEAVES = st.one_of(
    st.lists(OPTIONS, min_size=1, max_size=4).map(lambda values: spec("choice", values)),
    st.tuples(st.integers(-20, 20), st.integers(1, 30)).map(lambda t: spec("randint", [t[0], t[0] + t[1]])),
    st.tuples(NUMBERS, WIDTHS).map(lambda t: spec("uniform", [t[0], t[0] + t[1]])),
    st.tuples(NUMBERS, WIDTHS, STEPS).map(lambda t: spec("quniform", [t[0], t[0] + t[1], t[2]])),
    st.tuples(WIDTHS, WIDTHS).map(lambda t: spec("loguniform", [t[0], t[0] + t[1]])),
    st.tuples(WIDTHS, WIDTHS, STEPS).map(lambda t: spec("qloguniform", [t[0], t[0] + t[1], t[2]])),
    st.tuples(NUMBERS, WIDTHS).map(lambda t: spec("normal", list(t))),
    st.tuples(NUMBERS, WIDTHS).map(lambda t: spec("qnormal", [*t, t[1] / 16])),
    st.tuples(st.floats(-2, 2), st.floats(0.1, 2)).map(lambda t: spec("lognormal", list(t))),
    st.tuples(st.floats(-2, 2), st.floats(0.5, 2)).map(lambda t: spec("qlognormal", [*t, 0.01])),
)


def branches(inner: st.SearchStrategy) -> st.SearchStrategy:
    branch = st.dictionaries(st.sampled_from(["x", "y", "k"]), inner, max_size=2)
    return st.lists(branch, min_size=1, max_size=3).map(
        lambda spaces: spec("choice", [{"_name": f"n{index}", **space} for index, space in enumerate(spaces)])
    )


SPACES = st.dictionaries(
    st.sampled_from(list("abcde")), st.recursive(LEAVES, branches, max_leaves=6), min_size=1, max_size=4
)


def rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.9g}") if isinstance(value, float) else value


@settings(
    max_examples=100, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(space=SPACES, seed=st.integers(0, 2**32))
def test_any_space_is_drawn_as_by_nni(space, seed, nni_trials, parsed) -> None:
    found = list(islice(propose(parsed(space), seed=seed, args={}), 60))
    expected = list(islice(nni_trials("Random", space, seed=seed), len(found)))
    if "normal" in repr(space):  # where the grid stands in for a repeated draw, NNI inverts the distribution otherwise
        assert list(map(rounded, found)) == list(map(rounded, expected))
    else:
        assert found == expected
