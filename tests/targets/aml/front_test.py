"""What an experiment file says to Azure ML: where the jobs run, in which workspace, and on which storage."""

import json
from dataclasses import replace

import pytest

from amlc import config
from amlc.errors import BackendError
from amlc.model import JobPart
from amlc.targets import aml
from amlc.targets.aml import AmlTarget, Storage, Workspace, storage_of, workspace_of
from tests.targets.aml.jobs_test import HEADER

SPACE = {"subscription_id": "S", "resource_group": "R", "workspace_name": "W"}
AML = "trainingService: {platform: aml, subscriptionId: s, resourceGroup: r, workspaceName: w, %s}\n"
WHOLE = "computeTarget: c, dockerImage: i"


def filled(read, text, *, needed=True, **environ):
    return aml.read(read(text), environ, needed=needed)


def filled_of(given):
    return aml.read(given, {}, needed=True)


def space_in(given):
    return tuple(given.get("trainingService", name) for name in ("subscriptionId", "resourceGroup", "workspaceName"))


@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json", "../.azureml/config.json"])
def test_the_workspace_comes_from_its_file(read, tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("\ufeff" + json.dumps(SPACE), encoding="utf-8")
    try:
        given, (found,) = filled(read, "trainingService: {platform: aml}")
        assert space_in(given) == ("S", "R", "W")
        assert found.resolve() == file.resolve()
    finally:
        file.unlink()


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", json.dumps({**SPACE, "workspace_name": ""}), json.dumps({**SPACE, "resource_group": 1})],
)
def test_a_file_that_names_no_workspace_is_passed_over(read, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml" / "config.json").write_text(json.dumps(SPACE))
    given, (found,) = filled(read, "trainingService: {platform: aml}")
    assert (space_in(given), found.parent.name) == (("S", "R", "W"), ".azureml")


def test_what_the_experiment_says_wins_over_the_file(read, tmp_path, say):
    (tmp_path / "config.json").write_text(json.dumps(SPACE))
    text = "trainingService: {platform: aml, subscriptionId: s, resourceGroup: '${NOPE}', workspaceName: '${A}'}"
    given, (found,) = filled(read, text, A="w")
    assert space_in(given) == ("s", "R", "${A}")
    assert say(given.problems) == ["N-workspace /trainingService/resourceGroup", "N-image /trainingService"]
    assert found.name == "config.json"
    assert filled(read, AML % "dockerImage: i")[1] == ()


def test_a_placeholder_of_the_workspace_is_filled_in_where_it_is_set(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SPACE))
    text = AML.replace(": s,", ": '${A}',").replace(": r,", ": '${NOPE}',") % WHOLE
    (tmp_path / "e.yml").write_text(
        "searchSpace: {x: {_type: choice, _value: [1]}}\ntrialCommand: c\ntrialConcurrency: 1\ntuner: {name: Random}\n"
        + text
    )
    experiment, problems = config.load_experiment(tmp_path / "e.yml", environ={"A": "s"})
    assert experiment.target.head["workspace"] == {"subscription_id": "s", "resource_group": "R", "name": "w"}
    assert [problem.code for problem in problems] == ["N-workspace"]
    assert experiment.inputs == (tmp_path / "e.yml", tmp_path / "config.json")


@pytest.mark.parametrize(
    ("needed", "said"),
    [(True, ["E-placeholder /trainingService/workspaceName", "N-image /trainingService"]), (False, [])],
    ids=["needed", "not needed"],
)
def test_without_a_file_a_placeholder_that_is_not_set_is_an_error_where_jobs_run_there(read, say, needed, said):
    given, files = filled(read, "trainingService: {platform: aml, workspaceName: '${NOPE}'}", needed=needed)
    assert (given.get("trainingService", "workspaceName"), say(given.problems), files) == (None, said, ())
    assert all("put the workspace's config.json beside the experiment" in one.message for one in given.problems[:1])
    assert say(aml.check(given, needed=False)) == []


