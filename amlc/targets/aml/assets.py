"""Register what all jobs of a revision share, each once: code, environment, datastore."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import Storage
from amlc.targets.aml.client import ASSETS_VERSION, WORKSPACE_VERSION, Client
from amlc.targets.aml.explain import ForbiddenError, explained

Result = TypeVar("Result")

_TRIES = 5
_DATASTORE = re.compile(r"(?:azureml:)?azureml://datastores/([\w-]+)/")


def code_id(client: Client, folder: Path) -> str:
    """Return the id of the code asset with the files of `folder`, uploaded if none has them yet."""
    from azure.ai.ml._utils._asset_utils import IgnoreFile
    from azure.ai.ml.entities._assets._artifacts.code import Code

    files = str(folder.resolve())

    def register() -> str:
        # The snapshot is what it is: an ignore file among the user's files has had its say when it
        # was taken.
        content = Code(path=files, ignore_file=IgnoreFile(None))
        name = f"amlc-{str(content._hash_sha256)[:16]}"  # noqa: SLF001
        code = Code(name=name, version="1", path=files, ignore_file=IgnoreFile(None))
        # Private (azure-ai-ml 1.35): the public way uploads as part of submitting a job, once for
        # every job.
        return f"azureml:{client.ml._code.create_or_update(code).id}"  # noqa: SLF001

    return _persist(register, f"code of {folder}")


def environment_id(client: Client, environment: Any, base: Path) -> str:
    """Return the reference for a job's `environment`: a name as it is, an asset for an image.

    The asset is named by the digest of its definition and made only if it is not there. Files that
    the definition names lie below `base`.
    """
    if isinstance(environment, str):
        return environment
    name, version = f"amlc-{_title(environment)}", _digest(environment, base)
    path = f"/environments/{name}/versions/{version}"
    doing = f"environment {json.dumps(environment)}"

    def register() -> None:
        if client.get(path, doing=doing, version=ASSETS_VERSION, missing=True) is None:
            _make_environment(client, environment, base, name=name, version=version)

    _persist(register, doing)
    return f"azureml:{name}:{version}"


def names_files(environment: Any) -> bool:
    """Tell whether a job's `environment` names files, which lie where the job file says."""
    return isinstance(environment, Mapping) and bool(environment.keys() & {"build", "conda_file"})


def _make_environment(
    client: Client, environment: Mapping[str, Any], base: Path, *, name: str, version: str
) -> None:
    from azure.ai.ml import load_environment

    text = io.StringIO(json.dumps({**environment, "name": name, "version": version}))
    entity = load_environment(text, relative_origin=str(base / "job.yml"))
    client.ml.environments.create_or_update(entity)


def _title(environment: Mapping[str, Any]) -> str:
    image = str(environment.get("image") or "built").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", image).strip("-_")[:60] or "image"


def _digest(environment: Mapping[str, Any], base: Path) -> str:
    total = hashlib.sha256(json.dumps(environment, sort_keys=True).encode())
    conda = environment.get("conda_file")
    if isinstance(conda, str):
        with contextlib.suppress(OSError):
            total.update((base / conda).read_bytes())
    return total.hexdigest()[:16]


def ensure_datastore(client: Client, storage: Storage, environ: Mapping[str, str]) -> str:
    """Make the shared storage's datastore, or give it the key of the environment; return its name.

    The key goes to the workspace and nowhere else. Raises BackendError when it is needed and not
    set.
    """
    path, doing = f"/datastores/{storage.datastore}", f"datastore '{storage.datastore}'"
    found = client.get(path, doing=doing, version=WORKSPACE_VERSION, missing=True)
    key = environ.get(storage.key_variable or "")
    if not key:
        if found is None:
            raise BackendError(no_key(storage))
    elif found is None or _secret(client, path, doing) != key:
        _persist(lambda: _make_datastore(client, storage, key), doing)
    return storage.datastore


def no_key(storage: Storage) -> str:
    """Return what to do when the account key of the shared storage is needed and not there."""
    what = (
        f"sharedStorage: the workspace does not know the storage account '{storage.account_name}' "
        "yet"
    )
    if storage.key_variable is None:
        return f"{what}. Write storageAccountKey: ${{AZURE_STORAGE_KEY}}, and export that variable."
    return (
        f"{what}, and ${storage.key_variable} is not set. Export the account key in it, and "
        "submit again."
    )


def _secret(client: Client, path: str, doing: str) -> str | None:
    params = {"api-version": WORKSPACE_VERSION}
    answer = client.arm.call(
        "POST", f"{client.scope}{path}/listSecrets", doing=doing, params=params, body={}
    )
    key = (answer or {}).get("key")
    return str(key) if key else None


def _make_datastore(client: Client, storage: Storage, key: str) -> None:
    from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore

    store = AzureBlobDatastore(
        name=storage.datastore,
        account_name=storage.account_name,
        container_name=storage.container_name,
        credentials=AccountKeyConfiguration(account_key=key),
        description="Shared storage of NNI experiments, made by amlc.",
    )
    client.ml.datastores.create_or_update(store)


