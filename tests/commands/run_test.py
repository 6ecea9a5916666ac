"""What `amlc run` refuses and says before anything runs."""

import io

import pytest

from amlc.cli.everything import main
from amlc.collect.verdict import Verdict
from amlc.commands import run as module
from amlc.commands.options import Options
from amlc.commands.run import run
from amlc.commands.steps import Run
from amlc.config import load_experiment
from amlc.console import Console
from amlc.display import results
from amlc.display.running import Teller
from amlc.drive import Progress
from amlc.errors import ConfigError, IncompleteError, UsageError
from amlc.exit_codes import exit_code
from amlc.cli.invocation import Invocation
from amlc.model import Status

TPE = {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}}
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


def ran(project, *, learn_from=None, quiet=False, **options):
    err = io.StringIO()
    teller = Teller(Console(io.StringIO(), err, quiet), project.folders)
    experiment, _ = load_experiment(project.root / "experiment.yml", environ={})
    came = run(experiment, Options(**options), folders=project.folders, learn_from=learn_from, listener=teller)
    return came, err.getvalue()


def came_to(project, *, failed):
    """What a submit returns, after which some trials stand failed or none do."""
    end = Verdict(1, {Status.FAILED: 1} if failed else {Status.SUCCEEDED: 1}, 0)
    return Run(manifest=project.compile().manifest, progress=Progress(), stopped=None, verdict=end, partial=False)


def test_only_a_tuner_that_learns_takes_earlier_results(project):
    project.write()
    with pytest.raises(UsageError, match="the tuner GridSearch does not learn from results"):
        ran(project, learn_from=project.root / "results.csv")


@pytest.mark.parametrize("name", ["Hyperband", "ASHA"])
def test_a_tuner_that_learns_from_its_own_results_alone_takes_no_others(project, name):
    project.write(searchSpace=SPACE, tuner={"name": name}, maxTrialNumber=2)
    with pytest.raises(UsageError, match=f"the tuner {name} does not learn from results of elsewhere"):
        ran(project, learn_from=project.root / "results.csv")


def test_pbt_takes_results_that_have_a_checkpoint(project):
    (project.root / "old.csv").write_text("param.x,metric.default\n0.5,1\n")
    project.write(searchSpace=SPACE, tuner={"name": "PBT", "classArgs": {"all_checkpoint_dir": "c"}}, maxTrialNumber=2)
    with pytest.raises(UsageError, match=r"no result can be used: 1 without save_checkpoint_dir \(.*old.csv:2\)"):
        ran(project, learn_from=project.root / "old.csv")


def test_a_file_with_errors_runs_nothing(project):
    with pytest.raises(ConfigError, match="trialConcurrency"):
        ran(project.write(trialConcurrency=0))
    assert not project.folders.build.exists()


@pytest.mark.parametrize(
    ("code", "complete", "expected"), [(0, True, 0), (1, True, 1), (1, False, 1), (0, False, IncompleteError)]
)
def test_what_submit_said_counts_before_what_collect_says(project, monkeypatch, code, complete, expected):
    came = came_to(project.write(), failed=code)
    end = Verdict(1, {Status.SUCCEEDED: 1} if complete else {Status.PENDING: 1}, 0)
    monkeypatch.setattr(module, "run", lambda *args, **options: came)
    monkeypatch.setattr(results, "show_collected", lambda *args, **options: end)
    monkeypatch.chdir(project.root)

    def answer():
        return main.main(["run", "experiment.yml"], standalone_mode=False, obj=Invocation())

    if expected is IncompleteError:
        with pytest.raises(IncompleteError):
            answer()
    else:
        assert exit_code("run", answer()) == expected


@pytest.mark.parametrize(
    ("rounds", "tuner", "compiled"),
    [(None, TPE, 0), (1, TPE, 4), (None, {"name": "Random"}, 4)],
    ids=["follows", "one round", "open loop"],
)
def test_of_a_tuner_that_learns_nothing_is_compiled_before_it_is_submitted(
    project, monkeypatch, rounds, tuner, compiled
):
    seen = []
    monkeypatch.setattr(module, "submit_locked", lambda manifest, *args, **options: seen.append(manifest.trials))
    project.write(searchSpace=SPACE, tuner=tuner, maxTrialNumber=4, trialConcurrency=4)
    ran(project, rounds=rounds)
    assert seen == [compiled]


def test_earlier_results_are_learnt_once(project, monkeypatch):
    monkeypatch.setattr(module, "submit_locked", lambda *args, **options: None)
    project.write(searchSpace=SPACE, tuner=TPE, maxTrialNumber=4)
    results = project.root / "results.csv"
    results.write_text("param.x,metric.default\n0.5,1.5\n0.25,\n")
    assert f"{results}: 1 result learnt from, left out: " in ran(project, learn_from=results)[1]
    assert f"{results}: 1 result known already" in ran(project, learn_from=results)[1]
    assert str(results) not in ran(project, learn_from=results, quiet=True)[1]
