"""`list`, `status`, `summary`, `logs`, `open`, `serve`: how experiments and their trials stand."""

from __future__ import annotations

import click

from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import EXPERIMENT, NAMED, TRIAL, flag, format_, option
from amlc.errors import UsageError


@command(
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


@command(
    EXPERIMENT,
    format_(click.Choice(["text", "csv", "json", "jsonl"]), "text"),
    flag("--all", "everything", help="Show every trial."),
    flag("--failed", help="Show only the trials that failed or were cut short, every one."),
    flag("--watch", help="Show it again every two seconds, until nothing is at work any more."),
)
def status(
    call: Invocation,
    /,
    experiment: str | None,
    format_: str,
    everything: bool,
    failed: bool,
    watch: bool,
) -> None:
    """Show how the trials stand."""
    from amlc.commands.status import Chosen, standings
    from amlc.display import status as display

    manifest = call.manifest(experiment)
    chosen = Chosen.FAILED if failed else Chosen.ALL if everything else Chosen.FIRST
    if format_ != "text":
        if watch:
            raise UsageError("--watch is for people: leave out --format.")
        display.show_table(manifest, call.console, call.folders, format_, chosen)
        return
    with display.screen(call.console, again=watch) as show:
        for standing in standings(manifest, folders=call.folders, chosen=chosen, again=watch):
            show(standing, manifest, call.folders)


@command(EXPERIMENT)
def summary(call: Invocation, /, experiment: str | None) -> None:
    """Write how the trials stand as Markdown: amlc summary >> "$GITHUB_STEP_SUMMARY"."""
    from amlc.commands.summary import summary as run
    from amlc.display import summary as display

    display.show(run(call.manifest(experiment), folders=call.folders), call.console)


@command(
    TRIAL,
    NAMED,
    flag("-f", "--follow", help="Go on until the trial ends."),
    flag("--job", "whole", help="Of a packed job, show all that it printed."),
)
def logs(
    call: Invocation, /, trial: str, experiment: str | None, follow: bool, whole: bool
) -> None:
    """Show what a trial printed. TRIAL is its number, or the start of its id."""
    from amlc.commands.logs import log

    out = call.console.binary
    manifest = call.manifest(experiment)
    for chunk in log(manifest, trial, follow=follow, folders=call.folders, whole=whole):
        out.write(chunk)
        out.flush()


@command(TRIAL, NAMED, name="open")
def open_(call: Invocation, /, trial: str, experiment: str | None) -> None:
    """Print the address of a trial's page in Azure ML's studio. TRIAL is its number, or the
    start of its id.
    """
    from amlc.commands.logs import page

    call.console.write(page(call.manifest(experiment), trial, folders=call.folders))


@command(
    option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=0,
        show_default=True,
        help="Where to listen; 0 takes a port that is free.",
    ),
)
def serve(call: Invocation, /, port: int) -> None:
    """Show the reports of this folder's experiments in a browser, always up to date, and the logs
    of trials. Prints the address, and goes on until ^C.
    """
    from amlc.serve.server import ADDRESS, Server

    try:
        server = Server(call.folders, port=port)
    except OSError as err:
        raise UsageError(
            f"--port {port}: {ADDRESS} cannot be listened on there: {err.strerror}. Give another "
            "port, or none."
        ) from err
    call.console.write(server.address)
    call.console.out.flush()  # for who waits for it in a pipe
    call.console.note("Whoever has this address can read the results here. ^C ends it.")
    server.run()
