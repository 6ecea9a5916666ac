"""What no honest experiment file has, and what a stranger's must not reach.

A value that no system call takes or no comparison knows (NUL, NaN), and paths that lead out of the
folder of an untrusted file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from amlc.bindings import local_paths
from amlc.config.spelling import Config
from amlc.errors import ConfigError, Position, Problem, Sentence, printable, shorten
from amlc.model import JsonPath

# What has checks of its own, or goes to the trial as it is written, where both may mean something.
_FREE: Final = frozenset({"searchSpace", "classArgs", "initial", "job", "failedValue"})
_PATHS: Final = (
    ("searchSpaceFile",),
    ("trialCodeDirectory",),
    ("amlc", "templates"),
    ("tuner", "codeDirectory"),
    ("assessor", "codeDirectory"),
    ("advisor", "codeDirectory"),
)
_LONGEST_NAME, _LONGEST_PATH = 255, 4_000  # bytes, on Linux; a path has a folder before it
_JOB: Final = ("amlc", "job")
_ADVICE: Final = "Put it into the folder, or leave out --untrusted for a file of your own."


def refuse_outside(file: Path) -> None:
    """Raise ConfigError for an experiment file that is a link out of its folder."""
    if not _is_within(file.absolute().parent, file.resolve()):
        text = Sentence("the file is a link that leads out of its folder.", hint=_ADVICE)
        raise ConfigError([Problem.at(Position(file, 1, 1), "E-outside", text)])


def without_odd_values(config: Config) -> Config:
    """Return the config without texts that have a NUL and numbers that are none, each refused."""
    for path, value in list(_values(config.data, ())):
        if isinstance(value, str) and "\0" in value:
            text = Sentence(
                "U+0000 is a character that no path, name or command has.", hint="Remove it."
            )
            config = _refused(config, path, "E-text", text)
        elif isinstance(value, str) and path in _PATHS and _is_too_long(value):
            text = Sentence(f"'{shorten(value)}' is too long for a path.", hint="Shorten it.")
            config = _refused(config, path, "E-file", text)
        elif isinstance(value, float) and not math.isfinite(value):
            text = Sentence(
                f"a number is expected, and {value} is none.",
                hint="Write a number.",
                found=str(value),
                expected="a number",
            )
            config = _refused(config, path, "E-number", text)
    return config


def within_folder(config: Config) -> Config:
    """Return the config of an untrusted file without the paths that lead out of its folder."""
    if not config.untrusted:
        return config
    for path in _PATHS:
        value = config.get(*path)
        if isinstance(value, str) and not _is_within(config.folder, config.resolve(value)):
            config = _refused(config, path, "E-outside", _leads_out(value))
    job = config.get(*_JOB)
    for place, value in list(local_paths(job)) if isinstance(job, Mapping) else ():
        if not _is_within(config.folder, config.resolve(value)):
            problem = config.problem((*_JOB, *place), "E-outside", _leads_out(value))
            config = config.without(_JOB).noted(problem)
    return config


def _is_too_long(value: str) -> bool:
    sizes = [len(part.encode("utf-8", "replace")) for part in value.split("/")]
    return max(sizes) > _LONGEST_NAME or sum(sizes) + len(sizes) > _LONGEST_PATH


def _leads_out(value: str) -> Sentence:
    return Sentence(
        f"'{printable(shorten(value))}' leads out of the experiment's folder.", hint=_ADVICE
    )


def _is_within(folder: Path, path: Path) -> bool:
    return path.is_relative_to(folder.resolve())


def _values(value: Any, path: JsonPath) -> Iterator[tuple[JsonPath, Any]]:
    """Yield every single value below config keys, with its canonical path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in _FREE:
                yield from _values(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(inner, (*path, index))
    elif path:
        yield path, value


def _refused(config: Config, path: JsonPath, code: str, text: Sentence) -> Config:
    """Return the config without the key that a value belongs to, and the problem."""
    whole = path[: next((n for n, part in enumerate(path) if isinstance(part, int)), len(path))]
    return config.without(whole).noted(config.problem(path, code, text))
