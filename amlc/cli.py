"""The command line: the only place that prints errors and exits."""

from __future__ import annotations

import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from amlc import __version__
from amlc.errors import AmlcError, UsageError
from amlc.targets import PARALLEL, TARGETS, names

# The commands are imported when they run: `amlc --version` and `--help` have to answer at once.

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FORMATS = click.Choice(["csv", "json", "jsonl", "parquet"])


class _Targets(click.Choice):  # type: ignore[type-arg]  # no generic type before click 8.2
    """The name of a target. Those of other packages are looked for only when one is named, or all of them are shown."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # asked for when it is needed
        return names()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in TARGETS else super().convert(value, param, ctx)


def _target(command: Command) -> Command:
    return click.argument("experiment", required=False, metavar="[EXPERIMENT]")(command)


def _backend(command: Command) -> Command:
    text = "Where the jobs run. Default: the experiment's trainingService.platform."
    return click.option("--backend", type=_Targets(), envvar="AMLC_BACKEND", help=text)(command)


def _parallel(command: Command) -> Command:
    text = "How many calls to Azure ML to have in flight."
    range_ = click.IntRange(1, 64)
    return click.option("--parallel", type=range_, metavar="N", default=PARALLEL, show_default=True, help=text)(command)


def _submit_options(command: Command) -> Command:
    for option in (
        click.option(
            "--retry",
            default="",
            metavar="STATUS,…",
            help="Run these again: failed, unfinished, canceled, early_stopped, missing, changed.",
        ),
        click.option("--fail-fast", is_flag=True, help="Submit no more after the first failure."),
        click.option("--max-failures", metavar="N[%]", help="Submit no more after N failures, or N% of the trials."),
        click.option(
            "--rounds",
            type=click.IntRange(1),
            metavar="N",
            help="So many times: submit what is compiled, and follow it to its end; a tuner is asked in between.",
        ),
        click.option("--no-wait", is_flag=True, help="Submit as many as may run side by side, and return."),
        _parallel,
    ):
        command = option(command)
    return command


class _Settings:
    """What holds for every command, and what is known of this one: its name, and the experiment that it was given."""

    def __init__(self) -> None:
        self.quiet = False
        self.verb = ""
        self.target: str | None = None
        self.held: list[str] = []  # warnings, for the case that all does not go well

    def place(self, build: Path, state: Path) -> None:
        """Take up where everything is."""
        from amlc.folders import Folders

        self.folders = Folders(build, state)

    def warn(self, text: str) -> None:
        """Say a warning, or hold it back."""
        if self.quiet:
            self.held.append(text)
        else:
            _say(text)


def _be_quiet(context: click.Context, _: click.Parameter, value: bool) -> None:
    settings = context.find_object(_Settings)
    if value and settings is not None:
        settings.quiet = True


_QUIET = click.Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    callback=_be_quiet,
    help="Say nothing but errors and data.",
)


class _Verb(click.Command):
    """A command that takes `-q` too, and leaves its name for who has to give advice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_QUIET)

    def invoke(self, context: click.Context) -> Any:
        settings = context.find_object(_Settings)
        if settings is not None:
            given = context.params.get("experiment") or context.params.get("file")
            settings.verb, settings.target = self.name or "", str(given) if given else None
        return super().invoke(context)


class _Verbs(click.Group):
    command_class = _Verb


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option(
    "--build",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build"),
    show_default=True,
    envvar="AMLC_BUILD",
    help="The folder of compiled experiments.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".amlc"),
    show_default=True,
    envvar="AMLC_STATE",
    help="The folder of ledgers and local runs.",
)
@click.pass_obj
def main(settings: _Settings, /, build: Path, state: Path) -> None:
    """Compile NNI experiment files into Azure ML jobs, run them, and gather the metrics.

    EXPERIMENT is an experiment file or the name of a compiled one; with exactly one compiled, leave it out.

    \b
    Exit codes: 0 ok · 1 problems found, or a trial failed · 2 wrong usage · 3 --check found a difference ·
    4 results incomplete · 5 back end, sign-in or network · 130 interrupted
    """  # noqa: D301 - click reads the backspace as: leave these lines as they are
    settings.place(build, state)


main.params.append(_QUIET)


