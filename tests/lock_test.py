"""What `make lock` wrote fits pyproject.toml: nothing is missing, nothing is older than promised or from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from amlc import extras as told

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found,no-redef]

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^ ;]+)(?: ; [^\\]+)? \\")

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
RUN = [*PROJECT["dependencies"], *GROUPS["build"], *GROUPS["example"]]
QUICK = [*PROJECT["dependencies"], *(found for extra in EXTRAS.values() for found in extra)]
QUICK += [*GROUPS["build"], *GROUPS["example"], *GROUPS["test"]]


def pins(name: str) -> dict[str, set[Version]]:
    """Return the versions of each package in one file, several where they differ by Python version."""
    found: dict[str, set[Version]] = {}
    for package, version in _PIN.findall((ROOT / "requirements" / name).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("run.txt", RUN, id="run"),
        pytest.param("azure.txt", [*RUN, *EXTRAS["azure"]], id="azure"),
        pytest.param("docs.txt", [*RUN, *GROUPS["docs"]], id="docs"),
        pytest.param("peers.txt", GROUPS["peers"], id="peers"),
        pytest.param("test.txt", [*QUICK, *GROUPS["check"]], id="test"),
        pytest.param("lowest.txt", QUICK, id="lowest"),
    ],
)
def test_all_that_is_asked_for_is_locked_in_a_version_that_is_allowed(name, wanted) -> None:
    locked = pins(name)
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in requirements/{name}: make lock LOCK_ARGS="
        assert all(map(requirement.specifier.contains, versions)), f"{requirement}: {versions}. make lock LOCK_ARGS="


def test_each_lower_bound_is_a_version_that_is_tested() -> None:
    locked = pins("lowest.txt")
    for requirement in map(Requirement, QUICK):
        bounds = {Version(part.version) for part in requirement.specifier if part.operator in (">=", "==")}
        assert locked[canonicalize_name(requirement.name)] == bounds, f"{requirement}: raise the bound, or make lock"


@pytest.mark.parametrize("name", ["run.txt", "azure.txt"])
def test_what_runs_is_what_is_tested(name) -> None:
    tested = pins("test.txt")
    assert {package: versions for package, versions in pins(name).items() if tested.get(package) != versions} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lock_holds_versions_and_hashes_and_nothing_else(file) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    line = re.compile(r"\s*#.*|[A-Za-z0-9._-]+==\S+(?: ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?")
    assert [found for found in text.splitlines() if not line.fullmatch(found)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_amlc_itself_never_comes_from_a_registry(file) -> None:
    assert "amlc" not in pins(file.name)


def test_what_messages_say_to_install_is_what_the_extras_have():
    assert {name: [re.split("[<>=]", each)[0] for each in EXTRAS[name]] for name in EXTRAS} == {
        name: list(libraries) for name, libraries in told.EXTRAS.items()
    }
    assert PROJECT["name"] == "amlc-toolkit"  # that of the command is taken


def test_every_python_that_is_promised_is_tested() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8"))
    quick = workflow["jobs"]["quick"]["strategy"]["matrix"]
    promised = {kind.rpartition(" ")[2] for kind in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", kind)}
    assert set(quick["python"]) == promised
    assert min(promised, key=Version) == PROJECT["requires-python"].removeprefix(">=")
    systems = {*quick["os"], *(each["os"] for each in quick["include"])}
    assert {system.partition("-")[0] for system in systems} == {"ubuntu", "macos"}
