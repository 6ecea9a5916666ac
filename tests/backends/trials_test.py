"""Which trials a job runs, by its variables: those of a stranger's job are none."""

import json
from itertools import pairwise

import pytest

from amlc.backends.trials import trials_in

A, B = ({"id": one * 16, "sequence": number, "parameters": {"x": number}} for number, one in enumerate("ab"))


@pytest.mark.parametrize(
    ("variables", "ids"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"AMLC_TRIAL_0": json.dumps(A)}, "a", id="one"),
        pytest.param({"AMLC_TRIAL_1": json.dumps(B), "AMLC_TRIAL_0": json.dumps(A), "X": "y"}, "ab", id="two"),
        pytest.param({"AMLC_TRIAL_1": json.dumps(B)}, "", id="not the first"),
        pytest.param({"AMLC_TRIAL_0": json.dumps(A), "AMLC_TRIAL_2": json.dumps(B)}, "a", id="a gap"),
        pytest.param({"AMLC_TRIAL_0": "{", "AMLC_TRIAL_1": json.dumps(B)}, "", id="no JSON"),
        pytest.param({"AMLC_TRIAL_0": "[1]"}, "", id="a list"),
        pytest.param({"AMLC_TRIAL_0": "{}"}, "", id="no trial"),
        pytest.param({"AMLC_TRIAL_0": json.dumps(A), "AMLC_TRIAL_1": "{"}, "a", id="cut short"),
        pytest.param({f"AMLC_TRIAL_{n}": json.dumps({**A, "sequence": n}) for n in range(12)}, "a" * 12, id="twelve"),
    ],
)
def test_trials_come_in_order_up_to_the_first_that_cannot_be_read(variables, ids):
    assert [trial.id[0] for trial in trials_in(variables)] == list(ids)


@pytest.mark.parametrize("cuts", [(9,), (9, 20), (1, 2, 3)])
def test_a_long_trial_goes_on_in_further_variables(cuts):
    text, ends = json.dumps(A), [0, *cuts, None]
    parts = [text[start:end] for start, end in pairwise(ends)]
    variables = {f"AMLC_TRIAL_0_{n}" if n else "AMLC_TRIAL_0": part for n, part in enumerate(parts)}
    (trial,) = trials_in({**variables, "AMLC_TRIAL_0_9": "not its own"})
    assert trial.as_dict() == A