def test_what_was_refused_is_not_taken_from_the_file(read, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SPACE))
    refused = read("trainingService: {platform: aml}").without(("trainingService", "workspaceName"))
    given, _ = aml.read(refused, {}, needed=True)
    assert space_in(given) == ("S", "R", None)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (AML % WHOLE, []),
        (AML % "computeTarget: c", []),
        (AML % "maxTrialNumberPerGpu: 1" + "amlc: {job: {compute: null}}", []),
        (AML % "maxTrialNumberPerGpu: 1" + "amlc: {job: {compute: azureml:x}}", []),
        (AML % "maxTrialNumberPerGpu: 1" + "amlc: {job: [compute]}", ["computeTarget"]),
        (AML % "dockerImage: i", ["computeTarget"]),
        (
            "trainingService: {platform: aml}",
            ["subscriptionId", "resourceGroup", "workspaceName", "computeTarget"],
        ),
    ],
)
def test_azure_needs_a_place(read, text, missing):
    problems = list(aml.check(read(text), needed=True))
    assert [problem.code for problem in problems] == ["E-required"] * len(missing)
    assert [problem.message.split("'")[1] for problem in problems] == missing
    assert all(
        ("'config.json'" in problem.message) == (not problem.message.split("'")[1].startswith(("c", "d")))
        for problem in problems
    )
    assert not list(aml.check(read(text), needed=False))


def test_what_was_refused_is_not_missing_too(read):
    given = read(AML % "dockerImage: i").without(("trainingService", "computeTarget"))
    assert not list(aml.check(given, needed=True))


@pytest.mark.parametrize(
    ("text", "image", "said"),
    [
        ("", "msranni/nni:latest", ["N-image /trainingService"]),
        ("amlc: {environment: 'azureml:e:1'}", None, []),
        ("amlc: {job: {environment: 'azureml:e:1'}}", "azureml:e:1", []),
        ("amlc: {job: {environment: {image: i}}}", '{"image": "i"}', []),
        ("amlc: {job: {environment: null}}", "msranni/nni:latest", ["N-image /trainingService"]),
    ],
)
def test_without_an_image_or_an_environment_it_is_nnis_default(read, say, text, image, said):
    given, _ = filled(read, AML % "computeTarget: c" + text)
    assert (given.get("trainingService", "dockerImage"), say(given.problems)) == (image, said)
    assert say(filled(read, AML % "computeTarget: c" + text, needed=False)[0].problems) == []


def test_an_image_that_was_refused_has_no_other_in_its_place(read, say):
    given, _ = filled_of(read(AML % "computeTarget: c").without(("trainingService", "dockerImage")))
    assert (given.get("trainingService", "dockerImage"), say(given.problems)) == (None, [])


def test_the_default_is_that_of_nni(read):
    from nni.experiment.config import AmlConfig

    given, _ = filled(read, AML % "computeTarget: c")
    assert given.get("trainingService", "dockerImage") == AmlConfig(
        subscription_id="s", resource_group="r", workspace_name="w", compute_target="c"
    ).docker_image


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trialGpuNumber: 1\n" + AML % WHOLE, []),
        (AML % f"{WHOLE}, useActiveGpu: false", ["W-no-effect /trainingService/useActiveGpu"]),
        (AML % f"{WHOLE}, useActiveGpu: true", ["W-no-effect /trainingService/useActiveGpu"]),
        (AML % "computeTarget: c, dockerImage: 'a${{b}}'", ["E-expression /trainingService/dockerImage"]),
        (AML % "computeTarget: 'a${{b}}', dockerImage: i", ["E-expression /trainingService/computeTarget"]),
        (AML % "computeTarget: 'a$[[b]]', dockerImage: 'a$[b]'", ["E-expression /trainingService/computeTarget"]),
    ],
)
@pytest.mark.parametrize("needed", [True, False])
def test_what_azure_cannot_do_is_said(read, say, text, said, needed):
    assert say(aml.check(read(text), needed=needed)) == said


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("{storageType: AzureBlob, storageAccountName: a, containerName: c}", []),
        ("{storageType: NFS, nfsServer: s, exportedDirectory: /e}", ["E-storage /sharedStorage/storageType"]),
        ("{storageType: other}", []),
        ("text", []),
    ],
)
def test_storage_is_one_that_jobs_can_mount(read, say, storage, said):
    assert say(aml.check(read(AML % WHOLE + f"sharedStorage: {storage}\n"), needed=True)) == said


