"""Run a job's command as a real process, as a node of a cluster would: code, environment, folders, logs, time limit."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.azure.jobs import Job

_DATASTORE = re.compile(r"(?:.*/)?datastores/([^/]+)(?:/paths)?/(.*)")
_BLOCK = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
_CONTAINER = re.compile(r"https://[^/]+/(?:amlcstore/)?([^/?]+)(?:/([^?]*))?")
_TICK_S = 0.02
_LOG_EVERY_S = 0.5
_GRACE_S = 5.0


class Cluster:
    """So many nodes, each of which runs one job at a time; the other jobs are queued."""

    def __init__(self, emulator, folder: Path, *, nodes: int):
        self._emulator = emulator
        self._folder = folder
        self._pool = ThreadPoolExecutor(nodes, thread_name_prefix="node")
        self._lock = threading.Lock()
        self._stopped = False
        self.python = sys.executable
        self.path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.environment: dict[str, str] = {}
        self.keeps_outputs = True  # of canceled jobs
        (folder / "bin").mkdir(parents=True)

    def submit(self, job: Job) -> None:
        self._pool.submit(self._run, job)

    def stop(self) -> None:
        """End every process and wait for it."""
        self._stopped = True
        jobs = self._emulator.jobs
        for job in jobs:
            jobs.end(job, "Canceled")
        self._pool.shutdown(wait=True, cancel_futures=True)

    def folder(self, job: Job) -> Path:
        """Return the working directory of a job."""
        return self._folder / "jobs" / job.name / "wd"

    def mount(self, uri: str) -> Path:
        """Return the folder of this machine that stands for a datastore path, such as azureml://datastores/d/paths/p."""
        match = _DATASTORE.fullmatch(uri.removeprefix("azureml:"))
        if match is None:
            raise ValueError(f"not a datastore path: {uri}")
        return self._folder / "datastores" / match[1] / match[2]

    def _mounted(self, uri: str) -> Path:
        """Return the folder or file that stands for a datastore path, with what clients uploaded there."""
        place = self.mount(uri)
        store, path = _DATASTORE.fullmatch(uri.removeprefix("azureml:")).groups()
        container = self._emulator.datastores[store]["containerName"]
        with self._lock:
            for blob in self._emulator.storage.list(container, path):
                target = place / blob[len(path) :].strip("/") if blob != path else place
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self._emulator.storage.get(container, blob))
        return place

    def _upload_outputs(self, job: Job) -> None:
        """Put what lies in a job's outputs into the storage, as mounts of the service do."""
        for name in job.properties.get("outputs") or {}:
            uri = self._emulator.output_uri(job, name) if name != "default" else ""
            store, prefix = _DATASTORE.fullmatch(uri).groups() if uri else ("", "")
            is_ours = self._emulator.datastores.get(store, {}).get("accountName") == self._emulator.account
            place = self.mount(uri) if is_ours else None  # another account is a folder here
            for path in sorted(place.rglob("*")) if place else ():
                blob = f"{prefix.rstrip('/')}/{path.relative_to(place).as_posix()}"
                if path.is_file():
                    container = self._emulator.datastores[store]["containerName"]
                    self._emulator.storage.put(container, blob, path.read_bytes())

    def _run(self, job: Job) -> None:
        jobs = self._emulator.jobs
        try:
            if jobs.pass_phase(job, "Queued") and jobs.pass_phase(job, "Preparing"):
                folder = self._prepare(job)
                if jobs.pass_phase(job, "Running"):
                    self._execute(job, folder)
                    jobs.pass_phase(job, "Finalizing")
                    self._finish(job, folder)
        except Exception as error:  # noqa: BLE001 - what breaks here is the service's fault, as in Azure
            jobs.enter(job, "Failed", ("ServiceError", f"{type(error).__name__}: {error}"))
            if not self._stopped:
                self._emulator.crashes.append(f"{job.name}\n{traceback.format_exc()}")
        if job.is_canceled:
            jobs.enter(job, "Canceled")

    # --- before ---

    def _prepare(self, job: Job) -> Path:
        folder = self.folder(job)
        folder.parent.mkdir(parents=True)
        if code := job.properties.get("codeId"):
            shutil.copytree(self._code(code), folder, symlinks=True)
        else:
            folder.mkdir()
        for name in ("outputs", "logs"):
            (folder / name).mkdir(exist_ok=True)
        return folder

    def _code(self, code_id: str) -> Path:
        """Return a folder with the files of a code asset, downloaded once."""
        asset = self._emulator.assets.get("codes", code_id)
        folder = self._folder / "code" / re.sub(r"\W", "_", "-".join(asset.key))
        with self._lock:
            if not folder.exists():
                storage = self._emulator.storage
                container, prefix = _CONTAINER.match(asset.properties["codeUri"]).groups(default="")
                prefix = prefix.rstrip("/") + "/" if prefix else ""
                staging = folder.with_name(folder.name + ".new")
                for blob in storage.list(container, prefix):
                    target = staging / blob[len(prefix) :]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(storage.get(container, blob))
                    target.chmod(0o755)
                staging.mkdir(parents=True, exist_ok=True)
                staging.rename(folder)
        return folder

    def _bindings(self, job: Job) -> tuple[dict[str, str], dict[str, str]]:
        inputs = {}
        for name, given in (job.properties.get("inputs") or {}).items():
            if given is None:
                continue
            value = given.get("value", given.get("uri"))
            inputs[name] = str(self._mounted(value)) if "datastores/" in value else value
        outputs = {}
        for name in job.properties.get("outputs") or {}:
            if name != "default":
                path = self.mount(self._emulator.output_uri(job, name))
                path.mkdir(parents=True, exist_ok=True)
                outputs[name] = str(path)
        return inputs, outputs

    def _command(self, job: Job, inputs: dict[str, str], outputs: dict[str, str]) -> str:
        bound = {"inputs": inputs, "outputs": outputs}

        def block(match):
            needed = _EXPRESSION.findall(match[1])
            return match[1] if all(name in bound[kind] for kind, name in needed) else ""

        command = _BLOCK.sub(block, job.properties["command"])
        return _EXPRESSION.sub(lambda match: bound[match[1]][match[2]], command)

    def _variables(self, job: Job, inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, str]:
        given = {k: v for k, v in (job.properties.get("environmentVariables") or {}).items() if v is not None}
        bindings = {f"AZURE_ML_INPUT_{name}": value for name, value in inputs.items()}
        bindings |= {f"AZURE_ML_OUTPUT_{name}": value for name, value in outputs.items()}
        return {
            "PATH": f"{self._interpreter()}:{self.path}",
            "LANG": "C.UTF-8",
            **self.environment,
            **bindings,
            **given,
            **self._emulator.run_variables(job),
            "HOME": str(self._folder / "jobs" / job.name),
        }

    def _interpreter(self) -> Path:
        """Return a folder whose python and python3 are `self.python`; a link would lose its virtual environment."""
        folder = self._folder / "bin"
        with self._lock:
            for name in ("python3", "python"):
                if not (folder / name).exists():
                    script = folder / name
                    script.write_text(f'#!/bin/sh\nexec {shlex.quote(self.python)} "$@"\n', encoding="utf-8")
                    script.chmod(0o755)
        return folder

    # --- during ---

    def _execute(self, job: Job, folder: Path) -> None:
        inputs, outputs = self._bindings(job)
        ranks = _ranks(job)
        for node in range(1, 1 + max(rank.node for rank in ranks)):
            shutil.copytree(folder, _of_node(folder, node), symlinks=True)
        command, variables = self._command(job, inputs, outputs), self._variables(job, inputs, outputs)
        processes = [self._start(folder, rank, command, variables) for rank in ranks]
        job.pid = processes[0].pid
        limit = _seconds((job.properties.get("limits") or {}).get("timeout"))
        deadline = time.monotonic() + limit if limit else None
        shown_at = time.monotonic()
        try:
            while any(process.poll() is None for process in processes):
                if job.ending or job.is_canceled or (deadline and time.monotonic() > deadline):
                    break
                if any(process.poll() for process in processes):  # one failed: the launcher ends the others
                    break
                if time.monotonic() > shown_at + _LOG_EVERY_S:
                    self._show_log(job, folder)
                    shown_at = time.monotonic()
                time.sleep(_TICK_S)
        finally:
            failed = next((process.returncode for process in processes if process.poll()), 0)
            was_over = bool(failed) or all(process.poll() is not None for process in processes)
            for process in processes:
                if process.poll() is None:
                    self._stop_process(process, is_sudden=bool(job.ending))
            _kill_all(f"HOME={folder.parent}")
            for process in processes:
                process.wait()
        job.exit_code = failed or processes[0].returncode if was_over else processes[0].returncode
        if not (was_over or job.ending or job.is_canceled):
            job.ending = self._emulator.timeout_ending

    def _start(self, folder: Path, rank: "Rank", command: str, variables: dict[str, str]) -> subprocess.Popen:
        with (folder.parent / rank.log).open("wb") as log:
            return subprocess.Popen(
                ["/bin/bash", "-c", command],
                cwd=_of_node(folder, rank.node),
                env={**variables, **rank.variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _stop_process(self, process, *, is_sudden: bool) -> None:
        """A lost node takes everything with it at once; a cancellation and a time limit leave a moment to clean up."""
        if not is_sudden:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _show_log(self, job: Job, folder: Path) -> None:
        for log in folder.parent.glob("std_log*.txt"):
            self._keep(job, f"user_logs/{log.name}", log.read_bytes())

    # --- after ---

    def _finish(self, job: Job, folder: Path) -> None:
        self._show_log(job, folder)
        self._upload_outputs(job)
        if not job.is_over and (self.keeps_outputs or not job.is_canceled):
            for node in range(1 + max(rank.node for rank in _ranks(job))):  # the last one to upload wins
                here = _of_node(folder, node)
                for path in sorted(path for top in ("outputs", "logs") for path in (here / top).rglob("*")):
                    if path.is_file() and not path.is_symlink():
                        self._keep(job, path.relative_to(here).as_posix(), path.read_bytes())
        if job.ending:
            self._emulator.jobs.enter(job, *job.ending)
        elif job.is_canceled:
            self._emulator.jobs.enter(job, "Canceled")
        elif job.exit_code == 0:
            self._emulator.jobs.enter(job, "Completed")
        else:
            code = job.exit_code if job.exit_code >= 0 else 128 - job.exit_code
            text = f"Execution failed. User process exited with status code {code}. See user_logs/std_log.txt."
            self._emulator.jobs.enter(job, "Failed", ("UserError", text))

    def _keep(self, job: Job, path: str, content: bytes) -> None:
        self._emulator.put_artifact(job, path, content)


class Rank(NamedTuple):
    """One process of a job: the node it runs on, what it is told of its place, and where its output goes."""

    node: int
    variables: dict[str, str]
    log: str


def _ranks(job: Job) -> list[Rank]:
    """Return the processes of a job, as its `distribution` asks for them."""
    given = job.properties.get("distribution") or {}
    nodes = (job.properties.get("resources") or {}).get("instanceCount") or 1
    kind, each = given.get("distributionType"), given.get("processCountPerInstance") or 1
    if kind == "TensorFlow":
        tasks = [("ps", n) for n in range(given.get("parameterServerCount") or 0)]
        tasks += [("worker", n) for n in range(given.get("workerCount") or nodes)]
        cluster: dict[str, list[str]] = {}
        for number, (name, _) in enumerate(tasks):
            cluster.setdefault(name, []).append(f"127.0.0.1:{2222 + number}")
        return [
            Rank(
                n % nodes,
                {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": name, "index": index}})},
                f"std_log_process_{n:02}.txt",
            )
            for n, (name, index) in enumerate(tasks)
        ]
    if not kind and nodes == 1:
        return [Rank(0, {}, "std_log.txt")]
    found = []
    for rank in range(nodes * each):
        node, size = rank // each, str(nodes * each)
        variables = {"AZUREML_CR_NODE_RANK": str(node), "AZUREML_NODE_COUNT": str(nodes)}
        if kind == "Mpi":
            variables |= {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": size}
        if kind == "PyTorch":
            variables |= {"RANK": str(rank), "WORLD_SIZE": size, "LOCAL_RANK": str(rank % each), "NODE_RANK": str(node)}
        found.append(Rank(node, variables, f"std_log_process_{rank:02}.txt"))
    return found


def _of_node(folder: Path, node: int) -> Path:
    """Return the working directory of a job on one of its nodes."""
    return folder.with_name(f"{folder.name}-{node}") if node else folder


def _seconds(duration: str | None) -> float | None:
    """Return the seconds of an ISO 8601 duration of days, hours, minutes and seconds."""
    if not duration:
        return None
    match = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", duration)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _kill_all(mark: str) -> None:
    """Kill every process that has `mark` in its environment, whatever its session."""
    found = True
    while found:
        found = False
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark.encode() in (entry / "environ").read_bytes().split(b"\0") and _is_alive(entry):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
            except OSError:
                continue  # it went away, or is not ours


def _is_alive(entry: Path) -> bool:
    return entry.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
