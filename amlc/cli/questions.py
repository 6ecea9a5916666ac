"""What `amlc init` asks on a terminal; each question has an answer already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # `amlc --version` has to answer at once
    from amlc.commands.init import Wishes

_EXAMPLE = "an example"


def ask(folder: Path) -> tuple[Path | None, Wishes]:
    """Ask what the new experiment in `folder` is to be; return its script, if any, and the rest."""
    from amlc.commands.init import Wishes, scripts

    found = scripts(folder)
    source = _script(folder, found[0] if found else _EXAMPLE)
    wishes = Wishes(
        name=_ask("The experiment's name", source.stem if source else "first"),
        maximize=click.confirm("Is a larger result a better one?", default=True, err=True),
        trials=_ask("How many trials", 20, type=click.IntRange(1)),
        concurrency=_ask("How many side by side", 2, type=click.IntRange(1)),
        platform=_ask("Where they run", "local", type=click.Choice(["local", "aml"])),
    )
    return source, wishes


def _script(folder: Path, default: str) -> Path | None:
    while (script := _ask("The trial script", default)) != _EXAMPLE:
        path = folder / str(script)
        if path.is_file():
            return path
        click.echo(f"{path} is no file. '{_EXAMPLE}' is an answer, too.", err=True)
    return None


def _ask(text: str, default: Any, **settings: Any) -> Any:
    return click.prompt(text, default=default, err=True, **settings)
