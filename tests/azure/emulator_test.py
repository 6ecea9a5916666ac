"""The emulator against the unpatched client, and what it promises to the tests that use it."""

import http.client
import json
import re
import ssl
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

API = "api-version=2025-01-01-preview"
WORKSPACES = "providers/Microsoft.MachineLearningServices/workspaces"
_PRELUDE = """
    import json, logging, os, sys, time
    logging.getLogger("azure.ai.ml._utils._experimental").setLevel(logging.ERROR)
    from azure.ai.ml import MLClient, load_job, command, Output
    from azure.ai.ml.entities import CommandJobLimits, Environment
    from azure.core.exceptions import HttpResponseError
    from azure.identity import AzureCliCredential, ClientSecretCredential
    subscription, group, workspace = sys.argv[1:4]

    class Cached:  # AzureCliCredential starts az for every job object otherwise
        tokens = {}

        def get_token(self, scope, **_):
            if scope not in self.tokens:
                self.tokens[scope] = AzureCliCredential().get_token(scope)
            return self.tokens[scope]

    client = MLClient(Cached(), subscription, group, workspace)
    out = {}
"""
TRIAL = """
import json, os, ssl, sys, urllib.request

base = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/"

def post(call, body):
    request = urllib.request.Request(base + call, json.dumps(body).encode(), {
        "Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"})
    urllib.request.urlopen(request).read()

lr = sys.argv[1]
run = os.environ["MLFLOW_RUN_ID"]
metrics = [{"key": "accuracy", "value": float(lr) + step, "timestamp": 1000 + step, "step": step} for step in range(3)]
post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": [{"key": "lr", "value": lr}]})
print("lr is", lr, os.environ["GREETING"])
os.makedirs("outputs/deep", exist_ok=True)
open("outputs/deep/ü b.txt", "w").write("kept " + lr)
"""


class Http:
    """A client of one connection, signed in."""

    def __init__(self, azure):
        self.azure = azure
        tls = ssl.create_default_context(cafile=str(azure.ca))
        self.connection = http.client.HTTPSConnection(*azure.host.split(":"), context=tls, timeout=30)
        self.headers = {"Authorization": f"Bearer {azure.identity.token()}"}

    def __call__(self, method, path, body=None, *, query=API, headers=None):
        """Call a path of the workspace, or an absolute one that begins with //; return status, body and headers."""
        where = path[1:] if path.startswith("//") else self.azure.scope + path
        target = where + (("&" if "?" in where else "?") + query if query else "")
        content = None if body is None else json.dumps(body)
        self.connection.request(method, target, content, {**self.headers, **(headers or {})})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers

    def mlflow(self, method, call, body=None, **query):
        return self(method, f"//mlflow/v2.0{self.azure.scope}/api/2.0/mlflow/{call}", body, query=urlencode(query))

    def put_job(self, name="j", **changes):
        return self("PUT", f"/jobs/{name}", {"properties": job_body(self.azure, **changes)})


