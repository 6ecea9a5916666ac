"""Send what the Azure ML client has no cheap way for, with the same sign-in, pool and retries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from amlc import __version__
from amlc.targets.aml.explain import explained

if TYPE_CHECKING:
    from amlc.targets.aml.signin import OneToken
    from amlc.targets.aml.throttle import PacedTransport, Patience

_READINGS = 5  # how often to ask again when the answer is not JSON


class Rest:
    """JSON over HTTPS, below `base` (such as `https://management.azure.com`)."""

    def __init__(
        self,
        base: str,
        scope: str,
        *,
        credential: OneToken,
        transport: PacedTransport,
        retry: Patience,
    ) -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline import policies

        self._client: Any = PipelineClient(
            base,
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy(f"amlc/{__version__}"),
                retry,
                policies.BearerTokenCredentialPolicy(credential, scope),
            ],
            transport=transport,
        )
        self.base = base.rstrip("/")

    def call(
        self,
        method: str,
        url: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        missing: bool = False,
    ) -> Any:
        """Return the answer's JSON, None for an empty one. `url`: a path below the base, or whole.

        With `missing`, a 404 is None too. Raises BackendError that names what it was `doing`.
        """
        from azure.core import exceptions

        for reading in range(_READINGS):
            try:
                response = self.send(method, url, params=params, body=body)
                if response.status_code == 404 and missing:
                    return None
                response.raise_for_status()
                return _object(response.json()) if response.content else None
            except ValueError as err:  # cut short on its way
                if reading == _READINGS - 1:
                    raise explained(
                        exceptions.DecodeError(str(err), response=response), doing
                    ) from err
                time.sleep(0.1 * 2**reading)
            except exceptions.AzureError as err:
                raise explained(err, doing) from err
        return None

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the response, whatever its status. Raises azure.core's errors."""
        from azure.core.rest import HttpRequest

        whole = url if "://" in url else self.base + url
        request = HttpRequest(
            method, whole, params=dict(params or {}) or None, json=body, headers=dict(headers or {})
        )
        return self._client.send_request(request)

    def pages(
        self, url: str, *, doing: str, params: Mapping[str, str]
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the values of a list page by page; only what is drawn is asked for."""
        following: str | None = f"{self.base}{url}?{urlencode(params)}"
        while following:
            page = self.call("GET", following, doing=doing) or {}
            yield page.get("value") or ()
            following = page.get("nextLink")


def _object(found: Any) -> Any:
    """Return an answer as it is. Raises ValueError if it is no JSON object."""
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - as for what is no JSON at all
    return found
