"""Who calls Azure: by which way to sign in, for how long, in which cloud, and for whom the jobs run."""

import pytest


def metrics(job):
    return {"default": [1.5]}


@pytest.fixture
def start(make_azure, make_project):
    def start(**knobs):
        azure = make_azure(mode="instant", metrics=metrics, **knobs)
        return azure, make_project(azure)

    return start


AS_USER = {"job": {"identity": {"type": "user_identity"}}}


@pytest.mark.parametrize("parallel", ["1", "16"])
def test_each_job_that_runs_as_the_user_carries_their_token(start, parallel):
    azure, project = start()
    project.write(values=range(4), amlc=AS_USER)
    assert "4 of 4 trials done" in project.amlc("submit", "--parallel", parallel).stderr
    assert azure.job_puts == 4


def test_az_is_asked_for_the_subscription(start):
    azure, project = start()
    project.write().amlc("submit")
    assert all(call[-2:] == ["--subscription", azure.subscription] for call in azure.identity.az_calls)
    assert azure.identity.az_calls


def test_an_account_that_does_not_see_the_subscription_signs_in_all_the_same(start):
    azure, project = start()
    azure.identity.az(sees_subscriptions=False)
    assert "2 of 2 trials done" in project.write().amlc("submit").stderr


def test_a_service_principal_comes_before_az_and_one_can_be_named(start):
    azure, project = start()
    principal = {"AZURE_TENANT_ID": azure.tenant, "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "good"}
    project.write().amlc("submit", env=principal)
    assert azure.identity.az_calls == []
    project.amlc("doctor", env={**principal, "AMLC_CREDENTIAL": "az"})
    assert azure.identity.az_calls
    failed = project.amlc("doctor", env={**principal, "AZURE_CLIENT_SECRET": "bad"}, code=5).stdout
    assert "Invalid client secret" in failed


def test_who_is_not_signed_in_leaves_nothing_that_waits(start):
    azure, project = start()
    azure.identity.az(mode="expired")
    assert "not signed in to Azure" in project.write().amlc("submit", code=5).stderr
    assert "2 pending" in project.amlc("plan").stdout
    assert azure.job_puts == 0


def test_a_sign_in_that_ends_while_jobs_run_is_waited_out(start, wait_until):
    azure, project = start()
    azure.identity.az(expires_in_s=5)
    project.write()
    azure.hold("Queued")
    _, wait = project.start("submit")
    wait_until(lambda: len(azure.jobs) == 2)
    azure.identity.az(mode="expired")
    wait_until(lambda: b"cannot be renewed" in (project.root / ".stderr").read_bytes())
    azure.identity.az(mode="ok")
    azure.hold()
    done = wait()
    assert "2 of 2 trials done" in done.stderr
    assert done.stderr.count("the sign-in cannot be renewed: ") == 1


@pytest.mark.parametrize("way", ["az", "variables"])
def test_another_cloud_is_that_of_the_clients_own_setting(start, way):
    azure, project = start()
    variables = {"AZUREML_CURRENT_CLOUD": "AzureUSGovernment", "AMLC_CREDENTIAL": way}
    if way == "variables":
        variables |= {"AZURE_TENANT_ID": azure.tenant, "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "good"}
    project.write(amlc=AS_USER).amlc("submit", env=variables)
    hosts = {call.host for call in azure.calls}
    assert {"management.usgovcloudapi.net"} <= hosts
    assert not {"management.azure.com", "login.microsoftonline.com"} & hosts
