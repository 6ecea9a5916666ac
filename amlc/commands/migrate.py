"""`amlc migrate`: an experiment of NNI's v1 format, or with annotations, written as of today."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from amlc import files
from amlc.config.annotations import SIGN, translate
from amlc.config.legacy import is_legacy, modern
from amlc.config.legacy.moves import Move, moves, to_v2
from amlc.config.load import load_document
from amlc.config.placeholders import key_variable
from amlc.config.rewrite import rewrite
from amlc.config.rules import without_effect
from amlc.config.spelling import expanded, fold
from amlc.config.tree import secret
from amlc.errors import ConfigError, Position, Severity, UsageError
from amlc.model import Document, JsonPath

_ANNOTATED: Final = "useAnnotation"
_SPACE: Final = "searchSpaceFile"
_KEY_OF_STORAGE: Final = "AZURE_STORAGE_KEY"
_NO_CODE: Final = frozenset({"build", "__pycache__", "node_modules", "venv", "site-packages"})


@dataclass(frozen=True, slots=True)
class Line:
    """What became of a key. outcome: kept, translated, safer, or no effect."""

    position: Position
    key: str
    outcome: str
    new: str = ""
    why: str = ""

    def __str__(self) -> str:
        arrow = f" → {self.new}" if self.new and self.new != self.key else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.position}: {self.outcome}: {self.key}{arrow}{why}"


@dataclass(frozen=True, slots=True)
class Migrated:
    """What migrating would write, and why.

    texts: the experiment file first. before: what is there now, None where nothing is.
    """

    texts: Mapping[Path, str]
    before: Mapping[Path, str | None]
    sheet: Sequence[Line]
    comments_lost: bool = False

    @property
    def text(self) -> str:
        """The experiment file as of today."""
        return next(iter(self.texts.values()))

    @property
    def diff(self) -> str:
        """The difference of all files, as `diff -u` shows it."""
        parts: list[str] = []
        for path, text in self.texts.items():
            old, name = self.before[path], os.path.relpath(path)
            names = ("/dev/null" if old is None else f"a/{name}", f"b/{name}")
            parts += difflib.unified_diff(
                (old or "").splitlines(True), text.splitlines(True), *names
            )
        return "".join(parts)

    def write(self) -> None:
        """Write all files, the experiment file last."""
        for path, text in reversed(list(self.texts.items())):
            ends_with_cr = path.exists() and b"\r\n" in path.read_bytes()
            files.write_out(path, (text.replace("\n", "\r\n") if ends_with_cr else text).encode())


def migrate(file: Path) -> Migrated:
    """Convert a file of NNI v1, or with annotations.

    Raises UsageError for any other, ConfigError for what has no place today: unknown keys, several
    phases.
    """
    document = load_document(file)
    annotated = _is_annotated(document)
    if not is_legacy(document) and not annotated:
        raise UsageError(
            f"{file}: not in NNI's v1 format, so there is nothing to convert. Try: "
            f"amlc validate {file}."
        )
    errors = [problem for problem in modern(document).remarks if problem.severity is Severity.ERROR]
    if errors:
        raise ConfigError(errors)
    found = [_safer(move) for move in _moves(document)]
    texts: dict[Path, str] = {}
    if annotated:
        found, texts = _without_annotations(file, document, found)
    values = to_v2(found)
    text, kept = rewrite(_read(file), {move.old: move.new for move in found}, values, document.data)
    texts = {file: text, **texts}
    before = {path: _read(path) if path.exists() else None for path in texts}
    return Migrated(
        texts, before, list(_sheet(document, found)), comments_lost=not kept and "#" in _read(file)
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _moves(document: Document) -> list[Move]:
    if is_legacy(document):
        return list(moves(document.data))
    return [Move((key,), (key,), value) for key, value in document.data.items()]


def _is_annotated(document: Document) -> bool:
    data = document.data
    return isinstance(data, Mapping) and any(
        fold(key) == fold(_ANNOTATED) and data[key] is True for key in data
    )


# --- secrets --------------------------------------------------------------------------------------


def _safer(move: Move) -> Move:
    """Return the move with a secret out of the file, where amlc takes it from the environment."""
    if (
        move.new is None
        or not isinstance(move.value, str)
        or not secret(move.new)
        or key_variable(move.value)
    ):
        return move
    return replace(move, value=f"${{{_variable(move.new)}}}")


def _variable(path: JsonPath) -> str:
    if path[-1] == "storageAccountKey":
        return _KEY_OF_STORAGE
    name = "".join(f"_{letter}" if letter.isupper() else letter for letter in str(path[-1])).upper()
    return f"{name}_{path[-2]}" if len(path) > 1 and isinstance(path[-2], int) else name


# --- annotations ----------------------------------------------------------------------------------


def _without_annotations(
    file: Path, document: Document, found: list[Move]
) -> tuple[list[Move], dict[Path, str]]:
    """Return the moves to a search space file, and the text of each further file."""
    code = next(
        (
            move.value
            for move in found
            if move.new and fold(str(move.new[-1])) == "trialcodedirectory"
        ),
        ".",
    )
    folder = file.parent / expanded(str(code))
    translated = translate({path: _read(path) for path in _sources(folder)})
    if not translated.space:
        where = next(move.old for move in found if fold(str(move.old[-1])) == fold(_ANNOTATED))
        text = f"no file in '{code}' has an annotation ({SIGN}variable). "
        text += "Remove the key, and write a search space."
        raise ConfigError([document.problem(where, "E-annotation", text)])
    space = json.dumps(translated.space, indent=2, ensure_ascii=False) + "\n"
    target = _free(file, space)
    changed = [
        replace(move, new=(_SPACE,), value=target.name)
        if fold(str(move.old[-1])) == fold(_ANNOTATED)
        else move
        for move in found
    ]
    return changed, {target: space, **translated.files}


def _free(file: Path, content: str) -> Path:
    """Return where the search space goes: beside the experiment, where nothing else is."""
    names = (
        "search_space.json",
        f"{file.stem}_search_space.json",
        f"{file.stem}_annotated_search_space.json",
    )
    for path in (file.parent / name for name in names):
        if not path.exists() or _read(path) == content:
            return path
    raise UsageError(
        f"{file.parent}: {', '.join(names)} are there already, and nothing was written. "
        "Move one of them."
    )


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the Python files of trial code, in order."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name not in _NO_CODE and not name.startswith(".")
        )
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(root, name)


# --- the proof sheet ------------------------------------------------------------------------------


def _sheet(document: Document, found: Sequence[Move]) -> Iterator[Line]:
    for move in found:
        place, key = document.at(move.old, key=True), _dots(move.old)
        if move.new is None:
            yield Line(place, key, "no effect", why=move.reason)
            continue
        new = _dots(move.new)
        old_value: Any = document.data
        for part in move.old:
            old_value = old_value[part]
        name = key_variable(move.value)
        if reason := without_effect(str(move.new[0]), move.value):
            yield Line(place, key, "no effect", new, reason)
        elif move.value != old_value and name is not None:
            yield Line(
                place,
                key,
                "safer",
                new,
                f"the secret is read from the environment: export {name}=…",
            )
        elif fold(str(move.old[-1])) == fold(_ANNOTATED) and move.new == (_SPACE,):
            yield Line(
                place, key, "translated", new, "annotations became calls of NNI's in the trial code"
            )
        else:
            same = move.new == move.old and move.value == old_value
            yield Line(place, key, "kept" if same else "translated", new)


def _dots(path: JsonPath) -> str:
    return ".".join(map(str, path))