def job_body(azure, **changes):
    azure.assets.put("environments", "env", "1", {"image": "busybox"})
    body = {
        "jobType": "Command",
        "command": "true",
        "environmentId": f"{azure.scope}/environments/env/versions/1",
        "computeId": f"{azure.scope}/computes/cpu-cluster",
        "environmentVariables": {"A": "1"},
        "experimentName": "exp",
        "tags": {"amlc.experiment": "exp"},
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


@pytest.fixture(scope="module")
def shared(make_azure):
    """An emulator whose jobs stay where they are, for tests that do not mind each other's jobs."""
    return make_azure(mode="manual")


@pytest.fixture
def http_client(shared):
    client = Http(shared)
    yield client
    client.connection.close()


@pytest.fixture
def connect():
    """Make HTTP clients of an emulator."""
    made = []

    def make(azure):
        made.append(Http(azure))
        return made[-1]

    yield make
    for client in made:
        client.connection.close()


def run_sdk(azure, folder, script, recipe):
    """Run a script against MLClient in a process of its own, where the client's global state stays; return `out`."""
    text = textwrap.dedent(_PRELUDE) + textwrap.dedent(script) + "\njson.dump(out, open('out.json', 'w'))\n"
    done = subprocess.run(
        [sys.executable, "-c", text, azure.subscription, azure.resource_group, azure.workspace, azure.tenant],
        cwd=folder,
        env=azure.environ(recipe, AZUREML_RUN_POLLING_INTERVAL_MIN="1", MLFLOW_HTTP_REQUEST_MAX_RETRIES="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads((folder / "out.json").read_text()), "stdout": done.stdout}


# --- the unpatched client ---


@pytest.fixture(scope="module", params=["metadata", "proxy"])
def session(request, make_azure, tmp_path_factory):
    """What a session with MLClient sees and does, pointed at the emulator in each of the two ways."""
    from tests.azure import faults

    azure = make_azure(page_size=2)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "code dir" / "sub").mkdir(parents=True)
    (folder / "code dir" / "trial.py").write_text(TRIAL)
    (folder / "code dir" / "sub" / "ü b.txt").write_text("")
    slept = azure.spoil(faults.throttle(path="/jobs/throttled", first=2, retry_after=0.1))
    reset = azure.spoil(faults.Fault(path="/jobs/reset-after", first=1, reset=True, after=True))
    out = run_sdk(
        azure,
        folder,
        """
        def job(name, lr="0.5", **more):
            return command(**{
                "name": name, "command": "python3 trial.py ${{inputs.lr}}", "code": "code dir", "inputs": {"lr": lr},
                "environment": Environment(image="msranni/nni"), "compute": "cpu-cluster", "experiment_name": "exp",
                "environment_variables": {"GREETING": "it's $HOME"}, "tags": {"amlc.experiment": "exp"}, **more})

        first = client.jobs.create_or_update(job("first"))
        out["code"] = first.code
        from azure.ai.ml.entities._assets._artifacts.code import Code
        out["again"] = client._code.create_or_update(Code(name="other", version="1", path="code dir")).id
        environment = client.environments.create_or_update(Environment(name="env", version="3", image="busybox"))
        out["latest"] = client.environments.get("env", label="latest").version
        for name in ("second", "third", "throttled", "reset-after"):
            made = client.jobs.create_or_update(
                job(name, code=first.code, environment=environment.id, limits=CommandJobLimits(timeout=3600)), skip_validation=True)
            out.setdefault("names", []).append(made.name)
        out["again status"] = client.jobs.create_or_update(job("first")).status
        try:
            client.jobs.create_or_update(job("first", lr="7"))
        except HttpResponseError as error:
            out["conflict"] = [error.status_code, error.error.code, error.error.message]
        client.jobs.create_or_update(job("long", command="sleep 60; true ${{inputs.lr}}"))
        while client.jobs.get("long").status != "Running":
            time.sleep(0.05)
        client.jobs.begin_cancel("long").wait()
        out["canceled"] = client.jobs.get("long").status
        client.jobs.stream("second")
        out["list"] = [[j.name, j.status, j.tags, j.studio_url] for j in client.jobs.list(tag="amlc.experiment")]
        client.jobs.download("second", download_path="down", all=True)
        found = client.workspaces.get(workspace)
        out["tracking"] = found.mlflow_tracking_uri
        from mlflow import MlflowClient
        os.environ["MLFLOW_TRACKING_TOKEN"] = AzureCliCredential().get_token("https://ml.azure.com/.default").token
        flow = MlflowClient(found.mlflow_tracking_uri.replace("azureml://", "https://"))
        experiment = flow.get_experiment_by_name("exp")
        runs = flow.search_runs([experiment.experiment_id], filter_string="status = 'FINISHED'", max_results=2)
        out["pages"] = [len(runs), runs.token is not None]
        run = flow.get_run("second")
        out["run"] = [run.info.status, run.data.metrics, run.data.params, run.info.end_time >= run.info.start_time]
        out["history"] = [metric.value for metric in flow.get_metric_history("second", "accuracy")]
        secret = ClientSecretCredential(sys.argv[4], "00000000-0000-0000-0000-0000000000c1", "secret")
        out["token"] = secret.get_token("https://management.azure.com/.default").token
        out["store"] = client.datastores.get_default().name
        """,
        request.param,
    )
    return azure, folder, out, (slept, reset)


def test_naive_submission_uploads_registers_and_runs(session):
    azure, _, out, _ = session
    assert out["code"].startswith(f"{azure.scope}/codes/")
    assert azure.job("first").status == "Completed"
    assert "lr is 0.5 it's $HOME" in azure.log_of("first")
    assert azure.count("POST", "startPendingUpload") == 1


def test_code_that_is_there_is_not_uploaded_again(session):
    azure, _, out, _ = session
    assert out["again"] == out["code"]
    assert sorted(azure.uploads) == ["code dir/sub/ü b.txt", "code dir/trial.py"]


def test_submission_by_reference_is_one_call(session):
    azure, _, out, _ = session
    assert out["names"] == ["second", "third", "throttled", "reset-after"]
    assert azure.count(".", "/jobs/third$") == 1
    assert out["latest"] == "3"


def test_client_retries_what_was_spoiled_and_makes_one_job(session):
    azure, _, _, (throttled, reset) = session
    assert (throttled.spoiled, reset.spoiled) == (2, 1)
    assert [call.status for call in azure.find_calls("PUT", "/jobs/throttled$")] == [429, 429, 201]
    assert [call.status for call in azure.find_calls("PUT", "/jobs/reset-after$")] == [0, 200]


def test_same_job_again_is_an_update_and_another_one_a_conflict(session):
    _, _, out, _ = session
    status, code, message = out["conflict"]
    assert (status, code) == (400, "UserError")
    assert "already exists" in message
    assert "Inputs cannot be changed" in message


def test_cancel_ends_the_process(session):
    azure, _, out, _ = session
    assert out["canceled"] == "Canceled"
    assert not Path(f"/proc/{azure.job('long').pid}").exists()


def test_list_follows_pages_with_its_query(session):
    azure, _, out, _ = session
    assert [job[0] for job in out["list"]] == ["long", "reset-after", "throttled", "third", "second", "first"]
    pages = azure.find_calls("GET", r"/jobs$")
    assert len(pages) == 3
    assert all("tag=amlc.experiment" in page.query and "listViewType=ActiveOnly" in page.query for page in pages)
    assert out["list"][-1][1:] == ["Completed", {"amlc.experiment": "exp"}, out["list"][-1][3]]
    assert f"&tid={azure.tenant}" in out["list"][-1][3]


def test_log_is_streamed_and_artifacts_downloaded(session):
    _, folder, out, _ = session
    assert "Execution Summary" in out["stdout"]
    found = {path.relative_to(folder / "down").as_posix() for path in (folder / "down").rglob("*") if path.is_file()}
    assert any(path.endswith("user_logs/std_log.txt") for path in found)
    assert any(path.endswith("outputs/deep/ü b.txt") for path in found)


def test_mlflow_client_reads_what_the_process_logged(session):
    _, _, out, _ = session
    assert out["run"] == ["FINISHED", {"accuracy": 2.5}, {"lr": "0.5"}, True]
    assert out["history"] == [0.5, 1.5, 2.5]
    assert out["pages"] == [2, True]


def test_artifacts_are_listed_and_fetched_by_rest(session, connect):
    azure, *_ = session
    client = connect(azure)
    files = client.mlflow("GET", "artifacts/list", run_id="second", path="outputs/deep")[1]["files"]
    assert files == [{"path": "outputs/deep/ü b.txt", "is_dir": False, "file_size": "8"}]
    where = f"//artifact/v2.0{azure.scope}/artifacts/prefix/contentinfo/ExperimentRun/dcid.second"
    (found,) = client("GET", where, query="path=outputs/")[1]["value"]
    tls = ssl.create_default_context(cafile=str(azure.ca))
    with urlopen(found["contentUri"], context=tls) as answer:
        assert answer.read() == b"kept 0.5"
    logs = client("GET", f"//history/v1.0{azure.scope}/runs/second/details")[1]["logFiles"]
    with urlopen(logs["user_logs/std_log.txt"], context=tls) as answer:
        assert b"lr is 0.5" in answer.read()


def test_nothing_left_this_machine(session):
    azure, _, out, _ = session
    assert azure.refused_hosts == []
    assert azure.identity.refusal(f"Bearer {out['token']}") is None
    assert ("azureml.ms" in out["tracking"]) == any(call.host == "management.azure.com" for call in azure.calls)


# --- strictness ---

BAD = [
    pytest.param({"comand": "x"}, ".properties.comand: unknown field", id="unknown field"),
    pytest.param(
        {"resources": {"shm_size": "2g"}}, ".properties.resources.shm_size: unknown", id="unknown field inside"
    ),
    pytest.param(
        {"environmentVariables": {"A": 1}}, "environmentVariables.A: expected a string, got int 1", id="integer"
    ),
    pytest.param({"environmentVariables": {"A": True}}, "expected a string, got bool True", id="boolean"),
    pytest.param({"tags": {"n": 3}}, ".properties.tags.n: expected a string", id="tag"),
    pytest.param({"command": ...}, ".properties.command: required", id="no command"),
    pytest.param({"command": ""}, ".properties.command: expected a string with a letter", id="empty command"),
    pytest.param({"environmentId": ...}, ".properties.environmentId: required", id="no environment"),
    pytest.param({"jobType": "Comand"}, ".properties.jobType: 'Comand' is none of", id="job type"),
    pytest.param({"limits": {"timeout": "PT1H"}}, ".limits.jobLimitsType: required", id="limits without type"),
    pytest.param({"limits": {"jobLimitsType": "Command", "timeout": "1h"}}, "an ISO 8601 duration", id="timeout"),
    pytest.param(
        {"inputs": {"a-b": {"jobInputType": "literal", "value": "1"}}}, "inputs.a-b: the name", id="input name"
    ),
    pytest.param({"inputs": {"a": {"jobInputType": "literal", "value": 1}}}, "inputs.a.value", id="input value"),
    pytest.param(
        {"outputs": {"a": {"jobOutputType": "uri_folder", "pathOnCompute": "/x"}}}, "pathOnCompute", id="output"
    ),
    pytest.param({"command": "x ${{inputs.lr}}"}, "nothing is bound to ${{inputs.lr}}", id="unbound input"),
    pytest.param({"queueSettings": {"jobTier": "cheap"}}, "'cheap' is none of", id="tier"),
    pytest.param({"resources": {"instanceCount": "1"}}, "instanceCount: expected an integer", id="count"),
    pytest.param({"resources": {"shmSize": "8 giga"}}, "shmSize: expected a size", id="shared memory"),
    pytest.param({"codeId": "azureml:code:1"}, "The code asset azureml:code:1 could not be found", id="code"),
    pytest.param({"environmentId": "azureml:env:1"}, "The environment azureml:env:1 could", id="environment"),
    pytest.param({"computeId": "cpu-cluster"}, "Unknown compute target", id="compute name"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_job_that_the_openapi_does_not_allow_is_refused(http_client, changes, message):
    status, body, _ = http_client.put_job("bad", **changes)
    assert status == 400, body
    assert message in body["error"]["message"]
    assert http_client.azure.jobs.get("bad") is None


@pytest.mark.parametrize("name", ["a.b", "-a", "a%20b", "a" * 256])
def test_bad_job_names_are_refused(http_client, name):
    assert http_client.put_job(name)[0] == 400


def test_only_some_fields_of_a_job_may_change(http_client):
    assert http_client.put_job("mine", tags={"a": "1"})[0] == 201
    assert http_client.put_job("mine", tags={"a": "1"})[0] == 200
    status, body, _ = http_client.put_job("mine", tags={"b": "2"}, displayName="new", description="d")
    assert (status, body["properties"]["tags"], body["properties"]["displayName"]) == (200, {"a": "1", "b": "2"}, "new")
    for changes in (
        {"command": "false"},
        {"environmentVariables": {"A": "2"}},
        {"computeId": ...},
        {"experimentName": "b"},
    ):
        status, body, _ = http_client.put_job("mine", **changes)
        assert (status, body["error"]["code"]) == (400, "UserError")
        assert "JobPropertyImmutable" in json.dumps(body)


def test_code_of_another_content_does_not_take_a_known_version(http_client):
    body = {"properties": {"codeUri": "https://127.0.0.1/c/x", "properties": {"hash_sha256": "1", "hash_version": 2}}}
    assert http_client("PUT", "/codes/c/versions/1", body)[0] == 201
    assert http_client("PUT", "/codes/c/versions/1", body)[0] == 200
    body["properties"]["codeUri"] += "y"
    assert http_client("PUT", "/codes/c/versions/1", body)[0] == 400


# --- who may call ---


def test_calls_without_a_good_token_are_refused(http_client):
    azure = http_client.azure
    assert http_client("GET", "/jobs", headers={"Authorization": ""})[0] == 401
    assert http_client("GET", "/jobs", headers={"Authorization": "Bearer a.b.c"})[1]["error"]["code"].startswith(
        "Inval"
    )
    old = azure.identity.token(expires_in_s=-1)
    status, body, headers = http_client("GET", "/jobs", headers={"Authorization": f"Bearer {old}"})
    assert (status, body["error"]["code"]) == (401, "ExpiredAuthenticationToken")
    assert headers["WWW-Authenticate"].startswith("Bearer ")
    storage = azure.identity.token(audience="https://storage.azure.com")
    assert http_client("GET", "/jobs", headers={"Authorization": f"Bearer {storage}"})[0] == 401


def test_tokens_can_be_made_to_expire_and_permissions_taken(make_azure, connect):
    azure = make_azure(mode="instant")
    client = connect(azure)
    azure.deny("PUT", "/jobs/")
    status, body, _ = client.put_job()
    assert (status, body["error"]["code"]) == (403, "AuthorizationFailed")
    assert client("GET", "/jobs")[0] == 200
    azure.identity.expire()
    assert client("GET", "/jobs")[0] == 401
    client.headers = {"Authorization": f"Bearer {azure.identity.token()}"}
    assert client("GET", "/jobs")[0] == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("//subscriptions/00000000-0000-0000-0000-0000000000ff", "SubscriptionNotFound"),
        ("//subscriptions/{subscription}/resourceGroups/other", "ResourceGroupNotFound"),
        (
            f"//subscriptions/{{subscription}}/resourceGroups/{{resource_group}}/{WORKSPACES}/emulated-vs/jobs",
            "ResourceNotFound",
        ),
        ("/computes/no-cluster", "ResourceNotFound"),
        ("/datastores/no_store", "NotFound"),
        ("/jobs/no-job", "UserError"),
    ],
)
def test_what_is_missing_is_named(http_client, path, code):
    status, body, _ = http_client("GET", path.format_map(vars(http_client.azure)))
    assert (status, body["error"]["code"]) == (404, code)


def test_az_signs_in_or_says_why_not(shared):
    def az(**environ):
        command = ["az", "account", "get-access-token", "--output", "json", "--resource", "https://ml.azure.com"]
        return subprocess.run(command, env=shared.environ(**environ), capture_output=True, text=True, check=False)

    before = len(shared.identity.az_calls)
    token = json.loads(az().stdout)["accessToken"]
    assert shared.identity.refusal(f"Bearer {token}") is None
    for mode, text in (("none", "Please run 'az login'"), ("expired", "AADSTS70043")):
        failed = az(FAKE_AZ_MODE=mode)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert text in failed.stderr
    assert len(shared.identity.az_calls) == before + 3


def test_service_principal_signs_in(http_client):
    path = f"//{http_client.azure.tenant}/oauth2/v2.0/token"
    for secret, status in (("good", 200), ("bad", 401)):
        body = f"client_id=a&client_secret={secret}&scope=https://management.azure.com/.default"
        http_client.connection.request("POST", path[1:], body)
        answer = http_client.connection.getresponse()
        answer.read()
        assert answer.status == status


# --- faults ---


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda f: f.throttle(retry_after=7, times=1), (429, "7", False), id="429"),
        pytest.param(lambda f: f.throttle(times=1), (429, None, False), id="429 without Retry-After"),
        pytest.param(lambda f: f.Fault(status=500, times=1), (500, None, False), id="500 before"),
        pytest.param(lambda f: f.Fault(status=500, times=1, after=True), (500, None, True), id="500 after"),
        pytest.param(lambda f: f.Fault(reset=True, times=1), (0, None, False), id="reset before"),
        pytest.param(lambda f: f.Fault(reset=True, times=1, after=True), (0, None, True), id="reset after"),
        pytest.param(lambda f: f.garbage(times=1, after=True), (200, None, True), id="garbage"),
        pytest.param(lambda f: f.expired_token(times=1), (401, None, False), id="expired token"),
        pytest.param(lambda f: f.Fault(delay_s=0.3, times=1), (201, None, True), id="slow"),
    ],
)
def test_each_fault_strikes_once(make_azure, connect, make, expected):
    from tests.azure import faults

    azure = make_azure(mode="manual")
    fault = azure.spoil(make(faults))
    fault.path = "/jobs/"
    status, retry_after, has_effect = expected
    begun = time.monotonic()
    try:
        found, _, headers = connect(azure).put_job()
    except ConnectionError:
        found, headers = 0, {}
    except json.JSONDecodeError:
        found, headers = 200, {}
    assert (found, headers.get("Retry-After")) == (status, retry_after)
    assert time.monotonic() - begun >= fault.delay_s
    assert (azure.jobs.get("j") is not None) == has_effect
    assert connect(azure).put_job()[0] == (200 if has_effect else 201)
    assert (fault.spoiled, fault.matched, len(azure.jobs)) == (1, 2, 1)


