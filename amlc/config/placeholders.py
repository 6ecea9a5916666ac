"""Fills `${NAME}` from the environment and the workspace keys from `config.json`, and never lets a secret through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amlc.config.spelling import Config
from amlc.errors import Severity, shorten
from amlc.model import JsonPath

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = ("sharedStorage", "storageAccountKey")
_WORKSPACE = {"subscriptionId": "subscription_id", "resourceGroup": "resource_group", "workspaceName": "workspace_name"}
_REQUIRED = (*_WORKSPACE, "computeTarget", "dockerImage")


def key_variable(value: Any) -> str | None:
    """Return the name of the environment variable that a whole `${NAME}` value stands for."""
    found = _PLACEHOLDER.fullmatch(value.strip()) if isinstance(value, str) else None
    return found[1] if found and _VARIABLE.fullmatch(found[1]) else None


def fill_placeholders(config: Config, environ: Mapping[str, str], *, backend: str | None) -> tuple[Config, Path | None]:
    """Return the config with every `${NAME}` of the service's keys filled in, and the workspace file if it was used.

    A placeholder that cannot be filled is an error, or, when the local back end was asked for, a key not set.
    """
    here = config.get("trainingService", "platform") == "local"
    config = _check_account_key(config, needed=not (here or backend == "local"))
    workspace: Path | None = None
    if config.get("trainingService", "platform") == "aml":
        config, workspace = _fill_workspace(config, environ)
    for path, text in list(_candidates(config)):
        missing = [name for name in _PLACEHOLDER.findall(text) if not environ.get(name)]
        if not missing:
            config = config.with_value(path, _PLACEHOLDER.sub(lambda found: environ[found[1]], text))
        elif backend == "local" or (here and path[0] == "sharedStorage"):
            config = config.without(path)
        else:
            config = config.without(path).noted(config.problem(path, "E-placeholder", _ways(path, missing)))
    return config, workspace


def check_required(config: Config) -> Config:
    """Return the config with an error for each key that aml needs and that is neither given nor found."""
    if config.get("trainingService", "platform") != "aml":
        return config
    for name in _REQUIRED:
        path = ("trainingService", name)
        if config.get(*path) is None and path not in config.broken:
            example = "msranni/nni" if name == "dockerImage" else "…"
            other = " or in 'config.json' beside the experiment" if name in _WORKSPACE else ""
            text = f"platform aml needs '{name}'. Write '{name}: {example}' here{other}, or run with --backend local."
            config = config.noted(config.problem(("trainingService",), "E-required", text, key=True))
    return config


def _candidates(config: Config) -> Iterator[tuple[JsonPath, str]]:
    """Yield the values in which placeholders count, those that have one."""
    for part in ("trainingService", "sharedStorage", "amlc"):
        values = config.get(part)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            counts = part != "amlc" or name == "environment"
            if counts and (part, name) != _KEY and isinstance(value, str) and _PLACEHOLDER.search(value):
                yield (part, name), value


def _ways(path: JsonPath, missing: list[str]) -> str:
    """Return the sentence for a placeholder that the environment does not fill."""
    name = missing[0]
    export = f"`export {name}=…`" if _VARIABLE.fullmatch(name) else "`${NAME}` with NAME exported"
    last = "run with --backend local, which needs none"
    if path[-1] in _WORKSPACE:
        last = "put the workspace's config.json beside the experiment"
    return f"the placeholder '${{{shorten(name)}}}' is not set. Write the value in its place, use {export}, or {last}."


def _check_account_key(config: Config, *, needed: bool) -> Config:
    """Return the config with the account key only as `${NAME}`; a key in the file is dropped and warned of."""
    value = config.get(*_KEY)
    if value is None or key_variable(value) is not None:
        return config
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        if not needed:
            return config.without(_KEY)
        text = "the account key's placeholder is no variable name. Write ${NAME} with letters, digits and '_'."
        return config.without(_KEY).noted(config.problem(_KEY, "E-placeholder", text))
    text = "a secret stands in the file; it is not used. Put it into the environment and write ${AZURE_STORAGE_KEY}."
    return config.without(_KEY).noted(config.problem(_KEY, "W-secret", text, severity=Severity.WARNING))


def _fill_workspace(config: Config, environ: Mapping[str, str]) -> tuple[Config, Path | None]:
    """Return the config with workspace keys that are absent or not filled taken from the nearest workspace file."""
    wanted = [name for name in _WORKSPACE if _open(config.get("trainingService", name), environ)]
    file, values = _workspace_file(config.document.file.absolute().parent) if wanted else (None, {})
    for name in wanted:
        path = ("trainingService", name)
        if file is None or path in config.broken:
            continue
        if config.get(*path) is not None:
            text = f"the placeholder is not set; taken from {file.name}."
            config = config.noted(config.problem(path, "N-workspace", text, severity=Severity.NOTE))
        config = config.with_value(path, values[_WORKSPACE[name]])
    return config, file


def _open(value: Any, environ: Mapping[str, str]) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and any(not environ.get(name) for name in _PLACEHOLDER.findall(value))


def _workspace_file(folder: Path) -> tuple[Path | None, Mapping[str, str]]:
    """Return the nearest file that names a workspace: `config.json` here, `.azureml/config.json` here or above."""
    for file in (folder / "config.json", *(above / ".azureml" / "config.json" for above in (folder, *folder.parents))):
        try:
            values = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict) and all(_is_text(values.get(key)) for key in _WORKSPACE.values()):
            return file, values
    return None, {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
