"""Have the Azure ML client make things, in a process whose memory goes when it is done."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Protocol

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import Workspace
from amlc.targets.aml.explain import KINDS, NotAcceptedError

if TYPE_CHECKING:
    from amlc.targets.aml.signin import OneToken

# Isolated, so that no folder of the user's comes first on its path; and with our own path.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from amlc.targets.aml.making import main; main()"
)


class Process(Protocol):
    """What is needed of a process that serves (`making.serve`): lines go in and come out."""

    @property
    def stdin(self) -> IO[str] | None:
        """Where requests go."""

    @property
    def stdout(self) -> IO[str] | None:
        """Where answers come from."""

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Return its exit code."""


def start() -> Process:
    """Start the process."""
    path = json.dumps([place for place in sys.path if place])
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _CODE, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


class Maker:
    """Asks the process, which is started when it is first needed; one request at a time."""

    def __init__(self, workspace: Workspace, credential: Callable[[], OneToken]) -> None:
        self._workspace = workspace
        self._credential = credential
        self._process: Process | None = None
        self._lock = threading.Lock()

    def make(self, what: str, given: Mapping[str, Any]) -> Any:
        """Return what `making.make` does. Raises BackendError as that does."""
        request = {"workspace": asdict(self._workspace), "what": what, "given": given}
        with self._lock:
            if self._process is None:
                self._process = start()
            answer = self._asked(self._process, request)
            while "value" not in answer and "error" not in answer:
                answer = self._asked(self._process, self._heed(answer))
        if "error" in answer:
            raise _error(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process; it is started again when there is more to make."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            _ended(process)

    def _asked(self, process: Process, request: Mapping[str, Any] | None) -> Any:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018
        try:
            if request is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process, code = None, _ended(process)
            raise BackendError(f"the Azure ML client ended without an answer (exit code {code}).")
        return json.loads(line)

    def _heed(self, told: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the answer to what is asked in the middle of a request; None for a mere word."""
        if "warning" in told:
            warnings.warn(told["warning"], RuntimeWarning, stacklevel=2)
            return None
        if "forget" in told:
            self._credential().forget()
            return {}
        options = {"claims": told["claims"]} if told["claims"] else {}
        from azure.core.exceptions import ClientAuthenticationError

        try:
            token = self._credential().get_token(*told["scopes"], **options)
        except (BackendError, ClientAuthenticationError) as err:
            return {"error": str(err), "transient": isinstance(err, TransientError)}
        return {"token": token.token, "expires_on": token.expires_on}


def _ended(process: Process) -> int:
    """Wait for the end of the process, and return its exit code."""
    code = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):  # what it did not read any more
                stream.close()
    return code


def _error(told: Mapping[str, Any]) -> BackendError:
    if told["kind"] == "job":
        error: BackendError = NotAcceptedError(told["job"], told["said"])
    else:
        error = KINDS[told["kind"]](told["text"])
    error.status_code = told.get("status")
    return error
