"""Sign in to Azure as the user or the machine is signed in already, with one token for all calls."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

_CLI_TIMEOUT_S = 60
_SPENT = 0.8  # the part of its life after which a token is replaced


class OneToken:
    """A credential that asks another one only when a token is spent.

    The Azure CLI's credential starts a process for every token, and the client asks once for every job it returns.
    """

    def __init__(self, source: TokenCredential) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, ...], tuple[AccessToken, float]] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return the token for `scopes`. Raises azure.core's ClientAuthenticationError."""
        with self._lock:
            token, renewal = self._tokens.get(scopes, (None, 0.0))
            if token is None or time.time() >= renewal or options.get("claims"):
                token = self._source.get_token(*scopes, **options)
                now = time.time()
                self._tokens[scopes] = (token, now + _SPENT * (token.expires_on - now))
            return token

    def forget(self) -> None:
        """Ask again next time: the service refused the token."""
        with self._lock:
            self._tokens.clear()


def sign_in() -> OneToken:
    """Return the first way to sign in that works: `az login`, variables, a federated token, a managed identity.

    Nothing is asked of Azure yet.
    """
    from azure.identity import AzureCliCredential, ChainedTokenCredential, DefaultAzureCredential

    machine = DefaultAzureCredential(
        exclude_cli_credential=True,
        exclude_developer_cli_credential=True,
        exclude_interactive_browser_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
    )
    return OneToken(ChainedTokenCredential(AzureCliCredential(process_timeout=_CLI_TIMEOUT_S), machine))


def tenant(token: str) -> str | None:
    """Return the tenant that a token is for, or None when it does not say. The token is not verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["tid"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None