@main.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@_backend
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "azure"]),
    default="text",
    show_default=True,
    help="How to write the problems; all but text go to stdout.",
)
@click.pass_obj
def validate(settings: _Settings, /, files: tuple[Path, ...], backend: str | None, format_: str) -> int:
    """Say what is wrong with experiment files, all of it at once."""
    from amlc.commands.validate import validate as run

    return run(
        files=files,
        backend=backend,
        format_=format_,
        out=sys.stdout,
        err=sys.stderr,
        quiet=settings.quiet,
        folders=settings.folders,
    )


@main.command("compile")
@click.argument("file", type=_FILE)
@_backend
@click.option("--check", is_flag=True, help="Write nothing; exit with 3 if anything would change.")
@click.option("--diff", is_flag=True, help="As --check, and show the differences.")
@click.pass_obj
def compile_(settings: _Settings, /, file: Path, backend: str | None, check: bool, diff: bool) -> int:
    """Compile an experiment file into job files."""
    from amlc.commands.compile import compile_ as run

    return run(
        file=file,
        backend=backend,
        folders=settings.folders,
        check=check,
        diff=diff,
        quiet=settings.quiet,
        out=sys.stdout,
        err=sys.stderr,
    )


@main.command()
@_target
@_backend
@_submit_options
@click.pass_obj
def plan(settings: _Settings, /, experiment: str | None, **options: Any) -> int:
    """Print what submit would do, and do nothing."""
    from amlc.commands.plan import plan as run

    return run(target=experiment, options=_options(settings, **options), folders=settings.folders, out=sys.stdout)


@main.command()
@_target
@_backend
@_submit_options
@click.option("--dry-run", is_flag=True, help="The same as amlc plan.")
@click.pass_obj
def submit(settings: _Settings, /, experiment: str | None, dry_run: bool, **options: Any) -> int:
    """Run what was not run yet, and what the tuner proposes from the results; go on where an earlier submit stopped."""
    given = _options(settings, **options)
    if dry_run:
        from amlc.commands.plan import plan as show

        return show(target=experiment, options=given, folders=settings.folders, out=sys.stdout)
    from amlc.commands.submit import submit as run

    return run(target=experiment, options=given, folders=settings.folders, err=sys.stderr)


@main.command()
@click.argument("trials", nargs=-1, required=True)
@click.option("-e", "--experiment", help="The experiment's file or name.")
@_backend
@_parallel
@click.pass_obj
def retry(
    settings: _Settings, /, trials: tuple[str, ...], experiment: str | None, backend: str | None, parallel: int
) -> int:
    """Run trials again, whatever became of them. TRIALS are numbers, or starts of ids."""
    from amlc.commands.submit import Options
    from amlc.commands.submit import submit as run

    options = Options(backend=backend, only=trials, parallel=parallel, quiet=settings.quiet)
    return run(target=experiment, options=options, folders=settings.folders, err=sys.stderr)


@main.command()
@click.argument("file", type=_FILE)
@_backend
@_submit_options
@click.option(
    "--from",
    "learn_from",
    type=click.Path(exists=True, path_type=Path),
    metavar="RESULTS",
    help="Let the tuner learn from these first: a results.csv, NNI's JSON export, a ledger.",
)
@click.option("--format", "format_", type=_FORMATS, default="csv", show_default=True)
@click.pass_obj
def run(
    settings: _Settings, /, file: Path, backend: str | None, learn_from: Path | None, format_: str, **options: Any
) -> int:
    """Compile, submit, wait, and write the results to stdout; a tuner that learns proposes trials on the way."""
    from amlc.commands.run import run as run_all

    given = _options(settings, backend=backend, **options)
    return run_all(
        file=file,
        learn_from=learn_from,
        options=given,
        folders=settings.folders,
        format_=format_,
        out=sys.stdout.buffer,
        err=sys.stderr,
    )


@main.command()
@_target
@click.option(
    "--format", "format_", type=click.Choice(["text", "csv", "json", "jsonl"]), default="text", show_default=True
)
@click.option("--all", "everything", is_flag=True, help="Show every trial.")
@click.pass_obj
def status(settings: _Settings, /, experiment: str | None, format_: str, everything: bool) -> int:
    """Show how the trials stand."""
    from amlc.commands.status import status as run

    return run(
        target=experiment, folders=settings.folders, format_=format_, everything=everything, out=sys.stdout.buffer
    )


