"""The job file of what is left of a pack: the trials that run again, and all else as it was compiled."""

import json

import pytest

from amlc.backends.trials import trials_in
from amlc.render.part import part
from amlc.render.scalars import from_yaml, to_yaml

ALL = [f"{n:016x}" for n in range(60)]
IDS = ALL[:12]


def variables(ids, width=None):
    """Return the variables of trials; `width`: how many characters of a trial's text each holds."""
    found = {"AMLC_COMMAND": '"x"', "AMLC_TRIAL": "not one"}
    for number, one in enumerate(ids):
        text = json.dumps({"id": one, "sequence": ALL.index(one), "parameters": {"x": number, "long": "é" * 9}})
        for place in range(0, len(text), width or len(text)):
            part_ = place // (width or len(text))
            found[f"AMLC_TRIAL_{number}" + (f"_{part_}" if part_ else "")] = text[place : place + (width or len(text))]
    return found


def job(ids=IDS, width=None, **more):
    return {
        "name": "job",
        "environment_variables": variables(ids, width),
        "limits": {"timeout": 60},
        "tags": {"amlc.trial": "all", "amlc.sequence": "all", "mine": "1"},
        **more,
    }


def left(kept, values=None):
    return from_yaml(part(to_yaml(values or job()).encode(), kept))


@pytest.mark.parametrize("width", [None, 7])
@pytest.mark.parametrize("kept", [[0], [3, 1], [11], list(range(12))], ids=str)
def test_the_trials_that_are_left_move_to_the_front_in_their_order(kept, width):
    values = left({IDS[n] for n in kept}, job(width=width))
    trials = trials_in(values["environment_variables"])
    assert [trial.id for trial in trials] == [IDS[n] for n in sorted(kept)]
    assert [trial.parameters["x"] for trial in trials] == sorted(kept)
    assert values["tags"]["amlc.trial"] == ",".join(IDS[n] for n in sorted(kept))
    assert values["tags"]["amlc.sequence"] == ",".join(str(n) for n in sorted(kept))


def test_all_else_stays_as_it_was():
    before, after = job(), left({IDS[0]})
    assert list(after) == list(before)
    assert after["limits"] == before["limits"]
    assert after["tags"]["mine"] == "1"
    names = {name for name in after["environment_variables"] if not name.startswith("AMLC_TRIAL_")}
    assert names == {"AMLC_COMMAND", "AMLC_TRIAL"}


def test_a_file_without_tags_gets_those_by_which_its_trials_are_found():
    assert left({IDS[0]}, job(tags=None))["tags"] == {"amlc.trial": IDS[0], "amlc.sequence": "0"}


@pytest.mark.parametrize(("count", "is_short"), [(58, False), (59, True)])
def test_a_tag_keeps_to_the_limit_of_azure_ml(count, is_short):
    text = left(set(ALL[:count]), job(ALL[:count]))["tags"]["amlc.trial"]
    assert (len(text), text.endswith("…")) == ((1_000, True) if is_short else (count * 17 - 1, False))
