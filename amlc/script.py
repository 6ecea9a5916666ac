"""Which parameters a trial script reads, where that can be followed with certainty.

The script is read as text, and never run. What `nni.get_next_parameter()` returns is followed from
name to name: through `params["x"]` and `.get`, through `update` and `merge_parameter` into what
`argparse` made, through `vars`, and into functions of the same file. Where it goes anywhere else (a
loop over its items, a function of another module) nobody can tell what is read, and nothing is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_SPACE, _BASE = "space", "base"  # the tuner's parameters, and what they are merged into
_HARMLESS: Final = frozenset(
    {"print", "str", "repr", "len", "bool", "type", "isinstance", "pprint"}
    | {"debug", "info", "warning", "error", "log"}  # of a logger
)
_DYNAMIC: Final = frozenset({"exec", "eval", "globals", "locals"})  # they reach any name
_NESTED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_FUNCTION: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Reads:
    """What a script reads of the parameters.

    names: all that it reads. needed: those that it cannot do without, by the line of the first
    reading; what it sets itself, or has a default for, is none.
    """

    names: frozenset[str]
    needed: Mapping[str, int]


class _LostError(Exception):
    """The parameters go where they cannot be followed."""


def reads(text: str) -> Reads | None:
    """Return which parameters the script reads, None if that cannot be told with certainty."""
    try:
        tree = ast.parse(text)
        return _Reader(tree).found
    except (SyntaxError, ValueError, RecursionError, MemoryError, _LostError):
        return None


def imported(text: str) -> frozenset[str]:
    """Return the names of the modules that a script imports, those of its own folder among them."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{one.name}" for one in node.names}
    return frozenset(found)


