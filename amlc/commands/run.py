"""`amlc run`: compile, submit and follow an experiment to its end.

What later trials are, earlier results decide.
"""

from __future__ import annotations

import time
from pathlib import Path

from amlc import lint
from amlc.catalogue import find
from amlc.commands.compile import compile_ahead
from amlc.commands.options import Options
from amlc.commands.steps import NOBODY, Learnt, Listener, Run
from amlc.commands.submit import submit_locked
from amlc.errors import UsageError
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import check_not_lost, open_ledger
from amlc.manifest import read_manifest
from amlc.model import Experiment
from amlc.plan import learns
from amlc.warm_start import read_results_from, record_results


def run(
    experiment: Experiment,
    options: Options,
    *,
    folders: Folders,
    learn_from: Path | None = None,
    metric: str | None = None,
    listener: Listener = NOBODY,
) -> Run:
    """Compile the experiment and do what `submit` does.

    learn_from: results of earlier trials for the tuner; metric: the column with them, if they do
    not say. Killed at any point and called again it goes on: all that it knows is in the ledger.
    """
    folders.prepare_state()
    with lock(folders.lock(experiment.name), patience_s=PATIENCE_S):
        is_compiled = folders.is_compiled(experiment.name)
        check_not_lost(folders.ledger(experiment.name), is_compiled=is_compiled)
        if learn_from is not None:
            listener.tell(_learn(experiment, learn_from, metric, folders))
        for problem in lint.warnings(experiment, leave_out=[folders.state, folders.build]):
            listener.tell(problem)
        build = compile_ahead(
            experiment, backend=options.backend, rounds=options.rounds, folders=folders
        )
        listener.tell(build)
        # Under the same lock: another compile in between would submit other trials than were told.
        manifest = read_manifest(build.folder)
        return submit_locked(manifest, experiment, options, folders=folders, listener=listener)


def _learn(experiment: Experiment, path: Path, metric: str | None, folders: Folders) -> Learnt:
    known = find(experiment.tuner.name, "tuner")
    if not learns(experiment) or (known is not None and not known.recalls):
        of = "results of elsewhere" if learns(experiment) else "results"
        raise UsageError(
            f"--from {path}: the tuner {experiment.tuner.name} does not learn from {of}. "
            "Leave it out."
        )
    if experiment.sampling is not None:
        raise UsageError(
            f"--from {path}: the platform of this sweep draws the trials, and takes no results. "
            "Leave it out, or compile jobs: `amlc.target: jobs`."
        )
    is_known = experiment.space or experiment.tuner.name is not None
    space = experiment.space if is_known else None
    wants = "" if known is None else known.wants
    results = read_results_from(path, space, name=experiment.name, metric=metric, wants=wants)
    with open_ledger(folders.ledger(experiment.name)) as ledger:
        is_new = record_results(ledger, results, at=time.time())
    return Learnt(path, len(results.rows), is_new, results.left_out)
