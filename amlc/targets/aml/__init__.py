"""Azure Machine Learning, `platform: aml`. Only what lies behind it imports the Azure libraries."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from amlc.config.placeholders import key_variable, open_names, unset
from amlc.config.rules import check_expression
from amlc.config.spelling import Config
from amlc.errors import BackendError, Problem, Sentence, Severity
from amlc.extras import install
from amlc.files import read_bounded
from amlc.model import JobPart, Sweeps

if TYPE_CHECKING:  # reading a file needs no back end
    from amlc.backends import Backend
    from amlc.folders import Folders
    from amlc.manifest import Header, Manifest

SCHEMA: Final = None
RUNS_ANY: Final = False
_MOST_BYTES = 1_000_000  # of a config.json
_SERVICE = "trainingService"
_STORAGE = "sharedStorage"
WORKSPACE_KEYS: Final = {
    "subscriptionId": "subscription_id",
    "resourceGroup": "resource_group",
    "workspaceName": "workspace_name",
}
"""The keys that say which workspace, and how a workspace's `config.json` spells them."""
_REQUIRED = (*WORKSPACE_KEYS, "computeTarget")
_IMAGE = "msranni/nni:latest"
"""The default of NNI 3.0 (`AmlConfig.docker_image`)."""
SWEEPS: Final = Sweeps(
    trials=1_000, concurrency=100, least_s=60, without=("services", "parent_job_name")
)
"""The service's limits (learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters);
less than a minute it takes for days."""
STORAGE_OUTPUT: Final = "amlc_storage"
"""The output of each job that is the shared storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """An Azure ML workspace, as its `config.json` names it."""

    subscription_id: str
    resource_group: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A blob container that jobs mount, and its datastore in the workspace; never the account key.

    key_variable: the environment variable that holds the key.
    """

    datastore: str
    account_name: str
    container_name: str
    key_variable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmlTarget:
    """`trainingService` with `platform: aml`, and `sharedStorage`.

    A value is None only when another back end was asked for; mount_point and storage also without
    shared storage. mount_point: where the trials see it. gpus: of a node, if `amlc.job` names a
    size that is known.
    """

    platform: ClassVar[str] = "aml"
    subscription_id: str | None = None
    resource_group: str | None = None
    workspace_name: str | None = None
    compute: str | None = None
    image: str | None = None
    mount_point: str | None = None
    storage: Storage | None = None
    gpus: int | None = None

    @property
    def job(self) -> JobPart:
        """The cluster, the image and the storage."""
        compute = f"azureml:{self.compute}" if self.compute else "local"
        if self.storage is None:
            return JobPart(compute=compute, image=self.image, gpus=self.gpus, sweeps=SWEEPS)
        path = f"azureml://datastores/{self.storage.datastore}/paths/"
        mount = (self.mount_point or "").rstrip("/")
        where = shlex.quote(mount)
        # AML mounts where it likes; the link puts it where the trial expects it.
        link = (
            f'mkdir -p "$(dirname {where})" && ln -sfn "${{{{outputs.{STORAGE_OUTPUT}}}}}" {where}'
        )
        return JobPart(
            compute=compute,
            image=self.image,
            outputs={STORAGE_OUTPUT: {"type": "uri_folder", "mode": "rw_mount", "path": path}},
            setup=link,
            mount=mount,
            gpus=self.gpus,
            sweeps=SWEEPS,
        )

    @property
    def head(self) -> Mapping[str, Any]:
        """The workspace and the storage, as far as there are any."""
        parts: dict[str, Any] = {}
        if self.subscription_id and self.resource_group and self.workspace_name:
            space = Workspace(
                subscription_id=self.subscription_id,
                resource_group=self.resource_group,
                name=self.workspace_name,
            )
            parts["workspace"] = asdict(space)
        if self.storage is not None:
            parts["storage"] = asdict(self.storage)
        return parts

    def common(self, _here: str, /) -> str | None:
        """Return a folder on the shared storage."""
        return None if self.mount_point is None else f"{self.mount_point}/amlc"


def workspace_of(header: Header) -> Workspace | None:
    """Return the workspace of a compiled experiment, None if it names none."""
    value = header.target.get("aml", {}).get("workspace")
    return Workspace(**value) if value else None


def storage_of(header: Header) -> Storage | None:
    """Return the storage that the jobs of a compiled experiment mount."""
    value = header.target.get("aml", {}).get("storage")
    return Storage(**value) if value else None


def read(
    config: Config, environ: Mapping[str, str], *, needed: bool
) -> tuple[Config, tuple[Path, ...]]:
    """Take workspace keys that are absent or not filled from the nearest workspace file, if any."""
    wanted = {name: config.get(_SERVICE, name) for name in WORKSPACE_KEYS}
    wanted = {
        name: value for name, value in wanted.items() if value is None or open_names(value, environ)
    }
    file, values = _workspace_file(config.document.file.absolute().parent) if wanted else (None, {})
    for name, value in wanted.items():
        path = (_SERVICE, name)
        if path in config.broken:
            continue
        if file is not None:
            if value is not None:
                text = f"the placeholder is not set; taken from {file.name}."
                config = config.noted(
                    config.problem(path, "N-workspace", text, severity=Severity.NOTE)
                )
            config = config.with_value(path, values[WORKSPACE_KEYS[name]])
        elif value is not None:
            config = config.without(path)
            if needed:
                instead = "put the workspace's config.json beside the experiment"
                config = config.noted(unset(config, path, open_names(value, environ), instead))
    return _with_image(config) if needed else config, () if file is None else (file,)


