"""Checks the tuner and the assessor.

That amlc has them, their arguments, and that they suit the search space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from amlc.catalogue import ASSESSORS, NESTED, NUMERIC, TUNERS, Argument, BuiltIn, find, names
from amlc.config.spelling import Config
from amlc.config.wording import expected_other, show, wrong_type
from amlc.errors import Problem, Sentence, did_you_mean
from amlc.model import (
    Choice,
    Dimension,
    Document,
    Integer,
    JsonPath,
    Rows,
    Space,
    parameter_names,
)
from amlc.targets import target

_SCHEMA_TYPES: Mapping[type, str] = {
    int: "integer",
    str: "string",
    bool: "boolean",
}
_KNOWN = {
    "tuner": ", ".join(names("tuner")),
    "assessor": ", ".join(names("assessor")),
}


def is_set(config: Config, kind: str) -> bool:
    """Return whether the file names an algorithm; NNI's placeholder `_none_` does not count."""
    return isinstance(config.get(kind), Mapping) and config.get(kind, "name") != "_none_"


def is_own_class(config: Config, kind: str) -> bool:
    """Return whether the algorithm is a class of the user's own."""
    return is_set(config, kind) and config.get(kind, "className") is not None


def canonical_name(config: Config, kind: str) -> str | None:
    """Return the built-in's name in NNI's spelling, None if there is none or it is unknown."""
    known = find(config.get(kind, "name"), kind) if is_set(config, kind) else None
    return known.name if known else None


def adopt_advisor(config: Config) -> Config:
    """Return the config with `advisor` as `tuner`, as NNI has done since 2.8."""
    advisor = config.get("advisor")
    if advisor is None:
        return config
    if is_set(config, "tuner"):
        text = Sentence(
            "'advisor' is the old name of 'tuner', and both are given.", hint="Remove one of them."
        )
        return config.without(("advisor",)).noted(
            config.problem(("advisor",), "E-duplicate-key", text, key=True)
        )
    text = Sentence("'advisor' is the old name of 'tuner' and read as it.", hint="Rename it.")
    moved = {path: here for path, here in config.spelling.items() if path[0] != "tuner"}
    for path, here in config.spelling.items():
        if path[0] == "advisor":
            moved[("tuner", *path[1:])] = here
    broken = frozenset(
        ("tuner", *path[1:]) if path[0] == "advisor" else path for path in config.broken
    )
    warned = config.noted(config.warning(("advisor",), "W-deprecated", text)).without(
        ("advisor",), broken=False
    )
    return replace(warned.with_value(("tuner",), advisor), spelling=moved, broken=broken)


