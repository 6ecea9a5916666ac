"""The command line: the only place that prints errors and exits."""

from __future__ import annotations

import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click import Argument

from amlc import __version__
from amlc.cli_options import (
    BACKEND,
    EXISTING,
    EXPERIMENT,
    FILE,
    FOLDER,
    FORMATS,
    IN_PARALLEL,
    METRIC,
    NAMED,
    QUIET,
    SUBMIT,
    flag,
    format_,
    option,
    submit_options,
)
from amlc.errors import AmlcError, UsageError
from amlc.exit_codes import exit_code
from amlc.invocation import Invocation, say

if TYPE_CHECKING:
    from amlc.commands.options import Options

# The commands are imported when they run: `amlc --version` and `--help` have to answer at once.


class _Command(click.Command):
    """A command that takes `-q` too, and leaves its name for who has to give advice."""

    def invoke(self, context: click.Context) -> Any:
        call = context.find_object(Invocation)
        if call is not None:
            given = context.params.get("experiment") or context.params.get("file")
            call.command, call.given = self.name or "", str(given) if given else None
        return super().invoke(context)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option(
    "--build",
    type=FOLDER,
    default=Path("build"),
    show_default=True,
    envvar="AMLC_BUILD",
    help="The folder of compiled experiments.",
)
@click.option(
    "--state",
    type=FOLDER,
    default=Path(".amlc"),
    show_default=True,
    envvar="AMLC_STATE",
    help="The folder of ledgers and local runs.",
)
@click.pass_obj
def main(call: Invocation, /, build: Path, state: Path) -> None:
    """Compile NNI experiment files into Azure ML jobs, run them, and gather the metrics.

    EXPERIMENT is an experiment file or the name of a compiled one; with exactly one compiled, leave
    it out.

    \b
    Exit codes: 0 ok · 1 problems found, or a trial failed · 2 wrong usage ·
    3 --check found a difference · 4 results incomplete ·
    5 back end, sign-in or network · 130 interrupted
    """  # noqa: D301 - click reads the backspace as: leave these lines as they are
    call.place(build, state)


main.params.append(QUIET)


def _command(
    *params: click.Parameter, name: str | None = None
) -> Callable[[Callable[..., Any]], _Command]:
    """Make a command of a function: its docstring is the help, what it returns the exit code's."""

    def made(function: Callable[..., Any]) -> _Command:
        command = _Command(
            name or function.__name__,
            params=[*params, QUIET],
            callback=click.pass_obj(function),
            help=function.__doc__,
        )
        main.add_command(command)
        return command

    return made


@_command(
    Argument(["files"], nargs=-1, required=True, type=EXISTING),
    BACKEND,
    format_(
        click.Choice(["text", "json", "github", "azure"]),
        "text",
        "How to write the problems; all but text go to stdout.",
    ),
)
def validate(
    call: Invocation, /, files: tuple[Path, ...], backend: str | None, format_: str
) -> Any:
    """Say what is wrong with experiment files, all of it at once."""
    from amlc.commands.validate import validate as run
    from amlc.display import problems

    return problems.show(run(files, backend=backend, folders=call.folders), call.console, format_)


@_command(
    FILE,
    BACKEND,
    flag("--check", help="Write nothing; exit with 3 if anything would change."),
    flag("--diff", help="As --check, and show the differences."),
    name="compile",
)
def compile_(call: Invocation, /, file: Path, backend: str | None, check: bool, diff: bool) -> Any:
    """Compile an experiment file into job files."""
    from amlc.commands.compile import compile_ as run
    from amlc.display import building

    experiment = call.load(file, backend)
    preview = None
    if diff:
        preview = building.differences(call.console)
    elif check:
        preview = building.changes(call.console)
    build = run(experiment, backend=backend, folders=call.folders, preview=preview)
    building.show(build, call.console)
    return build


@_command(EXPERIMENT, *SUBMIT)
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


@_command(EXPERIMENT, *SUBMIT, flag("--dry-run", help="The same as amlc plan."))
def submit(call: Invocation, /, experiment: str | None, dry_run: bool, **options: Any) -> Any:
    """Run what was not run yet, and what the tuner proposes from the results; go on where an
    earlier submit stopped.
    """
    given = submit_options(**options)
    if dry_run:
        return _plan(call, experiment, given)
    from amlc.commands.submit import submit as run

    return run(call.manifest(experiment), given, folders=call.folders, listener=call.teller)


@_command(Argument(["trials"], nargs=-1, required=True), NAMED, BACKEND, IN_PARALLEL)
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


