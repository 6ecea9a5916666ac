"""What jobs share: its names, what is made and what is left as it is, and what is wrong with a compute target."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.core.exceptions import DecodeError, HttpResponseError

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import Storage
from amlc.targets.aml.assets import (
    check,
    code_id,
    compute_problem,
    datastore_problem,
    datastores_of,
    ensure_datastore,
    environment_id,
    environment_problem,
    names_files,
    no_key,
    unreadable,
    waiting_reason,
)
from tests.targets.aml.workspace import Client

STORAGE = Storage(datastore="nni", account_name="account", container_name="c", key_variable="KEY")


@pytest.fixture(autouse=True)
def _light_client(monkeypatch):
    """Stand in for the classes of azure-ai-ml, which takes long to import; the emulator's tests have the real ones."""
    load = lambda text, **options: SimpleNamespace(**json.loads(text.read()))  # noqa: E731
    entities = SimpleNamespace(AccountKeyConfiguration=SimpleNamespace, AzureBlobDatastore=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "azure.ai.ml", SimpleNamespace(load_environment=load, entities=entities))
    monkeypatch.setitem(sys.modules, "azure.ai.ml.entities", entities)


class Registry(Client):
    """A workspace whose Azure ML client only notes what it is given to make."""

    def __init__(self, **answers):
        super().__init__(**answers)
        self.made = []
        self.ml = self.environments = self.datastores = self

    def create_or_update(self, entity):
        self.made.append(entity)


def environment(value, base=Path()):
    client = Registry()
    return environment_id(client, value, base), client


def test_a_registered_environment_is_used_as_it_is():
    reference, client = environment("azureml:AzureML-sklearn@latest")
    assert (reference, client.asked, client.made) == ("azureml:AzureML-sklearn@latest", [], [])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"image": "msranni/nni:v3.0"}, "amlc-nni-v3-0"),
        ({"image": "registry.example.com:5000/team/my_image@sha256:0"}, "amlc-my_image-sha256-0"),
        ({"image": "x" * 90}, "amlc-" + "x" * 60),
        ({"image": "a/::"}, "amlc-image"),
        ({"build": {"path": "."}}, "amlc-built"),
    ],
    ids=str,
)
def test_an_image_becomes_an_environment_that_is_named_by_it(value, name):
    reference, client = environment(value)
    prefix, found, version = reference.split(":")
    assert (prefix, found, len(version)) == ("azureml", name, 16)
    assert client.asked == [f"GET /environments/{name}/versions/{version}"]
    assert [(made.name, made.version) for made in client.made] == [(name, version)]


def test_an_environment_that_is_there_is_not_made_again():
    reference, _ = environment({"image": "a:1"})
    _, name, version = reference.split(":")
    client = Registry(**{f"GET /environments/{name}/versions/{version}": {"name": version}})
    assert environment_id(client, {"image": "a:1"}, Path()) == reference
    assert client.made == []


def http(status):
    error = HttpResponseError("It said no.")
    error.status_code = status
    return error


def test_what_another_machine_makes_meanwhile_is_looked_up_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    name = "amlc-a-1"
    reference, _ = environment({"image": "a:1"})
    path = f"GET /environments/{name}/versions/{reference.rpartition(':')[2]}"
    client = Registry(**{path: [None, {"name": name}]})
    tries = []

    def refuse(entity):
        tries.append(entity)
        raise http(409)

    client.create_or_update = refuse
    assert environment_id(client, {"image": "a:1"}, Path()) == reference
    assert len(tries) == 1


@pytest.mark.parametrize(("status", "tries"), [(409, 5), (400, 1), (403, 1)])
def test_what_is_refused_for_good_is_said(monkeypatch, status, tries):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    asked = []

    def refuse(entity):
        asked.append(entity)
        raise http(status)

    client = Registry()
    client.create_or_update = refuse
    with pytest.raises(BackendError):
        environment_id(client, {"image": "a:1"}, Path())
    assert len(asked) == tries


def test_the_version_is_the_digest_of_what_the_environment_is_made_of(tmp_path):
    one, two = environment({"image": "a:1"})[0], environment({"image": "a:2"})[0]
    assert one != two
    tags = {"tags": {"a": "1"}, "image": "a:1"}
    assert environment(tags)[0] == environment(dict(reversed(tags.items())))[0]
    conda = {"image": "a:1", "conda_file": "conda.yml"}
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.11]")
    with_file = environment(conda, tmp_path)[0]
    assert environment(conda, tmp_path)[0] == with_file
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.12]")
    assert environment(conda, tmp_path)[0] != with_file


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"image": "a"}, False),
        ({"image": "a", "conda_file": "c.yml"}, True),
        ({"build": {"path": "."}}, True),
        ("azureml:conda_file:1", False),
        (None, False),
    ],
    ids=str,
)
def test_an_environment_that_names_files_is_bound_to_its_folder(value, expected):
    assert names_files(value) is expected


