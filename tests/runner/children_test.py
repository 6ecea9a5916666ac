"""Each of several trials has an MLflow run of its own, and what is wrong with that costs nothing but it."""

import http.server
import json
import threading
import time

import pytest

from tests.runner.harness import JobFolder, one_trial, trials

TOKEN = "s3cret-t0ken"
FAST = "mlflow.PAUSE_S = children.PAUSE_S = 0.01; mlflow.TIMEOUT_S = children.TIMEOUT_S = 0.5; mlflow.CLOSE_S = 5"
REPORTS = """\
import nni, sys
n = nni.get_next_parameter()["n"]
nni.report_intermediate_result(n / 4)
nni.report_final_result({"default": n / 2, "own(x)": 1})
sys.exit(n % 2)
"""


class Server(http.server.ThreadingHTTPServer):
    """An MLflow server: the job's run is there, others can be made. refuses: calls that it answers with a status."""

    def __init__(self, refuses=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuses = refuses or {}
        self.runs = {"job": {"experiment_id": "12", "tags": {}, "params": {}, "metrics": []}}
        self.tokens = set()
        self.order = []

    def handle_error(self, request, client_address):
        pass  # a client that gave up


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        run = self.path.rpartition("run_id=")[2]
        self.reply("get", lambda runs: {"run": {"info": {"experiment_id": runs[run]["experiment_id"]}}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.path.rpartition("/")[2]
        self.server.order.append((call, body.get("run_id")))
        self.reply(call, lambda runs: getattr(self, call.replace("-", "_"))(runs, body))

    def create(self, runs, body):
        name = f"child-{len(runs)}"
        tags = {tag["key"]: tag["value"] for tag in body["tags"]}
        runs[name] = {**body, "tags": tags, "params": {}, "metrics": [], "status": "RUNNING"}
        return {"run": {"info": {"run_id": name}}}

    def update(self, runs, body):
        runs[body["run_id"]] |= body
        return {}

    def log_batch(self, runs, body):
        run = runs[body["run_id"]]
        assert max(len(body.get(kind, ())) for kind in ("params", "metrics", "tags")) <= 250
        run["params"] |= {entry["key"]: entry["value"] for entry in body.get("params", ())}
        run["tags"] |= {entry["key"]: entry["value"] for entry in body.get("tags", ())}
        run["metrics"] += [(entry["key"], entry["value"], entry["step"]) for entry in body.get("metrics", ())]
        return {}

    def reply(self, call, act):
        self.server.tokens.add(self.headers["Authorization"])
        status = self.server.refuses.get(call, 200)
        if status == "hang":
            time.sleep(2)
            return
        answer = json.dumps(act(self.server.runs) if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(**refuses):
        servers.append(Server({name.replace("_", "-"): status for name, status in refuses.items()}))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "job")


def tracking(server):
    uri = f"http://127.0.0.1:{server.server_port}"
    return {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_TOKEN": TOKEN, "MLFLOW_RUN_ID": "job", "no_proxy": "*"}


def children(server):
    return {run["tags"]["amlc.child"]: run for name, run in server.runs.items() if name != "job"}


def test_each_trial_of_several_has_a_run_with_what_is_its_own(job, serve):
    server = serve()
    done = job.run(job.script(REPORTS), trials=trials(3), env=tracking(server), patch=FAST)
    assert (done.code, done.err) == (1, "")
    found = children(server)
    assert list(found) == [trial["id"] for trial in trials(3)]
    for number, run in enumerate(found.values()):
        assert run["tags"]["mlflow.parentRunId"] == "job"
        assert (run["run_name"], run["experiment_id"]) == (f"#{number}", "12")
        assert run["params"] == {"n": str(number)}
        assert run["metrics"] == [("default", number / 4, 0), ("default", number / 2, 1), ("own_x_", 1.0, 1)]
        assert run["status"] == ("FAILED" if number % 2 else "FINISHED")
        assert run["start_time"] <= run["end_time"]
    assert server.tokens == {f"Bearer {TOKEN}"}
    assert {key.partition("/")[0] for key in server.runs["job"]["params"]} == set(found)  # as ever
    assert server.order[-1] == ("log-batch", "job"), "the tag that says that the job ends comes last"
    assert "amlc.end" in server.runs["job"]["tags"]


def test_each_of_them_may_have_as_many_names_as_a_run_may(job, serve):
    server = serve()
    program = "import nni\nn = nni.get_next_parameter()['n']\n"
    program += "nni.report_final_result({f'{n}-{i}': 0.5 for i in range(60)})"
    job.run(job.script(program), trials=trials(3), env=tracking(server), patch=FAST)
    assert [len(run["metrics"]) for run in children(server).values()] == [50, 50, 50]
    assert len(server.runs["job"]["metrics"]) == 50


def test_a_trial_alone_has_the_jobs_run(job, serve):
    server = serve()
    job.run(job.script(REPORTS), trials=[one_trial(parameters={"n": 0})], env=tracking(server), patch=FAST)
    assert not children(server)
    assert server.runs["job"]["params"] == {"n": "0"}


def test_of_those_that_are_stopped_the_runs_are_too(job, serve):
    server = serve()
    command = "if [ $NNI_TRIAL_SEQ_ID = 1 ]; then sleep 1; kill -TERM $PPID; sleep 60; fi"
    done = job.run(command, trials=trials(3), env=tracking(server), patch=FAST)
    assert done.code == 143
    assert [run["status"] for run in children(server).values()][:1] == ["FINISHED"]
    assert len(children(server)) <= 2


@pytest.mark.parametrize("call", ["get", "create", "update"])
@pytest.mark.parametrize("status", [400, 401, 404, 500, "hang"])
def test_what_the_server_refuses_costs_the_runs_alone(job, serve, call, status):
    server = serve(**{call: status})
    start = time.monotonic()
    done = job.run(job.script(REPORTS), trials=trials(2), env=tracking(server), patch=FAST)
    assert time.monotonic() - start < 30
    assert done.code == 1
    assert [job.result(trial["id"])["end"] for trial in trials(2)] == ["exited", "exited"]
    assert done.err.count("MLflow: no runs for single trials (") == 1
    assert TOKEN not in done.err
    assert len(server.runs["job"]["metrics"]) == 6
    assert "amlc.end" in server.runs["job"]["tags"]
