"""Fills `${NAME}` from the environment, and never lets a secret through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from amlc.config.spelling import Config
from amlc.errors import Problem, Sentence, Severity, shorten
from amlc.model import JsonPath

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = ("sharedStorage", "storageAccountKey")


def key_variable(value: Any) -> str | None:
    """Return the name of the environment variable that a whole `${NAME}` value stands for."""
    found = _PLACEHOLDER.fullmatch(value.strip()) if isinstance(value, str) else None
    return found[1] if found and _VARIABLE.fullmatch(found[1]) else None


def open_names(value: Any, environ: Mapping[str, str]) -> list[str]:
    """Return the names of the placeholders in a value that the environment does not fill."""
    if not isinstance(value, str):
        return []
    return [name for name in _PLACEHOLDER.findall(value) if not environ.get(name)]


def unset(
    config: Config,
    path: JsonPath,
    names: Sequence[str],
    instead: str = "run with --backend local, which needs none",
) -> Problem:
    """Return the error for placeholders that the environment does not fill.

    instead: a way out beside filling them.
    """
    name = names[0]
    export = f"`export {name}=…`" if _VARIABLE.fullmatch(name) else "`${NAME}` with NAME exported"
    ways = f"Write the value in its place, use {export}, or {instead}."
    return config.problem(
        path,
        "E-placeholder",
        Sentence(f"the placeholder '${{{shorten(name)}}}' is not set.", hint=ways),
    )


def fill_placeholders(config: Config, environ: Mapping[str, str], *, needed: bool) -> Config:
    """Return the config with every `${NAME}` of the service's keys filled in.

    needed: whether one that cannot be filled is an error, rather than a key that is not set.
    """
    config = _check_account_key(config, needed=needed)
    for path, text in list(_candidates(config)):
        names = filter(_VARIABLE.fullmatch, _PLACEHOLDER.findall(text))
        named = {name: environ.get(name, "") for name in names}
        config = replace(config, variables={**config.variables, **named})
        missing = open_names(text, environ)
        if not missing:
            config = config.with_value(
                path, _PLACEHOLDER.sub(lambda found: environ[found[1]], text)
            )
        else:
            config = config.without(path)
            if needed:
                config = config.noted(unset(config, path, missing))
    return config


def _candidates(config: Config) -> Iterator[tuple[JsonPath, str]]:
    """Yield the values in which placeholders count, those that have one."""
    for part in ("trainingService", "sharedStorage", "amlc"):
        values = config.get(part)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            # Of `amlc` only the environment's name is the service's. The account key stays as it
            # is: it is read from the environment when it is needed, and no file ever has it.
            if (part == "amlc" and name != "environment") or (part, name) == _KEY:
                continue
            if isinstance(value, str) and _PLACEHOLDER.search(value):
                yield (part, name), value


def _check_account_key(config: Config, *, needed: bool) -> Config:
    """Return the config with the account key only as `${NAME}`.

    A key in the file is dropped and warned of.
    """
    value = config.get(*_KEY)
    if value is None or key_variable(value) is not None:
        return config
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        if not needed:
            return config.without(_KEY)
        text = Sentence(
            "the account key's placeholder is no variable name.",
            hint="Write ${NAME} with letters, digits and '_'.",
        )
        return config.without(_KEY).noted(config.problem(_KEY, "E-placeholder", text))
    text = Sentence(
        "a secret stands in the file; it is not used.",
        hint="Put it into the environment and write ${AZURE_STORAGE_KEY}.",
    )
    return config.without(_KEY).noted(
        config.problem(_KEY, "W-secret", text, severity=Severity.WARNING)
    )
