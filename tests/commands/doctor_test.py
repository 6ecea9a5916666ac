"""`amlc doctor`: a line for each check, and an exit code for scripts."""

import pytest

from amlc.backends import Check
from amlc.commands.doctor import doctor
from amlc.errors import BackendError
from amlc.targets.aml import backend as module

AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip


def examined(story, monkeypatch, *found, backend=None):
    monkeypatch.setattr(module, "examine", lambda client, storage, build, environ: iter(found))
    code = doctor(target=None, backend=backend, folders=story.folders, out=story.out)
    return code, story.lines()[0]


def test_this_machine_needs_nothing(story, monkeypatch):
    assert examined(story, monkeypatch) == (0, ["ok      local: nothing is needed but this machine"])


@pytest.mark.parametrize(("is_well", "code", "word"), [(True, 0, "ok    "), (False, 5, "failed")])
def test_one_check_that_failed_fails_it(story, monkeypatch, is_well, code, word):
    story.project.write(trainingService=AML).compile()
    found = Check("compute", is_well=is_well, text="'cpu'"), Check("MLflow", is_well=True, text="fine")
    assert examined(story, monkeypatch, *found, backend="aml") == (
        code,
        [f"{word}  compute: 'cpu'", "ok      MLflow: fine"],
    )


def test_without_the_azure_libraries_it_says_what_to_install(story, monkeypatch):
    def fail(*args):
        raise ModuleNotFoundError(name="azure")

    story.project.write(trainingService=AML).compile()
    monkeypatch.setattr(module, "examine", fail)
    with pytest.raises(
        BackendError, match=r"azure is not installed. Install what it needs: pip install 'amlc\[azure\]'"
    ):
        doctor(target=None, backend="aml", folders=story.folders, out=story.out)
