"""Creating jobs: what is sent, what an answer means, and what becomes of the others when one is not accepted."""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.core.exceptions import DecodeError, HttpResponseError, ServiceRequestError

from amlc.backends import Submission
from amlc.errors import BackendError, TransientError
from amlc.manifest import Header
from amlc.model import Algorithm
from amlc.names import job_id
from amlc.render.scalars import from_yaml, to_yaml
from amlc.targets.aml import Storage, assets, making
from amlc.targets.aml.explain import ForbiddenError
from amlc.targets.aml.jobs import Submitter, adopted, cancel_jobs, in_flight, list_jobs
from amlc.targets.aml.views import view
from tests.targets.aml.workspace import ONE, SCOPE, TWO, Client, resource

FILE = {
    "type": "command",
    "display_name": "mnist #0",
    "command": "python3 amlc_runner.py",
    "code": f"azureml:{SCOPE}/codes/c/versions/1",
    "environment": "azureml:e:1",
    "compute": "azureml:cpu",
    "environment_variables": {"AMLC_TRIAL_0": "{}", "N": 3, "GONE": None},
    "tags": {"amlc.experiment": "mnist", "lr": 0.1},
}
HEADER = Header(
    experiment="mnist", backend="aml", revision="9" * 64, concurrency=2, retries=1, max_seconds=None, optimize_mode="minimize",
    gpus_per_trial=None, trials_per_gpu=1, target={"aml": {"workspace": {"subscription_id": "s", "resource_group": "g", "name": "w"}}},
)  # fmt: skip


def content(**changes):
    return to_yaml({**FILE, **changes}).encode()


def submission(job, **changes):
    return Submission(job, content(**changes), Path("/build/jobs"))


def http(status):
    error = HttpResponseError("It said no.")
    error.status_code = status
    return error


class Service(Client):
    """A workspace in which the client creates jobs as it would: `fails` by job name, an error or a list of them."""

    def __init__(self, *, fails=None, there=(), **answers):
        answers = {"GET /computes/cpu": {"properties": {}}, "GET /environments/e/versions/1": {}, **answers}
        super().__init__(**answers, **{f"GET /jobs/{name}": job for name, job in dict(there).items()})
        self.fails = {
            name: list(errors) if isinstance(errors, list) else [errors] for name, errors in (fails or {}).items()
        }
        self.bodies = {}
        self.ml = SimpleNamespace(jobs=self)
        self.maker = SimpleNamespace(close=lambda: None)
        self.arm.send = self.send
        self.by_client = []
        self.headers = []

    def create_or_update(self, entity, *, skip_validation):
        assert skip_validation, "it takes three times as long otherwise, and amlc has checked the file"
        name = entity["name"]
        self.by_client.append(name)
        sent = {
            "displayName": entity["display_name"],
            "environmentVariables": {**entity["environment_variables"], "ADDED": "by the client"},
            "tags": entity["tags"],
            "properties": {**entity["properties"], "mlflow.source.git.branch": "main"},
            **{key: entity[key] for key in ("command", "code", "environment")},
            "identity": entity.get("identity"),
        }
        self.last_put = f"https://arm{SCOPE}/jobs/{name}?api-version=1", json.dumps({"properties": sent})
        return self._create(name, sent)

    def make(self, what, **given):
        """In this process, with all that is said on the way as JSON."""
        return making.make(self, what, json.loads(json.dumps(given)))

    def user_headers(self):
        return {"x-azureml-token": "user"}

    def send(self, method, url, *, body=None, params=None, headers=None):
        self.headers.append(headers)
        name = url.partition("?")[0].rpartition("/")[2]
        made = self._create(name, body["properties"])
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: resource(name), status_code=200, made=made)

    def _create(self, name, sent):
        if self.fails.get(name):
            error = self.fails[name].pop(0)
            if error is not None:
                raise error
        self.bodies[name] = sent
        return SimpleNamespace(studio_url=f"https://ml.azure.com/{name}")


