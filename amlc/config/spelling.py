"""Brings config keys to camelCase as NNI matches them, and remembers how the file has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from amlc.errors import Problem, Sentence, Severity, nearest, shorten
from amlc.model import Document, JsonPath, relocated

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An experiment file on its way from the document to the Experiment.

    Every stage returns a new one. data: canonical keys at config level, `null` left out. spelling:
    where a canonical path stands in the file, if elsewhere. broken: canonical paths that were
    refused, so that they are not also reported as missing. untrusted: the file is a stranger's, and
    nothing outside its folder is read. filled, variables: as a Document has them, with the search
    space's file; in variables is what the service's keys have of the environment, too.
    """

    document: Document
    data: Mapping[str, Any]
    spelling: Mapping[JsonPath, JsonPath]
    problems: tuple[Problem, ...] = ()
    broken: frozenset[JsonPath] = frozenset()
    untrusted: bool = False
    filled: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def get(self, *path: str) -> Any:
        """Return the value at a canonical path, None if it is not set."""
        value: Any = self.data
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def resolve(self, value: str) -> Path:
        """Return a path of the file as an absolute one.

        Relative ones count from the file's folder.
        """
        return (self.folder / expanded(value)).resolve()

    @property
    def folder(self) -> Path:
        """The folder of the experiment's file."""
        return self.document.file.absolute().parent

    def original(self, path: JsonPath) -> JsonPath:
        """Return the path as the file spells it."""
        return relocated(path, self.spelling)

    def problem(
        self,
        path: JsonPath,
        code: str,
        message: str | Sentence,
        *,
        key: bool = False,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Return a problem with what stands at a canonical path."""
        return self.document.problem(self.original(path), code, message, key=key, severity=severity)

    def warning(self, path: JsonPath, code: str, message: str | Sentence) -> Problem:
        """Return a warning about the key at a canonical path."""
        return self.problem(path, code, message, key=True, severity=Severity.WARNING)

    def note(self, path: JsonPath, code: str, message: str | Sentence) -> Problem:
        """Return a note about the key at a canonical path."""
        return self.problem(path, code, message, key=True, severity=Severity.NOTE)

    def noted(self, *problems: Problem) -> Config:
        """Return the config with more problems."""
        return replace(self, problems=self.problems + problems)

    def with_value(self, path: JsonPath, value: Any) -> Config:
        """Return the config with another value at a canonical path."""
        return replace(self, data=_set(self.data, path, value))

    def without(self, path: JsonPath, *, broken: bool = True) -> Config:
        """Return the config as if the path were not set; `broken`: because it was refused."""
        marked = self.broken | {path} if broken else self.broken
        return replace(self, data=_set(self.data, path, None), broken=marked)

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(p.severity is Severity.ERROR for p in self.problems)


def expanded(value: str) -> Path:
    """Return a path with `~` filled in; that of a user whom nobody knows stays, as in a shell."""
    path = Path(value)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _set(data: Mapping[str, Any], path: JsonPath, value: Any) -> dict[str, Any]:
    key, rest = str(path[0]), path[1:]
    if rest:
        value = (
            _set(data[key], rest, value) if isinstance(data.get(key), Mapping) else data.get(key)
        )
    others = {name: old for name, old in data.items() if name != key}
    return others if value is None else others | {key: value}


def fold(key: str) -> str:
    """Return what NNI compares of a key: lower-case, without `_`."""
    return key.lower().replace("_", "")


def read_keys(document: Document, schema: Schema) -> Config:
    """Return the config with canonical keys but in `trainingService`: there the platform counts."""
    config = Config(
        document=document,
        data={},
        spelling={},
        broken=document.meant,
        filled=document.filled,
        variables=document.variables,
    )
    return fold_keys(config, (), document.data, schema, schema)


def fold_keys(
    config: Config, path: JsonPath, found: Mapping[str, Any], level: Schema, schema: Schema
) -> Config:
    """Return the config with the mapping `found` at `path`, keys canonical, and so on inside.

    level: the JSON Schema of this object. Unknown keys and keys in two spellings become errors.
    """
    config, data = _named(config, path, found, level, schema)
    config = config.with_value(path, data) if path else replace(config, data=data)
    for name, value in data.items():
        inner = object_schema(level["properties"][name], schema)
        if inner is not None and isinstance(value, Mapping) and name != "trainingService":
            config = fold_keys(config, (*path, name), value, inner, schema)
    return config


def _named(
    config: Config, path: JsonPath, found: Mapping[str, Any], level: Schema, schema: Schema
) -> tuple[Config, dict[str, Any]]:
    """Return the config with how the keys of `found` are spelled, and their values by name."""
    names = {fold(name): name for name in level["properties"]}
    here = config.original(path)
    data: dict[str, Any] = {}
    spelling, problems = dict(config.spelling), []
    meant: set[JsonPath] = set()
    for key, value in found.items():
        name = names.get(fold(key))
        if name is None:
            elsewhere = _elsewhere(key, level, schema)
            near = None if elsewhere else _meant(key, level)
            problems.append(_unknown(config.document, (*here, key), level, elsewhere, near))
            if near is not None:
                meant.add((*path, near))
            continue
        place = (*path, name)
        if place in spelling:
            problems.append(_two_spellings(config.document, (*here, key), spelling[place]))
            continue
        spelling[place] = (*here, key)
        if value is not None:  # as in NNI, null is not given
            data[name] = value
    # A name that is misspelled is not missing, too: one mistake, one problem.
    broken = config.broken | (meant - spelling.keys())
    problems = [*config.problems, *problems]
    return replace(config, spelling=spelling, problems=tuple(problems), broken=broken), data


def _meant(key: str, level: Schema) -> str | None:
    """Return the key of this object that may be meant by one that it has not."""
    names = level["properties"]
    if fold(key) in _OF_NNI_1 and _OF_NNI_1[fold(key)] in names:
        return _OF_NNI_1[fold(key)]
    word = fold(key.replace("-", ""))
    old = nearest(word, [one for one, name in _OF_NNI_1.items() if name in names])
    return nearest(word, names) or (None if old is None else _OF_NNI_1[old])


_OF_NNI_1: Final = {
    "builtintunername": "name",
    "builtinassessorname": "name",
    "builtinadvisorname": "name",
    "codedir": "codeDirectory",
}
"""Keys of NNI 1's format, in which the whole file is read or nothing, and what they are today."""


def object_schema(node: Schema, schema: Schema) -> Schema | None:
    """Return the schema of a config object behind a `$ref` or in place, None for a plain value."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node if "properties" in node else None


def _two_spellings(document: Document, path: JsonPath, first: JsonPath) -> Problem:
    place = document.at(first, key=True)
    return document.problem(
        path,
        "E-duplicate-key",
        Sentence(
            f"'{path[-1]}' is the same key as '{first[-1]}' at line {place.line}, column "
            f"{place.column}.",
            hint="Keep one of them.",
        ),
        key=True,
    )


def _unknown(
    document: Document, path: JsonPath, level: Schema, elsewhere: str, near: str | None
) -> Problem:
    """Return the error for a key that the schema does not know here, with the likeliest reason.

    elsewhere: the hint that the key belongs to another object. near: the key that may be meant.
    """
    *here, key = path
    where = f"in '{here[-1]}'" if here else "at the top level"
    found, allowed = shorten(str(key)), ", ".join(level["properties"])
    hint = elsewhere or (f"Did you mean '{near}'?" if near else "")
    said = Sentence(
        f"unknown key '{found}' {where}.",
        hint or f"Allowed here: {allowed}.",
        found=found,
        expected=f"one of {allowed}",
    )
    return document.problem(path, "E-unknown-key", said, key=True)


def _elsewhere(key: str, level: Schema, schema: Schema) -> str:
    """Return the hint that the key belongs to another object."""
    parts = schema["$defs"]
    places = {"the top level": schema} | {
        f"'{name}'": parts[name] for name in ("sharedStorage", "amlc", "tuner")
    }
    platforms = schema["properties"]["trainingService"]["properties"]["platform"]["enum"]
    places |= {f"'trainingService' with platform {name}": parts[name] for name in platforms}
    for place, other in places.items():
        if other is not level and fold(key) in {fold(name) for name in other["properties"]}:
            return f"It belongs to {place}."
    return ""
