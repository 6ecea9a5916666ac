"""The kit for CI: each file is what its service takes, and its steps do what they say, with amlc as it is."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from amlc.starting.project import companions
from tests.bench.__main__ import PAGE
from tests.bench.history import FILE as HISTORY

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "tests" / "data" / "ci"  # as check-jsonschema 0.39.0 brings them; their licences lie beside them
ACTION = ROOT / "action.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
AZURE = ROOT / "ci" / "azure-pipelines.yml"
GITLAB = ROOT / "ci" / "gitlab.yml"
NEW = companions("experiment.yml", "{}")[".github/workflows/experiment.yml"]
WRONG = "tuner: {name: TPEE}"


class Loader(yaml.SafeLoader):
    """YAML 1.2's booleans: `on` is a key of GitHub's."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def read(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader)


def validator(name: str) -> jsonschema.protocols.Validator:
    schema = json.loads(gzip.decompress((SCHEMAS / f"{name}.json.gz").read_bytes()))
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("github-actions", ACTION.read_text(encoding="utf-8"), id="action.yml"),
        pytest.param("azure-pipelines", AZURE.read_text(encoding="utf-8"), id="azure template"),
        pytest.param("gitlab-ci", GITLAB.read_text(encoding="utf-8"), id="gitlab"),
        pytest.param("github-workflows", NEW, id="what init writes"),
        *(
            pytest.param("github-workflows", path.read_text(encoding="utf-8"), id=path.name)
            for path in (*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/aml/github-actions.yml")
        ),
        pytest.param(
            "azure-pipelines", (ROOT / "examples/aml/azure-pipelines.yml").read_text(encoding="utf-8"), id="azure example"
        ),
    ],
)
def test_a_file_is_what_its_service_takes(name: str, text: str) -> None:
    checked = validator(name)
    data = yaml.load(text, yaml.BaseLoader if name == "azure-pipelines" else Loader)  # there all is text
    assert [error.message[:200] for error in checked.iter_errors(data)] == []
    assert not checked.is_valid({**data, "runs": 5, "steps": 5, "jobs": 5, "amlc": 5})


@pytest.fixture
def checkout(project):
    """A user's repository with a good experiment, and an `amlc` on the PATH."""
    bin_ = project.root.parent / "bin"
    bin_.mkdir()
    (bin_ / "amlc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amlc "$@"\n', encoding="utf-8")
    (bin_ / "amlc").chmod(0o755)
    project.environ["PATH"] = f"{bin_}:{project.environ['PATH']}"
    return project.write()


def step(project, script: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the services do."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=project.root, env={**project.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def action(project, code: int = 0, **inputs: str) -> str:
    """Run the action's steps until one fails; return what they wrote, and after it the summary."""
    made = read(ACTION)
    given = {name: one["default"] for name, one in made["inputs"].items()} | inputs
    summary = project.root.parent / "summary.md"
    install, *steps = made["runs"]["steps"]
    assert install["run"].startswith('python3 -m pip install --quiet "$GITHUB_ACTION_PATH')
    said = ""
    for number, one in enumerate(steps, start=1):
        assert one["shell"] == "bash"
        environ = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value)
            for name, value in one["env"].items()
        }
        assert "${{" not in one["run"]  # what somebody names a file is no part of a script
        is_last = number == len(steps)
        done = step(project, one["run"], code if is_last or code == 1 else 0, GITHUB_STEP_SUMMARY=str(summary), **environ)
        said += done.stdout + done.stderr
        if done.returncode:
            break
    return said + (summary.read_text(encoding="utf-8") if summary.exists() else "")


def test_the_action_says_what_would_be_run_and_sums_up(checkout) -> None:
    said = action(checkout)
    assert "::error" not in said
    assert "4 to submit (new):" in said
    assert "### probe: 0 of 4 trials done: 4 pending" in said


def test_the_action_takes_several_experiments_with_odd_names(checkout) -> None:
    text = (checkout.root / "experiment.yml").read_text(encoding="utf-8")
    odd = "it's a $(touch oops) \"b\".yml"
    (checkout.root / odd).write_text(text.replace("probe", "other"), encoding="utf-8")
    said = action(checkout, experiments=f"experiment.yml\n\n{odd}\n")
    assert "### probe: " in said
    assert "### other: " in said
    assert not (checkout.root / "oops").exists()


def test_the_action_shows_what_is_wrong_in_its_line(checkout) -> None:
    checkout.write(tuner={"name": "TPEE"})
    said = action(checkout, code=1)
    assert re.search(r"::error file=experiment\.yml,line=\d+.*TPEE", said)
    assert "to submit" not in said


def test_the_action_fails_if_the_job_files_in_the_repository_are_old(checkout) -> None:
    step(checkout, "amlc compile experiment.yml")
    action(checkout, drift="true")
    checkout.write(values=range(5))
    assert "to submit" not in action(checkout, code=3, drift="true")


def test_the_action_installs_the_amlc_that_it_is_part_of() -> None:
    assert (ACTION.parent / "pyproject.toml").is_file()
    assert set(read(ACTION)["inputs"]) == {"experiments", "backend", "extras", "drift"}


def hooks() -> Mapping[str, Mapping[str, Any]]:
    return {hook["id"]: hook for hook in read(HOOKS)}


