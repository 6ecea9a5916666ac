"""How many trials a job runs: as the file says, or so many that starting it hardly counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from amlc.catalogue import find
from amlc.config.algorithms import canonical_name, is_own_class, is_set
from amlc.config.durations import parse_time
from amlc.config.spelling import Config
from amlc.errors import Problem
from amlc.model import JobPart, Space
from amlc.space.points import combinations
from amlc.space.size import most_bytes

AUTO: Final = "auto"
START_S: Final = 180
"""How long a job takes to start on a node that is there: image, snapshot, mounts."""

_SHARE: Final = 0.1
"""Of a job's time, what its start may take."""

_MOST: Final = 100
"""Trials of a job: what is lost with a node, and what nobody sees before the job is over."""

_MOST_BYTES: Final = 400_000
"""Of the parameters of a job's trials, which are variables of its environment."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How trials fall into jobs.

    size: trials of a job. abreast: how many of them run side by side, None: as many as there is
    room for. start_s: of a job, in seconds; None: the user has packed the trials.
    """

    size: int = 1
    abreast: int | None = None
    start_s: int | None = None


def packing(config: Config, space: Space, part: JobPart) -> Packing:
    """Return how the trials of an experiment are packed.

    By itself, where `trialsPerJob` is `auto` or trials may share a GPU that a job has for itself
    (with a target elsewhere): as wide as the GPUs of a node allow, and so many one after the other
    that the start is a tenth of a job's time at the most, if each takes `maxTrialDuration`. Not
    more than leave work for all that may run at once; and of a tuner that learns only as many as
    run side by side, since it is to see results soon. Trials that single ends are for (an assessor,
    ASHA, an Advisor) are not packed.
    """
    given = config.get("amlc", "trialsPerJob")
    if isinstance(given, int):
        return Packing(given)
    per_gpu = config.get("trainingService", "maxTrialNumberPerGpu") or 1
    gpus = config.get("trialGpuNumber") or 0
    shares = part.uploads and gpus > 0 and per_gpu > 1
    if given != AUTO and not shares:
        return Packing()
    start_s = _start_s(config, part)
    if _are_apart(config) or not start_s:
        return Packing()
    node = config.get("amlc", "gpusPerNode") or part.gpus or gpus
    concurrency = config.get("trialConcurrency")
    width = min(max(node * per_gpu // gpus, 1) if gpus else 1, concurrency)
    most = max(_MOST_BYTES // max(most_bytes(space), 1), 1)
    width = min(width, most, _MOST)
    trials = _trials(config, space)
    at_once = max(concurrency // width, 1)
    depth = _depth(config, start_s)
    if trials is not None:
        width = min(width, max(trials, 1))
        depth = min(depth, max(trials // (width * at_once), 1))
    depth = min(depth, max(min(most, _MOST) // width, 1))
    return Packing(width * depth, width, start_s) if width * depth > 1 else Packing()


def check_packing(config: Config) -> Iterator[Problem]:
    """Yield why `trialsPerJob: auto` packs nothing, where that is not what was meant."""
    path = ("amlc", "trialsPerJob")
    if config.get(*path) != AUTO:
        return
    if _are_apart(config):
        text = "'trialsPerJob: auto' packs nothing: single trials of this experiment may be ended "
        yield config.note(path, "W-no-effect", f"{text}early. Remove it.")
    elif config.get("maxTrialDuration") is None and ("maxTrialDuration",) not in config.broken:
        text = "'trialsPerJob: auto' packs no trials one after the other: without "
        text += "'maxTrialDuration' nobody knows how long they take. Set it, for example 5m."
        yield config.note(path, "W-no-effect", text)


def _start_s(config: Config, part: JobPart) -> int:
    """Return how long a job takes to start: hardly any time on this machine."""
    given = config.get("amlc", "jobStart")
    if given is None:
        return START_S if part.uploads else 0
    return parse_time(given)


def _are_apart(config: Config) -> bool:
    """Tell whether something may end single trials, which a job of several cannot."""
    tuner = canonical_name(config, "tuner")
    return is_set(config, "assessor") or tuner == "ASHA" or is_own_class(config, "tuner")


def _depth(config: Config, start_s: int) -> int:
    """Return how many trials of a job run one after the other."""
    known = find(canonical_name(config, "tuner"), "tuner")
    limit = config.get("maxTrialDuration")
    if limit is None or known is None or known.adaptive:
        return 1
    return max(math.ceil(start_s * (1 - _SHARE) / _SHARE / parse_time(limit)), 1)


def _trials(config: Config, space: Space) -> int | None:
    """Return how many trials there may be, None if nobody knows."""
    limit = config.get("maxTrialNumber")
    found = combinations(space) if canonical_name(config, "tuner") != "Batch" else None
    counts = [limit] if limit is not None else []
    if found is not None:
        counts.append(found * (config.get("amlc", "replicates") or 1))
    return min(counts, default=None)
