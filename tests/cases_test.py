"""Whole experiments and everything they compile to; `make golden` writes the expected trees anew."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from amlc.config import load_experiment
from amlc.folders import Folders
from amlc.resources import runner_dir
from amlc.write import write

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/experiment.yml"))
RUNNER = sorted(f"code/{path.relative_to(runner_dir()).as_posix()}" for path in runner_dir().rglob("*.py"))

OURS = {"${{outputs.amlc_storage}}", "${{search_space.amlc_trial}}", "${{inputs.data}}"}
"""The expressions that amlc's own template writes."""


def compiled(case: str, folder: Path) -> dict[str, str]:
    """Compile a copy of a case in `folder`; return the texts of the build by name, the runner's as well."""
    shutil.copytree(CASES / case, folder / case, ignore=shutil.ignore_patterns("expected"))
    experiment, _ = load_experiment(folder / case / "experiment.yml", environ={"STORAGE_KEY": "secret-key"})
    summary = write(experiment, Folders(folder / "build"), backend=experiment.target.platform)
    # depend.mk names files of the machine that it was written on; make_test.py is about it.
    return {
        path.relative_to(summary.folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(summary.folder.rglob("*"))
        if path.is_file() and path.name != "depend.mk"
    }


def without_runner(tree: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in tree.items() if name not in RUNNER}


def recorded(case: str) -> dict[str, str]:
    folder = CASES / case / "expected"
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def record(case: str, tree: dict[str, str]) -> None:
    folder = CASES / case / "expected"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.golden
@pytest.mark.parametrize("case", NAMES)
def test_a_case_compiles_to_exactly_what_is_recorded(case, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    tree = compiled(case, tmp_path)
    assert set(RUNNER) <= tree.keys()
    found = without_runner(tree)
    if os.environ.get("AMLC_GOLDEN") == "1":
        record(case, found)
    expected = recorded(case)
    assert sorted(found) == sorted(expected)
    for name, text in expected.items():
        assert found[name] == text, name


@pytest.mark.parametrize("case", NAMES)
def test_no_file_of_a_case_has_an_expression_or_a_secret(case, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in compiled(case, tmp_path).items():
        assert "secret-key" not in text, name
        if name.startswith(("jobs/", "sweep")):
            assert set(re.findall(r"\$\{\{.*?\}\}|\$\[\[.*?\]\]|\$\{\{|\$\[\[", text)) <= OURS, name


def test_there_is_a_case_for_each_kind_of_experiment() -> None:
    kinds = {
        "minimal-local",
        "aml-camel-case",
        "aml-snake-case",
        "grid-nested",
        "batch",
        "packed",
        "hostile",
        "template",
    }
    assert kinds <= set(NAMES)
