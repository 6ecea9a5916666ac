"""What the runner of a job left in the workspace's artifact store."""

import json
import sys
from types import SimpleNamespace

import pytest
from azure.core import exceptions

from amlc.errors import BackendError, TransientError
from amlc.model import End, Outcome
from amlc.targets.aml.artifacts import Artifacts, Records, of_all_ranks, records
from tests.targets.aml.workspace import ONE, TWO, Client

RESULT = {"exit_code": 0, "started": 1.0, "ended": 2.0, "end": "exited", "error": None}


def report(value, kind="final", sequence=0):
    return json.dumps({"type": kind, "sequence": sequence, "value": value, "at": 1.0}) + "\n"


class Store:
    """The artifacts of one job: text or, for a size that is only claimed, a number."""

    def __init__(self, files):
        self.files = files
        self.read_ones = []

    def names(self, job, prefix):
        assert (job, prefix) == ("job", "outputs/amlc/")
        return {name: len(text) if isinstance(text, str) else text for name, text in self.files.items()}

    def read(self, job, path, *, start=0):
        self.read_ones.append(path)
        return self.files[path].encode()


def read(trials=(ONE,), **files):
    store = Store(
        {f"outputs/amlc/{trial}/{name}": text for trial, more in files.items() for name, text in more.items()}
    )
    return records(store, "job", trials), store.read_ones


def test_reports_and_ends_of_all_trials_are_read_in_order():
    one = {"metrics.jsonl": report(1, "intermediate") + report(2), "result.json": json.dumps(RESULT)}
    two = {"metrics.jsonl": report(3), "result.json": json.dumps({**RESULT, "exit_code": None, "end": "time_limit"})}
    found, _ = read((ONE, TWO), **{TWO: two, ONE: one})
    assert [(metric.trial, metric.kind, metric.value) for metric in found.metrics] == [
        (ONE, "intermediate", 1),
        (ONE, "final", 2),
        (TWO, "final", 3),
    ]
    assert [(outcome.trial, outcome.end) for outcome in found.outcomes] == [(ONE, End.EXITED), (TWO, End.TIME_LIMIT)]
    assert found.began


def test_reports_that_are_missing_are_said():
    result = json.dumps({**RESULT, "intermediate": 1, "final": 1})
    with pytest.warns(RuntimeWarning, match=f"^trial {ONE}: 1 of its 2 reports not in its metrics.jsonl"):
        read(**{ONE: {"metrics.jsonl": report(1, "intermediate"), "result.json": result}})
    with pytest.warns(RuntimeWarning, match=f"^trial {ONE}: 2 of its 2 reports not in its metrics.jsonl"):
        read(**{ONE: {"result.json": result}})


def test_a_job_that_left_nothing_did_not_begin():
    found, asked = read()
    assert found == Records([], [], began=False)
    assert asked == []


def test_a_trial_that_left_nothing_is_left_out():
    found, asked = read((ONE, TWO), **{ONE: {"result.json": json.dumps(RESULT)}})
    assert [outcome.trial for outcome in found.outcomes] == [ONE]
    assert asked == [f"outputs/amlc/{ONE}/result.json"]


def test_a_file_beside_the_records_says_that_it_began():
    found, asked = read(nobody={"log": "x"})
    assert (found.began, asked) == (True, [])


def test_an_end_that_cannot_be_read_is_none():
    assert read(**{ONE: {"result.json": "{"}})[0].outcomes == []


def outcome(end, code=None):
    return Outcome(trial=ONE, exit_code=code, started=1.0, ended=2.0, end=end)


WELL_DONE, FAILED = outcome(End.EXITED, 0), outcome(End.EXITED, 3)
ENDED, LATE, GONE, WRONG = (outcome(end) for end in (End.TERMINATED, End.TIME_LIMIT, End.LOST, End.REFUSED))


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], None),
        ([WELL_DONE], WELL_DONE),
        ([WELL_DONE, FAILED], FAILED),
        ([FAILED, WELL_DONE], FAILED),
        ([ENDED, FAILED], FAILED),
        ([WELL_DONE, ENDED], ENDED),
        ([WELL_DONE, LATE, ENDED], LATE),
        ([GONE, ENDED], GONE),
        ([GONE, FAILED], FAILED),
        ([LATE, WRONG], WRONG),
    ],
)
def test_a_distributed_trial_ended_as_the_process_did_that_tells_why(outcomes, expected):
    assert of_all_ranks(outcomes) == expected


def test_what_other_ranks_say_counts():
    failed = {**RESULT, "exit_code": 3, "error": "KeyError: lr"}
    files = {"result.json": json.dumps(RESULT), "rank-1.json": json.dumps(failed), "rank-2.json": "{"}
    (found,) = read(**{ONE: files})[0].outcomes
    assert (found.exit_code, found.error) == (3, "KeyError: lr")


@pytest.mark.parametrize(("size", "is_read"), [(999_999, True), (1_000_000, False), (2**40, False)])
def test_a_result_that_is_too_large_is_not_read(size, is_read):
    store = Store({f"outputs/amlc/{ONE}/result.json": size})
    store.read = lambda job, path, *, start=0: store.read_ones.append(path) or b"{}"
    records(store, "job", [ONE])
    assert bool(store.read_ones) is is_read