@pytest.fixture(autouse=True)
def _no_client(monkeypatch):
    """Loads job files as plain values: the schema of azure-ai-ml takes long to import, and the emulator's tests have it."""

    monkeypatch.setattr(making, "_load", lambda client, name, content, base: from_yaml(content))
    monkeypatch.setitem(sys.modules, "azure.ai.ml.exceptions", SimpleNamespace(ValidationException=Invalid))


class Invalid(Exception):
    """The client's own word against a job file."""


def submitted(service, *jobs, header=HEADER, **changes):
    batch = [submission(job, **changes) for job in jobs]
    return list(Submitter(service, header, {}).submit(batch, parallel=1))


def test_the_first_job_of_a_shape_is_the_pattern_for_the_others():
    service = Service()
    answers = submitted(service, "a", "b", "c")
    assert service.by_client == ["a"]
    assert [(answer.job, answer.refused) for answer in answers] == [("a", None), ("b", None), ("c", None)]
    assert answers[0].url == "https://ml.azure.com/a"
    assert answers[1].url.endswith("&tid=t")
    assert service.bodies["b"] == service.bodies["a"]


def test_what_the_service_says_of_a_created_job_is_told():
    told = []
    batch = [submission(job) for job in "abc"]
    list(Submitter(Service(), HEADER, {}, told.append).submit(batch, parallel=1))
    assert [(job.name, job.raw_status) for job in told] == [("b", "Running"), ("c", "Running")]


@pytest.mark.parametrize(
    ("identity", "headers"),
    [
        (None, {}),
        ({"identityType": "Managed"}, {}),
        ({"identityType": "UserIdentity"}, {"x-azureml-token": "user"}),
    ],
    ids=["none", "managed", "user"],
)
def test_a_job_that_runs_as_the_user_carries_their_token_each_time(identity, headers):
    service = Service()
    submitted(service, "a", "b", "c", identity=identity)
    assert service.headers == [headers, headers]


def test_jobs_of_another_shape_have_a_pattern_of_their_own():
    service = Service()
    submitter = Submitter(service, HEADER, {})
    batch = [submission("a"), submission("b", command="other"), submission("c")]
    list(submitter.submit(batch, parallel=1))
    assert service.by_client == ["a", "b"]
    assert [service.bodies[name]["command"] for name in "abc"] == [FILE["command"], "other", FILE["command"]]


def test_what_differs_between_jobs_is_that_of_each():
    service = Service()
    batch = [
        submission("a", environment_variables={"ONE": "1", "BOTH": "1"}, display_name="first"),
        submission("b", environment_variables={"TWO": "2", "BOTH": "2"}, display_name="second", tags={"own": "x"}),
    ]
    list(Submitter(service, HEADER, {}).submit(batch, parallel=1))
    body = service.bodies["b"]
    assert body["displayName"] == "second"
    assert body["environmentVariables"] == {"TWO": "2", "BOTH": "2", "ADDED": "by the client"}
    assert body["tags"].keys() == {"own", "amlc.digest"}
    assert body["properties"]["mlflow.source.git.branch"] == "main"


def test_a_job_carries_what_it_is_found_by_as_text():
    service = Service()
    submitted(service, "a")
    body = service.bodies["a"]
    assert body["tags"] == {
        "amlc.experiment": "mnist",
        "lr": "0.1",
        "amlc.digest": hashlib.sha256(content()).hexdigest()[:16],
    }
    assert body["environmentVariables"] == {"AMLC_TRIAL_0": "{}", "N": "3", "GONE": None, "ADDED": "by the client"}
    assert body["properties"]["amlc.revision"] == "9" * 64
    assert body["properties"]["amlc.experiment"] == "mnist"


