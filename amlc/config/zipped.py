"""Takes the parameters that `amlc.zip` names together: each group becomes one choice of rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from amlc.config.spelling import Config
from amlc.config.wording import no_parameter
from amlc.errors import Problem, Sentence, Severity, shorten
from amlc.model import Choice, Dimension, JsonPath, Rows, Space
from amlc.plural import plural
from amlc.space.points import axes

_PATH: JsonPath = ("amlc", "zip")


def zipped_names(config: Config) -> Collection[str]:
    """Return the names in `amlc.zip`, whether or not the search space has them."""
    return {name for group in config.get(*map(str, _PATH)) or () for name in group}


def with_rows(config: Config, space: Space, tuner: str | None) -> tuple[Config, Space]:
    """Return the config with what is wrong with `amlc.zip`, and the space with rows in it.

    The rows of a group stand where its first parameter in the space stood.
    """
    groups: Sequence[Sequence[str]] = config.get(*map(str, _PATH)) or ()
    if not groups:
        return config, space
    found = list(_objections(config, space, groups, tuner))
    config = config.noted(*found)
    if found:
        return config, space
    known = {one.name: one for one in space if isinstance(one, Choice)}
    rows: dict[str, Rows] = {}
    for index, group in enumerate(groups):
        names = sorted(group, key=[*known].index)
        columns = zip(*(known[name].options for name in names), strict=True)
        options = tuple(dict(zip(names, values, strict=True)) for values in columns)
        rows |= dict.fromkeys(names, Rows(names[0], options))
        config = config.noted(*_repeated(config, options, (*_PATH, index)))
    return config, tuple(
        rows.get(one.name, one) for one in space if one.name not in rows or _is_first(rows, one)
    )


def _is_first(rows: Mapping[str, Rows], dimension: Dimension) -> bool:
    return rows[dimension.name].name == dimension.name


def _objections(
    config: Config, space: Space, groups: Sequence[Sequence[str]], tuner: str | None
) -> Iterator[Problem]:
    if config.get("tuner", "className") is not None:
        text = Sentence("a class of your own proposes every trial itself.", hint="Remove 'zip'.")
        yield config.problem(_PATH, "E-zip", text, key=True)
        return
    if tuner == "Batch":
        text = Sentence(
            "Batch's parameter sets are rows already.",
            hint="Remove 'zip', and write the rows there.",
        )
        yield config.problem(_PATH, "E-zip", text, key=True)
        return
    seen: set[str] = set()
    for index, group in enumerate(groups):
        path = (*_PATH, index)
        if len(group) < 2:
            text = Sentence(
                "a group of 'zip' needs two parameters or more.",
                hint="For example `[[lr, warmup]]`.",
                found=str(len(group)),
                expected="two parameters or more",
            )
            yield config.problem(path, "E-zip", text)
        lengths: dict[str, int] = {}
        for place, name in enumerate(group):
            reason = _reason(space, name, lengths)
            if name in seen:
                reason = Sentence(f"'{name}' is in 'zip' twice.", hint="Keep one of them.")
            if reason:
                yield config.problem((*path, place), "E-zip", reason)
            seen.add(name)


def _reason(space: Space, name: str, lengths: dict[str, int]) -> Sentence | None:
    """Return why a parameter cannot vary together with those before it, None if it can.

    lengths: of those before it.
    """
    known = {one.name: one for one in space}
    dimension = known.get(name)
    if dimension is None:
        inside = next((axis for axis in axes(space) if axis.nested and axis.key[-1] == name), None)
        if inside is not None:
            return Sentence(
                f"'{name}' is inside the choice '{inside.key[0]}', and only parameters at the top "
                "of the search space vary together.",
                hint="Remove it.",
            )
        return no_parameter(name, known)
    if not isinstance(dimension, Choice):
        return Sentence(
            f"'{name}' is no choice, and only choices vary together.",
            hint="Write its values as one.",
        )
    if dimension.branches:
        return Sentence(
            f"'{name}' is a nested choice, and only plain ones vary together.", hint="Remove it."
        )
    length = len(dimension.options)
    first, wanted = next(iter(lengths.items()), (name, length))
    lengths[name] = length
    if length != wanted:
        return Sentence(
            f"'{name}' has {plural(length, 'option')} and '{first}' has {wanted}.",
            hint="What varies together needs as many.",
            found=plural(length, "option"),
            expected=plural(wanted, "option"),
        )
    return None


def _repeated(
    config: Config, rows: Sequence[Mapping[str, object]], path: JsonPath
) -> Iterator[Problem]:
    """Yield a warning for each row that is there already; both count, as with a choice."""
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        first = seen.setdefault(json.dumps(row, sort_keys=True), index)
        if first != index:
            shown = shorten(json.dumps([*row.values()], ensure_ascii=False))
            text = Sentence(
                f"row {index + 1}, {shown}, is the same as row {first + 1}.",
                hint="Remove one of them.",
            )
            yield config.problem(path, "W-space-duplicate", text, severity=Severity.WARNING)
