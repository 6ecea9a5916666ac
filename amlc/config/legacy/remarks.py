"""Says what is wrong or without effect in a v1 file, in the words of that format."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from amlc.config.legacy.moves import Move
from amlc.config.legacy.signs import PLATFORM, SERVICE, SIGNS
from amlc.config.legacy.table import (
    ELSEWHERE,
    FOREIGN,
    PLATFORMS,
    Items,
    Table,
    table_of,
)
from amlc.errors import Problem, Sentence, Severity, nearest, printable, shorten
from amlc.model import Document, JsonPath

_WORDS: Final = {
    "trialCommand": "trial.command",
    "trialCodeDirectory": "trial.codeDir",
    "trialGpuNumber": "trial.gpuNum",
    "maxExperimentDuration": "maxExecDuration",
    "maxTrialNumber": "maxTrialNum",
    "searchSpaceFile": "searchSpacePath",
    "experimentWorkingDirectory": "logDir",
    "dockerImage": "trial.image",
    "maxTrialNumberPerGpu": "maxTrialNumPerGpu",
    "platform": PLATFORM,
    "tunerGpuIndices": "gpuIndices",
    "codeDirectory": "codeDir",
    "reuseMode": "reuse",
    "sshKeyFile": "sshKeyPath",
}
_PHRASES: Final = {
    "'searchSpace' or 'searchSpaceFile'": "'searchSpaceFile'",
    "`trainingService: {platform: local}`": f"`{PLATFORM}: local`",
    "`tuner: {name: ": "`tuner: {builtinTunerName: ",
}
_NAMED: Final = re.compile(rf"(['`])({'|'.join(sorted(_WORDS, key=len, reverse=True))})(?=[':])")


def remarks(document: Document, found: Sequence[Move]) -> Iterator[Problem]:
    """Yield what to say about the keys of a v1 file. found: what becomes of them."""
    data = document.data
    first = next(key for key in data if key in SIGNS)
    name = shlex.quote(document.file.name)
    said = Sentence(
        "NNI's v1 format, read as NNI 3.0 converts it.",
        printable(f"To have it in today's keys: amlc migrate {name} --in-place."),
    )
    yield document.problem((first,), "N-legacy", said, key=True, severity=Severity.NOTE)
    if data.get("multiPhase") not in (None, False):
        text = Sentence(
            "a trial of several phases cannot run, and NNI 3.0 does not run it either.",
            "Remove 'multiPhase', and let the trial ask for one parameter set; each further one is "
            "a trial of its own.",
        )
        yield document.problem(("multiPhase",), "E-multi-phase", text)
    for move in found:
        if move.new is None and move.old != ("multiPhase",):
            text = Sentence(f"'{move.old[-1]}' has no effect: {move.reason}.", hint="Remove it.")
            yield document.problem(move.old, "W-no-effect", text, key=True, severity=Severity.NOTE)
    yield from _unknown(document, data, table_of(data), ())


def _unknown(
    document: Document, data: Mapping[str, Any], table: Table, path: JsonPath
) -> Iterator[Problem]:
    """Yield a problem for each key that a v1 file has not, or not on its platform."""
    for key, value in data.items():
        here = (*path, key)
        rule = table.get(key)
        if rule is None and value is not None:
            yield from _unknown_key(document, here, table)
        elif isinstance(rule, Mapping) and isinstance(value, Mapping):
            yield from _unknown(document, value, rule, here)
        elif isinstance(rule, Items) and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _unknown(document, item, rule.table, (*here, index))
        elif isinstance(rule, (Mapping, Items)) and value is not None:
            kind = "a list" if isinstance(rule, Items) else "a mapping (key: value)"
            text = Sentence(
                f"'{key}' must be {kind}.",
                hint="Write its keys below it, or remove it.",
                found=shorten(json.dumps(value, ensure_ascii=False, default=str)),
                expected=kind,
            )
            yield document.problem(here, "E-type", text)


def corrected(data: Mapping[str, Any], table: Table | None = None) -> dict[str, Any]:
    """Return a v1 file with the names that its misspelled keys stand for, where one is near."""
    table = table_of(data) if table is None else table
    found: dict[str, Any] = {}
    for key, value in data.items():
        near = None if key in table else _near(key, table)
        name = near if near is not None and near not in data else key
        rule = table.get(name)
        if isinstance(rule, Mapping) and isinstance(value, Mapping):
            value = corrected(value, rule)  # noqa: PLW2901
        found[name] = value
    return found


def _near(key: str, table: Table) -> str | None:
    return nearest(key.replace("-", "").replace("_", ""), table)


def _unknown_key(document: Document, path: JsonPath, table: Table) -> Iterator[Problem]:
    key, own = str(path[-1]), document.data.get(PLATFORM)
    if platforms := _platforms_with(path):
        if own not in platforms:
            others = ", ".join(platforms)
            what = f"'{key}' has no effect: it belongs to platform {others}, and this is {own}."
            said = Sentence(what, "Remove it.")
            yield document.problem(path, "W-no-effect", said, key=True, severity=Severity.NOTE)
        return
    where = f"in '{path[-2]}'" if len(path) > 1 else "at the top level"
    allowed = ", ".join(table)
    near = _near(key, table)
    hint = f"Did you mean '{near}'?" if near else ""
    said = Sentence(
        f"unknown key '{shorten(key)}' {where} of NNI's v1 format.",
        hint or f"Allowed here: {allowed}.",
        found=shorten(key),
        expected=f"one of {allowed}",
    )
    yield document.problem(path, "E-unknown-key", said, key=True)


def _platforms_with(path: JsonPath) -> list[str]:
    """Return the other platforms that have a key, or the whole block that it stands in."""
    found = [name for name, block in FOREIGN.items() if path[0] == block]
    for platform, blocks in PLATFORMS.items():
        rule: Any = blocks
        for part in path:
            rule = rule.get(part) if isinstance(rule, Mapping) else None
        if rule is not None:
            found.append(platform)
    if path[0] == "trial" and path[-1] in ELSEWHERE:
        found.append(ELSEWHERE[str(path[-1])])
    return found


def in_words_of_v1(problem: Problem, document: Document) -> Problem:
    """Return a problem of a v1 file with the keys in its message as they stand in the file."""
    if not document.moved:
        return problem

    def renamed(match: re.Match[str]) -> str:
        word = _WORDS[match[2]]
        return match[1] + (word.rpartition(".")[2] if match[1] == "`" else word)

    platform = document.data.get(SERVICE, {}).get("platform")
    block = f"{'pai' if platform == 'openpai' else platform}Config" if platform else PLATFORM

    def worded(text: str) -> str:
        text = text.replace("'trainingService'", f"'{block}'")
        for new, old in _PHRASES.items():
            text = text.replace(new, old)
        return _NAMED.sub(renamed, text)

    return replace(
        problem,
        message=worded(problem.message),
        expected=problem.expected and worded(problem.expected),
        hint=problem.hint and worded(problem.hint),
    )
