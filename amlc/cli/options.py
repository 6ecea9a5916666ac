"""The options and arguments of the command line that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Argument, Option

from amlc.cli import completion
from amlc.cli.invocation import Invocation
from amlc.targets import PARALLEL, TARGETS, names

if TYPE_CHECKING:  # `amlc --version` has to answer at once
    from collections.abc import Mapping

    from amlc.commands.options import Options


class _Targets(click.Choice):  # type: ignore[type-arg]  # no generic type before click 8.2
    """The name of a target.

    Those of other packages are looked for only when one is named, or all of them are shown.
    """

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # asked for when it is needed
        return names()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in TARGETS else super().convert(value, param, ctx)


def _be_quiet(context: click.Context, _: click.Parameter, value: bool) -> None:
    call = context.find_object(Invocation)
    if value and call is not None:
        call.quiet = True


def _note_hook(context: click.Context, _: click.Parameter, value: str | None) -> None:
    call = context.find_object(Invocation)
    if call is not None:
        call.on_end = value


FORMATS = click.Choice(["csv", "json", "jsonl", "parquet"])
# Who reads it says what is wrong with it, in the format that was asked for.
READ = click.Path(path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
# One that cannot be read is no wrong usage: who reads it says so.
FOLDER = click.Path(file_okay=False, readable=False, path_type=Path)


def option(*names: str, help: str, **settings: Any) -> Option:  # noqa: A002 - as click calls it
    """Return an option that takes a value."""
    return Option(names, help=help, **settings)


def flag(*names: str, help: str, **settings: Any) -> Option:  # noqa: A002 - as click calls it
    """Return an option that takes none."""
    return Option(names, help=help, is_flag=True, **settings)


def format_(choice: click.Choice[str], default: str, help: str | None = None) -> Option:  # noqa: A002
    """Return the option that chooses how to write what goes to stdout."""
    return Option(
        ["--format", "format_"], type=choice, default=default, show_default=True, help=help
    )


def _be_in(context: click.Context, _: click.Parameter, value: str) -> None:
    call = context.find_object(Invocation)
    if call is not None:
        call.format = value


def _report(*more: str) -> Option:
    """Return the option that chooses how to write what was found."""
    return Option(
        ["--format"],
        type=click.Choice(["text", "json", "github", "azure", "sarif", "junit", *more]),
        default="text",
        show_default=True,
        expose_value=False,
        callback=_be_in,
        help="How to write what was found; all but text go to stdout, and the rest to stderr.",
    )


REPORT = _report()
PLAN_REPORT = _report("markdown")
CANARY = flag(
    "--canary",
    help="Run a few trials first that cover the values of all; nothing follows if one fails.",
)
EXPERIMENT = Argument(
    ["experiment"],
    required=False,
    metavar="[EXPERIMENT]",
    shell_complete=completion.experiments,
)
FILE = Argument(["file"], type=READ)
TRIAL = Argument(["trial"], shell_complete=completion.trials)
NAMED = option(
    "-e",
    "--experiment",
    help="The experiment's file or name.",
    shell_complete=completion.experiments,
)
QUIET = flag(
    "-q", "--quiet", expose_value=False, callback=_be_quiet, help="Say nothing but errors and data."
)
BACKEND = option(
    "--backend",
    type=_Targets(),
    envvar="AMLC_BACKEND",
    help="Where the jobs run. Default: the experiment's trainingService.platform.",
)
FORM = option(
    "--target",
    "form",
    type=click.Choice(["jobs", "sweep"]),
    help="What to compile for Azure ML. Default: amlc.target.",
)


def with_form(given: Mapping[str, str], form: str | None) -> Mapping[str, str]:
    """Return what `--set` gives, and what `--target` does, which is short for one of those."""
    return given if form is None else {**given, "amlc.target": form}


def _settings(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> Any:
    if not words:
        return {}
    from amlc.config.given import settings

    return settings(words)


SET = option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_settings,
    help="A key's value instead of the file's (maxTrialNumber=20, tuner.classArgs.seed=1), or that "
    "of a ${KEY} in it.",
)
IN_PARALLEL = option(
    "--parallel",
    type=click.IntRange(1, 64),
    metavar="N",
    default=PARALLEL,
    show_default=True,
    help="How many calls to Azure ML to have in flight.",
)
METRIC = option(
    "--metric",
    metavar="COLUMN",
    help="Which column of a Weights & Biases table is the result.",
)
ON_END = option(
    "--on-end",
    metavar="COMMAND",
    expose_value=False,
    callback=_note_hook,
    help="Run this in the shell at the end, however it ends; see AMLC_MESSAGE in the README.",
)
SUBMIT = (
    BACKEND,
    IN_PARALLEL,
    flag("--no-wait", help="Submit as many as may run side by side, and return."),
    option(
        "--rounds",
        type=click.IntRange(1),
        metavar="N",
        help=(
            "So many times: submit what is compiled, and follow it to its end; "
            "a tuner is asked in between."
        ),
    ),
    option(
        "--max-failures",
        metavar="N[%]",
        help="Submit no more after N failures, or N% of the trials.",
    ),
    flag("--fail-fast", help="Submit no more after the first failure."),
    option(
        "--retry",
        default="",
        metavar="STATUS,…",
        help="Run these again: failed, unfinished, canceled, early_stopped, missing, changed.",
        shell_complete=completion.retried,
    ),
)


def submit_options(
    *,
    backend: str | None,
    retry: str,
    fail_fast: bool,
    max_failures: str | None,
    rounds: int | None,
    no_wait: bool,
    parallel: int,
    canary: bool = False,
) -> Options:
    """Return what the options of `SUBMIT` ask for."""
    from amlc.commands.options import Options

    return Options(
        backend=backend,
        retry=tuple(word.strip() for word in retry.split(",") if word.strip()),
        max_failures="1" if fail_fast else max_failures,
        rounds=rounds,
        wait=not no_wait,
        canary=canary,
        parallel=parallel,
    )
