"""Whether a class of the user's own is there, by its source: nothing of it is run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final

from amlc.errors import Sentence, did_you_mean, shorten
from amlc.model import Algorithm

_MOST_BYTES: Final = 1_000_000
_OPEN: Final = frozenset({"globals", "exec", "eval", "vars", "locals", "setattr", "modules"})
"""By these names a module may get what its statements do not show."""
_MOST_NAMED: Final = 5


def missing(algorithm: Algorithm, *, within: Path | None = None) -> Sentence | None:
    """Return that the module or the class is not there; None if it is, or may be.

    within: what lies outside of this folder is not looked at.
    """
    name, directory = algorithm.class_name, algorithm.code_directory
    if name is None or directory is None or "." not in name.strip("."):
        return None
    module, _, wanted = name.rpartition(".")
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for number in range(1, len(parts) + 1):
        part = ".".join(parts[:number])
        found = _top(part, directory, within) if number == 1 else _below(part, spec)
        if found is None:
            return _no_module(part, spec, directory, within)
        spec = found
    source = _source(spec, within)
    return None if source is None else _no_class(source, module, wanted)


def _top(name: str, directory: Path, within: Path | None) -> ModuleSpec | None:
    """Return where a module is: what is installed goes before codeDirectory, as it does in NNI."""
    importlib.invalidate_caches()
    try:
        installed = importlib.util.find_spec(name) if within is None else None
    except (ImportError, ValueError):
        installed = None
    return installed or PathFinder.find_spec(name, [str(directory)])


def _below(name: str, parent: ModuleSpec | None) -> ModuleSpec | None:
    places = parent.submodule_search_locations if parent is not None else None
    return PathFinder.find_spec(name, list(places or ()))


def _no_module(
    part: str, parent: ModuleSpec | None, directory: Path, within: Path | None
) -> Sentence | None:
    if within is not None and not directory.resolve().is_relative_to(within):
        return None
    if parent is not None:
        text = _source(parent, within)
        if text is None or "__path__" in text or "modules" in text:
            return None  # the package says itself where its parts are
    there = [path.stem for path in directory.glob("*.py")] if parent is None else []
    return Sentence(
        f"codeDirectory has no module '{part}'.",
        did_you_mean(part, there).strip() or "Name the file without '.py', and the class in it.",
        found=part,
        expected=f"one of {shorten(', '.join(sorted(there)))}" if there else None,
    )


def _source(spec: ModuleSpec | None, within: Path | None) -> str | None:
    """Return the text of a module; None where it has none that can be read."""
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    try:
        if within is not None and not path.resolve().is_relative_to(within):
            return None
        if path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _no_class(source: str, module: str, wanted: str) -> Sentence | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    if _is_open(tree):
        return None
    names = set(_bound(tree))
    if wanted in names:
        return None
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    listed = ", ".join(classes[:_MOST_NAMED]) + (", …" if len(classes) > _MOST_NAMED else "")
    return Sentence(
        f"'{module}' has no class '{wanted}'.",
        did_you_mean(wanted, classes).strip() or f"It has {listed or 'none'}.",
        found=wanted,
        expected=f"one of {listed}" if classes else None,
    )


def _is_open(tree: ast.Module) -> bool:
    """Tell whether the module may have names that no statement of it binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__" and node in tree.body:
            return True
        named = getattr(node, "id", None) or getattr(node, "attr", None)
        if isinstance(node, (ast.Name, ast.Attribute)) and named in _OPEN:
            return True
    return False


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield every name that a statement of the module binds, also where that is not certain."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
