"""What stops a compile: `validate` finds it too, at the same place; each with its messages, AMLC_GOLDEN=1 rewrites them."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amlc.catalogue import NESTED as NESTED_CHOICE
from amlc.catalogue import find, names
from amlc.commands.compile import compile_
from amlc.commands.validate import validate
from amlc.config import load_experiment
from amlc.console import Console
from amlc.display.problems import show
from amlc.errors import ConfigError, PlanError
from amlc.exit_codes import exit_code
from amlc.folders import Folders
from amlc.model import Budget, Choice, Real
from amlc.refusals import check_ahead
from tests.plan_test import experiment
from tests.tuners.simulation import arguments

REFUSED = Path(__file__).parent / "refused"
CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in REFUSED.glob("*.yml"))
TEMPLATE = "templates/command-job.yml.j2"
EXTENDS = '{% extends "amlc/command-job.yml.j2" %}\n'


def put(name: str, text: str = "") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def many_files() -> None:
    for number in range(2001):
        put(f"code/{number:04d}")


def many_bytes() -> None:
    with put("code/data.bin").open("wb") as stream:
        stream.truncate(300_000_001)  # sparse: takes no space


def not_utf8() -> None:
    with open(b"code/\xff.py", "wb"):
        pass


def filled_in() -> None:
    text = Path("experiment.yml").read_text()
    put("experiment.yml", text.replace("LARGE", "x" * 1_600_000).replace("HALF", "x" * 800_000))


def block(text: str) -> Callable[[], Any]:
    return lambda: put(TEMPLATE, f"{EXTENDS}{{% block more %}}\n{text}\n{{% endblock %}}\n")


LARGE = {
    "a": {"_type": "choice", "_value": [1]},
    "text": {"_type": "choice", "_value": ["x" * 1_600_000]},
}

# What a case needs beside its experiment.
PREPARE: dict[str, Callable[[], Any]] = {
    "code-broken-link": lambda: Path("code/link").symlink_to("nowhere"),
    "code-link-into-itself": lambda: Path("code/link").symlink_to("."),
    "code-many-files": many_files,
    "code-many-bytes": many_bytes,
    "code-runner": lambda: put("code/amlc_runner.py"),
    "code-runner-default-folder": lambda: put("amlc_runner.py"),
    "code-not-utf8": not_utf8,
    "code-in-service": lambda: put("code/amlc_standin/x.py"),
    "code-and-budget": lambda: put("code/amlc_runner.py"),
    "own-class": lambda: put("code/mine.py", "class MyTuner:\n    pass\n"),
    "large-parameters": filled_in,
    "large-parameters-packed": filled_in,
    "large-parameters-adaptive": filled_in,
    "large-parameters-space-file": lambda: put("space.json", json.dumps(LARGE, indent=1)),
    "template-syntax": block("x: {% if %}"),
    "template-undefined": block("x: {{ nope }}"),
    "template-fails-late": block("x: {{ 1 / (4 - trials[0].sequence) }}"),
    "template-other-name": lambda: put(
        TEMPLATE, EXTENDS + "{% block identity %}\nname: mine\n{% endblock %}\n"
    ),
    "template-no-mapping": lambda: put(TEMPLATE, "- a list\n"),
    "template-adaptive": block("x: {{ 'rare'.nope if trials[0].parameters.a == 'rare' else 1 }}"),
    "template-and-code": lambda: (put(TEMPLATE, "{{ x"), put("code/amlc_runner.py")),
}


def prepare(name: str) -> None:
    shutil.copy(REFUSED / f"{name}.yml", "experiment.yml")
    Path("code").mkdir()
    PREPARE.get(name, lambda: None)()


def found_by_compile(**options: Any) -> list[dict[str, Any]]:
    """Return the errors that stop a compile, as `validate --format json` writes them."""
    try:
        experiment, _ = load_experiment(Path("experiment.yml"), environ=os.environ)
        compile_(experiment, backend=None, folders=Folders(), **options)
    except ConfigError as error:
        keys = ("code", "message", "path", "found", "expected", "hint")
        return [
            {"file": str(p.position.file), "line": p.position.line, "column": p.position.column}
            | {key: getattr(p, key) for key in keys}
            for p in error.problems
            if p.severity.value == "error"
        ]
    return []


def run_validate(format_: str, *, out: io.StringIO, err: io.StringIO) -> int:
    checked = validate([Path("experiment.yml")], backend=None, folders=Folders())
    return exit_code("validate", show(checked, Console(out, err), format_))


def found_by_validate() -> list[dict[str, Any]]:
    out = io.StringIO()
    code = run_validate("json", out=out, err=io.StringIO())
    problems = json.loads(out.getvalue())["problems"]
    errors = [problem for problem in problems if problem.pop("severity") == "error"]
    assert code == int(bool(errors))
    return errors


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amlc.constraints._MOST_REJECTED", 1_000)  # a hundredth, for speed
    monkeypatch.setattr("amlc.initial._MOST_DRAWS", 100)


@pytest.mark.parametrize("name", NAMES)
def test_validate_finds_what_compile_refuses_at_the_same_place(name) -> None:
    prepare(name)
    found = found_by_validate()
    assert found
    assert not Path("build").exists()
    assert found_by_compile() == found
    assert found_by_compile(preview=lambda *_: None) == found


@pytest.mark.golden
@pytest.mark.parametrize("name", NAMES)
def test_problems_are_exactly_those_recorded(name, tmp_path) -> None:
    prepare(name)
    checked = list(validate([Path("experiment.yml")], backend=None, folders=Folders()))
    assert exit_code("validate", checked) == 1
    found = "".join(f"{problem}\n" for one in checked for problem in one.problems).replace(
        str(tmp_path), "FOLDER"
    )
    # What Jinja says of a template is all that is known.
    assert all(
        problem.hint or problem.code == "E-template" for one in checked for problem in one.problems
    )
    expected = REFUSED / f"{name}.txt"
    if os.environ.get("AMLC_GOLDEN") == "1":
        expected.write_text(found, encoding="utf-8")
    assert expected.read_text(encoding="utf-8") == found


def test_every_recorded_message_has_its_experiment() -> None:
    assert {path.stem for path in REFUSED.glob("*.txt")} == set(NAMES) >= PREPARE.keys()


@pytest.mark.parametrize(
    "name", sorted(path.parent.name for path in CASES.glob("*/experiment.yml"))
)
def test_validate_admits_what_compiles(name, monkeypatch) -> None:
    monkeypatch.setenv("STORAGE_KEY", "x")
    for path in (CASES / name).iterdir():
        if path.name != "expected":
            (shutil.copytree if path.is_dir() else shutil.copy)(path, path.name)
    assert found_by_validate() == []
    assert found_by_compile() == []


FLAT = {
    "a": {"_type": "randint", "_value": [1, 9]},
    "b": {"_type": "uniform", "_value": [0, 1]},
}
NESTED = FLAT | {
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "conv", "k": {"_type": "randint", "_value": [1, 9]}},
            {"_name": "dense"},
        ],
    }
}
NO = "exclude this parameter set"
NONE = "hold for none of 100 ways"


@pytest.mark.parametrize("tuner", [name for name in names("tuner") if name != "Batch"])
@pytest.mark.parametrize(
    ("space", "initial", "constraint", "expected"),
    [
        pytest.param(FLAT, [{"a": 1, "b": 0.5}], "a < 3", {}, id="whole"),
        pytest.param(
            FLAT, [{"a": 1, "b": 0.5}, {"a": 5, "b": 0.5}], "a < 3", {1: NO}, id="whole excluded"
        ),
        pytest.param(FLAT, [{"a": 1}], "a < b * 9", {}, id="partial"),
        pytest.param(
            FLAT,
            [{"a": 1}, {"b": 0}, {"a": 8}],
            "a == 2 or b > 5",
            {0: NONE, 2: NONE},
            id="partial, excluded",
        ),
        pytest.param(FLAT, [{"a": 1}], "b > 0.997", {0: NONE}, id="partial, seldom met"),
        pytest.param(
            NESTED, [{"net": {"_name": "conv"}}], "net.k is undefined or net.k > 7", {}, id="nested"
        ),
        pytest.param(
            NESTED,
            [{"net": {"_name": "conv", "k": 2}}],
            "net.k is undefined",
            {0: NONE},
            id="nested, excluded",
        ),
    ],
)
def test_validate_and_compile_say_the_same_of_first_parameter_sets(
    tuner, space, initial, constraint, expected
):
    known = find(tuner, "tuner")
    given = {"all_checkpoint_dir": "/c"} if tuner == "PBT" else {}
    args = dict(arguments(tuner, **given)) if known.adaptive else {}
    text = {
        "experimentName": "s",
        "searchSpace": space,
        "trialCommand": "python t.py",
        "trialConcurrency": 1,
        "maxTrialNumber": 8,
        "tuner": {"name": tuner, "classArgs": args},
        "trainingService": {"platform": "local"},
        "amlc": {"initial": initial, "constraints": [constraint]},
    }
    put("experiment.yml", json.dumps(text))
    put("t.py")
    found = found_by_validate()
    assert found == found_by_compile()
    if space is NESTED and NESTED_CHOICE not in known.types:
        assert {problem["path"] for problem in found} == {"/searchSpace/net/_type"}
        return
    assert [problem["path"] for problem in found] == [
        f"/amlc/initial/{number}" for number in expected
    ]
    assert all(said in one["message"] for one, said in zip(found, expected.values(), strict=True))


X = Real("x", 0.0, 1.0)


@pytest.mark.parametrize(
    ("tuner", "changes", "path"),
    [
        pytest.param(
            "TPE", {"max_trials": 9, "budget": Budget(trials=9)}, None, id="within its budget"
        ),
        pytest.param(
            "TPE",
            {"max_trials": 9, "budget": Budget(trials=8)},
            ("amlc", "budget", "trials"),
            id="beyond it",
        ),
        pytest.param(
            "Random",
            {"max_trials": 9, "budget": Budget(trials=8)},
            None,
            id="an open loop is gone through",
        ),
        pytest.param(
            "TPE", {"max_trials": 9, "constraints": ("x < 2",)}, None, id="constraints that hold"
        ),
        pytest.param(
            "TPE",
            {"max_trials": 9, "constraints": ("x > 2",)},
            ("amlc", "constraints"),
            id="that leave nothing",
        ),
        pytest.param(
            "TPE",
            {"max_trials": 9, "constraints": ("x.nope > 2",)},
            ("amlc", "constraints", 0),
            id="that fail",
        ),
    ],
)
def test_what_is_known_before_the_trials_are_is_refused_first(tuner, changes, path):
    one = experiment((X,), tuner=tuner, **changes)
    if path is None:
        check_ahead(one)
        return
    with pytest.raises(PlanError) as refused:
        check_ahead(one)
    assert refused.value.path[: len(path)] == path


def test_a_parameter_set_that_fits_into_no_job_is_refused():
    large = Choice("c", ("x" * 1_600_000, "y"))
    with pytest.raises(PlanError):
        check_ahead(experiment((X, large), tuner="TPE", max_trials=9))
