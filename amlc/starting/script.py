"""Reads from a trial script which parameters it takes, without running it.

It is for a proposal that somebody looks at: rather one too many. What is certain, and nothing else,
`amlc.script` says.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_ASKS: Final = "get_next_parameter"
_MERGES: Final = (
    "merge_parameter"  # nni.utils has it: options, overridden by what the tuner proposes
)
_LOSS: Final = re.compile(r"loss|err|rmse|mse|mae|perplexity", re.IGNORECASE)
_TYPES: Final[Mapping[str, type]] = {"float": float, "int": int, "str": str, "bool": bool}
_UNTUNED: Final = re.compile(
    r"(^|_)(seed|workers?|interval|rank|device|gpus?|cuda|port|verbose|debug|path|dir|folder|file|name|save|"
    r"resume|download|run|log|checkpoint|data|dataset|root|output)(_|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that a script takes.

    line: where it stands first, from 1. kind: what the script makes of it, None if it does not say.
    default, choices: those of the script, None and () if it has none.
    """

    name: str
    line: int
    kind: type | None = None
    default: Any = None
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a script says of itself.

    parameters: in the order of their lines. left_out: options of its command line that look like no
    hyperparameters. asks: whether it asks for parameters at all. minimizes: whether what it reports
    is called a loss.
    """

    parameters: tuple[Parameter, ...]
    left_out: tuple[str, ...]
    asks: bool
    minimizes: bool


def read_script(text: str) -> Script:
    """Return what a script says of itself. Raises SyntaxError if it is not Python."""
    tree = ast.parse(text)
    reader = _Reader(tree)
    return Script(
        parameters=tuple(sorted(reader.found.values(), key=lambda one: one.line)),
        left_out=tuple(reader.left_out),
        asks=reader.asks,
        minimizes=_minimizes(tree),
    )


def _minimizes(tree: ast.AST) -> bool:
    reports = [node for node in _calls(tree, "report_final_result") if node.args]
    return any(_LOSS.search(ast.unparse(node.args[0])) for node in reports)


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == name:
            yield node


def _called(node: ast.Call) -> str:
    """Return the last part of what is called: `f` of `f()` and of `a.f()`."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _constant(node: ast.expr | None) -> Any:
    """Return the value that an expression writes out, None if it is computed."""
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