def run_hook(project, name: str, files: str = "", code: int = 0) -> str:
    hook = hooks()[name]
    done = step(project, f"{hook['entry']} {' '.join(hook.get('args', []))} {files}", code)
    return done.stdout + done.stderr


def test_the_hooks_are_installed_from_here() -> None:
    assert list(hooks()) == ["amlc-validate", "amlc-drift"]
    for hook in hooks().values():
        assert hook["language"] == "python"
        assert hook["entry"].startswith("amlc ")
        assert hook.keys() <= {"id", "name", "description", "entry", "language", "files", "args", "pass_filenames", "always_run"}


@pytest.mark.parametrize(
    ("file", "is_one"),
    [
        ("experiment.yml", True), ("a/experiment.aml.yaml", True), ("a/b.amlc.yml", True), ("experiment.json", True),
        ("my_experiment.yml", False), ("experiment.schema.json.txt", False), (".github/workflows/check.yml", False),
    ],
)  # fmt: skip
def test_the_hook_finds_experiments(file: str, is_one: bool) -> None:
    assert bool(re.search(hooks()["amlc-validate"]["files"], file)) == is_one


def test_a_hook_validates_what_is_to_be_committed(checkout) -> None:
    assert "probe is valid" in run_hook(checkout, "amlc-validate", "experiment.yml")
    checkout.write(tuner={"name": "TPEE"})
    assert "TPEE" in run_hook(checkout, "amlc-validate", "experiment.yml", code=1)


def test_a_hook_sees_that_the_job_files_are_old(checkout) -> None:
    run_hook(checkout, "amlc-drift", code=3)
    step(checkout, "amlc compile experiment.yml")
    run_hook(checkout, "amlc-drift")


def azure(project, code: int = 0, **given: str) -> str:
    made = read(AZURE)
    values = {one["name"]: one.get("default", "") for one in made["parameters"]} | given
    values = {name: str(value) for name, value in values.items()}
    install, *steps = made["steps"]
    assert install["bash"] == 'python3 -m pip install --quiet "$AMLC"'
    said = ""
    for one in steps:
        environ = {
            name: re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda found: values[found[1]], value)
            for name, value in one["env"].items()
        }
        done = step(project, one["bash"], code if one is steps[-1] else 0, AGENT_TEMPDIRECTORY=str(project.root.parent), **environ)
        said += done.stdout + done.stderr
    return said


def test_the_azure_template_says_what_would_be_run_and_sums_up(checkout) -> None:
    said = azure(checkout)
    assert "4 to submit (new):" in said
    (file,) = re.findall(r"^##vso\[task\.uploadsummary\](.*)$", said, re.MULTILINE)
    assert Path(file).read_text(encoding="utf-8").startswith("### probe: ")
    azure(checkout, drift="True")
    checkout.write(values=range(5))
    azure(checkout, code=3, drift="True")


def test_the_gitlab_job_leaves_its_summary_and_what_is_wrong(checkout) -> None:
    job = read(GITLAB)["amlc"]
    install, *script = job["script"]
    assert install == 'python3 -m pip install --quiet "$AMLC"'
    assert "4 to submit (new):" in step(checkout, "\n".join(script), **job["variables"]).stdout
    for file in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
        assert (checkout.root / file).stat().st_size > 10
    checkout.write(tuner={"name": "TPEE"})
    step(checkout, "\n".join(script), code=1, **job["variables"])
    assert "TPEE" in (checkout.root / job["artifacts"]["reports"]["junit"]).read_text(encoding="utf-8")


def test_the_weekly_run_keeps_what_it_measures() -> None:
    steps = read(ROOT / ".github/workflows/bench.yml")["jobs"]["bench"]["steps"]
    assert "make bench" in [one.get("run") for one in steps]
    (kept,) = (one["with"]["path"] for one in steps if one.get("uses", "").startswith("actions/upload-artifact@"))
    (again,) = {one["with"]["path"] for one in steps if one.get("uses", "").startswith("actions/cache/")}
    assert PAGE.match(kept)
    assert HISTORY.match(kept)
    assert ROOT / again == HISTORY


def test_what_init_writes_and_the_kit_do_the_same_checks() -> None:
    verbs = [set(re.findall(r"\bamlc (validate|compile|plan)\b", text)) for text in (NEW, *map(Path.read_text, (ACTION, AZURE, GITLAB)))]
    assert verbs == [{"validate", "compile", "plan"}] * 4


def test_the_page_says_what_the_kit_takes() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    texts = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    github, azure_, hooks_ = (yaml.load(text, Loader) for text in texts)
    workflow = {"on": "push", "jobs": {"check": {"runs-on": "ubuntu-latest", **github}}}
    assert [error.message for error in validator("github-workflows").iter_errors(workflow)] == []
    assert github["steps"][1]["with"].keys() <= read(ACTION)["inputs"].keys()
    assert [error.message for error in validator("azure-pipelines").iter_errors(yaml.load(texts[1], yaml.BaseLoader))] == []
    assert azure_["steps"][2]["parameters"].keys() <= {one["name"] for one in read(AZURE)["parameters"]}
    assert {hook["id"] for hook in hooks_["repos"][0]["hooks"]} == hooks().keys()
