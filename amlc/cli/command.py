"""What a command is, and the group that has all of them.

A command's module is imported when it is asked for, and what it does when it runs: none has to wait
for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from amlc import __version__
from amlc.cli.invocation import Invocation
from amlc.cli.options import FOLDER, QUIET

MODULES: Final = {
    "compiling": ("init", "migrate", "schema", "explain", "validate", "compile"),
    "running": ("doctor", "plan", "submit", "retry", "run", "cancel"),
    "watching": ("list", "status", "summary", "logs", "open", "serve"),
    "results": ("collect", "best", "report", "download"),
    "records": ("import", "refresh", "save", "load"),
    "reproducing": ("code", "reproduce", "gc"),
}
"""The module of each command in this package."""
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


class _Commands(click.Group):
    """The group of all commands, of which only those are imported that are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        import_module("amlc.cli.everything")
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _MODULE_OF:
            import_module(f"amlc.cli.{_MODULE_OF[cmd_name]}")
        return super().get_command(ctx, cmd_name)


class _Command(click.Command):
    """A command that takes `-q` too, and leaves its name for who has to give advice."""

    def invoke(self, context: click.Context) -> Any:
        call = context.find_object(Invocation)
        if call is not None:
            given = context.params.get("experiment") or context.params.get("file")
            call.command, call.given = self.name or "", str(given) if given else None
        return super().invoke(context)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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
    5 not now: back end, sign-in, network, a full disk, or another amlc at work ·
    129, 130, 141, 143 interrupted
    """  # noqa: D301 - click reads the backspace as: leave these lines as they are
    call.place(build, state)


main.params.append(QUIET)


def command(
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