@main.command()
@click.argument("trial")
@click.option("-e", "--experiment", help="The experiment's file or name.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@click.pass_obj
def logs(settings: _Settings, /, trial: str, experiment: str | None, follow: bool) -> int:
    """Show what a trial printed. TRIAL is its number, or the start of its id."""
    from amlc.commands.logs import logs as run

    return run(trial=trial, target=experiment, folders=settings.folders, follow=follow, out=sys.stdout.buffer)


@main.command()
@click.argument("trials", nargs=-1)
@click.option("-e", "--experiment", help="The experiment's file or name.")
@click.option("--all", "everything", is_flag=True, help="All jobs, and what a running submit has not submitted yet.")
@click.pass_obj
def cancel(settings: _Settings, /, trials: tuple[str, ...], experiment: str | None, everything: bool) -> int:
    """Cancel the jobs of TRIALS, each a trial's number or the start of its id."""
    from amlc.commands.cancel import cancel as run

    return run(
        trials=trials,
        everything=everything,
        target=experiment,
        folders=settings.folders,
        err=sys.stderr,
        quiet=settings.quiet,
    )


@main.command()
@_target
@click.option("--format", "format_", type=_FORMATS, default="csv", show_default=True)
@click.option("--history", is_flag=True, help="One row for each intermediate result instead of each trial.")
@click.option(
    "--aggregate",
    metavar="FUNCTION,…",
    help="One row for each parameter set with these of its results: mean, std, min, max, count.",
)
@click.pass_obj
def collect(settings: _Settings, /, experiment: str | None, format_: str, history: bool, aggregate: str | None) -> int:
    """Write the results to stdout: one row for each compiled trial, whatever became of it."""
    from amlc.commands.collect import collect as run
    from amlc.replicates import functions

    if history and aggregate is not None:
        raise UsageError("--history and --aggregate are two tables: give one of them.")

    return run(
        target=experiment,
        folders=settings.folders,
        format_=format_,
        history=history,
        aggregate=functions(aggregate) if aggregate is not None else (),
        out=sys.stdout.buffer,
        err=sys.stderr,
        quiet=settings.quiet,
    )


@main.command()
@_target
@click.option(
    "--optimize-mode", type=click.Choice(["maximize", "minimize"]), help="Default: the tuner's optimize_mode."
)
@click.pass_obj
def best(settings: _Settings, /, experiment: str | None, optimize_mode: str | None) -> int:
    """Print the best trial's parameters as JSON."""
    from amlc.commands.collect import best as run

    return run(
        target=experiment,
        folders=settings.folders,
        mode=optimize_mode,
        out=sys.stdout,
        err=sys.stderr,
        quiet=settings.quiet,
    )


@main.command()
@_target
@click.pass_obj
def report(settings: _Settings, /, experiment: str | None) -> int:
    """Write the results to stdout as one HTML page with charts: amlc report > report.html."""
    from amlc.commands.report import report as run

    return run(target=experiment, folders=settings.folders, out=sys.stdout.buffer, err=sys.stderr, quiet=settings.quiet)


@main.command("open")
@click.argument("trial")
@click.option("-e", "--experiment", help="The experiment's file or name.")
@click.pass_obj
def open_(settings: _Settings, /, trial: str, experiment: str | None) -> int:
    """Print the address of a trial's page in Azure ML's studio. TRIAL is its number, or the start of its id."""
    from amlc.commands.open_ import open_ as run

    return run(trial=trial, target=experiment, folders=settings.folders, out=sys.stdout)


@main.command()
@_target
@_backend
@click.pass_obj
def doctor(settings: _Settings, /, experiment: str | None, backend: str | None) -> int:
    """Check that all is there that the experiment needs to run, and say what to do about what is not."""
    from amlc.commands.doctor import doctor as run

    return run(target=experiment, backend=backend, folders=settings.folders, out=sys.stdout)


@main.command()
@_target
@_backend
@click.option("--subscription-id", metavar="ID", help="The workspace's subscription, when nothing is compiled.")
@click.option("--resource-group", metavar="NAME", help="The workspace's resource group, likewise.")
@click.option("--workspace-name", metavar="NAME", help="The workspace, likewise.")
@click.option("--config", type=_FILE, help="The workspace's config.json, likewise. Default: config.json, .azureml/.")
@click.pass_obj
def refresh(
    settings: _Settings,
    /,
    experiment: str | None,
    backend: str | None,
    subscription_id: str | None,
    resource_group: str | None,
    workspace_name: str | None,
    config: Path | None,
) -> int:
    """Rebuild the ledger from the Azure ML workspace, and the build folder too when it is gone."""
    from amlc.commands.refresh import refresh as run

    where = {
        "subscription_id": subscription_id,
        "resource_group": resource_group,
        "workspace_name": workspace_name,
        "config": str(config) if config else None,
    }
    return run(
        target=experiment,
        backend=backend,
        where=where,
        folders=settings.folders,
        err=sys.stderr,
        quiet=settings.quiet,
    )


@main.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def init(settings: _Settings, /, folder: Path) -> int:
    """Write a first experiment into FOLDER, to be changed into your own."""
    from amlc.commands.init import init as run

    return run(folder=folder, err=sys.stderr, quiet=settings.quiet)


@main.command()
@click.argument("file", type=_FILE)
@click.pass_obj
def migrate(settings: _Settings, /, file: Path) -> int:
    """Print an experiment file of NNI v1 in the keys of v3."""
    from amlc.commands.migrate import migrate as run

    return run(file=file, out=sys.stdout, err=sys.stderr, quiet=settings.quiet)


@main.command()
def schema() -> int:
    """Print the JSON Schema of experiment files."""
    from amlc.config.schema import schema_text

    sys.stdout.write(schema_text())
    return 0


def _options(
    settings: _Settings,
    *,
    backend: str | None,
    retry: str,
    fail_fast: bool,
    max_failures: str | None,
    rounds: int | None,
    no_wait: bool,
    parallel: int,
) -> Any:
    from amlc.commands.submit import RETRYABLE, Options

    statuses = tuple(word.strip() for word in retry.split(",") if word.strip())
    unknown = [word for word in statuses if word not in RETRYABLE]
    if unknown:
        raise UsageError(f"--retry {unknown[0]}: not one of {', '.join(RETRYABLE)}.")
    return Options(
        backend=backend,
        retry=statuses,
        max_failures="1" if fail_fast else max_failures,
        rounds=rounds,
        wait=not no_wait,
        parallel=parallel,
        quiet=settings.quiet,
    )


def entry_point() -> NoReturn:
    """Run the command line and exit with the code that `amlc --help` explains."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character is no reason to stop
        with suppress(AttributeError):
            encoding = "utf-8" if stream is sys.stdout and not stream.isatty() else None  # JSON and CSV are UTF-8
            stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]
    settings = _Settings()
    warnings.showwarning = lambda message, *_: settings.warn(f"warning: {message}")
    try:
        code = main.main(prog_name="amlc", standalone_mode=False, obj=settings)
        sys.stdout.flush()
        if code:
            _say_held(settings)
        sys.exit(code or 0)
    except AmlcError as err:
        _say_held(settings)
        sys.exit(_complain(str(err), err.exit_code))
    except click.exceptions.Abort:
        sys.exit(_complain(_interrupted(settings), 130))
    except click.ClickException as err:
        err.show()
        sys.exit(err.exit_code)
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as err:
        try:
            sys.stdout.flush()
        except (OSError, ValueError):  # what a full disk did not take would fail again at exit
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_complain(f"{err.filename or 'input or output'}: {err.strerror or err}.", 2))


def _say_held(settings: _Settings) -> None:
    for text in settings.held:
        _say(text)


def _interrupted(settings: _Settings) -> str:
    if settings.verb not in ("run", "submit", "retry"):
        return "interrupted."
    advice, target = settings.folders.advice, settings.target
    return (
        f"interrupted. Jobs that were submitted go on. {shlex.join(['amlc', *sys.argv[1:]])} takes them up again, "
        f"{advice('status', target)} shows them, {advice('cancel', target, '--all')} ends them."
    )


def _open_missing_streams() -> None:
    """Give a stream that the caller closed (`>&-`) a place to go, before a file of ours gets its number."""
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
    prefix = "\x1b[31merror:\x1b[0m" if sys.stderr.isatty() and "NO_COLOR" not in os.environ else "error:"
    _say(f"{prefix} {text}" if "\n" not in text else text)
    return code


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(text, err=True)
