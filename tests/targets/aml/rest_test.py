"""Plain calls to the service: what is sent, what an answer becomes, and what is asked again."""

import io
import json

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import rest
from amlc.targets.aml.throttle import Pace, PacedTransport, Patience

CUT = b'{"value": [{"name": "cut off in the mid'


class Token:
    """What azure.core asks of a token."""

    token, expires_on = "secret", 2**40


class Credential:
    def get_token(self, *scopes, **options):
        return Token

    def forget(self):
        pass


class Service(HTTPAdapter):
    """Answers in the place of the network: (status, body or JSON), the last one again and again."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.requests = []

    def send(self, request, **options):
        self.requests.append(request)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(body, Exception):
            raise body
        content = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {"Content-Type": "application/json"}
        return self.build_response(request, HTTPResponse(content, headers, status=status, preload_content=False))


@pytest.fixture
def slept(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def client(*answers):
    service, credential = Service(*answers), Credential()
    transport = PacedTransport(Pace())
    transport.session.mount("https://", service)
    base = "https://management.azure.com/"
    return rest.Rest(base, "scope", credential=credential, transport=transport, retry=Patience(credential)), service


def test_a_call_goes_below_the_base_and_is_signed():
    arm, service = client((200, {"a": 1}))
    assert arm.base == "https://management.azure.com"
    assert arm.call("POST", "/x", doing="x", params={"api-version": "1"}, body={"b": 2}) == {"a": 1}
    (request,) = service.requests
    assert (request.method, request.url) == ("POST", "https://management.azure.com/x?api-version=1")
    assert json.loads(request.body) == {"b": 2}
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("amlc/")


def test_a_whole_address_is_used_as_it_is():
    arm, service = client((200, {}))
    arm.call("GET", "https://elsewhere/x?page=2", doing="x")
    assert service.requests[0].url == "https://elsewhere/x?page=2"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_empty_answer_is_none(status):
    assert client((status, b""))[0].call("POST", "/x", doing="x") is None


def test_what_is_missing_is_none_where_that_is_expected():
    body = {"error": {"code": "UserError", "message": "It is not there."}}
    assert client((404, body))[0].call("GET", "/x", doing="job 'j'", missing=True) is None
    with pytest.raises(BackendError, match="job 'j': not found: It is not there"):
        client((404, body))[0].call("GET", "/x", doing="job 'j'")


def test_a_refusal_names_what_was_done():
    arm, service = client((403, {"error": {"code": "x", "message": "No."}}))
    with pytest.raises(BackendError, match="job 'j': no permission: No"):
        arm.call("GET", "/x", doing="job 'j'", missing=True)
    assert len(service.requests) == 1


def test_an_answer_that_was_cut_short_is_asked_for_again(slept):
    arm, service = client((200, CUT), (200, CUT), (200, {"a": 1}))
    assert arm.call("GET", "/x", doing="x") == {"a": 1}
    assert (len(service.requests), slept) == (3, [0.1, 0.2])


def test_answers_that_stay_cut_short_are_trouble_that_may_pass(slept):
    arm, service = client((200, CUT))
    with pytest.raises(TransientError, match="x: Azure's answer cannot be read"):
        arm.call("GET", "/x", doing="x")
    assert (len(service.requests), slept) == (5, [0.1, 0.2, 0.4, 0.8])


def test_a_service_that_fails_is_asked_eight_times(slept):
    arm, service = client((500, {"error": {"code": "c", "message": "m"}}))
    with pytest.raises(TransientError, match="x: Azure still answers 500 c: m"):
        arm.call("GET", "/x", doing="x")
    assert len(service.requests) == 8


def test_a_network_that_is_gone_is_trouble_that_may_pass(slept):
    with pytest.raises(TransientError, match="x: Azure cannot be reached: no route"):
        client((0, requests.exceptions.ConnectionError("no route")))[0].call("GET", "/x", doing="x")


def test_a_response_is_handed_out_whatever_its_status():
    assert client((404, {}))[0].send("POST", "/x").status_code == 404


def test_a_list_follows_its_links():
    page = {"value": [1, 2], "nextLink": "https://management.azure.com/jobs?$skip=2"}
    empty = {"value": None, "nextLink": "https://management.azure.com/jobs?$skip=4"}
    arm, service = client((200, page), (200, empty), (200, {"value": [3]}))
    assert list(arm.pages("/jobs", doing="x", params={"tag": "t"})) == [[1, 2], (), [3]]
    assert [request.url.rpartition("?")[2] for request in service.requests] == ["tag=t", "$skip=2", "$skip=4"]


def test_an_empty_page_ends_a_list():
    assert list(client((200, b""))[0].pages("/jobs", doing="x", params={})) == [()]


def test_a_page_that_nobody_draws_is_not_asked_for():
    page = {"value": [1], "nextLink": "https://management.azure.com/jobs?$skip=2"}
    arm, service = client((200, page))
    assert next(arm.pages("/jobs", doing="x", params={})) == [1]
    assert len(service.requests) == 1


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"3"])
def test_an_answer_that_is_no_object_cannot_be_read(slept, body):
    arm, service = client((200, body))
    with pytest.raises(TransientError, match="Azure's answer cannot be read"):
        arm.call("GET", "/x", doing="x")
    assert len(service.requests) == 5
