"""Checks `amlc.target: sweep`: what has no counterpart in a sweep of the platform.

Of what the platform draws by itself, more has none than of trials that are known at once.
Where another back end was asked for nothing is checked: the trials run there as jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from amlc.catalogue import find
from amlc.config.algorithms import assesses, canonical_name, is_own_class
from amlc.config.durations import parse_time
from amlc.config.spelling import Config
from amlc.errors import Problem, Sentence
from amlc.model import Space, Sweeps
from amlc.space.latents import BAYESIAN, RANDOM
from amlc.space.points import inexhaustible
from amlc.targets import exists, target

_JOBS: Final = "Compile jobs instead: `amlc.target: jobs`."
_NATIVE: Final = "native"
_BAYESIAN: Final = ("TPE", "GP")
"""The tuners that learn as the platform's own sampling does."""
_OWN: Final = ("constraints", "zip", "initial", "failedValue", "includeIntermediateResults")
"""What of `amlc:` has a say in which trials there are."""
_DECIDED: Final[Mapping[tuple[str, ...], str]] = {
    ("sampling_algorithm",): "tuner",
    ("search_space",): "searchSpace",
    ("objective",): "optimize_mode",
    ("limits", "max_total_trials"): "maxTrialNumber",
    ("limits", "max_concurrent_trials"): "trialConcurrency",
    ("limits", "trial_timeout"): "maxTrialDuration",
}
"""What of a sweep's file the experiment says, each by its key."""
_LARGEST_SEED: Final = 2**31 - 1


def is_sweep(config: Config) -> bool:
    """Tell whether the file asks for a sweep."""
    return bool(config.get("amlc", "target") == "sweep")


def sampling(config: Config) -> str | None:
    """Return how the platform of a sweep draws its trials, None where the tuner does."""
    if canonical_name(config, "tuner") in _BAYESIAN:
        return BAYESIAN
    return RANDOM if config.get("amlc", "sweep", "sampling") == _NATIVE else None


def check_sweep(config: Config, backend: str | None) -> Iterator[Problem]:
    """Yield an error for each part of the experiment that no sweep has."""
    platform = config.get("trainingService", "platform")
    if backend not in (None, platform) or not exists(str(platform)):
        return
    if not is_sweep(config):
        if config.get("amlc", "sweep"):
            text = "it has no effect without `amlc.target: sweep`."
            yield config.warning(("amlc", "sweep"), "W-sweep", text)
        return
    bounds = target(platform).settings(config).job.sweeps
    if bounds is None:
        said = Sentence(
            f"platform {platform} has no sweeps.", "Remove the key, or set a platform that has."
        )
        yield config.problem(("amlc", "target"), "E-sweep", said)
        return
    yield from _check_tuner(config)
    yield from _check_assessor(config)
    yield from _check_limits(config, bounds)
    if sampling(config) is not None:
        yield from _check_drawn(config, bounds)
    if config.get("amlc", "trialsPerJob") not in (None, 1):
        said = _or_jobs("each trial of a sweep is a job of its own.", "Remove 'trialsPerJob'.")
        yield config.problem(("amlc", "trialsPerJob"), "E-sweep", said)
    if (config.get("trainingService", "maxTrialNumberPerGpu") or 1) > 1:
        text = "it has no effect: a sweep runs each trial in a job of its own, with its own GPUs."
        yield config.warning(("trainingService", "maxTrialNumberPerGpu"), "W-sweep", text)
    yield from _check_job(config, bounds)


def _check_job(config: Config, bounds: Sweeps) -> Iterator[Problem]:
    """Yield an error for each key of `amlc.job` that no sweep has, or that the experiment says."""
    job = config.get("amlc", "job")
    if not isinstance(job, Mapping):
        return
    for name in bounds.without:
        if name in job:
            said = _or_jobs(f"a sweep has no '{name}'.", "Remove it.")
            yield config.problem(("amlc", "job", name), "E-sweep", said, key=True)
    decided = dict(_DECIDED)
    if assesses(config):
        decided["early_termination",] = "assessor"
    for path, key in decided.items():
        inner = job.get(path[0]) if path[1:] else job
        if isinstance(inner, Mapping) and path[-1] in inner:
            what = f"of a sweep the experiment's '{key}' says what '{path[-1]}' is."
            said = Sentence(what, f"Remove it, and set '{key}'.")
            yield config.problem(("amlc", "job", *path), "E-sweep", said, key=True)


def check_end(config: Config, space: Space, tuner: str | None) -> Iterator[Problem]:
    """Yield an error where nothing says how many trials a sweep has."""
    known = find(tuner, "tuner")
    has_end = config.get("maxTrialNumber") is not None or ("maxTrialNumber",) in config.broken
    if not is_sweep(config) or known is None or known.adaptive or has_end or tuner == "Batch":
        return
    name = inexhaustible(space)
    if name:
        what = f"'{name}' has endlessly many values, and a sweep says how many trials it has."
        said = _or_jobs(what, "Set 'maxTrialNumber'.")
        yield config.problem(("amlc", "target"), "E-sweep", said)


