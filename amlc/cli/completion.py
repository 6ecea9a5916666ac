"""What a shell offers behind a command when TAB is pressed: experiments, trials, statuses, codes.

It has to answer while somebody waits, and it is no time to say what is wrong with a folder: then
there is nothing to offer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from amlc.errors import AmlcError

if TYPE_CHECKING:  # `amlc --version` has to answer at once
    from amlc.folders import Folders
    from amlc.manifest import Entry

_RETRIED: Final = ("failed", "unfinished", "canceled", "early_stopped", "missing", "changed")
_MOST: Final = 200
_SHORTEST_ID: Final = 4  # of what names a trial
_FILES: Final = (".yml", ".yaml", ".json")


def experiments(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the experiments that are compiled, and the files that may be one."""
    compiled = [folder.name for folder in _folders(context).compiled_folders()]
    items = [CompletionItem(name, help="compiled") for name in sorted(compiled)]
    return [item for item in items if item.value.startswith(incomplete)] + _files(incomplete)


def trials(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the numbers of trials, or ids once four digits are there; 200 at the most."""
    name = context.params.get("experiment")
    try:
        entries = _folders(context).manifest(name).entries()
        return list(islice(_trials(entries, incomplete), _MOST))
    except (AmlcError, OSError):
        return []


def retried(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what `--retry` may be followed by: a list of statuses, of which the last is open."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    fitting = [word for word in _RETRIED if word.startswith(last) and word not in given]
    return [CompletionItem(f"{before}{comma}{word}") for word in fitting]


def codes(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the codes of messages, each with what it means."""
    from amlc.commands.explain import pages

    found = pages().values()
    return [
        CompletionItem(page.code, help=page.title)
        for page in found
        if page.code.lower().startswith(incomplete.lower())
    ]


def _folders(context: click.Context) -> Folders:
    """Return the folders that the command line names; no command has run that would know them."""
    from amlc.folders import Folders

    given = context.find_root().params
    return Folders(Path(given.get("build") or "build"), Path(given.get("state") or ".amlc"))


def _trials(entries: Iterable[Entry], incomplete: str) -> Iterator[CompletionItem]:
    for entry in entries:
        for trial in entry.trials:
            names = (str(trial.sequence), *([trial.id] if len(incomplete) >= _SHORTEST_ID else []))
            value = next((name for name in names if name.startswith(incomplete)), None)
            if value is not None:
                yield CompletionItem(value, help=json.dumps(trial.parameters, ensure_ascii=False))


def _files(incomplete: str) -> list[CompletionItem]:
    """Return files below what is typed so far, and folders to go on in."""
    folder, slash, start = incomplete.rpartition("/")
    try:
        found = sorted(Path(folder + slash or ".").iterdir())
    except OSError:
        return []
    items = []
    for path in found:
        if path.name.startswith(start) and (start or not path.name.startswith(".")):
            value = f"{folder}{slash}{path.name}"
            if path.is_dir():
                items.append(CompletionItem(f"{value}/"))
            elif path.suffix in _FILES:
                items.append(CompletionItem(value))
    return items