def test_faults_can_strike_at_the_kth_call_and_at_every_kth(make_azure, connect):
    from tests.azure import faults

    azure = make_azure(mode="manual")
    client = connect(azure)
    azure.spoil(faults.throttle(method="PUT", at=2))
    azure.spoil(faults.Fault(method="GET", every=3, status=503))
    assert [client.put_job(f"j{n}")[0] for n in range(4)] == [201, 429, 201, 201]
    assert [client("GET", "/jobs")[0] for _ in range(7)] == [200, 200, 503, 200, 200, 503, 200]


# --- phases and ends ---


def test_jobs_wait_where_they_are_held(make_azure, connect):
    azure = make_azure()
    client = connect(azure)
    azure.hold("Queued", "Running")
    for name in ("a", "b"):
        client.put_job(name)
    azure.jobs.wait(lambda jobs: all(job.status == "Queued" for job in jobs))
    azure.say_why("a", "no node is free")
    assert (
        client("GET", f"//history/v1.0{azure.scope}/runs/a/details")[1]["warnings"][0]["message"] == "no node is free"
    )
    azure.release("a")
    azure.jobs.wait(lambda _: azure.job("a").is_over)
    assert azure.statuses() == {"a": "Completed", "b": "Queued"}
    azure.hold("Running")
    azure.jobs.wait(lambda _: azure.job("b").status == "Running")
    azure.hold()
    azure.wait()
    assert [status for status, _ in azure.job("b").phases][-5:] == [
        "Queued", "Preparing", "Running", "Finalizing", "Completed",
    ]  # fmt: skip


