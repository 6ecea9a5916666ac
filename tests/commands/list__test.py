"""The experiments of a folder: those compiled, and those of which only the results are left."""

import shutil

import pytest

from amlc.commands.list_ import experiments
from amlc.errors import DamageWarning


def listed(project):
    return list(experiments(project.folders))


def test_a_folder_without_any(project):
    assert listed(project) == []


def test_each_stands_as_its_ledger_says(story):
    story.end(0, final=1)
    story.intent(1)
    (one,) = listed(story.project)
    assert (one.name, one.working, str(one.verdict)) == ("probe", 1, "1 of 4 trials done: 2 pending, 1 waiting")


def test_what_is_not_compiled_any_more_is_listed_all_the_same(story):
    story.end(0, final=1)
    shutil.rmtree(story.folders.build)
    (one,) = listed(story.project)
    assert (one.name, one.manifest, one.verdict) == ("probe", None, None)


def test_one_whose_ledger_is_lost_and_that_is_not_compiled_any_more_is_said_with_what_mends_it(story):
    runs = story.folders.runs("probe")
    runs.mkdir(parents=True)
    shutil.rmtree(story.folders.build)
    assert listed(story.project) == [], "nothing was run"
    (runs / "probe-1").mkdir()
    with pytest.warns(DamageWarning, match="it is lost, and jobs were run"):
        (one,) = listed(story.project)
    assert one.name == "probe"
    assert one.problem.endswith("Compile the experiment: amlc compile FILE. Then mend it: amlc refresh.")


def test_a_manifest_that_cannot_be_read_is_said(story):
    (story.manifest.folder / "manifest.json").write_text("{}")
    with pytest.warns(DamageWarning, match="not a manifest of amlc's"):
        (one,) = listed(story.project)
    assert "not a manifest of amlc's" in one.problem
