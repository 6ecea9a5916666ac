"""The ranges that are proposed are ones that NNI takes, and have the script's default in them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.config.load import parse_document
from amlc.errors import Severity
from amlc.space.parse import parse_space
from amlc.starting.script import Parameter
from amlc.starting.space import proposed


@pytest.mark.parametrize(
    ("parameter", "kind", "values"),
    [
        ({"name": "lr", "default": 0.01}, "loguniform", [0.001, 0.1]),
        ({"name": "learning_rate", "default": 0.1}, "loguniform", [0.01, 1.0]),
        ({"name": "dropout", "default": 0.5}, "uniform", [0.0, 1.0]),
        ({"name": "scale", "default": 3.0}, "uniform", [1.5, 6.0]),
        ({"name": "shift", "default": -2.0}, "uniform", [-4.0, -1.0]),
        ({"name": "batch_size", "default": 64}, "choice", [32, 64, 128]),
        ({"name": "layers", "default": 3}, "randint", [1, 7]),
        ({"name": "depth", "default": 1}, "choice", [1, 2]),
        ({"name": "width", "kind": float, "default": 4}, "uniform", [2.0, 8.0]),
        ({"name": "bias", "kind": bool, "default": False}, "choice", [True, False]),
        ({"name": "opt", "choices": ("sgd", "adam"), "default": "sgd"}, "choice", ["sgd", "adam"]),
        ({"name": "mode", "default": "fast"}, "choice", ["fast"]),
        ({"name": "weight_decay"}, "loguniform", [1e-6, 0.01]),
        ({"name": "hidden_size"}, "choice", [32, 64, 128, 256]),
        ({"name": "k", "kind": int}, "randint", [1, 10]),
        ({"name": "q"}, "uniform", [0, 1]),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_range_is_proposed(parameter, kind, values):
    made, remark = proposed(Parameter(line=1, **parameter))
    assert made == {"_type": kind, "_value": values}
    assert remark


@given(
    st.sampled_from(["lr", "x", "rate", "units"]),
    st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.booleans() | st.text(min_size=1) | st.none(),
    st.sampled_from([None, int, float, bool, str]),
)
def test_every_range_is_one_of_nni_s(name, default, kind):
    made, _ = proposed(Parameter(name=name, line=1, default=default, kind=kind))
    document = parse_document(json.dumps({name: made}), Path("space.json"))
    space, problems = parse_space(document, (), tuner="TPE")
    assert [problem for problem in problems if problem.severity is Severity.ERROR] == []
    assert len(space) == 1
