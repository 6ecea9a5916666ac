"""An MLflow tracking server: its address, how to sign in, and calls.

What the client library reads from the environment holds here too: MLFLOW_TRACKING_USERNAME and
_PASSWORD, _TOKEN, _SERVER_CERT_PATH and _INSECURE_TLS.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

from amlc.errors import BackendError, UsageError, printable, shorten

_TIMEOUT_S: Final = 60
_MOST: Final = 1 << 28  # bytes of an answer
_START: Final = "mlflow server --backend-store-uri sqlite:///mlflow.db"


class Server:
    """A tracking server. name: its address as messages show it, without a user or a password."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        """Take an address, which may hold a user and a password. Raises UsageError."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:  # what it says may hold the password
            host = ""
        if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise UsageError(
                "--to mlflow takes the http or https address of a tracking server, such as "
                f"http://localhost:5000. Over a database or folder, start one: {_START}"
            )
        host = f"[{host}]" if ":" in host else host
        self.name = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self._sign_in = _sign_in(parts.username, parts.password, environ)
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_tls(environ)), _StaysHere()
        )

    def find(self, what: str, **query: str) -> dict[str, Any] | None:
        """Return what is asked for, None when it is not there."""
        try:
            return self._call("GET", f"{what}?{urlencode(query)}")
        except _MissingError:
            return None

    def post(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a call. Raises BackendError."""
        return self._call("POST", what, json.dumps(body, allow_nan=False).encode())

    def _call(self, method: str, what: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"{quote(self.name, safe=':/[]%')}/api/2.0/mlflow/{what}"
        headers = {"Content-Type": "application/json", **self._sign_in}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - http or https
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                found = json.loads(answer.read(_MOST))
        except urllib.error.HTTPError as err:
            raise self._refused(err) from None
        except ValueError as err:
            text = f"{self.name}: its answer is no JSON: is it an MLflow server?"
            raise BackendError(text) from err
        except (OSError, http.client.HTTPException) as err:
            reason = getattr(err, "reason", err)
            why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            text = (
                f"{self.name} cannot be reached: {shorten(printable(why))}. To start one: {_START}"
            )
            raise BackendError(text) from err
        if not isinstance(found, dict):
            raise BackendError(f"{self.name}: its answer is no object: is it an MLflow server?")
        return found

    def _refused(self, err: urllib.error.HTTPError) -> BackendError:
        code, why = err.code, err.reason
        try:
            with err:
                said = json.loads(err.read(1 << 16))
            if said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
                return _MissingError(f"{self.name}: {said.get('message')}")
            why = said.get("message") or why
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            if code == http.HTTPStatus.NOT_FOUND:
                why = f"{why}: is it an MLflow server?"
        if code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            why = (
                f"{why}. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN"
            )
        return BackendError(f"{self.name}: HTTP {code}: {printable(' '.join(str(why).split()))}")


class _MissingError(BackendError):
    """The server has no such thing."""


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which might carry a password to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _sign_in(
    user: str | None, password: str | None, environ: Mapping[str, str]
) -> Mapping[str, str]:
    user = unquote(user) if user else environ.get("MLFLOW_TRACKING_USERNAME")
    password = unquote(password) if password else environ.get("MLFLOW_TRACKING_PASSWORD")
    if user or password:
        pair = base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    path = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    try:
        context = ssl.create_default_context(cafile=path or None)
    except OSError as err:
        text = f"MLFLOW_TRACKING_SERVER_CERT_PATH={path}: {err.strerror or err}."
        raise UsageError(text) from err
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