@pytest.mark.parametrize(
    ("assessor", "told"),
    [
        (None, None),
        (
            Algorithm(name="Medianstop", class_args={"start_step": 2}),
            {"name": "Medianstop", "class_args": {"start_step": 2}},
        ),
        (Algorithm(class_name="my.Own", code_directory=Path("code")), None),
    ],
    ids=["none", "built in", "the user's own"],
)
def test_the_header_in_a_job_is_what_nothing_else_says(assessor, told):
    service = Service()
    submitted(service, "a", header=replace(HEADER, assessor=assessor))
    header = json.loads(service.bodies["a"]["properties"]["amlc.header"])
    assert header.pop("assessor", None) == told
    assert header == {"concurrency": 2, "retries": 1, "optimize_mode": "minimize", "trials_per_gpu": 1, "replicates": 1}


def test_what_jobs_share_is_looked_up_once():
    service = Service()
    submitted(service, "a", "b", "c")
    assert service.asked == ["GET /computes/cpu", "GET /environments/e/versions/1"]


MISSING = {
    "compute": ({"compute": "azureml:gone"}, "compute 'gone': there is none of that name in workspace 'w'"),
    "environment": ({"environment": "azureml:gone:1"}, "environment 'gone:1': there is none of that name and version"),
    "latest": ({"environment": "azureml:gone@latest"}, "environment 'gone@latest': there is none of that name"),
    "datastore": (
        {"inputs": {"data": {"path": "azureml://datastores/gone/paths/x"}}},
        "datastore 'gone': there is none of that name in workspace 'w'",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_jobs_need_and_the_workspace_lacks_is_said_before_any_is_made(case):
    changes, text = MISSING[case]
    service = Service()
    with pytest.raises(BackendError, match=text):
        submitted(service, "a", **changes)
    assert service.bodies == {}


def test_what_only_a_later_job_lacks_is_said_when_the_others_are_answered():
    service = Service()
    batch = [submission("a"), submission("b"), submission("c", compute="azureml:gone"), submission("d")]
    answered = []
    with pytest.raises(BackendError, match="compute 'gone'"):
        answered.extend(answer.job for answer in Submitter(service, HEADER, {}).submit(batch, parallel=4))
    assert sorted(answered) == sorted(service.bodies) == ["a", "b"]


@pytest.mark.parametrize("case", MISSING)
def test_what_may_not_be_looked_at_is_a_warning(case):
    changes, _ = MISSING[case]
    paths = ("computes/gone", "environments/gone/versions/1", "environments/gone", "datastores/gone")
    service = Service(**{f"GET /{path}": ForbiddenError("no permission.") for path in paths})
    with pytest.warns(RuntimeWarning, match=r"no permission\. It is not checked"):
        (answer,) = submitted(service, "a", **changes)
    assert answer.refused is None


def test_what_jobs_share_is_registered_once_and_stands_in_each(monkeypatch):
    made = []

    def register(kind):
        return lambda client, what, *more: made.append((kind, what, *more)) or f"{kind} {len(made)}"

    monkeypatch.setattr(assets, "code_id", register("code"))
    monkeypatch.setattr(assets, "environment_id", register("environment"))
    monkeypatch.setattr(assets, "ensure_datastore", register("datastore"))
    storage = Storage(datastore="nni", account_name="a", container_name="c", key_variable="KEY")
    folders = {"a": "/build/jobs", "b": "/build/jobs", "c": "/build/jobs/001"}
    image, conda = {"image": "i", "tags": {}}, {"conda_file": "c.yml", "image": "i"}

    def batch(environment):
        for job, folder in folders.items():
            code = "../../code" if job == "c" else "../code"
            yield Submission(job, content(code=code, environment=environment), Path(folder))

    service = Service()
    submitter = Submitter(
        service, replace(HEADER, target={"aml": {**HEADER.target["aml"], "storage": asdict(storage)}}), {"KEY": "k"}
    )
    list(submitter.submit(list(batch(image)), parallel=1))
    assert made == [
        ("datastore", storage, {"KEY": "k"}),
        ("code", Path("/build/code")),
        ("environment", image, Path("/build/jobs")),
    ]
    assert {(body["code"], body["environment"]) for body in service.bodies.values()} == {("code 2", "environment 3")}
    list(submitter.submit(list(batch(dict(reversed(image.items())))), parallel=1))
    assert len(made) == 3
    list(submitter.submit(list(batch(conda)), parallel=1))
    assert made[3:] == [("environment", conda, Path("/build/jobs")), ("environment", conda, Path("/build/jobs/001"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "a: its job file is not YAML"),
        (b"type: pipeline\n", "a: its job file has the type 'pipeline'; amlc submits commands and sweeps."),
    ],
)
def test_a_file_that_is_no_command_job_is_refused(text, said):
    with pytest.raises(BackendError, match=said):
        list(Submitter(Service(), HEADER, {}).submit([Submission("a", text, Path())], parallel=1))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_have_any_encoding_of_yaml(encoding):
    service = Service()
    text = content().decode().encode(encoding)
    list(Submitter(service, HEADER, {}).submit([Submission("a", text, Path())], parallel=1))
    plain = Service()
    list(Submitter(plain, HEADER, {}).submit([Submission("a", content(), Path())], parallel=1))
    bodies = [one.bodies["a"] for one in (service, plain)]
    for body in bodies:
        body["tags"].pop("amlc.digest")  # of the bytes
    assert bodies[0] == bodies[1]


OURS = resource("a", tags={"amlc.digest": hashlib.sha256(content()).hexdigest()[:16]})
THEIRS = resource("a", tags={"amlc.digest": "0" * 16})


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(http(400), id="it exists"),
        pytest.param(http(409), id="conflict"),
        pytest.param(http(503), id="no answer"),
        pytest.param(DecodeError("x"), id="cut short"),
        pytest.param(ServiceRequestError("x"), id="reset"),
    ],
)
def test_after_an_answer_that_is_neither_yes_nor_no_the_job_is_looked_up(error):
    (answer,) = submitted(Service(fails={"a": error}, there={"a": OURS}), "a")
    assert (answer.job, answer.refused, answer.url[-6:]) == ("a", None, "&tid=t")
    (answer,) = submitted(Service(fails={"a": error}, there={"a": THEIRS}), "a")
    assert answer.refused.startswith(
        "conflict: the workspace has a job 'a' made of another file (digest 0000000000000000,"
    )


