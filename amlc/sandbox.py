"""Jinja's sandbox with a bound on work and size, for templates and constraints that anyone wrote.

Jinja's own keeps them from reaching out, not from running for ever. Here each step is counted: an
item of a loop, a call, a filter, and what each of them is given by its size. So the same template
ends at the same place on every machine, which a limit of seconds would not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import wraps
from typing import Any, Final

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST_STEPS: Final = 2_000_000
"""Of one job file, or of one evaluation of a constraint: a second or two."""

MOST_SIZE: Final = 2_000_000
"""Characters of a text, items of a list; those of a whole job file, too."""

_MOST_BITS: Final = 100_000
_CALL: Final = 10  # steps that a call takes beside what it is given
_CHARACTERS: Final = 16  # that weigh as much as an item of a list
_PLAIN: Final = frozenset({int, float, bool, type(None)})
_BUILT_IN: Final = _PLAIN | {str, bytes, list, tuple, dict, range}
_COUNTED, _WEIGHED = "amlc counted", "amlc weighed"  # no template can name what has a space
# What can make much out of little: of a text, a number, or a number of digits.
_GROWING: Final = frozenset(
    {
        *("batch", "center", "format", "indent", "join", "pprint", "replace", "round"),
        *("slice", "tojson", "truncate", "wordwrap", "ljust", "rjust", "zfill", "expandtabs"),
        *("format_map", "to_bytes", "translate"),
    }
)
_DIGITS: Final = re.compile(r"\d+")


class LimitError(SecurityError):
    """A template does too much."""


class _Meter:
    """How many steps are left; those of what is being rendered now."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def charge(self, steps: int) -> None:
        """Count steps. Raises LimitError when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise LimitError(f"it takes more than {MOST_STEPS:,} steps. Make it simpler")

    def weigh(self, value: Any) -> None:
        """Count what a value is by its size, with all that lies in it, each time that it does."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            kind = type(one)
            if kind in _PLAIN:
                self.charge(1)
            elif isinstance(one, (str, bytes)):
                self.charge(1 + len(one) // _CHARACTERS)
            elif isinstance(one, Mapping):
                self.charge(1 + 2 * len(one))
                waiting += one.keys()
                waiting += one.values()
            elif isinstance(one, (list, tuple, set, frozenset)):
                self.charge(1 + len(one))
                waiting += one
            else:
                sized = isinstance(one, Sized) and not isinstance(one, Undefined)
                self.charge(1 + len(one) if sized else 1)


class BoundedSandbox(ImmutableSandboxedEnvironment):
    """A sandbox whose templates and expressions end. For one thread at a time."""

    # Those that can make much out of little; intercepted, they are no constants for the compiler.
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, **options: Any) -> None:
        self._meter = _Meter()
        self._weighed = pass_context(lambda _, value: self._weigh(value))
        # The optimizer would compute what is constant before anything is counted.
        super().__init__(**options, optimized=False, finalize=self._weighed)
        self.globals.pop("lipsum", None)  # text at random, of any length
        for table in (self.filters, self.tests):
            for name, function in list(table.items()):
                table[name] = self.counted(name, function)
        self.filters[_COUNTED] = pass_context(lambda _, values: self._each(values))
        self.filters[_WEIGHED] = self._weighed

    def begin(self) -> None:
        """Count from the beginning: the steps of the next job file, or evaluation."""
        self._meter.left = MOST_STEPS

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter or test that counts what it is given, and looks at it before."""
        # What Jinja hands to it first (the context, the environment) is no value; `wraps` keeps the
        # mark that it is wanted.
        first = 1 if hasattr(function, "jinja_pass_arg") else 0

        @wraps(function)
        def bounded(*everything: Any, **named: Any) -> Any:
            given = _taken(name, everything[first:])
            self._meter.charge(_CALL)
            for value in (*given, *named.values()):
                self._meter.weigh(value)
            self._look(name, given, named)
            return self._sized(function(*everything[:first], *given, **named))

        return bounded

    def call(self, context: Context, called: Any, *given: Any, **named: Any) -> Any:
        # Jinja wraps `str.format`; what it wraps is the method.
        method = getattr(called, "__wrapped__", called)
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        given = _taken(name, given)
        self._meter.charge(_CALL)
        owned = (owner,) if type(owner) in _BUILT_IN else ()
        for value in (*owned, *given, *named.values()):
            self._meter.weigh(value)
        if owned:
            self._look(name, (*owned, *given), named)
        return self._sized(super().call(context, called, *given, **named))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if type(left) is float and type(right) is float:
            return super().call_binop(context, operator, left, right)
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length()
            bits = bits * right if operator == "**" else bits + right.bit_length()
            if operator in ("*", "**") and bits > _MOST_BITS:
                raise LimitError("a number of too many digits")
        elif operator == "*":
            sizes = [one if isinstance(one, int) else _size(one) for one in (left, right)]
            self._meter.charge(max(1, sizes[0] * sizes[1] // _CHARACTERS))
            _refuse_size(sizes[0] * sizes[1])
        elif operator == "%" and isinstance(left, (str, bytes)):
            self._meter.weigh(right)
            self._look("format", (left, *(right if isinstance(right, tuple) else (right,))), {})
        elif operator == "+":
            self._meter.charge(1 + (_size(left) + _size(right)) // _CHARACTERS)
            _refuse_size(_size(left) + _size(right))
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(argument) not in _PLAIN and type(argument) is not str:
            self._meter.weigh(argument)  # a key of tuples in tuples is hashed
        return super().getitem(obj, argument)

    def _generate(self, source: nodes.Template, *more: Any, **options: Any) -> str:
        _Counting().visit(source)
        source.set_environment(self)
        return super()._generate(source, *more, **options)

    def _each(self, values: Iterable[Any]) -> Iterable[Any]:
        # What is no list has no length for `loop` either.
        return _Items(values, self._meter) if hasattr(values, "__len__") else self._lazily(values)

    def _lazily(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self._meter.charge(1)
            yield value

    def _weigh(self, value: Any) -> Any:
        if type(value) not in _PLAIN:
            self._meter.weigh(value)
        return value

    def _sized(self, made: Any) -> Any:
        if isinstance(made, (str, bytes, list, tuple)):
            self._meter.charge(1 + len(made) // _CHARACTERS)
            _refuse_size(len(made))
        elif isinstance(made, Iterator):
            return self._lazily(made)
        return made

    def _look(self, name: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Refuse what would make too much out of what it is given, before it does."""
        if name not in _GROWING or not given:
            return
        others = [*given[1:], *named.values()]
        if name in ("format", "format_map"):
            text = str(given[0])
            numbers = sum(int(found[:9]) for found in _DIGITS.findall(text))
            is_open = "*" in text or text.count("{") > len(re.findall(r"\{[^{}]*\}", text))
            _refuse_size(numbers * max(1, text.count("}")) if "{" in text else numbers)
            others = [one for one in others if is_open or not isinstance(one, int)]
        sizes = [abs(one) if isinstance(one, int) else _size(one) for one in others]
        most = max(sizes, default=1)
        if name == "round":
            _refuse_size(most * 1_000)
        _refuse_size(max(1, _size(given[0])) * max(1, most))


