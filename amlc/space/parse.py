"""Reads an NNI search space, and finds the mistakes that NNI would hand on to the tuner."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from amlc.errors import Problem, Sentence, Severity, did_you_mean, nearest, shorten
from amlc.model import Choice, Dimension, Document, Integer, JsonPath, Real, Space
from amlc.space.columns import shared
from amlc.space.points import Key

_TYPES = (
    "choice",
    "randint",
    "uniform",
    "quniform",
    "loguniform",
    "qloguniform",
    "normal",
    "qnormal",
    "lognormal",
    "qlognormal",
)
_ALL_TYPES = ", ".join(_TYPES)
_KEYS = ("_type", "_value")
_MAX_DRAW = 2**63 - 1
_LONGEST_SHOWN_BITS = 200
_EXAMPLES = {"choice": "[a, b]", "randint": "[0, 10]", "normal": "[0, 1]", "lognormal": "[0, 1]"}


def parse_space(
    document: Document, path: JsonPath, *, tuner: str | None, zipped: Collection[str] = ()
) -> tuple[Space, list[Problem]]:
    """Return the search space at `path` of a document, and everything that is wrong or odd in it.

    tuner: its canonical name, since Batch has a layout of its own and GridSearch needs a dimension;
    None if unknown. zipped: the parameters at the top that vary together, in whose options alone
    no two have to differ. A dimension with an error is left out, so the space is only good when no
    problem is an error.
    """
    data = document.data
    for part in path:
        data = data[part]
    parser = _Parser(document, frozenset((*path, name) for name in zipped))
    if not isinstance(data, Mapping):
        parser.error(
            path,
            "E-space",
            Sentence(
                f"a search space is a mapping of parameters, got {_show(data)}.",
                hint=_PARAMETER,
                found=_show(data),
                expected="a mapping of parameters",
            ),
        )
        return (), parser.problems
    if tuner == "Batch":
        return parser.batch(data, path), parser.problems
    if not data and tuner == "GridSearch":
        parser.error(
            path,
            "E-space",
            Sentence(
                "GridSearch needs at least one parameter.",
                hint="Add one, or use Random for one trial.",
                found="none",
                expected="at least one parameter",
            ),
        )
    space = parser.space(data, path)
    parser.columns_apart(space, path)
    return space, parser.problems


def place(path: JsonPath, key: Key) -> JsonPath:
    """Return where a parameter stands in a document whose space is at `path`."""
    for part in key:
        path = (*path, part) if isinstance(part, str) else (*path, "_value", part)
    return path


_PARAMETER = "Write for example `lr: {_type: uniform, _value: [0, 1]}`."


class _Parser:
    """Reads parameters and collects problems at their positions."""

    def __init__(self, document: Document, columns: Collection[JsonPath] = ()) -> None:
        self.document = document
        self.columns = columns
        self.problems: list[Problem] = []

    def error(
        self, path: JsonPath, code: str, message: str | Sentence, *, key: bool = False
    ) -> None:
        """Note an error."""
        self.problems.append(self.document.problem(path, code, message, key=key))

    def warn(self, path: JsonPath, code: str, message: str | Sentence) -> None:
        """Note a warning."""
        self.problems.append(self.document.problem(path, code, message, severity=Severity.WARNING))

    def space(self, data: Mapping[str, Any], path: JsonPath, *, branch: bool = False) -> Space:
        """Return the dimensions of a mapping of parameters.

        The `_name` of a nested `branch` is not one of them.
        """
        found = []
        for name, spec in data.items():
            if branch and name == "_name":
                continue
            dimension = self.dimension(name, spec, (*path, name))
            if dimension is not None:
                found.append(dimension)
        return tuple(found)

    def dimension(self, name: str, spec: Any, path: JsonPath) -> Dimension | None:
        """Return one dimension, None when it has an error."""
        if not name:
            self.error(
                path,
                "E-space-name",
                _needs("a parameter", "a name", "''", "Name it."),
                key=True,
            )
        if not isinstance(spec, Mapping):
            self.not_a_parameter(name, spec, path)
            return None
        known = self.check_keys(name, spec, path)
        kind, values = spec.get("_type"), spec.get("_value", [])
        if not known or "_value" not in spec or not self.check_values(str(kind), values, path):
            return None
        if kind == "choice":
            return self.choice(name, values, path)
        if kind == "randint":
            return self.integer(name, values, path)
        return self.real(name, str(kind), values, path)

    def not_a_parameter(self, name: str, spec: Any, path: JsonPath) -> None:
        """Report a constant or a bare list where a parameter should be."""
        values = spec if isinstance(spec, list) else [spec]
        options = shorten(json.dumps(values, ensure_ascii=False, default=str))
        what = "a bare list" if isinstance(spec, list) else f"the constant {_show(spec)}"
        message = Sentence(
            f"'{name}' is {what}, not a parameter.",
            hint=f"Write `{{_type: choice, _value: {options}}}`.",
            found=what,
            expected="a parameter",
        )
        self.error(path, "E-space", message)

    def check_keys(self, name: str, spec: Mapping[str, Any], path: JsonPath) -> bool:
        """Report missing, unknown and misspelt keys and types; return whether `_type` is known."""
        meant = {key for key in spec if key in _KEYS}
        for key in spec:
            if key not in _KEYS:
                near = nearest(f"_{key.lower().lstrip('_')}", _KEYS)
                meant |= {near} if near else set()  # misspelled is not missing, too
                hint = f"Did you mean '{near}'?" if near else "Remove it."
                text = f"'{key}' is no key of a parameter; '_type' and '_value' are."
                said = Sentence(text, hint, found=key, expected="'_type' or '_value'")
                self.error((*path, key), "E-space-key", said, key=True)
        kind = spec.get("_type")
        if "_type" not in meant:
            self.error(
                path,
                "E-space-type",
                Sentence(
                    f"'{name}' has no '_type'.",
                    hint=f"Add one of {_ALL_TYPES}.",
                    expected=f"one of {_ALL_TYPES}",
                ),
                key=True,
            )
        elif "_type" in spec and kind not in _TYPES:
            near = did_you_mean(kind, _TYPES).strip() if isinstance(kind, str) else ""
            said = Sentence(
                f"unknown _type {_show(kind)}.",
                near or f"NNI has {_ALL_TYPES}.",
                found=_show(kind),
                expected=f"one of {_ALL_TYPES}",
            )
            self.error((*path, "_type"), "E-space-type", said)
        if "_value" not in meant:
            example = _EXAMPLES.get(str(kind), "[0, 1]")
            message = Sentence(
                f"'{name}' has no '_value'.", hint=f"Add it, for example `_value: {example}`."
            )
            self.error(path, "E-space-value", message, key=True)
        return isinstance(kind, str) and kind in _TYPES

    def check_values(self, kind: str, values: Any, path: JsonPath) -> bool:
        """Report a `_value` that is no list, or not of the length that the type needs."""
        here = (*path, "_value")
        wanted = _layout(kind)
        if not isinstance(values, list):
            what = f"'_value' of '{kind}'"
            message = _must_be(what, "a list", _show(values), f"Write {wanted}.")
            self.error(here, "E-space-value", message)
            return False
        if kind == "choice":
            if not values:
                self.error(
                    here,
                    "E-space-value",
                    Sentence("'choice' has no options.", hint="Add at least one to '_value'."),
                )
            return bool(values)
        length = wanted.count(",") + 1
        if len(values) != length:
            message = Sentence(
                f"'{kind}' takes {length} values, got {len(values)}.",
                hint=f"Write {wanted}.",
                found=str(len(values)),
                expected=f"{length} values",
            )
            self.error(here, "E-space-value", message)
        return len(values) == length

    # --- choice -----------------------------------------------------------------------------------

    def choice(self, name: str, values: list[Any], path: JsonPath) -> Choice:
        """Return a choice, nested when every option is a mapping with `_name`."""
        here = (*path, "_value")
        named = [isinstance(option, Mapping) and "_name" in option for option in values]
        if all(named):
            self.names(values, here)
            self.duplicates([option["_name"] for option in values], here)
            branches = tuple(
                self.space(option, (*here, index), branch=True)
                for index, option in enumerate(values)
            )
            return Choice(name, tuple(option["_name"] for option in values), branches)
        if any(named):
            odd = named.index(False)
            message = Sentence(
                "this option has no '_name' as others have, so all are delivered as they stand.",
                hint="Add '_name'.",
            )
            self.warn((*here, odd), "W-space-nested", message)
        else:
            self.unnamed(values, here)
        if path not in self.columns:
            self.duplicates(values, here)
        return Choice(name, tuple(values))

    def names(self, options: list[Mapping[str, Any]], path: JsonPath) -> None:
        """Report branch names that are not text."""
        for index, option in enumerate(options):
            if not isinstance(option["_name"], str):
                found = _show(option["_name"])
                message = _must_be("'_name'", "text", found, "Put it in quotes.")
                self.error((*path, index, "_name"), "E-space-name", message)

    def unnamed(self, options: list[Any], path: JsonPath) -> None:
        """Warn of options that look like branches of a nested choice but have no name."""
        for index, option in enumerate(options):
            inner = option.values() if isinstance(option, Mapping) else ()
            if any(isinstance(value, Mapping) and "_type" in value for value in inner):
                message = Sentence(
                    "this option looks like a nested space but has no '_name', so it is delivered "
                    "as it stands.",
                    hint="Add '_name' to every option.",
                )
                self.warn((*path, index), "W-space-nested", message)
                return

    def duplicates(self, values: list[Any], path: JsonPath) -> None:
        """Warn of equal options, which NNI delivers each for itself."""
        seen: dict[str, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(json.dumps(value, sort_keys=True), index)
            if first != index:
                message = Sentence(
                    f"the option {_show(value)} is given twice, first as number {first + 1}; "
                    "both count.",
                    hint="Remove one of them.",
                    found=_show(value),
                )
                self.warn((*path, index), "W-space-duplicate", message)

    def batch(self, data: Mapping[str, Any], path: JsonPath) -> Space:
        """Return Batch's one choice; its options are what trials receive, mappings as a rule."""
        if len(data) != 1:
            self.error(
                path,
                "E-space-batch",
                _for_batch(f"{len(data)} parameters", "Keep one."),
            )
            return ()
        [(name, spec)] = data.items()
        here = (*path, name)
        if not isinstance(spec, Mapping):
            self.error(
                here,
                "E-space-batch",
                _for_batch(_show(spec), "Write `{_type: choice, _value: [...]}`."),
            )
            return ()
        known = self.check_keys(name, spec, here)
        if known and spec["_type"] != "choice":
            self.error(
                (*here, "_type"),
                "E-space-batch",
                _for_batch(f"_type {_show(spec['_type'])}", "Write choice."),
            )
            return ()
        if (
            not known
            or "_value" not in spec
            or not self.check_values("choice", spec["_value"], here)
        ):
            return ()
        self.duplicates(spec["_value"], (*here, "_value"))
        return (Choice(name, tuple(spec["_value"])),)

    def columns_apart(self, space: Space, path: JsonPath) -> None:
        """Report a parameter of which another one would take the place in every table."""
        for first, second, column in shared(space):
            line = self.document.at(place(path, first.key), key=True).line
            said = f"its column in every table is '{column}', as that of the parameter at line "
            message = Sentence(f"{said}{line}.", hint="Rename one of them.")
            self.error(place(path, second.key), "E-space-name", message, key=True)

    # --- numbers ----------------------------------------------------------------------------------

    def integer(self, name: str, values: list[Any], path: JsonPath) -> Integer | None:
        """Return a randint; bounds that are not whole are rounded up, as NNI does."""
        bounds = [
            self.number(value, (*path, "_value", index)) for index, value in enumerate(values)
        ]
        if None in bounds:
            return None
        low, high = (math.ceil(bound) for bound in bounds if bound is not None)
        for index, bound in enumerate(bounds):
            if bound != math.ceil(bound or 0):
                whole = math.ceil(bound or 0)
                message = Sentence(
                    f"'randint' takes whole numbers; {bound} is rounded up, as NNI does.",
                    hint=f"Write {whole}.",
                    found=str(bound),
                    expected="a whole number",
                )
                self.warn((*path, "_value", index), "W-space-number", message)
        if low >= high:
            equal = " (the upper bound is never drawn)" if low == high else ""
            found = f"{low} and {high}{equal}"
            message = _needs("'randint'", "low < high", found, "Raise the upper bound.")
            self.error((*path, "_value"), "E-space-bounds", message)
        elif high - low > _MAX_DRAW or not -(2**63) <= low < 2**63:
            found = f"{_show(low)} and {_show(high)}"
            message = _needs("'randint'", "bounds within 64 bits", found, "Narrow them.")
            self.error((*path, "_value"), "E-space-bounds", message)
        else:
            return Integer(name, low, high)
        return None

    def real(self, name: str, kind: str, values: list[Any], path: JsonPath) -> Real | None:
        """Return a uniform, normal or quantised dimension, None when its numbers make no sense."""
        here = (*path, "_value")
        before = len(self.problems)
        numbers = [self.number(value, (*here, index)) for index, value in enumerate(values)]
        floats = [self.as_float(number, (*here, index)) for index, number in enumerate(numbers)]
        for index, message in _objections(kind, floats, values):
            self.error((*here, index), "E-space-bounds", message)
        if any(problem.severity is Severity.ERROR for problem in self.problems[before:]):
            return None
        a, b, *q = (value for value in floats if value is not None)
        base = kind.removeprefix("q")
        return Real(
            name,
            a,
            b,
            normal=base.endswith("normal"),
            log=base.startswith("log"),
            q=q[0] if q else None,
        )

    def number(self, value: Any, path: JsonPath) -> float | None:
        """Return a finite number; numbers in quotes pass with a warning, as with NNI."""
        if isinstance(value, str):
            found = _from_text(value)
            if found is not None and _finite(found):
                message = Sentence(
                    f"the text '{shorten(value)}' is read as the number {shorten(str(found))}.",
                    hint="Remove the quotes.",
                    found=f"'{shorten(value)}'",
                    expected="a number",
                )
                self.warn(path, "W-space-number", message)
        else:
            found = (
                None if isinstance(value, bool) or not isinstance(value, (int, float)) else value
            )
        if found is None or not _finite(found):
            wanted = "a number" if found is None else "a finite number"
            self.error(
                path,
                "E-space-number",
                _must_be("a bound", wanted, _show(value), "Write a number."),
            )
            return None
        return found

    def as_float(self, value: float | None, path: JsonPath) -> float | None:
        """Return a number as a float, None for a whole number that is too large for one."""
        try:
            return None if value is None else float(value)
        except OverflowError:
            self.error(
                path,
                "E-space-number",
                _must_be("a bound", "at most 1e308", "a larger number", "Write a smaller one."),
            )
            return None


