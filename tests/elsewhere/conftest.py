"""A search space with every corner, for trials from elsewhere."""

import pytest

from amlc.model import Document
from amlc.space.parse import parse_space

SPACE = {
    "lr": {"_type": "loguniform", "_value": [0.001, 1]},
    "units": {"_type": "quniform", "_value": [2, 32, 2]},
    "depth": {"_type": "randint", "_value": [1, 6]},
    "odd": {"_type": "choice", "_value": [0.5, 1.0, True, "one", None, "a,b"]},
    "layer": {
        "_type": "choice",
        "_value": [{"_name": "flat"}, {"_name": "conv", "k": {"_type": "choice", "_value": [3, 5]}}],
    },
}
FIRST = {"lr": 0.01, "units": 16.0, "depth": 2, "odd": 1.0, "layer": {"_name": "flat"}}
SECOND = {"lr": 0.5, "units": 2.0, "depth": 5, "odd": "a,b", "layer": {"_name": "conv", "k": 5}}


@pytest.fixture
def space(tmp_path):
    found, problems = parse_space(Document(tmp_path / "space.json", SPACE, {}, {}), (), tuner=None)
    assert not problems
    return found
