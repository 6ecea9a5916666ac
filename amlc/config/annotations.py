"""Turns NNI's annotations, strings such as `@nni.variable(…)`, into calls and a search space.

Annotations are whole statements, so that the places that Python's own parser gives them are enough:
what is not an annotation keeps every character. Source: NNI 2.10, `nni/tools/annotation`, and its
documentation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amlc.errors import ConfigError, Position, Problem, Sentence

SIGN: Final = "@nni."
_TYPES: Final = {
    *("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform"),
    *("normal", "qnormal", "lognormal", "qlognormal"),
}
_REPORTS: Final = ("report_intermediate_result", "report_final_result")
_CURRENT: Final = "(nni.get_current_parameter() or nni.get_next_parameter() or {})"
_KNOWN: Final = f"variable, function_choice, get_next_parameter, {' and '.join(_REPORTS)}"


@dataclass(frozen=True, slots=True)
class Translated:
    """The files that changed, by path, and the search space that their annotations gave."""

    files: Mapping[Path, str]
    space: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Edit:
    """Text in place of other text; `start` and `end` are (line from 1, byte in it from 0)."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


class _RefusedError(ValueError):
    """What is wrong with an annotation, and what to do."""

    def __init__(self, said: str | Sentence) -> None:
        super().__init__(str(said))
        self.said = said


def translate(files: Mapping[Path, str]) -> Translated:
    """Return the files with plain calls for annotations, and the search space of all of them.

    A parameter is named like its variable or function; where that is taken, `module/name`. Raises
    ConfigError with each annotation that cannot be translated, and each file that is no Python of
    today.
    """
    space: dict[str, Any] = {}
    changed: dict[Path, str] = {}
    problems: list[Problem] = []
    for file, text in files.items():
        if SIGN not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError as err:
            place = Position(file, err.lineno or 1, err.offset or 1)
            hint = "Correct it: annotations are read with its syntax."
            said = Sentence(f"not Python 3: {err.msg}.", hint)
            problems.append(Problem.at(place, "E-annotation", said))
            continue
        source = _Source(file, text, space)
        source.read(tree.body)
        problems += source.problems
        if source.edits:
            changed[file] = source.edited(tree)
    if problems:
        raise ConfigError(problems)
    return Translated(changed, space)


