"""The columns of a space's parameters: which two have one in common."""

from __future__ import annotations

import pytest

from amlc.model import Choice, Integer, Space
from amlc.space.columns import shared

K = Integer("k", 0, 9)


def nested(name: str, *branches: Space) -> Choice:
    return Choice(name, tuple("ABC"[: len(branches)]), branches)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        pytest.param((nested("n", (K,), (K,)), Integer("n.m", 0, 9)), [], id="other names"),
        pytest.param((Choice("n", ("A", "B")), Integer("n.k", 0, 9)), [], id="a prefix that holds nothing"),
        pytest.param((Integer("n.k", 0, 9), nested("n", (K,), (K,))), ["n.k"] * 2, id="in each branch"),
        pytest.param((nested("n", (K,)), Integer("n.k", 0, 9)), ["n.k"], id="the nested one first"),
        pytest.param((nested("n", (K,)), Integer("n._name", 0, 9)), ["n._name"], id="the choice itself"),
        pytest.param((nested("a", (nested("n", (K,)),), (Integer("n.k", 0, 9),)),), [], id="never in one trial"),
        pytest.param(
            (nested("a", (nested("n", (K,)),), (nested("n", (K,)), Integer("n.k", 0, 9))),), ["a.n.k"], id="in one branch"
        ),
        pytest.param((Choice("n", ({"k": 1}, {"m": 1})), Integer("n.k", 0, 9)), ["n.k"], id="in an option"),
    ],
)
def test_two_parameters_of_one_trial_share_a_column(space, expected):
    assert [column for _, _, column in shared(space)] == expected
