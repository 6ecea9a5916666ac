"""A config that never was a file."""

from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from amlc.config.values import document_of
from amlc.errors import ConfigError


class Mode(str, Enum):
    MINIMIZE = "minimize"


def test_values_become_those_of_a_file():
    given = {
        "a": (1, 2.5, None, True),
        "path": Path("x/y"),
        "numbers": np.arange(2),
        "one": np.float64(0.5),
        "whole": np.int32(3),
        "words": Mode.MINIMIZE,
        "inner": {"range": range(2)},
    }
    found = document_of(given, Path("here/experiment.yml"))
    assert found.file == Path("here/experiment.yml")
    assert found.data == {
        "a": [1, 2.5, None, True],
        "path": "x/y",
        "numbers": [0, 1],
        "one": 0.5,
        "whole": 3,
        "words": "minimize",
        "inner": {"range": [0, 1]},
    }
    assert [type(found.data[name]) for name in ("one", "whole", "words")] == [float, int, str]


def test_all_that_a_file_cannot_have_is_named_by_its_key():
    with pytest.raises(ConfigError) as refused:
        document_of({"tuner": {"classArgs": {"f": len}}, "searchSpace": {3: 1}, "x": [1j]}, Path("experiment.yml"))
    assert [(one.code, one.path) for one in refused.value.problems] == [
        ("E-key", "/searchSpace"),
        ("E-type", "/tuner/classArgs/f"),
        ("E-type", "/x/0"),
    ]
    assert str(refused.value.problems[0]) == "config /searchSpace: the key 3 is not text. Quote it: '3'. [E-key]"


@pytest.mark.parametrize("text", ["half \ud800", "nul \0", "\x1b[2J"])
def test_text_that_no_file_can_hold_is_refused_wherever_it_stands(text):
    given = {"trialCommand": text, "searchSpace": {text: {"_type": "choice", "_value": [text]}}}
    with pytest.raises(ConfigError) as refused:
        document_of(given, Path("experiment.yml"))
    assert {one.code for one in refused.value.problems} == {"E-text"}
    assert len(refused.value.problems) == 3


def test_what_holds_itself_is_refused():
    endless = {}
    endless["again"] = endless
    with pytest.raises(ConfigError, match="levels deep"):
        document_of(endless, Path("experiment.yml"))
