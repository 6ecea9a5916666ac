"""The arguments of the tuner Optuna are those of the sampler it names; messages with Optuna's own words and lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from amlc.config import load_experiment
from amlc.config.samplers import sampler_arguments
from amlc.errors import ConfigError

FILE = """\
searchSpace: {{x: {{_type: uniform, _value: [0, 1]}}}}
trialCommand: python3 trial.py
trialConcurrency: 1
maxTrialNumber: 4
tuner: {{name: {name}, classArgs: {arguments}}}
trainingService: {{platform: local}}
"""


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "trial.py").touch()
    return tmp_path / "experiment.yml"


def refusal(file: Path, arguments: str) -> str:
    file.write_text(FILE.format(name="Optuna", arguments=arguments))
    with pytest.raises(ConfigError) as caught:
        load_experiment(file, environ={})
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            "{sampler: CmaEsSampler, popsiz: 3}",
            "experiment.yml:5:58 /tuner/classArgs/popsiz: Optuna's CmaEsSampler has no argument 'popsiz'. "
            "Did you mean 'popsize'? It takes optimize_mode, seed, sampler, ",
            id="argument",
        ),
        pytest.param(
            "{sampler: TPESample}",
            "experiment.yml:5:44 /tuner/classArgs/sampler: Optuna has no sampler 'TPESample'. Did you mean "
            "'TPESampler'? Known: ",
            id="sampler",
        ),
        pytest.param(
            "{sampler: NSGAIISampler, population_size: 1}",
            "experiment.yml:5:23 /tuner/classArgs: Optuna's NSGAIISampler refuses its arguments: ",
            id="value",
        ),
        pytest.param(
            "{sampler: QMCSampler, qmc_type: latin}",
            "experiment.yml:5:23 /tuner/classArgs: Optuna's QMCSampler refuses its arguments: ",
            id="name",
        ),
        pytest.param(
            "{sampler: CmaEsSampler, lr_adapt: true, with_margin: true}",
            "experiment.yml:5:23 /tuner/classArgs: Optuna's CmaEsSampler refuses its arguments: ",
            id="together",
        ),
    ],
)
def test_what_optuna_does_not_take_is_one_line(file, arguments, expected) -> None:
    assert expected in refusal(file, arguments)


def test_lists_hold_what_can_be_given_and_nothing_else(file) -> None:
    taken = refusal(file, "{sampler: GPSampler, x: 1}").partition("It takes ")[2]
    assert "n_startup_trials" in taken
    assert "constraints_func" not in taken
    known = refusal(file, "{sampler: Nothing}").partition("Known: ")[2]
    assert {"CmaEsSampler", "GPSampler", "QMCSampler"} <= set(known.partition(". ")[0].split(", "))
    assert "GridSampler" not in known
    assert "BaseSampler" not in known


def test_the_arguments_reach_the_tuner_and_the_seed_is_the_experiments(file) -> None:
    file.write_text(FILE.format(name="optuna", arguments="{sampler: CmaEsSampler, seed: 7, popsize: 9, sigma0: null}"))
    experiment, problems = load_experiment(file, environ={})
    assert experiment.tuner.name == "Optuna"
    assert experiment.tuner.class_args == {
        "optimize_mode": "minimize", "sampler": "CmaEsSampler", "seed": 7, "popsize": 9, "sigma0": None,
    }  # fmt: skip
    assert experiment.seed == 7
    assert not problems


def test_without_arguments_it_is_the_sampler_that_optuna_takes(file) -> None:
    file.write_text(FILE.format(name="Optuna", arguments="{}"))
    experiment, _ = load_experiment(file, environ={})
    assert experiment.tuner.class_args["sampler"] == "TPESampler"


@pytest.mark.parametrize(("name", "imported"), [("TPE", False), ("Optuna", True)])
def test_optuna_is_imported_for_its_own_tuner_alone(file, name, imported) -> None:
    file.write_text(FILE.format(name=name, arguments="{}"))
    code = (
        "import sys; from pathlib import Path; from amlc.config import load_experiment; "
        f"load_experiment(Path({str(file)!r}), environ={{}}); print('optuna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == f"{imported}\n"


@pytest.mark.parametrize("name", ["NoSuchSampler", "NSGAIISampler2", 7, None, ["TPESampler"]])
def test_what_is_no_sampler_takes_nothing(name):
    assert sampler_arguments(name) is None


def test_a_sampler_takes_what_its_signature_says():
    found = sampler_arguments("TPESampler")
    assert (int in found["n_startup_trials"].kinds, found["n_startup_trials"].low) == (True, 0)
    assert (float in found["prior_weight"].kinds, found["prior_weight"].above) == (True, 0)
    assert bool in found["multivariate"].kinds
    assert found["gamma"].refused.startswith("Optuna wants a ")
    assert sampler_arguments("RandomSampler") == {}