@_command(
    FILE,
    *SUBMIT,
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


@_command(
    EXPERIMENT,
    format_(click.Choice(["text", "csv", "json", "jsonl"]), "text"),
    flag("--all", "everything", help="Show every trial."),
)
def status(call: Invocation, /, experiment: str | None, format_: str, everything: bool) -> None:
    """Show how the trials stand."""
    from amlc.commands.status import status as run
    from amlc.display import status as display

    manifest = call.manifest(experiment)
    if format_ != "text":
        display.show_table(manifest, call.console, call.folders, format_)
        return
    standing = run(manifest, folders=call.folders, everything=everything)
    display.show(standing, manifest, call.console, call.folders)


@_command(Argument(["trial"]), NAMED, flag("-f", "--follow", help="Go on until the job ends."))
def logs(call: Invocation, /, trial: str, experiment: str | None, follow: bool) -> None:
    """Show what a trial printed. TRIAL is its number, or the start of its id."""
    from amlc.commands.logs import log

    out = call.console.binary
    for chunk in log(call.manifest(experiment), trial, follow=follow, folders=call.folders):
        out.write(chunk)
        out.flush()


@_command(
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


@_command(
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
    chosen = functions(aggregate) if aggregate is not None else ()
    manifest = call.manifest(experiment)
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


@_command(
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
    a table of Weights & Biases, or a results.csv or ledger of amlc's.
    """
    from amlc.commands.import_ import import_ as run

    taken, backend = call.experiment(experiment, backend)
    done = run(taken, results, folders=call.folders, metric=metric, backend=backend)
    known = f", {done.known} on record already" if done.known else ""
    left_out = f", left out: {done.left_out}" if done.left_out else ""
    call.console.note(f"{taken.name}: {done.trials} trials imported{known}{left_out}")


@_command(
    EXPERIMENT,
    option(
        "--optimize-mode",
        type=click.Choice(["maximize", "minimize"]),
        help="Default: the tuner's optimize_mode.",
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


@_command(EXPERIMENT)
def report(call: Invocation, /, experiment: str | None) -> None:
    """Write the results to stdout as one HTML page with charts: amlc report > report.html."""
    from amlc.display import results

    results.show_report(call.manifest(experiment), call.console, call.folders)


@_command(Argument(["trial"]), NAMED, name="open")
def open_(call: Invocation, /, trial: str, experiment: str | None) -> None:
    """Print the address of a trial's page in Azure ML's studio. TRIAL is its number, or the
    start of its id.
    """
    from amlc.commands.logs import page

    call.console.write(page(call.manifest(experiment), trial, folders=call.folders))


@_command(
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
    from amlc.display import downloading

    if not 1 <= len(which) + is_best <= 2:
        raise UsageError(
            "name a trial and perhaps a folder, such as `amlc download 7 model`, or "
            "`amlc download --best model`."
        )
    manifest, to = call.manifest(experiment), None
    if len(which) + is_best == 2:
        *which, to = which
    if is_best:
        row = run(manifest, folders=call.folders).row
    else:
        row = command.trial_named(manifest, which[0], folders=call.folders)
    with downloading.watching(call.console) as watch:
        place = Path(to) if to else None
        found = command.download(manifest, row, place, folders=call.folders, watch=watch)
    downloading.show(found, call.console)


@_command(EXPERIMENT, BACKEND)
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
    return checks


@_command(
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
    """Rebuild the ledger from the Azure ML workspace, and the build folder too when it is gone."""
    from amlc.commands.refresh import refresh as run

    where["config"] = str(config) if config else None  # the other options go by their own names
    call.console.note(run(experiment, backend=backend, where=where, folders=call.folders))


@_command(
    format_(click.Choice(["text", "json"]), "text"),
    name="list",
)
def list_(call: Invocation, /, format_: str) -> None:
    """List the experiments of this folder, and how they stand as far as is on record."""
    from amlc.commands.list_ import experiments
    from amlc.display import experiments as display

    found = experiments(call.folders)
    if format_ == "json":
        display.show_json(found, call.console)
    else:
        display.show(found, call.console, call.folders)


@_command(Argument(["archive"], type=click.Path(dir_okay=False, path_type=Path)), EXPERIMENT)
def save(call: Invocation, /, archive: Path, experiment: str | None) -> None:
    """Write the experiment with all that it has into one file: build folder, ledger, outputs, and
    its own files. ARCHIVE is the file, such as experiment.tar.gz.
    """
    from amlc.commands.archive import save as run

    manifest = call.manifest(experiment)
    made_of = call.load(manifest.source, manifest.header.backend) if manifest.source else None
    done = run(manifest, made_of, archive, folders=call.folders)
    for path in done.outside[:1]:
        more = f" and {len(done.outside) - 1} more" if len(done.outside) > 1 else ""
        call.console.warn(f"{path}{more}: outside of this folder, and left out.")
    call.console.note(f"{archive}: {done.experiment}, {done.files} files")


@_command(
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


@_command(Argument(["folder"], default=".", type=FOLDER))
def init(call: Invocation, /, folder: Path) -> None:
    """Write a first experiment into FOLDER, to be changed into your own."""
    from amlc.commands.init import init as run

    file = run(folder)
    call.console.note(f"{file} and trial.py are yours. Next: amlc run {file}")


@_command(
    FILE,
    flag("--in-place", help="Write FILE anew, and trial code that has annotations."),
    flag("--diff", help="Print what would be written as a difference."),
)
def migrate(call: Invocation, /, file: Path, *, in_place: bool, diff: bool) -> None:
    """Print an experiment file of NNI v1, or with annotations, as of today.

    What became of each of its keys goes to stderr.
    """
    from amlc.commands.migrate import migrate as run

    migrated = run(file)
    if in_place:
        migrated.write()
    else:
        sys.stdout.write(migrated.diff if diff else migrated.text)
    for line in migrated.sheet:
        call.console.note(str(line))
    if migrated.comments_lost:
        call.console.note(f"{file}: its layout could not be kept, and its comments are lost.")
    for path in list(migrated.texts)[0 if in_place else 1 :]:
        call.console.note(f"{path}: {'written' if in_place else '--in-place writes it too'}")


@_command()
def schema(_: Invocation, /) -> None:
    """Print the JSON Schema of experiment files."""
    from amlc.config.schema import schema_text

    sys.stdout.write(schema_text())


# --- the process ---------------------------------------------------------------------------------


def entry_point() -> NoReturn:
    """Run the command line and exit with the code that `amlc --help` explains."""
    _open_missing_streams()
    _let_streams_take_anything()
    call = Invocation()
    warnings.showwarning = lambda message, *_: call.warn(f"warning: {message}")
    sys.exit(_guarded(call))


def _guarded(call: Invocation) -> int:
    """Run the command; return its exit code, or that of the error that it says."""
    try:
        return _run(call)
    except AmlcError as err:
        call.say_held()
        return _complain(str(err), err.exit_code)
    except click.exceptions.Abort:
        return _complain(_interrupted(call), 130)
    except click.ClickException as err:
        err.show()
        return err.exit_code
    except BrokenPipeError:
        _drop_output()  # its reader is gone
        return 1
    except OSError as err:
        _flush_or_drop()
        return _complain(f"{err.filename or 'input or output'}: {err.strerror or err}.", 2)


def _let_streams_take_anything() -> None:
    """Let no character be a reason to stop: a terminal may not be able to show it."""
    for stream in (sys.stdout, sys.stderr):
        encoding = None
        if stream is sys.stdout and not stream.isatty():
            encoding = "utf-8"  # as JSON and CSV are
        with suppress(AttributeError):
            stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]


def _flush_or_drop() -> None:
    """Write out what can be: what a full disk did not take would fail again at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            _drop_output()


def _run(call: Invocation) -> int:
    answer = main.main(prog_name="amlc", standalone_mode=False, obj=call)
    # Without a command it was `--help` or `--version`, of which click returns the exit code itself.
    code = exit_code(call.command, answer) if call.command else int(answer or 0)
    sys.stdout.flush()
    if code:
        call.say_held()
    return code


def _drop_output() -> None:
    """Let stdout lead nowhere: Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(call: Invocation) -> str:
    if call.command not in ("run", "submit", "retry"):
        return "interrupted."
    again = shlex.join(["amlc", *sys.argv[1:]])
    advice, given = call.folders.advice, call.given
    return (
        f"interrupted. Jobs that were submitted go on. {again} takes them up again, "
        f"{advice('status', given)} shows them, {advice('cancel', given, '--all')} ends them."
    )


def _open_missing_streams() -> None:
    """Give a stream that the caller closed (`>&-`) a place to go.

    Otherwise the next file that is opened would get its number, and what is printed.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase) and raw.fileno() == 1:
        # PYTHONUNBUFFERED: a raw write may write a part only, of which nobody would hear.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def _complain(text: str, code: int) -> int:
    if "\n" not in text:  # else it is a list of problems, each with its own position
        red = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        text = f"\x1b[31merror:\x1b[0m {text}" if red else f"error: {text}"
    say(text)
    return code