@pytest.mark.parametrize("error", [http(409), http(503), DecodeError("x")], ids=["conflict", "no answer", "cut short"])
@pytest.mark.parametrize(("failures", "ends_well"), [(1, True), (2, True), (3, False)])
def test_a_job_that_is_not_there_is_created_again(error, failures, ends_well):
    service = Service(fails={"a": [error] * failures})
    if ends_well:
        assert submitted(service, "a")[0].refused is None
        return
    with pytest.raises(BackendError):
        submitted(service, "a")
    assert service.asked.count("GET /jobs/a") == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_concerns_all_jobs_stops_the_submit(status):
    service = Service(fails={"b": http(status)})
    with pytest.raises(BackendError, match="job 'b'"):
        submitted(service, "a", "b", "c")
    assert list(service.bodies) == ["a"]
    assert "GET /jobs/b" not in service.asked


def test_a_job_that_is_not_accepted_concerns_it_alone_once_another_is():
    answers = submitted(Service(fails={"b": http(400)}), "a", "b", "c")
    assert [(answer.job, answer.refused is None) for answer in answers] == [("a", True), ("b", False), ("c", True)]
    assert (
        answers[1].refused
        == "job 'b': Azure ML does not accept the job file: It said no. See amlc.job and your templates."
    )


def test_what_the_client_has_against_a_job_file_is_said_by_field():
    answers = submitted(Service(fails={"b": Invalid('{"limits": {"timeout": ["Not a valid integer."]}}')}), "a", "b")
    assert answers[1].refused.startswith(
        "job 'b': Azure ML does not accept the job file: timeout: Not a valid integer. See"
    )


