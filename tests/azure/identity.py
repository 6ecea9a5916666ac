"""Who may call: the certificates, the tokens, a fake `az` on PATH, and the token endpoint for service principals."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from pathlib import Path

import trustme

TENANT = "00000000-0000-0000-0000-00000000a001"
LOGIN_HOST = "login.microsoftonline.com"
GOVERNMENT_LOGIN_HOST = "login.microsoftonline.us"
NAMES = (
    "127.0.0.1",
    "localhost",
    "management.azure.com",
    "*.api.azureml.ms",
    "*.blob.core.windows.net",
    LOGIN_HOST,
    "management.usgovcloudapi.net",
    GOVERNMENT_LOGIN_HOST,
)
_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net", "https://ml.azure.com")
_GOVERNMENT_AUDIENCES = ("https://management.usgovcloudapi.net", "https://ml.azure.us")


class Certificates:
    """One authority and one certificate for every name that the emulator goes by."""

    def __init__(self, folder: Path):
        authority = trustme.CA()
        issued = authority.issue_cert(*NAMES)
        self.ca, self.certificate = folder / "ca.pem", folder / "server.pem"
        self.key = folder / "server.key"
        authority.cert_pem.write_to_path(str(self.ca))
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.certificate))
        issued.private_key_pem.write_to_path(str(self.key))


class Identity:
    """Issue tokens through `az` and the token endpoint, and check them."""

    def __init__(self, folder: Path, *, subscription: str):
        self.folder = folder
        self.log = folder / "az.log"
        self.bin = folder / "bin"
        self.audiences = [*_AUDIENCES, *_GOVERNMENT_AUDIENCES]
        self._key = secrets.token_hex(16)
        self._valid_from = 0.0
        self.federated_token = f"federated-{secrets.token_hex(8)}"
        self.managed_secret = secrets.token_hex(8)
        self.managed_calls: list[str] = []
        self._settings = {
            "mode": "ok",
            "expires_in_s": 3600,
            "delay_s": 0,
            "has_storage": True,
            "sees_subscriptions": True,
            "key": self._key,
            "tenant": TENANT,
            "subscription": subscription,
        }
        self.bin.mkdir(parents=True)
        script = self.bin / "az"
        script.write_text(_AZ.replace("@PYTHON@", sys.executable).replace("@FOLDER@", str(folder)), encoding="utf-8")
        script.chmod(0o755)
        self.log.touch()
        self.az()

    def az(self, **settings) -> None:
        """Say how `az` behaves from now on.

        mode: "ok"; "none", nobody is signed in; "expired", the refresh token is too old; "broken", it prints no JSON.
        expires_in_s: how long its tokens last. delay_s: how long it takes. has_storage: its tokens open the storage.
        sees_subscriptions: it knows the subscription that it is asked for.
        """
        self._settings |= settings
        temporary = self.folder / "az.json.new"
        temporary.write_text(json.dumps(self._settings), encoding="utf-8")
        os.replace(temporary, self.folder / "az.json")

    @property
    def az_calls(self) -> list[list[str]]:
        """The arguments of every call of `az`, in order."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def expire(self) -> None:
        """Make every token issued so far expire."""
        self._valid_from = time.time()

    def token(self, *, audience: str = _AUDIENCES[0], expires_in_s: float = 3600) -> str:
        """Return a token that is accepted, for a client that signs in by itself."""
        return make_token(self._key, audience, expires_in_s)

    def refusal(self, authorization: str, *, audience: str | None = None) -> tuple[str, str] | None:
        """Return code and message when the header carries no good token, else None. audience: the only one."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        claims = self._claims(token.strip())
        if claims is None:
            return "InvalidAuthenticationToken", "The access token is invalid."
        if claims["exp"] <= time.time() or claims["iat"] < self._valid_from:
            return "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
        if claims["aud"].rstrip("/") not in ([audience] if audience else self.audiences):
            text = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            return "InvalidAuthenticationTokenAudience", text
        return None

    def _claims(self, token: str):
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, _sign(self._key, head)):
            return None
        payload = head.partition(".")[2]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def sign_in(self, form: dict[str, str]) -> tuple[int, dict]:
        """Answer the token endpoint: any client with a secret or an assertion gets a token; the secret `bad` does not."""
        if form.get("client_secret") == "bad":
            text = "AADSTS7000215: Invalid client secret provided."
            return 401, {"error": "invalid_client", "error_description": text, "error_codes": [7000215]}
        if not (form.get("client_secret") or form.get("client_assertion")):
            text = "AADSTS7000218: The request body must contain client_assertion or client_secret."
            return 400, {"error": "invalid_request", "error_description": text, "error_codes": [7000218]}
        assertion = form.get("client_assertion")
        if assertion and "." not in assertion and assertion != self.federated_token:  # a certificate makes it a JWT
            text = "AADSTS70021: No matching federated identity record found for presented assertion."
            return 400, {"error": "invalid_request", "error_description": text, "error_codes": [70021]}
        audience = form.get("scope", "").removesuffix("/.default") or _AUDIENCES[0]
        seconds = int(self._settings["expires_in_s"])
        token = make_token(self._key, audience, seconds)
        return 200, {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def managed(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict]:
        """Answer as the endpoint that gives a machine its own identity: a virtual machine's, App Service's, Azure ML's."""
        self.managed_calls.append(path)
        wanted = {
            "/metadata/identity/oauth2/token": ("metadata", "true", "2018-02-01"),
            "/msi/token": ("x-identity-header", self.managed_secret, "2019-08-01"),
            "/azureml/token": ("secret", self.managed_secret, "2017-09-01"),
        }
        header, value, version = wanted[path]
        if headers.get(header) != value or query.get("api-version") != version or not query.get("resource"):
            return 400, {"error": "invalid_request", "error_description": f"Bad call of {path}."}
        user = next((query[key] for key in ("client_id", "clientid") if key in query), None)
        if user == "unknown":
            if path == "/msi/token":
                return 400, {"statusCode": 400, "message": "Identity not found"}
            return 400, {"error": "invalid_request", "error_description": "Identity not found"}
        seconds = int(self._settings["expires_in_s"])
        token = make_token(self._key, query["resource"], seconds)
        expiry = str(int(time.time()) + seconds)
        answer = {"access_token": token, "expires_on": expiry, "resource": query["resource"], "token_type": "Bearer"}
        return 200, {**answer, "expires_in": str(seconds)}


