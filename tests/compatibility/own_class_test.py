"""Tuners of the user's own, as NNI's examples and tests have them, run by whole commands."""

import json

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# As in NNI's multi_thread test: the second proposal waits for the result of the first.
WAITING = """
import time
from nni.tuner import Tuner

class Waiting(Tuner):
    def __init__(self):
        self.done = False
    def update_search_space(self, space):
        self.space = space
    def generate_parameters(self, parameter_id, **kwargs):
        if parameter_id == 0:
            return {"x": 0, "space": self.space}
        while not self.done:
            time.sleep(2)
        return {"x": parameter_id, "space": self.space}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.done = True
        with open(__file__ + ".told", "a") as file:
            file.write(f"{parameter_id} {value}\\n")
"""


@pytest.mark.parametrize("space", [{"x": [1, 100]}, ["age", "count_age"]], ids=["own format", "list"])
def test_a_tuner_that_waits_for_results_hangs_nothing_and_is_told_all(make_project, space):
    project = make_project("project").write(
        searchSpace=space,
        tuner={"className": "mine.Waiting", "codeDirectory": "."},
        maxTrialNumber=3,
        trialConcurrency=2,
    )
    (project.root / "mine.py").write_text(WAITING)
    assert "1 trial in 1 job" in project.amlc("compile", "experiment.yml").stderr
    project.amlc("run", "experiment.yml")
    trials = [trial for attempt in project.attempts() for trial in attempt.trials]
    assert [trial.parameters for trial in trials] == [{"x": x, "space": space} for x in range(3)]
    told = (project.root / "mine.py.told").read_text().splitlines()
    assert {line.split()[0] for line in told} == {"0", "1", "2"}


IMPORTING = """
from nni.tuner import Tuner

class Importing(Tuner):
    def update_search_space(self, space):
        self.best = [1, 1]
    def import_data(self, data):
        self.best = max(data, key=lambda row: row["value"])["parameter"]["tile"]
    def generate_parameters(self, parameter_id, **kwargs):
        return {"tile": [self.best[0], self.best[1] + parameter_id]}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass
"""


def test_a_tuner_with_a_space_of_its_own_learns_from_earlier_results(make_project):
    project = make_project("project").write(
        searchSpace={"tile": {"_type": "factor", "_value": [64, 2]}},
        tuner={"className": "mine.Importing", "codeDirectory": "."},
        maxTrialNumber=2,
    )
    (project.root / "mine.py").write_text(IMPORTING)
    rows = [{"parameter": {"tile": tile}, "value": value} for tile, value in (([8, 8], 0.9), ([2, 32], 0.1))]
    (project.root / "earlier.json").write_text(json.dumps(rows))
    project.amlc("run", "experiment.yml", "--from", "earlier.json")
    trials = [trial for attempt in project.attempts() for trial in attempt.trials]
    assert [trial.parameters for trial in trials] == [{"tile": [8, 8]}, {"tile": [8, 9]}]


def test_a_space_in_an_unknown_format_needs_a_class(make_project):
    project = make_project("project").write(searchSpace={"x": [1, 100]}, tuner={"name": "TPE"}, maxTrialNumber=3)
    assert "'x' is a bare list, not a parameter" in project.amlc("validate", "experiment.yml", code=1).stderr
    (project.root / "space.json").write_text(json.dumps(["a"]))
    (project.root / "mine.py").write_text("class T: ...")
    project.write(searchSpace=None, searchSpaceFile="space.json", tuner={"className": "mine.T", "codeDirectory": "."})
    assert not project.amlc("validate", "experiment.yml").stderr.count("E-")
