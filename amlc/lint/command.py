"""Whether program and script of the command are there, and read what the space has."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from amlc.catalogue import find
from amlc.command_line import Command, parse
from amlc.errors import Sentence, nearest
from amlc.lint.errors import OddityError
from amlc.model import Choice, Experiment, parameter_names
from amlc.render.snapshot import SnapshotError, snapshot
from amlc.targets import target

_MOST_BYTES: Final = 1_000_000
_MOST_MODULES: Final = 100
_MENTION: Final = (
    re.compile(  # of a name where it may be read: as a key, an attribute, or asked for
        r"""\[\s*['"]([^'"\n]+)['"]\s*\]|\.(?:get|pop|setdefault)\(\s*['"]([^'"\n]+)['"]"""
        r"""|\.(\w+)\b|['"]([^'"\n]+)['"]\s+(?:not\s+)?in\b"""
    )
)
_IGNORES: Final = (".gitignore", ".amlignore", ".nniignore")
_BUILTINS: Final = frozenset(
    (
        "alias",
        "bg",
        "break",
        "builtin",
        "case",
        "cd",
        "command",
        "continue",
        "echo",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "for",
        "function",
        "getopts",
        "hash",
        "if",
        "jobs",
        "kill",
        "let",
        "local",
        "printf",
        "pwd",
        "read",
        "readonly",
        "return",
        "select",
        "set",
        "shift",
        "source",
        "test",
        "time",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "while",
        ".",
        ":",
        "[",
        "[[",
        "!",
        "{",
    )
)


def about_command(
    experiment: Experiment, *, leave_out: Sequence[Path], within: Path | None
) -> Iterator[OddityError]:
    """Yield what is odd about the trial command, and about the script that it runs."""
    command = parse(experiment.command)
    if command is None:
        return
    if within is None and target(experiment.target.platform).RUNS_ANY:
        yield from _about_program(command)
    if command.script is None or experiment.target.job.setup:
        return  # what runs before the trial may write the script
    name = os.path.normpath(command.script)
    if os.path.isabs(name) or name.startswith(".."):
        return  # it lies somewhere in the image, or where trials run
    file = experiment.code / name
    if not file.is_file():
        yield _no_script(experiment.code, name)
    elif within is not None and not file.resolve().is_relative_to(within):
        return
    elif _is_left_out(experiment, file, leave_out, within):
        text = Sentence(
            f"the command runs '{name}', which an ignore file keeps out of the snapshot.",
            hint="Add a line `!NAME` to .amlignore.",
        )
        yield OddityError(text, path=("trialCommand",), code="W-script")
    elif command.is_python:
        yield from _about_parameters(experiment, file, name)


def _about_program(command: Command) -> Iterator[OddityError]:
    """Yield a warning for a program of this machine that PATH does not have."""
    program = command.program
    if "/" in program or not command.is_plain or program in _BUILTINS or shutil.which(program):
        return
    known = ("python3", "python", "bash", "sh", "Rscript", "julia", "node", "perl")
    near = nearest(program, [name for name in known if shutil.which(name)])
    hint = f"Did you mean '{near}'?" if near else "Install it, or name it with its folder."
    text = Sentence(f"the program '{program}' is not found on PATH.", hint=hint)
    yield OddityError(text, path=("trialCommand",), code="W-program")


def _no_script(code: Path, name: str) -> OddityError:
    files = [path.relative_to(code).as_posix() for path in islice(code.rglob("*"), 2_000)]
    near = nearest(name, [file for file in files if Path(file).suffix == Path(name).suffix])
    hint = f"Did you mean '{near}'?" if near else "Add it, or correct the command."
    text = Sentence(
        f"the command runs '{name}', and trialCodeDirectory has no such file.", hint=hint
    )
    return OddityError(text, path=("trialCommand",), code="W-script")


def _is_left_out(
    experiment: Experiment, file: Path, leave_out: Sequence[Path], within: Path | None
) -> bool:
    """Tell whether an ignore file keeps the script out of the snapshot that jobs get."""
    if experiment.working_directory != "copy":
        return False
    above = [experiment.code, *(p for p in file.parents if p.is_relative_to(experiment.code))]
    if not any((folder / name).is_file() for folder in above for name in _IGNORES):
        return False
    try:
        taken = snapshot(experiment.code, leave_out=leave_out, limited=False, within=within)
    except SnapshotError:
        return False
    name = file.relative_to(experiment.code).as_posix()
    return all(one.name != name for one in taken.files)


def _about_parameters(experiment: Experiment, file: Path, name: str) -> Iterator[OddityError]:
    """Yield parameters that the script never reads, and those that it reads and never gets."""
    given = _given(experiment)
    text = _text(file)
    if given is None or text is None:
        return
    mentioned = {name for match in _MENTION.finditer(text) for name in match.groups()}
    looked_up = {match[1] for match in _MENTION.finditer(text) if match[1]}
    if given <= mentioned and looked_up <= given:
        return  # nothing to find: to follow the script takes longer than all the rest
    from amlc import script

    found = script.reads(text)
    if found is None or _others_ask(experiment.code, file, text):
        return
    tuner = find(experiment.tuner.name, "tuner")
    added = tuner.adds if tuner is not None else ()
    unread = given - found.names
    for parameter, line in found.needed.items():
        if parameter not in given and parameter not in added:
            near = nearest(parameter, unread)
            unread -= {near}  # one slip of the pen is one finding
            hint = f"Did you mean '{near}'?" if near else "Add it, or give it a default."
            says = Sentence(
                f"{name}:{line} reads '{parameter}', which the search space has not.", hint=hint
            )
            yield OddityError(says, path=("trialCommand",), code="W-unknown-parameter")
    for parameter in sorted(unread):
        says = Sentence(
            f"{name} never reads '{parameter}': trials that differ by it alone are the same.",
            hint="Read it, or take it out of the search space.",
        )
        place = () if experiment.tuner.name == "Batch" else (parameter,)
        yield OddityError(says, path=("searchSpace", *place), code="W-unread")


def _given(experiment: Experiment) -> frozenset[str] | None:
    """Return the names that trials get, None if a class of the user's own decides that."""
    if experiment.tuner.class_name is not None or not experiment.space:
        return None
    if experiment.tuner.name != "Batch":
        return frozenset(parameter_names(experiment.space))
    (rows,) = experiment.space
    options = rows.options if isinstance(rows, Choice) else ()
    if not all(isinstance(row, Mapping) for row in options):
        return frozenset({rows.name})
    return frozenset(name for row in options for name in row)


def _others_ask(code: Path, file: Path, text: str) -> bool:
    """Tell whether a module beside the script may ask for the parameters, too."""
    from amlc import script

    seen: set[Path] = {file}
    queue = [text]
    while queue:
        for name in script.imported(queue.pop()):
            for path in _modules(code, file.parent, name):
                if path not in seen:
                    seen.add(path)
                    content = _text(path)
                    if content is None or "get_next_parameter" in content:
                        return True
                    queue.append(content)
        if len(seen) > _MOST_MODULES:
            return True
    return False


def _modules(code: Path, folder: Path, name: str) -> Iterator[Path]:
    """Yield the files beside the script, or in the code, that a module's name may stand for."""
    parts = [part for part in name.split(".") if part]
    for base in {code, folder}:
        for length in range(1, len(parts) + 1):
            path = base.joinpath(*parts[:length])
            for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                if candidate.is_file():
                    yield candidate


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
