"""`doctor`, `plan`, `submit`, `retry`, `run` and `cancel`: what has jobs run, or not."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Argument

from amlc.cli import completion
from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import (
    BACKEND,
    CANARY,
    EXISTING,
    EXPERIMENT,
    FILE,
    FORM,
    FORMATS,
    IN_PARALLEL,
    METRIC,
    NAMED,
    ON_END,
    PLAN_REPORT,
    REPORT,
    SET,
    SUBMIT,
    flag,
    format_,
    option,
    submit_options,
    with_form,
)
from amlc.errors import UsageError

if TYPE_CHECKING:
    from amlc.commands.options import Options
    from amlc.commands.seal import Seal


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


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no price.")
    return value


@command(
    EXPERIMENT,
    *SUBMIT,
    SET,
    CANARY,
    option(
        "--against",
        metavar="REV",
        help="How the files make other trials than those of this git revision.",
    ),
    option(
        "--price",
        type=click.FloatRange(0),
        callback=_finite,
        metavar="PRICE",
        help="What a node-hour costs. Default: amlc.prices.",
    ),
    option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Seal the plan: amlc submit --plan FILE does exactly this, or refuses.",
    ),
    PLAN_REPORT,
)
def plan(
    call: Invocation,
    /,
    experiment: str | None,
    against: str | None,
    price: float | None,
    output: Path | None,
    given: Mapping[str, str],
    **options: Any,
) -> Any:
    """Print what submit would do, what it may cost, and do nothing."""
    wanted = submit_options(**options)
    if against is None:
        return _plan(call, experiment, wanted, given, price=price, output=output)
    if output is not None:
        raise UsageError("--against compares, and makes no plan that could be sealed. Drop -o.")
    return _against(call, experiment, against, wanted, given)


def _plan(
    call: Invocation,
    experiment: str | None,
    options: Options,
    given: Mapping[str, str],
    *,
    price: float | None = None,
    output: Path | None = None,
) -> Any:
    from amlc.commands.plan import plan as run
    from amlc.display import plan as display
    from amlc.display.formats import nowhere

    manifest = call.manifest(experiment)
    for key, text in given.items():
        if manifest.header.given.get(key) != text:
            raise UsageError(
                f"--set {key}={text}: it was not compiled with that. "
                "Compile it first: amlc compile FILE --set …"
            )
    seal = output is not None
    found = run(manifest, options, folders=call.folders, price=price, seal=seal)
    call.answer |= display.whole(found, None)
    for text in found.expense.exceeded:
        call.found.append(nowhere(call.about, "E-budget", text))
    if output is not None:
        from amlc.commands.seal import write_seal

        write_seal(output, "".join(call.written("json")))
    if call.format == "markdown":
        call.console.print(display.markdown(found, None, found.header.experiment))
    elif call.format in ("text", "github", "azure"):
        display.show(found, call.console, call.folders)
    return found


def _against(
    call: Invocation,
    named: str | None,
    revision: str,
    options: Options,
    given: Mapping[str, str],
) -> None:
    from amlc.commands.against import against as run
    from amlc.commands.against import as_json
    from amlc.display import plan as display

    experiment, _ = call.experiment(named, options.backend, given)
    found = run(experiment, revision, folders=call.folders)
    call.answer["against"] = as_json(found)
    if call.format == "markdown":
        call.console.print(display.markdown(None, found, experiment.name))
    elif call.format in ("text", "github", "azure"):
        display.show_against(found, experiment.name, call.console)


@command(
    EXPERIMENT,
    *SUBMIT,
    CANARY,
    ON_END,
    option(
        "--plan",
        "sealed",
        type=EXISTING,
        metavar="FILE",
        help="Do exactly what this plan of amlc plan -o says, or nothing.",
    ),
    flag("--dry-run", help="The same as amlc plan."),
    REPORT,
)
def submit(
    call: Invocation,
    /,
    experiment: str | None,
    sealed: Path | None,
    dry_run: bool,
    **options: Any,
) -> Any:
    """Run what was not run yet, and what the tuner proposes from the results; go on where an
    earlier submit stopped.
    """
    given = submit_options(**options)
    if dry_run:
        call.command = "plan"
        return _plan(call, experiment, given, {})
    from amlc.commands.submit import submit as run

    seal = None
    if sealed is not None:
        seal, given = _unsealed(sealed, given)
        experiment = experiment or seal.experiment
    manifest = call.manifest(experiment)
    ran = run(manifest, given, folders=call.folders, listener=call.teller, seal=seal)
    if call.format != "text":
        from amlc.display import outcome

        call.cases += outcome.trials(ran.manifest, call.folders, call.about)
        call.answer["run"] = outcome.run_as_json(ran)
    return ran


def _unsealed(file: Path, given: Options) -> tuple[Seal, Options]:
    """Return the seal of a plan, and the options that it was made with."""
    from amlc.commands.options import Options
    from amlc.commands.seal import options_of, read_seal

    if given != Options(parallel=given.parallel):
        raise UsageError("--plan: the plan says how to submit. Leave out the other options.")
    seal = read_seal(file)
    return seal, options_of(seal, parallel=given.parallel)


@command(
    Argument(["trials"], nargs=-1, required=True, shell_complete=completion.trials),
    NAMED,
    BACKEND,
    IN_PARALLEL,
    ON_END,
)
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
    FORM,
    SET,
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
    form: str | None,
    learn_from: Path | None,
    metric: str | None,
    format_: str,
    given: Mapping[str, str],
    **options: Any,
) -> Any:
    """Compile, submit, wait, and write the results to stdout; a tuner that learns proposes
    trials on the way.
    """
    from amlc.commands.run import run as run_all
    from amlc.display import results
    from amlc.exit_codes import exit_code
    from amlc.plan import adaptive

    wanted = submit_options(**options)
    experiment = call.load(file, wanted.backend, with_form(given, form))
    ran = run_all(
        experiment,
        wanted,
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
    Argument(["trials"], nargs=-1, shell_complete=completion.trials),
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
