"""One token for all calls, and the tenant that it is for."""

import base64
import json
from types import SimpleNamespace

import pytest

from amlc.targets.aml import signin


class Source:
    """A credential whose tokens live for 100 seconds; counts how often it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = []

    def get_token(self, *scopes, **options):
        self.asked.append((scopes, options))
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
