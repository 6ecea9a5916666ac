"""A Tuner or an Advisor of the user's, behind the same six words; what they mean in a run, custom_test.py says."""

import json
import textwrap

import pytest

from amlc.model import Algorithm
from amlc.tuners.custom.tuner_or_advisor import Proposal, constructed, trial_job_id
from amlc.user_code import Stage, UserCodeError

CLASSES = """
    import nni
    from nni.tuner import Tuner

    class Counting(Tuner):
        def __init__(self): self.heard = []
        def update_search_space(self, space): self.heard.append(["space", space])
        def generate_parameters(self, parameter_id, **kwargs):
            if parameter_id == 2: raise nni.NoMoreTrialError()
            return {"x": parameter_id}
        def import_data(self, rows): self.heard.append(["rows", rows])
        def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
            self.heard.append(["result", parameter_id, parameters, value, kwargs["trial_job_id"]])
        def trial_end(self, parameter_id, success, **kwargs): self.heard.append(["end", parameter_id, success])

    class Neither:
        pass
"""


@pytest.fixture
def stage(tmp_path):
    """Return a function that gives the stage of a class."""
    (tmp_path / "kinds.py").write_text(textwrap.dedent(CLASSES))

    def make(name):
        return Stage(Algorithm(class_name=f"kinds.{name}", code_directory=tmp_path), "tuner", seed=0)

    return make


def test_a_trial_is_known_by_the_id_of_its_proposal():
    assert trial_job_id(Proposal(7, {})) == "trial-7"
    assert trial_job_id(Proposal("0_1_2", {})) == "trial-0_1_2"


def test_a_tuner_is_asked_and_told(stage):
    on = stage("Counting")
    with on.kept_open():
        side = constructed(on, {"x": 1})
        assert side.killed is None
        side.take([{"parameter": {"x": 9}, "value": 1.0}])
        first, second = side.ask(), side.ask()
        assert (first, second) == (Proposal(0, {"x": 0}), Proposal(1, {"x": 1}))
        side.report(first, 0, "0.5")
        side.tell(first, first.parameters, "SUCCEEDED", '{"default": 0.5}')
        side.tell(second, second.parameters, "FAILED", None)
        assert side.ask() is None
        assert side._instance.heard == [
            ["space", {"x": 1}],
            ["rows", [{"parameter": {"x": 9}, "value": 1.0}]],
            ["result", 0, {"x": 0}, {"default": 0.5}, "trial-0"],
            ["end", 0, True],
            ["end", 1, False],
        ]


def test_an_advisor_says_which_trials_it_wants_to_end(tmp_path):
    algorithm = Algorithm(
        class_name="nni.algorithms.hpo.hyperband_advisor.Hyperband",
        code_directory=tmp_path,
        class_args={"optimize_mode": "maximize", "R": 3, "eta": 3},
    )
    on = Stage(algorithm, "advisor", seed=0)
    with on.kept_open():
        side = constructed(on, {"x": {"_type": "uniform", "_value": [0, 1]}})
        found = side.ask()
        assert set(found.parameters) == {"x", "TRIAL_BUDGET"}
        assert json.loads(found.message)["parameter_id"] == found.id
        assert not side.killed


def test_a_class_of_no_kind_is_refused(stage):
    on = stage("Neither")
    with on.kept_open(), pytest.raises(UserCodeError, match="neither a Tuner"):
        constructed(on, {})
