"""The process in which the Azure ML client is: what goes there and comes back, with the client replaced."""

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from azure.core.exceptions import ClientAuthenticationError

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import Workspace, maker, making
from amlc.targets.aml.explain import ForbiddenError, NotAcceptedError

WORKSPACE = Workspace(subscription_id="s", resource_group="g", name="w")


KEPT = []  # a thread may still read what nobody closes


class Piped:
    """Serves in a thread of this process, over pipes as the process does; without its end."""

    def __init__(self):
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self.stdin, self.stdout = os.fdopen(ask, "w"), os.fdopen(answer)
        inside = os.fdopen(asked), os.fdopen(answered, "w")
        KEPT.append(inside)
        threading.Thread(target=making.serve, args=(*inside, lambda: None), daemon=True).start()

    def kill(self):
        pass

    def wait(self):
        return 3


class Credential:
    def __init__(self):
        self.asked, self.forgotten = [], 0

    def get_token(self, *scopes, **options):
        self.asked.append((scopes, options))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def forget(self):
        self.forgotten += 1


@pytest.fixture
def made(monkeypatch):
    """Return what makes things as the given function does, and the credential that it asks."""
    monkeypatch.setattr(maker, "start", Piped)
    monkeypatch.setattr(making, "warnings", SimpleNamespace(showwarning=None))
    credential, makers = Credential(), []
    monkeypatch.setattr(making, "Client", lambda workspace, credential: (workspace, credential))

    def with_(make):
        monkeypatch.setattr(making, "make", make)
        makers.append(maker.Maker(WORKSPACE, lambda: credential))
        return makers[-1]

    with_.credential = credential
    yield with_
    for one in makers:
        one.close()


def test_what_is_made_is_of_the_workspace_and_what_was_given(made):
    one = made(lambda client, what, given: [client[0] == WORKSPACE, what, given])
    assert one.make("code", {"folder": "/é"}) == [True, "code", {"folder": "/é"}]
    assert one.make("job", {"n": 2}) == [True, "job", {"n": 2}]


@pytest.mark.parametrize(
    "error",
    [BackendError("no"), TransientError("later"), ForbiddenError("not you"), NotAcceptedError("j", "bad.")],
)
def test_an_error_comes_back_as_what_it_is(made, error):
    error.status_code = 418

    def fail(client, what, given):
        raise error

    one = made(fail)
    with pytest.raises(BackendError) as told:
        one.make("job", {})
    assert (type(told.value), str(told.value), told.value.status_code) == (type(error), str(error), 418)
    assert vars(told.value) == vars(error)


def test_a_library_that_is_missing_is_said(made):
    def fail(client, what, given):
        raise ModuleNotFoundError(name="azure.ai.ml")

    one = made(fail)
    with pytest.raises(BackendError, match=r"azure\.ai\.ml is not installed"):
        one.make("job", {})


def test_only_the_parent_signs_in_once_for_each_scope(made):
    from azure.core.credentials import AccessToken

    def sign_in(client, what, given):
        tokens = [client[1].get_token("a"), client[1].get_token("a"), client[1].get_token("b")]
        client[1].forget()
        return [token.token for token in tokens]

    one = made(sign_in)
    made.credential.says = AccessToken("t", 4_000_000_000)
    assert one.make("job", {}) == ["t", "t", "t"]
    assert made.credential.asked == [(("a",), {}), (("b",), {})]
    assert made.credential.forgotten == 1


@pytest.mark.parametrize("error", [ClientAuthenticationError("no"), TransientError("later")])
def test_a_sign_in_that_fails_there_fails_as_here(made, error):
    def sign_in(client, what, given):
        try:
            client[1].get_token("a")
        except (ClientAuthenticationError, TransientError) as err:
            return [type(err).__name__, str(err)]

    made.credential.says = error
    assert made(sign_in).make("job", {}) == [type(error).__name__, str(error)]


def test_a_warning_is_one_here(made):
    def warn(client, what, given):
        show = client[1]._source._serving._warn
        show("Azure asks for fewer calls", RuntimeWarning, "f", 1)
        show("old", DeprecationWarning, "f", 1)

    with pytest.warns(RuntimeWarning, match="Azure asks for fewer calls") as told:
        made(warn).make("job", {})
    assert len(told) == 1


def test_a_process_that_dies_is_an_error_in_one_line(monkeypatch):
    dying = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(7)"]
    monkeypatch.setattr(
        maker, "start", lambda: subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    one = maker.Maker(WORKSPACE, Credential)
    with pytest.raises(BackendError, match=r"ended without an answer \(exit code 7\)"):
        one.make("job", {})
    one.close()


def test_the_process_itself_runs_apart_and_ends_with_its_parent(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the user')")
    monkeypatch.chdir(tmp_path)
    process = maker.start()
    one = maker.Maker(WORKSPACE, Credential)
    one._process = process
    with pytest.raises(BackendError, match="ended without an answer"):
        one.make("nothing of the kind", {})
    again = maker.start()
    again.send_signal(signal.SIGINT)
    again.stdin.close()
    assert again.wait() in (0, -signal.SIGINT)
    again.stdout.close()
