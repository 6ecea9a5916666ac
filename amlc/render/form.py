"""Print a template once with its changing values left open; fill those in for each job."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeAlias

from amlc.render.readback import is_read_as
from amlc.render.scalars import to_yaml

Print: TypeAlias = "Callable[[Mapping[str, Any]], str]"
Whole: TypeAlias = "Callable[[Mapping[str, Any]], Mapping[str, Any]]"


class Fill(Protocol):
    """What prints a job.

    own: its name, display name, environment variables and tags. alike: the same for jobs that
    differ in nothing else. whole: makes a job's mapping of its own values, without looking at them.
    """

    def __call__(
        self, own: Mapping[str, Any], alike: Hashable = ..., whole: Whole = ...
    ) -> str: ...


_BLANK = re.compile("\0([0-9]+)\0")  # no YAML has a NUL in it
_MOST_FORMS = 256
_SHORT = 15  # such values recur from job to job, numbers of 17 digits and ids do not


class Blank(int):
    """Stands in a mapping for the value of this number; prints as its place."""

    def __str__(self) -> str:
        return f"\0{int(self)}\0"


class _Form(NamedTuple):
    """A text in parts; every second one is the place of the value with the next of `numbers`."""

    parts: list[str]
    numbers: list[int]


def filled(printed: Print, checked: Print) -> Fill:
    """Return what prints job mappings as `printed` does, several times faster, and reads back.

    checked: prints, and reads back, as `printed` does not. Both have to print every value as it
    comes, alone on the rest of its line, without looking at it: that is known of amlc's own
    template, and of no other. A form is kept for each set of keys, which choices with branches
    change, of jobs that are `alike`; it has to give what `checked` gives for its first values, and
    from then on each value that goes into it is read back.
    """
    forms: dict[tuple[Any, ...], _Form] = {}

    def fill(own: Mapping[str, Any], alike: Hashable = None, whole: Whole = dict) -> str:
        variables, tags = own["environment_variables"], own["tags"]
        values = [own["name"], own["display_name"], *variables.values(), *tags.values()]
        shape = (alike, *variables, None, *tags)
        form = forms.get(shape)
        if form is None:
            form = _form(printed(whole(_opened(variables, tags))))
            if _joined(form, values) != checked(whole(own)):
                name = own["name"]
                raise AssertionError(f"{name}: the template does not print every value as it comes")
            forms[shape] = form
            if len(forms) > _MOST_FORMS:
                del forms[next(iter(forms))]  # the oldest
        return _joined(form, values)

    return fill


def _opened(variables: Mapping[str, Any], tags: Mapping[str, Any]) -> dict[str, Any]:
    blanks = map(Blank, count())
    return {
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
    if not is_read_as(written, text):
        raise AssertionError(f"{text!r} would be written as {written}, which is another text")
    return written


@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return _proved(text)
