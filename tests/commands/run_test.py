"""What `amlc run` refuses and says before anything runs."""

import io

import pytest

from amlc.commands import run as module
from amlc.commands.run import run
from amlc.commands.submit import Options
from amlc.errors import ConfigError, IncompleteError, UsageError

TPE = {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}}
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


def ran(project, *, learn_from=None, **options):
    err, out = io.StringIO(), io.BytesIO()
    code = run(
        file=project.root / "experiment.yml",
        learn_from=learn_from,
        options=Options(**options),
        folders=project.folders,
        format_="csv",
        out=out,
        err=err,
    )
    return code, err.getvalue()


def test_only_a_tuner_that_learns_takes_earlier_results(project):
    project.write()
    with pytest.raises(UsageError, match="the tuner GridSearch does not learn from results"):
        ran(project, learn_from=project.root / "results.csv")


def test_a_file_with_errors_runs_nothing(project):
    with pytest.raises(ConfigError, match="trialConcurrency"):
        ran(project.write(trialConcurrency=0))
    assert not project.folders.build.exists()


@pytest.mark.parametrize(
    ("code", "complete", "expected"), [(0, True, 0), (1, True, 1), (1, False, 1), (0, False, IncompleteError)]
)
def test_what_submit_said_counts_before_what_collect_says(project, monkeypatch, code, complete, expected):
    def collect(**options):
        if not complete:
            raise IncompleteError("rows")
        return 0

    monkeypatch.setattr(module, "submit_locked", lambda *args, **options: code)
    monkeypatch.setattr(module, "collect", collect)
    project.write()
    if expected is IncompleteError:
        with pytest.raises(IncompleteError):
            ran(project)
    else:
        assert ran(project)[0] == expected


@pytest.mark.parametrize(
    ("rounds", "tuner", "compiled"),
    [(None, TPE, 0), (1, TPE, 4), (None, {"name": "Random"}, 4)],
    ids=["follows", "one round", "open loop"],
)
def test_of_a_tuner_that_learns_nothing_is_compiled_before_it_is_submitted(
    project, monkeypatch, rounds, tuner, compiled
):
    seen = []
    monkeypatch.setattr(module, "submit_locked", lambda manifest, *args, **options: seen.append(manifest.trials) or 0)
    monkeypatch.setattr(module, "collect", lambda **options: 0)
    project.write(searchSpace=SPACE, tuner=tuner, maxTrialNumber=4, trialConcurrency=4)
    ran(project, rounds=rounds)
    assert seen == [compiled]


def test_earlier_results_are_learnt_once(project, monkeypatch):
    monkeypatch.setattr(module, "submit_locked", lambda *args, **options: 0)
    monkeypatch.setattr(module, "collect", lambda **options: 0)
    project.write(searchSpace=SPACE, tuner=TPE, maxTrialNumber=4)
    results = project.root / "results.csv"
    results.write_text("param.x,metric.default\n0.5,1.5\n0.25,\n")
    assert f"{results}: 1 results learnt from, left out: " in ran(project, learn_from=results)[1]
    assert f"{results}: 1 results known already" in ran(project, learn_from=results)[1]
    assert str(results) not in ran(project, learn_from=results, quiet=True)[1]
