"""What of a workspace is asked, where, and in whose name."""

import os
import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest
from azure.core.exceptions import ClientAuthenticationError

from amlc.errors import BackendError
from amlc.targets.aml import Workspace
from amlc.targets.aml.client import Client, Cloud, cloud

CLOUDS = ("ARM_CLOUD_METADATA_URL", "AZUREML_CURRENT_CLOUD", "AZUREML_DEV_URL_MFE")


@pytest.fixture(autouse=True)
def _public_cloud(monkeypatch):
    for name in CLOUDS:
        monkeypatch.delenv(name, raising=False)


class Credential:
    def __init__(self, answer="opaque"):
        self.answer = answer
        self.scopes = []

    def get_token(self, *scopes, **options):
        self.scopes.append(scopes)
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(token=self.answer)


class Clouds:
    """What azure-ai-ml, which takes long to import, knows of clouds: management, Azure ML itself, who signs in."""

    known: ClassVar = {
        "AzureUSGovernment": ("management.usgovcloudapi.net", "ml.azure.us", "login.microsoftonline.us"),
        "AzureChinaCloud": ("management.chinacloudapi.cn", "ml.azure.cn", "login.chinacloudapi.cn"),
    }

    @staticmethod
    def _get_default_cloud_name():
        return os.environ["AZUREML_CURRENT_CLOUD"]

    @staticmethod
    def _set_cloud(name):
        assert name in Clouds.known

    @staticmethod
    def _get_base_url_from_metadata(*, cloud_name, is_local_mfe):
        return f"https://{Clouds.known[cloud_name][0]}/"

    @staticmethod
    def _get_aml_resource_id_from_metadata(name):
        return f"https://{Clouds.known[name][1]}"

    @staticmethod
    def _get_active_directory_url_from_metadata(name):
        return f"https://{Clouds.known[name][2]}"


@pytest.mark.parametrize(
    ("environ", "management", "aml", "authority"),
    [
        pytest.param({}, "https://management.azure.com", "https://ml.azure.com", None, id="public"),
        pytest.param(
            {"AZUREML_CURRENT_CLOUD": "AzureUSGovernment"},
            "https://management.usgovcloudapi.net",
            "https://ml.azure.us",
            "https://login.microsoftonline.us",
            id="government",
        ),
        pytest.param(
            {"AZUREML_CURRENT_CLOUD": "AzureChinaCloud", "AZURE_AUTHORITY_HOST": "login.chinacloudapi.cn"},
            "https://management.chinacloudapi.cn",
            "https://ml.azure.cn",
            None,
            id="China, and azure-identity is told itself",
        ),
    ],
)
def test_the_cloud_is_that_of_the_clients_own_setting(monkeypatch, environ, management, aml, authority):
    monkeypatch.setitem(sys.modules, "azure.ai.ml", SimpleNamespace(_azure_environments=Clouds))
    monkeypatch.setitem(sys.modules, "azure.ai.ml.exceptions", SimpleNamespace(MlException=KeyError))
    monkeypatch.delenv("AZURE_AUTHORITY_HOST", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    cloud.cache_clear()
    try:
        assert cloud() == Cloud(management, aml, authority)
    finally:
        cloud.cache_clear()


def test_a_cloud_that_nobody_knows_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.ai.ml", SimpleNamespace(_azure_environments=Clouds))
    monkeypatch.setitem(sys.modules, "azure.ai.ml.exceptions", SimpleNamespace(MlException=AssertionError))
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "Mars")
    cloud.cache_clear()
    with pytest.raises(BackendError, match="AZUREML_CURRENT_CLOUD"):
        cloud()


def test_a_job_that_runs_as_the_user_has_a_token_for_azure_ml():
    credential = Credential("user")
    assert client(credential=credential).user_headers() == {"x-azureml-token": "user"}
    assert credential.scopes == [("https://ml.azure.com/.default",)]


def client(*, facts=None, credential=None, **names):
    workspace = Workspace(**{"subscription_id": "s", "resource_group": "g", "name": "w", **names})
    made = Client(workspace, credential or Credential())
    if facts is not None:
        made.arm = SimpleNamespace(
            call=lambda method, url, **options: made.asked.append((method, url, options)) or {"properties": facts}
        )
        made.asked = []
    return made


def test_the_workspace_has_its_place_in_azure():
    assert (
        client().scope == "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
    )
    assert "/resourceGroups/my%20group/" in client(resource_group="my group").scope


def test_azure_is_asked_at_its_public_address_unless_told_otherwise():
    assert client().arm.base == "https://management.azure.com"


def test_a_thing_of_the_workspace_is_asked_for_with_a_version():
    one = client(facts={})
    one.get("/jobs/j", doing="job 'j'", version="v", missing=True)
    assert one.asked == [
        ("GET", f"{one.scope}/jobs/j", {"doing": "job 'j'", "params": {"api-version": "v"}, "missing": True})
    ]


def test_the_workspaces_own_service_is_where_its_mlflow_is():
    uri = "azureml://eastus.api.azureml.ms/mlflow/v1.0/subscriptions/s"
    one = client(facts={"mlFlowTrackingUri": uri})
    assert one.api.base == "https://eastus.api.azureml.ms"
    assert one.api is one.api
    assert len(one.asked) == 1


@pytest.mark.parametrize("uri", [None, "", "azureml:"])
def test_a_workspace_without_mlflow_is_said(uri):
    with pytest.raises(BackendError, match="workspace 'w': it has no MLflow address; is it still being made"):
        _ = client(facts={"mlFlowTrackingUri": uri}).api


def test_the_tenant_is_that_of_the_token():
    credential = Credential("h.eyJ0aWQiOiJ0In0.s")
    assert client(credential=credential).tenant == "t"
    assert credential.scopes == [("https://management.azure.com/.default",)]
    assert client(credential=Credential("opaque")).tenant is None


def test_who_is_not_signed_in_is_told_so():
    with pytest.raises(BackendError, match="not signed in to Azure: no"):
        _ = client(credential=Credential(ClientAuthenticationError("no"))).tenant
