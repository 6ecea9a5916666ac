"""Azure Resource Manager's side: the workspace, its computes, datastores, code, environments and jobs."""

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.azure import openapi
from tests.azure.jobs import Job
from tests.azure.openapi import Violation
from tests.azure.wire import Reply, Request

_PROVIDER = "Microsoft.MachineLearningServices"
_NAME = r"([^/]+)"
_ASSET_ID = re.compile(r"(?:azureml:)?(/subscriptions/.*)/(codes|environments)/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_REGISTRY_ID = re.compile(r"azureml://registries/[^/]+/environments/[^/]+/(?:versions|labels)/[^/]+")
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 50, 100, 1000  # of the tags and of the properties of a run
_EXISTS = (
    "A job with this name already exists. If you are trying to create a new job, use a different name. If you are "
    "trying to update an existing job, the existing job's {0} cannot be changed. Only description, tags, displayName, "
    "properties, and isArchived can be updated."
)


class Refused(Exception):
    """A call that is answered with an error in Azure's form."""

    def __init__(self, status: int, code: str, message: str, **more: Any):
        super().__init__(message)
        self.reply = Reply(status, {"error": {"code": code, "message": message, **more}})


@dataclass
class Asset:
    """One version of a code or environment asset."""

    kind: str
    key: tuple[str, str]
    properties: dict[str, Any]
    created: float = field(default_factory=time.time)


class Assets:
    """The code and environment assets of the workspace."""

    def __init__(self, scope: str):
        self._scope = scope.lower()
        self._found: dict[tuple[str, str, str], Asset] = {}

    def get(self, kind: str, arm_id: str) -> Asset | None:
        match = _ASSET_ID.fullmatch(arm_id)
        if not match or match[1].lower() != self._scope or match[2].lower() != kind:
            return None
        return self.find(kind, match[3], match[4])

    def find(self, kind: str, name: str, version: str) -> Asset | None:
        return self._found.get((kind, name.lower(), version.lower()))

    def all(self, kind: str, name: str | None = None) -> list[Asset]:
        """Return the assets of a kind, the newest first."""
        found = [asset for key, asset in self._found.items() if key[0] == kind and name in (None, asset.key[0])]
        return found[::-1]

    def put(self, kind: str, name: str, version: str, properties: dict[str, Any]) -> Asset:
        asset = Asset(kind, (name, version), properties)
        self._found[kind, name.lower(), version.lower()] = asset
        return asset


class _Route(NamedTuple):
    method: str
    path: re.Pattern
    action: Callable


_ROUTES: list[_Route] = []


def _route(method: str, path: str):
    def register(action):
        _ROUTES.append(_Route(method, re.compile(path, re.IGNORECASE), action))
        return action

    return register


class Arm:
    """Answer what the client asks Resource Manager, for the emulator's one workspace."""

    def __init__(self, emulator):
        self.emulator = emulator
        self._writing = threading.Lock()
        self.location = "eastus"

    def answer(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except Refused as refused:
            return refused.reply
        except ValueError:
            return Refused(400, "InvalidRequestContent", "The request content is not valid JSON.").reply

    def _answer(self, request: Request) -> Reply:
        if not any(name.lower() == "api-version" for name in request.query):
            raise Refused(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        rest = self._rest(request.path)
        for route in _ROUTES:
            if route.method == request.method and (match := route.path.fullmatch(rest)):
                return route.action(self, request, *match.groups())
        raise Refused(404, "InvalidResourceType", f"The emulator has no {request.method} {request.path}.")

    def _rest(self, path: str) -> str:
        """Return what follows the workspace, with a `~` before paths that lie elsewhere."""
        emulator = self.emulator
        parts = path.strip("/").split("/")
        lower = [part.lower() for part in parts]
        if lower[0] != "subscriptions" or len(parts) == 1:
            return "~" + path
        if lower[1] != emulator.subscription.lower():
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")
        if lower[2:3] == ["resourcegroups"] and len(parts) > 3:
            if lower[3] != emulator.resource_group.lower():
                raise Refused(404, "ResourceGroupNotFound", f"Resource group '{parts[3]}' could not be found.")
            if lower[4:7] == ["providers", _PROVIDER.lower(), "workspaces"] and len(parts) > 7:
                if lower[7] != emulator.workspace.lower():
                    text = f"The Resource '{_PROVIDER}/workspaces/{parts[7]}' under resource group '{parts[3]}' "
                    raise Refused(404, "ResourceNotFound", text + "was not found.")
                return "/" + "/".join(parts[8:])
        return "~" + path

    def resource(self, rest: str, of: str, properties: dict[str, Any], created: float, **more: Any) -> dict:
        stamp = utc(created)
        return {
            "id": f"{self.emulator.scope}/{rest}",
            "name": rest.rpartition("/")[2],
            "type": f"{_PROVIDER}/workspaces/{of}",
            "properties": properties,
            "systemData": {
                "createdAt": stamp,
                "createdBy": "someone",
                "createdByType": "User",
                "lastModifiedAt": stamp,
                "lastModifiedBy": "someone",
                "lastModifiedByType": "User",
            },
            **more,
        }

    # --- outside of the workspace ---

    @_route("GET", "~/subscriptions")
    def _subscriptions(self, request):
        return Reply(200, {"value": [self._subscription_view()]})

    @_route("GET", "~/tenants")
    def _tenants(self, request):
        return Reply(200, {"value": [{"id": "/tenants/emulated", "tenantId": self.emulator.tenant}]})

    @_route("GET", f"~/subscriptions/{_NAME}")
    def _subscription(self, request, name):
        return Reply(200, self._subscription_view())

    def _subscription_view(self):
        found = self.emulator.subscription
        return {"id": f"/subscriptions/{found}", "subscriptionId": found, "displayName": "emulated", "state": "Enabled"}

    @_route("GET", f"~/subscriptions/{_NAME}/resourceGroups/{_NAME}")
    def _resource_group(self, request, _, name):
        found = f"/subscriptions/{self.emulator.subscription}/resourceGroups/{self.emulator.resource_group}"
        return Reply(200, {"id": found, "name": self.emulator.resource_group, "location": self.location})

    @_route("GET", f"~/subscriptions/{_NAME}(?:/resourceGroups/{_NAME})?/providers/{_PROVIDER}/workspaces")
    def _workspaces(self, request, *_):
        return Reply(200, {"value": [self._workspace_view(request)]})

    @_route("GET", f"~/subscriptions/{_NAME}/providers/{_PROVIDER}/locations/{_NAME}/mfeOperationResults/jc:{_NAME}")
    def _cancel_result(self, request, _, location, name):
        job = self._job(name)
        return Reply(200) if job.is_over else Reply(202, headers=self._cancel_headers(request, job))

    # --- the workspace and what it has ---

    @_route("GET", "/")
    def _workspace(self, request):
        return Reply(200, self._workspace_view(request))

    def _workspace_view(self, request):
        emulator = self.emulator
        api = emulator.api_host(request)
        provider = f"/subscriptions/{emulator.subscription}/resourceGroups/{emulator.resource_group}/providers"
        properties = {
            "friendlyName": emulator.workspace,
            "description": "",
            "workspaceId": emulator.workspace_id,
            "discoveryUrl": f"https://{api}/discovery",
            "mlFlowTrackingUri": f"azureml://{api}/mlflow/v2.0{emulator.scope}",
            "provisioningState": "Succeeded",
            "storageAccount": f"{provider}/Microsoft.Storage/storageAccounts/{emulator.account}",
            "keyVault": f"{provider}/Microsoft.KeyVault/vaults/emulated",
            "applicationInsights": f"{provider}/microsoft.insights/components/emulated",
            "publicNetworkAccess": "Enabled",
            "hbiWorkspace": False,
            "tenantId": emulator.tenant,
        }
        stamp = time.time()
        found = self.resource("", "", properties, stamp, location=self.location, kind="Default", tags={})
        identity = {"type": "SystemAssigned", "tenantId": emulator.tenant}
        return {
            **found,
            "id": emulator.scope,
            "name": emulator.workspace,
            "type": f"{_PROVIDER}/workspaces",
            "identity": identity,
            "sku": {"name": "Basic", "tier": "Basic"},
        }

    @_route("GET", f"/computes/{_NAME}")
    def _compute(self, request, name):
        return Reply(200, self._compute_view(self._known_compute(name)))

    @_route("GET", "/computes")
    def _computes(self, request):
        return Reply(200, {"value": [self._compute_view(name) for name in self.emulator.computes]})

    def _known_compute(self, name: str) -> str:
        for known in self.emulator.computes:
            if known.lower() == name.lower():
                return known
        raise Refused(404, "ResourceNotFound", f"Compute '{name}' was not found in the workspace.")

    def _compute_view(self, name):
        state = self.emulator.computes[name]
        failed = state == "Failed"
        inner = {
            "vmSize": "STANDARD_DS3_V2",
            "vmPriority": "Dedicated",
            "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT2M"},
            "allocationState": "Steady",
            "currentNodeCount": 0,
            "targetNodeCount": 0,
            "errors": [],
        }
        properties = {
            "computeType": "AmlCompute",
            "computeLocation": self.location,
            "provisioningState": state,
            "provisioningErrors": [{"error": {"code": "QuotaExceeded", "message": "No quota."}}] if failed else None,
            "createdOn": utc(time.time()),
            "isAttachedCompute": False,
            "properties": inner,
        }
        return self.resource(f"computes/{name}", "computes", properties, time.time(), location=self.location)

    # --- datastores ---

    @_route("GET", "/datastores")
    def _datastores(self, request):
        wanted = request.query.get("isDefault", "").lower()
        found = [
            self._datastore_view(name)
            for name, properties in self.emulator.datastores.items()
            if not wanted or str(properties.get("isDefault", False)).lower() == wanted
        ]
        return Reply(200, {"value": found})

    @_route("GET", f"/datastores/{_NAME}")
    def _datastore(self, request, name):
        self._known_datastore(name)
        return Reply(200, self._datastore_view(name))

    @_route("PUT", f"/datastores/{_NAME}")
    def _put_datastore(self, request, name):
        properties = _properties(request, "datastoreType", {"AzureBlob": "AzureBlob"})
        if not re.fullmatch(r"[a-zA-Z0-9_]{1,255}", name):
            raise Refused(400, "UserError", f"'{name}' is not a datastore name: letters, digits and _ only.")
        is_new = name not in self.emulator.datastores
        self.emulator.datastores[name] = {**properties, "isDefault": False}
        return Reply(201 if is_new else 200, self._datastore_view(name))

    @_route("POST", f"/datastores/{_NAME}/listSecrets")
    def _secrets(self, request, name):
        properties = self._known_datastore(name)
        credentials = properties["credentials"]
        if credentials["credentialsType"] == "None":
            raise Refused(400, "UserError", f"Datastore '{name}' has no secrets.")
        if properties.get("accountName") != self.emulator.account:
            return Reply(200, credentials["secrets"])
        storage = self.emulator.storage
        if self.emulator.gives_expirable_secrets and (request.json() or {}).get("expirableSecret"):
            token = storage.container_sas(properties["containerName"])
            return Reply(200, {"secretsType": "Sas", "sasToken": token})
        return Reply(200, {"secretsType": "AccountKey", "key": storage.key})

    def _known_datastore(self, name: str) -> dict[str, Any]:
        try:
            return self.emulator.datastores[name]
        except KeyError:
            raise Refused(404, "NotFound", f"Could not find datastore: {name}.") from None

    def _datastore_view(self, name):
        properties = self.emulator.datastores[name]
        shown = {"credentialsType": properties["credentials"]["credentialsType"]}
        return self.resource(f"datastores/{name}", "datastores", {**properties, "credentials": shown}, time.time())

    # --- code and environments ---

    @_route("GET", f"/codes/{_NAME}/versions")
    def _codes(self, request, name):
        wanted = request.query.get("hash")
        assets = self.emulator.assets.all("codes")
        if wanted is None or not self.emulator.finds_code_of_other_names:
            assets = [asset for asset in assets if asset.key[0] == name]
        if wanted is not None:
            assets = [a for a in assets if (a.properties.get("properties") or {}).get("hash_sha256") == wanted]
        return Reply(200, {"value": [self._asset_view(asset) for asset in assets]})

    @_route("POST", f"/codes/{_NAME}/versions/{_NAME}/startPendingUpload")
    def _start_upload(self, request, name, version):
        body = request.json() or {}
        _refuse(openapi.check("PendingUpload", body, ""))
        storage = self.emulator.storage
        container = f"{self.emulator.prefix}-code-{uuid.uuid4().hex[:12]}"
        storage.create_container(container)
        url = storage.url(container, is_public=self.emulator.is_public(request))
        provider = (
            f"/subscriptions/{self.emulator.subscription}/resourceGroups/{self.emulator.resource_group}/providers"
        )
        return Reply(
            200,
            {
                "pendingUploadId": body.get("pendingUploadId") or str(uuid.uuid4()),
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": {
                    "blobUri": url,
                    "storageAccountArmId": f"{provider}/Microsoft.Storage/storageAccounts/{self.emulator.account}",
                    "credential": {"credentialType": "SAS", "sasUri": f"{url}?{storage.container_sas(container)}"},
                },
            },
        )

    @_route("GET", f"/(codes|environments)/{_NAME}/versions/{_NAME}")
    def _asset(self, request, kind, name, version):
        asset = self.emulator.assets.find(kind.lower(), name, version)
        if asset is None:
            raise Refused(404, "NotFound", f"Could not find {kind.lower()[:-1]} {name}:{version}.")
        return Reply(200, self._asset_view(asset))

    @_route("PUT", f"/(codes|environments)/{_NAME}/versions/{_NAME}")
    def _put_asset(self, request, kind, name, version):
        kind = kind.lower()
        model = "CodeVersion" if kind == "codes" else "EnvironmentVersion"
        properties = _properties(request, None, model)
        if kind == "codes" and not properties.get("codeUri"):
            raise Refused(400, "UserError", "codeUri is required.")
        if kind == "environments" and not (properties.get("image") or properties.get("build")):
            raise Refused(400, "UserError", "An environment needs an image or a build context.")
        with self._writing:
            known = self.emulator.assets.find(kind, name, version)
            if known:
                before, after = openapi.immutable(model, known.properties), openapi.immutable(model, properties)
                if changed := sorted(key for key in {*before, *after} if before.get(key) != after.get(key)):
                    raise Refused(400, "UserError", f"{name}:{version} exists; {', '.join(changed)} cannot be changed.")
                known.properties |= properties
                return Reply(200, self._asset_view(known))
            return Reply(201, self._asset_view(self.emulator.assets.put(kind, name, version, properties)))

    @_route("GET", f"/environments/{_NAME}/versions")
    def _environment_versions(self, request, name):
        assets = self.emulator.assets.all("environments", name)
        if not assets:
            raise Refused(404, "NotFound", f"Could not find environment {name}.")
        most = int(request.query.get("$top") or len(assets))
        return Reply(200, {"value": [self._asset_view(asset) for asset in assets[:most]]})

    @_route("GET", f"/environments/{_NAME}")
    def _environment(self, request, name):
        assets = self.emulator.assets.all("environments", name)
        if not assets:
            raise Refused(404, "NotFound", f"Could not find environment {name}.")
        properties = {"latestVersion": assets[0].key[1], "isArchived": False, "properties": {}, "tags": {}}
        return Reply(200, self.resource(f"environments/{name}", "environments", properties, assets[0].created))

    def _asset_view(self, asset: Asset) -> dict:
        extra: dict[str, Any] = {"provisioningState": "Succeeded"}
        if asset.kind == "environments":
            extra |= {"environmentType": "UserCreated", "osType": asset.properties.get("osType") or "Linux"}
        kept = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}, **asset.properties}
        name, version = asset.key
        return self.resource(
            f"{asset.kind}/{name}/versions/{version}", f"{asset.kind}/versions", {**kept, **extra}, asset.created
        )

    # --- jobs ---

    @_route("PUT", f"/jobs/{_NAME}")
    def _put_job(self, request, name):
        body = request.json()
        if not openapi.JOB_NAME.fullmatch(name):
            raise Refused(400, "UserError", f"The job name '{name}' does not match {openapi.JOB_NAME.pattern}.")
        _refuse(openapi.check_job(body))
        properties = {key: value for key, value in body["properties"].items() if value is not None}
        for key in ("status", "parameters"):
            properties.pop(key, None)
        if (properties.get("identity") or {}).get("identityType") == "UserIdentity":
            self._check_user(request)
        for kind in ("tags", "properties"):
            _check_limits(kind, properties.get(kind) or {})
        with self._writing:
            known = self.emulator.jobs.get(name)
            if known:
                return Reply(200, self._job_view(self._update(known, properties), request))
            self._check_references(properties)
            properties.setdefault("experimentName", "Default")
            properties.setdefault("displayName", name)
            job = Job(name, properties)
            self.emulator.jobs.add(job)
        view = self._job_view(job, request)
        self.emulator.accept(job)
        return Reply(201, view)

    def _check_user(self, request: Request) -> None:
        """Refuse a job that is to run as the user without a token of the user's for Azure ML."""
        token = request.headers.get("x-azureml-token", "")
        cloud = "us" if request.host.endswith("usgovcloudapi.net") else "com"
        if self.emulator.identity.refusal(f"Bearer {token}", audience=f"https://ml.azure.{cloud}"):
            raise Refused(400, "UserError", "The job has a user identity and x-azureml-token is no good token.")

    def _update(self, job: Job, properties: dict[str, Any]) -> Job:
        kind = job.properties["jobType"] + "Job"
        before, after = openapi.immutable(kind, job.properties), openapi.immutable(kind, properties)
        if changed := sorted(key for key in {*before, *after} if before.get(key) != after.get(key)):
            inner = {"code": "Immutable", "innerError": {"code": "JobPropertyImmutable", "innerError": None}}
            raise Refused(
                400,
                "UserError",
                _EXISTS.format(", ".join(key[0].upper() + key[1:] for key in changed)),
                details=[],
                additionalInfo=[
                    {"type": "ComponentName", "info": {"value": "managementfrontend"}},
                    {"type": "InnerError", "info": {"value": inner}},
                ],
            )
        for key in openapi.CHANGEABLE & properties.keys():
            if key in ("tags", "properties"):
                job.properties[key] = {**(job.properties.get(key) or {}), **properties[key]}
            else:
                job.properties[key] = properties[key]
        return job

    def _check_references(self, properties: dict[str, Any]) -> None:
        trial = properties.get("trial", properties)
        code, environment = trial.get("codeId"), trial["environmentId"]
        assets = self.emulator.assets
        if code and not assets.get("codes", code):
            raise Refused(400, "UserError", f"The code asset {code} could not be found.")
        if not _REGISTRY_ID.fullmatch(environment) and not assets.get("environments", environment):
            raise Refused(400, "UserError", f"The environment {environment} could not be found.")
        if compute := properties.get("computeId"):
            scope, _, name = compute.rpartition("/computes/")
            known = {key.lower(): key for key in self.emulator.computes}
            if scope.lower() != self.emulator.scope.lower() or name.lower() not in known:
                raise Refused(400, "UserError", f"Unknown compute target '{compute}'.")
            if self.emulator.computes[known[name.lower()]] == "Failed":
                raise Refused(400, "UserError", f"Compute target '{name}' is in the state Failed.")
        for output in (properties.get("outputs") or {}).values():
            match = re.search(r"datastores/([^/]+)", (output or {}).get("uri") or "")
            if match and match[1] not in (*self.emulator.datastores, "${{default_datastore}}"):
                raise Refused(400, "UserError", f"Could not find datastore: {match[1]}.")

    @_route("GET", f"/jobs/{_NAME}")
    def _get_job(self, request, name):
        return Reply(200, self._job_view(self._job(name), request))

    @_route("GET", "/jobs")
    def _list_jobs(self, request):
        query = request.query
        view = query.get("listViewType") or "ActiveOnly"
        if view not in ("ActiveOnly", "ArchivedOnly", "All"):
            raise Refused(400, "UserError", f"'{view}' is not a list view type.")
        before = int(query.get("$skip") or 1 << 62)
        page, more = [], False
        for job in reversed(list(self.emulator.jobs)):
            if job.number >= before or not _is_listed(job, query, view):
                continue
            if len(page) == self.emulator.page_size:
                more = True
                break
            page.append(job)
        body: dict[str, Any] = {"value": [self._job_view(job, request) for job in page]}
        if more:
            again = urlencode({**query, "$skip": str(page[-1].number)})
            body["nextLink"] = f"https://{request.host}{self.emulator.scope}/jobs?{again}"
        return Reply(200, body)

    @_route("POST", f"/jobs/{_NAME}/cancel")
    def _cancel_job(self, request, name):
        job = self._job(name)
        if job.is_over:
            return Reply(200)
        self.emulator.cancel(job)
        return Reply(202, headers=self._cancel_headers(request, job))

    def _cancel_headers(self, request, job):
        path = f"/subscriptions/{self.emulator.subscription}/providers/{_PROVIDER}/locations/{self.location}"
        version = request.query.get("api-version", "")
        url = f"https://{request.host}{path}/mfeOperationResults/jc:{job.name}?api-version={version}"
        return {"Location": url, "Retry-After": "1"}

    def _job(self, name: str) -> Job:
        job = self.emulator.jobs.get(name)
        if job is None:
            raise Refused(404, "UserError", f"Could not find job: {name}. It does not exist in the workspace.")
        return job

    def _job_view(self, job: Job, request: Request) -> dict:
        emulator = self.emulator
        scope = emulator.scope
        studio = f"https://ml.azure.com/runs/{job.name}?wsid={scope}"
        tracking = f"azureml://{emulator.api_host(request)}/mlflow/v2.0{scope}?"
        default = {
            "jobOutputType": "uri_folder",
            "mode": "ReadWriteMount",
            "uri": f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{job.name}",
        }
        services = {
            "Tracking": {"jobServiceType": "Tracking", "endpoint": tracking, "port": None, "status": None},
            "Studio": {"jobServiceType": "Studio", "endpoint": studio, "port": None, "status": None},
        }
        properties = {
            "description": None,
            "isArchived": False,
            "computeId": None,
            "tags": {},
            "inputs": {},
            **job.properties,
            "properties": {"_azureml.ComputeTargetType": "amlctrain", **(job.properties.get("properties") or {})},
            "services": services | (job.properties.get("services") or {}),
            "outputs": {**(job.properties.get("outputs") or {}), "default": default},
            "status": job.status,
        }
        return self.resource(f"jobs/{job.name}", "jobs", properties, job.created)


