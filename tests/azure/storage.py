"""Blob storage: a real Azurite over TLS, and the few calls the service side makes on it."""

import base64
import ctypes
import hashlib
import hmac
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

ACCOUNT = "amlcstore"
_VERSION = "2021-08-06"  # of the storage protocol; the signatures below are this one's
_EXPIRY = "2099-01-01T00:00:00Z"
_START_TIMEOUT_S = 60
_OURS = "emulator=1"  # in the query of the emulator's own calls, so that the log tells them from the client's
_ACCESS = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+)')


class MissingAzurite(Exception):
    """Azurite or Node.js is not installed; the text says what to do."""


@dataclass(frozen=True)
class BlobCall:
    """One call of a client, as Azurite logged it."""

    method: str
    container: str
    blob: str
    query: dict[str, str]
    status: int


def find_azurite() -> tuple[str, Path]:
    """Return node and Azurite's program. Raises MissingAzurite."""
    node = shutil.which("node")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "amlc-azurite"
    package = Path(__file__).with_name("package.json").read_text(encoding="utf-8")
    version = re.search(r'"azurite": "(.*?)"', package)[1]
    program = cache / version / "node_modules/azurite/dist/src/blob/main.js"
    if node is None:
        raise MissingAzurite("Node.js is missing: make test-all brings it")
    if not program.exists():
        raise MissingAzurite("Azurite is missing: make test-all brings it")
    return node, program


class Azurite:
    """An Azurite process of this Python process; several emulators may share it, each with its own containers."""

    def __init__(self, folder: Path, certificates):
        node, program = find_azurite()
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.port = _free_port()
        self.log = folder / "azurite.log"
        arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--inMemoryPersistence"]
        arguments += ["--skipApiVersionCheck", "--loose", "--disableTelemetry", "--blobKeepAliveTimeout", "60"]
        arguments += ["--oauth", "basic"]  # takes any token for the storage that has not expired
        arguments += ["--cert", str(certificates.certificate), "--key", str(certificates.key)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [node, str(program), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - a killed test run must not leave it behind
            )
        self._tls = ssl.create_default_context(cafile=str(certificates.ca))
        self._idle: list[http.client.HTTPSConnection] = []
        self._account_sas = self._sign_account()
        self._wait_until_ready()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while b"successfully listen" not in self.log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Azurite did not start: {self.log.read_text(encoding='utf-8')}")
            time.sleep(0.02)

    # --- what a client gets ---

    def url(self, container: str, *, is_public: bool) -> str:
        """Return the container's URL: by the account's name in Azure, or by this machine's address."""
        base = f"https://{ACCOUNT}.blob.core.windows.net" if is_public else f"https://127.0.0.1:{self.port}/{ACCOUNT}"
        return f"{base}/{container}"

    def container_sas(self, container: str, permissions: str = "rcwdl") -> str:
        """Return the query of a shared access signature for one container."""
        resource = f"/blob/{ACCOUNT}/{container}"
        lines = [permissions, "", _EXPIRY, resource, "", "", "https", _VERSION, "c", *[""] * 7]
        text = "\n".join(lines)
        return urlencode(
            {"sv": _VERSION, "spr": "https", "se": _EXPIRY, "sr": "c", "sp": permissions, "sig": self._sign(text)}
        )

    def calls(self) -> list[BlobCall]:
        """Return the clients' calls so far. Azurite writes its log a moment after it answers."""
        found = []
        for method, target, status in _ACCESS.findall(self.log.read_text(encoding="utf-8", errors="replace")):
            path, _, query = target.partition("?")
            if _OURS in query:
                continue
            parts = unquote(path).removeprefix(f"/{ACCOUNT}").lstrip("/").split("/", 1)
            found.append(BlobCall(method, parts[0], "".join(parts[1:]), dict(parse_qsl(query)), int(status)))
        return found

    # --- the service's own calls ---

    def create_container(self, container: str) -> None:
        self._call("PUT", f"/{container}", {"restype": "container"}, ok=(201, 409))

    def put(self, container: str, blob: str, content: bytes) -> None:
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        self._call("PUT", f"/{container}/{quote(blob)}", {}, body=content, headers=headers, ok=(201,))

    def get(self, container: str, blob: str) -> bytes | None:
        """Return the blob's content, or None when there is no such blob."""
        status, body = self._call("GET", f"/{container}/{quote(blob)}", {}, ok=(200, 404))
        return body if status == 200 else None

    def list(self, container: str, prefix: str = "") -> dict[str, int]:
        """Return the blobs whose names begin with `prefix`, with their sizes."""
        found: dict[str, int] = {}
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list", "prefix": prefix, "marker": marker}
            root = ET.fromstring(self._call("GET", f"/{container}", query, ok=(200,))[1])
            for blob in root.iter("Blob"):
                found[blob.findtext("Name")] = int(blob.findtext("Properties/Content-Length"))
            marker = root.findtext("NextMarker") or ""
            if not marker:
                return found

    def _call(self, method, path, query, *, body=None, headers=None, ok):
        target = f"/{ACCOUNT}{path}?{urlencode(query)}&{self._account_sas}&{_OURS}"
        for attempt in (1, 2):  # a kept connection may have been closed at the other end
            connection = self._connection(fresh=attempt == 2)
            try:
                connection.request(method, target, body=body, headers={"x-ms-version": _VERSION, **(headers or {})})
                answer = connection.getresponse()
                content = answer.read()
                self._idle.append(connection)
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                if attempt == 2:
                    raise
        if answer.status not in ok:
            raise RuntimeError(f"Azurite: {method} {path}: {answer.status} {content[:500]!r}")
        return answer.status, content

    def _connection(self, *, fresh: bool) -> http.client.HTTPSConnection:
        try:
            if not fresh:
                return self._idle.pop()
        except IndexError:
            pass
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self._tls, timeout=30)

    def _sign_account(self) -> str:
        permissions, services, kinds = "rwdlac", "b", "sco"
        lines = [ACCOUNT, permissions, services, kinds, "", _EXPIRY, "", "https", _VERSION, "", ""]
        text = "\n".join(lines)
        fields = {"sv": _VERSION, "ss": services, "srt": kinds, "sp": permissions, "se": _EXPIRY, "spr": "https"}
        return urlencode({**fields, "sig": self._sign(text)})

    def _sign(self, text: str) -> str:
        return base64.b64encode(hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)
