"""Hold what talks to a workspace: the Azure ML client where jobs are made, and plain REST else."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from amlc.errors import BackendError
from amlc.targets.aml import Workspace
from amlc.targets.aml.explain import explained
from amlc.targets.aml.rest import Rest
from amlc.targets.aml.signin import OneToken, sign_in, tenant

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from amlc.targets.aml.maker import Maker
    from amlc.targets.aml.throttle import Patience

_CLOUD_VARIABLES = ("ARM_CLOUD_METADATA_URL", "AZUREML_CURRENT_CLOUD", "AZUREML_DEV_URL_MFE")
# The versions that azure-ai-ml 1.35 sends for the same calls.
JOBS_VERSION = "2024-01-01-preview"
CANCEL_VERSION = "2023-04-01-preview"
WORKSPACE_VERSION = "2024-10-01-preview"
ASSETS_VERSION = "2023-04-01-preview"


class Client:
    """One workspace. Nothing is sent, little imported, before the need; threads may share it."""

    def __init__(self, workspace: Workspace, credential: OneToken | None = None) -> None:
        from amlc.targets.aml.throttle import Pace, PacedTransport

        _quieten()
        self.workspace = workspace
        self._given = credential
        self._transport = PacedTransport(Pace())
        self._lock = threading.RLock()

    @cached_property
    def credential(self) -> OneToken:
        """Who calls. Raises BackendError for settings of which none can be made."""
        with self._lock:
            return self._given or sign_in(
                os.environ, self.workspace.subscription_id, cloud().authority
            )

    @cached_property
    def _retry(self) -> Patience:
        from amlc.targets.aml.throttle import Patience

        return Patience(self.credential)

    @property
    def scope(self) -> str:
        """The workspace's resource id."""
        space = self.workspace
        return (
            f"/subscriptions/{quote(space.subscription_id)}/resourceGroups/{quote(space.resource_group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(space.name)}"
        )

    @cached_property
    def arm(self) -> Rest:
        """Azure's management service."""
        return self._rest(cloud().management)

    @cached_property
    def api(self) -> Rest:
        """The workspace's own service: MLflow and the run history."""
        uri = str(self.facts.get("mlFlowTrackingUri") or "")
        host = urlsplit(uri).netloc
        if not host:
            raise BackendError(
                f"workspace '{self.workspace.name}': it has no MLflow address; is it still being "
                "made?"
            )
        return self._rest(f"https://{host}")

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What Azure says of the workspace. Raises BackendError if none can be seen."""
        with self._lock:
            answer = self.get(
                "", doing=f"workspace '{self.workspace.name}'", version=WORKSPACE_VERSION
            )
        properties: Mapping[str, Any] = (answer or {}).get("properties") or {}
        return properties

    @cached_property
    def tenant(self) -> str | None:
        """The tenant of who is signed in, which the studio needs to know."""
        from azure.core.exceptions import AzureError

        try:
            return tenant(self.credential.get_token(self._token_scope).token)
        except AzureError as err:
            raise explained(err, "sign-in") from err

    @cached_property
    def ml(self) -> MLClient:
        """The Azure ML client, quiet and with this client's sign-in, connections and retries."""
        with self._lock:
            from azure.ai.ml import MLClient

            _remember_git()
            return MLClient(
                self.credential,
                self.workspace.subscription_id,
                self.workspace.resource_group,
                self.workspace.name,
                transport=self._transport,
                retry_policy=self._retry,
                enable_telemetry=False,
                show_progress=False,
            )

    @cached_property
    def maker(self) -> Maker:
        """What makes things by the Azure ML client, in another process."""
        from amlc.targets.aml.maker import Maker

        return Maker(self.workspace, lambda: self.credential)

    def make(self, what: str, **given: Any) -> Any:
        """Return what `making.make` makes of it there. Raises BackendError."""
        return self.maker.make(what, given)

    def get(self, path: str, *, doing: str, version: str, missing: bool = False) -> Any:
        """Return the JSON of a thing in the workspace; with `missing`, None if it is not there."""
        params = {"api-version": version}
        return self.arm.call("GET", self.scope + path, doing=doing, params=params, missing=missing)

    @property
    def last_put(self) -> tuple[str, bytes | str]:
        """The address and the body of what this thread created last, through whichever client."""
        return self._transport.last_put

    def user_headers(self) -> dict[str, str]:
        """Return the header of a job that runs as the user: a token for Azure ML."""
        return {"x-azureml-token": self.credential.get_token(f"{cloud().aml}/.default").token}

    def close(self) -> None:
        """Close the connections."""
        self._transport.session.close()

    @property
    def _token_scope(self) -> str:
        return f"{cloud().management}/.default"

    def _rest(self, base: str) -> Rest:
        return Rest(
            base,
            self._token_scope,
            credential=self.credential,
            transport=self._transport,
            retry=self._retry,
        )


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where Azure is: its management, Azure ML as a resource, and who signs in; None: as usual."""

    management: str = "https://management.azure.com"
    aml: str = "https://ml.azure.com"
    authority: str | None = None


@cache
def cloud() -> Cloud:
    """Return the cloud; the client, slow to import, is asked only for one that is not public."""
    if not any(name in os.environ for name in _CLOUD_VARIABLES):
        return Cloud()
    from azure.ai.ml import _azure_environments as clouds  # there is no public way (1.35)
    from azure.ai.ml.exceptions import MlException

    try:
        return _cloud(clouds)
    except MlException as err:
        raise explained(err, "cloud (AZUREML_CURRENT_CLOUD, ARM_CLOUD_METADATA_URL)") from err


def _cloud(clouds: Any) -> Cloud:
    name = clouds._get_default_cloud_name()  # noqa: SLF001
    clouds._set_cloud(name)  # noqa: SLF001
    management = str(clouds._get_base_url_from_metadata(cloud_name=name, is_local_mfe=True))  # noqa: SLF001
    aml = str(clouds._get_aml_resource_id_from_metadata(name))  # noqa: SLF001
    authority = str(clouds._get_active_directory_url_from_metadata(name))  # noqa: SLF001
    is_told = "AZURE_AUTHORITY_HOST" in os.environ  # azure-identity's own setting
    return Cloud(management.rstrip("/"), aml, None if is_told else authority)


def _quieten() -> None:
    """Keep the libraries from writing to the terminal what is said in one line when it matters."""
    for name in (
        "azure.ai.ml._utils._experimental",
        "azure.ai.ml",
        "azure.identity",
        "azure.core",
        "msrest",
    ):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _remember_git() -> None:
    """Have the client look at the git repository once, not with five processes for every job.

    There is no switch for it (azure-ai-ml 1.35), so the function it calls is replaced by one that
    remembers.
    """
    operations: Any = import_module("azure.ai.ml.operations._job_operations")
    with suppress(AttributeError):
        original = operations.get_git_properties
        if not hasattr(original, "cache_info"):
            operations.get_git_properties = _Remembered(original)


class _Remembered:
    """A function without arguments that is called once; each caller gets a copy of the mapping."""

    def __init__(self, original: Callable[[], dict[str, str]]) -> None:
        self._known = cache(original)

    def __call__(self) -> dict[str, str]:
        return dict(self._known())

    @property
    def cache_info(self) -> Any:
        """How often it was asked, as functools has it."""
        return self._known.cache_info