MANAGED = ("/metadata/identity/oauth2/token", "/msi/token", "/azureml/token")


def make_token(key: str, audience: str, expires_in_s: float) -> str:
    """Return a JSON web token as Entra ID's look; only the holder of `key` can make one."""
    now = time.time()
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": int(now),
        "exp": int(now + expires_in_s),
        "tid": TENANT,
        "oid": "00000000-0000-0000-0000-00000000a002",
        "upn": "someone@example.com",
    }
    head = ".".join(_b64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    return f"{head}.{_sign(key, head)}"


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _sign(key: str, head: str) -> str:
    return _b64(hmac.new(key.encode(), head.encode(), hashlib.sha256).digest())


def login_metadata(path: str, host: str) -> dict | None:
    """Return what the sign-in library asks about the sign-in service, or None for another path."""
    host = GOVERNMENT_LOGIN_HOST if host == GOVERNMENT_LOGIN_HOST else LOGIN_HOST
    base = f"https://{host}/{TENANT}"
    if path.endswith("/discovery/instance"):
        aliases = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        return {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": aliases}
    if path.endswith("/.well-known/openid-configuration"):
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }
    return None


_AZ = '''#!@PYTHON@ -IS
"""Stand in for the Azure CLI: a signed-in user whose tokens the emulator accepts."""
import base64, datetime, hashlib, hmac, json, os, sys, time

FOLDER = "@FOLDER@"
arguments = sys.argv[1:]
with open(FOLDER + "/az.log", "a") as log:
    log.write(json.dumps(arguments) + "\\n")
with open(FOLDER + "/az.json") as file:
    settings = json.load(file)
mode = os.environ.get("FAKE_AZ_MODE", settings["mode"])
time.sleep(settings["delay_s"])


def option(name, default):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def b64(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


if arguments[:1] in (["version"], ["--version"]):
    print(json.dumps({"azure-cli": "2.99.0", "azure-cli-core": "2.99.0", "extensions": {}}))
    sys.exit()
if arguments[:1] != ["account"] or arguments[1:2] not in (["get-access-token"], ["show"], ["set"]):
    sys.exit("ERROR: the emulator's az does not know: az " + " ".join(arguments))
if mode == "none":
    sys.exit("ERROR: Please run 'az login' to setup account.")
if mode == "broken":
    print("{not json")
    sys.exit()
if arguments[1] == "show":
    user = {"name": "someone@example.com", "type": "user"}
    print(json.dumps({
        "environmentName": "AzureCloud", "id": settings["subscription"], "isDefault": True, "name": "emulated",
        "state": "Enabled", "tenantId": settings["tenant"], "user": user,
    }))
elif arguments[1] == "get-access-token":
    if mode == "expired":
        sys.exit("ERROR: AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks.\\n"
                 "Interactive authentication is needed. Please run:\\naz login")
    if "--subscription" in arguments and not settings["sees_subscriptions"]:
        sys.exit("ERROR: The subscription of '" + option("--subscription", "") + "' doesn't exist in cloud 'AzureCloud'.")
    now = time.time()
    expires = int(now + settings["expires_in_s"])
    resource = option("--resource", option("--scope", "https://management.azure.com").replace("/.default", ""))
    if resource.startswith("https://storage.") and not settings["has_storage"]:
        resource = "https://nothing"
    claims = {
        "aud": resource, "iss": "https://sts.windows.net/" + settings["tenant"] + "/", "iat": now, "nbf": int(now),
        "exp": expires,
        "tid": settings["tenant"], "oid": "00000000-0000-0000-0000-00000000a002", "upn": "someone@example.com",
    }
    head = ".".join(b64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    signature = b64(hmac.new(settings["key"].encode(), head.encode(), hashlib.sha256).digest())
    local = datetime.datetime.fromtimestamp(expires).strftime("%Y-%m-%d %H:%M:%S.000000")
    print(json.dumps({
        "accessToken": head + "." + signature, "expiresOn": local, "expires_on": expires,
        "subscription": settings["subscription"], "tenant": settings["tenant"], "tokenType": "Bearer",
    }))
'''
