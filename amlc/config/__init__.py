"""Loads, validates and normalises an experiment file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from amlc.config.algorithms import (
    adopt_advisor,
    canonical_name,
    check_algorithms,
    check_types,
    is_own_class,
)
from amlc.config.given import Values, filled, filled_space, unused
from amlc.config.hostile import refuse_outside, within_folder, without_odd_values
from amlc.config.initial import check_initial
from amlc.config.legacy import modern
from amlc.config.load import load_document
from amlc.config.normalise import normalise
from amlc.config.packing import check_packing
from amlc.config.placeholders import fill_placeholders
from amlc.config.rules import check_constraints, check_endless, check_rules
from amlc.config.schema import check_schema, load_schema
from amlc.config.service import check_service, read_service
from amlc.config.spelling import Config, expanded, read_keys
from amlc.config.sweep import check_end, check_sweep
from amlc.config.zipped import with_rows, zipped_names
from amlc.cost import machines, price
from amlc.errors import ConfigError, Problem, RefusedError, Sentence, Severity, UsageError, sentence
from amlc.model import Document, Experiment, JsonPath, Space
from amlc.space.parse import parse_space
from amlc.targets import target


def load_experiment(
    file: Path,
    *,
    backend: str | None = None,
    environ: Mapping[str, str],
    untrusted: bool = False,
    given: Mapping[str, str] | None = None,
) -> tuple[Experiment, tuple[Problem, ...]]:
    """Return the experiment of an NNI file, and the warnings and notes about it.

    backend: the target that was asked for, None for the file's. One that runs any leaves the file's
    no key to need. environ: where `${NAME}` comes from. given: what `--set` says. untrusted:
    nothing outside of the file's folder is read, and nothing of the environment. Raises ConfigError
    with all problems of the file and its search space, UnreadableError if it cannot be read.
    """
    if untrusted:
        refuse_outside(file)
    document = load_document(file)
    return experiment_of(
        document, backend=backend, environ=environ, untrusted=untrusted, given=given
    )


def experiment_of(
    document: Document,
    *,
    backend: str | None = None,
    form: str | None = None,
    environ: Mapping[str, str],
    untrusted: bool = False,
    given: Mapping[str, str] | None = None,
) -> tuple[Experiment, tuple[Problem, ...]]:
    """Return the experiment of a document, as `load_experiment` does of a file."""
    values = Values(given or {}, None if untrusted else environ)
    document, lacking = filled(document, values)
    config, read = _checked(
        modern(document), environ, backend=backend, untrusted=untrusted, lacking=lacking
    )
    config, space, raw, space_file = _with_space(config, values)
    config = config.noted(*unused(document, values.given, config.filled))
    found = ConfigError(_worded(config.document, config.problems))
    if config.failed:
        raise found
    inputs = (*([space_file] if space_file is not None else []), *read)
    experiment = normalise(config, space, inputs, raw=raw, backend=backend)
    return experiment, ConfigError([*found.problems, *_check_prices(config, experiment)]).problems


def _check_prices(config: Config, experiment: Experiment) -> Iterator[Problem]:
    """Yield a warning for prices of which none is that of the jobs' machines."""
    if experiment.prices and price(experiment) is None:
        names = " or ".join(f"'{name}'" for name in machines(experiment)) or "the jobs' machines"
        text = Sentence(
            f"'amlc.prices' has no effect: there is none of {names}.",
            hint="Add it, or remove the key.",
        )
        yield config.warning(("amlc", "prices"), "W-no-effect", text)


