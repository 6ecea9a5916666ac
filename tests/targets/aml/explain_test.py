"""What Azure refused, in one line, with what to do about it."""

import json

import pytest
from azure.core import exceptions as azure

from amlc.errors import BackendError, TransientError
from amlc.targets.aml.explain import explained, field_errors, first_line, reason


class Response:
    """An HTTP response as azure.core's errors carry it."""

    def __init__(self, status, text):
        self.status_code, self.reason, self.headers = status, "reason", {}
        self._text = text

    def text(self, encoding=None):
        return self._text


def refused(status, code="Code", message="It said no.", text=None):
    body = json.dumps({"error": {"code": code, "message": message}}) if text is None else text
    return azure.HttpResponseError("as azure.core words it", response=Response(status, body))


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        pytest.param(400, "Bad", "job 'j': Azure refused it (Bad): It said no.", id="refused"),
        pytest.param(400, "", "job 'j': Azure refused it (400): It said no.", id="refused, no code"),
        pytest.param(409, "Conflict", "job 'j': Azure refused it (Conflict): It said no.", id="conflict"),
        pytest.param(401, "x", "job 'j': Azure does not accept the sign-in: It said no. Sign in: az login.", id="signed out"),
        pytest.param(403, "x", "job 'j': no permission: It said no. Ask for the role 'AzureML Data Scientist'", id="no permission"),
        pytest.param(404, "UserError", "job 'j': not found: It said no. Check its name for a typo.", id="not found"),
        pytest.param(404, "SubscriptionNotFound", "Check trainingService.subscriptionId; az account list", id="no subscription"),
        pytest.param(404, "InvalidSubscriptionId", "Check trainingService.subscriptionId; az account list", id="no id"),
        pytest.param(404, "ResourceGroupNotFound", "Check trainingService.resourceGroup; az group list", id="no group"),
    ],
)  # fmt: skip
def test_what_azure_refuses_is_final(status, code, expected):
    found = explained(refused(status, code), "job 'j'")
    assert expected in str(found)
    assert not isinstance(found, TransientError)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 599])
def test_what_may_pass_is_waited_for(status):
    found = explained(refused(status, "Busy"), "job 'j'")
    assert isinstance(found, TransientError)
    assert str(found).startswith(
        f"job 'j': Azure still answers {status} Busy: It said no. Try again in a while. Nothing is lost"
    )


@pytest.mark.parametrize("status", [200, 299])
def test_an_answer_that_cannot_be_read_may_pass(status):
    found = explained(refused(status), "job 'j'")
    assert isinstance(found, TransientError)
    assert "job 'j': Azure's answer cannot be read." in str(found)


@pytest.mark.parametrize("status", [300, 407, 410, 428, 430, 499])
def test_other_statuses_are_no_trouble_that_passes(status):
    assert not isinstance(explained(refused(status), "x"), TransientError)


