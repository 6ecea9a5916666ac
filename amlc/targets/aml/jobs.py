"""Create jobs, a call each and many side by side, and look what became of one without an answer."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml

from amlc.backends import CONFLICT, Submission, Submitted
from amlc.errors import BackendError, TransientError
from amlc.manifest import Header
from amlc.names import JOB_NAME, job_id
from amlc.render.readback import read_job
from amlc.render.scalars import from_yaml, to_yaml
from amlc.render.sweep import flat, is_sweep, nested
from amlc.targets.aml import Storage, assets, storage_of
from amlc.targets.aml.client import CANCEL_VERSION, JOBS_VERSION, Client
from amlc.targets.aml.explain import NotAcceptedError, explained
from amlc.targets.aml.making import classified
from amlc.targets.aml.views import DIGEST, EXPERIMENT, HEADER, REVISION, View, trials_of, view

# What differs from job to job; the client checks the rest once for all jobs that have it in common.
_OWN = ("name", "display_name", "environment_variables", "tags", "properties")
_MAPPINGS = {
    "environment_variables": "environmentVariables",
    "tags": "tags",
    "properties": "properties",
}
_TRIES = 3
# What of a header the job says elsewhere, or matters on this machine only.
_SAID = ("backend", "experiment", "revision", "target")


class Submitter:
    """Creates the jobs of one experiment; what they share is registered with the first of them."""

    def __init__(
        self,
        client: Client,
        header: Header,
        environ: Mapping[str, str],
        note: Callable[[View], None] = lambda job: None,
    ) -> None:
        """note: told, in whatever thread, of each job as the service has it, where it says so."""
        self._client = client
        self._note = note
        self._header = header
        self._storage = storage_of(header)
        self._environ = environ
        self._told = _header_text(header)
        self._accepts = self._refused = False
        self._known: dict[tuple[str, str], str] = {}
        self._shapes: dict[str, _Shape] = {}

    def submit(self, batch: Sequence[Submission], *, parallel: int) -> Iterator[Submitted]:
        """Create the jobs, at most `parallel` at a time, yielding each answer as it comes.

        A job file that is not accepted concerns its job alone as soon as another job is accepted;
        two such without any that is accepted are taken for a fault that all jobs share. Raises
        BackendError for that, and at the first job that cannot be created for another reason; what
        is under way then is answered first.
        """
        failures: list[BackendError] = []
        refused: list[Submitted] = []
        with (
            closing(self._client.maker),
            ThreadPoolExecutor(parallel, thread_name_prefix="submit") as pool,
        ):
            for future in in_flight(
                pool,
                self._calls(batch),
                parallel,
                lambda: bool(failures) or len(refused) >= parallel,
            ):
                try:
                    yield future.result()
                    self._accepts = True
                except NotAcceptedError as err:
                    refused.append(Submitted(err.job, refused=str(err)))
                except BackendError as err:
                    failures.append(err)
                if self._accepts:
                    yield from refused
                    refused.clear()
        if failures:
            raise failures[0]
        if len(refused) > 1 or (refused and self._refused):
            raise BackendError(str(refused[0].refused))
        self._refused = bool(refused)
        yield from refused

    def _calls(self, batch: Sequence[Submission]) -> Iterator[Callable[[], Submitted]]:
        """Yield what creates each job, made in its turn, up to one that cannot be prepared."""
        for submission in batch:
            try:
                yield partial(self._create, submission, self._prepared(submission))
            except BackendError as err:
                yield partial(_fail, err)
                return

    def _prepared(self, submission: Submission) -> dict[str, Any]:
        """Return the job's values with the ids of what it shares in their places."""
        values = _read(submission)
        folder = submission.folder
        compute = values.get("compute")
        check, client = assets.check, self._client
        self._once("compute", compute, lambda: check(assets.compute_problem, client, compute))
        storage = self._storage
        if storage is not None:
            self._once("storage", storage.datastore, lambda: self._store(storage))
        for name in assets.datastores_of(values):
            if storage is None or name != storage.datastore:
                self._once(
                    "datastore", name, partial(check, assets.datastore_problem, client, name)
                )
        code, environment = values.get("code"), values.get("environment")
        if isinstance(code, str) and not code.startswith(("azureml:", "/subscriptions/")):
            snapshot = _resolved(folder, code)  # the same, seen from another folder of job files
            values["code"] = self._once(
                "code", str(snapshot), lambda: self._make("code", folder=str(snapshot))
            )
        self._once(
            "known", environment, lambda: check(assets.environment_problem, client, environment)
        )
        if not isinstance(environment, str):
            seen_from = str(folder) if assets.names_files(environment) else None
            values["environment"] = self._once(
                "environment",
                [environment, seen_from],
                lambda: self._make("environment", environment=environment, base=str(folder)),
            )
        return self._marked(values, submission)

    def _make(self, what: str, **given: Any) -> str:
        made: str = self._client.make(what, **given)
        return made

    def _store(self, storage: Storage) -> str:
        variable = storage.key_variable
        environ = {variable: self._environ.get(variable)} if variable else {}
        return self._make("datastore", storage=asdict(storage), environ=environ)

    def _once(self, kind: str, key: object, find: Callable[[], str]) -> str:
        known = (kind, json.dumps(key, sort_keys=True))
        if known not in self._known:
            self._known[known] = find()
        return self._known[known]

    def _marked(self, values: dict[str, Any], submission: Submission) -> dict[str, Any]:
        """Return the values with the marks by which the job is found again; all are texts."""
        tags = _texts({**(values.get("tags") or {}), DIGEST: _digest(_sha256(submission.content))})
        marks = {
            EXPERIMENT: tags.get(EXPERIMENT),
            REVISION: self._header.revision,
            HEADER: self._told,
        }
        return {
            **values,
            "tags": tags,
            "properties": _texts({**(values.get("properties") or {}), **marks}),
            "environment_variables": _texts(values.get("environment_variables") or {}),
        }

    def _put(self, values: Mapping[str, Any], base: Path) -> str | None:
        """Create one job and return its page.

        What the Azure ML client sends for the first of a shape is the pattern for the others: it
        needs a core for 75 jobs a second, most of that to make objects of the answers (1.35).
        """
        if is_sweep(values):
            content = to_yaml(nested(values))
            made = self._client.make("job", name=values["name"], content=content, base=str(base))
            return str(made["page"]) if made["page"] else None
        key = json.dumps(
            {name: value for name, value in values.items() if name not in _OWN}, sort_keys=True
        )
        shape = self._shapes.setdefault(key, _Shape())
        with shape.lock:
            if shape.pattern is None:
                name, content = values["name"], to_yaml(values)
                made = self._client.make("job", name=name, content=content, base=str(base))
                url = made["url"].replace(f"/{name}?", "/{name}?")
                shape.pattern = _Pattern(url, made["sent"], values)
                page: str | None = made["page"]
                return page
        url = shape.pattern.url.format(name=values["name"])
        headers = self._client.user_headers() if shape.pattern.as_user else {}
        response = self._client.arm.send(
            "PUT", url, body=shape.pattern.body(values), headers=headers
        )
        response.raise_for_status()
        made = view(response.json())
        self._note(made)
        return made.url(self._client.tenant)

    def _create(self, submission: Submission, values: Mapping[str, Any]) -> Submitted:
        """Create one job; after an answer that says neither yes nor no, look if it is there."""
        for attempt in range(1, _TRIES + 1):
            try:
                return Submitted(submission.job, url=self._put(values, submission.folder))
            except Exception as err:  # the client's errors have no common root
                error = classified(err, submission.job)
                status = error.status_code
                again = isinstance(error, TransientError) or status == 409
                if not again and status != 400:
                    raise error from err
                # The job may be there already; whether it is does not depend on how the service
                # words it.
                found = get_job(self._client, submission.job)
                if found is not None:
                    self._note(found)
                    return adopted(found, _sha256(submission.content), self._client.tenant, values)
                if not again or attempt == _TRIES:
                    raise error from err
        raise AssertionError


