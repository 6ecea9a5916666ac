"""Sweep jobs: children `<sweep>_<n>`, each of which runs one point of the search space as a job of its own."""

import json
import math
import random
import re
import threading
from collections.abc import Iterator
from itertools import product
from statistics import median

from tests.azure.jobs import Job

_TICK_S = 0.02
# What the documentation says that Azure ML draws.
_DRAWS = {
    "choice": lambda rng, options: rng.choice(options),
    "randint": lambda rng, upper: rng.randrange(upper),
    "uniform": lambda rng, low, high: rng.uniform(low, high),
    "loguniform": lambda rng, low, high: math.exp(rng.uniform(low, high)),
    "normal": lambda rng, mu, sigma: rng.gauss(mu, sigma),
    "lognormal": lambda rng, mu, sigma: math.exp(rng.gauss(mu, sigma)),
}
_PARAMETER = re.compile(r"\$\{\{\s*search_space\.(\w+)\s*\}\}")


class Sweeps:
    """Makes the children of sweeps, and ends those that an early termination gives up. What is not known of the service
    is a knob.

    text: how a value is written for the trial. key: what becomes of a parameter's name in its environment variable.
    name: of child number n. sets_variables: whether there are such variables at all. tells_parameters: whether the
    service notes a child's parameters in its run. inherits_tags: whether children have the sweep's tags.
    """

    def __init__(self, emulator):
        self._emulator = emulator
        self.text = str
        self.key = str
        self.name = lambda sweep, number: f"{sweep}_{number}"
        self.sets_variables = True
        self.tells_parameters = True
        self.inherits_tags = False
        self.most_at_once: dict[str, int] = {}

    def submit(self, job: Job) -> None:
        threading.Thread(target=self._run, args=(job,), daemon=True, name="sweep").start()

    def children(self, sweep: str) -> list[Job]:
        """Return the children of a sweep in the order in which they were made."""
        return [job for job in self._emulator.jobs if job.properties.get("parentJobName") == sweep]

    def _run(self, sweep: Job) -> None:
        jobs = self._emulator.jobs
        if not (jobs.pass_phase(sweep, "Queued") and jobs.pass_phase(sweep, "Preparing")):
            jobs.enter(sweep, "Canceled")
            return
        jobs.enter(sweep, "Running")
        limits = sweep.properties["limits"]
        most = limits.get("maxConcurrentTrials") or 1
        points = _points(sweep, limits["maxTotalTrials"])
        while not self._emulator.is_stopped:
            children = self.children(sweep.name)
            live = [child for child in children if not child.is_over]
            is_ending = sweep.is_canceled or sweep.is_over
            if is_ending:
                for child in live:
                    if not child.is_canceled:
                        self._emulator.cancel(child)
            elif len(live) < most and (point := next(points, None)) is not None:
                self._begin(sweep, len(children), point)
                self.most_at_once[sweep.name] = max(self.most_at_once.get(sweep.name, 0), len(live) + 1)
                continue
            elif not live:
                failed = children and all(child.status == "Failed" for child in children)
                jobs.enter(sweep, "Failed" if failed else "Completed")
                return
            if is_ending and not live:
                jobs.enter(sweep, "Canceled")
                return
            self._give_up(sweep, children)
            threading.Event().wait(_TICK_S)

    def _begin(self, sweep: Job, number: int, point: dict) -> None:
        given, inner = sweep.properties, sweep.properties["trial"]
        texts = {name: self.text(value) for name, value in point.items()}
        variables = {f"AZUREML_SWEEP_{self.key(name)}": text for name, text in texts.items()}
        properties = {
            "jobType": "Command",
            "parentJobName": sweep.name,
            "experimentName": sweep.experiment,
            **{name: inner[name] for name in ("codeId", "environmentId", "distribution", "resources") if inner.get(name)},
            **{name: given[name] for name in ("computeId", "inputs", "outputs", "identity") if given.get(name)},
            "command": _PARAMETER.sub(lambda match: texts[match[1]], inner["command"]),
            "environmentVariables": {
                **(inner.get("environmentVariables") or {}),
                **(variables if self.sets_variables else {}),
            },
            "limits": {"jobLimitsType": "Command", "timeout": given["limits"].get("trialTimeout")},
            "tags": dict(sweep.tags) if self.inherits_tags else {},
            "point": point,
        }
        child = Job(self.name(sweep.name, number), properties)
        self._emulator.jobs.add(child)
        self._emulator.accept(child)

    def tags(self, child: Job) -> dict[str, str]:
        """Return the tags that the service gives a child's run."""
        sweep = child.properties.get("parentJobName")
        if sweep is None:
            return {}
        told = {"hyperparameters": json.dumps(child.properties["point"])} if self.tells_parameters else {}
        return {"mlflow.parentRunId": sweep, "mlflow.rootRunId": sweep, **told}

    def _give_up(self, sweep: Job, children: list[Job]) -> None:
        """Cancel the children that are worse than the median of the running averages of all others."""
        policy = sweep.properties.get("earlyTermination")
        if policy is None:
            return
        assert policy["policyType"] == "MedianStopping"
        objective = sweep.properties["objective"]
        sign = 1 if objective["goal"].lower() == "maximize" else -1
        runs = self._emulator.runs
        curves = {
            child: [sign * entry["value"] for entry in runs.get(child.name).metrics.get(objective["primaryMetric"], [])]
            for child in children
        }
        for child, curve in curves.items():
            count = len(curve)
            others = [other[:count] for job, other in curves.items() if job is not child and len(other) >= count]
            if child.is_over or child.is_canceled or count <= policy["delayEvaluation"] or not others or not count:
                continue
            if max(curve) < median(sum(other) / count for other in others):
                self._emulator.cancel(child)


def _points(sweep: Job, most: int) -> Iterator[dict]:
    """Yield the points of a sweep: of a grid each one, in no order that anybody promises, else draws."""
    space = sweep.properties["searchSpace"]
    kind = sweep.properties["samplingAlgorithm"]["samplingAlgorithmType"]
    if kind != "Grid":
        allowed = {"Bayesian": ("choice", "uniform", "quniform"), "Random": tuple(_DRAWS)}[kind]
        assert all(name in allowed for name, _ in space.values()), space
        rng = random.Random(sweep.properties["samplingAlgorithm"].get("seed", sweep.name))
        for _ in range(most):
            yield {key: _DRAWS[name](rng, *arguments) for key, (name, arguments) in space.items()}
        return
    assert all(name == "choice" for name, _ in space.values()), space
    grid = [dict(zip(space, point, strict=True)) for point in product(*(options for _, [options] in space.values()))]
    random.Random(sweep.name).shuffle(grid)
    yield from grid[:most]
