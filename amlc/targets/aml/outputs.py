"""Find and read the files that a job left: in its artifacts, and where its named outputs lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from amlc.errors import BackendError
from amlc.targets.aml import STORAGE_OUTPUT
from amlc.targets.aml.artifacts import Artifacts, Blobs, artifact
from amlc.targets.aml.client import WORKSPACE_VERSION, Client
from amlc.targets.aml.jobs import get_job

_FOLDER = "outputs/"
_DEFAULT = "default"  # the artifacts, under the service's own name
_PLACE = re.compile(r"(?:azureml:)?azureml://(?:.*/)?datastores/([^/]+)/paths/(.*)")
# Where the service puts an output that says no place.
_USUAL = "azureml://datastores/${{default_datastore}}/paths/azureml/${{name}}/${{output_name}}/"
_EXPRESSION = re.compile(r"\$\{\{\s*(\w+)\s*\}\}")


class _Blob(NamedTuple):
    store: Blobs
    name: str
    size: int


class Outputs:
    """The outputs of jobs in one workspace."""

    def __init__(self, client: Client, artifacts: Artifacts) -> None:
        self._client, self._artifacts = client, artifacts
        self._stores: dict[str, Blobs] = {}
        self._known: dict[str, dict[str, _Blob]] = {}

    def sizes(self, job: str) -> dict[str, int]:
        """Return the files by their paths below `outputs/`, with their sizes in bytes."""
        return {name: blob.size for name, blob in self._files(job).items()}

    def read(self, job: str, name: str, *, start: int) -> Iterator[bytes]:
        """Yield one of them from byte `start` on."""
        blob = self._files(job)[name]
        return blob.store.chunks(blob.name, f"output '{name}' of '{job}'", start=start)

    def _files(self, job: str) -> Mapping[str, _Blob]:
        if job not in self._known:
            self._known[job] = dict(self._found(job))
        return self._known[job]

    def _found(self, job: str) -> Iterator[tuple[str, _Blob]]:
        for path, size in self._artifacts.names(job, _FOLDER).items():
            yield path.removeprefix(_FOLDER), _Blob(self._artifacts, artifact(job, path), size)
        found = get_job(self._client, job)
        if found is None:
            raise BackendError(f"job '{job}': the workspace does not have it (any more).")
        for output, given in (found.properties.get("outputs") or {}).items():
            if output not in (_DEFAULT, STORAGE_OUTPUT):
                place = self._place(job, output, (given or {}).get("uri") or _USUAL)
                yield from self._named(job, output, place)

    def _named(self, job: str, output: str, place: tuple[str, str]) -> Iterator[tuple[str, _Blob]]:
        store = self._stores.setdefault(place[0], Blobs(self._client, place[0]))
        prefix = place[1].rstrip("/")
        for name, size in store.sizes(prefix, f"output '{output}' of '{job}'").items():
            below = name.removeprefix(prefix)
            if not below:  # an output that is one file
                yield f"{output}/{name.rpartition('/')[2]}", _Blob(store, name, size)
            elif below.startswith("/") and not below.endswith("/"):
                yield output + below, _Blob(store, name, size)

    def _place(self, job: str, output: str, uri: str) -> tuple[str, str]:
        """Return the datastore and the path of an output."""
        values = {"name": job, "output_name": output}
        if "default_datastore" in uri:
            values["default_datastore"] = self._default_datastore()
        match = _PLACE.fullmatch(_EXPRESSION.sub(lambda found: values.get(found[1], found[0]), uri))
        if match is None:
            raise BackendError(
                f"output '{output}' of '{job}': it lies in {uri}, which is no path on a datastore."
            )
        return match[1], match[2]

    def _default_datastore(self) -> str:
        params = {"api-version": WORKSPACE_VERSION, "isDefault": "true"}
        url, doing = f"{self._client.scope}/datastores", "the default datastore"
        for page in self._client.arm.pages(url, doing=doing, params=params):
            for resource in page:
                return str(resource["name"])
        return "workspaceblobstore"
