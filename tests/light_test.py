"""Values of which there may be a million: as frozen ones are, but for what it costs to make them."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from amlc.light import light, parse
from amlc.model import Trial


def pair(declared: Callable[..., Any]) -> Any:
    @declared(frozen=True, slots=True)
    class Pair:
        x: int
        y: int = 3

    return Pair


def test_they_are_equal_hash_and_print_as_frozen_ones() -> None:
    one, other = pair(dataclass), pair(light)
    assert hash(one(1)) == hash(other(1))
    assert other(1) == other(1, 3) != other(1, 4)
    assert repr(one(1)) == repr(other(1))


def test_json_has_nothing_behind_it() -> None:
    assert parse('{"x":[1,null]}') == {"x": [1, None]}
    for text in ("{} ", "{}{}", ""):
        with pytest.raises(ValueError, match=r"^\{\}|Expecting value"):
            parse(text)


def unread() -> Trial:
    trial = Trial.unread("t1", "7", '{"x":{"y":1.5}}')
    assert trial is not None
    return trial


READ = Trial("t1", 7, {"x": {"y": 1.5}})


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda one: one, id="itself"),
        pytest.param(copy.deepcopy, id="copied"),
        pytest.param(lambda one: pickle.loads(pickle.dumps(one)), id="pickled"),
        pytest.param(replace, id="replaced"),
        pytest.param(lambda one: Trial(*(getattr(one, field.name) for field in fields(one))), id="field by field"),
    ],
)  # fmt: skip
def test_an_unread_value_is_the_one_that_was_written(made) -> None:
    assert made(unread()) == READ
    assert repr(made(unread())) == repr(READ)


def test_what_it_does_not_have_is_said_as_ever() -> None:
    assert not hasattr(READ, "text")
    with pytest.raises(AttributeError, match="Trial has no 'parameter'"):
        unread().parameter  # noqa: B018 - its error