def test_jobs_end_as_they_are_told(make_azure, connect):
    azure = make_azure(nodes=6)
    client = connect(azure)
    wait = "trap 'echo bye; exit 9' TERM; touch started; (setsid sleep 60; true) & while :; do sleep 0.05; done"
    client.put_job("fails", command="exit 3")
    client.put_job("slow", command=wait, limits={"jobLimitsType": "Command", "timeout": "PT1S"})
    for name in ("preempted", "lost", "broken", "canceled"):
        client.put_job(name, command=wait)
    folders = [azure.cluster.folder(job) for job in azure.jobs if job.name != "fails"]
    azure.jobs.wait(lambda jobs: all(job.pid for job in jobs))
    while not all((folder / "started").exists() for folder in folders):
        time.sleep(0.01)
    azure.preempt("preempted")
    azure.lose_node("lost")
    azure.fail_service("broken")
    assert client("POST", "/jobs/canceled/cancel")[0] == 202
    azure.wait()
    assert client("POST", "/jobs/canceled/cancel")[0] == 200
    found = {job.name: (job.status, (job.error or ("",))[0]) for job in azure.jobs}
    assert found == {
        "fails": ("Failed", "UserError"),
        "slow": ("Canceled", "JobTimeout"),
        "preempted": ("Failed", "JobPreempted"),
        "lost": ("Failed", "NodeLost"),
        "broken": ("Failed", "ServiceError"),
        "canceled": ("Canceled", ""),
    }
    error = client("GET", f"//history/v1.0{azure.scope}/runs/fails/details")[1]["error"]["error"]
    assert (error["code"], "status code 3" in error["message"]) == ("UserError", True)
    assert "bye" in azure.log_of("canceled")
    azure.cluster.stop()
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if _mentions(path, str(azure.folder))] == []


