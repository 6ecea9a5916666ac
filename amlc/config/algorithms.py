"""Knows NNI's tuners and assessors by name: which of them amlc has, and which arguments they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from amlc.config.sentences import show, wrong_type
from amlc.config.spelling import Config
from amlc.errors import Problem, Severity, did_you_mean
from amlc.model import JsonPath

Arguments = Mapping[str, "type | tuple[type, ...] | Arguments"]

_NUMBER = (int, float)
_OPTIONAL_INT = (int, type(None))
_OPTIONAL_STR = (str, type(None))
_TPE: Arguments = {
    "constant_liar_type": _OPTIONAL_STR,
    "n_startup_jobs": int,
    "n_ei_candidates": int,
    "linear_forgetting": int,
    "prior_weight": _NUMBER,
    "gamma": _NUMBER,
}
_COMMON: Arguments = {"optimize_mode": str}
_SEEDED: Arguments = {"optimize_mode": str, "seed": _OPTIONAL_INT}


@dataclass(frozen=True, slots=True)
class _Known:
    """A built-in algorithm. `arguments` None: amlc does not have it, and does not look at its arguments."""

    name: str
    arguments: Arguments | None = None
    alias: str = ""


TUNERS = (
    _Known("Random", _SEEDED),
    _Known("GridSearch", _COMMON),
    _Known("Batch", {}, alias="BatchTuner"),
    _Known("TPE", {**_SEEDED, "tpe_args": _TPE}),
    _Known("TPE_legacy"),
    _Known("Anneal"),
    _Known("Evolution"),
    _Known("SMAC"),
    _Known("Metis", alias="MetisTuner"),
    _Known("GP", alias="GPTuner"),
    _Known("PBT", alias="PBTTuner"),
    _Known("DNGO", alias="DNGOTuner"),
    _Known("PPO", alias="PPOTuner"),
    _Known("NetworkMorphism"),
    _Known("RegularizedEvolutionTuner"),
    _Known("Hyperband"),
    _Known("BOHB"),
)
ASSESSORS = (
    _Known("Medianstop", {**_COMMON, "start_step": int}),
    _Known("Curvefitting", {"epoch_num": int, "start_step": int, "threshold": _NUMBER, "gap": int}),
)
SUPPORTED = "Random, GridSearch, Batch"
TPE_STARTUP = 20
"""Trials that NNI's TPE draws at random before it looks at results, unless `n_startup_jobs` says otherwise."""

_SCHEMA_TYPES: Mapping[Any, str] = {
    int: "integer",
    _OPTIONAL_INT: "integer",
    str: "string",
    _OPTIONAL_STR: "string",
    _NUMBER: "number",
}


def is_set(config: Config, kind: str) -> bool:
    """Return whether the file names an algorithm; NNI's placeholder `_none_` does not count."""
    return isinstance(config.get(kind), Mapping) and config.get(kind, "name") != "_none_"


def canonical_name(config: Config, kind: str) -> str | None:
    """Return the built-in's name in NNI's spelling, None if there is none or it is unknown."""
    known = _find(config.get(kind, "name"), kind) if is_set(config, kind) else None
    return known.name if known else None


def _find(name: Any, kind: str) -> _Known | None:
    table = ASSESSORS if kind == "assessor" else TUNERS
    folded = name.lower() if isinstance(name, str) else None
    return next((known for known in table if folded in (known.name.lower(), known.alias.lower() or None)), None)


def adopt_advisor(config: Config) -> Config:
    """Return the config with `advisor` as `tuner`, as NNI has done since 2.8."""
    advisor = config.get("advisor")
    if advisor is None:
        return config
    if is_set(config, "tuner"):
        text = "'advisor' is the old name of 'tuner', and both are given. Remove one of them."
        return config.without(("advisor",)).noted(config.problem(("advisor",), "E-duplicate-key", text, key=True))
    text = "'advisor' is the old name of 'tuner' and read as it. Rename it."
    moved = {path: here for path, here in config.spelling.items() if path[0] != "tuner"}
    for path, here in config.spelling.items():
        if path[0] == "advisor":
            moved[("tuner", *path[1:])] = here
    broken = frozenset(("tuner", *path[1:]) if path[0] == "advisor" else path for path in config.broken)
    warned = config.noted(config.warning(("advisor",), "W-deprecated", text)).without(("advisor",), broken=False)
    return replace(warned.with_value(("tuner",), advisor), spelling=moved, broken=broken)