def check_algorithms(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the tuner and the assessor."""
    if is_set(config, "tuner"):
        yield from _check(config, "tuner")
    elif ("tuner",) not in config.broken:
        yield config.problem(
            (),
            "E-required",
            Sentence(
                "the experiment needs 'tuner'.",
                hint="For example `tuner: {name: Random}`.",
                expected="'tuner'",
            ),
        )
    yield from _check_checkpoints(config)
    yield from _check_budgets(config)
    if is_set(config, "assessor"):
        yield from _check(config, "assessor")
        yield from _check_together(config)
        yield from _check_packs(config, "assessor", "an assessor")
    elif canonical_name(config, "tuner") == "ASHA":
        yield from _check_packs(config, "tuner", "ASHA")


def _check_packs(config: Config, kind: str, what: str) -> Iterator[Problem]:
    if config.get("amlc", "trialsPerJob") not in (None, 1, "auto"):
        text = Sentence(
            f"{what} stops single trials, and 'amlc.trialsPerJob' packs several into a job.",
            hint="Remove one of them.",
        )
        yield config.problem((kind,), "E-assessor", text, key=True)


def _check(config: Config, kind: str) -> Iterator[Problem]:
    name, class_name = config.get(kind, "name"), config.get(kind, "className")
    if class_name is not None:
        yield from _check_class(config, kind)
        return
    if name is None:
        if not {(kind, "name"), (kind, "className")} & config.broken:
            text = Sentence(
                f"'{kind}' needs 'name'.",
                hint=f"Known: {_KNOWN[kind]}.",
                expected=f"one of {_KNOWN[kind]}",
            )
            yield config.problem((kind,), "E-required", text, key=True)
        return
    if config.get(kind, "codeDirectory") is not None:
        text = Sentence(
            f"'codeDirectory' belongs to a class of your own, but '{name}' is built in.",
            hint="Remove it.",
        )
        yield config.problem((kind, "codeDirectory"), "E-algorithm", text, key=True)
    known = find(name, kind)
    if known is None:
        yield config.problem((kind, "name"), f"E-{kind}-unknown", _unknown(name, kind))
    elif known.refused:
        text = Sentence(
            f"amlc does not have '{known.name}': {known.refused}.", hint=f"Known: {_KNOWN[kind]}."
        )
        yield config.problem((kind, "name"), "E-tuner-unsupported", text)
    else:
        found = config.get(kind, "classArgs")
        if isinstance(found, Mapping) and known.open:
            yield from _check_sampler(config, (kind, "classArgs"), found, known)
        elif isinstance(found, Mapping):
            yield from _compare(config, (kind, "classArgs"), found, known.arguments, known.name)


def _check_sampler(
    config: Config, path: JsonPath, found: Mapping[str, Any], known: BuiltIn
) -> Iterator[Problem]:
    """Yield what is wrong with a sampler of Optuna and its arguments."""
    from amlc.config import samplers  # here: importing Optuna takes longer than validating a file

    sampler = found.get("sampler", known.arguments["sampler"].default)
    theirs = samplers.sampler_arguments(sampler)
    yield from samplers.check_sampler(config, sampler)
    ours, wanted = found, known.arguments
    if theirs is None:  # the sampler is unknown, and so are its arguments
        ours = {key: value for key, value in found.items() if key in wanted}
    else:
        wanted = {**wanted, **theirs}
    wrong = list(_compare(config, path, ours, wanted, f"Optuna's {sampler}"))
    yield from wrong
    if theirs is not None and not wrong:
        yield from samplers.check_construction(config, {**found, "sampler": sampler})


def _unknown(name: str, kind: str) -> Sentence:
    table = ASSESSORS if kind == "assessor" else TUNERS
    hint = did_you_mean(name, [known.name for known in table])
    spaces = " Remove the spaces around it." if find(name.strip(), kind) else ""
    own = (
        ""
        if spaces or hint
        else " One of your own (`nnictl algo register`) is named by 'className'."
    )
    return Sentence(
        f"NNI has no {kind} '{name}'.",
        f"{spaces or hint}{own} Known: {_KNOWN[kind]}.".strip(),
        found=name,
        expected=f"one of {_KNOWN[kind]}",
    )


def _check_class(config: Config, kind: str) -> Iterator[Problem]:
    if config.get(kind, "name") is not None:
        text = Sentence(f"'{kind}' has both 'name' and 'className'.", hint="Keep one of them.")
        yield config.problem((kind, "className"), "E-algorithm", text, key=True)
    if config.get(kind, "codeDirectory") is None and (kind, "codeDirectory") not in config.broken:
        text = Sentence(
            "'className' needs 'codeDirectory', the folder of its module.",
            hint="For example `codeDirectory: .`.",
            expected="'codeDirectory'",
        )
        yield config.problem((kind, "className"), "E-required", text, key=True)
    class_name = config.get(kind, "className")
    if isinstance(class_name, str) and "." not in class_name.strip("."):
        example = f"For example `className: my_{kind}.My{kind.title()}`."
        said = expected_other("'className'", "MODULE.CLASS", f"'{class_name}'", hint=example)
        yield config.problem((kind, "className"), "E-algorithm", said)


def _check_together(config: Config) -> Iterator[Problem]:
    """Yield what the assessor cannot be combined with."""
    tuner = find(config.get("tuner", "name"), "tuner")
    if tuner and tuner.name == "PBT":
        text = Sentence(
            "PBT needs every trial of a generation to its end, so that an assessor cannot stop "
            "any.",
            hint="Remove it.",
        )
        yield config.problem(("assessor",), "E-assessor", text, key=True)
    elif tuner and tuner.schedules:
        text = Sentence(
            f"the assessor has no effect: {tuner.name} decides itself how far each trial goes.",
            hint="Remove it.",
        )
        yield config.warning(("assessor",), "W-no-effect", text)
    elif tuner and tuner.name == "ASHA":
        text = Sentence(
            "ASHA stops trials itself, and an assessor would stop others.",
            hint=(
                "Remove it; or, to have "
                "another tuner with ASHA's rungs, name ASHA as the assessor: `tuner: {name: TPE}`, "
                "`assessor: {name: ASHA}`."
            ),
        )
        yield config.problem(("assessor",), "E-assessor", text, key=True)


def _check_checkpoints(config: Config) -> Iterator[Problem]:
    """Yield why trials would have no checkpoint to go on from, where the tuner lets them."""
    name = canonical_name(config, "tuner")
    folder = config.get("tuner", "classArgs", "all_checkpoint_dir")
    if not (name == "PBT" or (name in ("Hyperband", "BOHB") and folder)):
        return
    platform = config.get("trainingService", "platform")
    if (
        platform
        and target(platform).settings(config).common("") is None
        and not isinstance(folder, str)
    ):
        text = Sentence(
            f"{name}'s trials go on from each other's checkpoints, and without shared storage they "
            "see no common folder.",
            hint="Add 'sharedStorage', or name a mounted folder in 'all_checkpoint_dir'.",
        )
        yield config.problem(("tuner",), "E-checkpoints", text, key=True)
    if config.get("amlc", "replicates") not in (None, 1):
        advice = "Remove 'amlc.replicates', or use another tuner."
        text = Sentence(f"replicates would overwrite each other's {name} checkpoints.", hint=advice)
        yield config.problem(("amlc", "replicates"), "E-checkpoints", text)


def _check_budgets(config: Config) -> Iterator[Problem]:
    for kind in ("tuner", "assessor"):
        known = find(canonical_name(config, kind), kind)
        if known is None or "max_budget" not in known.arguments:
            continue
        low, low_is_given = _budget(config, kind, known, "min_budget")
        high, high_is_given = _budget(config, kind, known, "max_budget")
        if not (low_is_given or high_is_given) or high is None or low <= high:
            continue
        default = known.arguments["max_budget"].default or "none"
        text = Sentence(
            f"{known.name}'s 'min_budget' is {low} and its 'max_budget' {high}.",
            hint=f"Set a larger 'max_budget' (default {default}).",
        )
        yield config.problem((kind, "classArgs"), "E-argument", text, key=True)


def _budget(config: Config, kind: str, known: BuiltIn, name: str) -> tuple[Any, bool]:
    """Return a budget of the tuner or assessor, and whether the file gives it."""
    given = config.get(kind, "classArgs", name)
    if type(given) is int:
        return given, True
    return known.arguments[name].default, False


def assesses(config: Config) -> bool:
    """Return whether the experiment has an assessor that takes effect."""
    tuner = find(config.get("tuner", "name"), "tuner")
    return is_set(config, "assessor") and not (tuner and tuner.schedules)


def _compare(
    config: Config,
    path: JsonPath,
    found: Mapping[str, Any],
    wanted: Mapping[str, Argument],
    owner: str,
) -> Iterator[Problem]:
    """Yield a problem for each argument that the algorithm does not take with this value."""
    for key, value in found.items():
        here = (*path, key)
        argument = wanted.get(key)
        if argument is None:
            taken = [name for name, one in wanted.items() if not one.refused]
            near = did_you_mean(str(key), taken).strip()
            allowed = f"It takes {', '.join(taken)}." if taken else "It takes none; remove it."
            said = Sentence(
                f"{owner} has no argument '{key}'.",
                f"{near} {allowed}".strip(),
                found=str(key),
                expected=f"one of {', '.join(taken)}" if taken else "none",
            )
            yield config.problem(here, "E-argument", said, key=True)
        elif argument.refused:
            said = Sentence(f"'{key}' cannot be given: {argument.refused}.", "Remove it.")
            yield config.problem(here, "E-argument", said, key=True)
        elif not argument.nested:
            yield from _check_value(config, here, value, argument)
        elif isinstance(value, Mapping):
            yield from _compare(config, here, value, argument.nested, key)
        else:
            said = Sentence(
                f"'{key}' must be a mapping (key: value).",
                hint=f"Write '{key}: {{}}', or remove it.",
                found=show(config, here, value),
                expected="a mapping (key: value)",
            )
            yield config.problem(here, "E-argument", said)


def _check_value(
    config: Config, path: JsonPath, value: Any, argument: Argument
) -> Iterator[Problem]:
    key = path[-1]
    if not _is_of_kind(value, argument):
        kinds = ["number"] if float in argument.kinds else [_SCHEMA_TYPES[argument.kinds[0]]]
        said = wrong_type(f"'{key}'", show(config, path, value), value, kinds=kinds)
        yield config.problem(path, "E-argument", said)
    elif argument.one_of and value is not None and value not in argument.one_of:
        *most, last = argument.one_of
        hint = did_you_mean(str(value), argument.one_of).strip() or "Write one of them."
        wanted = f"{', '.join(most)} or {last}"
        said = expected_other(f"'{key}'", wanted, show(config, path, value), hint=hint)
        yield config.problem(path, "E-argument", said)
    elif bound := _beyond(value, argument):
        hint = f"Write for example {_right_value(argument)}."
        said = expected_other(f"'{key}'", bound, show(config, path, value), hint=hint)
        yield config.problem(path, "E-argument", said)
    elif argument.instead and value not in argument.exact:
        text = f"'{key}' is not what it is in NNI: {argument.instead}."
        yield config.warning(path, "W-meaning", text)


def _is_of_kind(value: Any, argument: Argument) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return bool in argument.kinds
    return isinstance(value, argument.kinds)


def _right_value(argument: Argument) -> Any:
    """Return a value that is within the bounds."""
    if argument.default is not None:
        return argument.default
    if argument.low is not None:
        return argument.low
    assert argument.above is not None  # or no value would be beyond its bounds
    return argument.above + 1


def _beyond(value: Any, argument: Argument) -> str:
    """Return the bound that `value` breaks, "" if none."""
    if not isinstance(value, (int, float)):
        return ""
    if argument.above is not None and not value > argument.above:
        return f"above {argument.above:g}"
    if argument.low is not None and not value >= argument.low:
        return f"at least {argument.low:g}"
    if argument.high is not None and not value <= argument.high:
        return f"at most {argument.high:g}"
    return "" if abs(value) < float("inf") else "a finite number"


def check_types(
    config: Config, space: Space, document: Document, path: JsonPath
) -> Iterator[Problem]:
    """Yield an error for each dimension that the tuner cannot search.

    `path` is where the space stands.
    """
    tuner = find(config.get("tuner", "name"), "tuner") if is_set(config, "tuner") else None
    if tuner is None or tuner.refused:
        return
    if tuner.open:
        from amlc.config import samplers

        yield from samplers.check_grid(
            config.get("tuner", "classArgs", "sampler"), space, document, path
        )
    for name in parameter_names(space):
        if name in tuner.adds:
            text = Sentence(
                f"{tuner.name} itself gives each trial a parameter '{name}'.",
                hint="Rename this one.",
            )
            yield document.problem((*path, name), "E-space-tuner", text, key=True)
    for dimension in space:
        kind = _type_name(dimension)
        if kind not in tuner.types:
            takes = ", ".join(
                sorted(tuner.types - ({NUMERIC} if "choice" in tuner.types else set()))
            )
            text = Sentence(
                f"{tuner.name} cannot search '{dimension.name}', a {kind}.",
                hint=f"It takes {takes}; TPE takes every type.",
                found=kind,
                expected=takes,
            )
            if isinstance(dimension, Rows):
                names = "' and '".join(dimension.names)
                text = Sentence(
                    f"{tuner.name} cannot search '{names}' together: a choice of rows, which have "
                    "no order.",
                    hint="TPE takes every type.",
                )
                yield config.problem(("amlc", "zip"), "E-space-tuner", text, key=True)
                continue
            yield document.problem((*path, dimension.name, "_type"), "E-space-tuner", text)


def _type_name(dimension: Dimension) -> str:
    match dimension:
        case Choice():
            numbers = all(
                isinstance(x, (int, float)) and not isinstance(x, bool) for x in dimension.options
            )
            return NESTED if dimension.branches else NUMERIC if numbers else "choice"
        case Integer():
            return "randint"
    name = "normal" if dimension.normal else "uniform"
    return ("q" if dimension.q is not None else "") + ("log" if dimension.log else "") + name