def _mentions(path, text):
    try:
        return f"HOME={text}".encode() in path.read_bytes()
    except OSError:
        return False


def test_outputs_are_folders_that_jobs_share(make_azure, connect):
    azure = make_azure(nodes=1)
    client = connect(azure)
    credentials = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "c2VjcmV0"}}
    store = {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c", "credentials": credentials}
    assert client("PUT", "/datastores/shared", {"properties": store})[0] == 201
    assert "c2VjcmV0" not in json.dumps(client("GET", "/datastores/shared")[1])
    assert client("POST", "/datastores/shared/listSecrets", {})[1]["key"] == "c2VjcmV0"
    uri = "azureml://datastores/shared/paths/nni"
    outputs = {"data": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": uri}}
    for name in ("a", "b"):
        client.put_job(name, command="echo $AZUREML_RUN_ID >> ${{outputs.data}}/runs", outputs=outputs)
    azure.wait()
    assert (azure.cluster.mount(uri) / "runs").read_text() == "a\nb\n"
    outputs["data"]["uri"] = "azureml://datastores/other/paths/nni"
    assert client.put_job("c", outputs=outputs)[0] == 400


def test_list_is_filtered_and_paged(make_azure, connect):
    azure = make_azure(mode="manual", page_size=2)
    client = connect(azure)
    for number in range(5):
        client.put_job(f"j{number}", tags={"even": "yes"} if number % 2 == 0 else {}, properties={"n": str(number)})
    client.put_job("j4", isArchived=True, tags={})

    def names(query):
        found, where = [], f"/jobs?{query}"
        while where:
            body = client("GET", where, query="" if where.startswith("//") else API)[1]
            found += [job["name"] for job in body["value"]]
            where = body.get("nextLink", "").replace(azure.url, "/")
        return found

    assert names("listViewType=ActiveOnly") == ["j3", "j2", "j1", "j0"]
    assert names("listViewType=All") == ["j4", "j3", "j2", "j1", "j0"]
    assert names("listViewType=All&tag=even") == ["j4", "j2", "j0"]
    assert names("tag=even=yes") == []
    assert names("properties=n=1") == ["j1"]
    assert names("jobType=Sweep") == []


def test_mlflow_keeps_its_rules(http_client):
    http_client.put_job("metrics", experimentName="rules")
    log = {"run_id": "metrics", "metrics": [], "params": [{"key": "a", "value": "1"}]}
    assert http_client.mlflow("POST", "runs/log-batch", log)[0] == 200
    log["params"][0]["value"] = "2"
    assert http_client.mlflow("POST", "runs/log-batch", log)[0] == 400
    many = [{"key": "m", "value": 1.0, "timestamp": 1, "step": step} for step in range(251)]
    assert http_client.mlflow("POST", "runs/log-batch", {"run_id": "metrics", "metrics": many})[0] == 400
    assert http_client.mlflow("POST", "runs/log-batch", {"run_id": "metrics", "metrics": many[:250]})[0] == 200
    assert http_client.mlflow("POST", "runs/log-batch", {"run_id": "none"})[0] == 404
    one = http_client.mlflow("GET", "metrics/get-history", run_id="metrics", metric_key="m", max_results=200)[1]
    assert len(one["metrics"]) == 200
    experiment = http_client.mlflow("GET", "experiments/get-by-name", experiment_name="rules")[1]["experiment"]
    search = {
        "experiment_ids": [experiment["experiment_id"]],
        "filter": "tags.`amlc.experiment` = 'exp' and params.a = '1'",
    }
    runs = http_client.mlflow("POST", "runs/search", search)[1]["runs"]
    assert [run["info"]["run_id"] for run in runs] == ["metrics"]
    assert runs[0]["data"]["metrics"][0]["step"] == 249


def test_a_thousand_jobs(make_azure, connect):
    azure = make_azure(mode="instant", page_size=500, metrics=lambda job: {"accuracy": [0.1, job.number / 1000]})
    client = connect(azure)
    for number in range(1000):
        assert client.put_job(f"j{number}")[0] == 201
    assert client("GET", "/jobs")[1]["value"][0]["properties"]["status"] == "Completed"
    experiment = client.mlflow("GET", "experiments/get-by-name", experiment_name="exp")[1]["experiment"]
    runs = client.mlflow("POST", "runs/search", {"experiment_ids": [experiment["experiment_id"]]})[1]["runs"]
    assert runs[0]["data"]["metrics"][0]["value"] == 1.0
    assert len(runs) == azure.job_puts == 1000


@pytest.mark.usefixtures("_can_emulate")
def test_by_hand_it_prints_what_to_export():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.azure.emulator", "--mode", "instant"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(9)]
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.read()
    assert any(re.match(r"export ARM_CLOUD_METADATA_URL='?https://127\.0\.0\.1:\d+/", line) for line in lines)
    assert "workspace emulated-ws" in lines[-1]
