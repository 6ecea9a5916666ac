"""`code`, `reproduce` and `gc`: what a row of the results was made by, and that row again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click import Argument

from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import BACKEND, EXPERIMENT, FOLDER, NAMED, flag, option
from amlc.errors import UsageError
from amlc.plural import plural

_TOLERANCE = 1e-6


@command(
    Argument(["trial"]),
    NAMED,
    flag("--diff", help="Show how it differs from what is compiled now."),
    option("--to", type=FOLDER, help="Write it into this folder, which is new."),
)
def code(
    call: Invocation, /, trial: str, experiment: str | None, diff: bool, to: Path | None
) -> None:
    """Show the code that a trial was run with: its files, command and environment. TRIAL is its
    number, or the start of its id.
    """
    from amlc.commands.code import changes, other_changes, revision_named
    from amlc.revision import contents_text

    manifest = call.manifest(experiment)
    revision = revision_named(manifest, trial, folders=call.folders)
    if to is not None:
        if to.exists():
            raise UsageError(f"{to} is there already, and nothing was written. Name a new folder.")
        revision.kept.check_out(revision.contents.files, to)
        call.console.note(
            f"{to}: {plural(len(revision.contents.files), 'file')}, revision {revision.name[:6]}"
        )
    elif diff:
        call.console.binary.writelines(line.encode() for line in changes(revision, manifest))
        for text in other_changes(revision, manifest):
            call.console.note(text)
    else:
        call.console.binary.write(contents_text(revision.contents).encode())


@command(
    Argument(["trial"]),
    NAMED,
    BACKEND,
    option(
        "--tolerance",
        type=click.FloatRange(0),
        default=_TOLERANCE,
        show_default=True,
        metavar="SHARE",
        help="By how much of the larger one two numbers may differ.",
    ),
)
def reproduce(
    call: Invocation,
    /,
    trial: str,
    experiment: str | None,
    backend: str | None,
    tolerance: float,
) -> Any:
    """Run a row of the results again, with its code, command, parameters and environment, in a
    folder of its own, and compare what it reports. TRIAL is its number, or the start of its id.
    """
    from amlc.commands.reproduce import reproduce as run
    from amlc.display import reproducing

    manifest = call.manifest(experiment)
    made_of, _ = call.experiment(experiment, backend)
    done = run(
        manifest,
        made_of,
        trial,
        backend=backend,
        tolerance=tolerance,
        folders=call.folders,
        listener=call.teller,
    )
    reproducing.show(done, call.console)
    return done


@command(EXPERIMENT)
def gc(call: Invocation, /, experiment: str | None) -> None:
    """Remove kept code that no row of the results was made by, and what `amlc reproduce` left."""
    from amlc.commands.code import gc as run

    done = run(call.manifest(experiment), folders=call.folders)
    if not done.is_known:
        call.console.warn(
            "all code is kept: of some rows it is not on record which code they were made by."
        )
    for own in done.at_work:
        how = own.advice("cancel", None, "--all")
        call.console.warn(f"{own.build.parent} has not ended, and stays: {how} ends its job.")
    call.console.note(
        f"removed {plural(done.files, 'file')} of code with {plural(done.size, 'byte')}, "
        f"{plural(done.reproductions, 'reproduction')}"
    )