def ensured(environ, **answers):
    client = Registry(**answers)
    assert ensure_datastore(client, STORAGE, environ) == "nni"
    return client


THERE, SECRET = {"GET /datastores/nni": {"name": "nni"}}, "POST /datastores/nni/listSecrets"


def test_a_datastore_that_is_there_needs_no_key():
    client = ensured({}, **THERE)
    assert (client.asked, client.made) == (["GET /datastores/nni"], [])


def test_a_datastore_is_made_with_the_key():
    client = ensured({"KEY": "k"})
    (store,) = client.made
    assert (store.name, store.account_name, store.container_name) == ("nni", "account", "c")
    assert store.credentials.account_key == "k"


@pytest.mark.parametrize(
    ("answer", "made"), [({"key": "k"}, 0), ({"key": "old"}, 1), ({"key": None}, 1), ({}, 1)], ids=str
)
def test_a_datastore_gets_the_key_where_it_has_another(answer, made):
    assert len(ensured({"KEY": "k"}, **THERE, **{SECRET: answer}).made) == made


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"OTHER": "k"}])
def test_a_datastore_that_is_not_there_needs_a_key(environ):
    with pytest.raises(BackendError, match=r"'account' yet, and \$KEY is not set"):
        ensure_datastore(Registry(), STORAGE, environ)


def test_what_to_do_without_a_key_names_the_variable():
    assert no_key(STORAGE).endswith("and $KEY is not set. Export the account key in it, and submit again.")
    bare = Storage(datastore="nni", account_name="account", container_name="c")
    assert no_key(bare).endswith("Write storageAccountKey: ${AZURE_STORAGE_KEY}, and export that variable.")


@pytest.mark.parametrize("compute", [None, "", "azureml:", "/subscriptions/s/computes/x"])
def test_serverless_and_a_whole_id_are_not_looked_for(compute):
    client = Client()
    assert compute_problem(client, compute) is None
    assert client.asked == []


@pytest.mark.parametrize("compute", ["cpu", "azureml:cpu"])
@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"provisioningState": "Succeeded"}, None),
        ({"provisioningState": "Creating"}, None),
        ({}, None),
        ({"provisioningState": "Failed"}, "compute 'cpu' in workspace 'w' is in state Failed."),
        ({"provisioningState": "Deleting"}, "in state Deleting"),
        ({"provisioningState": "Canceled"}, "in state Canceled"),
        (
            {
                "provisioningState": "Failed",
                "provisioningErrors": [{"error": {"code": "Quota", "message": "No cores."}}],
            },
            "in state Failed. Quota: No cores. Mend it in the studio",
        ),
    ],
    ids=str,
)
def test_a_compute_target_that_cannot_run_jobs_is_a_problem(compute, properties, problem):
    client = Client(**{"GET /computes/cpu": {"properties": properties}})
    found = compute_problem(client, compute)
    assert (found is None) if problem is None else (problem in found)
    if problem is None:
        assert check(compute_problem, client, compute) == ""
    else:
        with pytest.raises(BackendError, match="in state"):
            check(compute_problem, client, compute)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({}, []),
        ({"inputs": None, "outputs": None}, []),
        ({"inputs": {"x": 3, "y": {"path": "azureml:mnist:1"}, "z": {"path": "data"}, "u": {"type": "uri_file"}}}, []),
        (
            {
                "inputs": {"x": {"path": "azureml://datastores/b/paths/x"}, "y": {"path": "azureml://datastores/b/y"}},
                "outputs": {"z": {"path": "azureml:azureml://datastores/a_1/paths/z"}},
            },
            ["a_1", "b"],
        ),
    ],
)
def test_a_jobs_datastores_are_those_of_its_inputs_and_outputs(job, expected):
    assert datastores_of(job) == expected


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ("azureml:e:1", ["GET /environments/e/versions/1"]),
        ("e:1", ["GET /environments/e/versions/1"]),
        ("azureml:e@latest", ["GET /environments/e"]),
        ("azureml://registries/r/environments/e/versions/1", []),
        ("azureml:/subscriptions/s/environments/e/versions/1", []),
        ({"image": "i"}, []),
        (None, []),
    ],
    ids=str,
)
def test_a_registered_environment_is_looked_for(environment, asked):
    client = Client()
    found = environment_problem(client, environment)
    assert client.asked == asked
    assert bool(found) is bool(asked)
    assert environment_problem(Client(**{path: {} for path in asked}), environment) is None


