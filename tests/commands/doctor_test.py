"""`amlc doctor`: a line for each check, and an exit code for scripts."""

import pytest

from amlc.backends import Check
from amlc.commands.doctor import doctor
from amlc.errors import BackendError
from amlc.exit_codes import exit_code
from amlc.targets.aml import backend as module

AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip


def examined(story, monkeypatch, *found, backend=None):
    monkeypatch.setattr(module, "examine", lambda *_: iter(found))
    checks = list(doctor(story.manifest, backend=backend, folders=story.folders))
    return exit_code("doctor", checks), [(check.is_well, f"{check.name}: {check.text}") for check in checks]


def test_this_machine_needs_nothing(story, monkeypatch):
    assert examined(story, monkeypatch) == (0, [(True, "local: nothing is needed but this machine")])


@pytest.mark.parametrize(("is_well", "code"), [(True, 0), (False, 5)])
def test_one_check_that_failed_fails_it(story, monkeypatch, is_well, code):
    story.project.write(trainingService=AML).compile()
    found = Check("compute", is_well=is_well, text="'cpu'"), Check("MLflow", is_well=True, text="fine")
    assert examined(story, monkeypatch, *found, backend="aml") == (
        code,
        [(is_well, "compute: 'cpu'"), (True, "MLflow: fine")],
    )


def test_without_the_azure_libraries_it_says_what_to_install(story, monkeypatch):
    def fail(*args):
        raise ModuleNotFoundError(name="azure")

    story.project.write(trainingService=AML).compile()
    monkeypatch.setattr(module, "examine", fail)
    with pytest.raises(
        BackendError, match=r"azure is not installed. Install what it needs: pip install azure-ai-ml"
    ):
        list(doctor(story.manifest, backend="aml", folders=story.folders))


def test_each_check_is_a_line(story):
    done = story.project.amlc("doctor").stdout.decode()
    assert done == "ok      local: nothing is needed but this machine\n"
