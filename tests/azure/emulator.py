"""The test control plane: Azure Machine Learning on this machine, for the unpatched azure-ai-ml client.

In a test:

    with Emulator(tmp_path) as azure:
        subprocess.run([...], env=azure.environ())       # the client: amlc, or a script that uses MLClient
        azure.jobs.wait(lambda jobs: all(job.is_over for job in jobs))
        assert azure.count("PUT", "/jobs/") == 3

By hand: `python -m tests.azure.emulator` prints what to export, and runs until it is interrupted.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import re
import shlex
import shutil
import signal
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.azure.arm import Arm, Assets
from tests.azure.execution import Cluster
from tests.azure.faults import Fault
from tests.azure.history import History
from tests.azure.identity import (
    GOVERNMENT_LOGIN_HOST,
    LOGIN_HOST,
    MANAGED,
    TENANT,
    Certificates,
    Identity,
    login_metadata,
)
from tests.azure.jobs import Job, Jobs
from tests.azure.mlflow_runs import Runs
from tests.azure.storage import ACCOUNT, Azurite, BlobCall
from tests.azure.sweeps import Sweeps
from tests.azure.wire import ConnectProxy, HttpsServer, Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

_PLANE = re.compile(
    r"/(history|artifact|mlflow)/v[\d.]+"
    r"(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+)(/.*)?",
    re.IGNORECASE,
)
_ARM_HOST = "management.azure.com"
_API_HOST = "eastus.api.azureml.ms"
_GOVERNMENT_ARM_HOST = "management.usgovcloudapi.net"
_HOSTS = (_ARM_HOST, _API_HOST, LOGIN_HOST, _GOVERNMENT_ARM_HOST, GOVERNMENT_LOGIN_HOST)
_BLOB_HOST = f"{ACCOUNT}.blob.core.windows.net"
# What a client process must not inherit: each of these would point it, or sign it in, somewhere else.
_FOREIGN = ("AZURE", "ARM_", "MLFLOW_", "IDENTITY_", "MSI_", "AMLC_")
_PREEMPTED = ("JobPreempted", "The job was preempted: its low-priority node was taken back.")
_NODE_LOST = ("NodeLost", "The node that ran the job stopped answering.")
_SERVICE_ERROR = ("ServiceError", "InternalServerError: the service could not run the job.")


@dataclass(frozen=True)
class Call:
    """One call as it was answered; status 0 is a connection that was reset."""

    at: float
    method: str
    path: str
    query: str
    status: int
    received: int
    sent: int
    host: str
    spoiled: bool


class Shared:
    """What all emulators of this process have in common: the certificates, and one Azurite, started when first needed."""

    _one: Shared | None = None
    _lock = threading.RLock()

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="amlc-azure-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self.certificates = Certificates(self._folder)
        self._azurite: Azurite | None = None

    @classmethod
    def get(cls) -> Shared:
        with cls._lock:
            cls._one = cls._one or cls()
            return cls._one

    @property
    def azurite(self) -> Azurite:
        """The storage. Raises MissingAzurite."""
        with self._lock:
            if self._azurite is None:
                self._azurite = _in_lasting_thread(lambda: Azurite(self._folder, self.certificates))
                atexit.register(self._azurite.stop)
            return self._azurite


def _in_lasting_thread(make: Callable[[], Any]) -> Any:
    """Return what `make` makes in a thread that never ends: Azurite dies with the thread that started it."""
    made, is_done = [], threading.Event()

    def work():
        try:
            made.append(make())
        except Exception as error:  # noqa: BLE001 - raised again below
            made.append(error)
        is_done.set()
        threading.Event().wait()

    threading.Thread(target=work, daemon=True, name="azurite").start()
    is_done.wait()
    if isinstance(made[0], Exception):
        raise made[0]
    return made[0]


class Emulator:
    """One workspace. Every knob is an attribute that a test may set at any time.

    mode: "execute" runs each command as a process; "instant" lets jobs pass through all phases at once; "manual" keeps
      them in Running until `finish`. What `hold` says comes first in every mode.
    nodes: how many jobs run at a time in the mode "execute".
    metrics: for the modes without processes, the metrics of a job: {"accuracy": [0.1, 0.9]}.
    latency_s: added to every call. page_size: of the job list. computes: name to provisioning state.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: str = "execute",
        nodes: int = 4,
        latency_s: float = 0.0,
        page_size: int = 100,
        metrics: Callable[[Job], dict[str, list[float]]] | None = None,
        port: int = 0,
        resource_group: str = "emulated-rg",
        workspace: str = "emulated-ws",
    ):
        assert mode in ("execute", "instant", "manual"), mode
        self.subscription = "00000000-0000-0000-0000-0000000000a1"
        self.resource_group, self.workspace = resource_group, workspace
        self.workspace_id = "00000000-0000-0000-0000-0000000000b1"
        self.tenant, self.account = TENANT, ACCOUNT
        self.mode, self.latency_s, self.page_size, self.metrics = mode, latency_s, page_size, metrics
        self.computes = {"cpu-cluster": "Succeeded", "gpu-cluster": "Succeeded", "broken-cluster": "Failed"}
        self.finds_code_of_other_names = True
        self.gives_expirable_secrets = True
        self.tracking_scheme = "azureml"
        self.run_token_s = 7 * 86_400.0
        self.timeout_ending = ("Canceled", ("JobTimeout", "The job reached its maximum run duration."))
        self.faults: list[Fault] = []
        self.denied: list[tuple[str, str]] = []
        self.calls: list[Call] = []
        self.crashes: list[str] = []
        self.prefix = f"e{uuid.uuid4().hex[:8]}"
        self.artifact_container = f"{self.prefix}-artifacts"
        self.jobs = Jobs()
        self.runs = Runs()
        self.assets = Assets(self.scope)
        self.datastores: dict[str, dict[str, Any]] = {}
        self.folder = Path(folder) / "azure"
        self.identity = Identity(self.folder / "identity", subscription=self.subscription)
        self.cluster = Cluster(self, self.folder / "cluster", nodes=nodes)
        self.sweeps = Sweeps(self)
        self.is_stopped = False
        self._port = port
        self._storage_lock = threading.Lock()
        self._storage: Azurite | None = None
        self._arm, self._history = Arm(self), History(self)

    @property
    def scope(self) -> str:
        """The workspace's ARM id."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace}"

    # --- life ---

    def __enter__(self) -> Self:
        shared = Shared.get()
        self.ca = shared.certificates.ca
        self._server = HttpsServer(self.answer, shared.certificates.certificate, self._port)
        self._proxy = ConnectProxy(self._port_of)
        self.host = f"127.0.0.1:{self._server.port}"
        self.url = f"https://{self.host}"
        self.identity.audiences.append(self.url)
        self._make_datastores()
        return self

    def __exit__(self, *_):
        self.is_stopped = True
        self.cluster.stop()
        self._proxy.stop()
        self._server.stop()

    @property
    def storage(self) -> Azurite:
        """The blob storage, with this workspace's containers. Raises MissingAzurite."""
        with self._storage_lock:
            if self._storage is None:
                storage = Shared.get().azurite
                for name in ("artifacts", "blobs"):
                    storage.create_container(f"{self.prefix}-{name}")
                self._storage = storage
            return self._storage

    def _make_datastores(self) -> None:
        for name, container in (("workspaceblobstore", "blobs"), ("workspaceartifactstore", "artifacts")):
            self.datastores[name] = {
                "datastoreType": "AzureBlob",
                "accountName": self.account,
                "containerName": f"{self.prefix}-{container}",
                "endpoint": "core.windows.net",
                "protocol": "https",
                "isDefault": name == "workspaceblobstore",
                "credentials": {"credentialsType": "AccountKey"},
                "serviceDataAccessAuthIdentity": "None",
                "subscriptionId": self.subscription,
                "resourceGroup": self.resource_group,
            }

    # --- the client's side ---

    def variables(self, recipe: str = "metadata") -> dict[str, str]:
        """Return the environment variables that point a client here.

        recipe: "metadata" names this machine in ARM_CLOUD_METADATA_URL; "proxy" keeps Azure's own URLs and brings them
        here through HTTPS_PROXY. In both the storage account's public name goes through the proxy.
        """
        assert recipe in ("metadata", "proxy"), recipe
        proxy, ca = f"http://127.0.0.1:{self._proxy.port}", str(self.ca)
        variables = {
            "PATH": f"{self.identity.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "REQUESTS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        if recipe == "metadata":
            variables["ARM_CLOUD_METADATA_URL"] = f"{self.url}/metadata/endpoints?api-version=2019-05-01"
        return variables

    def environ(self, recipe: str = "metadata", **more: str) -> dict[str, str]:
        """Return a whole environment for a client process: this one's, without other Azure settings, and `variables`."""
        own = {key: value for key, value in os.environ.items() if not key.upper().startswith(_FOREIGN)}
        return {**own, **self.variables(recipe), **more}

    def is_public(self, request: Request) -> bool:
        """Whether the client called by Azure's own names, and so gets Azure's own names back."""
        return not request.host.startswith(("127.0.0.1", "localhost"))

    def api_host(self, request: Request) -> str:
        return _API_HOST if self.is_public(request) else self.host

    def _port_of(self, host: str, port: int) -> int | None:
        if host in ("127.0.0.1", "localhost"):
            return port
        if host == _BLOB_HOST:
            return self.storage.port
        return self._server.port if host in _HOSTS else None

    @property
    def refused_hosts(self) -> list[str]:
        """The hosts that a client asked the proxy for in vain."""
        return self._proxy.refused

    # --- answering ---

    def answer(self, request: Request) -> Reply:
        """Answer one call: late, spoiled, or as Azure would."""
        if self.latency_s:
            time.sleep(self.latency_s)
        struck = [fault for fault in self.faults if fault.picks(request.method, request.target)]  # each rule counts
        fault = struck[0] if struck else None
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        spoils = fault is not None and not fault.only_slow
        reply = None if spoils and not fault.after else self._dispatch(request)
        if spoils:
            reply = _spoiled(fault)
        if not isinstance(reply.body, bytes):
            reply = replace(reply, body=json.dumps(reply.body).encode())
        query = request.target.partition("?")[2]
        status = 0 if reply.reset else reply.status
        self.calls.append(
            Call(
                time.time(), request.method, request.path, query, status, len(request.body), len(reply.body),
                request.host, fault is not None,
            )
        )  # fmt: skip
        return reply

    def _dispatch(self, request: Request) -> Reply:
        try:
            return self._route(request)
        except Exception:  # noqa: BLE001 - a mistake of the emulator must show in the test, not hang its client
            self.crashes.append(f"{request.method} {request.target}\n{traceback.format_exc()}")
            return Reply(500, {"error": {"code": "InternalServerError", "message": traceback.format_exc(limit=-1)}})

    def _route(self, request: Request) -> Reply:
        path = request.path
        if request.host in (LOGIN_HOST, GOVERNMENT_LOGIN_HOST) or path.startswith(f"/{self.tenant}/"):
            return self._sign_in(request)
        if path in MANAGED:
            return Reply(*self.identity.managed(path, request.query, request.headers))
        if path == "/metadata/endpoints":
            return Reply(200, self._metadata(request))
        if path.startswith("/discovery"):
            base = f"https://{self.api_host(request)}"
            names = ("api", "catalog", "experimentation", "history", "hyperdrive", "labeling", "modelmanagement")
            return Reply(200, dict.fromkeys(names, base))
        if refusal := self.identity.refusal(request.headers.get("authorization", "")):
            code, message = refusal
            challenge = f'Bearer authorization_uri="https://{LOGIN_HOST}/{self.tenant}", error="invalid_token"'
            return Reply(401, {"error": {"code": code, "message": message}}, {"WWW-Authenticate": challenge})
        if any(re.search(method, request.method) and re.search(where, path) for method, where in self.denied):
            text = "The client 'someone@example.com' does not have authorization to perform action "
            text += f"'Microsoft.MachineLearningServices/{request.method.lower()}' over scope '{path}'."
            return Reply(403, {"error": {"code": "AuthorizationFailed", "message": text}})
        if match := _PLANE.fullmatch(path):
            return self._data_plane(request, match[1].lower(), match[2], match[3] or "")
        return self._arm.answer(request)

    def _data_plane(self, request: Request, plane: str, scope: str, rest: str) -> Reply:
        if scope.lower() != self.scope.lower():
            return Reply(404, {"error": {"code": "UserError", "message": f"Workspace not found: {scope}"}})
        if plane == "history":
            return self._history.answer(request, rest)
        if plane == "artifact":
            return self._history.answer_artifacts(request, rest)
        match = re.fullmatch(r"/api/2\.0/(?:preview/)?mlflow/(.+)", rest)
        return self.runs.answer(request, match[1] if match else rest)

    def _sign_in(self, request: Request) -> Reply:
        if request.method == "POST":
            form = dict(parse_qsl(request.body.decode()))
            return Reply(*self.identity.sign_in(form))
        found = login_metadata(request.path, request.host)
        return Reply(200, found) if found else Reply(404, {"error": "not_found"})

    def _metadata(self, request: Request) -> dict[str, Any]:
        """Return the cloud that a client finds; the client takes it when it asked at its `resourceManager`."""
        is_public = self.is_public(request)
        base = f"https://{_ARM_HOST}/" if is_public else f"{self.url}/"
        return {
            "name": "AzureCloud" if is_public else "EmulatedCloud",
            "portal": "https://portal.azure.com",
            "resourceManager": base,
            "authentication": {"loginEndpoint": f"https://{LOGIN_HOST}", "audiences": [base], "tenant": "common"},
            "suffixes": {"storage": "core.windows.net", "acrLoginServer": "azurecr.io"},
        }

    # --- what happens to a job ---

    def accept(self, job: Job) -> None:
        """Take a job that was submitted: run it, or let it pass through its phases."""
        self.runs.add(job, self.sweeps.tags(job))
        if job.properties["jobType"] == "Sweep":
            self.sweeps.submit(job)
        elif self.mode == "execute" and job.properties["jobType"] == "Command":
            self.cluster.submit(job)
        else:
            self._pass(job)

    def _pass(self, job: Job) -> None:
        """Move a job that has no process as far as it may go."""
        held = self.jobs.held if self.mode == "instant" else self.jobs.held | {"Running"}
        for status in ("Queued", "Preparing", "Running", "Finalizing"):
            self.jobs.enter(job, status)
            if status in held and not job.is_free:
                return
        if self.metrics and not job.is_over:
            self.runs.log(job.name, self.metrics(job))
        if not job.is_over:
            self.runs.tell_end(job.name, 0)
        self.jobs.enter(job, "Completed")

    def hold(self, *phases: str) -> None:
        """Keep jobs that reach these phases in them: "Queued", "Preparing", "Running" or "Finalizing".

        "Running" holds a job before its process starts. Without arguments nothing is held and all go on.
        """
        self.jobs.hold(phases)
        self._go_on(job for job in self.jobs if job.status not in phases)

    def release(self, *names: str) -> None:
        """Let these jobs, or all there are, go on to their end whatever is held."""
        jobs = [job for job in self.jobs if not names or job.name in names]
        self.jobs.free(job.name for job in jobs)
        self._go_on(jobs)

    def _go_on(self, jobs: Iterable[Job]) -> None:
        if self.mode != "execute":
            for job in jobs:
                is_ours = job.properties["jobType"] == "Command"
                if is_ours and not job.is_over and (job.is_free or job.status != "Running" or self.mode == "instant"):
                    self._pass(job)

    def finish(self, name: str, status: str = "Completed", error: tuple[str, str] | None = None) -> None:
        """End a job from outside with a status and, when it failed, (code, message)."""
        self.jobs.end(self.job(name), status, error)

    def fail(self, name: str, exit_code: int = 1) -> None:
        """Let a job fail by its own fault."""
        self.finish(
            name, "Failed", ("UserError", f"Execution failed. User process exited with status code {exit_code}.")
        )

    def preempt(self, name: str) -> None:
        """Take the node away from a job."""
        self.finish(name, "Failed", _PREEMPTED)

    def lose_node(self, name: str) -> None:
        """Let the node of a job die."""
        self.finish(name, "Failed", _NODE_LOST)

    def fail_service(self, name: str) -> None:
        """Let a job fail by the service's fault."""
        self.finish(name, "Failed", _SERVICE_ERROR)

    def cancel(self, job: Job) -> None:
        """Begin to cancel a job; whoever runs it ends it."""
        self.jobs.cancel(job)
        if self.mode != "execute" and job.properties["jobType"] == "Command":
            self.jobs.enter(job, "Canceled")

    def use_identity(self) -> None:
        """Let the workspace's datastores have no secrets: the storage goes by who is signed in."""
        for properties in self.datastores.values():
            properties["credentials"] = {"credentialsType": "None"}

    def delete(self, *names: str) -> None:
        """Let somebody delete these jobs, with their runs."""
        for name in names:
            self.jobs.forget(name)

    def say_why(self, name: str, message: str) -> None:
        """Give a waiting job the service's remark on why it waits."""
        self.job(name).warnings.append(message)

    def job(self, name: str) -> Job:
        """Return a job. Raises KeyError."""
        job = self.jobs.get(name)
        if job is None:
            raise KeyError(name)
        return job

    def wait(self, timeout_s: float = 60) -> None:
        """Wait until every job is over."""
        self.jobs.wait(lambda jobs: all(job.is_over for job in jobs), timeout_s)

    def statuses(self) -> dict[str, str]:
        """Return the status of each job, in the order in which they were made."""
        return {job.name: job.status for job in self.jobs}

    # --- for the node that runs a job ---

    def output_uri(self, job: Job, name: str) -> str:
        """Return the datastore path of one of a job's outputs."""
        uri = (job.properties["outputs"][name] or {}).get("uri")
        uri = uri or "azureml://datastores/${{default_datastore}}/paths/azureml/${{name}}/${{output_name}}/"
        values = {"default_datastore": "workspaceblobstore", "name": job.name, "output_name": name}
        return re.sub(r"\$\{\{(\w+)\}\}", lambda match: values[match[1]], uri)

    def run_variables(self, job: Job) -> dict[str, str]:
        """Return the variables that tell a job's process about its run."""
        token = self.identity.token(expires_in_s=self.run_token_s)
        tracking = f"{self.tracking_scheme}://{self.host}/mlflow/v2.0{self.scope}"
        return {
            "MLFLOW_TRACKING_URI": tracking,
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_RUN_ID": job.name,
            "MLFLOW_EXPERIMENT_NAME": job.experiment,
            "AZUREML_RUN_ID": job.name,
            "AZUREML_ROOT_RUN_ID": job.name,
            "AZUREML_RUN_TOKEN": token,
            "AZUREML_RUN_TOKEN_EXPIRY": str(int(time.time() + self.run_token_s)),
            "AZUREML_ARM_SUBSCRIPTION": self.subscription,
            "AZUREML_ARM_RESOURCEGROUP": self.resource_group,
            "AZUREML_ARM_WORKSPACE_NAME": self.workspace,
            "AZUREML_ARM_PROJECT_NAME": job.experiment,
            "AZUREML_WORKSPACE_ID": self.workspace_id,
            "AZUREML_WORKSPACE_SCOPE": self.scope,
            "AZUREML_SERVICE_ENDPOINT": self.url,
            "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{self.url}/discovery",
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "SSL_CERT_FILE": str(self.ca),
        }

    def put_artifact(self, job: Job, path: str, content: bytes) -> None:
        """Store an artifact of a job, such as outputs/model.bin."""
        self.storage.put(self.artifact_container, f"ExperimentRun/dcid.{job.name}/{path}", content)
        job.artifacts[path] = len(content)

    def artifact(self, name: str, path: str) -> bytes | None:
        """Return an artifact of a job, or None."""
        return self.storage.get(self.artifact_container, f"ExperimentRun/dcid.{name}/{path}")

    def log_of(self, name: str) -> str:
        """Return what a job printed."""
        return (self.artifact(name, "user_logs/std_log.txt") or b"").decode(errors="replace")

    # --- misbehaviour and the request log ---

    def spoil(self, fault: Fault) -> Fault:
        """Add a rule (see faults.py); returns it, so that a test can read how often it struck."""
        self.faults.append(fault)
        return fault

    def deny(self, method: str, path: str = ".") -> None:
        """Answer calls that match with 403: the signed-in user lacks the permission."""
        self.denied.append((method, path))

    def find_calls(self, method: str = ".", path: str = ".") -> list[Call]:
        """Return the calls whose method and path match these regular expressions."""
        return [call for call in self.calls if re.search(method, call.method) and re.search(path, call.path)]

    def count(self, method: str = ".", path: str = ".") -> int:
        return len(self.find_calls(method, path))

    @property
    def job_puts(self) -> int:
        """How many PUTs of jobs there were."""
        return self.count("PUT", r"/jobs/[^/]+$")

    @property
    def list_pages(self) -> int:
        """How many pages of the job list were asked for."""
        return self.count("GET", r"/jobs$")

    def blob_calls(self, method: str = ".") -> list[BlobCall]:
        """Return what clients did in this workspace's containers."""
        time.sleep(0.05)  # Azurite writes its log a moment after it answers
        calls = self.storage.calls()
        return [c for c in calls if c.container.startswith(self.prefix) and re.search(method, c.method)]

    @property
    def uploads(self) -> list[str]:
        """The blobs that clients wrote, in order, as often as they wrote them."""
        is_content = ("", "blocklist")
        return [c.blob for c in self.blob_calls("PUT") if c.status == 201 and c.query.get("comp", "") in is_content]

    def forget_calls(self) -> None:
        """Empty the request log."""
        self.calls.clear()


def _spoiled(fault: Fault) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is not None:
        return Reply(fault.status or 200, fault.body, headers)
    code = fault.code or {500: "InternalServerError", 503: "ServiceUnavailable"}.get(fault.status, "EmulatedFault")
    return Reply(fault.status or 500, {"error": {"code": code, "message": fault.message}}, headers, reset=fault.reset)


def main() -> None:
    """Run an emulator by hand."""
    parser = argparse.ArgumentParser(description="Emulate an Azure Machine Learning workspace on this machine.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=("execute", "instant", "manual"), default="execute")
    parser.add_argument("--nodes", type=int, default=4, help="jobs that run at a time (default: %(default)s)")
    parser.add_argument("--latency-ms", type=float, default=0, help="added to every call (default: %(default)s)")
    parser.add_argument("--page-size", type=int, default=100, help="of the job list (default: %(default)s)")
    parser.add_argument("--recipe", choices=("metadata", "proxy"), default="metadata", help="how clients find it")
    parser.add_argument("--folder", type=Path, help="where jobs run (default: a temporary folder)")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="amlc-azure-") as temporary:
        options = {"mode": given.mode, "nodes": given.nodes, "latency_s": given.latency_ms / 1000}
        with Emulator(given.folder or Path(temporary), page_size=given.page_size, port=given.port, **options) as azure:
            with suppress(KeyboardInterrupt):
                for name, value in azure.variables(given.recipe).items():
                    print(f"export {name}={shlex.quote(value)}")
                print(f"# subscription {azure.subscription}, resource group {azure.resource_group}, ", end="")
                print(f"workspace {azure.workspace}, computes: {', '.join(azure.computes)}", flush=True)
                threading.Event().wait()
            print(f"# {len(azure.calls)} calls, {len(azure.jobs)} jobs", flush=True)


if __name__ == "__main__":
    main()
