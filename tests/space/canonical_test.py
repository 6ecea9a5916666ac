"""When two parameter sets are one."""

import hashlib
from itertools import combinations

import pytest

from amlc.space.canonical import canonical, canonical_json, digest_of


def test_the_order_of_keys_does_not_count_however_deep():
    one, other = {"a": 1, "b": {"c": [1, 2], "d": None}}, {"b": {"d": None, "c": [1, 2]}, "a": 1}
    assert canonical(one) == canonical(other)
    assert canonical_json(one) == '{"a":1,"b":{"c":[1,2],"d":null}}'


@pytest.mark.parametrize(
    ("one", "other"),
    list(combinations([1, 1.0, True, "1", [1], {"x": 1}, None, 0, 0.0, False, "", "1 ", 1.0000000000000002], 2)),
)
def test_values_are_equal_that_are_the_same_json(one, other):
    assert canonical({"x": one}) != canonical({"x": other})


def test_the_order_of_a_list_counts():
    assert canonical({"x": [1, 2]}) != canonical({"x": [2, 1]})


def test_the_text_is_plain_ascii_since_ids_are_made_of_it():
    assert canonical_json({"ü": "✓"}) == '{"\\u00fc":"\\u2713"}'
    assert canonical({"ü": 1}) == digest_of('{"\\u00fc":1}') == hashlib.sha256(b'{"\\u00fc":1}').digest()[:16]
