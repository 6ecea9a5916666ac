"""Say in one line what Azure refused, and what to do about it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from amlc.errors import BackendError, TransientError, shorten

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FIELD = re.compile(r'"([\w.]+)":\s*\[\s*"([^"]+)"')
_TRIED = re.compile(
    r"^\s*(AzureCli(?:OrDefault)?|Environment|WorkloadIdentity|ManagedIdentity)Credential: (.+)",
    re.MULTILINE,
)
_NOT_SET_UP = ("not fully configured", "authentication unavailable")
_SIGN_IN = (
    "Sign in: az login. In CI, set AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or "
    "AZURE_FEDERATED_TOKEN_FILE."
)
_AGAIN = "Nothing is lost: the same command goes on where this one stopped."
_NOT_FOUND = {
    "subscriptionnotfound": "subscriptionId; az account list shows yours",
    "invalidsubscriptionid": "subscriptionId; az account list shows yours",
    "resourcegroupnotfound": "resourceGroup; az group list shows yours",
}


class ForbiddenError(BackendError):
    """Who is signed in may not do this."""


KINDS: Final = {"": BackendError, "transient": TransientError, "forbidden": ForbiddenError}
"""The errors between which callers tell, as they are named on the way from another process."""


class NotAcceptedError(BackendError):
    """The service, or its client, has something against a job file."""

    def __init__(self, job: str, said: str) -> None:
        super().__init__(
            f"job '{job}': Azure ML does not accept the job file: {said} See amlc.job and your "
            "templates."
        )
        self.job, self.said = job, said


def explained(err: Exception, doing: str) -> BackendError:
    """Return the error for the user. `doing`: what was tried, such as `workspace 'ws'`."""
    from azure.core import exceptions as azure

    if isinstance(err, BackendError):
        return err
    if isinstance(err, azure.HttpResponseError) and err.status_code:
        return _refused(err, err.status_code, doing)
    if isinstance(err, azure.ClientAuthenticationError):
        return BackendError(f"not signed in to Azure: {failed_way(str(err))} {_SIGN_IN}")
    if isinstance(err, (azure.ServiceRequestError, azure.ServiceResponseError)):
        return TransientError(
            f"{doing}: Azure cannot be reached: {first_line(str(err))} Check the network. {_AGAIN}"
        )
    return BackendError(f"{doing}: {first_line(str(err))}")


def failed_way(text: str) -> str:
    """Return what went wrong with the last way to sign in that is set up."""
    said = text
    for way, found in _TRIED.findall(text):
        _, asked, answer = found.partition("Token request error: ")
        if way.startswith("AzureCli"):
            said = found
        elif asked or not any(words in found for words in _NOT_SET_UP):
            said = f"{way}: {answer or found}"
    return first_line(said)


def _refused(err: Any, status: int, doing: str) -> BackendError:
    code, message = reason(err)
    said = shorten(message) if len(message) > 400 else message
    if status < 300:
        return TransientError(f"{doing}: Azure's answer cannot be read. {_AGAIN}")
    if status == 401:
        return BackendError(f"{doing}: Azure does not accept the sign-in: {said} {_SIGN_IN}")
    if status == 403:
        return ForbiddenError(
            f"{doing}: no permission: {said} Ask for the role 'AzureML Data Scientist' on the "
            "workspace, or sign in as somebody who has it (az account show says who you are)."
        )
    if status == 404:
        key = _NOT_FOUND.get(code.lower())
        hint = f"Check trainingService.{key}." if key else "Check its name for a typo."
        return BackendError(f"{doing}: not found: {said} {hint}")
    if status in (408, 429) or status >= 500:
        return TransientError(
            f"{doing}: Azure still answers {status} {code}: {said} Try again in a while. {_AGAIN}"
        )
    return BackendError(f"{doing}: Azure refused it ({code or status}): {said}")


def reason(err: Any) -> tuple[str, str]:
    """Return the code and the message, in one line, of an HTTP error, each perhaps empty."""
    try:
        body = json.loads(err.response.text())["error"]
        return str(body.get("code") or ""), first_line(str(body.get("message") or ""), most=10)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", first_line(str(getattr(err, "message", err)))


def field_errors(text: str) -> str:
    """Return what the client's validation says of each field in its nested JSON, as one line."""
    plain = _ANSI.sub("", text).replace("\\\\", "\\").replace('\\"', '"').replace("\\n", "\n")
    found = [f"{name}: {said}" for name, said in _FIELD.findall(plain) if name != "_schema"]
    return first_line("; ".join(found[:3])) if found else first_line(text, most=3)


def first_line(text: str, *, most: int = 1) -> str:
    """Return the first lines that say something, without colours, as one."""
    lines = [line.strip() for line in _ANSI.sub("", text).splitlines()]
    joined = " ".join([line for line in lines if line][:most])
    return joined if joined.endswith((".", "!", "?")) else f"{joined}."
