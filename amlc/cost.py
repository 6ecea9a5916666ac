"""What trials cost: the hours that nodes worked for them, and what those hours cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who reads an experiment's file wants its prices alone
    from amlc.attempts import Attempt
    from amlc.manifest import Header
    from amlc.model import Experiment

_HOUR_S = 3600


def worst_hours(runs: int, *, trial_seconds: int, nodes: int) -> float:
    """Return the node-hours of so many runs of a trial, each as long as a trial may take."""
    return runs * trial_seconds * nodes / _HOUR_S


@dataclass(frozen=True, slots=True)
class Cost:
    """Node-hours, and the money for them at `amlc.prices`; None without a price."""

    node_hours: float
    money: float | None = None

    def __str__(self) -> str:
        hours = f"{self.node_hours:,.2f}" if self.node_hours >= 1 else f"{self.node_hours:.2g}"
        text = f"{hours} node-hours"
        return text if self.money is None else f"{text}, {self.money:,.2f} at amlc.prices"


def cost(attempts: Iterable[Attempt], header: Header, *, nodes: int, now: float) -> Cost:
    """Return what a trial cost: its share of all jobs that had it, on so many nodes each.

    Those count that ran on the back end which is compiled for, from their start to their end or,
    while they run, to `now` (seconds since the epoch). The trials of a job share it evenly.
    """
    hours = node_hours(attempts, header, nodes=nodes, now=now)
    return Cost(hours, None if header.price is None else hours * header.price)


def node_hours(attempts: Iterable[Attempt], header: Header, *, nodes: int, now: float) -> float:
    """Return the node-hours of `cost` alone, of which there may be a million to add."""
    seconds = 0.0
    for attempt in attempts:
        started, ended = attempt.latest.started, attempt.latest.ended
        if attempt.backend == header.backend and started is not None:
            end = ended or (now if attempt.working else started)
            seconds += max(0.0, end - started) / len(attempt.trials)
    return seconds * nodes / _HOUR_S


def price(experiment: Experiment) -> float | None:
    """Return what a node-hour costs by `amlc.prices`, None if they do not say."""
    prices = {name.casefold(): value for name, value in experiment.prices.items()}
    return next((prices[name] for name in machines(experiment) if name in prices), None)


def machines(experiment: Experiment) -> Iterator[str]:
    """Yield by which names a price may be given: the instance type, then the compute target."""
    job = experiment.job
    resources = job.get("resources") or {}
    compute = job.get("compute", experiment.target.job.compute)
    for name in (resources.get("instance_type"), compute):
        if isinstance(name, str):
            yield name.removeprefix("azureml:").casefold()