@pytest.mark.parametrize(
    "error",
    [
        azure.ServiceRequestError("Failed to establish a new connection\n<traceback>"),
        azure.ServiceResponseError("Failed to establish a new connection\n<traceback>"),
        azure.ServiceRequestTimeoutError("Failed to establish a new connection\n<traceback>"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_network_that_is_gone_may_come_back(error):
    found = explained(error, "job 'j'")
    assert isinstance(found, TransientError)
    assert str(found).startswith(
        "job 'j': Azure cannot be reached: Failed to establish a new connection. Check the network."
    )


def test_an_error_that_was_explained_stays_as_it_is():
    error = BackendError("said")
    assert explained(error, "job 'j'") is error


@pytest.mark.parametrize(
    "error", [ValueError("odd\nmore"), azure.AzureError("odd\nmore")], ids=lambda e: type(e).__name__
)
def test_any_other_error_is_one_line(error):
    found = explained(error, "job 'j'")
    assert (str(found), type(found)) == ("job 'j': odd.", BackendError)


def test_a_long_message_is_cut_and_one_of_400_characters_is_not():
    assert f"({'Code'}): {'x' * 399}." in str(explained(refused(400, message="x" * 399), "j"))
    assert str(explained(refused(400, message="x" * 400), "j")).endswith("xxx...")


CHAIN = """ChainedTokenCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tAzureCliCredential: {cli}
\tDefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: {environment}
\tWorkloadIdentityCredential: {workload}
\tManagedIdentityCredential: {managed}
To mitigate this issue, please refer to the troubleshooting guidelines here."""
ABSENT = {
    "cli": "Please run 'az login' to set up an account",
    "environment": "EnvironmentCredential authentication unavailable. Environment variables are not fully configured.",
    "workload": "WorkloadIdentityCredential authentication unavailable. The workload options are not fully configured.",
    "managed": "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint.",
}


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        pytest.param({}, "Please run 'az login' to set up an account.", id="nothing is set up"),
        pytest.param(
            {"environment": "The variables are not fully configured."}, "Please run 'az login' to set up an account.", id="half set up"
        ),
        pytest.param({"cli": "Azure CLI not found on path"}, "Azure CLI not found on path.", id="no az"),
        pytest.param(
            {"environment": "Authentication failed: invalid_client"},
            "Environment: Authentication failed: invalid_client.",
            id="a wrong secret",
        ),
        pytest.param(
            {"workload": "The file /token does not exist"}, "WorkloadIdentity: The file /token does not exist.", id="no token file"
        ),
        pytest.param(
            {"managed": "authentication unavailable. Token request error: (invalid_request) Identity not found"},
            "ManagedIdentity: (invalid_request) Identity not found.",
            id="asked, and refused",
        ),
        pytest.param(
            {"environment": "first", "workload": "second"}, "WorkloadIdentity: second.", id="the last of those that are set up"
        ),
    ],
)  # fmt: skip
def test_of_all_ways_to_sign_in_the_one_that_is_set_up_is_explained(ways, said):
    found = explained(azure.ClientAuthenticationError(CHAIN.format(**ABSENT | ways)), "x")
    assert str(found).startswith(f"not signed in to Azure: {said} Sign in: az login. In CI, set AZURE_TENANT_ID")
    assert not isinstance(found, TransientError)


def test_a_sign_in_that_failed_in_another_way_is_its_first_line():
    assert "not signed in to Azure: odd. Sign in" in str(explained(azure.ClientAuthenticationError("odd\nmore"), "x"))


def test_a_sign_in_that_the_service_refused_is_a_refusal():
    error = azure.ClientAuthenticationError(
        "x", response=Response(401, '{"error": {"code": "c", "message": "Expired."}}')
    )
    assert "Azure does not accept the sign-in: Expired." in str(explained(error, "j"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"error": {"code": "C", "message": "M"}}', ("C", "M."), id="both"),
        pytest.param('{"error": {"code": "C", "message": "one\\n\\ntwo!"}}', ("C", "one two!"), id="lines"),
        pytest.param('{"error": {"message": "M"}}', ("", "M."), id="no code"),
        pytest.param('{"error": {"code": null}}', ("", "."), id="null"),
        pytest.param('{"error": "M"}', ("", "as azure.core words it."), id="a text"),
        pytest.param("{}", ("", "as azure.core words it."), id="another object"),
        pytest.param("[1]", ("", "as azure.core words it."), id="a list"),
        pytest.param("<html>", ("", "as azure.core words it."), id="no JSON"),
    ],
)
def test_code_and_message_are_read_out_of_the_answer(text, expected):
    assert reason(refused(400, text=text)) == expected


def test_an_error_without_an_answer_has_its_own_message():
    assert reason(azure.HttpResponseError("as it is")) == ("", "as it is.")
    assert reason(ValueError("as it is")) == ("", "as it is.")


def test_at_most_ten_lines_of_an_answer_are_shown():
    message = "\n".join(map(str, range(20)))
    assert reason(refused(400, message=message))[1] == "0 1 2 3 4 5 6 7 8 9."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"resources.shm_size": ["Not a valid string."]}', "resources.shm_size: Not a valid string.", id="one"),
        pytest.param(
            '{"a": ["A."], "b": [\n "B."], "c": ["C."], "d": ["D."]}', "a: A.; b: B.; c: C.", id="the first three"
        ),
        pytest.param('\x1b[31m{"a": ["A."]}\x1b[0m', "a: A.", id="colours"),
        pytest.param('{"_schema": ["Invalid."], "a": ["A."]}', "a: A.", id="no name"),
        pytest.param(r"{\"limits\": {\n \"timeout\": [\n \"Not a valid integer.\"]}}", "timeout: Not a valid integer.", id="quoted"),
        pytest.param(r'{\\"a\\": [\\"A.\\"]}', "a: A.", id="quoted twice"),
        pytest.param("1\n2\n3\n4", "1 2 3.", id="no field"),
    ],
)  # fmt: skip
def test_what_the_client_says_of_fields_is_one_line(text, expected):
    assert field_errors(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n  \none\ntwo", "one."),
        ("one.", "one."),
        ("one!", "one!"),
        ("one?", "one?"),
        ("\x1b[1;31mone\x1b[0m", "one."),
        ("", "."),
    ],
)
def test_the_first_line_that_says_something_ends_like_a_sentence(text, expected):
    assert first_line(text) == expected