def _objections(
    kind: str, numbers: list[float | None], shown: list[Any]
) -> Iterator[tuple[int, Sentence]]:
    """Yield index and sentence of each number that the type does not allow.

    None stands for one already refused.
    """
    a, b, q = (*numbers, None)[:3]
    base = kind.removeprefix("q")
    if base.endswith("normal"):
        if b is not None and b <= 0:
            hint = "Write one, or 'choice' for a constant."
            yield 1, _needs(f"'{kind}'", "sigma > 0", _show(shown[1]), hint)
    elif base == "loguniform" and a is not None and a <= 0:
        plain = kind.replace("log", "")
        hint = f"Use a small bound such as 1e-6, or '{plain}'."
        yield 0, _needs(f"'{kind}'", "low > 0", _show(shown[0]), hint)
    elif a is not None and b is not None:
        yield from _range_objections(kind, a, b, shown)
    if kind.startswith("q") and q is not None and q <= 0:
        hint = f"Write the step, or '{base}' for no rounding."
        yield 2, _needs(f"'{kind}'", "q > 0", _show(shown[2]), hint)


def _for_batch(found: str, hint: str) -> Sentence:
    expected = "one parameter of _type choice, whose _value lists the parameter sets"
    return Sentence(f"Batch takes {expected}; got {found}.", hint, found=found, expected=expected)