def _check_tuner(config: Config) -> Iterator[Problem]:
    name = canonical_name(config, "tuner")
    known = find(name, "tuner")
    if is_own_class(config, "tuner"):
        said = Sentence("a class of one's own cannot propose the trials of a sweep.", _JOBS)
        yield config.problem(("tuner", "className"), "E-sweep", said)
    elif known is not None and known.adaptive and name not in _BAYESIAN:
        what = f"{known.name} learns from results, and a sweep has no counterpart of it."
        said = _or_jobs(what, "Of tuners that learn it has TPE and GP, as bayesian sampling.")
        expected = "TPE, GP, Random, GridSearch or Batch"
        said = replace(said, found=known.name, expected=expected)
        yield config.problem(("tuner", "name"), "E-sweep", said)
    elif sampling(config) == RANDOM and name not in (None, "Random"):
        what = f"the platform draws at random, which {name} does not."
        said = replace(_or_jobs(what, "Remove the key, or use Random."), found=_NATIVE)
        yield config.problem(("amlc", "sweep", "sampling"), "E-sweep", said)


def _check_drawn(config: Config, bounds: Sweeps) -> Iterator[Problem]:
    """Yield an error for each part of what has a say in trials that the platform draws alone."""
    most = config.get("maxTrialNumber")
    if most is None and ("maxTrialNumber",) not in config.broken:
        what = "the platform draws the trials, and a sweep says how many."
        yield config.problem(("amlc", "target"), "E-sweep", _or_jobs(what, "Set 'maxTrialNumber'."))
    elif isinstance(most, int) and most > bounds.trials and sampling(config) == BAYESIAN:
        what = f"a sweep has at most {bounds.trials} trials, got {most}, and learns from its own."
        expected = f"at most {bounds.trials}"
        said = replace(_or_jobs(what, "Lower it."), found=str(most), expected=expected)
        yield config.problem(("maxTrialNumber",), "E-sweep", said)
    what = "the platform draws the trials by itself, and takes no {}."
    for key in _OWN:
        if config.get("amlc", key) not in (None, [], False):
            said = _or_jobs(what.format(f"'{key}'"), "Remove it.")
            yield config.problem(("amlc", key), "E-sweep", said, key=True)
    if config.get("amlc", "replicates") not in (None, 1):
        said = _or_jobs(what.format("'replicates'"), "Remove it.")
        yield config.problem(("amlc", "replicates"), "E-sweep", said, key=True)
    seed = config.get("amlc", "seed")
    if isinstance(seed, int) and seed > _LARGEST_SEED and sampling(config) == RANDOM:
        what = f"the platform's seed is at most {_LARGEST_SEED}, got {seed}."
        expected = f"at most {_LARGEST_SEED}"
        said = replace(_or_jobs(what, "Lower it."), found=str(seed), expected=expected)
        yield config.problem(("amlc", "seed"), "E-sweep", said)
    if sampling(config) == BAYESIAN:
        given = config.get("tuner", "classArgs")
        others = [key for key in given if key != "optimize_mode"] if given else []
        paths: list[tuple[str, ...]] = [("tuner", "classArgs", key) for key in others]
        if config.get("amlc", "seed") is not None:
            paths.append(("amlc", "seed"))
        for path in paths:
            said = _or_jobs(f"bayesian sampling takes no '{path[-1]}'.", "Remove it.")
            yield config.problem(path, "E-sweep", said, key=True)


def _check_assessor(config: Config) -> Iterator[Problem]:
    if not assesses(config):
        return
    name = canonical_name(config, "assessor")
    if name != "Medianstop":
        key = "className" if is_own_class(config, "assessor") else "name"
        what = "of NNI's assessors, a sweep has Medianstop alone."
        said = replace(_or_jobs(what, "Use that, or remove it."), expected="Medianstop")
        yield config.problem(("assessor", key), "E-sweep", said)
    tuners, assessors = _mode(config, "tuner"), _mode(config, "assessor")
    if name == "Medianstop" and tuners and assessors and tuners != assessors:
        what = f"a sweep has one goal: the tuner is to {tuners}, the assessor to {assessors}."
        hint = f"Set for example `optimize_mode: {tuners}` in the classArgs of both."
        said = replace(_or_jobs(what, hint), found=assessors, expected=tuners)
        yield config.problem(("assessor",), "E-sweep", said, key=True)


def _mode(config: Config, role: str) -> str | None:
    """Return the `optimize_mode` that a tuner or an assessor is given, or has by itself."""
    given = config.get(role, "classArgs", "optimize_mode")
    known = find(canonical_name(config, role), role)
    argument = known.arguments.get("optimize_mode") if known is not None else None
    found = given or (argument.default if argument is not None else None)
    return found if isinstance(found, str) else None


def _check_limits(config: Config, bounds: Sweeps) -> Iterator[Problem]:
    concurrency = config.get("trialConcurrency")
    if isinstance(concurrency, int) and concurrency > bounds.concurrency:
        what = f"a sweep has at most {bounds.concurrency} trials side by side, got {concurrency}."
        expected = f"at most {bounds.concurrency}"
        said = replace(_or_jobs(what, "Lower it."), found=str(concurrency), expected=expected)
        yield config.problem(("trialConcurrency",), "E-sweep", said)
    try:
        most_s = parse_time(config.get("maxExperimentDuration"))
    except (ValueError, TypeError, AttributeError):  # none, or one that is refused elsewhere
        return
    if most_s < bounds.least_s:
        text = f"a sweep takes at least {bounds.least_s} s, and ends then."
        yield config.warning(("maxExperimentDuration",), "W-sweep", text)


def _or_jobs(what: str, hint: str) -> Sentence:
    """Return the sentence for what jobs have, and sweeps have not."""
    return Sentence(what, f"{hint} {_JOBS}")
