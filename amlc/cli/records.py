"""`import`, `refresh`, `save` and `load`: what is on record, from elsewhere and for elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Argument

from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import BACKEND, EXISTING, EXPERIMENT, METRIC, option
from amlc.plural import plural

if TYPE_CHECKING:  # `amlc --version` has to answer at once
    from amlc.commands.import_ import Imported


@command(
    Argument(["results"], type=click.Path(exists=True, path_type=Path)),
    EXPERIMENT,
    BACKEND,
    METRIC,
    name="import",
)
def import_(
    call: Invocation,
    /,
    results: Path,
    experiment: str | None,
    backend: str | None,
    metric: str | None,
) -> None:
    """Take over trials that ended elsewhere: they are trials of the experiment from then on.

    RESULTS is NNI's folder of an experiment, its export as JSON or CSV, an Optuna study in SQLite,
    a table of Weights & Biases, or results (CSV, JSON) or a ledger of amlc's.
    """
    from amlc.commands.import_ import import_ as run

    taken, backend = call.experiment(experiment, backend)
    done = run(taken, results, folders=call.folders, metric=metric, backend=backend)
    known = f", {done.known} on record already" if done.known else ""
    left_out = f", left out: {done.left_out}" if done.left_out else ""
    new = plural(done.trials, "trial")
    call.console.note(f"{taken.name}: {new} imported{known}{left_out}{_room(done)}")


def _room(done: Imported) -> str:
    """Return how the trials stand to those that the experiment is to have."""
    header, trials = done.manifest.header, done.manifest.trials
    most = header.max_trials
    if done.beside:
        own = plural(trials - done.beside, "trial")
        return f"; beside the {own} of the experiment's own it has {done.beside:,} now"
    if header.search is None or most is None:
        return ""
    left = "the tuner proposes no more. Raise it to go on from them"
    if trials < most:
        left = f"{plural(most - trials, 'is', 'are')} left to propose"
    return f"; they count towards maxTrialNumber, {most:,}: {left}"


@command(
    EXPERIMENT,
    BACKEND,
    option(
        "--subscription-id",
        metavar="ID",
        help="The workspace's subscription, when nothing is compiled.",
    ),
    option("--resource-group", metavar="NAME", help="The workspace's resource group, likewise."),
    option("--workspace-name", metavar="NAME", help="The workspace, likewise."),
    option(
        "--config",
        type=EXISTING,
        help="The workspace's config.json, likewise. Default: config.json, .azureml/.",
    ),
)
def refresh(
    call: Invocation,
    /,
    experiment: str | None,
    backend: str | None,
    config: Path | None,
    **where: Any,
) -> None:
    """Rebuild a lost or damaged ledger from the Azure ML workspace, and the build folder too
    when it is gone; that of an experiment on this machine from its run folders.
    """
    from amlc.commands.refresh import refresh as run

    where["config"] = str(config) if config else None  # the other options go by their own names
    call.console.note(run(experiment, backend=backend, where=where, folders=call.folders))


@command(Argument(["archive"], type=click.Path(dir_okay=False, path_type=Path)), EXPERIMENT)
def save(call: Invocation, /, archive: Path, experiment: str | None) -> None:
    """Write the experiment with all that it has into one file: build folder, ledger, outputs, and
    its own files. ARCHIVE is the file, such as experiment.tar.gz.
    """
    from amlc.commands.archive import save as run

    manifest = call.manifest(experiment)
    header, made_of = manifest.header, None
    if manifest.source:
        made_of = call.load(manifest.source, header.backend, header.given)
    done = run(manifest, made_of, archive, folders=call.folders)
    for path in done.outside[:1]:
        more = f" and {len(done.outside) - 1} more" if len(done.outside) > 1 else ""
        call.console.warn(f"{path}{more}: outside of this folder, and left out.")
    call.console.note(f"{archive}: {done.experiment}, {plural(done.files, 'file')}")


@command(
    Argument(["archive"], type=EXISTING),
    option(
        "--max-gb",
        type=click.IntRange(1),
        default=20,
        show_default=True,
        help="How much it may unpack to.",
    ),
)
def load(call: Invocation, /, archive: Path, max_gb: int) -> None:
    """Unpack what amlc save wrote into this folder; nothing that is there is replaced."""
    from amlc.commands.archive import load as run

    done = run(archive, folders=call.folders, most_bytes=max_gb * 10**9)
    source = f" ({os.path.relpath(done.source)})" if done.source else ""
    call.console.note(f"{done.manifest.header.experiment}: {done.verdict}{source}")