def check_algorithms(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the tuner and the assessor."""
    if is_set(config, "tuner"):
        yield from _check(config, "tuner")
    elif ("tuner",) not in config.broken:
        yield config.problem((), "E-required", "the experiment needs 'tuner'. For example `tuner: {name: Random}`.")
    if is_set(config, "assessor"):
        if refused := list(_check(config, "assessor")):
            yield from refused
            return
        text = "the assessor has no effect: trials run to their end. Remove it, or expect longer runs than with NNI."
        yield config.warning(("assessor",), "W-no-effect", text)


def _check(config: Config, kind: str) -> Iterator[Problem]:
    name, class_name = config.get(kind, "name"), config.get(kind, "className")
    if class_name is not None:
        yield from _check_class(config, kind)
        return
    if name is None:
        if (kind, "name") not in config.broken:
            yield config.problem((kind,), "E-required", f"'{kind}' needs 'name'. {_supported(kind)}", key=True)
        return
    if config.get(kind, "codeDirectory") is not None:
        text = f"'codeDirectory' belongs to a class of your own, but '{name}' is built in. Remove it."
        yield config.problem((kind, "codeDirectory"), "E-algorithm", text, key=True)
    known = _find(name, kind)
    if known is None:
        yield config.problem((kind, "name"), f"E-{kind}-unknown", _unknown(name, kind))
    elif known.arguments is None:
        text = f"the tuner '{name}' is adaptive, which amlc does not do yet. {_supported(kind)}"
        yield config.problem((kind, "name"), "E-tuner-unsupported", text)
    else:
        yield from _check_arguments(config, (kind, "classArgs"), known)
        if known.name == "TPE":
            yield _check_startup(config)


def _supported(kind: str) -> str:
    return f"Supported: {SUPPORTED}." if kind == "tuner" else "Known: Medianstop, Curvefitting."


def _unknown(name: str, kind: str) -> str:
    table = ASSESSORS if kind == "assessor" else TUNERS
    hint = did_you_mean(name, [known.name for known in table])
    spaces = " Remove the spaces around it." if _find(name.strip(), kind) else ""
    return f"NNI has no {kind} '{name}'.{spaces or hint} {_supported(kind)}"


def _check_class(config: Config, kind: str) -> Iterator[Problem]:
    if config.get(kind, "name") is not None:
        text = f"'{kind}' has both 'name' and 'className'. Keep one of them."
        yield config.problem((kind, "className"), "E-algorithm", text, key=True)
    if config.get(kind, "codeDirectory") is None and (kind, "codeDirectory") not in config.broken:
        text = f"'className' needs 'codeDirectory', the folder of its module. {_supported(kind)}"
        yield config.problem((kind, "className"), "E-required", text, key=True)
    text = f"a class of your own as {kind} is not supported yet. {_supported(kind)}"
    yield config.problem((kind, "className"), f"E-{kind}-unsupported", text, key=True)


def _check_startup(config: Config) -> Problem:
    """Return the verdict on TPE: exact while all trials belong to its random start-up, unsupported beyond it."""
    startup = config.get("tuner", "classArgs", "tpe_args", "n_startup_jobs")
    startup = startup if type(startup) is int else TPE_STARTUP
    trials = config.get("maxTrialNumber")
    if trials is not None and trials <= startup:
        text = f"TPE's first {startup} trials are random draws; all {trials} of this experiment's are."
        return config.problem(("tuner", "name"), "W-tuner", text, severity=Severity.WARNING)
    count = "is not set" if trials is None else f"is {trials}"
    text = (
        f"TPE is adaptive after its first {startup} trials, which amlc does not do yet, and 'maxTrialNumber' {count}. "
        f"Set it to at most {startup}, or use another tuner. {_supported('tuner')}"
    )
    return config.problem(("tuner", "name"), "E-tuner-unsupported", text)


def _check_arguments(config: Config, path: JsonPath, known: _Known) -> Iterator[Problem]:
    found = config.get(*map(str, path))
    if isinstance(found, Mapping):
        yield from _compare(config, path, found, known.arguments or {}, known.name)


def _compare(
    config: Config, path: JsonPath, found: Mapping[str, Any], wanted: Arguments, owner: str
) -> Iterator[Problem]:
    """Yield a problem for each argument that the algorithm does not take, or not with this value."""
    for key, value in found.items():
        here, kind = (*path, key), wanted.get(key)
        if kind is None:
            allowed = f"It takes {', '.join(wanted)}." if wanted else "It takes none; remove it."
            text = f"{owner} has no argument '{key}'.{did_you_mean(str(key), wanted)} {allowed}"
            yield config.problem(here, "E-argument", text, key=True)
        elif isinstance(kind, Mapping):
            if isinstance(value, Mapping):
                yield from _compare(config, here, value, kind, key)
            else:
                text = f"'{key}' must be a mapping (key: value). Write '{key}: {{}}', or remove it."
                yield config.problem(here, "E-argument", text)
        elif isinstance(value, bool) or not isinstance(value, kind):
            text = wrong_type(f"'{key}'", show(config, here, value), value, kinds=[_SCHEMA_TYPES[kind]])
            yield config.problem(here, "E-argument", text)
        elif key == "optimize_mode" and value not in ("maximize", "minimize"):
            hint = did_you_mean(str(value), ("maximize", "minimize")) or " Write one of them."
            text = f"'optimize_mode' must be maximize or minimize, got {show(config, here, value)}.{hint}"
            yield config.problem(here, "E-argument", text)
        elif key == "seed" and isinstance(value, int) and value < 0:
            yield config.problem(here, "E-argument", f"'seed' must be at least 0, got {value}. Write 0 or more.")
