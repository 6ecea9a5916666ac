"""Check one by one what an experiment on AML needs, and say what to do about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from amlc.backends import Check
from amlc.errors import BackendError
from amlc.targets.aml import Storage, assets, runs
from amlc.targets.aml.artifacts import Artifacts
from amlc.targets.aml.client import WORKSPACE_VERSION, Client
from amlc.targets.aml.explain import ForbiddenError

_IMAGE = re.compile(
    r"(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def examine(
    client: Client,
    artifacts: Artifacts,
    storage: Storage | None,
    build: Path,
    environ: Mapping[str, str],
) -> Iterator[Check]:
    """Yield the checks as they are made; none needs what failed before. build: a build folder."""
    job = _first_job(build)
    environment, compute = job.get("environment"), job.get("compute")
    needed: list[tuple[str, Callable[[], str]]] = [
        ("signed in", lambda: _signed_in(client)),
        ("workspace", lambda: _workspace(client)),
    ]
    further: list[tuple[str, Callable[[], str]]] = [
        ("compute", lambda: _compute(client, compute)),
        ("environment", lambda: _environment(client, environment)),
        ("datastore", lambda: _datastore(client, job, storage, environ)),
        ("artifacts", lambda: _artifacts(artifacts)),
        ("MLflow", lambda: _mlflow(client, str(job.get("experiment_name") or "Default"))),
    ]
    for name, find in needed:
        check = _checked(name, find)
        yield check
        if not check.is_well:
            return
    for name, find in further:
        yield _checked(name, find)


class _DoubtError(Exception):
    """What is not as it should be, and keeps no job from running."""


def _checked(name: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, is_well=True, text=find())
    except _DoubtError as err:
        return Check(name, is_well=True, text=str(err), is_warned=True)
    except ForbiddenError as err:
        return Check(name, is_well=True, text=f"{err} It is not checked.", is_warned=True)
    except BackendError as err:
        return Check(name, is_well=False, text=str(err))


def _signed_in(client: Client) -> str:
    return f"tenant {client.tenant or 'unknown'}"


def _workspace(client: Client) -> str:
    space = client.workspace
    _ = client.facts
    return f"'{space.name}' in resource group '{space.resource_group}'"


def _compute(client: Client, compute: str | None) -> str:
    _refuse(assets.compute_problem(client, compute))
    return f"'{(compute or '').removeprefix('azureml:')}'" if compute else "serverless"


def _environment(client: Client, environment: Any) -> str:
    if isinstance(environment, str):
        _refuse(assets.environment_problem(client, environment))
        return f"'{environment}'"
    image = str(environment.get("image") or "") if isinstance(environment, Mapping) else ""
    if image and not _IMAGE.fullmatch(image):
        raise BackendError(
            f"'{image}' is no image reference such as msranni/nni:v3.0 or "
            "registry.example.com/team/image:1. Check trainingService.dockerImage."
        )
    return (
        f"image '{image}' (whether it can be pulled shows when a node does so)"
        if image
        else "as amlc.job says"
    )


def _refuse(problem: str | None) -> None:
    if problem:
        raise BackendError(problem)


def _datastore(
    client: Client, job: Mapping[str, Any], storage: Storage | None, environ: Mapping[str, str]
) -> str:
    name = "workspaceblobstore"
    known = [storage.datastore] if storage is not None else []
    for each in [name, *(one for one in assets.datastores_of(job) if one not in known)]:
        _refuse(assets.datastore_problem(client, each))
    if storage is None:
        return f"'{name}'"
    path = f"/datastores/{storage.datastore}"
    shared = client.get(
        path, doing=f"datastore '{storage.datastore}'", version=WORKSPACE_VERSION, missing=True
    )
    if shared is None and not environ.get(storage.key_variable or ""):
        raise BackendError(assets.no_key(storage))
    return f"'{name}', and '{storage.datastore}' {'is there' if shared else 'is made at submit'}"


def _artifacts(artifacts: Artifacts) -> str:
    """Read an artifact, as results of failed trials and logs need it, and write one, as jobs do."""
    where = artifacts.try_to_read()
    try:
        artifacts.try_to_write()
    except BackendError as err:
        raise _DoubtError(f"'{where}' can be read, not written: {err}") from err
    return f"'{where}' can be read and written"


def _mlflow(client: Client, experiment: str) -> str:
    known = runs.experiment_id(client, experiment)
    return f"experiment '{experiment}' {'has runs' if known else 'has no runs yet'}"


def _first_job(folder: Path) -> Mapping[str, Any]:
    """Return the first job file of a build folder as plain values, empty when there is none."""
    from amlc.render.scalars import from_yaml

    first = min((folder / "jobs").glob("*.yml"), default=None)
    values = from_yaml(first.read_bytes()) if first else None
    return values if isinstance(values, dict) else {}