def _must_be(name: str, wanted: str, found: str, hint: str) -> Sentence:
    """Return the sentence for a value that is not what is expected of it."""
    return Sentence(f"{name} must be {wanted}, got {found}.", hint, found=found, expected=wanted)


def _needs(name: str, wanted: str, found: str, hint: str) -> Sentence:
    """Return the sentence for a value that is not what something needs."""
    return Sentence(f"{name} needs {wanted}, got {found}.", hint, found=found, expected=wanted)


def _range_objections(
    kind: str, a: float, b: float, shown: list[Any]
) -> Iterator[tuple[int, Sentence]]:
    low, high = _show(shown[0]), _show(shown[1])
    if a > b:
        yield (
            0,
            _needs(f"'{kind}'", "low <= high", f"{low} and {high}", "Swap them."),
        )
    elif not math.isfinite(b - a):
        yield (
            0,
            Sentence(
                f"'{kind}' has a range too wide for a draw: {low} to {high}.", hint="Narrow it."
            ),
        )


def _layout(kind: str) -> str:
    """Return what `_value` looks like."""
    if kind == "choice":
        return "a list of options"
    if kind.endswith("normal"):
        return "[mu, sigma, q]" if kind.startswith("q") else "[mu, sigma]"
    return "[low, high, q]" if kind.startswith("q") else "[low, high]"


def _from_text(text: str) -> float | None:
    parsers: tuple[Callable[[str], float], ...] = (int, float)
    for parse in parsers:
        with suppress(ValueError):
            return parse(text)
    return None


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return True  # a whole number that is too large for a float


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN_BITS:
        return "a number of more than 60 digits"
    if isinstance(value, str):
        return f"'{shorten(value)}'"
    return shorten(json.dumps(value, ensure_ascii=False))
