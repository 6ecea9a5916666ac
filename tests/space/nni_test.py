"""Writing a space as NNI's mapping is the inverse of reading it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.model import Document
from amlc.space.nni import nni_space
from amlc.space.parse import parse_space

SPACES = {
    "flat": {
        "c": {"_type": "choice", "_value": ["a", 1, 1.5, True, None, [1, 2], {"x": {"y": 0}}]},
        "i": {"_type": "randint", "_value": [-3, 40]},
        "u": {"_type": "uniform", "_value": [-1, 0.5]},
        "qu": {"_type": "quniform", "_value": [0, 1, 0.3]},
        "lu": {"_type": "loguniform", "_value": [1e-7, 0.1]},
        "qlu": {"_type": "qloguniform", "_value": [1, 1000, 7]},
        "n": {"_type": "normal", "_value": [3, 0.5]},
        "qn": {"_type": "qnormal", "_value": [0, 1, 0.01]},
        "ln": {"_type": "lognormal", "_value": [-2, 1.5]},
        "qln": {"_type": "qlognormal", "_value": [1, 1e300, 0.5]},
    },
    "nested": {
        "outer": {
            "_type": "choice",
            "_value": [
                {"_name": "bare"},
                {"_name": "deep", "inner": {"_type": "choice", "_value": [{"_name": "p"}, {"_name": "q"}]}},
                {"_name": "wide", "k": {"_type": "randint", "_value": [1, 9]}, "l": {"_type": "choice", "_value": [0]}},
            ],
        }
    },
    "empty": {},
}


def parse(space, tuner="Random"):
    found, problems = parse_space(Document(Path("space.json"), space, {}, {}), (), tuner=tuner)
    assert not problems
    return found


@pytest.mark.parametrize("name", SPACES)
def test_writing_is_the_inverse_of_reading(name):
    assert nni_space(parse(SPACES[name])) == SPACES[name]
    assert list(nni_space(parse(SPACES[name]))) == list(SPACES[name])


def test_the_space_of_batch_is_written_as_it_was():
    space = {"combine_params": {"_type": "choice", "_value": [{"a": 1}, {"a": 2, "b": "x"}]}}
    assert nni_space(parse(space, "Batch")) == space


_bounds = st.floats(1e-300, 1e300).flatmap(lambda a: st.tuples(st.just(a), st.floats(a, 1e301, exclude_min=True)))
_kinds = st.sampled_from(["uniform", "loguniform", "quniform", "qloguniform", "normal", "qnormal", "lognormal"])


@given(_kinds, _bounds, st.floats(1e-9, 1e9))
def test_any_numbers_are_read_back_as_they_were(kind, bounds, q):
    space = parse({"x": {"_type": kind, "_value": [*bounds, *([q] if kind.startswith("q") else [])]}})
    assert parse(nni_space(space)) == space


def test_what_a_class_does_to_its_mapping_changes_nothing_here():
    space = parse(SPACES["flat"])
    written = nni_space(space)
    written["c"]["_value"][5].append(3)
    assert nni_space(space) == SPACES["flat"]


@pytest.mark.parametrize("numbers", [[0, 1], [0.0, 1.0]])
def test_whole_numbers_are_written_as_int(numbers):
    [low, high] = nni_space(parse({"x": {"_type": "uniform", "_value": numbers}}))["x"]["_value"]
    assert (type(low), type(high)) == (int, int)
