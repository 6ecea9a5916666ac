"""HTTP/1.1 over TLS with as little work per call as possible, and the CONNECT proxy in front of it."""

import json
import select
import socket
import socketserver
import ssl
import struct
import threading
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Request:
    """One call as it came in; the names of its headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @cached_property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def json(self) -> Any:
        """Return the parsed body. Raises ValueError."""
        return json.loads(self.body or b"null")


@dataclass
class Reply:
    """One answer; a body that is not bytes is sent as JSON."""

    status: int
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False

    def encoded(self) -> bytes:
        """Return head and body in one piece: two sends would cost 40 ms of delayed acknowledgement."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kind = self.headers.get("Content-Type", "application/json; charset=utf-8")
        headers = {**self.headers, "Content-Type": kind, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else ""
        return f"HTTP/1.1 {self.status} {phrase}\r\n{head}\r\n".encode("latin-1", "replace") + body


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, handler, port=0):
        super().__init__(("127.0.0.1", port), handler)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def process_request(self, request, client_address):
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """A client that went away is no news."""

    def stop(self):
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class HttpsServer(_Server):
    """Answer each request with what `answer(request)` returns; the handshake is done in the connection's thread."""

    def __init__(self, answer, certificate, port=0):
        self.answer = answer
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        super().__init__(_HttpsConnection, port)


class _HttpsConnection(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with self.server.tls.wrap_socket(self.request, server_side=True) as connection:
                self._serve(connection)
        except (OSError, ValueError):
            return  # the client went away, does not trust us, or does not speak HTTP

    def _serve(self, connection):
        stream = connection.makefile("rb", 1 << 16)
        while request := _read_request(stream, connection):
            reply = self.server.answer(request)
            if reply.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                stream.close()
                connection.close()
                return
            connection.sendall(reply.encoded())
            if request.headers.get("connection", "").lower() == "close":
                return


def _read_request(stream, connection) -> Request | None:
    line = stream.readline(1 << 16)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while (line := stream.readline(1 << 16)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        return Request(method, target, headers, _read_chunks(stream))
    return Request(method, target, headers, stream.read(int(headers.get("content-length") or 0)))


def _read_chunks(stream) -> bytes:
    chunks = []
    while size := int(stream.readline().partition(b";")[0], 16):
        chunks.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(chunks)


class ConnectProxy(_Server):
    """Tunnel CONNECT to the port of this machine that `port_of(host)` returns; None refuses the host.

    refused: the hosts that were asked for and are not on this machine.
    """

    def __init__(self, port_of, port=0):
        self.port_of = port_of
        self.refused: list[str] = []
        super().__init__(_Tunnel, port)


class _Tunnel(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            received = self.request.recv(4096)
            if not received:
                return
            head += received
        method, target = head.decode("latin-1").split(" ", 2)[:2]
        host, _, asked = target.rpartition(":")
        port = self.server.port_of(host, int(asked)) if method == "CONNECT" else None
        if port is None:
            self.server.refused.append(target)
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        try:
            with socket.create_connection(("127.0.0.1", port)) as other:
                other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _pump(self.request, other)
        except OSError:
            return  # one of the two went away


def _pump(one, two):
    to = {one: two, two: one}
    while True:
        for source in select.select(list(to), [], [])[0]:
            try:
                received = source.recv(1 << 16)
            except ConnectionResetError:
                to[source].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)  # pass a reset on as a reset
                return
            if not received:
                return
            to[source].sendall(received)
