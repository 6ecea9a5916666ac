"""The bound of a parameter set's size holds for whatever the space delivers."""

import json

from hypothesis import given
from hypothesis import strategies as st

from amlc.model import Choice, Integer, Real
from amlc.render.context import as_json
from amlc.space.draws import sample
from amlc.space.size import most_bytes

values = st.lists(st.text() | st.integers() | st.just("${{x}}$[[y]]") | st.none(), min_size=1, max_size=3).map(tuple)


@given(values, st.text(min_size=1).filter(lambda name: name not in ("n", "net")))
def test_no_parameter_set_is_larger_than_the_bound(options, name):
    inner = (Choice("${{k}}", options), Real("u", -1e300, 1e300))
    space = (Choice(name, options), Integer("n", -(2**63), -1), Choice("net", ("a", "b"), (inner, ())))
    for parameters in sample(space, seed=0, count=20, flat=True):
        assert len(as_json(parameters).encode("ascii", "backslashreplace")) <= most_bytes(space) + 100
        assert json.loads(as_json(parameters)) == parameters