def check(problem: Callable[[Client, Any], str | None], client: Client, what: Any) -> str:
    """Raise BackendError for the problem with something that jobs need, if there is one.

    What may not be looked at is a warning: to create jobs needs no right to read what they use.
    """
    try:
        found = problem(client, what)
    except ForbiddenError as err:
        warnings.warn(f"{err} It is not checked.", RuntimeWarning, stacklevel=2)
        return ""
    if found:
        raise BackendError(found)
    return ""


def environment_problem(client: Client, environment: Any) -> str | None:
    """Return what is wrong with a job's `environment`, or None; images are not looked at."""
    if not isinstance(environment, str) or "/" in environment:
        return None
    reference = environment.removeprefix("azureml:")
    name, _, version = reference.replace("@", ":").partition(":")
    path = (
        f"/environments/{name}" if "@" in reference else f"/environments/{name}/versions/{version}"
    )
    if (
        client.get(path, doing=f"environment '{reference}'", version=ASSETS_VERSION, missing=True)
        is not None
    ):
        return None
    return (
        f"environment '{reference}': there is none of that name and version in workspace "
        f"'{client.workspace.name}'. az ml environment list --name {name} shows those there are; "
        f"check amlc.environment, or make it: az ml environment create --name {name} --image "
        "msranni/nni."
    )


def datastore_problem(client: Client, name: str) -> str | None:
    """Return what is wrong with a datastore that a job's inputs or outputs name, or None."""
    path = f"/datastores/{name}"
    if (
        client.get(path, doing=f"datastore '{name}'", version=WORKSPACE_VERSION, missing=True)
        is not None
    ):
        return None
    return (
        f"datastore '{name}': there is none of that name in workspace '{client.workspace.name}'. "
        "az ml datastore list shows those there are; check the paths in amlc.job.inputs and "
        "amlc.job.outputs."
    )


def datastores_of(job: Mapping[str, Any]) -> list[str]:
    """Return the datastores that the inputs and outputs of a job name, sorted."""
    bindings = [*(job.get("inputs") or {}).values(), *(job.get("outputs") or {}).values()]
    paths = [str(binding.get("path") or "") for binding in bindings if isinstance(binding, Mapping)]
    return sorted({match[1] for path in paths if (match := _DATASTORE.match(path))})


def compute_problem(client: Client, compute: str | None) -> str | None:
    """Return what is wrong with a compute target, or None; a job without one is serverless."""
    name = (compute or "").removeprefix("azureml:")
    if not name or "/" in name:
        return None
    found = client.get(
        f"/computes/{name}", doing=f"compute '{name}'", version=WORKSPACE_VERSION, missing=True
    )
    where = f"workspace '{client.workspace.name}'"
    if found is None:
        return (
            f"compute '{name}': there is none of that name in {where}. Check "
            "trainingService.computeTarget, or make it: az ml compute create --type AmlCompute "
            f"--name {name} --size Standard_DS3_v2 --max-instances 4."
        )
    state = str(found["properties"].get("provisioningState") or "")
    if state in ("Failed", "Deleting", "Canceled"):
        errors = waiting_reason(found) or ""
        return (
            f"compute '{name}' in {where} is in state {state}. {errors} Mend it in the studio, or "
            "name another."
        )
    return None


def waiting_reason(compute: Mapping[str, Any]) -> str | None:
    """Return what a compute target says keeps it from running jobs, such as a quota, or None."""
    properties = compute.get("properties") or {}
    errors = [*(properties.get("provisioningErrors") or ())]
    errors += (properties.get("properties") or {}).get("errors") or ()
    texts = []
    for entry in errors:
        error = entry.get("error") or entry
        texts.append(f"{error.get('code') or 'error'}: {error.get('message') or ''}".strip())
    return "; ".join(texts) or None


def _persist(action: Callable[[], Result], doing: str) -> Result:
    """Do what may be done twice, again when the answer was cut short; the client prints nothing."""
    from azure.core.exceptions import AzureError

    for attempt in range(1, _TRIES + 1):
        try:
            with (
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                return action()
        except (AzureError, ValueError, OSError) as err:
            error = unreadable(err) or explained(err, doing)
            # With 409 another machine has made it meanwhile: the next look finds it.
            is_made = getattr(err, "status_code", None) == 409
            if attempt == _TRIES or not (is_made or isinstance(error, TransientError)):
                raise error from err
        except Exception as err:
            if type(err).__module__ == "builtins" or isinstance(err, BackendError):
                raise
            raise explained(err, doing) from err
        time.sleep(0.2 * 2**attempt)
    raise AssertionError


def unreadable(err: Exception) -> TransientError | None:
    """Return the error for an answer that is not JSON, or None when it is another."""
    from azure.core.exceptions import DecodeError

    if isinstance(err, (DecodeError, json.JSONDecodeError, UnicodeDecodeError)):
        return TransientError("Azure's answer cannot be read. Try again.")
    return None
