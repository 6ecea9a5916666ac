"""Make what the Azure ML client makes: the first job of a shape, and what jobs share.

It is a process of its own, started by `maker`: the client takes 60 MB, and is needed for moments.
Lines of JSON go both ways, since only the parent can sign in. It ends with its parent.
"""

from __future__ import annotations

import io
import json
import logging
import os
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import Storage, Workspace, assets, missing_azure
from amlc.targets.aml.client import Client
from amlc.targets.aml.explain import (
    KINDS,
    NotAcceptedError,
    explained,
    field_errors,
    reason,
)
from amlc.targets.aml.signin import OneToken

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken


def make(client: Client, what: str, given: Mapping[str, Any]) -> Any:
    """Return the id of what is made, or of a job what was sent for it and its page."""
    if what == "code":
        return assets.code_id(client, Path(given["folder"]))
    if what == "environment":
        return assets.environment_id(client, given["environment"], Path(given["base"]))
    if what == "datastore":
        return assets.ensure_datastore(client, Storage(**given["storage"]), given["environ"])
    assert what == "job", what
    return _job(client, given["name"], given["content"], Path(given["base"]))


def _job(client: Client, name: str, content: str, base: Path) -> dict[str, Any]:
    try:
        made = client.ml.jobs.create_or_update(
            _load(client, name, content, base), skip_validation=True
        )
    except Exception as err:  # the client's errors have no common root
        raise classified(err, name) from err
    url, body = client.last_put
    return {"url": url, "sent": json.loads(body), "page": made.studio_url}


def _load(client: Client, name: str, content: str, base: Path) -> Any:
    _ = client.ml  # so that the client is quiet
    from azure.ai.ml import load_job

    try:
        return load_job(io.StringIO(content), relative_origin=str(base / "job.yml"))
    except Exception as err:  # as above
        raise NotAcceptedError(name, field_errors(str(err))) from err


def classified(err: Exception, job: str) -> BackendError:
    """Return the error of a job that could not be created, for whatever reason.

    Its `status_code` is that of the answer, if there was one.
    """
    if isinstance(err, BackendError):
        return err
    error = _error(err, job)
    error.status_code = getattr(err, "status_code", None)
    return error


def _error(err: Exception, job: str) -> BackendError:
    from azure.core.exceptions import HttpResponseError

    clients = sys.modules.get("azure.ai.ml.exceptions")  # its errors are only where it is
    if clients is not None and isinstance(err, clients.ValidationException):
        return NotAcceptedError(job, field_errors(str(err)))
    cut_short = assets.unreadable(err)
    if cut_short is not None:
        return cut_short
    if isinstance(err, HttpResponseError) and err.status_code == 400:
        return NotAcceptedError(job, reason(err)[1])
    if isinstance(err, HttpResponseError) or type(err).__module__ != "builtins":
        return explained(err, f"job '{job}'")
    raise err


def serve(requests: IO[str], answers: IO[str], end: Callable[[], None]) -> None:
    """Answer one request after the other; `end` is called when there are no more, in any case."""
    _Serving(requests, answers, end).serve()


class _Serving:
    """Reads in a thread of its own, so that it ends with its parent whatever it is doing."""

    def __init__(self, requests: IO[str], answers: IO[str], end: Callable[[], None]) -> None:
        self._answers = answers
        self._lines: queue.Queue[str] = queue.Queue()
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(requests, end), daemon=True).start()
        self._client: Client | None = None
        self._writing = threading.Lock()
        warnings.showwarning = self._warn

    def _read(self, requests: IO[str], end: Callable[[], None]) -> None:
        for line in requests:
            self._lines.put(line)
        end()

    def serve(self) -> None:
        while True:
            request = json.loads(self._lines.get())
            try:
                if self._client is None:
                    credential = OneToken(_Asking(self), forgotten=self._forget)
                    self._client = Client(Workspace(**request["workspace"]), credential)
                self.tell(value=make(self._client, request["what"], request["given"]))
            except ModuleNotFoundError as err:
                self.tell(error=as_told(missing_azure(err)))
            except BackendError as err:
                self.tell(error=as_told(err))

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Return what the parent answers in the middle of a request."""
        with self._lock:
            self.tell(**question)
            return json.loads(self._lines.get())

    def tell(self, **answer: Any) -> None:
        """Send one line."""
        with self._writing:
            self._answers.write(json.dumps(answer) + "\n")
            self._answers.flush()

    def _forget(self) -> None:
        self.ask({"forget": True})

    def _warn(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, RuntimeWarning):  # amlc's own
            self.tell(warning=str(message))


def as_told(err: BackendError) -> dict[str, Any]:
    """Return an error as the parent is told of it."""
    told = {"kind": next((name for name, kind in KINDS.items() if type(err) is kind), "")}
    if isinstance(err, NotAcceptedError):
        told |= {"kind": "job", "job": err.job, "said": err.said}
    return {**told, "text": str(err), "status": err.status_code}


class _Asking:
    """A credential that asks the parent."""

    def __init__(self, serving: _Serving) -> None:
        self._serving = serving

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        from azure.core.credentials import AccessToken
        from azure.core.exceptions import ClientAuthenticationError

        answer = self._serving.ask({"scopes": scopes, "claims": options.get("claims")})
        if "error" in answer:
            if answer["transient"]:
                raise TransientError(answer["error"])
            raise ClientAuthenticationError(answer["error"])
        return AccessToken(answer["token"], answer["expires_on"])


def main() -> None:
    """Serve on stdin and stdout; what libraries print goes nowhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    logging.disable(logging.CRITICAL)
    with suppress(BrokenPipeError):
        serve(sys.stdin, answers, lambda: os._exit(0))
