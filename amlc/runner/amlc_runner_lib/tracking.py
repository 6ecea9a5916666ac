"""Say in MLflow's words what the trials were given and what they reported."""

import json
import re
import time

from .metrics import LARGEST_SEQUENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .children import Children
    from .job import Trial
    from .metrics import Metric
    from .mlflow import Sender

METRIC_NAMES = 50  # a run; Azure ML's limit
RESULTS_TAG = "amlc.results"
END_TAG = "amlc.end"
TRIAL_TAG = "amlc.trial"
DRAWN_TAG = "amlc.drawn"
MOST_TAGS = {DRAWN_TAG: 20, RESULTS_TAG: 10}  # that a text may take, of the 50 that a run has
TAG_LENGTH = 1000  # Azure ML's limit
PARAM_LENGTH = 500
KEY_LENGTH = 250


class Tracker:
    """Log the parameters and metrics of all trials to one MLflow run; nothing here fails a trial.

    is_prefixed: names begin with the trial's id. children: runs of the single trials, beside it.
    """

    def __init__(
        self, sender: "Sender", *, is_prefixed: bool, children: "Children | None" = None
    ) -> None:
        self._sender = sender
        self._children = children
        self._is_prefixed = is_prefixed
        self._next_step: dict[str, int] = {}
        self._metric_keys: set[str] = set()
        self._results: dict[str, dict[str, Any]] = {}

    def log_name(self, trial: "Trial") -> None:
        """Say at once which trial it is: the job's own name does not."""
        self._sender.add("marks", {"key": TRIAL_TAG, "value": trial.id})

    def log_drawn(self, trial: "Trial") -> None:
        """Say which parameters the trial has, which nobody else knows.

        Where that takes too many tags, its parameter.cfg says it.
        """
        record = {"id": trial.id, "sequence": trial.sequence, "parameters": trial.parameters}
        self._add_text("marks", DRAWN_TAG, json.dumps(record, separators=(",", ":")))

    def log_parameters(self, trial: "Trial") -> None:
        """Log the leaves of a trial's parameters."""
        try:
            leaves = []
            for name, value in flatten(trial.parameters):
                leaves.append((name, value if isinstance(value, str) else json.dumps(value)))
        except RecursionError:
            return
        for name, text in leaves:
            self._sender.add(
                "params", {"key": self._key(trial, name), "value": text[:PARAM_LENGTH]}
            )
        if self._children:
            entries = [(mlflow_name(name), text[:PARAM_LENGTH]) for name, text in leaves]
            self._children.begin(trial, [{"key": key, "value": text} for key, text in entries])

    def log_metric(self, trial: "Trial", metric: "Metric", now: float) -> None:
        """Log what MLflow can hold of a metric; note for the tag what that does not tell."""
        kind, sequence, value = metric
        # MLflow shows the value with the highest step as the last one: that has to be the final
        # result.
        step = self._next_step.get(trial.id, 0) if kind == "final" else sequence
        following = max(self._next_step.get(trial.id, 0), step + 1)
        self._next_step[trial.id] = min(following, LARGEST_SEQUENCE)
        nothing: dict[str, Any] = {
            "final": [],
            "step": None,
            "names": [],
            "integers": [],
            "whole": True,
        }
        result = self._results.setdefault(trial.id, nothing)
        reported = value if isinstance(value, dict) else {"default": value}
        names = []
        for name, number in numbers_in(value):
            key, at = self._key(trial, name), int(now * 1000)
            if self._children:
                entry = {"key": mlflow_name(name), "value": number, "timestamp": at, "step": step}
                self._children.report(trial, entry)
            if key not in self._metric_keys and len(self._metric_keys) == METRIC_NAMES:
                continue
            self._metric_keys.add(key)
            self._sender.add(
                "metrics", {"key": key, "value": number, "timestamp": at, "step": step}
            )
            names.append(key[len(trial.id) + 1 :] if self._is_prefixed else key)
            if not _note_number(result, names[-1], reported[name]):
                result["whole"] = False
        if names != list(reported):
            result["whole"] = False
        if kind == "final":
            result["final"], result["step"] = [value], step

    def end(self, trial: "Trial") -> None:
        """Tell how a trial ended, where it has a run of its own."""
        if self._children:
            self._children.end(trial)

    def close(self, exit_code: "int | None", *, is_hurried: bool) -> None:
        """Send the tags and what is left, for a few seconds at most.

        exit_code: the runner's, None while it is not certain. is_hurried: the runner has to stop.
        """
        if self._children:
            self._children.close(is_hurried=is_hurried)
        try:
            text = json.dumps(self._results, separators=(",", ":"))
        except RecursionError:
            text = ""
        if not 0 < len(text) <= MOST_TAGS[RESULTS_TAG] * TAG_LENGTH:
            text = "null"  # or what an earlier start of this job said would still stand
        if self._results:
            self._add_text("tags", RESULTS_TAG, text)
        if exit_code is not None:
            end = json.dumps({"exit_code": exit_code, "at": time.time()})
            self._sender.add("tags", {"key": END_TAG, "value": end})
        self._sender.close(is_hurried=is_hurried)

    def _add_text(self, kind: str, tag: str, text: str) -> None:
        """Send a text in as many tags as it takes, or not at all where these are too many."""
        parts = [text[start : start + TAG_LENGTH] for start in range(0, len(text), TAG_LENGTH)]
        if len(parts) <= MOST_TAGS[tag]:
            for number, part in enumerate(parts):
                key = f"{tag}.{number}" if number else tag
                self._sender.add(kind, {"key": key, "value": part})

    def _key(self, trial: "Trial", name: str) -> str:
        return mlflow_name(f"{trial.id}/{name}" if self._is_prefixed else name)


def mlflow_name(name: str) -> str:
    """Return the name of a parameter or metric as MLflow takes it."""
    key = re.sub(r"[^A-Za-z0-9_./ -]", "_", name)
    # MLflow refuses names that are not plain relative paths.
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts or key.startswith(".."):
        key = key.replace("/", "_").replace("..", "__") or "_"
    return key[:KEY_LENGTH] if key != "." else "_"


def _note_number(result: "dict[str, Any]", name: str, number: "int | float") -> bool:
    """Note the name of a metric; return whether its numbers can be told from MLflow's.

    MLflow makes floats of them, and of True and False.
    """
    is_integer = isinstance(number, int)
    if name not in result["names"]:
        result["names"].append(name)
        if is_integer:
            result["integers"].append(name)
    is_exact = not isinstance(number, bool) and number == float(number)
    return is_exact and is_integer == (name in result["integers"])


def flatten(parameters: "Mapping[str, Any]", prefix: str = "") -> "Iterator[tuple[str, Any]]":
    """Yield (dotted name, value) for the leaves of nested parameters."""
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, prefix + name + ".")
        else:
            yield prefix + name, value


def numbers_in(value: "Any") -> "Iterator[tuple[str, float]]":
    """Yield (name, float) for what MLflow can hold of a metric: finite numbers, True as 1."""
    for name, number in value.items() if isinstance(value, dict) else [("default", value)]:
        if not isinstance(number, (int, float)):
            continue
        try:
            size = float(number)
        except OverflowError:
            continue
        if size - size == 0.0:  # false for NaN and the infinities
            yield name, size
