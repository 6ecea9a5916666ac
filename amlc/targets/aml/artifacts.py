"""Read what jobs left in the workspace's artifact store: logs, and the runner's own records."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amlc.errors import BackendError, TransientError
from amlc.model import End, Metric, Outcome, Trial
from amlc.runner_files import (
    LONGEST_RESULT,
    lines_of,
    read_metrics,
    read_outcome,
    reports_counted,
)
from amlc.targets.aml.client import WORKSPACE_VERSION, Client
from amlc.targets.aml.explain import explained, first_line

_STORE = "workspaceartifactstore"
_ROOT = "ExperimentRun/dcid"
_RECORDS = "outputs/amlc"


class Blobs:
    """A blob store of a workspace, opened with what that hands out for it, or with the sign-in."""

    def __init__(self, client: Client, datastore: str) -> None:
        self._client = client
        self._datastore = datastore
        self._opened: Any = None

    def sizes(self, prefix: str, doing: str) -> dict[str, int]:
        """Return the blobs that begin with `prefix`, and their bytes; doing: for messages."""

        def sizes(container: Any) -> dict[str, int]:
            return {
                str(blob.name): int(blob.size)
                for blob in container.list_blobs(name_starts_with=prefix)
            }

        found: dict[str, int] = self._do(doing, sizes)
        return found

    def chunks(self, name: str, doing: str, *, start: int) -> Iterator[bytes]:
        """Yield a blob from byte `start` on, which it has, in pieces. Raises BackendError."""
        stream = self._do(
            doing, lambda container: container.download_blob(name, offset=start or None)
        )
        with _errors(doing):
            yield from stream.chunks()

    def _do(self, doing: str, action: Callable[[Any], Any]) -> Any:
        """Return what the action does with the container, opened as before or else otherwise."""
        from azure.core.exceptions import HttpResponseError

        with _errors(doing):
            refusal = None
            for opened in self._ways():
                try:
                    result = action(opened)
                except HttpResponseError as err:
                    if err.status_code not in (401, 403):
                        raise
                    refusal = err
                else:
                    self._opened = opened
                    return result
        raise BackendError(
            f"{doing}: no permission on the storage account, by its secrets or who is signed in: "
            f"{first_line(str(refusal))} Ask for the role 'Storage Blob Data Contributor' on it."
        ) from refusal

    def _ways(self) -> Iterator[Any]:
        from azure.storage.blob import ContainerClient

        if self._opened is not None:  # a shared access signature lasts for hours only
            yield self._opened
        path = f"/datastores/{self._datastore}"
        facts = self._client.get(
            path, doing=f"datastore '{self._datastore}'", version=WORKSPACE_VERSION
        )["properties"]
        container = facts.get("containerName") or facts.get("filesystem")  # as Data Lake calls it
        if not container:
            raise BackendError(
                f"datastore '{self._datastore}': it is no blob store, and amlc reads no other."
            )
        url = (
            f"{facts.get('protocol') or 'https'}://{facts['accountName']}.blob.{facts['endpoint']}"
        )
        secret = self._secret(path) if has_secret(facts) else None
        for credential in (secret, self._client.credential):
            if credential is not None:
                yield ContainerClient(url, container, credential=credential)

    def _secret(self, path: str) -> str | None:
        """Return the store's shared access signature or key; None when it is refused."""
        params = {"api-version": WORKSPACE_VERSION}
        url, body = (
            f"{self._client.scope}{path}/listSecrets",
            {"expirableSecret": True, "expireAfterHours": 1},
        )
        try:
            answer = self._client.arm.call(
                "POST", url, doing=f"datastore '{self._datastore}'", params=params, body=body
            )
        except TransientError:
            raise
        except BackendError:
            return None
        return (answer or {}).get("sasToken") or (answer or {}).get("key")


