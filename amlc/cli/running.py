"""`doctor`, `plan`, `submit`, `retry`, `run` and `cancel`: what has jobs run, or not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Argument

from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import (
    BACKEND,
    EXPERIMENT,
    FILE,
    FORMATS,
    IN_PARALLEL,
    METRIC,
    NAMED,
    ON_END,
    REPORT,
    SUBMIT,
    flag,
    format_,
    option,
    submit_options,
)
from amlc.errors import UsageError

if TYPE_CHECKING:
    from amlc.commands.options import Options


@command(EXPERIMENT, BACKEND, REPORT)
def doctor(call: Invocation, /, experiment: str | None, backend: str | None) -> Any:
    """Check that all is there that the experiment needs to run, and say what to do about what is
    not.
    """
    from amlc.commands.doctor import doctor as run

    checks = []
    # Each as it comes: a check may wait for the network.
    for check in run(call.manifest(experiment), backend=backend, folders=call.folders):
        verdict = "failed" if not check.is_well else "warned" if check.is_warned else "ok"
        call.console.write(f"{verdict:6}  {check.name}: {check.text}")
        sys.stdout.flush()
        checks.append(check)
    if call.format != "text":
        from amlc.display import outcome

        call.cases += outcome.checks(checks, call.about)
        call.answer["checks"] = outcome.checks_as_json(checks)
    return checks


@command(EXPERIMENT, *SUBMIT, REPORT)
def plan(call: Invocation, /, experiment: str | None, **options: Any) -> None:
    """Print what submit would do, and do nothing."""
    _plan(call, experiment, submit_options(**options))


def _plan(call: Invocation, experiment: str | None, options: Options) -> None:
    from amlc.commands.plan import plan as run
    from amlc.display import plan as display

    manifest = call.manifest(experiment)
    display.show(
        run(manifest, options, folders=call.folders), manifest.header, call.console, call.folders
    )


@command(EXPERIMENT, *SUBMIT, ON_END, flag("--dry-run", help="The same as amlc plan."), REPORT)
def submit(call: Invocation, /, experiment: str | None, dry_run: bool, **options: Any) -> Any:
    """Run what was not run yet, and what the tuner proposes from the results; go on where an
    earlier submit stopped.
    """
    given = submit_options(**options)
    if dry_run:
        return _plan(call, experiment, given)
    from amlc.commands.submit import submit as run

    ran = run(call.manifest(experiment), given, folders=call.folders, listener=call.teller)
    if call.format != "text":
        from amlc.display import outcome

        call.cases += outcome.trials(ran.manifest, call.folders, call.about)
        call.answer["run"] = outcome.run_as_json(ran)
    return ran


@command(Argument(["trials"], nargs=-1, required=True), NAMED, BACKEND, IN_PARALLEL, ON_END)
def retry(
    call: Invocation,
    /,
    trials: tuple[str, ...],
    experiment: str | None,
    backend: str | None,
    parallel: int,
) -> Any:
    """Run trials again, whatever became of them. TRIALS are numbers, or starts of ids."""
    from amlc.commands.options import Options
    from amlc.commands.submit import submit as run

    options = Options(backend=backend, only=trials, parallel=parallel)
    return run(call.manifest(experiment), options, folders=call.folders, listener=call.teller)


@command(
    FILE,
    *SUBMIT,
    ON_END,
    option(
        "--from",
        "learn_from",
        type=click.Path(exists=True, path_type=Path),
        metavar="RESULTS",
        help="Let the tuner learn from these first: any file or folder that amlc import takes.",
    ),
    METRIC,
    format_(FORMATS, "csv"),
)
def run(
    call: Invocation,
    /,
    file: Path,
    learn_from: Path | None,
    metric: str | None,
    format_: str,
    **options: Any,
) -> Any:
    """Compile, submit, wait, and write the results to stdout; a tuner that learns proposes
    trials on the way.
    """
    from amlc.commands.run import run as run_all
    from amlc.display import results
    from amlc.exit_codes import exit_code
    from amlc.plan import adaptive

    given = submit_options(**options)
    experiment = call.load(file, given.backend)
    ran = run_all(
        experiment,
        given,
        folders=call.folders,
        learn_from=learn_from,
        metric=metric,
        listener=call.teller,
    )
    learns = adaptive(experiment)
    end = results.show_collected(
        ran.manifest, call.console, call.folders, format_=format_, numbers=learns
    )
    if not end.complete and exit_code("run", ran) == 0:  # else what was submitted has said why
        raise results.incomplete(end, ran.manifest, call.folders)
    return ran


@command(
    Argument(["trials"], nargs=-1),
    NAMED,
    flag("--all", "everything", help="All jobs, and what a running submit has not submitted yet."),
)
def cancel(
    call: Invocation, /, trials: tuple[str, ...], experiment: str | None, everything: bool
) -> None:
    """Cancel the jobs of TRIALS, each a trial's number or the start of its id."""
    from amlc.commands.cancel import cancel as run

    if everything == bool(trials):
        raise UsageError(
            "name the trials to cancel, such as `amlc cancel 7`, or give --all for the whole "
            "experiment."
        )
    named = None if everything else trials
    run(call.manifest(experiment), named, folders=call.folders, listener=call.teller)
