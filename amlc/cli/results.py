"""`collect`, `best`, `report` and `download`: what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from click import Argument

from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import EXPERIMENT, FORMATS, NAMED, flag, format_, option
from amlc.errors import UsageError


@command(
    EXPERIMENT,
    format_(FORMATS, "csv"),
    flag("--history", help="One row for each intermediate result instead of each trial."),
    option(
        "--aggregate",
        metavar="FUNCTION,…",
        help=(
            "One row for each parameter set with these of its results: mean, std, min, max, count."
        ),
    ),
    option(
        "--as",
        "kind",
        type=click.Choice(["nni-json", "nni-csv"]),
        help="What nnictl experiment export writes; with --history, what it writes with -i.",
    ),
    flag("--cost", help="With the node-hours of each trial and, by amlc.prices, what they cost."),
    option(
        "--to",
        type=(click.Choice(["mlflow", "wandb", "tensorboard"]), str),
        metavar="VIEWER WHERE",
        help=(
            "Write no table: make each trial a run of mlflow, at a server's address, or of wandb "
            "or tensorboard, in a folder; those that are there are brought up to date."
        ),
    ),
)
def collect(
    call: Invocation,
    /,
    experiment: str | None,
    format_: str,
    history: bool,
    aggregate: str | None,
    kind: str | None,
    cost: bool,
    to: tuple[str, str] | None,
) -> None:
    """Write the results to stdout: one row for each compiled trial, whatever became of it."""
    from amlc.display import results
    from amlc.replicates import functions

    if history and aggregate is not None:
        raise UsageError("--history and --aggregate are two tables: give one of them.")
    if kind is not None and aggregate is not None:
        raise UsageError(f"--as {kind}: NNI aggregates nothing. Leave out --aggregate.")
    if cost and (history or aggregate is not None or kind is not None):
        raise UsageError("--cost is of trials: not with --history, --aggregate or --as.")
    if to is not None and (history or aggregate is not None or kind is not None or cost):
        raise UsageError(
            "--to sends all that is known: not with --history, --aggregate, --as or --cost."
        )
    chosen = functions(aggregate) if aggregate is not None else ()
    manifest = call.manifest(experiment)
    if to is not None:
        end = results.show_sent(manifest, call.console, call.folders, viewer=to[0], place=to[1])
        if not end.complete:
            text = "What there is was sent"
            raise results.incomplete(end, manifest, call.folders, written=text)
        return
    if kind is not None:
        end = results.show_exported(
            manifest, call.console, call.folders, kind=kind, history=history
        )
    else:
        end = results.show_collected(
            manifest,
            call.console,
            call.folders,
            format_=format_,
            history=history,
            aggregate=chosen,
            costs=cost,
        )
    if not end.complete:
        raise results.incomplete(end, manifest, call.folders)


@command(
    EXPERIMENT,
    option(
        "--optimize-mode",
        type=click.Choice(["maximize", "minimize"]),
        help="Default: the tuner's optimize_mode, or the assessor's.",
    ),
    flag("--job", help="Print the name of its job instead, such as Azure ML takes for a model."),
)
def best(call: Invocation, /, experiment: str | None, optimize_mode: str | None, job: bool) -> None:
    """Print the best trial's parameters as JSON."""
    from amlc.commands.collect import best as run
    from amlc.display import results

    manifest = call.manifest(experiment)
    found = run(manifest, folders=call.folders, mode=optimize_mode)
    if job:
        results.show_best_job(found, call.console)
        return
    results.show_best(found, manifest.header.experiment, call.console)


@command(EXPERIMENT)
def report(call: Invocation, /, experiment: str | None) -> None:
    """Write the results to stdout as one HTML page with charts: amlc report > report.html."""
    from amlc.display import results

    results.show_report(call.manifest(experiment), call.console, call.folders)


@command(
    Argument(["which"], nargs=-1, metavar="[TRIAL] [PATH]"),
    NAMED,
    flag("--best", "is_best", help="Those of the best trial; TRIAL is left out then."),
)
def download(
    call: Invocation, /, which: Sequence[str], experiment: str | None, is_best: bool
) -> None:
    """Fetch the outputs of a trial into the folder PATH, and print where they are. TRIAL is its
    number, or the start of its id. Started again, it goes on where it stopped.
    """
    from amlc.commands import download as command
    from amlc.commands.collect import best as run
    from amlc.display import downloading, results

    if not 1 <= len(which) + is_best <= 2:
        raise UsageError(
            "name a trial and perhaps a folder, such as `amlc download 7 model`, or "
            "`amlc download --best model`."
        )
    manifest, to = call.manifest(experiment), None
    if len(which) + is_best == 2:
        *which, to = which
    if is_best:
        best_one = run(manifest, folders=call.folders)
        results.tell_doubts(best_one, call.console)
        row = best_one.row
    else:
        row = command.trial_named(manifest, which[0], folders=call.folders)
    with downloading.watching(call.console) as watch:
        place = Path(to) if to else None
        found = command.download(manifest, row, place, folders=call.folders, watch=watch)
    downloading.show(found, call.console)