def test_one_that_is_not_accepted_alone_is_a_failed_trial_and_the_second_stops():
    submitter = Submitter(Service(fails={"a": http(400), "b": http(400)}), HEADER, {})
    (answer,) = submitter.submit([submission("a")], parallel=1)
    assert answer.refused is not None
    with pytest.raises(BackendError, match=r"job '.': Azure ML does not accept"):
        list(submitter.submit([submission("b")], parallel=1))


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_jobs_of_which_none_is_accepted_stop_the_submit(names):
    service = Service(fails={name: http(400) for name in names})
    with pytest.raises(BackendError, match=r"job '.': Azure ML does not accept"):
        list(Submitter(service, HEADER, {}).submit([submission(name) for name in names], parallel=2))


def test_one_is_accepted_and_then_others_are_not():
    submitter = Submitter(Service(fails={"b": http(400), "c": http(400)}), HEADER, {})
    list(submitter.submit([submission("a")], parallel=1))
    answers = list(submitter.submit([submission("b"), submission("c")], parallel=1))
    assert [answer.refused is None for answer in answers] == [False, False]


def test_a_bug_is_not_taken_for_an_answer():
    with pytest.raises(ZeroDivisionError):
        submitted(Service(fails={"a": ZeroDivisionError()}), "a")


@pytest.mark.parametrize(
    ("sha256", "digest", "is_ours"),
    [
        ("0123456789abcdef" * 4, "0123456789abcdef", True),
        ("f" * 64, "0123456789abcdef", False),
        ("f" * 64, None, False),
        (None, "0123456789abcdef", True),
        (None, None, True),
    ],
)
def test_a_job_is_adopted_if_it_was_made_of_the_same_file(sha256, digest, is_ours):
    found = view(resource("a", tags={"amlc.digest": digest} if digest else {}))
    answer = adopted(found, sha256, "t")
    assert (answer.job, answer.refused is None) == ("a", is_ours)
    if is_ours:
        assert answer.url.endswith("&tid=t")
    else:
        assert f"(digest {digest or 'none'}, status Running, created 2026-11-25T08:00:00Z)" in answer.refused


HAND_MADE = {"command": FILE["command"], "environmentVariables": {"AMLC_TRIAL_0": "{}", "N": "4", "HOME": "/"}}


@pytest.mark.parametrize(
    ("changes", "tags", "is_ours"),
    [
        pytest.param({}, {}, True, id="made by hand"),
        pytest.param({}, {"amlc.digest": "f" * 16}, True, id="made of another file that runs the same"),
        pytest.param(
            {"computeId": "other", "environmentId": "CliV2"}, {}, True, id="elsewhere, in another environment"
        ),
        pytest.param({"command": "rm -rf /"}, {}, False, id="another command"),
        pytest.param({"environmentVariables": {"AMLC_TRIAL_0": "[]"}}, {}, False, id="another trial"),
        pytest.param(
            {"environmentVariables": {"AMLC_TRIAL_0": "{}", "AMLC_TRIAL_1": "{}"}}, {}, False, id="more trials"
        ),
        pytest.param(
            {"environmentVariables": {"AMLC_TRIAL_0": "{}", "AMLC_TRIAL_SECONDS": "9"}}, {}, False, id="another limit"
        ),
        pytest.param({"environmentVariables": {}}, {}, False, id="no trial"),
    ],
)
def test_a_job_that_runs_the_same_is_ours_whatever_made_it(changes, tags, is_ours):
    there = resource("a", **{**HAND_MADE, **changes}, tags=tags)
    (answer,) = submitted(Service(fails={"a": http(400)}, there={"a": there}), "a")
    assert (answer.refused is None) is is_ours
    assert is_ours or answer.refused.startswith("conflict: ")


