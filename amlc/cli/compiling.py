"""`init`, `migrate`, `schema`, `explain`, `validate`, `compile`: from a file to job files."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click import Argument, Option

from amlc.cli import completion, questions
from amlc.cli.command import command
from amlc.cli.invocation import Invocation
from amlc.cli.options import (
    BACKEND,
    EXISTING,
    FILE,
    FOLDER,
    FORM,
    READ,
    REPORT,
    SET,
    flag,
    with_form,
)


@command(
    Argument(["folder"], required=False, type=FOLDER),
    Option(
        ["--from", "source"],
        type=EXISTING,
        metavar="FILE",
        help="Make it of a trial script, a search space, or an experiment of NNI's.",
    ),
)
def init(call: Invocation, /, folder: Path | None, source: Path | None) -> None:
    """Write a first experiment into FOLDER, and what stands beside one: a Makefile, a workflow for
    CI, ignore files, and what an editor needs.

    Without --from it is an example, or on a terminal what you answer. Nothing that is there is
    replaced. Default FOLDER: that of FILE, or this one.
    """
    from amlc.commands.init import init as run

    folder = folder or (source.parent if source else Path())
    wishes = None
    if source is None and not call.quiet and sys.stdin.isatty() and sys.stderr.isatty():
        source, wishes = questions.ask(folder)
    begun = run(folder, source, wishes)
    for remark in begun.remarks:
        call.console.note(remark)
    call.console.note(f"{begun.file}: written, with {', '.join(begun.written[1:])}")
    if begun.kept:
        call.console.note(f"there already, and left as they are: {', '.join(begun.kept)}")
    call.console.note(f"Next: amlc run {shlex.quote(str(begun.file))}")


@command(
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
    if diff or not in_place:
        sys.stdout.write(migrated.diff if diff else migrated.text)
    if in_place:
        migrated.write()
    for line in migrated.sheet:
        call.console.note(str(line))
    if migrated.comments_lost:
        call.console.note(f"{file}: its layout could not be kept, and its comments are lost.")
    for path in list(migrated.texts)[0 if in_place else 1 :]:
        call.console.note(f"{path}: {'written' if in_place else '--in-place writes it too'}")


@command()
def schema(_: Invocation, /) -> None:
    """Print the JSON Schema of experiment files."""
    from amlc.config.schema import schema_text

    sys.stdout.write(schema_text())


@command(Argument(["code"], required=False, shell_complete=completion.codes))
def explain(call: Invocation, /, code: str | None) -> None:
    """Say what the CODE of a message means, and how to mend it; without one, list the codes."""
    from amlc.commands.explain import explain as run
    from amlc.commands.explain import pages

    if code is None:
        for page in pages().values():
            call.console.write(f"{page.code:22} {page.title}")
        return
    page = run(code)
    call.console.write(f"{page.code}: {page.title}\n\n{page.text}")


@command(
    Argument(["files"], nargs=-1, required=True, type=READ),
    BACKEND,
    FORM,
    SET,
    flag(
        "--untrusted",
        help="The files are a stranger's: read nothing beyond their folder, nor the environment.",
    ),
    REPORT,
)
def validate(
    call: Invocation,
    /,
    files: tuple[Path, ...],
    backend: str | None,
    form: str | None,
    given: Mapping[str, str],
    untrusted: bool,
) -> Any:
    """Say what is wrong with experiment files, all of it at once."""
    from amlc.commands.validate import validate as run
    from amlc.console import Console
    from amlc.display import problems

    given = with_form(given, form)
    found = run(files, backend=backend, folders=call.folders, untrusted=untrusted, given=given)
    checked = list(found)
    call.is_told = True
    return problems.show(checked, Console(sys.stdout, sys.stderr, call.quiet), call.format)


@command(
    FILE,
    BACKEND,
    FORM,
    SET,
    flag("--check", help="Write nothing; exit with 3 if anything would change."),
    flag("--diff", help="As --check, and show the differences."),
    REPORT,
    name="compile",
)
def compile_(
    call: Invocation,
    /,
    file: Path,
    backend: str | None,
    form: str | None,
    given: Mapping[str, str],
    check: bool,
    diff: bool,
) -> Any:
    """Compile an experiment file into job files."""
    from amlc.commands.compile import compile_ as run
    from amlc.display import building
    from amlc.lint import warnings

    experiment = call.load(file, backend, with_form(given, form))
    preview = None
    if diff:
        preview = building.differences(call.console)
    elif check:
        preview = building.changes(call.console)
    for problem in warnings(experiment, leave_out=[call.folders.state, call.folders.build]):
        call.note(problem)  # before it writes: it may be about how much that is
    build = run(experiment, backend=backend, folders=call.folders, preview=preview)
    building.show(build, call.console)
    call.answer["build"] = building.as_json(build)
    return build
