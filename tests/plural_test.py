"""A number and what it counts."""

import pytest

from amlc.plural import plural


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("trial",), "0 trials"),
        (1, ("trial",), "1 trial"),
        (2, ("trial",), "2 trials"),
        (12_345, ("job",), "12,345 jobs"),
        (1, ("stays", "stay"), "1 stays"),
        (2, ("stays", "stay"), "2 stay"),
    ],
)
def test_only_one_is_no_plural(number, words, text):
    assert plural(number, *words) == text