@dataclass(slots=True)
class _Scope:
    """A function's body, or the module's, and the names in it that stand for parameters."""

    body: Sequence[ast.stmt]
    names: dict[str, str] = field(default_factory=dict)
    returned: str | None = None


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self.parents = {child: node for node in ast.walk(tree) for child in _children(node)}
        self.functions = _functions(tree)
        self.asked = _asking(tree)
        self.read: set[str] = set()
        self.needed: dict[str, int] = {}
        self.own: set[str] = set()
        self.depth = 0
        self.answers: dict[tuple[str, tuple[tuple[str, str], ...]], str | None] = {}
        calls = [node for node in ast.walk(tree) if self.asks(node)]
        if len(calls) != 1 or any(_is_dynamic(node) for node in ast.walk(tree)):
            raise _LostError
        self.own |= _options(tree)
        self.call = calls[0]
        self.consumed = False
        self.follow_from(tree)
        if not self.consumed:
            raise _LostError

    @property
    def found(self) -> Reads:
        """What was read on the way."""
        needed = {name: line for name, line in self.needed.items() if name not in self.own}
        return Reads(frozenset(self.read), needed)

    def asks(self, node: ast.AST) -> bool:
        """Tell whether a node is the call that gets the parameters."""
        if not isinstance(node, ast.Call):
            return False
        return _dotted(node.func) in self.asked

    def follow_from(self, tree: ast.Module) -> None:
        """Follow the parameters from the module, and from the function that asks for them."""
        self.follow(_Scope(tree.body))
        if self.consumed:
            return
        owner = self.parents.get(self.call)
        while owner is not None and not isinstance(owner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            owner = self.parents.get(owner)
        if owner is None or self.functions.get(owner.name) is not owner:
            raise _LostError
        scope = _Scope(owner.body)
        self.follow(scope)
        if scope.returned is not None:
            raise _LostError  # to a caller that was not seen to call it

    # --- one scope ------------------------------------------------------------

    def follow(self, scope: _Scope) -> None:
        """Go through a scope's statements until no more names in it stand for parameters."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _LostError
        nodes = list(_within(scope.body))
        before = -1
        while before != len(scope.names):
            before = len(scope.names)
            for node in nodes:
                self.name(node, scope)
        _refuse_reaching(scope)
        for node in nodes:
            if (kind := self.kind(node, scope)) is not None and not self.is_named(node, scope):
                self.use(node, kind, scope)
        self.depth -= 1

    def name(self, node: ast.AST, scope: _Scope) -> None:
        """Take up the name that an assignment gives to parameters."""
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            return
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and _called(value) == "parse_known_args":
            target = target.elts[0]
            kind: str | None = _BASE
        else:
            kind = self.kind(value, scope)
        if kind is not None and isinstance(target, ast.Name):
            times = [one for one in _within(scope.body) if _binds(one, target.id)]
            if len(times) != 1 and not self.is_same(times, scope):
                raise _LostError
            scope.names[target.id] = kind

    def is_same(self, times: Sequence[ast.AST], scope: _Scope) -> bool:
        """Tell whether a name that is bound several times is bound to parameters each time."""
        return all(
            isinstance(one, ast.Assign)
            and (
                self.kind(one.value, scope) is not None or _called(one.value) == "parse_known_args"
            )
            for one in times
        )

    def kind(self, node: ast.AST, scope: _Scope) -> str | None:
        """Return what kind of parameters an expression is, None if none."""
        if self.asks(node):
            self.consumed = True
            return _SPACE
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            return scope.names.get(node.id)
        if isinstance(node, ast.Attribute) and node.attr == "__dict__":
            return self.kind(node.value, scope)
        if isinstance(node, ast.Dict) and isinstance(self.parents.get(node), ast.Assign):
            return self.literal(node)
        return self.kind_of_call(node, scope) if isinstance(node, ast.Call) else None

    def literal(self, node: ast.Dict) -> str | None:
        """Return the kind of a mapping of defaults, and take up its keys."""
        statement = self.parents[node]
        assert isinstance(statement, ast.Assign)
        target = statement.targets[0]
        if not isinstance(target, ast.Name) or not self.is_updated(target.id):
            return None
        names = [_text(key) for key in node.keys]
        if None in names:
            raise _LostError
        self.own |= {name for name in names if name is not None}
        return _BASE

    def is_updated(self, name: str) -> bool:
        """Tell whether the parameters are merged into what has this name."""
        call: ast.AST | None = self.parents.get(self.call)
        if isinstance(call, ast.Assign) and isinstance(call.targets[0], ast.Name):
            theirs = call.targets[0].id
            return any(
                isinstance(node, ast.Call) and _merges(node, name, theirs) for node in self.parents
            )
        return isinstance(call, ast.Call) and _is_merge_into(call, name)

    def kind_of_call(self, node: ast.Call, scope: _Scope) -> str | None:
        """Return the kind of what a call returns."""
        name = _called(node)
        if name == "vars" and len(node.args) == 1:
            return self.kind(node.args[0], scope)
        if name == "merge_parameter" and len(node.args) == 2:
            return _BASE if self.kind(node.args[1], scope) is not None else None
        if name == "parse_args":
            return _BASE
        if isinstance(node.func, ast.Name) and node.func.id in self.functions:
            return self.returned(node, scope)
        return None

    def returned(self, node: ast.Call, scope: _Scope) -> str | None:
        """Follow the arguments of a call into a function of this file; return what it returns."""
        assert isinstance(node.func, ast.Name)
        function = self.functions[node.func.id]
        inner = _Scope(function.body, self.bound(function, node, scope))
        mark = (function.name, tuple(sorted(inner.names.items())))
        if mark not in self.answers:
            self.answers[mark] = None  # as long as it is followed: it may call itself
            self.follow(inner)
            self.answers[mark] = inner.returned
        return self.answers[mark]

    def bound(self, function: _FUNCTION, node: ast.Call, scope: _Scope) -> dict[str, str]:
        """Return the names by which a function knows the parameters that a call hands on."""
        names: dict[str, str] = {}
        given = [*function.args.posonlyargs, *function.args.args]
        for place, argument in enumerate(node.args):
            kind = self.kind(argument, scope)
            if kind is not None:
                if place >= len(given):
                    raise _LostError
                names[given[place].arg] = kind
        known = {one.arg for one in (*given, *function.args.kwonlyargs)}
        for keyword in node.keywords:
            kind = self.kind(keyword.value, scope)
            if kind is not None:
                if keyword.arg not in known:
                    raise _LostError
                names[str(keyword.arg)] = kind
        if any(_binds(one, name) for name in names for one in _within(function.body)):
            raise _LostError
        return names

    # --- one use ------------------------------------------------------------

    def is_named(self, node: ast.AST, scope: _Scope) -> bool:
        """Tell whether an expression is given a name, or a part of what is one of ours as well."""
        parent = self.parents.get(node)
        if isinstance(parent, ast.Assign):
            target = parent.targets[0]
            if isinstance(target, ast.Tuple):
                target = target.elts[0]
            return isinstance(target, ast.Name) and target.id in scope.names
        if isinstance(parent, (ast.Attribute, ast.keyword)):
            above = self.parents.get(parent)
            inner = parent if isinstance(parent, ast.Attribute) else above
            return inner is not None and self.kind(inner, scope) is not None
        return isinstance(parent, ast.Call) and self.kind(parent, scope) is not None

    def use(self, node: ast.AST, kind: str, scope: _Scope) -> None:
        """Take note of what is done with parameters. Raises _LostError for what is not known."""
        parent = self.parents.get(node)
        match parent:
            case ast.Subscript(value=value) if value is node:
                self.subscript(parent, kind)
            case ast.Attribute():
                self.attribute(parent, kind, scope)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]) if _text(left) is not None:
                self.look(str(_text(left)))
            case ast.Call():
                self.argument(parent, scope)
            case ast.keyword(arg=str()) if isinstance(call := self.parents[parent], ast.Call):
                self.argument(call, scope)
            case ast.Return():
                scope.returned = kind
            case ast.Expr() | ast.FormattedValue():
                pass
            case _:
                raise _LostError

    def subscript(self, node: ast.Subscript, kind: str) -> None:
        """Note `params["x"]`, which reads or sets it."""
        name = _text(node.slice)
        if name is None:
            raise _LostError
        if not isinstance(node.ctx, ast.Load):
            self.own.add(name)
            return
        self.read.add(name)
        if kind == _SPACE:
            self.needed.setdefault(name, node.lineno)

    def look(self, name: str) -> None:
        """Note that the script looks for a name, and can do without it."""
        self.read.add(name)
        self.own.add(name)

    def attribute(self, node: ast.Attribute, kind: str, scope: _Scope) -> None:
        """Note `params.get("x")` and the like, or an option of argparse's."""
        call = self.parents.get(node)
        is_call = isinstance(call, ast.Call) and call.func is node
        if is_call and node.attr in ("get", "pop", "setdefault"):
            assert isinstance(call, ast.Call)
            name = _text(call.args[0]) if call.args else None
            if name is None:
                raise _LostError
            self.look(name)
        elif is_call and node.attr == "update":
            assert isinstance(call, ast.Call)
            self.update(call, scope)
        elif kind == _BASE and not is_call:
            self.read.add(node.attr)
        else:
            raise _LostError

    def update(self, call: ast.Call, scope: _Scope) -> None:
        """Note what is merged into parameters: the tuner's, or what a mapping says."""
        if call.keywords or len(call.args) != 1:
            raise _LostError
        (given,) = call.args
        if self.kind(given, scope) is not None:
            return
        names = [_text(key) for key in given.keys] if isinstance(given, ast.Dict) else [None]
        if None in names:
            raise _LostError
        self.own |= {name for name in names if name is not None}

    def argument(self, call: ast.Call, scope: _Scope) -> None:
        """Accept a call that only shows parameters, or merges them."""
        name = _called(call)
        if name in _HARMLESS:
            return
        merged = isinstance(call.func, ast.Attribute) and name == "update"
        if merged and isinstance(call.func, ast.Attribute) and self.kind(call.func.value, scope):
            return
        if name == "merge_parameter" and len(call.args) == 2 and self.kind(call.args[0], scope):
            return
        if isinstance(call.func, ast.Name) and call.func.id in self.functions:
            return  # it was followed into that
        raise _LostError


def _children(node: ast.AST) -> Iterator[ast.AST]:
    return ast.iter_child_nodes(node)


def _within(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, and not those of the functions and classes in it."""
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop(0)
        if not isinstance(node, _NESTED):
            yield node
            queue += _children(node)


def _refuse_reaching(scope: _Scope) -> None:
    """Raise _LostError if a function or class in the scope reaches for its parameters by name."""
    for statement in scope.body:
        for inner in ast.walk(statement):
            if isinstance(inner, _NESTED):
                used = {
                    one.id
                    for one in ast.walk(inner)
                    if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
                }
                if used & scope.names.keys() - _own_names(inner):
                    raise _LostError


def _own_names(node: ast.AST) -> set[str]:
    """Return the arguments and variables of a function."""
    return {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)} | {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def _functions(tree: ast.Module) -> dict[str, _FUNCTION]:
    """Return the functions of the module by name, those that have one of their own."""
    found: dict[str, _FUNCTION] = {}
    twice: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            twice |= {node.name} & found.keys()
            if node in tree.body and not node.decorator_list:
                found[node.name] = node
            else:
                twice.add(node.name)
    return {name: node for name, node in found.items() if name not in twice}


def _asking(tree: ast.Module) -> set[str]:
    """Return how the script calls NNI's function, by the names that it imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                f"{alias.asname or alias.name}.get_next_parameter"
                for alias in node.names
                if alias.name == "nni"
            }
        elif isinstance(node, ast.ImportFrom) and node.module in ("nni", "nni.trial"):
            if any(alias.name == "*" for alias in node.names):
                raise _LostError
            found |= {
                alias.asname or alias.name
                for alias in node.names
                if alias.name == "get_next_parameter"
            }
    return found


def _options(tree: ast.Module) -> set[str]:
    """Return the names of the options that the script gives to argparse."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "add_argument":
            dest = next((_text(one.value) for one in node.keywords if one.arg == "dest"), None)
            names = [_text(argument) for argument in node.args]
            if not names or None in names:
                raise _LostError
            flags = [str(name) for name in names]
            long = next((flag for flag in flags if flag.startswith("--")), flags[0])
            found.add(dest or long.lstrip("-").replace("-", "_"))
    return found


def _dotted(node: ast.AST) -> str:
    """Return a name with its dots, "" for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (front := _dotted(node.value)):
        return f"{front}.{node.attr}"
    return ""


def _called(node: ast.AST) -> str:
    """Return the last part of the name of what is called, "" for what is no call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _text(node: ast.AST | None) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if is_text and isinstance(node, ast.Constant) else None


def _binds(node: ast.AST, name: str) -> bool:
    """Tell whether a node gives a value to a name."""
    if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
        return False  # its statement does
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.For, ast.NamedExpr)):
        targets = [node.target]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        targets = [node.optional_vars]
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        return name in node.names
    return any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store)
        for target in targets
        for one in ast.walk(target)
    )


def _is_dynamic(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    return node.func.id in _DYNAMIC or (node.func.id == "vars" and not node.args)


def _is_merge_into(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and _dotted(call.func) == f"{name}.update"


def _merges(call: ast.Call, name: str, theirs: str) -> bool:
    """Tell whether a call merges the parameters `theirs` into what has a name."""
    given = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
    if _is_merge_into(call, name):
        return given == [theirs]
    return _called(call) == "merge_parameter" and given == [name, theirs]