def _worded(document: Document, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield problems in the words of the file's own format."""
    if not document.moved:
        yield from problems
        return
    from amlc.config.legacy.remarks import in_words_of_v1

    for problem in problems:
        yield (
            in_words_of_v1(problem, document) if problem.position.file == document.file else problem
        )


def locate(refusals: Iterable[RefusedError], document: Document) -> tuple[Problem, ...]:
    """Return refusals as problems of an experiment's document, or of its search space's file."""
    config = read_service(read_keys(modern(document), load_schema()), backend=None)
    found = (_located(config, refusal) for refusal in refusals)
    return ConfigError(_worded(config.document, found)).problems


def _located(config: Config, refusal: RefusedError) -> Problem:
    if refusal.path[:1] == ("searchSpace",):
        config, document, path, _ = _find_space(config)
        if document is not None:
            return document.problem((*path, *refusal.path[1:]), refusal.code, refusal.message)
    return config.problem(refusal.path, refusal.code, refusal.message)


def _checked(
    document: Document,
    environ: Mapping[str, str],
    *,
    backend: str | None,
    untrusted: bool,
    lacking: Iterable[JsonPath] = (),
) -> tuple[Config, tuple[Path, ...]]:
    """Return the config after the checks that need no space, and what the target read beside.

    lacking: keys in which a value is not known.
    """
    _refuse_other_shapes(document)
    config = read_keys(document, load_schema()).noted(*document.remarks)
    for path in lacking:
        config = config.without(path)
    config = within_folder(replace(without_odd_values(config), untrusted=untrusted))
    config = adopt_advisor(read_service(config, backend=backend))
    name = config.get("trainingService", "platform")
    platform = target(name) if name else None
    needed = not untrusted and (backend is None or not target(backend).RUNS_ANY)
    read: tuple[Path, ...] = ()
    if platform is not None and not untrusted:
        config, read = platform.read(config, environ, needed=needed)
    filling = {} if untrusted else environ
    config = check_schema(fill_placeholders(config, filling, needed=needed))
    if platform is not None:
        needed = needed or (backend == name and not untrusted)
        config = config.noted(*platform.check(config, needed=needed))
    return config.noted(
        *check_service(config),
        *check_algorithms(config),
        *check_rules(config),
        *check_packing(config),
        *check_sweep(config, backend),
    ), read


def _refuse_other_shapes(document: Document) -> None:
    """Raise for a file that is no experiment of NNI at all."""
    if not isinstance(document.data, Mapping):
        text = Sentence(
            "an experiment file is a mapping (key: value) at its top.",
            hint="Write `trialConcurrency: 1` and so on.",
            expected="a mapping (key: value)",
        )
        raise ConfigError([*document.remarks, document.problem((), "E-type", text)])


def _with_space(config: Config, values: Values) -> tuple[Config, Space, Any, Path | None]:
    """Return the config after the checks of the space, the space, how it is written, and its file.

    A class of the user's own gets it as it is written. The space is empty if it is in no format of
    NNI's then.
    """
    config, document, path, file = _find_space(config, values)
    if document is None:
        return config, (), None, file
    raw = document.data
    for part in path:
        raw = raw[part]
    tuner = canonical_name(config, "tuner")
    space, found = parse_space(document, path, tuner=tuner, zipped=zipped_names(config))
    if is_own_class(config, "tuner"):
        config, _ = with_rows(config, (), tuner)
        space = () if any(problem.severity is Severity.ERROR for problem in found) else space
        if space or not raw:
            config = config.noted(*check_constraints(config, space, tuner))
        return config.noted(*check_initial(config, space, tuner)), space, raw, file
    config = config.noted(*found)
    if not any(problem.severity is Severity.ERROR for problem in found):
        config, space = with_rows(config, space, tuner)
        config = config.noted(*check_types(config, space, document, path))
        config = config.noted(
            *check_endless(config, space, tuner),
            *check_end(config, space, tuner),
            *check_constraints(config, space, tuner),
        )
        config = config.noted(*check_initial(config, space, tuner))
    return config, space, raw, file


def _find_space(
    config: Config, values: Values | None = None
) -> tuple[Config, Document | None, JsonPath, Path | None]:
    """Return where the search space stands: its own file, which wins, or the experiment file."""
    name = config.get("searchSpaceFile")
    if name is not None:
        return _load_space_file(config, str(name), values)
    if config.get("searchSpace") is not None:
        return config, config.document, config.original(("searchSpace",)), None
    if not config.broken & {("searchSpace",), ("searchSpaceFile",)}:
        text = Sentence(
            "the experiment needs 'searchSpace' or 'searchSpaceFile'.",
            hint="For example `searchSpaceFile: space.json`.",
            expected="'searchSpace' or 'searchSpaceFile'",
        )
        config = config.noted(config.problem((), "E-required", text))
    return config, None, (), None


def _load_space_file(
    config: Config, name: str, values: Values | None
) -> tuple[Config, Document | None, JsonPath, Path | None]:
    if config.get("searchSpace") is not None:
        text = Sentence(
            "'searchSpace' has no effect, since 'searchSpaceFile' is given and wins.",
            hint="Remove one of them.",
        )
        config = config.noted(config.warning(("searchSpace",), "W-twice", text))
    file = config.document.file.parent / expanded(name)
    try:
        document = load_document(file)
    except UsageError as error:
        said = sentence(error.message)
        said = replace(said, what=f"the search space {said.what}")
        return config.noted(config.problem(("searchSpaceFile",), "E-file", said)), None, (), None
    except ConfigError as error:
        return config.noted(*error.problems), None, (), file
    if values is None:
        return config, document, (), file
    document, is_whole = filled_space(document, values)
    config = replace(
        config,
        filled={**config.filled, **document.filled},
        variables={**config.variables, **document.variables},
    )
    return config.noted(*document.remarks), document if is_whole else None, (), file
