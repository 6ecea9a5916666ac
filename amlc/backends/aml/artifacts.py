"""Read what jobs left in the workspace's artifact store: logs, and the runner's own records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from amlc.backends.aml.client import WORKSPACE_VERSION, Client
from amlc.backends.aml.trouble import explained
from amlc.model import Metric, Outcome

_STORE = "workspaceartifactstore"


class Artifacts:
    """The artifact store of one workspace, opened with the key that the workspace hands out, or with the sign-in."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def names(self, job: str, prefix: str) -> dict[str, int]:
        """Return the artifacts of a job whose path begins with `prefix`, with their sizes in bytes."""
        root = f"ExperimentRun/dcid.{job}/"
        with _errors(f"artifacts of '{job}'"):
            blobs = self._container.list_blobs(name_starts_with=root + prefix)
            return {str(blob.name).removeprefix(root): int(blob.size) for blob in blobs}

    def read(self, job: str, path: str, *, start: int = 0) -> bytes:
        """Return an artifact from byte `start` on; empty when there is no more, or no such artifact."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        with _errors(f"artifact '{path}' of '{job}'"):
            try:
                blob = f"ExperimentRun/dcid.{job}/{path}"
                return bytes(self._container.download_blob(blob, offset=start or None).readall())
            except ResourceNotFoundError:
                return b""
            except HttpResponseError as err:
                if err.status_code == 416:  # nothing beyond `start`
                    return b""
                raise

    @cached_property
    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        path = f"/datastores/{_STORE}"
        facts = self._client.get(path, doing=f"datastore '{_STORE}'", version=WORKSPACE_VERSION)["properties"]
        url = f"{facts.get('protocol') or 'https'}://{facts['accountName']}.blob.{facts['endpoint']}"
        return ContainerClient(url, facts["containerName"], credential=self._secret(path) or self._client.credential)

    def _secret(self, path: str) -> str | None:
        """Return the store's key or shared access signature; None when the store goes by the user's own sign-in."""
        params = {"api-version": WORKSPACE_VERSION}
        url = f"{self._client.scope}{path}/listSecrets"
        answer = self._client.arm.call("POST", url, doing=f"datastore '{_STORE}'", params=params, body={}, missing=True)
        return (answer or {}).get("key") or (answer or {}).get("sasToken")


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


def records(artifacts: Artifacts, job: str) -> tuple[list[Metric], list[Outcome]]:
    """Return what the runner wrote down in `outputs/amlc/`: every report of each trial, and how each one ended."""
    metrics: list[Metric] = []
    outcomes: list[Outcome] = []
    for path in sorted(artifacts.names(job, "outputs/amlc/")):
        trial, _, name = path.removeprefix("outputs/amlc/").partition("/")
        if name == "metrics.jsonl":
            metrics += _metrics(trial, artifacts.read(job, path))
        elif name == "result.json":
            outcomes += _outcome(trial, artifacts.read(job, path))
    return metrics, outcomes


def _metrics(trial: str, content: bytes) -> Iterator[Metric]:
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # cut short when the job was killed
        yield Metric(
            trial=trial, kind=record["type"], sequence=record["sequence"], value=record["value"], at=record["at"]
        )


def _outcome(trial: str, content: bytes) -> Iterator[Outcome]:
    try:
        record = json.loads(content)
    except ValueError:
        return
    yield Outcome(trial=trial, exit_code=record["exit_code"], started=record["started"], ended=record["ended"])