def test_a_datastore_is_looked_for():
    assert "datastore 'd': there is none of that name in workspace 'w'." in datastore_problem(Client(), "d")
    assert datastore_problem(Client(**{"GET /datastores/d": {}}), "d") is None


def test_a_compute_target_that_is_not_there_can_be_made():
    found = compute_problem(Client(), "azureml:cpu")
    assert "compute 'cpu': there is none of that name in workspace 'w'." in found
    assert "az ml compute create --type AmlCompute --name cpu" in found


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        ({}, None),
        ({"properties": None}, None),
        ({"properties": {"properties": None, "provisioningErrors": None}}, None),
        ({"properties": {"properties": {"errors": [{"code": "Quota", "message": "No cores."}]}}}, "Quota: No cores."),
        ({"properties": {"properties": {"errors": [{"error": {"message": "No cores."}}]}}}, "error: No cores."),
        ({"properties": {"provisioningErrors": [{"error": {"code": "A"}}], "properties": {"errors": [{"code": "B"}]}}}, "A:; B:"),
    ],
    ids=str,
)  # fmt: skip
def test_a_compute_target_says_why_jobs_wait(compute, expected):
    assert waiting_reason(compute) == expected


@pytest.mark.parametrize(
    "error", [DecodeError("x"), UnicodeDecodeError("utf-8", b"", 0, 1, "x")], ids=lambda e: type(e).__name__
)
def test_an_answer_that_is_no_json_may_be_one_next_time(error):
    assert isinstance(unreadable(error), TransientError)


def test_any_other_error_is_not_unreadable():
    assert unreadable(ValueError("x")) is None


class Failing(Registry):
    """Fails so many times before it makes what it is given."""

    def __init__(self, failures, error):
        super().__init__()
        self.failures, self.error = failures, error

    def create_or_update(self, entity):
        super().create_or_update(entity)
        if len(self.made) <= self.failures:
            raise self.error


@pytest.mark.parametrize(("failures", "ends_well"), [(1, True), (4, True), (5, False)])
def test_what_was_cut_short_is_made_again(monkeypatch, failures, ends_well):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    client = Failing(failures, DecodeError("cut short"))
    if ends_well:
        ensure_datastore(client, STORAGE, {"KEY": "k"})
    else:
        with pytest.raises(TransientError):
            ensure_datastore(client, STORAGE, {"KEY": "k"})
    assert len(client.made) == min(failures + 1, 5)
    assert slept == pytest.approx([0.4, 0.8, 1.6, 3.2][: len(client.made) - 1])


def test_what_was_refused_is_not_made_again():
    client = Failing(9, ValueError("no such account"))
    with pytest.raises(BackendError, match="datastore 'nni': no such account"):
        ensure_datastore(client, STORAGE, {"KEY": "k"})
    assert len(client.made) == 1


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        ensure_datastore(Failing(9, ZeroDivisionError()), STORAGE, {"KEY": "k"})


class ClientError(Exception):
    """An error of azure-ai-ml, whose errors have no common root."""


ClientError.__module__ = "azure.ai.ml.exceptions"


def test_an_error_of_the_client_is_one_line():
    with pytest.raises(BackendError, match="datastore 'nni': it is odd"):
        ensure_datastore(Failing(9, ClientError("it is odd\nand more")), STORAGE, {"KEY": "k"})


def test_code_is_uploaded_by_its_content_whatever_its_ignore_files_say(monkeypatch, tmp_path):
    def code(*, path, ignore_file, **values):
        return SimpleNamespace(path=path, ignores=ignore_file, _hash_sha256="f" * 64, **values)

    monkeypatch.setitem(sys.modules, "azure.ai.ml._utils._asset_utils", SimpleNamespace(IgnoreFile=lambda path: path))
    monkeypatch.setitem(sys.modules, "azure.ai.ml.entities._assets._artifacts.code", SimpleNamespace(Code=code))
    client = Registry()
    client._code = SimpleNamespace(
        create_or_update=lambda entity: client.made.append(entity) or SimpleNamespace(id="/codes/other/1")
    )
    assert code_id(client, tmp_path) == "azureml:/codes/other/1"
    (made,) = client.made
    assert (made.name, made.version, made.path, made.ignores) == (f"amlc-{'f' * 16}", "1", str(tmp_path), None)
