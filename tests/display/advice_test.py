"""Which command goes on from here."""

from dataclasses import replace

import pytest

from amlc.collect.verdict import Verdict
from amlc.display.advice import about_failures, goes_on
from amlc.folders import Folders
from amlc.model import Status


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where nothing is compiled, so that no command has to name the experiment


OPEN = Verdict(2, {Status.SUCCEEDED: 1, Status.PENDING: 1}, 0)
TO_PROPOSE = Verdict(2, {Status.SUCCEEDED: 2}, 0, to_propose=1)


@pytest.mark.parametrize(
    ("end", "here", "hint"),
    [
        (Verdict(2, {Status.SUCCEEDED: 2}, 0), True, ""),
        (Verdict(2, {Status.SUCCEEDED: 2}, 0, out_of_time=True), True, ""),
        (OPEN, True, ": amlc submit goes on"),
        (OPEN, False, ": amlc submit goes on"),
        (replace(OPEN, out_of_time=True), True, ": amlc submit goes on once maxExperimentDuration is raised"),
        (TO_PROPOSE, True, ": amlc submit goes on"),
        (TO_PROPOSE, False, ": amlc submit goes on where the experiment's file is"),
    ],
)
def test_a_command_goes_on_while_there_is_something_to_submit(story, end, here, hint):
    manifest = story.manifest
    if not here:
        manifest = replace(manifest, header=replace(manifest.header, source="nowhere.yml"))
    assert goes_on(end, manifest, Folders()) == hint


@pytest.mark.parametrize(
    ("statuses", "again"),
    [
        ({Status.FAILED: 1}, "--retry failed runs it again"),
        ({Status.FAILED: 2}, "--retry failed runs them again"),
        ({Status.FAILED: 1, Status.UNFINISHED: 1}, "--retry failed,unfinished runs them again"),
    ],
)
def test_failures_can_be_looked_into_and_run_again(story, statuses, again):
    line = about_failures(Verdict(3, statuses, 0), story.manifest.header, Folders())
    assert line.endswith(f"amlc submit {again}")
