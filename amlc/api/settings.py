"""The experiment file as Python objects: keys are attributes, in NNI's attribute style."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from amlc.config.schema import load_schema
from amlc.config.spelling import fold, object_schema
from amlc.errors import did_you_mean

_SEVERAL_PLATFORMS = "trainingService"


class Section:
    """One object of an experiment file, whose keys are attributes.

    `trial_command` and `trialCommand` are one key.
    A key that is not set reads as None or, where it holds an object, as an empty one that can be
    filled in. A name that the experiment file has not here is an AttributeError, when it is read as
    when it is set.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        keys: Mapping[str, Any],
        unknown: bool = False,
    ) -> None:
        """Take over `values`.

        keys: for each key by its name in camelCase its own keys; {}: any; None: it is no object.
        unknown: whether to keep what has none of these names, for `problems` to find.
        """
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_values", {})
        for name, value in (values or {}).items():
            if unknown:
                self._keep(name, value)
            else:
                setattr(self, name, value)

    def _keep(self, name: str, value: Any) -> None:
        known = {fold(key): key for key in self._keys}.get(fold(name), name)
        inner = self._keys.get(known)
        if inner and isinstance(value, Mapping):
            value = Section(value, keys=inner, unknown=True)
        self._values[known] = value

    def _name(self, attribute: str) -> str:
        names: dict[str, str] = {fold(name): name for name in self._keys}
        if fold(attribute) not in names:
            there = [_snake(name) for name in self._keys]
            hint = did_you_mean(attribute, there) or f" There are {', '.join(there)}."
            raise AttributeError(f"an experiment has no '{attribute}' here.{hint}")
        return names[fold(attribute)]

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        name = self._name(attribute)
        inner = self._keys[name]
        if name not in self._values and inner is not None:
            self._values[name] = Section(keys=inner) if inner else {}
        return self._values.get(name)

    def __setattr__(self, attribute: str, value: Any) -> None:
        name = self._name(attribute)
        inner = self._keys[name]
        if inner and isinstance(value, Mapping):
            value = Section(value, keys=inner)
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        self._values[name] = value

    def __delattr__(self, attribute: str) -> None:
        self._values.pop(self._name(attribute), None)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *map(_snake, self._keys)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Section) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.as_dict()!r})"

    def as_dict(self) -> dict[str, Any]:
        """Return what is set, with the keys as an experiment file has them."""
        found = {}
        for name in dict.fromkeys((*self._keys, *self._values)):
            value = self._values.get(name)
            if isinstance(value, Section):
                value = value.as_dict()
            if value is not None and value != {}:
                found[name] = value
        return found


class ExperimentConfig(Section):
    """All keys of an experiment file; NNI's class of that name, for every platform.

        config = amlc.ExperimentConfig("local", trial_command="python3 train.py")
        config.trial_concurrency = 2
        config.tuner.class_args["optimize_mode"] = "maximize"

    Nothing is checked before the experiment is asked for its `problems`, or compiled, but the names
    of the keys.
    """

    def __init__(self, platform: str | None = None, **values: Any) -> None:
        """Make the config of a platform, such as "aml" or "local".

        values: keys of an experiment file.
        """
        super().__init__(values, keys=_keys())
        if platform is not None:
            self.training_service.platform = platform

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ExperimentConfig:
        """Return the config of what an experiment file holds, also of one that is wrong."""
        config = cls()
        Section.__init__(config, values, keys=_keys(), unknown=True)
        return config


@cache
def _keys() -> Mapping[str, Any]:
    schema = load_schema()
    keys = _keys_of(schema, schema)
    keys[_SEVERAL_PLATFORMS] = {
        name: inner
        for platform in schema["properties"][_SEVERAL_PLATFORMS]["properties"]["platform"]["enum"]
        for name, inner in _keys_of(schema["$defs"][platform], schema).items()
    }
    return keys


def _keys_of(level: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a config object: with theirs, with none, or None for what is no object."""
    found: dict[str, Any] = {}
    for name, node in level["properties"].items():
        inner = object_schema(node, schema)
        holds_objects = "object" in node.get("type", ())
        without: dict[str, Any] | None = {} if holds_objects else None
        found[name] = without if inner is None else _keys_of(inner, schema)
    return found


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