class _Items(list[Any]):
    """The items of a list, of which each is counted when it is taken."""

    def __init__(self, values: Iterable[Any], meter: _Meter) -> None:
        super().__init__(values)
        self._meter = meter

    def __iter__(self) -> Iterator[Any]:
        for value in super().__iter__():
            self._meter.charge(1)
            yield value


class _Counting(NodeTransformer):
    """Puts what counts into loops and comparisons, which the sandbox does not see otherwise."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2's
        self.generic_visit(node)
        node.iter = _filter(node.iter, _COUNTED)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802 - jinja2's
        self.generic_visit(node)
        # The text of a template is not counted, unless it stands there as a value does.
        node.nodes = [
            nodes.Const(part.data, lineno=part.lineno)
            if isinstance(part, nodes.TemplateData) and len(part.data) > 2 * _CHARACTERS
            else part
            for part in node.nodes
        ]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - jinja2's
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802 - jinja2's
        self.generic_visit(node)
        node.key = _weighed(node.key)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2's
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "join")


def _weighed(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const):
        return node
    return _filter(node, _WEIGHED)


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _taken(name: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is given with lists for what comes one by one, of which nobody knows how much."""
    if name != "join":
        return given
    return tuple(list(one) if isinstance(one, Iterator) else one for one in given)


def _size(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def _refuse_size(size: int) -> None:
    if size > MOST_SIZE:
        raise LimitError(f"it makes more than {MOST_SIZE:,} characters or items at once")
