"""What is odd about experiments that compile, each with its messages beside it; AMLC_GOLDEN=1 rewrites them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from amlc import lint
from amlc.config import load_experiment
from amlc.errors import Severity
from amlc.lint.command import about_command
from amlc.lint.errors import OddityError
from amlc.lint.jobs import about_number, about_packs
from amlc.lint.libraries import about_libraries
from amlc.lint.space import about_branches, about_space

ROOT = Path(__file__).parents[2]
REPORTED = ROOT / "tests" / "reported"
PLAIN = {
    "searchSpace": {"lr": {"_type": "loguniform", "_value": [0.001, 0.1]}},
    "trialCommand": "python3 train.py",
    "trialConcurrency": 1,
    "maxTrialNumber": 4,
    "maxTrialDuration": "1h",
    "tuner": {"name": "Random"},
    "trainingService": {"platform": "local"},
}
READS = "import nni\np = nni.get_next_parameter()\nprint(p['lr'])\n"
SPACE = {"lr": {"_type": "loguniform", "_value": [0.001, 0.1]}}
AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip
CHOICE = {"_type": "choice", "_value": [1, 2, 3]}
NESTED = {"_type": "choice", "_value": [{"_name": "a", "x": CHOICE}, {"_name": "b"}]}


def found(tmp_path, *, files=None, within=None, **keys):
    for name, text in {"train.py": READS, **(files or {})}.items():
        if text is not None:
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text(text)
    values = {key: value for key, value in {**PLAIN, **keys}.items() if value is not None}
    (tmp_path / "experiment.yml").write_text(yaml.safe_dump(values, sort_keys=False, width=1000))
    experiment, _ = load_experiment(Path("experiment.yml"), environ={})
    problems = lint.warnings(experiment, within=within)
    assert all(problem.severity is Severity.WARNING for problem in problems)
    return problems


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


ODD = {
    "script": {"trialCommand": "python3 trian.py"},
    "script-ignored": {"files": {".gitignore": "*.py\n"}, "amlc": {"workingDirectory": "copy"}},
    "program": {"trialCommand": "pyhton3 train.py"},
    "unread": {"searchSpace": {**SPACE, "momentum": CHOICE}},
    "unknown-parameter": {"files": {"train.py": READS + "print(p['rl'])\n"}},
    "misspelled-on-either-side": {"searchSpace": {"Lr": SPACE["lr"]}},
    "batch": {"searchSpace": {"sets": {"_type": "choice", "_value": [{"lr": 1, "b": 2}]}}, "tuner": {"name": "Batch"}},
    "space-equal": {"searchSpace": {"lr": {"_type": "choice", "_value": [1, 2, 1.0, True]}}},
    "space-range": {"searchSpace": {"lr": {"_type": "loguniform", "_value": [0.01, 0.01]}}},
    "space-range-narrow": {"searchSpace": {"lr": {"_type": "loguniform", "_value": [0.01, 0.010001]}}},
    "space-range-q": {"searchSpace": {"lr": {"_type": "quniform", "_value": [0, 1, 5]}}},
    "space-never": {"searchSpace": {**SPACE, "lr": CHOICE}, "amlc": {"constraints": ["lr < 3"]}},
    "space-never-nested": {
        "searchSpace": {"lr": NESTED, "u": SPACE["lr"]}, "amlc": {"constraints": ["lr._name == 'b'", "u > 0"]},
        "files": {"train.py": READS + "print(p['u'])\n"},
    },
    "pack": {"amlc": {"trialsPerJob": 4}, "tuner": {"name": "TPE"}},
    "pack-with-gpus": {"amlc": {"trialsPerJob": 6}, "tuner": {"name": "TPE"}, "trialConcurrency": 2, "trialGpuNumber": 1},
    "many": {"maxTrialNumber": 250_000},
    "many-excluded": {
        "searchSpace": {"lr": {"_type": "randint", "_value": [0, 2_000_000]}}, "maxTrialNumber": None, "amlc": {"constraints": ["lr != 7"]},
    },
    "endless-trial": {"maxTrialDuration": None, "trainingService": AML},
    "library": {"tuner": {"name": "Anneal"}},
    "library-of-a-sampler": {"tuner": {"name": "Optuna", "classArgs": {"sampler": "GPSampler"}}},
    "library-of-the-assessor": {"assessor": {"name": "Curvefitting", "classArgs": {"epoch_num": 9}}},
}  # fmt: skip
HIDDEN = {"library": ["hyperopt"], "library-of-a-sampler": ["torch"], "library-of-the-assessor": ["scipy"]}
"""Libraries that are not installed, whatever is."""


@pytest.mark.golden
@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_said_as_it_is_recorded(tmp_path, case, monkeypatch):
    for name in HIDDEN.get(case, ()):
        monkeypatch.setitem(sys.modules, name, None)
    problems = found(tmp_path, **ODD[case])
    text = "".join(f"{problem}\n" for problem in problems)
    path = REPORTED / f"odd-{case}.txt"
    if os.environ.get("AMLC_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text, "nothing is odd"
    assert path.read_text(encoding="utf-8") == text


FINE = {
    "plain": {},
    "several programs": {"trialCommand": "cd x && python3 nope.py"},
    "a script of the image": {"trialCommand": "python3 /opt/train.py"},
    "a script elsewhere": {"trialCommand": "python3 ../train.py"},
    "a module": {"trialCommand": "python3 -m train"},
    "a builtin": {"trialCommand": "exec python3 nope.py"},
    "its own PATH": {"trialCommand": "PATH=x mine train.py"},
    "a program of the image": {"trialCommand": "theirs train.py", "trainingService": AML},
    "an ignored script that runs in place": {"files": {".gitignore": "*.py\n"}, "amlc": {"workingDirectory": "trialCodeDirectory"}},
    "an ignore file of others": {"files": {".gitignore": "*.txt\n"}, "amlc": {"workingDirectory": "copy"}},
    "a class of the user's own": {
        "files": {"mine.py": ""}, "tuner": {"className": "mine.T", "codeDirectory": "."}, "searchSpace": {"other": CHOICE},
    },
    "a budget that the tuner gives": {
        "tuner": {"name": "Hyperband", "classArgs": {"optimize_mode": "maximize"}}, "files": {"train.py": READS + "print(p['TRIAL_BUDGET'])\n"},
    },
    "another module asks": {
        "files": {"train.py": "import other\n" + READS, "other.py": "import nni\nq = nni.get_next_parameter()\n"},
        "searchSpace": {**SPACE, "more": CHOICE},
    },
    "another module of another asks": {
        "files": {"train.py": "from lib import a\n" + READS, "lib/a.py": "from . import x\nimport b\n", "b.py": "get_next_parameter"},
        "searchSpace": {**SPACE, "more": CHOICE},
    },
    "it cannot be followed": {"files": {"train.py": "import nni\nrun(**nni.get_next_parameter())\n"}, "searchSpace": {"a": CHOICE}},
    "no Python": {"files": {"train.py": "import (\n"}, "searchSpace": {"a": CHOICE}},
    "binary": {"files": {"train.py": "\0"}, "searchSpace": {"a": CHOICE}},
    "a pack of an open loop": {"amlc": {"trialsPerJob": 4}},
    "a pack that runs side by side": {
        "amlc": {"trialsPerJob": 2}, "tuner": {"name": "TPE"}, "trialConcurrency": 2, "trialGpuNumber": 1,
    },
    "a pack of replicates": {"amlc": {"trialsPerJob": 4, "replicates": 4}, "tuner": {"name": "TPE"}},
    "a pack of a generation": {
        "amlc": {"trialsPerJob": 4}, "tuner": {"name": "Hyperband", "classArgs": {"optimize_mode": "maximize"}},
        "files": {"train.py": READS + "print(p['TRIAL_BUDGET'])\n"},
    },
    "many in packs": {"amlc": {"trialsPerJob": 100}, "maxTrialNumber": 250_000},
    "true is not 1": {"searchSpace": {"lr": {"_type": "choice", "_value": [1, True, 0, False, "1"]}}},
    "a constant that is meant": {"searchSpace": {"lr": {"_type": "uniform", "_value": [1, 1]}}},
    "a q that leaves two": {"searchSpace": {"lr": {"_type": "quniform", "_value": [0, 5, 5]}}},
    "every option has its chance": {"searchSpace": {"lr": CHOICE, "b": CHOICE}, "amlc": {"constraints": ["lr + b == 4"]}, "files": {"train.py": READS + "print(p['b'])\n"}},
    "nobody can count it": {"searchSpace": {**SPACE, "c": CHOICE}, "amlc": {"constraints": ["c * lr < 0.2"]}, "files": {"train.py": READS + "print(p['c'])\n"}},
    "a limit of the job's own": {"maxTrialDuration": None, "trainingService": AML, "amlc": {"job": {"limits": {"timeout": 60}}}},
    "on this machine": {"maxTrialDuration": None},
    "a library that is there": {"tuner": {"name": "GP"}, "assessor": {"name": "Curvefitting"}},
    "a sampler whose library is there": {"tuner": {"name": "Optuna", "classArgs": {"sampler": "QMCSampler"}}},
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_nothing_is_said_that_is_not_certain(tmp_path, case):
    assert [str(problem) for problem in found(tmp_path, **FINE[case])] == []


def test_of_a_strangers_file_nothing_beyond_its_folder_is_looked_at(tmp_path, monkeypatch):
    (tmp_path / "outside.py").write_text("import nni\np = nni.get_next_parameter()\nx = p['hunter2']\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "train.py").symlink_to("../outside.py")
    os.chdir(inner)
    assert found(inner, files={"train.py": None}, trialCommand="python3 train.py", within=inner.resolve()) == ()
    assert found(inner, files={"train.py": None}, trialCommand="nowhere train.py", within=inner.resolve()) == ()
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    assert found(inner, files={"train.py": None}, tuner={"name": "Anneal"}, within=inner.resolve()) == ()


@pytest.mark.parametrize("name", ["digits", "digits-pbt"])
def test_the_examples_have_nothing_odd(name):
    experiment, _ = load_experiment(ROOT / "examples" / name / "experiment.yml", environ={})
    if shutil.which("python3"):
        assert lint.warnings(experiment) == ()
    assert list(about_space(experiment.space, ())) == list(about_branches(experiment)) == []
    assert list(about_packs(experiment)) == list(about_number(experiment)) == list(about_libraries(experiment)) == []
    assert not any(isinstance(one, OddityError) and one.code == "W-script" for one in about_command(experiment, leave_out=[], within=None))


@pytest.mark.parametrize("name", ["cluster", "data", "environment", "spot"])
def test_the_examples_for_azure_have_nothing_odd(name):
    environ = dict.fromkeys(("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_WORKSPACE"), "x")
    experiment, _ = load_experiment(ROOT / "examples" / "aml" / f"{name}.yml", environ=environ)
    assert [str(problem) for problem in lint.warnings(experiment)] == []
