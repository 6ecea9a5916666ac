"""One token for all calls, and the tenant that it is for."""

import base64
import json
from types import SimpleNamespace

import pytest
from azure.core.exceptions import ClientAuthenticationError

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import signin


class Source:
    """A credential whose tokens live for 100 seconds; counts how often it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = []
        self.fails = False

    def get_token(self, *scopes, **options):
        self.asked.append((scopes, options))
        if self.fails:
            raise ClientAuthenticationError("AzureCliCredential: it is over")
        return SimpleNamespace(token=f"token {len(self.asked)}", expires_on=self.clock.now + 100)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1_000.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(signin, "time", clock)
    return clock


@pytest.mark.parametrize(("later_s", "asked"), [(0, 1), (79.9, 1), (80, 2), (500, 2)])
def test_a_token_is_kept_for_four_fifths_of_its_life(clock, later_s, asked):
    credential = signin.OneToken(Source(clock))
    credential.get_token("a")
    clock.now += later_s
    assert credential.get_token("a").token == f"token {asked}"


def test_each_scope_has_a_token(clock):
    source = Source(clock)
    credential = signin.OneToken(source)
    for scopes in (("a",), ("b",), ("a", "b"), ("a",), ("b",)):
        credential.get_token(*scopes)
    assert [scopes for scopes, _ in source.asked] == [("a",), ("b",), ("a", "b")]


def test_a_challenge_is_answered_with_a_token_of_its_own(clock):
    source = Source(clock)
    credential = signin.OneToken(source)
    credential.get_token("a")
    credential.get_token("a", claims="more")
    credential.get_token("a", tenant_id="t")
    assert [options for _, options in source.asked] == [{}, {"claims": "more"}]


def test_a_refused_token_is_fetched_anew(clock):
    credential = signin.OneToken(Source(clock))
    credential.get_token("a")
    credential.forget()
    assert credential.get_token("a").token == "token 2"


LIFE_S, SPENT_S = 100, 80


def failing(clock, later_s):
    """Return a credential whose source gives no new token, so long after it gave one."""
    source = Source(clock)
    credential = signin.OneToken(source)
    credential.get_token("a")
    source.fails = True
    clock.now += later_s
    return credential, source


def test_the_old_token_is_kept_while_it_is_good(clock):
    credential, source = failing(clock, SPENT_S)
    assert credential.get_token("a").token == "token 1"
    clock.now += 10
    assert credential.get_token("a").token == "token 1"
    assert len(source.asked) == 2  # not again at every call
    source.fails = False
    clock.now += 10
    assert credential.get_token("a").token == "token 3"


def test_without_a_good_token_it_is_an_outage_for_a_while_and_then_an_end(clock):
    credential, source = failing(clock, LIFE_S)
    for _ in range(180):
        with pytest.raises(TransientError, match="the sign-in cannot be renewed: it is over"):
            credential.get_token("a")
        with pytest.raises(TransientError):
            credential.get_token("a")
        clock.now += 5
    assert len(source.asked) == 181  # twice in five seconds is once
    with pytest.raises(ClientAuthenticationError):
        credential.get_token("a")


def test_an_outage_of_the_sign_in_heals(clock):
    credential, source = failing(clock, LIFE_S)
    with pytest.raises(TransientError):
        credential.get_token("a")
    source.fails = False
    clock.now += 5
    assert credential.get_token("a").token == "token 3"
    source.fails = True
    clock.now += LIFE_S + 1000
    with pytest.raises(TransientError):  # the patience begins anew
        credential.get_token("a")


def test_a_refused_token_is_not_kept(clock):
    credential, _ = failing(clock, 1)
    credential.forget()
    with pytest.raises(TransientError):
        credential.get_token("a")


def test_who_never_signed_in_is_told_so_at_once(clock):
    source = Source(clock)
    source.fails = True
    with pytest.raises(ClientAuthenticationError):
        signin.OneToken(source).get_token("a")


KINDS = {1: "managed", 2: "variables", 3: "machine"}
PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
SECRET = {**PRINCIPAL, "AZURE_CLIENT_SECRET": "s"}


@pytest.mark.parametrize(
    ("environ", "order"),
    [
        pytest.param({}, ["az", "machine"], id="nothing is set"),
        pytest.param(PRINCIPAL, ["az", "machine"], id="a principal without a secret"),
        pytest.param({"AZURE_CLIENT_SECRET": "s"}, ["az", "machine"], id="a secret without a principal"),
        pytest.param({**SECRET, "AZURE_TENANT_ID": ""}, ["az", "machine"], id="an empty variable"),
        pytest.param(SECRET, ["variables", "az", "machine"], id="a secret"),
        pytest.param({**PRINCIPAL, "AZURE_CLIENT_CERTIFICATE_PATH": "/c"}, ["variables", "az", "machine"], id="certificate"),
        pytest.param({**PRINCIPAL, "AZURE_FEDERATED_TOKEN_FILE": "/t"}, ["variables", "az", "machine"], id="federated"),
        pytest.param({**SECRET, "AMLC_CREDENTIAL": "az"}, ["az"], id="az by name"),
        pytest.param({"AMLC_CREDENTIAL": "managed"}, ["managed"], id="managed by name"),
        pytest.param({"AMLC_CREDENTIAL": ""}, ["az", "machine"], id="no name"),
    ],
)  # fmt: skip
def test_the_variables_come_first_when_they_describe_somebody(monkeypatch, environ, order):
    monkeypatch.setattr(signin, "_az", lambda subscription: ("az", subscription))
    monkeypatch.setattr(signin, "_machine", lambda *ways, authority: (KINDS[len(ways)], authority))
    monkeypatch.setattr("azure.identity.ChainedTokenCredential", lambda *ways: ways)
    source = signin.sign_in(environ, "s", "https://login")._source
    ways = [source] if isinstance(source[0], str) else source
    assert [name for name, _ in ways] == order
    assert {more for _, more in ways} <= {"s", "https://login"}


def test_a_name_that_is_no_way_to_sign_in_is_said():
    with pytest.raises(
        BackendError, match=r"AMLC_CREDENTIAL=cli: there is no such way to sign in\. Use one of variables"
    ):
        signin.sign_in({"AMLC_CREDENTIAL": "cli"}, "s")


def token(payload):
    return f"header.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.signature"


@pytest.mark.parametrize("more", ["", "x", "xx", "xxx", "ü?>"])
def test_a_token_names_its_tenant(more):
    assert signin.tenant(token(json.dumps({"tid": "t", "more": more}).encode())) == "t"


@pytest.mark.parametrize(
    "text",
    ["", "opaque", "a.b.c", "header..signature", token(b"{}"), token(b"[1]"), token(b"no JSON"), token(b"\xff")],
    ids=["empty", "opaque", "no base64", "no payload", "no tenant", "a list", "no JSON", "no text"],
)
def test_a_token_that_does_not_say_has_no_tenant(text):
    assert signin.tenant(text) is None
