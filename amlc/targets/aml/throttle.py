"""Keep to the service's speed: a shared pause after 429, spaced creations, patient retries."""

from __future__ import annotations

import random
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from azure.core.pipeline.policies import RetryPolicy
from azure.core.pipeline.transport import RequestsTransport

if TYPE_CHECKING:
    from amlc.targets.aml.signin import OneToken

_CONNECTIONS = 64
_CONNECT_TIMEOUT_S = 20
_READ_TIMEOUT_S = 120
_MOST_PER_SECOND = 200.0
_LEAST_PER_SECOND = 0.1  # many may share what the service grants one
_LONGEST_PAUSE_S = 120.0
_SILENCE_S = 5.0  # of waiting, before a word is said of it
_SAID_EVERY_S = 60.0
_OVER_S = 2 * _LONGEST_PAUSE_S  # without another call that has to wait
_SLOW_S = 15.0  # an answer
_MOST_FAILURES = 7  # of the service in a row; half a minute


class Notice:
    """Says that the service keeps calls waiting: once after a while, and then how many by now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = self._last = self._next = -_OVER_S
        self._count = 0

    def note(self, why: str, *, wait_s: float = 0.0) -> None:
        """Take note of a call that waits, for `wait_s` if that is known; say so if it is time."""
        with self._lock:
            now = time.monotonic()
            if now - self._last > _OVER_S:
                self._since, self._next, self._count = now, now + _SILENCE_S, 0
            self._last, self._count = now, self._count + 1
            if now + wait_s < self._next:
                return
            self._next = now + _SAID_EVERY_S
            waited = (
                f"{self._count} calls in {now - self._since:.0f} s"
                if self._count > 1
                else "one call"
            )
        warnings.warn(
            f"Azure {why}: {waited} put off so far. amlc waits; nothing is lost.",
            RuntimeWarning,
            stacklevel=2,
        )


class Pace:
    """The speed of all threads together.

    Creations start at 200 a second at most. A 429 halves that, unless its call was under way at the
    last halving already; each creation that succeeds adds a twentieth, or one a second if that is
    less. With a Retry-After, nothing at all is sent until then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._per_second = _MOST_PER_SECOND
        self._next = 0.0
        self._paused_until = 0.0
        self._pauses = 0
        self._halved = 0.0

    def enter(self, *, creates: bool) -> None:
        """Wait until the next call may be sent."""
        while True:
            with self._lock:
                pauses = self._pauses
                start = max(time.monotonic(), self._paused_until)
                if creates:
                    start = max(start, self._next)
                    self._next = start + 1 / self._per_second
            pause = start - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            if self._pauses == pauses:
                return  # else a 429 came meanwhile, and this turn is none any more

    def throttled(self, retry_after_s: float | None, *, sent: float) -> None:
        """Take note of a 429 for a call that was sent then."""
        with self._lock:
            if sent >= self._halved:
                self._per_second = max(_LEAST_PER_SECOND, self._per_second / 2)
                self._halved = time.monotonic()
            if retry_after_s:
                until = time.monotonic() + min(retry_after_s, _LONGEST_PAUSE_S)
                if until > self._paused_until:
                    self._paused_until = self._next = until
                    self._pauses += 1

    def accepted(self) -> None:
        """Take note of a creation that succeeded."""
        with self._lock:
            more = min(1.0, self._per_second / 20)
            self._per_second = min(_MOST_PER_SECOND, self._per_second + more)


class _Session(requests.Session):
    """One that looks for each host once at what the environment says of proxies and certificates.

    Going through all its variables took a fifth of the processor's time of a job that is created.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[Any, ...], Any] = {}

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        if proxies != {}:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        address = urlsplit(url)
        key = (address.scheme, address.netloc, stream, verify, cert)
        if key not in self._found:
            self._found[key] = super().merge_environment_settings(url, {}, stream, verify, cert)
        found = self._found[key]
        return {**found, "proxies": dict(found["proxies"])}


class PacedTransport(RequestsTransport):  # type: ignore[misc]
    """The one connection pool of all clients, which keeps to a Pace."""

    def __init__(self, pace: Pace) -> None:
        session = _Session()
        adapter = requests.adapters.HTTPAdapter(pool_connections=8, pool_maxsize=_CONNECTIONS)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        super().__init__(
            session=session,
            session_owner=False,
            connection_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
        )
        self._pace = pace
        self._notice = Notice()
        self._sent = threading.local()

    @property
    def last_put(self) -> tuple[str, bytes | str]:
        """The address and the body of what this thread created last."""
        found: tuple[str, bytes | str] = self._sent.put
        return found

    def send(self, request: Any, **options: Any) -> Any:
        creates = request.method == "PUT"
        if creates:
            self._sent.put = (
                request.url,
                getattr(request, "content", None) or getattr(request, "body", None) or "",
            )
        self._pace.enter(creates=creates)
        began = time.monotonic()
        response = super().send(request, **options)
        if response.status_code == 429:
            wait_s = _seconds(response.headers.get("Retry-After"))
            self._notice.note("asks for fewer calls (429)", wait_s=wait_s or 0.0)
            self._pace.throttled(wait_s, sent=began)
        elif response.status_code >= 500:
            self._notice.note(f"answers {response.status_code}")
        elif time.monotonic() - began > _SLOW_S:
            self._notice.note(
                f"took {time.monotonic() - began:.0f} s for an answer", wait_s=_SLOW_S
            )
        if creates and response.status_code < 300:
            self._pace.accepted()
        return response


def _seconds(header: str | None) -> float | None:
    try:
        return float(header or "")
    except ValueError:
        return None  # a date; the retry policy reads it for its own call


class Patience(RetryPolicy[Any, Any]):
    """Retries for a 429 storm, a quarter of an hour; a refused token is fetched anew, once.

    POST is retried too: every POST that amlc sends has the same effect when it is sent twice.
    """

    def __init__(self, credential: OneToken) -> None:
        super().__init__(
            retry_total=25,
            retry_connect=6,
            retry_read=10,
            retry_status=25,
            retry_backoff_factor=0.4,
            retry_backoff_max=60,
        )
        self._method_whitelist = frozenset({*self._method_whitelist, "POST"})
        self._credential = credential

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        status = response.http_response.status_code
        past = [
            call.http_response.status_code for call in settings["history"] if call.http_response
        ]
        if status == 401:
            self._credential.forget()
            return 401 not in past
        if status >= 500 and sum(code >= 500 for code in past) >= _MOST_FAILURES:
            return False
        return bool(super().is_retry(settings, response))

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        wait_s: float = super().get_backoff_time(settings)
        return wait_s * random.uniform(0.5, 1.5) if wait_s else random.uniform(0, 0.1)  # noqa: S311 - no secret
