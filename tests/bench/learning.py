"""What `amlc run` does between a result and the job that it lets follow, but for the back end's own work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from amlc.attempts import fold
from amlc.config import load_experiment
from amlc.experience import Experience
from amlc.ledger import open_ledger
from amlc.manifest import read_manifest
from amlc.proposals import following
from tests.bench import experiment
from tests.bench.measure import BARE_NAME, Effort, Row, bare, compared, here

REPEATS = 20


def rows(effort: Effort) -> Iterator[Row]:
    for count, most_ms in ((1_000, 50), (10_000, 250)):
        with experiment.new_folder():
            yield _next_trial(effort.of(count), most_ms)


def _next_trial(count: int, most_ms: float) -> Row:
    experiment.write(count)
    experiment.compile_()
    experiment.pretend_all_ran()
    experiment.write(count + REPEATS + 1, tuner="TPE", concurrency=1)
    experiment.compile_()  # and with it the first of those that follow
    loaded, _ = load_experiment(Path("experiment.yml"), environ=os.environ)
    with open_ledger(experiment.LEDGER) as ledger:
        attempts = fold(ledger.events())
        manifest = read_manifest(Path("build/bench"))
        entries = list(manifest.entries())[count:]
        more = following(loaded, manifest, Experience(ledger, replicates=loaded.replicates), abreast=1)
        costs = []
        for _ in range(REPEATS + 1):
            (entry,) = entries
            before = ledger.append([])
            ledger.append(experiment.success(entry, manifest), [experiment.result(entry)], job=entry.name)
            fold(ledger.events(after=before), attempts)

            def propose() -> None:
                nonlocal entries
                entries = more(attempts, 1)

            costs.append(here(propose))
    first, *others = costs  # the first one reads all results
    pairs = [(cost, bare()) for cost in others]
    what = f"the next trial of TPE behind {count:,} others"
    return compared(what, pairs, BARE_NAME, goal={"ms": most_ms}, others={"ms for the first": first.wall_s * 1e3})
