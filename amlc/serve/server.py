"""Answers browsers on this machine: whoever knows the token may look, and nobody may do more."""

from __future__ import annotations

import gzip
import hmac
import re
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from amlc import __version__
from amlc.errors import AmlcError
from amlc.folders import Folders
from amlc.serve.live import Answer, Experiments, Output, quoted

ADDRESS: Final = "127.0.0.1"
_MOST_READERS = 200  # connections side by side
_REQUEST_S = 20  # to say what is wanted
_LOOK_S = 0.5  # between two looks for something new
_BEAT_S = 15.0  # between two signs of life
_LOG_S = 1.0  # between two looks at a log, or ten times what a look takes
_MOST_LOG = 1_000_000  # bytes of a log that were printed before somebody looked
# A word of Accept-Encoding that takes gzip, and not with a weight of 0.
_PACKED = re.compile(
    r"(?:^|,)\s*(?:gzip|\*)\s*(?:,|$|;(?!\s*q=0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE
)
_TRIAL = re.compile(r"\d{1,9}")
_HTML, _JSON, _TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class _NoPageError(Exception):
    """There is no such page."""


class Server(ThreadingHTTPServer):
    """Serves the experiments of a folder, to those who know its `address`.

    port: 0 takes a free one. Raises OSError when the port is taken.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folders: Folders, *, port: int = 0, token: str | None = None) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.folders = folders
        self.experiments = Experiments(folders)
        self.token = token or secrets.token_urlsafe(24)
        self.places = threading.BoundedSemaphore(_MOST_READERS)
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        """What a reader opens: the token is a part of it."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> frozenset[str]:
        """By which names a browser may call it: no page elsewhere has one of these for its own."""
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def run(self) -> None:
        """Serve until ^C."""
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            pass  # that is how it ends
        finally:
            self.stopping.set()
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = f"amlc/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _REQUEST_S
    _is_begun = False

    def do_GET(self) -> None:
        self._is_begun = False  # a connection has several requests
        if not self.server.places.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many readers at once.")
            return
        try:
            self._answer()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.server.places.release()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library calls it
        """Log nothing: an address has the token in it."""

    def _answer(self) -> None:
        if self.headers.get_all("Host") not in [[host] for host in self.server.hosts]:
            self._refuse(HTTPStatus.FORBIDDEN, "This host is not served.")
            return
        path = unquote(self.path.partition("?")[0], errors="surrogateescape")
        _, _, rest = path.partition("/")
        token, slash, rest = rest.partition("/")
        if not slash or not hmac.compare_digest(
            token.encode("utf-8", "replace"), self.server.token.encode()
        ):
            self._refuse(HTTPStatus.FORBIDDEN, "The address has no valid token.")
            return
        try:
            self._route(rest.split("/"))
        except _NoPageError:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")
        except AmlcError as err:
            if self._is_begun:
                return  # whatever was sent is all that there is
            self._refuse(HTTPStatus.NOT_FOUND, str(err))

    def _route(self, parts: list[str]) -> None:
        """Answer what an address names behind the token; names are the folder's, not its own."""
        found = self.server.experiments
        match parts:
            case [""]:
                self._send(found.list_page(), _HTML)
            case ["data"]:
                self._send_packed(found.list_answer())
            case ["events"]:
                self._events(found.list_answer)
            case [name, *rest] if name in found.names:
                self._route_one(name, rest)
            case _:
                raise _NoPageError

    def _route_one(self, name: str, parts: list[str]) -> None:
        found = self.server.experiments
        match parts:
            case [""]:
                self._send(found.page(name), _HTML)
            case ["data"]:
                self._send_packed(found.answer(name))
            case ["events"]:
                self._events(lambda: found.answer(name))
            case ["log", trial, ""] if _TRIAL.fullmatch(trial):
                self._send(found.log_page(name, int(trial)), _HTML)
            case ["log", trial, "text"] if _TRIAL.fullmatch(trial):
                self._log(name, int(trial))
            case ["outputs", trial, ""] if _TRIAL.fullmatch(trial):
                self._send(found.outputs_page(name, int(trial)), _HTML)
            case ["outputs", trial, "file", *folders, file] if _TRIAL.fullmatch(trial):
                self._output(found.output(name, int(trial), "/".join([*folders, file])), file)
            case _:
                raise _NoPageError

    # --- ways to answer ---

    def _head(self, status: HTTPStatus, kind: str, *more: tuple[str, str]) -> None:
        self._is_begun = True
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            *more,
        ):
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, kind: str, *more: tuple[str, str]) -> None:
        self._head(HTTPStatus.OK, kind, ("Content-Length", str(len(body))), *more)
        self.wfile.write(body)

    def _send_packed(self, answer: Answer) -> None:
        if _PACKED.search(self.headers.get("Accept-Encoding", "")):
            self._send(answer.packed, _JSON, ("Content-Encoding", "gzip"))
        else:
            self._send(gzip.decompress(answer.packed), _JSON)

    def _output(self, output: Output | None, name: str) -> None:
        """Send a file to be saved: what a trial wrote is never shown as a page of this address."""
        if output is None:
            raise _NoPageError
        chunks = iter(output.chunks)
        first = next(chunks, b"")  # what fails, fails before it is begun
        self._head(
            HTTPStatus.OK,
            "application/octet-stream",
            ("Content-Length", str(output.size)),
            ("Content-Disposition", f"attachment; filename*=UTF-8''{quoted(name)}"),
            ("Content-Security-Policy", "sandbox"),
        )
        left = output.size
        for chunk in chain((first,), chunks):
            self.wfile.write(chunk[:left])  # of a file that grows meanwhile
            left -= min(left, len(chunk))
        self.close_connection |= left > 0

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.close_connection = True
        more = ("Content-Length", str(len(body))), ("Connection", "close")
        self._head(status, _TEXT, *more)
        self.wfile.write(body)

    def _events(self, answer: Callable[[], Answer]) -> None:
        """Tell what the version is and of each new one, until the reader goes away.

        The first is told too: something may have changed since the page was made, or while the
        connection was lost.
        """
        self.close_connection = True
        self._head(HTTPStatus.OK, "text/event-stream", ("Connection", "close"))
        told, beat = None, time.monotonic()
        while not self._is_left(_LOOK_S):
            version = answer().version
            if version != told:
                told = version
                self.wfile.write(f"event: changed\ndata: {version}\n\n".encode())
            elif time.monotonic() - beat > _BEAT_S:
                self.wfile.write(b": still here\n\n")
            else:
                continue
            beat = time.monotonic()

    def _log(self, name: str, trial: int) -> None:
        """Send a log and, until its job ends, what is added to it: what is there is read anew."""
        found = self.server.experiments.log(name, trial)
        tail, length = _tail(found.printed())
        self.close_connection = True
        self._head(HTTPStatus.OK, _TEXT, ("Connection", "close"))
        if length > len(tail):
            self.wfile.write(f"… {length - len(tail)} bytes before: amlc logs {trial}\n".encode())
        self.wfile.write(tail)
        is_at_work, took = True, 0.0
        while is_at_work and not self._is_left(max(_LOG_S, 10 * took)):
            start = time.monotonic()
            is_at_work = found.is_at_work()  # asked before reading, so that the last words are sent
            tail, now = _tail(found.printed())
            if now > length:
                self.wfile.write(tail[length - now :])
                length = now
            took = time.monotonic() - start

    def _is_left(self, wait_s: float) -> bool:
        """Wait; return whether the reader went away meanwhile, or the server is to end."""
        if self.server.stopping.is_set():
            return True
        readable, _, _ = select.select([self.connection], [], [], wait_s)
        if self.server.stopping.is_set():
            return True
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


def _tail(chunks: Iterable[bytes]) -> tuple[bytes, int]:
    """Return the last _MOST_LOG bytes, and how many there are in all."""
    tail, length = b"", 0
    for chunk in chunks:
        length += len(chunk)
        tail = (tail + chunk)[-_MOST_LOG:]
    return tail, length
