"""What a real MLflow server has of the trials, read back through its own client; and what goes wrong on the way."""

import http.server
import importlib
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings

import pytest

from amlc.errors import BackendError, UsageError
from amlc.model import Status
from amlc.viewers.mlflow import _batches, _clean, _names
from amlc.viewers.mlflow_server import Server
from amlc.viewers.runs import Report, Run

for library in ("mlflow", "flask", "flask_cors"):
    try:
        importlib.import_module(library)
    except ImportError:
        pytest.skip(f"{library} is missing: make test-all", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")

SERVE = """
import os, sys
from mlflow.server import app
from werkzeug.serving import make_server
make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True).serve_forever()
"""  # what `mlflow server` serves, without the servers for models and agents that it starts beside


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A real MLflow server over SQLite."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": "", "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
           "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"), "MLFLOW_DISABLE_TELEMETRY": "true"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE, str(port)], cwd=folder, env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    yield url
    process.kill()
    process.wait()


@pytest.fixture
def client(address):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(address)


def found(client, experiment):
    """The runs of an experiment, by trial number."""
    place = client.get_experiment_by_name(experiment).experiment_id
    runs = client.search_runs([place], max_results=1000)
    assert len({run.data.tags["amlc.trial"] for run in runs}) == len(runs)
    return {int(run.data.tags["amlc.number"]): run for run in runs}


def curve(client, run, name):
    return [(one.step, one.timestamp, one.value) for one in client.get_metric_history(run.info.run_id, name)]


def test_mlflow_has_every_run(story, client, address):
    told = story(experimentName="everything ünï 'x'").everything()
    with_password = address.replace("//", "//me:geheim@")
    assert told.send("mlflow", with_password) == {"NEW": 11}
    runs = found(client, "everything ünï 'x'")
    assert sorted(runs) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert [runs[number].info.status for number in (0, 2, 4, 6, 8, 11)] == [
        "FINISHED", "FAILED", "FINISHED", "RUNNING", "SCHEDULED", "FINISHED",
    ]  # fmt: skip
    first = runs[0]
    assert (first.info.run_name, first.info.start_time, first.info.end_time) == ("#0", 10_000, 30_500)
    assert first.data.params == {"lr": "0.1", "odd _name/..._name": "conv", "odd _name/...k": "3"}
    assert [runs[number].data.params["lr"] for number in (2, 4, 6, 8, 11)] == ["1", "größer|kleiner", '[1, "x"]', "true", "null"]
    about = {name.removeprefix("amlc."): value for name, value in first.data.tags.items() if name.startswith("amlc.")}
    assert {name: about[name] for name in ("trial", "number", "attempt", "job", "revision", "status", "result.note")} == {
        "trial": told.trials[0].id, "number": "0", "attempt": "1", "job": told.entries[0].name, "revision": "a1b2c3",
        "status": "succeeded", "result.note": "grüße|x",
    }  # fmt: skip
    assert runs[2].data.tags["amlc.error"] == "bad | worse\nworst"
    metrics = dict(first.data.metrics)
    assert metrics.pop("loss.train") == -metrics.pop("loss.test") > 1e308  # as MLflow keeps an infinity
    assert metrics == {"default": 0.25, "ok": 1}
    (zeroth, nan, final) = curve(client, first, "default")
    assert (zeroth, final) == ((0, 11_000, 0.5), (4, 30_000, 0.25))
    assert math.isnan(nan[2])
    assert told.send("mlflow", address) == {"SAME": 11}
    assert set(found(client, "everything ünï 'x'")) == set(runs)


def test_a_run_goes_on_and_another_attempt_is_another_run(story, client, address):
    told = story(experimentName="goes on", amlc={})
    told.tell(0, Status.RUNNING, ([1], ...), started=10.0)
    told.tell(1, Status.FAILED, ([5, 6, 7], ...), started=10.0, ended=20.0)
    assert told.send("mlflow", address) == {"NEW": 2}
    before = found(client, "goes on")
    told.tell(0, Status.SUCCEEDED, ([1, 2], 3), started=10.0, ended=20.0)
    told.tell(1, Status.SUCCEEDED, ([9], 10), attempt=2, started=30.0, ended=40.0)
    assert told.send("mlflow", address) == {"CHANGED": 2}
    after = found(client, "goes on")
    assert (after[0].info.run_id == before[0].info.run_id, after[1].info.run_id == before[1].info.run_id) == (True, False)
    assert [value for _, _, value in curve(client, after[0], "default")] == [1, 2, 3]
    assert [value for _, _, value in curve(client, after[1], "default")] == [9, 10]
    assert (after[0].info.status, after[0].info.end_time) == ("FINISHED", 20_000)
    assert after[1].data.tags["amlc.attempt"] == "2"
    # Killed before it was all there, and sent by two at once: the next time mends both.
    client.set_tag(after[0].info.run_id, "amlc.state", "")
    place = after[0].info.experiment_id
    client.create_run(place, tags={"amlc.trial": told.trials[0].id})
    assert told.send("mlflow", address) == {"CHANGED": 1, "SAME": 1}
    assert {number: run.info.run_id for number, run in found(client, "goes on").items()} == {
        number: run.info.run_id for number, run in after.items()
    }
    client.delete_experiment(place)
    with pytest.raises(BackendError, match=r"its experiment 'goes on' is deleted. Bring it back: mlflow experiments restore"):
        told.send("mlflow", address)


