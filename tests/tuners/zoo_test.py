"""NNI's own classes, unchanged and by className, and classes as people write them: run, killed, and gone on with."""

from __future__ import annotations

import json
import textwrap

import pytest

from amlc.collect.results import Results
from amlc.commands.options import Options
from amlc.commands.submit import withheld
from amlc.config import load_experiment

# Reports (x - 0.3)² three times and then as its result, as mappings; one that is stuck waits to be stopped.
TRIAL = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
value=$(awk "BEGIN {{ printf \\"%.9f\\", ($x - 0.3) ^ 2 }}")
report="{{\\\\\\"default\\\\\\": $value, \\\\\\"loss\\\\\\": [$x, null]}}"
for step in 0 1 2; do intermediate "$report"; done
if awk "BEGIN {{ exit !({stuck}) }}"; then sleep 60; fi
final "$report"
exit 0
"""

CLASSES = '''
    import os
    import random

    import nni
    from nni.algorithms.hpo.evolution_tuner import EvolutionTuner
    from nni.assessor import Assessor, AssessResult
    from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
    from nni.runtime.tuner_command_channel import CommandType
    from nni.tuner import Tuner

    class NeverTwice(EvolutionTuner):
        """NNI's Evolution that asks again until a parameter set is new."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.known = set()

        def generate_parameters(self, *args, **kwargs):
            found = super().generate_parameters(*args, **kwargs)
            while str(found) in self.known:
                found = super().generate_parameters(*args, **kwargs)
            self.known.add(str(found))
            return found

    class TwoKeys(Tuner):
        """Steps away from the best by the second key of the mapping, as multi-objective tuners do."""

        def update_search_space(self, space):
            self.low, self.high = space["x"]["_value"]
            self.results = []

        def generate_parameters(self, parameter_id, **kwargs):
            centre = min(self.results)[1] if self.results else random.uniform(self.low, self.high)
            return {"x": min(max(random.gauss(centre, 0.2), self.low), self.high), "c": "a"}

        def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
            self.results.append((value["default"], value["loss"][0]))

    class Patience(Assessor):
        """Bad when the first of the list in the mapping is so small."""

        def assess_trial(self, trial_job_id, trial_history):
            return AssessResult.Bad if trial_history[-1]["loss"][0] < 0.2 else AssessResult.Good

    class Racing(MsgDispatcherBase):
        """An Advisor that ends a trial at the first report that is worse than all results, and steps from the best."""

        def __init__(self, spread=0.4):
            super().__init__(os.environ["NNI_TUNER_COMMAND_CHANNEL"])
            self.spread, self.best, self.count, self.heard = spread, None, 0, {}

        def handle_initialize(self, data):
            self.send(CommandType.Initialized, "")

        def handle_request_trial_jobs(self, data):
            for _ in range(data):
                x = random.random() if self.best is None else abs(random.gauss(self.best[1], self.spread)) % 1
                parameters = {"x": round(x, 6), "c": "a"}
                message = {"parameter_id": self.count, "parameter_source": "algorithm", "parameters": parameters}
                self.count += 1
                self.send(CommandType.NewTrialJob, nni.dump(message))

        def handle_report_metric_data(self, data):
            value = nni.load(data["value"])
            result = (value["default"], value["loss"][0])
            if data["type"] == "FINAL":
                self.best = min(self.best or result, result)
                return
            assert data["sequence"] == self.heard.get(data["trial_job_id"], 0), "in order, none twice"
            self.heard[data["trial_job_id"]] = data["sequence"] + 1
            if result[1] > 0.5:
                self.send(CommandType.KillTrialJob, nni.dump(data["trial_job_id"]))

        def handle_trial_end(self, data):
            assert data["event"] in ("SUCCEEDED", "EARLY_STOPPED")
            x = nni.load(data["hyper_params"])["parameters"]["x"]
            assert (data["event"] == "EARLY_STOPPED") == (x > 0.5)
            self.spread *= 0.9
