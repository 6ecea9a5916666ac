"""Print a template once with its changing values left open; fill those in for each job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from amlc.render.readback import read_scalar
from amlc.render.scalars import to_yaml

Print: TypeAlias = "Callable[[Mapping[str, Any]], str]"

_BLANK = re.compile("\0([0-9]+)\0")  # no YAML has a NUL in it
_FEW = ("limits", "code", "inputs", "environment")  # that differ, from folder to folder at most
_MOST_FORMS = 256
_SHORT = 100  # such values recur from job to job


class Blank(int):
    """Stands in a mapping for the value of this number; prints as its place."""

    def __str__(self) -> str:
        return f"\0{int(self)}\0"


class _Form(NamedTuple):
    """A text in parts; every second one is the place of the value with the next of `numbers`."""

    parts: list[str]
    numbers: list[int]


def filled(printed: Print, checked: Print) -> Print:
    """Return what prints job mappings as `printed` does, several times faster, and reads back.

    checked: prints, and reads back, as `printed` does not. Both have to print every value as it
    comes, alone on the rest of its line, without looking at it: that is known of amlc's own
    template, and of no other. The mappings may differ in name, display name, environment
    variables, tags and `_FEW` only. A form is kept for each of those and each set of keys, which
    choices with branches change; it has to give what `checked` gives for its first mapping, and
    from then on each value that goes into it is read back.
    """
    forms: dict[tuple[Any, ...], _Form] = {}

    def fill(mapping: Mapping[str, Any]) -> str:
        name, shown_name = mapping.get("name"), mapping.get("display_name")
        variables, tags = mapping.get("environment_variables"), mapping.get("tags")
        if not (name and shown_name and isinstance(variables, dict) and isinstance(tags, dict)):
            return checked(mapping)  # which says what is missing
        values = [name, shown_name, *variables.values(), *tags.values()]
        rest = [str(mapping.get(key)) for key in _FEW]
        shape = (*variables, None, *tags, *rest)
        form = forms.get(shape)
        if form is None:
            form = _form(printed(_opened(mapping, variables, tags)))
            if _joined(form, values) != checked(mapping):
                raise AssertionError(f"{name}: the template does not print every value as it comes")
            forms[shape] = form
            if len(forms) > _MOST_FORMS:
                del forms[next(iter(forms))]  # the oldest
        return _joined(form, values)

    return fill


def _opened(
    mapping: Mapping[str, Any], variables: Mapping[str, Any], tags: Mapping[str, Any]
) -> dict[str, Any]:
    blanks = map(Blank, count())
    return {
        **mapping,
        "name": next(blanks),
        "display_name": next(blanks),
        "environment_variables": dict(zip(variables, blanks)),  # noqa: B905 - there are always more blanks
        "tags": dict(zip(tags, blanks)),  # noqa: B905
    }


def _form(text: str) -> _Form:
    parts = _BLANK.split(text)
    return _Form(parts, list(map(int, parts[1::2])))


def _joined(form: _Form, values: list[Any]) -> str:
    parts = form.parts.copy()
    parts[1::2] = [_written(values[number]) for number in form.numbers]
    return "".join(parts)


def _written(value: Any) -> str:
    if type(value) is not str:  # a tag or variable of the user's own
        return to_yaml(value)
    return _proved(value) if len(value) > _SHORT else _short(value)


def _proved(text: str) -> str:
    """Return `text` as YAML, which was read back."""
    written = to_yaml(text)
    if read_scalar(written) != text:
        raise AssertionError(f"{text!r} would be written as {written}, which is another text")
    return written


@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return _proved(text)
