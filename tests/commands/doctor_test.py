"""`amlc doctor`: a line for each check, and an exit code for scripts."""

import pytest

from amlc.commands.doctor import doctor
from amlc.errors import BackendError
from amlc.targets.aml import doctor as checks


def examined(story, monkeypatch, *found, backend=None):
    monkeypatch.setattr(checks, "examine", lambda header, job, environ: iter(found))
    code = doctor(target=None, backend=backend, folders=story.folders, out=story.out)
    return code, story.lines()[0]


def test_this_machine_needs_nothing(story, monkeypatch):
    assert examined(story, monkeypatch) == (0, ["ok      local: nothing is needed but this machine"])


@pytest.mark.parametrize(("is_well", "code", "word"), [(True, 0, "ok    "), (False, 5, "failed")])
def test_one_check_that_failed_fails_it(story, monkeypatch, is_well, code, word):
    found = checks.Check("compute", is_well=is_well, text="'cpu'"), checks.Check("MLflow", is_well=True, text="fine")
    assert examined(story, monkeypatch, *found, backend="aml") == (
        code,
        [f"{word}  compute: 'cpu'", "ok      MLflow: fine"],
    )


def test_without_the_azure_libraries_it_says_what_to_install(story, monkeypatch):
    def fail(*args):
        raise ModuleNotFoundError(name="azure")

    monkeypatch.setattr(checks, "examine", fail)
    with pytest.raises(
        BackendError, match=r"azure is not installed. Install what it needs: pip install 'amlc\[azure\]'"
    ):
        doctor(target=None, backend="aml", folders=story.folders, out=story.out)
