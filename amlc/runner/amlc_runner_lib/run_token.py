"""Keep the token good with which a run's server is told.

A run may take longer than Azure ML's lasts.
"""

import json
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMEOUT_S = 5
SPARE_S = 95.0  # before its end, as azureml-mlflow does it
AGAIN_S = 30.0  # after a renewal that failed
ANSWER_SIZE = 1 << 16  # bytes


class RunToken:
    """A token, and where its successor comes from; None: there is none, and the token has to do."""

    def __init__(self, text: "str | None", url: "str | None") -> None:
        self.text = text
        self._url = url
        self._due = _due(text) if url else None

    def left_s(self) -> "float | None":
        """Return in how many seconds it is to be renewed, None for never."""
        return None if self._due is None else max(0.0, self._due - time.time())

    def keep(self) -> None:
        """Renew it if that is due."""
        if self.left_s() == 0.0:
            self.renew()

    def renew(self) -> bool:
        """Fetch the next one; return whether there is one."""
        if not self._url or not self.text:
            return False
        answer = _get(self._url, self.text)
        text = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text:
            self._due = time.time() + AGAIN_S
            return False
        self.text, self._due = text, _due(text)
        return True


def _due(text: "str | None") -> "float | None":
    """Return when to renew a token, by what it says itself of its end."""
    import base64

    try:
        payload = (text or "").split(".")[1]
        decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        end = json.loads(decoded.decode("utf-8"))["exp"]
        return float(end) - SPARE_S
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _get(url: str, token: str) -> "Any":
    """Return the JSON of an answer, None for any other; what fails cannot contain the token."""
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url)
    request.add_unredirected_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read(ANSWER_SIZE).decode("utf-8"))
    except (OSError, ValueError, urllib.error.URLError, http.client.HTTPException, RecursionError):
        return None