@lru_cache(maxsize=64)
def _resolved(folder: Path, code: str) -> Path:
    return (folder / code).resolve()


def _fail(err: BackendError) -> Submitted:
    raise err


class _Shape:
    """What jobs have in common that differ in `_OWN` only, once the first of them is created."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pattern: _Pattern | None = None


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What was sent for a job of `values`: to `url`, with {name} for the job's, and the body."""

    url: str
    sent: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def as_user(self) -> bool:
        """Whether the job runs as who submits it (`identity: {type: user_identity}`)."""
        return (self.sent["properties"].get("identity") or {}).get("identityType") == "UserIdentity"

    def body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to send for another job of the shape; what the client added stays."""
        properties = {**self.sent["properties"], "displayName": values.get("display_name")}
        for name, field in _MAPPINGS.items():
            mine, theirs = values.get(name) or {}, self.values.get(name) or {}
            added = {
                key: value
                for key, value in (properties.get(field) or {}).items()
                if key not in theirs
            }
            properties[field] = {**added, **mine}
        return {**self.sent, "properties": properties}


def adopted(
    found: View, sha256: str | None, tenant: str | None, values: Mapping[str, Any] | None = None
) -> Submitted:
    """Return the answer for a job that is there: ours if made of the file with that SHA-256.

    Whatever else made it, it is ours too if it runs the same: as `values` say, those of the file
    with texts for variables, or, where they are not known and nothing says of which file it was
    made, as its name says.
    """
    theirs, ours = found.tags.get(DIGEST), sha256 and _digest(sha256)
    if theirs == ours or ours is None:
        return Submitted(found.name, url=found.url(tenant))
    if (
        _runs_the_same(found, values)
        if values is not None
        else theirs is None and _runs_what_its_name_says(found)
    ):
        return Submitted(found.name, url=found.url(tenant))
    return Submitted(
        found.name,
        refused=(
            f"{CONFLICT}the workspace has a job '{found.name}' made of another file (digest "
            f"{theirs or 'none'}, status {found.raw_status}, created "
            f"{found.created or 'at an unknown time'}); this one's is {ours}. The next submit "
            "looks again. Run it under the next attempt's name with: amlc submit --retry failed, "
            "or set amlc.namespace to keep the two apart."
        ),
    )


def _runs_the_same(found: View, values: Mapping[str, Any]) -> bool:
    mine = values.get("environment_variables") or {}
    return found.inner.get("command") == values.get("command") and _own(found.variables) == _own(
        mine
    )


def _own(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return amlc's own variables: what the runner runs."""
    return {
        name: value
        for name, value in variables.items()
        if name.startswith("AMLC_") and value is not None
    }