'''

HPO = "nni.algorithms.hpo"
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "c": {"_type": "choice", "_value": ["a", "b"]}}
GRID = {"x": {"_type": "choice", "_value": [0.9, 0.8, 0.1, 0.7]}}
BATCH = {"combine_params": {"_type": "choice", "_value": [{"x": 0.1 * n, "c": "a"} for n in range(6)]}}


def own(name: str, **class_args: object) -> dict[str, object]:
    return {"className": name, "codeDirectory": "classes", "classArgs": class_args}


def case(tuner, label, *, space=SPACE, trials=6, stuck="0", **keys):
    keys = {"tuner": tuner, "searchSpace": space, "maxTrialNumber": trials, **keys}
    return pytest.param(keys, stuck, id=label)


ZOO = [
    case(own(f"{HPO}.random_tuner.RandomTuner"), "Random"),
    case(own(f"{HPO}.tpe_tuner.TpeTuner", tpe_args={"n_startup_jobs": 3}), "TPE"),
    case(own(f"{HPO}.evolution_tuner.EvolutionTuner", population_size=3), "Evolution"),
    case(own(f"{HPO}.gridsearch_tuner.GridSearchTuner"), "GridSearch"),
    case(own(f"{HPO}.batch_tuner.BatchTuner"), "Batch", space=BATCH),
    case(own(f"{HPO}.pbt_tuner.PBTTuner", population_size=3, all_checkpoint_dir="points"), "PBT"),
    case(own(f"{HPO}.hyperband_advisor.Hyperband", optimize_mode="minimize", R=4, eta=2), "Hyperband", trials=7),
    case(own("zoo.NeverTwice", optimize_mode="minimize", population_size=3), "a subclass of NNI's"),
    case(own("zoo.TwoKeys"), "a Tuner that reads a mapping"),
    case(own("zoo.Racing"), "an Advisor that ends trials", stuck="$x > 0.5", trials=8),
    case(
        {"name": "GridSearch"}, "Medianstop", space=GRID, trials=4, stuck="$x == 0.1",
        assessor=own(f"{HPO}.medianstop_assessor.MedianstopAssessor", optimize_mode="maximize", start_step=1),
    ),
    case(
        {"name": "GridSearch"}, "an Assessor that reads a mapping", space=GRID, trials=4, stuck="$x == 0.1",
        assessor=own("zoo.Patience"),
    ),
]  # fmt: skip


def outcome(project):
    """Return parameters, status and result of each trial."""
    with project.ledger() as ledger:
        rows = [(row.trial.parameters, row.status.value, row.final) for row in Results(project.manifest, ledger).rows()]
    return json.loads(json.dumps(rows, default=repr))


@pytest.mark.parametrize(("keys", "stuck"), ZOO)
def test_killed_and_gone_on_with_it_is_what_the_calm_run_is(make_project, wait_until, keys, stuck):
    def made(name):
        project = make_project(name)
        (project.root / "classes").mkdir()
        (project.root / "classes" / "zoo.py").write_text(textwrap.dedent(CLASSES))
        return project.write(TRIAL.format(stuck=stuck), trialConcurrency=1, **keys)

    calm = made("calm")
    calm.amlc("run", "experiment.yml", "-q")
    found = outcome(calm)
    assert len(found) == keys["maxTrialNumber"]
    assert ("early_stopped" in {status for _, status, _ in found}) == (stuck != "0")
    project = made("killed")
    with project.start("run", "experiment.yml") as run:
        wait_until(lambda: len(project.starts) > keys["maxTrialNumber"] // 2)
        run.kill()
    assert len(project.starts) < keys["maxTrialNumber"]
    assert "does not propose the same" not in project.amlc("run", "experiment.yml").stderr
    assert outcome(project) == found
    assert project.starts == calm.starts


BROKEN = """
    import os
    from nni.tuner import Tuner

    class Broken(Tuner):
        def update_search_space(self, space):
            self.results = []
        def generate_parameters(self, parameter_id, **kwargs):
            return {"x": 0.1 * parameter_id + sum(self.results)}
        def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
            if parameter_id == 2 and os.path.exists("broken"):
                raise KeyError("accuracy")
            self.results.append(value["default"])
"""


def test_an_error_of_a_class_names_the_trial_and_loses_nothing(make_project):
    def made(name):
        project = make_project(name)
        (project.root / "classes").mkdir()
        (project.root / "classes" / "zoo.py").write_text(textwrap.dedent(BROKEN))
        return project.write(TRIAL.format(stuck="0"), tuner=own("zoo.Broken"), trialConcurrency=1, maxTrialNumber=5)

    calm, project = made("calm"), made("project")
    calm.amlc("run", "experiment.yml")
    (project.root / "broken").touch()
    with project.start("run", "experiment.yml") as run:
        err = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 1
    assert "tuner zoo.Broken" in err
    assert ": taking the end of trial 2 failed.\n" in err
    assert "KeyError: 'accuracy'" in err
    assert len(project.starts) == 3
    (project.root / "broken").unlink()
    project.amlc("run", "experiment.yml")
    assert outcome(project) == outcome(calm)
    assert project.starts == calm.starts


def test_an_assessor_that_cannot_be_used_is_refused_before_any_trial_runs_and_not_after_the_last(make_project):
    project = make_project("project")
    (project.root / "classes").mkdir()
    source = project.root / "classes" / "zoo.py"
    source.write_text("import of_its_author\n" + textwrap.dedent(CLASSES))
    project.write(TRIAL.format(stuck="0"), searchSpace={"x": {"_type": "choice", "_value": [0.9]}}, assessor=own("zoo.Patience"))
    said = project.amlc("run", "experiment.yml", code=1).stderr
    assert "zoo.py:1 imports 'of_its_author', which is not in codeDirectory, nor installed here." in said
    assert project.starts == []
    source.write_text(textwrap.dedent(CLASSES))
    project.amlc("run", "experiment.yml")
    source.unlink()
    project.amlc("submit")
    assert len(project.starts) == 1


@pytest.mark.parametrize(
    ("keys", "options", "line"),
    [
        pytest.param({}, Options(), None, id="nothing withheld"),
        pytest.param(
            {"amlc": {"trialsPerJob": 2}}, Options(),
            "the KillTrialJob of the Advisor zoo.Racing ends no trial: amlc.trialsPerJob packs several into a job.",
            id="packed",
        ),
        pytest.param(
            {"amlc": {"replicates": 2}}, Options(),
            "the Advisor zoo.Racing gets no intermediate results, and its KillTrialJob ends no trial: "
            "amlc.replicates rules that out.",
            id="replicates",
        ),
        pytest.param(
            {}, Options(rounds=2),
            "the Advisor zoo.Racing gets no intermediate results, and its KillTrialJob ends no trial: "
            "--rounds rules that out.",
            id="rounds",
        ),
        pytest.param(
            {"tuner": {"name": "GridSearch"}, "searchSpace": {"x": {"_type": "choice", "_value": [0.3, 0.4]}}, "assessor": own("zoo.Patience")}, Options(),
            "the assessor zoo.Patience is told the end of trials that succeeded, and of no others.",
            id="assessor",
        ),
    ],
)  # fmt: skip
def test_what_a_class_is_not_given(project, keys, options, line):
    write_racing(project, **keys).compile()
    experiment, _ = load_experiment(project.root / "experiment.yml", environ={})
    with project.ledger() as ledger:
        said = list(withheld(experiment, project.manifest, ledger, options))
    assert said == ([line] if line else [])


def write_racing(project, **keys):
    (project.root / "classes").mkdir()
    source = textwrap.dedent(CLASSES).replace('assert (data["event"] ==', 'None and (data["event"] ==')
    (project.root / "classes" / "zoo.py").write_text(source)
    keys = {"tuner": own("zoo.Racing"), "searchSpace": SPACE, "maxTrialNumber": 2, **keys}
    return project.write(TRIAL.format(stuck="0"), trialConcurrency=2, **keys)


def test_what_a_class_is_not_given_is_said_in_one_line_while_there_is_something_to_do(project):
    write_racing(project, amlc={"trialsPerJob": 2})
    assert (
        project.amlc("run", "experiment.yml").stderr.count("warning: the KillTrialJob of the Advisor zoo.Racing") == 1
    )
    assert "zoo." not in project.amlc("run", "experiment.yml").stderr