def _with_image(config: Config) -> Config:
    """Return the config with an image where none is given: what `amlc.job` has, or else NNI's.

    Jobs do not run in that which `amlc.job` overrides; but it counts into the revision.
    """
    path, own = (_SERVICE, "dockerImage"), config.get("amlc", "job", "environment")
    given = config.get(*path) is not None or config.get("amlc", "environment") is not None
    if given or config.broken & {path, (_SERVICE,)}:
        return config
    if own is not None:
        text = own if isinstance(own, str) else json.dumps(own, sort_keys=True)
        return config.with_value(path, text)
    said = Sentence(
        f"there is no 'dockerImage', so trials run in NNI's default, {_IMAGE}.",
        hint="Name an image that has what they import.",
    )
    return config.noted(config.note((_SERVICE,), "N-image", said)).with_value(path, _IMAGE)


def _workspace_file(folder: Path) -> tuple[Path | None, Mapping[str, str]]:
    """Return the nearest workspace file: `config.json` here, or in `.azureml` here or above."""
    for file in (
        folder / "config.json",
        *(above / ".azureml" / "config.json" for above in (folder, *folder.parents)),
    ):
        try:
            values = json.loads(read_bounded(file, _MOST_BYTES).decode("utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(values, dict) and all(
            _is_text(values.get(key)) for key in WORKSPACE_KEYS.values()
        ):
            return file, values
    return None, {}


def _has(value: Any, key: str) -> bool:
    return isinstance(value, Mapping) and key in value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def check(config: Config, *, needed: bool) -> Iterator[Problem]:
    """Yield an error for each key that is needed and not there, and for what AML cannot do."""
    for name in _REQUIRED if needed else ():
        path = (_SERVICE, name)
        if config.get(*path) is None and path not in config.broken:
            if name == "computeTarget" and _has(config.get("amlc", "job"), "compute"):
                continue
            other = " or in 'config.json' beside the experiment" if name in WORKSPACE_KEYS else ""
            text = Sentence(
                f"platform aml needs '{name}'.",
                hint=f"Write '{name}: …' here{other}, or run with --backend local.",
                expected=f"'{name}'",
            )
            yield config.problem((_SERVICE,), "E-required", text, key=True)
    if config.get(_SERVICE, "useActiveGpu") is not None:
        text = Sentence(
            "'useActiveGpu' has no effect: an AML job has its GPUs to itself; NNI refuses the key.",
            hint="Remove it.",
        )
        yield config.warning((_SERVICE, "useActiveGpu"), "W-no-effect", text)
    for name in ("dockerImage", "computeTarget"):
        yield from check_expression(config, (_SERVICE, name))
    if config.get(_STORAGE, "storageType") == "NFS":
        text = Sentence(
            "NFS cannot be mounted into AML jobs.",
            hint="Use storageType AzureBlob, or name a datastore in 'amlc.job'.",
        )
        severity = Severity.ERROR if needed else Severity.NOTE
        yield config.problem(
            (_STORAGE, "storageType"),
            "E-storage" if needed else "N-storage",
            text,
            severity=severity,
        )


def settings(config: Config) -> AmlTarget:
    """Return the workspace, the cluster, the image and the storage."""
    from amlc.targets.aml.sizes import gpus_of

    storage = config.get(_STORAGE)
    return AmlTarget(
        subscription_id=config.get(_SERVICE, "subscriptionId"),
        resource_group=config.get(_SERVICE, "resourceGroup"),
        workspace_name=config.get(_SERVICE, "workspaceName"),
        compute=config.get(_SERVICE, "computeTarget"),
        image=config.get(_SERVICE, "dockerImage"),
        mount_point=str(storage.get("remoteMountPoint", "")) if storage else None,
        storage=_storage(storage) if storage else None,
        gpus=gpus_of(config.get("amlc", "job")),
    )


def _storage(given: Mapping[str, Any]) -> Storage | None:
    """Return the container that `sharedStorage` names whole, and its datastore's name; or None."""
    needed = (
        "localMountPoint",
        "remoteMountPoint",
        "localMounted",
        "storageAccountName",
        "containerName",
    )
    if given.get("storageType") != "AzureBlob" or not all(given.get(name) for name in needed):
        return None
    account, container = given["storageAccountName"], given["containerName"]
    name = f"amlc_{account}_{container}"
    clean = re.sub(r"[^a-z0-9_]", "_", name)
    return Storage(
        datastore=clean
        if clean == name
        else f"{clean}_{hashlib.sha256(name.encode()).hexdigest()[:6]}",
        account_name=account,
        container_name=container,
        key_variable=key_variable(given.get("storageAccountKey")),
    )


def open_backend(header: Header, runs: Path, *, parallel: int) -> Backend:
    """Return what runs jobs in the workspace of `header`."""
    try:
        from amlc.targets.aml.backend import AmlBackend

        return AmlBackend(header, os.environ, parallel=parallel)
    except ModuleNotFoundError as err:
        raise missing_azure(err) from err


def refresh(
    manifest: Manifest | None, name: str | None, where: Mapping[str, str | None], folders: Folders
) -> str:
    """Record every job of the experiment that only the workspace knows, with its results."""
    try:
        from amlc.targets.aml.restore import restore

        return restore(manifest, name, where, folders)
    except ModuleNotFoundError as err:
        raise missing_azure(err) from err


def missing_azure(err: ModuleNotFoundError) -> BackendError:
    """Return the error for a machine without the Azure libraries."""
    what = f"Install what it needs: {install('azure')}. Or run on this machine: --backend local."
    return BackendError(f"the aml back end cannot be used, {err.name} is not installed. {what}")