@pytest.mark.parametrize(
    ("name", "trials", "tags", "is_ours"),
    [
        pytest.param(f"mnist-{ONE}-9e7a6c", [ONE], {}, True, id="its trial"),
        pytest.param(f"mnist-{ONE}-9e7a6c-2", [ONE], {}, True, id="a later attempt"),
        pytest.param(f"mnist-{job_id([ONE, TWO])}-9e7a6c", [ONE, TWO], {}, True, id="its trials"),
        pytest.param(f"mnist-{ONE}-9e7a6c", [TWO], {}, False, id="another trial"),
        pytest.param(f"mnist-{ONE}-9e7a6c", [ONE, TWO], {}, False, id="more trials"),
        pytest.param("mine", [ONE], {}, False, id="another name"),
        pytest.param(f"mnist-{ONE}-9e7a6c", [ONE], {"amlc.digest": "0" * 16}, False, id="made of another file"),
    ],
)
def test_without_the_file_a_job_made_by_hand_is_known_by_its_name(name, trials, tags, is_ours):
    found = view(resource(name, *trials, tags=tags))
    assert (adopted(found, "f" * 64, "t").refused is None) is is_ours


def test_a_conflict_says_when_the_time_is_not_known():
    assert "created at an unknown time" in adopted(view(resource("a", created=None)), "f" * 64, None).refused


def test_only_the_experiments_own_jobs_are_listed():
    jobs = [
        resource(name, tags={"amlc.experiment": tag} if tag else {})
        for name, tag in (("a", "mnist"), ("b", "other"), ("c", None))
    ]
    client = Client(**{"GET /jobs": {"value": jobs}})
    assert [job.name for job in list_jobs(client, experiment="mnist")] == ["a"]
    assert [job.name for job in list_jobs(client)] == ["a", "b", "c"]
    with_property, without = (params for _, _, params in client.arm.asked)
    assert with_property["properties"] == "amlc.experiment=mnist"
    assert (without["tag"], without["listViewType"], "properties" in without) == ("amlc.experiment", "All", False)


@pytest.mark.parametrize(
    ("status", "ends_well"),
    [
        (202, True),
        (200, True),
        (404, True),
        (409, True),
        (400, True),
        (401, False),
        (403, False),
        (429, False),
        (503, False),
    ],
)
def test_a_job_that_has_ended_or_is_not_there_need_not_be_canceled(status, ends_well):
    def fail():
        raise http(status)

    client = Client()
    client.arm.send = lambda *args, **kwargs: SimpleNamespace(status_code=status, raise_for_status=fail)
    if ends_well:
        cancel_jobs(client, ["a", "b"], parallel=2)
        return
    with pytest.raises(BackendError, match="job 'a'"):
        cancel_jobs(client, ["a"], parallel=1)


@pytest.mark.parametrize(
    ("error", "raised"), [(ServiceRequestError("x"), TransientError), (ZeroDivisionError(), ZeroDivisionError)]
)
def test_a_cancel_that_fails_is_said(error, raised):
    def send(*args, **kwargs):
        raise error

    client = Client()
    client.arm.send = send
    with pytest.raises(raised):
        cancel_jobs(client, ["a"], parallel=1)


@pytest.mark.parametrize(
    ("most", "enough", "least", "largest"), [(1, 3, 3, 3), (2, 3, 3, 4), (9, 99, 20, 20), (1, 0, 0, 0)]
)
def test_calls_are_started_as_long_as_there_is_not_enough(most, enough, least, largest):
    started, done = [], []
    calls = ((lambda n=n: started.append(n)) for n in range(20))
    with ThreadPoolExecutor(most) as pool:
        for future in in_flight(pool, calls, most, lambda: len(done) >= enough):
            done.append(future)
    assert len(done) == len(started)
    assert least <= len(done) <= largest
