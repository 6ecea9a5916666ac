"""The data plane beside MLflow: the run history's details, and the artifacts of runs."""

import re
import time
from urllib.parse import quote

from tests.azure.arm import utc
from tests.azure.jobs import Job
from tests.azure.wire import Reply, Request

_RUN = re.compile(r"(?:/experiment(?:s|ids)/[^/]+)?/runs/([^/]+)(/.*)?")
_ARTIFACT = re.compile(r"/artifacts(/prefix/contentinfo|/contentinfo|/path)?/ExperimentRun/dcid\.([^/]+)(?:/(.*))?")


class History:
    """Answer the run history's and the artifact service's REST calls."""

    def __init__(self, emulator):
        self._emulator = emulator

    def answer(self, request: Request, rest: str) -> Reply:
        """Answer a run history call; `rest` is what follows the workspace."""
        if request.method == "POST" and rest == "/rundata":
            name = (request.json() or {}).get("runId", "")
            return self._of(name, lambda job: Reply(200, {"runMetadata": self._run(job)}))
        match = _RUN.fullmatch(rest)
        if match is None:
            return _missing(f"{request.method} {request.path}")
        return self._of(match[1], lambda job: self._on_run(request, job, match[2] or ""))

    def answer_artifacts(self, request: Request, rest: str) -> Reply:
        """Answer a call on the artifact service."""
        match = _ARTIFACT.fullmatch(rest)
        if match is None or request.method != "GET":
            return _missing(f"{request.method} {request.path}")
        path = request.query.get("path") or match[3] or ""
        return self._of(match[2], lambda job: self._artifacts(request, job, match[1] or "", path))

    def _of(self, name: str, action) -> Reply:
        job = self._emulator.jobs.get(name)
        return action(job) if job else _missing(f"Run {name}")

    def _on_run(self, request: Request, job: Job, what: str) -> Reply:
        if what.startswith("/artifacts"):
            path = request.query.get("path") or ""
            return self._artifacts(request, job, what.removeprefix("/artifacts"), path)
        if what == "/details":
            logs = {path: self._url(request, job, path) for path in job.artifacts if path.startswith("user_logs/")}
            return Reply(200, {**self._run(job), "logFiles": logs})
        if what == "/children":
            return Reply(200, {"value": []})
        if what == "/token" and request.method == "GET":
            token = self._emulator.identity.token(expires_in_s=7 * 86_400)
            return Reply(200, {"token": token, "expiryTimeUtc": utc(time.time() + 7 * 86_400)})
        if what:
            return _missing(f"{request.method} {request.path}")
        if request.method in ("PATCH", "POST"):
            self._modify(job, request.json() or {})
        return Reply(200, self._run(job))

    def _modify(self, job: Job, change: dict) -> None:
        if "hidden" in change:
            job.properties["isArchived"] = bool(change["hidden"])
        for ours, theirs in (("displayName", "displayName"), ("description", "description")):
            if change.get(theirs) is not None:
                job.properties[ours] = change[theirs]
        for key in ("tags", "properties"):
            if change.get(key):
                job.properties[key] = {**(job.properties.get(key) or {}), **change[key]}

    def _run(self, job: Job) -> dict:
        error = None
        if job.error:
            code, message = job.error
            error = {
                "error": {"code": code, "message": message, "severity": None, "details": []},
                "time": utc(job.ended),
            }
        run = {
            "runId": job.name,
            "runNumber": job.number,
            "rootRunId": job.name,
            "experimentId": None,
            "status": job.status,
            "target": (job.properties.get("computeId") or "").rpartition("/")[2] or None,
            "createdUtc": utc(job.created),
            "createdTimeUtc": utc(job.created),
            "startTimeUtc": utc(job.started),
            "endTimeUtc": utc(job.ended),
            "error": error,
            "warnings": [{"source": "emulator", "message": text} for text in job.warnings],
            "tags": job.tags,
            "properties": {"_azureml.ComputeTargetType": "amlctrain", **(job.properties.get("properties") or {})},
            "displayName": job.properties.get("displayName"),
            "description": job.properties.get("description"),
            "hidden": bool(job.properties.get("isArchived")),
            "runType": "azureml.scriptrun",
            "dataContainerId": f"dcid.{job.name}",
            "outputs": {},
            "inputs": {},
            "logFiles": {},
        }
        if job.status == "Queued" and job.warnings:
            run["queueingInfo"] = {
                "code": "Queued",
                "message": job.warnings[-1],
                "lastRefreshTimestamp": utc(job.created),
            }
        return run

    def _artifacts(self, request: Request, job: Job, what: str, path: str) -> Reply:
        container = f"dcid.{job.name}"
        if what == "/contentinfo":
            if path not in job.artifacts:
                return _missing(f"Artifact {path}")
            return Reply(200, self._content(request, job, path))
        found = [name for name in job.artifacts if not path or name == path or name.startswith(path.rstrip("/") + "/")]
        if what == "/prefix/contentinfo":
            found = [name for name in job.artifacts if name.startswith(path)]
            return Reply(200, {"value": [self._content(request, job, name) for name in found]})
        if what not in ("", "/path"):
            return _missing(f"{request.method} {request.path}")
        value = [
            {"artifactId": f"ExperimentRun/{container}/{name}", "origin": "ExperimentRun", "container": container}
            | {"path": name, "createdTime": utc(job.created), "contentLength": job.artifacts[name]}
            for name in found
        ]
        return Reply(200, {"value": value})

    def _content(self, request: Request, job: Job, path: str) -> dict:
        url = self._url(request, job, path)
        return {"contentUri": url, "origin": "ExperimentRun", "container": f"dcid.{job.name}", "path": path}

    def _url(self, request: Request, job: Job, path: str) -> str:
        emulator = self._emulator
        base = emulator.storage.url(emulator.artifact_container, is_public=emulator.is_public(request))
        sas = emulator.storage.container_sas(emulator.artifact_container, "r")
        return f"{base}/{quote(f'ExperimentRun/dcid.{job.name}/{path}')}?{sas}"


def _missing(what: str) -> Reply:
    return Reply(404, {"error": {"code": "UserError", "message": f"{what} was not found."}})