def test_a_run_of_many_reports_and_parameters_is_all_there(story, client, address):
    space = {f"p{number}": {"_type": "choice", "_value": [number]} for number in range(230)}
    told = story(experimentName="many", searchSpace=space, amlc={})
    told.tell(0, Status.SUCCEEDED, ([{"default": n, "loss": -n} for n in range(900)], {"x" * 300: "y" * 9000}), started=1.0, ended=9.0)
    assert told.send("mlflow", address) == {"NEW": 1}
    (run,) = found(client, "many").values()
    assert len(run.data.params) == 230
    assert len(curve(client, run, "default")) == len(curve(client, run, "loss")) == 900
    assert max(map(len, run.data.tags.values())) == 5000


class Answers(http.server.BaseHTTPRequestHandler):
    """A server of another kind; it keeps what it was asked."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Authorization"))
        status, body, more = self.server.answer
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, b"<html>", {}), "its answer is no JSON: is it an MLflow server?"),
        ((200, b"[1]", {}), "its answer is no object: is it an MLflow server?"),
        ((404, b"<html>", {}), "HTTP 404: Not Found: is it an MLflow server?"),
        ((401, b"no", {}), "HTTP 401: Unauthorized. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or"),
        ((500, json.dumps({"error_code": "X", "message": "a\nb\x1b[0m"}).encode(), {}), "HTTP 500: a b\\x1b[0m"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "HTTP 302: Found"),
    ],
    ids=["html", "list", "404", "401", "500", "elsewhere"],
)
def test_what_is_no_mlflow_server_is_said_in_one_line(story, answering, answer, message):
    answering.answer = answer
    address = f"127.0.0.1:{answering.server_port}"
    with pytest.raises(BackendError) as caught:
        story(amlc={}).send("mlflow", f"http://me:geheim@{address}/sub/")
    assert str(caught.value).startswith(f"http://{address}/sub: {message}")
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert answering.asked == ["Basic bWU6Z2VoZWlt"]


@pytest.mark.parametrize(
    ("place", "environ", "sent"),
    [
        ("", {}, None),
        ("", {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "geheim"}, "Basic bWU6Z2VoZWlt"),
        ("", {"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ("me:geh%65im@", {"MLFLOW_TRACKING_TOKEN": "t"}, "Basic bWU6Z2VoZWlt"),
        ("me@", {"MLFLOW_TRACKING_PASSWORD": "geheim"}, "Basic bWU6Z2VoZWlt"),
    ],
    ids=["nobody", "environment", "token", "address", "both"],
)
def test_who_signs_in(answering, place, environ, sent):
    answering.answer = 200, b"{}", {}
    Server(f"http://{place}127.0.0.1:{answering.server_port}", environ).find("x")
    assert answering.asked == [sent]


def test_a_certificate_that_is_not_there():
    with pytest.raises(UsageError, match=r"MLFLOW_TRACKING_SERVER_CERT_PATH=nowhere.pem: No such file"):
        Server("https://host", {"MLFLOW_TRACKING_SERVER_CERT_PATH": "nowhere.pem"})


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("lr", "lr"), ("größe/x y-1.2", "größe/x y-1.2"), ("acc@1", "acc_1"), ("/a", "_a"), ("a//b", "a__b"), ("../x", "___x"),
        ("..", "__"), (".", "_"), ("", "_"), ("a:b", "a_b"), ("x" * 300, "x" * 250),
    ],
)  # fmt: skip
def test_names_are_such_as_mlflow_takes(name, clean):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    assert _clean(name) == clean
    for validate in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        validate(clean)


def test_two_names_do_not_become_one():
    assert _names(["a$", "a#", "a_", "b", "x" * 300, "x" * 301]) == {
        "a$": "a_", "a#": "a__2", "a_": "a__3", "b": "b", "x" * 300: "x" * 250, "x" * 301: "x" * 240 + "_2",
    }  # fmt: skip


def test_the_tags_go_last_and_no_request_is_too_large():
    reports = tuple(Report(step=step, at=1.0, values={"default": step, "loss": 0}) for step in range(1000))
    run = Run(
        id="i", number=0, status=Status.SUCCEEDED, started=1.0, ended=2.0, about={"job": "j"}, result={},
        parameters={str(number): number for number in range(250)}, reports=reports,
    )  # fmt: skip
    batches = list(_batches(run, reports, "s"))
    assert [(len(one["params"]), len(one["metrics"])) for one in batches] == [(100, 800), (100, 800), (50, 400)]
    assert [bool(one["tags"]) for one in batches] == [False, False, True]
