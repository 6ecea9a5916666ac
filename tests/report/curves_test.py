"""Intermediate results: of every metric, bounded, and with their spikes."""

import pytest

from amlc.collect.results import Results
from amlc.ledger import read_ledger
from amlc.model import Status
from amlc.report.curves import read_curves, thinned
from amlc.report.overview import read_overview
from tests.report.report_test import experiment, trial


@pytest.fixture
def curves(tmp_path):
    def read(trials):
        folders = experiment(tmp_path, trials)
        with read_ledger(folders.ledger("tiny")) as ledger:
            return read_curves(ledger, read_overview(Results(folders.manifest(None), ledger)).rows)

    return read


def test_a_long_curve_keeps_its_ends_and_its_spikes(curves):
    values = [0.5] * 20_000
    values[3_333], values[17_777] = -4, 9
    found = curves([trial({"x": 1}, 0.5, curve=values)])
    points = found.trials[0]["default"]
    assert len(points) <= 500
    assert (points[0][0], points[-1][0]) == (0, 19_999)
    assert {-4, 9} <= {value for _, value in points}
    assert found.thinned


def test_default_comes_first_and_each_metric_has_its_own_steps(curves):
    found = curves([trial({"x": 1}, curve=[{"acc": 1}, {"default": 2}, {"acc": 3, "word": "a"}])])
    assert found.metrics == ("default", "acc")
    assert found.as_values()["curves"] == [[[[2.0], [1]], [[1.0, 3.0], [0, 2]]]]


def test_what_is_no_finite_number_is_no_point_and_a_trial_without_any_is_left_out(curves):
    found = curves([trial({"x": 1}, curve=[float("nan"), "a", True, [1], {}]), trial({"x": 2}, curve=[float("inf"), 5]),
                    trial({"x": 3}, status=Status.PENDING)])  # fmt: skip
    assert found.as_values() == {"metrics": ("default",), "trials": [0, 1], "curves": [[[[1.0], [2]]], [[[5.0], [1]]]]}


def test_all_curves_together_are_bounded_in_points_and_metrics(curves):
    many = [trial({"x": n}, curve=[{f"m{k}": step for k in range(9)} for step in range(40)]) for n in range(400)]
    found = curves(many)
    assert (len(found.metrics), found.left_out) == (6, 3)
    assert sum(len(points) for one in found.trials.values() for points in one.values()) <= 80_000


@pytest.mark.parametrize("most", [4, 7, 100])
def test_thinned_keeps_to_its_bound(most):
    assert len(thinned([(step, float(step % 13)) for step in range(100)], most)) <= most
