"""What of a workspace is asked, where, and in whose name."""

from types import SimpleNamespace

import pytest
from azure.core.exceptions import ClientAuthenticationError

from amlc.errors import BackendError
from amlc.targets.aml import Workspace
from amlc.targets.aml.client import Client

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
