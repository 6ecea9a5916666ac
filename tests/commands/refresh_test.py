"""`amlc refresh`: which target is asked, and what it is told."""

from types import SimpleNamespace

import pytest

from amlc.commands import refresh as module
from amlc.commands.refresh import refresh
from amlc.errors import BackendError, UsageError


@pytest.fixture
def refreshed(story, monkeypatch):
    """Return a function that refreshes; it returns what was printed, and what `aml` and `toy` were asked."""
    asked = []

    def remembering(name):
        def rebuild(manifest, target, where, folders):
            asked.append((name, manifest and manifest.header.experiment, target, dict(where), folders.build))
            return f"{name}: done"

        return SimpleNamespace(refresh=rebuild)

    known = {"local": SimpleNamespace(), "toy": remembering("toy"), "aml": remembering("aml")}
    monkeypatch.setattr(module, "target_named", known.__getitem__)
    monkeypatch.setattr(module, "names", lambda: tuple(known))

    def run(target=None, *, backend=None, folders=story.folders, **where):
        asked.clear()
        return refresh(target, backend=backend, where=where, folders=folders), list(asked)

    return run


def test_the_target_that_is_named_is_asked(refreshed, story):
    assert refreshed(backend="aml", config="c.json") == (
        "aml: done",
        [("aml", "probe", None, {"config": "c.json"}, story.folders.build)],
    )
    assert refreshed("probe", backend="toy")[1] == [("toy", "probe", "probe", {}, story.folders.build)]


def test_without_one_it_is_the_first_that_remembers_jobs(refreshed):
    assert [name for name, *_ in refreshed()[1]] == ["toy"]


def test_that_of_the_experiment_comes_first(refreshed, story):
    aml = {"subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i"}
    story.project.write(trainingService={"platform": "aml", **aml}).compile()
    assert [name for name, *_ in refreshed()[1]] == ["aml"]


def test_nothing_need_be_compiled(refreshed, story, tmp_path):
    nowhere = type(story.folders)(tmp_path / "nowhere", story.folders.state)
    assert refreshed(folders=nowhere)[1] == [("toy", None, None, {}, nowhere.build)]
    assert refreshed("other", folders=nowhere)[1] == [("toy", None, "other", {}, nowhere.build)]
    assert refreshed("other")[1] == [("toy", None, "other", {}, story.folders.build)]


def test_a_file_has_to_be_compiled(refreshed, story, tmp_path):
    nowhere = type(story.folders)(tmp_path / "nowhere", story.folders.state)
    with pytest.raises(UsageError, match="Compile the experiment first"):
        refreshed(str(story.project.root / "experiment.yml"), folders=nowhere)


def test_a_target_that_remembers_no_jobs_is_said(refreshed):
    with pytest.raises(BackendError, match="the back end 'local' remembers no jobs"):
        refreshed(backend="local")