def _runs_what_its_name_says(found: View) -> bool:
    """Tell whether a job's trials are those its name was made of, as its code and command are."""
    match = JOB_NAME.fullmatch(found.name)
    return match is not None and job_id([trial.id for trial in trials_of(found)]) == match["id"]


def _sha256(content: bytes) -> str:
    """Return the SHA-256 of a compiled job file."""
    return hashlib.sha256(content).hexdigest()


def _digest(sha256: str) -> str:
    """Return what the tag of a job holds of its file's SHA-256."""
    return sha256[:16]


def get_job(client: Client, job: str) -> View | None:
    """Return one job, or None if the workspace has none of that name."""
    found = client.get(f"/jobs/{job}", doing=f"job '{job}'", version=JOBS_VERSION, missing=True)
    return None if found is None else view(found)


def list_jobs(client: Client, *, experiment: str | None = None) -> Iterator[View]:
    """Yield the workspace's jobs that amlc made, of one experiment or of all."""
    for page in job_pages(client, experiment=experiment):
        yield from page


def job_pages(client: Client, *, experiment: str | None = None) -> Iterator[list[View]]:
    """Yield the same page by page, mostly the newest first; each is asked for when drawn."""
    # The service compares a tag by its key only, a property by its value too.
    params = {"api-version": JOBS_VERSION, "listViewType": "All", "tag": EXPERIMENT}
    if experiment is not None:
        params["properties"] = f"{EXPERIMENT}={experiment}"
    url = f"{client.scope}/jobs"
    for page in client.arm.pages(url, doing="list of jobs", params=params):
        found = [view(resource) for resource in page]
        yield [job for job in found if experiment is None or job.tags.get(EXPERIMENT) == experiment]


def cancel_jobs(client: Client, jobs: Collection[str], *, parallel: int) -> None:
    """Ask for the end of the jobs; one that has ended, or is not there, is no error."""

    def cancel(job: str) -> None:
        params = {"api-version": CANCEL_VERSION}
        try:
            response = client.arm.send("POST", f"{client.scope}/jobs/{job}/cancel", params=params)
            if response.status_code in (401, 403) or response.status_code >= 429:
                response.raise_for_status()
        except Exception as err:
            from azure.core.exceptions import AzureError

            if not isinstance(err, AzureError):
                raise
            raise explained(err, f"job '{job}'") from err

    with ThreadPoolExecutor(parallel, thread_name_prefix="cancel") as pool:
        list(pool.map(cancel, jobs))


def in_flight(
    pool: ThreadPoolExecutor,
    calls: Iterator[Callable[[], Any]],
    most: int,
    is_enough: Callable[[], bool],
) -> Iterator[Future[Any]]:
    """Run the calls, at most `most` at once, and yield each when it is done, until it is enough."""
    running: set[Future[Any]] = set()
    while True:
        while len(running) < most and not is_enough() and (call := next(calls, None)) is not None:
            running.add(pool.submit(call))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from done


def _read(submission: Submission) -> dict[str, Any]:
    try:
        values = _parsed(submission.content)
    except yaml.YAMLError as err:
        raise BackendError(f"{submission.job}: its job file is not YAML: {err}") from err
    if values.get("type", "command") not in ("command", "sweep"):
        raise BackendError(
            f"{submission.job}: its job file has the type {values['type']!r}; amlc submits "
            "commands and sweeps."
        )
    # What is to be registered stands in a sweep's `trial`.
    return {**(flat(values) if is_sweep(values) else values), "name": submission.job}


def _parsed(content: bytes) -> Any:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return from_yaml(content)  # in another encoding, or an error of its own
    return read_job(text)


def _texts(values: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        str(name): value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _header_text(header: Header) -> str:
    """Return what only the manifest's header tells `amlc refresh`, in less than 1,000 characters.

    An assessor of the user's own is not in the workspace.
    """
    values = {**asdict(header), "storage": header.target.get("aml", {}).get("storage")}
    if header.assessor is not None:
        named = {"name": header.assessor.name, "class_args": header.assessor.class_args}
        values["assessor"] = named if header.assessor.name else None
    return json.dumps(
        {
            name: value
            for name, value in values.items()
            if name not in _SAID and value not in (None, {})
        }
    )