BLOB = """\
sharedStorage: {storageType: AzureBlob, localMountPoint: mnt, remoteMountPoint: /r, localMounted: usermount, \
storageAccountName: acc, containerName: %s, storageAccountKey: %s}
"""


def test_its_settings_are_what_the_file_says(read):
    assert aml.settings(read("trainingService: {platform: aml}")) == AmlTarget()
    assert aml.settings(read(AML % WHOLE)) == AmlTarget(
        subscription_id="s", resource_group="r", workspace_name="w", compute="c", image="i"
    )


@pytest.mark.parametrize(
    ("container", "datastore"),
    [("c", "amlc_acc_c"), ("c_1", "amlc_acc_c_1"), ("a-b", "amlc_acc_a_b_2adcb5"), ("a.b", "amlc_acc_a_b_9eddc5")],
)
def test_a_datastore_is_named_after_account_and_container(read, container, datastore):
    found = aml.settings(read(AML % WHOLE + BLOB % (container, "'${KEY}'"))).storage
    assert found == Storage(datastore=datastore, account_name="acc", container_name=container, key_variable="KEY")


def test_storage_without_a_key_or_not_whole(read):
    def said(storage):
        found = aml.settings(read(AML % WHOLE + storage))
        return found.mount_point, found.storage and found.storage.key_variable, found.storage is None

    assert said(BLOB % ("c", "secret")) == ("/r", None, False)
    assert said(BLOB % ("null", "'${KEY}'")) == ("/r", None, True)
    assert said("sharedStorage: {storageType: NFS, remoteMountPoint: /r}\n") == ("/r", None, True)
    assert said("") == (None, None, True)


STORAGE = Storage(datastore="d", account_name="a", container_name="c", key_variable="KEY")
WORKSPACE = Workspace(subscription_id="s", resource_group="r", name="w")
GIVEN = AmlTarget(
    subscription_id="s", resource_group="r", workspace_name="w", compute="cpu", image="i", mount_point="/mnt/it's/", storage=STORAGE
)  # fmt: skip


def test_its_part_of_a_job_file_is_cluster_image_and_storage():
    assert replace(AmlTarget().job, sweeps=None) == JobPart()
    whole = replace(AmlTarget(compute="cpu", image="i").job, sweeps=None)
    assert whole == JobPart(compute="azureml:cpu", image="i")
    part = GIVEN.job
    assert (part.compute, part.image, part.mount) == ("azureml:cpu", "i", "/mnt/it's")
    assert part.outputs == {
        "amlc_storage": {"type": "uri_folder", "mode": "rw_mount", "path": "azureml://datastores/d/paths/"}
    }
    where = "'/mnt/it'\"'\"'s'"
    assert part.setup == f'mkdir -p "$(dirname {where})" && ln -sfn "${{{{outputs.amlc_storage}}}}" {where}'


def test_its_part_of_the_manifest_is_workspace_and_storage():
    assert AmlTarget(compute="c", image="i").head == {}
    assert replace(GIVEN, workspace_name=None).head == {
        "storage": {"datastore": "d", "account_name": "a", "container_name": "c", "key_variable": "KEY"}
    }
    header = replace(HEADER, target={"aml": GIVEN.head})
    assert (workspace_of(header), storage_of(header)) == (WORKSPACE, STORAGE)
    assert (workspace_of(replace(HEADER, target={"local": {}})), storage_of(HEADER)) == (None, None)


def test_what_all_trials_see_lies_on_the_storage():
    assert AmlTarget(mount_point="/mnt/data").common("/here") == "/mnt/data/amlc"
    assert AmlTarget().common("/here") is None


def test_a_machine_without_the_azure_libraries_is_told_what_to_install():
    err = aml.missing_azure(ModuleNotFoundError(name="azure.core"))
    assert isinstance(err, BackendError)
    assert "azure.core is not installed. Install what it needs: pip install azure-ai-ml" in str(err)