class Container:
    """A blob container, or the error that it raises."""

    def __init__(self, blobs=None, error=None):
        self.blobs, self.error = blobs or {}, error

    def list_blobs(self, *, name_starts_with):
        if self.error:
            raise self.error
        return [
            type("Blob", (), {"name": name, "size": len(text)})
            for name, text in self.blobs.items()
            if name.startswith(name_starts_with)
        ]

    def download_blob(self, name, *, offset):
        if self.error:
            raise self.error
        return type("Download", (), {"readall": lambda: self.blobs[name][offset or 0 :]})


def store(blobs=None, error=None):
    artifacts = Artifacts(Client())
    artifacts._opened = Container(blobs, error)
    return artifacts


def failure(status):
    error = exceptions.HttpResponseError("No.")
    error.status_code = status
    return error


def test_artifacts_are_below_their_job():
    blobs = {f"ExperimentRun/dcid.job/{name}": name.encode() for name in ("user_logs/a", "outputs/b")}
    blobs["ExperimentRun/dcid.job-2/user_logs/c"] = b""
    artifacts = store(blobs)
    assert artifacts.names("job", "user_logs/") == {"user_logs/a": 11}
    assert artifacts.read("job", "outputs/b") == b"outputs/b"
    assert artifacts.read("job", "outputs/b", start=8) == b"b"


@pytest.mark.parametrize("error", [exceptions.ResourceNotFoundError("x"), failure(416)], ids=["missing", "at its end"])
def test_an_artifact_that_has_no_more_is_empty(error):
    assert store(error=error).read("job", "x") == b""


def test_an_error_of_the_store_is_one_line():
    with pytest.raises(TransientError, match="artifact 'x' of 'job': Azure still answers 503"):
        store(error=failure(503)).read("job", "x")


STORE = "/datastores/workspaceartifactstore"
WELL = {"ExperimentRun/dcid.job/x": b"x"}


@pytest.fixture
def opened(monkeypatch):
    """Have containers opened with these credentials refuse; gives all that were opened."""

    def give(*, refuses=(), kind="AccountKey", secrets=None, protocol="https"):
        def open_container(url, name, *, credential):
            found.append((url, name, credential))
            return Container(WELL, failure(403) if credential in refuses else None)

        found = []
        monkeypatch.setitem(sys.modules, "azure.storage.blob", SimpleNamespace(ContainerClient=open_container))
        facts = {
            "protocol": protocol,
            "accountName": "account",
            "endpoint": "core.windows.net",
            "containerName": "azureml",
            "credentials": {"credentialsType": kind},
        }
        client = Client(**{f"GET {STORE}": {"properties": facts}, f"POST {STORE}/listSecrets": secrets})
        client.credential = "sign-in"
        return Artifacts(client), client, found

    return give


REFUSED = BackendError("no permission")


@pytest.mark.parametrize(
    ("kind", "secrets", "credential", "asks"),
    [
        pytest.param("AccountKey", {"sasToken": "s", "key": "k"}, "s", True, id="a signature rather than the key"),
        pytest.param("AccountKey", {"key": "k"}, "k", True, id="a key"),
        pytest.param("Sas", {"key": None, "sasToken": "s"}, "s", True, id="a signature"),
        pytest.param("AccountKey", {}, "sign-in", True, id="nothing is handed out"),
        pytest.param("AccountKey", REFUSED, "sign-in", True, id="it is refused"),
        pytest.param("None", {"key": "k"}, "sign-in", False, id="the store has no secrets"),
        pytest.param(None, {"key": "k"}, "sign-in", False, id="the store says nothing of secrets"),
        pytest.param("ServicePrincipal", {"key": "k"}, "sign-in", False, id="it goes by a service principal"),
    ],
)
@pytest.mark.parametrize(("protocol", "scheme"), [("http", "http"), (None, "https")])
def test_the_store_is_opened_as_its_credentials_say(opened, kind, secrets, credential, asks, protocol, scheme):
    artifacts, client, found = opened(kind=kind, secrets=secrets, protocol=protocol)
    assert artifacts.read("job", "x") + artifacts.read("job", "x") == b"xx"
    assert found == [(f"{scheme}://account.blob.core.windows.net", "azureml", credential)]
    asked = [body for method, _, body in client.arm.asked if method == "POST"]
    assert bool(asked) is asks
    assert all(body["expirableSecret"] is True for body in asked)


def test_a_secret_that_is_refused_is_followed_by_the_sign_in(opened):
    artifacts, _, found = opened(refuses=("s",), secrets={"sasToken": "s"})
    assert artifacts.names("job", "") == {"x": 1}
    assert [credential for _, _, credential in found] == ["s", "sign-in"]
    assert artifacts.read("job", "x") == b"x"
    assert len(found) == 2


def test_a_secret_that_is_over_is_asked_for_anew(opened):
    artifacts, client, found = opened(secrets={"sasToken": "s"})
    artifacts._opened = Container(error=failure(403))
    assert artifacts.read("job", "x") == b"x"
    assert [credential for _, _, credential in found] == ["s"]
    assert client.asked.count(f"POST {STORE}/listSecrets") == 1


def test_who_is_refused_in_every_way_is_told_what_to_ask_for(opened):
    artifacts, _, _ = opened(refuses=("s", "sign-in"), secrets={"sasToken": "s"})
    with pytest.raises(BackendError, match=r"artifacts of 'job': no permission on the storage account.*'Storage Blob"):
        artifacts.names("job", "x")


def test_an_outage_is_no_refusal(opened):
    artifacts, _, found = opened(secrets=TransientError("503"))
    with pytest.raises(TransientError):
        artifacts.names("job", "x")
    assert found == []
