"""What a server is told of trials, without a server."""

import json
import math

import pytest

from amlc.runner.amlc_runner_lib.job import Trial
from amlc.runner.amlc_runner_lib.metrics import LARGEST_SEQUENCE
from amlc.runner.amlc_runner_lib.tracking import Tracker, flatten, mlflow_name, numbers_in


class Sent:
    """Takes the entries in place of a server."""

    def __init__(self):
        self.entries = []

    def add(self, kind, entry):
        self.entries.append((kind, entry))

    def close(self, *, is_hurried):
        self.entries.append(("closed", is_hurried))

    def of(self, kind):
        return [entry for found, entry in self.entries if found == kind]

    def results(self):
        return [json.loads(tag["value"]) for tag in self.of("tags")]


@pytest.fixture
def sent():
    return Sent()


def trial(identifier="a", **parameters):
    return Trial(identifier, 0, parameters, 0)


NAMES = {
    "a b/c(d)": "a b/c_d_",
    "\u00e9": "_",
    "a//b": "a__b",
    "/a": "_a",
    "a/": "a_",
    "a/./b": "a_._b",
    "a/../b": "a____b",
    "..": "__",
    ".": "_",
    "": "_",
    "x" * 300: "x" * 250,
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=lambda name: repr(name)[:20])
def test_name_is_a_plain_relative_path(name, expected):
    assert mlflow_name(name) == expected


def test_parameters_are_flat():
    assert list(flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]})) == [
        ("a.b", 1),
        ("a.c", {}),
        ("d", [1, {"e": 2}]),
    ]


def test_numbers_are_finite_and_true_is_one():
    value = {"i": 1, "f": 0.5, "t": "x", "b": True, "n": math.nan, "inf": -math.inf, "big": 10**400, "none": None}
    assert list(numbers_in(value)) == [("i", 1.0), ("f", 0.5), ("b", 1.0)]
    assert list(numbers_in(2)) == [("default", 2.0)]
    assert list(numbers_in("2")) == []


def test_parameters_are_text_and_not_too_long(sent):
    Tracker(sent, is_prefixed=False).log_parameters(trial(lr=0.1, name="n", long="x" * 501))
    assert {entry["key"]: entry["value"] for entry in sent.of("params")} == {
        "lr": "0.1",
        "name": "n",
        "long": "x" * 500,
    }


def test_final_result_has_the_last_step(sent):
    tracker, one = Tracker(sent, is_prefixed=False), trial()
    tracker.log_metric(one, ("intermediate", 4, 0.5), 1.5)
    tracker.log_metric(one, ("final", 0, 0.25), 2.0)
    assert [(entry["value"], entry["step"], entry["timestamp"]) for entry in sent.of("metrics")] == [
        (0.5, 4, 1500),
        (0.25, 5, 2000),
    ]


def test_step_stays_within_what_a_database_holds(sent):
    tracker, one = Tracker(sent, is_prefixed=False), trial()
    tracker.log_metric(one, ("intermediate", LARGEST_SEQUENCE, 1), 0)
    tracker.log_metric(one, ("final", 0, 2), 0)
    assert [entry["step"] for entry in sent.of("metrics")] == [LARGEST_SEQUENCE] * 2


def test_trials_of_a_pack_are_told_apart_by_name(sent):
    tracker = Tracker(sent, is_prefixed=True)
    for one in (trial("a"), trial("b")):
        tracker.log_metric(one, ("final", 0, {"loss": 1}), 0)
    tracker.close(None, is_hurried=True)
    assert [entry["key"] for entry in sent.of("metrics")] == ["a/loss", "b/loss"]
    (results,) = sent.results()
    assert {identifier: result["names"] for identifier, result in results.items()} == {"a": ["loss"], "b": ["loss"]}
    assert sent.entries[-1] == ("closed", True)


@pytest.mark.parametrize(
    ("values", "integers", "whole"),
    [
        pytest.param([1, 2], ["default"], True, id="integers"),
        pytest.param([0.5, 2.0], [], True, id="floats"),
        pytest.param([1, 0.5], ["default"], False, id="both"),
        pytest.param([0.5, 1], [], False, id="both, a float first"),
        pytest.param([2**53 + 1], ["default"], False, id="an integer that is no float"),
        pytest.param([True, False], ["default"], False, id="true and false"),
        pytest.param([{"default": 1, "x": "text"}], ["default"], False, id="with text"),
        pytest.param([{"default": 1.0, "x": 2.0}], [], True, id="two names"),
    ],
)
def test_tag_says_whether_the_server_holds_everything(sent, values, integers, whole):
    tracker, one = Tracker(sent, is_prefixed=False), trial()
    for sequence, value in enumerate(values):
        tracker.log_metric(one, ("intermediate", sequence, value), 0)
    tracker.close(None, is_hurried=False)
    (results,) = sent.results()
    assert (results["a"]["integers"], results["a"]["whole"]) == (integers, whole)


def test_what_one_tag_cannot_hold_takes_several(sent):
    tracker = Tracker(sent, is_prefixed=False)
    tracker.log_metric(trial(), ("final", 0, "x" * 2500), 0)
    tracker.close(0, is_hurried=False)
    *parts, end = sent.of("tags")
    assert [part["key"] for part in parts] == ["amlc.results", "amlc.results.1", "amlc.results.2"]
    assert [len(part["value"]) for part in parts[:2]] == [1000, 1000]
    (told,) = json.loads("".join(part["value"] for part in parts)).values()
    assert told["final"] == ["x" * 2500]
    assert end["key"] == "amlc.end"


def test_nothing_is_said_rather_than_half_and_nothing_of_an_earlier_start_stands(sent):
    tracker = Tracker(sent, is_prefixed=False)
    tracker.log_metric(trial(), ("final", 0, "x" * 10_000), 0)
    tracker.close(None, is_hurried=False)
    assert sent.of("tags") == [{"key": "amlc.results", "value": "null"}]


def test_a_runner_that_saw_no_report_writes_no_tag(sent):
    tracker = Tracker(sent, is_prefixed=False)
    tracker.log_parameters(trial(lr=1))
    tracker.close(None, is_hurried=False)
    assert sent.of("tags") == []


def test_a_child_of_a_sweep_says_at_once_which_trial_it_runs(sent):
    Tracker(sent, is_prefixed=False).log_name(trial("t7"))
    assert sent.entries == [("marks", {"key": "amlc.trial", "value": "t7"})]
