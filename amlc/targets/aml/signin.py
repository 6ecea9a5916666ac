"""Sign in to Azure as user or machine are signed in already, with one token for all calls."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from amlc.errors import BackendError, TransientError
from amlc.targets.aml.explain import failed_way, first_line

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

CREDENTIAL: Final = "AMLC_CREDENTIAL"
"""The environment variable that names the one way to sign in, not the first that works."""

_CLI_TIMEOUT_S = 60
_SPENT = 0.8  # the part of its life after which a token is replaced
_AGAIN_S = 30.0  # between two tries to replace one that is still good
_SOON_S = 5.0  # between two tries without one
_PATIENCE_S = 900.0  # without one, until it is given up
_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
_SECRETS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")


@dataclass(slots=True)
class _Known:
    """The last token for some scopes, None if refused; when to ask again; since when that fails."""

    token: AccessToken | None
    renewal: float
    failing_since: float | None = None
    failure: str = ""


class OneToken:
    """A credential that asks another only when a token is spent, and keeps that until then.

    The Azure CLI's credential starts a process for every token, and the client asks once for every
    job it returns.
    """

    def __init__(
        self, source: TokenCredential, forgotten: Callable[[], None] = lambda: None
    ) -> None:
        self._source = source
        self._forgotten = forgotten  # told when a token is refused, which the source may keep too
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, ...], _Known] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return the token for `scopes`.

        Raises azure.core's ClientAuthenticationError when there never was one, or no new one for a
        quarter of an hour; TransientError until then.
        """
        from azure.core.exceptions import ClientAuthenticationError

        with self._lock:
            known, now = self._tokens.get(scopes), time.time()
            if known is not None and now < known.renewal and not options.get("claims"):
                return _usable(known, now)
            try:
                token = self._source.get_token(*scopes, **options)
            except (
                ClientAuthenticationError,
                OSError,
                ValueError,
            ) as err:  # a token file is not there, a bad tenant
                error = (
                    err
                    if isinstance(err, ClientAuthenticationError)
                    else ClientAuthenticationError(str(err))
                )
                if known is None or options.get("claims"):
                    raise error from err
                return _kept(known, error, now)
            now = time.time()
            self._tokens[scopes] = _Known(token, now + _SPENT * (token.expires_on - now))
            return token

    def forget(self) -> None:
        """Ask again next time: the service refused the token."""
        self._forgotten()
        with self._lock:
            for known in self._tokens.values():
                known.token, known.renewal = None, 0.0


def _kept(known: _Known, err: Exception, now: float) -> AccessToken:
    """Return the old token as long as it is good, and then say for a while that it is an outage."""
    known.failure = failed_way(str(err))
    if known.token is not None and now < known.token.expires_on:
        known.renewal = min(now + _AGAIN_S, float(known.token.expires_on))
        return known.token
    if known.failing_since is None:
        known.failing_since = now
    if now >= known.failing_since + _PATIENCE_S:
        raise err
    known.token, known.renewal = None, now + _SOON_S
    return _usable(known, now)


def _usable(known: _Known, now: float) -> AccessToken:
    if known.token is None or now >= known.token.expires_on:
        raise TransientError(f"the sign-in cannot be renewed: {known.failure}")
    return known.token


def sign_in(
    environ: Mapping[str, str], subscription: str, authority: str | None = None
) -> OneToken:
    """Return the way to sign in that CREDENTIAL names, or the first that works.

    That is what the variables describe, if they do: a service principal or a federated token; then
    `az login`, for the subscription where it can, then a managed identity. authority: of another
    cloud than the public one. Nothing is asked of Azure yet. Raises BackendError for a name that is
    none.
    """
    from azure.identity import ChainedTokenCredential

    ways: dict[str, Callable[[], TokenCredential]] = {
        "variables": lambda: _machine("environment", "workload_identity", authority=authority),
        "az": lambda: _az(subscription),
        "managed": lambda: _machine("managed_identity", authority=authority),
    }
    name = environ.get(CREDENTIAL)
    if name and name not in ways:
        raise BackendError(
            f"{CREDENTIAL}={name}: there is no such way to sign in. Use one of {', '.join(ways)}."
        )
    described = all(environ.get(key) for key in _PRINCIPAL) and any(
        environ.get(key) for key in _SECRETS
    )
    try:
        if name:
            return OneToken(ways[name]())
        machine = _machine(
            "environment", "workload_identity", "managed_identity", authority=authority
        )
        first = [ways["variables"]()] if described else []
        return OneToken(ChainedTokenCredential(*first, ways["az"](), machine))
    except (OSError, ValueError) as err:  # a certificate that is not there, a tenant that is none
        raise BackendError(
            f"sign-in: {first_line(str(err))} Check the variables that begin with AZURE_."
        ) from err


def _machine(*ways: str, authority: str | None) -> TokenCredential:
    """Return azure-identity's default chain with these of its ways only."""
    from azure.identity import DefaultAzureCredential

    all_ways = (
        *(
            "environment",
            "workload_identity",
            "managed_identity",
            "cli",
            "developer_cli",
            "interactive_browser",
        ),
        *("powershell", "shared_token_cache", "visual_studio_code", "broker"),
    )
    options: dict[str, Any] = {f"exclude_{way}_credential": way not in ways for way in all_ways}
    return DefaultAzureCredential(**options, **({"authority": authority} if authority else {}))


def _az(subscription: str) -> TokenCredential:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import AzureCliCredential

    class AzureCliOrDefaultCredential(AzureCliCredential):
        """The token of `az` for the subscription, or else the one that `az` gives by itself.

        The first is of the right tenant where there are several; an account that has a role on the
        workspace alone may not see the subscription.
        """

        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            token: AccessToken
            try:
                token = super().get_token(*scopes, **options)
            except ClientAuthenticationError:
                token = AzureCliCredential(process_timeout=_CLI_TIMEOUT_S).get_token(
                    *scopes, **options
                )
            return token

    try:
        return AzureCliOrDefaultCredential(
            subscription=subscription, process_timeout=_CLI_TIMEOUT_S
        )
    except ValueError:  # it is no subscription's id, which Azure itself will say better
        return AzureCliCredential(process_timeout=_CLI_TIMEOUT_S)


def tenant(token: str) -> str | None:
    """Return the tenant that a token, which is not verified, is for; None if it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["tid"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None