@dataclass(slots=True)
class _Reader:
    """Follows what `get_next_parameter` returns through a script, by name.

    A name means the same everywhere in it: scripts are short, and a parameter too many is seen at a
    glance.
    """

    tree: ast.Module
    found: dict[str, Parameter] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    asks: bool = False
    _names: set[str] = field(default_factory=set)
    _functions: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = list(ast.walk(self.tree))
        self.asks = any(_calls(self.tree, _ASKS))
        self._functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        known = -1
        while known < len(self._names):  # a name may be passed on before it stands in the text
            known = len(self._names)
            for node in nodes:
                self._follow(node)
        for node in nodes:
            self._read(node)
        if self._options_are_parameters(nodes):
            for node in nodes:
                self._read_option(node)

    # --- where parameters are ---------------------------------------------------------------------

    def _holds(self, node: ast.AST | None) -> bool:
        """Tell whether an expression is the parameters, or a mapping that has them."""
        match node:
            case ast.Name(id=name):
                return name in self._names
            case ast.NamedExpr(value=value):
                return self._holds(value)
            case ast.Call():
                inside = any(map(self._holds, [*node.args, *(one.value for one in node.keywords)]))
                is_made = _called(node) in ("dict", "copy", "deepcopy", "Namespace", _MERGES)
                return _called(node) == _ASKS or (is_made and inside) or self._returns(node)
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return any(key is None and self._holds(value) for key, value in pairs)
            case ast.BinOp(left=left, right=right, op=ast.BitOr()):
                return self._holds(left) or self._holds(right)
        return False

    def _returns(self, node: ast.Call) -> bool:
        function = self._functions.get(_called(node))
        returned = [] if function is None else list(ast.walk(function))
        return any(isinstance(one, ast.Return) and self._holds(one.value) for one in returned)

    def _follow(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value) if self._holds(value):
                self._names |= {one.id for one in targets if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if self._holds(value):
                self._names.add(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if self._holds(value):
                self._names.add(name)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="update"), args=[value]
            ) if self._holds(value):
                self._names.add(name)
            case ast.Call():
                self._pass_on(node)

    def _pass_on(self, node: ast.Call) -> None:
        """Let a function's parameter hold what it is given."""
        function = self._functions.get(_called(node))
        if function is None:
            return
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        for name, value in zip(names, node.args, strict=False):
            if self._holds(value):
                self._names.add(name)
        for one in node.keywords:
            if one.arg and self._holds(one.value):
                self._names.add(one.arg)

    # --- which there are --------------------------------------------------------------------------

    def _read(self, node: ast.AST) -> None:
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if self._holds(
                value
            ):
                self._add(Parameter(name=name, line=node.lineno))
            case ast.Call(
                func=ast.Attribute(value=value, attr="get" | "pop"),
                args=[ast.Constant(value=str(name)), *rest],
            ) if self._holds(value):
                default = _constant(rest[0]) if rest else None
                self._add(Parameter(name=name, line=node.lineno, default=default))
            case ast.Call(keywords=keywords) if any(
                one.arg is None and self._holds(one.value) for one in keywords
            ):
                self._read_signature(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in self._names:
                self._read_defaults(value)

    def _read_signature(self, node: ast.Call) -> None:
        """Read the parameters of a function that is called with `**parameters`."""
        function = self._functions.get(_called(node))
        if function is None:
            return
        given = {one.arg for one in node.keywords}
        every = [*function.args.posonlyargs, *function.args.args][len(node.args) :]
        defaults: list[ast.expr | None] = [None] * len(every)
        if function.args.defaults:
            defaults[-len(function.args.defaults) :] = function.args.defaults
        pairs = [*zip(every, defaults, strict=False)]
        pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        for one, default in pairs:
            if one.arg not in given and one.arg != "self":
                kind = _TYPES.get(ast.unparse(one.annotation)) if one.annotation else None
                found = Parameter(
                    name=one.arg, line=one.lineno, kind=kind, default=_constant(default)
                )
                self._add(found)

    def _read_defaults(self, value: ast.expr) -> None:
        """Read a dict that parameters are put over; what is no plain value is none of them."""
        if isinstance(value, ast.Call) and (function := self._functions.get(_called(value))):
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                    self._read_defaults(node.value)
        if not isinstance(value, ast.Dict):
            return
        for key, item in zip(value.keys, value.values, strict=True):
            name, default = _constant(key), _constant(item)
            if isinstance(name, str) and isinstance(default, (bool, int, float, str)):
                self._add_option(Parameter(name=name, line=item.lineno, default=default))

    def _options_are_parameters(self, nodes: Sequence[ast.AST]) -> bool:
        """Tell whether the command line's options and the parameters come together."""
        together = ("vars", "Namespace", "setattr", _MERGES)
        return self.asks and any(
            (isinstance(node, ast.Call) and _called(node) in together)
            or (isinstance(node, ast.Attribute) and node.attr == "__dict__")
            for node in nodes
        )

    def _read_option(self, node: ast.AST) -> None:
        """Read an option of argparse, or of click."""
        if not (isinstance(node, ast.Call) and _called(node) in ("add_argument", "option")):
            return
        words = [_constant(one) for one in node.args]
        flags = [one for one in words if isinstance(one, str) and one.startswith("-")]
        longest = max(flags, key=len, default="")
        if not longest:
            return  # a file that it works on, say
        given = {one.arg: one.value for one in node.keywords}
        name = _constant(given.get("dest")) or longest.lstrip("-").replace("-", "_")
        is_flag = str(_constant(given.get("action"))) in ("store_true", "store_false")
        kind = (
            bool if is_flag else _TYPES.get(ast.unparse(given["type"])) if "type" in given else None
        )
        default = _constant(given.get("default"))
        if is_flag and default is None:
            default = _constant(given["action"]) == "store_false"
        found = Parameter(
            name=str(name),
            line=node.lineno,
            kind=kind,
            default=default,
            choices=tuple(_constant(given.get("choices")) or ()),
        )
        self._add_option(found)

    def _add_option(self, found: Parameter) -> None:
        """Add what may also be none of the tuner's business: a path, say, or a seed."""
        is_text = isinstance(found.default, str) or (
            found.kind in (None, str) and not found.default
        )
        if found.name in self.found or not (
            _UNTUNED.search(found.name) or (is_text and not found.choices)
        ):
            self._add(found)
        else:
            self.left_out.append(found.name)

    def _add(self, found: Parameter) -> None:
        """Add a parameter; of several places the first one counts that says more than the name."""
        before = self.found.get(found.name)
        if before is None or (before.default is None and not before.choices):
            line = min(found.line, before.line) if before else found.line
            self.found[found.name] = Parameter(
                name=found.name,
                line=line,
                kind=found.kind,
                default=found.default,
                choices=found.choices,
            )