class Artifacts(Blobs):
    """The store with what every job left: its logs, and what it wrote into `outputs`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, _STORE)

    def names(self, job: str, prefix: str) -> dict[str, int]:
        """Return the artifacts of a job whose path begins with `prefix`, and their bytes."""
        root = artifact(job, "")
        found = self.sizes(root + prefix, f"artifacts of '{job}'")
        return {name.removeprefix(root): size for name, size in found.items()}

    def read(self, job: str, path: str, *, start: int = 0) -> bytes:
        """Return an artifact from byte `start` on; empty when there is no more, or none at all."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        def read(container: Any) -> bytes:
            try:
                return bytes(
                    container.download_blob(artifact(job, path), offset=start or None).readall()
                )
            except ResourceNotFoundError:
                return b""
            except HttpResponseError as err:
                if err.status_code == 416:  # nothing beyond `start`
                    return b""
                raise

        found: bytes = self._do(f"artifact '{path}' of '{job}'", read)
        return found

    def try_to_read(self) -> str:
        """Return the store's address once it was read. Raises BackendError."""
        self._do(
            "artifacts",
            lambda container: next(iter(container.list_blobs(name_starts_with=_ROOT)), None),
        )
        return str(self._opened.url)

    def try_to_write(self) -> None:
        """Write an artifact and take it away again. Raises BackendError."""
        name = f"{_ROOT}.amlc-doctor-{uuid.uuid4().hex}"

        def write(container: Any) -> None:
            container.upload_blob(name, b"")
            container.delete_blob(name)

        self._do("artifacts", write)


def artifact(job: str, path: str) -> str:
    """Return the name of the blob that is an artifact of a job."""
    return f"{_ROOT}.{job}/{path}"


def has_secret(datastore: Mapping[str, Any]) -> bool:
    """Tell by a datastore's properties whether it has secrets, or goes by who is signed in."""
    kind = str((datastore.get("credentials") or {}).get("credentialsType") or "None")
    return kind in ("AccountKey", "Sas")


class _errors:  # noqa: N801 - reads as what it is: a context
    """Turn the storage client's errors into one line."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        from azure.core.exceptions import AzureError

        if isinstance(err, AzureError):
            raise explained(err, self._doing) from err


@dataclass(frozen=True, slots=True)
class Records:
    """What a runner wrote down. outcomes: how trials ended. began: it came as far as a trial."""

    metrics: Sequence[Metric] = ()
    outcomes: Sequence[Outcome] = ()
    began: bool = False


def trial_log(trial: str) -> str:
    """Return the artifact in which the runner keeps what one of several trials printed."""
    return f"{_RECORDS}/{trial}/log.txt"


def records(artifacts: Artifacts, job: str, trials: Collection[str]) -> Records:
    """Return what the runner wrote down in `outputs/amlc/` of `trials`: their reports and ends."""
    metrics: list[Metric] = []
    outcomes: list[Outcome] = []
    sizes = artifacts.names(job, f"{_RECORDS}/")
    for trial in trials:
        folder = f"{_RECORDS}/{trial}"
        own = f"{folder}/result.json"
        files = [own, *sorted(name for name in sizes if name.startswith(f"{folder}/rank-"))]
        results = {
            name: artifacts.read(job, name).decode("utf-8", "replace")
            for name in files
            if sizes.get(name, LONGEST_RESULT) < LONGEST_RESULT
        }
        reports = b""
        if f"{folder}/metrics.jsonl" in sizes:
            reports = artifacts.read(job, f"{folder}/metrics.jsonl")
        counted = reports_counted(results.get(own, ""))
        metrics += read_metrics(trial, lines_of(io.BytesIO(reports)), counted=counted)
        found = [read_outcome(trial, result) for result in results.values()]
        outcomes += filter(
            None, [of_all_ranks([outcome for outcome in found if outcome is not None])]
        )
    return Records(metrics, outcomes, began=bool(sizes))


def written_trial(artifacts: Artifacts, job: str) -> Trial | None:
    """Return the only trial of a job, with the number 0, as its runner wrote it down; or None."""
    end = "/parameter.cfg"
    found = [name for name in artifacts.names(job, f"{_RECORDS}/") if name.endswith(end)]
    if len(found) != 1:
        return None
    try:
        parameters = json.loads(artifacts.read(job, found[0]))["parameters"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    identifier = found[0].removesuffix(end).rpartition("/")[2]
    return Trial(identifier, 0, parameters) if isinstance(parameters, dict) else None


def of_all_ranks(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return how a distributed trial ended: as the one of its processes did that tells most of why.

    When one fails, the others are ended.
    """
    return min(outcomes, key=_tells, default=None)


def _tells(outcome: Outcome) -> int:
    if outcome.end is End.EXITED and outcome.exit_code == 0:
        return len(_MOST_TELLING)
    return _MOST_TELLING.index(outcome.end)


_MOST_TELLING = (End.EXITED, End.REFUSED, End.TIME_LIMIT, End.LOST, End.TERMINATED)
