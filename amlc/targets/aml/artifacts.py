"""Read what jobs left in the workspace's artifact store: logs, and the runner's own records."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amlc.model import Metric, Outcome
from amlc.runner_files import LONGEST_RESULT, lines_of, read_metrics, read_outcome
from amlc.targets.aml.client import WORKSPACE_VERSION, Client
from amlc.targets.aml.explain import explained

_STORE = "workspaceartifactstore"
_RECORDS = "outputs/amlc"


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


@dataclass(frozen=True, slots=True)
class Records:
    """What the runner of a job wrote down. outcomes: how trials ended. began: the runner came as far as a trial."""

    metrics: Sequence[Metric] = ()
    outcomes: Sequence[Outcome] = ()
    began: bool = False


def records(artifacts: Artifacts, job: str, trials: Collection[str]) -> Records:
    """Return what the runner wrote down in `outputs/amlc/`: every report of `trials`, and how each of them ended."""
    metrics: list[Metric] = []
    outcomes: list[Outcome] = []
    sizes = artifacts.names(job, f"{_RECORDS}/")
    for trial in trials:
        folder = f"{_RECORDS}/{trial}"
        if f"{folder}/metrics.jsonl" in sizes:
            content = artifacts.read(job, f"{folder}/metrics.jsonl")
            metrics += read_metrics(trial, lines_of(io.BytesIO(content)))
        if sizes.get(f"{folder}/result.json", LONGEST_RESULT) < LONGEST_RESULT:
            text = artifacts.read(job, f"{folder}/result.json").decode("utf-8", "replace")
            outcomes += filter(None, [read_outcome(trial, text)])
    return Records(metrics, outcomes, began=bool(sizes))