class _Source:
    """One file: what becomes of its annotations."""

    def __init__(self, file: Path, text: str, space: dict[str, Any]) -> None:
        self.edits: list[_Edit] = []
        self.problems: list[Problem] = []
        self._file = file
        self._lines = [line.encode() for line in text.splitlines(keepends=True)]
        self._space = space

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Go through the statements of a block, and the blocks in it."""
        for number, statement in enumerate(body):
            text = _annotation(statement)
            if text is not None:
                following = body[number + 1] if number + 1 < len(body) else None
                try:
                    self._translate(statement, _call(text), following)
                except _RefusedError as err:
                    place = Position(self._file, statement.lineno, statement.col_offset + 1)
                    self.problems.append(Problem.at(place, "E-annotation", err.said))
            for block in _blocks(statement):
                self.read(block)

    def _translate(self, statement: ast.stmt, call: ast.Call, following: ast.stmt | None) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "variable":
            self._variable(statement, call, following)
        elif name == "function_choice":
            self._function_choice(statement, call, following)
        elif name == "get_next_parameter":
            self._replace(statement, _CURRENT[1:-1].rpartition(" or ")[0])
        elif name in _REPORTS:
            self._replace(statement, ast.unparse(call))
        else:
            raise _RefusedError(
                f"there is no '{SIGN}{name}' that amlc can translate; there are {_KNOWN}."
            )

    def _variable(self, statement: ast.stmt, call: ast.Call, following: ast.stmt | None) -> None:
        name = _name(call)
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Call):
            raise _RefusedError(
                f"'{SIGN}variable' needs one of NNI's functions, such as `nni.choice(1, 2)`."
            )
        if not isinstance(following, ast.Assign) or ast.unparse(following.targets[0]) != name:
            raise _RefusedError(
                Sentence(
                    f"'{SIGN}variable' of '{name}' must stand right before `{name} = …`.",
                    hint="Move it there.",
                )
            )
        draw = call.args[0]
        if (
            isinstance(draw.func, ast.Attribute)
            and draw.func.attr == "choice"
            and not all(map(_is_literal, draw.args))
        ):
            self._remove(statement)
            self._choose(following.value, name, draw.args)
            return
        key = self._key(name, _specification(draw))
        self._remove(statement)
        self._put(following.value, f"{_CURRENT}.get({key!r}, ", ")")

    def _function_choice(
        self, statement: ast.stmt, call: ast.Call, following: ast.stmt | None
    ) -> None:
        name = _name(call)
        if not call.args:
            raise _RefusedError(
                f"'{SIGN}function_choice' needs calls to choose from, such as `f(x), g(x)`."
            )
        calls = (
            [node for node in ast.walk(following) if _calls(node, name)]
            if following is not None
            else []
        )
        if not calls:
            raise _RefusedError(
                Sentence(
                    f"'{SIGN}function_choice' of '{name}' must stand right before a call of it.",
                    hint="Move it.",
                )
            )
        self._remove(statement)
        self._choose(calls[0], name, call.args)

    def _choose(self, node: ast.AST, name: str, choices: Sequence[ast.expr]) -> None:
        """Let the parameter, the text of a choice, say what is evaluated in place of a node."""
        options = [ast.unparse(one) for one in choices]
        key = self._key(name, {"_type": "choice", "_value": options})
        table = ", ".join(f"{option!r}: lambda: {option}" for option in options)
        self._put(node, f"{{{table}}}.get({_CURRENT}.get({key!r}), lambda: ", ")()")

    def _key(self, name: str, specification: Mapping[str, Any]) -> str:
        """Return the parameter's name, which no other one has."""
        key, number = name, 1
        while key in self._space:
            key = f"{self._file.stem}/{name}" + (f"/{number}" if number > 1 else "")
            number += 1
        self._space[key] = specification
        return key

    def _replace(self, node: ast.AST, text: str) -> None:
        self.edits.append(_Edit(*_range(node), text))

    def _remove(self, statement: ast.stmt) -> None:
        """Take a statement away, with its line if it has that for itself."""
        (start, first), (end, last) = _range(statement)
        before, behind = self._lines[start - 1][:first], self._lines[end - 1][last:]
        if not before.strip() and not behind.strip():
            self.edits.append(_Edit((start, 0), (end + 1, 0), ""))
        elif behind.lstrip().startswith(b";"):
            gap = len(behind) - len(behind.lstrip(b"; \t"))
            self.edits.append(_Edit((start, first), (end, last + gap), ""))
        else:
            self.edits.append(
                _Edit(
                    (start, first), (end, last), "" if behind.lstrip().startswith(b"#") else "pass"
                )
            )

    def _put(self, node: ast.AST, before: str, behind: str) -> None:
        start, end = _range(node)
        self.edits += [_Edit(start, start, before), _Edit(end, end, behind)]

    def edited(self, tree: ast.Module) -> str:
        """Return the file's text with its edits, and NNI imported."""
        edits = list(self.edits)
        if not any(
            isinstance(node, ast.Import) and any(_is_nni(one) for one in node.names)
            for node in tree.body
        ):
            line = _first_line(tree)
            edits.append(_Edit((line, 0), (line, 0), "import nni\n"))
        lines = [*self._lines, b""]
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            (start, first), (end, last) = edit.start, edit.end
            behind = lines[end - 1][last:] if end <= len(lines) else b""
            lines[start - 1 : end] = [lines[start - 1][:first] + edit.text.encode() + behind]
        return b"".join(lines).decode()


def _is_nni(one: ast.alias) -> bool:
    return one.name == "nni" and one.asname in (None, "nni")


def _first_line(tree: ast.Module) -> int:
    """Return the line of a module's first statement behind its docstring and `__future__`."""
    for statement in tree.body:
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not (
            is_docstring
            or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")
        ):
            return statement.lineno
    return 1


def _annotation(statement: ast.stmt) -> str | None:
    """Return the text of a statement that is an annotation."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        text = statement.value.value
        if isinstance(text, str) and text.lstrip().startswith(SIGN):
            return text.strip()[1:]
    return None


def _call(text: str) -> ast.Call:
    try:
        found = ast.parse(text, mode="eval").body
    except SyntaxError as err:
        raise _RefusedError(
            Sentence(f"the annotation is no expression: {err.msg}.", hint="Correct it.")
        ) from err
    if not isinstance(found, ast.Call):
        raise _RefusedError(
            Sentence("the annotation is no call.", hint="Write its arguments in parentheses.")
        )
    return found


def _name(call: ast.Call) -> str:
    """Return what `name=` says, in Python's own spelling."""
    for keyword in call.keywords:
        if keyword.arg == "name":
            return ast.unparse(keyword.value)
    raise _RefusedError("the annotation needs 'name=', the variable or the function that it is of.")


def _specification(call: ast.Call) -> dict[str, Any]:
    kind = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if kind not in _TYPES:
        raise _RefusedError(
            f"there is no 'nni.{kind}' to draw from; there are {', '.join(sorted(_TYPES))}."
        )
    if not all(map(_is_literal, call.args)):
        raise _RefusedError(
            f"the arguments of 'nni.{kind}' must be written out: numbers, texts, lists."
        )
    values = [ast.literal_eval(one) for one in call.args]
    if kind == "randint" and len(values) == 1:  # as numpy has it, and NNI up to 0.5
        values = [0, *values]
    return {"_type": kind, "_value": values}


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name


def _blocks(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for one in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield one.body


def _range(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