def _check_limits(kind: str, values: dict[str, str | None]) -> None:
    """Refuse what is over the documented limits of a run (resource-limits-capacity)."""
    if len(values) > _MOST_PAIRS:
        raise Refused(400, "UserError", f"A run may have {_MOST_PAIRS} {kind}, found {len(values)}.")
    for key, value in values.items():
        if len(key) > _LONGEST_KEY or len(value or "") > _LONGEST_VALUE:
            raise Refused(400, "UserError", f"{kind}: {key[:20]!r} or its value is too long.")


def _is_listed(job: Job, query: dict[str, str], view: str) -> bool:
    archived = bool(job.properties.get("isArchived"))
    if (view == "ActiveOnly" and archived) or (view == "ArchivedOnly" and not archived):
        return False
    if query.get("jobType") and query["jobType"].lower() != job.properties["jobType"].lower():
        return False
    if query.get("tag") and query["tag"] not in job.tags:  # the key of a tag; its value cannot be asked for
        return False
    own = job.properties.get("properties") or {}
    for wanted in filter(None, (query.get("properties") or "").split(",")):
        name, has_value, value = wanted.partition("=")
        if name not in own or (has_value and own[name] != value):
            return False
    return True


def _properties(request: Request, discriminator: str | None, kinds: Any) -> dict[str, Any]:
    """Return the checked `properties` of an asset's or a datastore's body."""
    body = request.json()
    unknown = [name for name in body or {} if name not in ("id", "name", "type", "systemData", "properties")]
    if not isinstance(body, dict) or not isinstance(body.get("properties"), dict) or unknown:
        _refuse([Violation(name, "unknown field") for name in unknown] or [Violation("properties", "required")])
    properties = body["properties"]
    kind = kinds
    if discriminator is not None:
        kind = kinds.get(properties.get(discriminator))
        if kind is None:
            raise Refused(400, "UserError", f"{discriminator} {properties.get(discriminator)!r} is not supported here.")
    _refuse(openapi.check(kind, properties))
    return {key: value for key, value in properties.items() if value is not None}


def _refuse(violations: list[Violation]) -> None:
    if violations:
        details = [{"code": "Invalid", "message": f"{v.where}: {v.what}", "target": v.where} for v in violations]
        text = "The request is invalid. " + "; ".join(detail["message"] for detail in details[:5])
        raise Refused(400, "ValidationError", text, details=details)


def utc(seconds: float | None) -> str | None:
    """Return a time as Azure writes it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
