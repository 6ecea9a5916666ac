"""The walls of the design: layers, no cycles, a runner that stands alone, and commands that start at once."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from amlc.targets import TARGETS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "amlc"

# docs/design.md, "Layers": a module imports only from layers below it, or from its own layer without a cycle.
LAYERS = {
    "errors": 0, "light": 0, "model": 0, "plural": 0,
    "resources": 1, "files": 1, "names": 1, "parallel": 1, "runner_files": 1, "numbers": 1,
    "checkpoints": 1,
    "bindings": 1, "sandbox": 1, "git": 1, "covering": 1, "script": 1, "command_line": 1,
    "catalogue": 1, "extras": 1, "user_code": 1, "class_source": 1,
    "config": 2, "targets": 2, "space": 2, "tuners": 2, "assessors": 2, "manifest": 2, "revision": 2,
    "events": 2, "attempts": 2, "cost": 2, "ledger": 2,
    "folders": 2, "backends": 2,
    "constraints": 3, "plan": 3, "combinations": 4, "experience": 3,
    "initial": 3, "render": 3, "backends.run_folder": 3, "targets.*.*": 3,
    "write": 4, "depend": 4, "refusals": 4, "lint": 4, "reconcile": 4, "observe": 4, "drive": 4, "early_stopping": 4, "advising": 4, "proposals": 4,
    "leader": 4, "kept": 3, "drawing": 3, "mirror": 4, "backlog": 4, "outbox": 4, "salvage": 4,
    "warm_start": 4, "elsewhere": 4, "collect": 4, "nni_export": 4, "replicates": 4, "report": 4, "starting": 4,
    "viewers": 4,
    "commands": 5,
    "console": 6, "display": 6, "exit_codes": 6, "api": 6, "serve": 6,
    "cli": 7, "__init__": 7, "__main__": 7,
}  # fmt: skip
# Each module is imported by name by a test of its own room: tests/ mirrors amlc/. What has no such test has a reason.
UNTESTED = {
    "amlc.__main__": "it is run, as `python -m amlc`, by every test that starts a process",
}
SLOW = ("azure", "numpy", "optuna", "mlflow", "jinja2", "pyarrow", "nni", "rich", "sqlite3")
# What a file in order, of today's keys and without ignore files, needs none of.
UNUSED = ("jsonschema", "pathspec", "statistics", "amlc.manifest", "amlc.attempts", "amlc.cli.running", "amlc.tuners.tpe",
          "amlc.config.legacy.table")  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "runner" not in path.relative_to(PACKAGE).parts
}
RUNNER = PACKAGE / "runner"
RUNNER_FILES = sorted(RUNNER.rglob("*.py"))
PARTS = {path.stem: path for path in sorted((RUNNER / "amlc_runner_lib").glob("*.py"))}


def layer(module: str) -> int:
    """Return the layer of the longest prefix of the module's name that has one."""
    parts = (module.partition(".")[2] or "__init__").split(".")
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next(LAYERS[key] for prefix in prefixes for key in LAYERS if fnmatchcase(prefix, key))


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of amlc that a module imports, anywhere in it; `amlc` itself only for its version."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [
                        *package.split(".")[: len(package.split(".")) - node.level + 1],
                        *filter(None, [node.module]),
                    ]
                )
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys() or {base}
    if module == "amlc.targets":
        found |= set(TARGETS.values())  # it imports them by name; a circle would close all the same
    return frozenset(name for name in found if name.split(".")[0] == "amlc" and name != "amlc")


def opened(module: str) -> set[str]:
    """The parts that a package's front imports only in a function: it hands out what speaks its own Protocol."""
    if MODULES[module].name != "__init__.py":
        return set()
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    inside = {
        node.module or ""
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
    }
    return {name for name in inside if name.startswith(f"{module}.")}


def test_every_module_has_a_layer() -> None:
    unknown = {
        module for module in MODULES if module != "amlc" and module.split(".")[1] not in LAYERS
    }
    assert not unknown


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_layer_or_below(module) -> None:
    upwards = {name for name in imports(module) - opened(module) if layer(name) > layer(module)}
    assert not upwards


def test_there_is_no_import_cycle() -> None:
    state: dict[str, int] = {}

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert state.get(module) != 1, " -> ".join((*path[path.index(module) :], module))
        if module in state:
            return
        state[module] = 1
        for name in sorted((imports(module) & MODULES.keys()) - opened(module)):
            visit(name, (*path, module))
        state[module] = 2

    for module in MODULES:
        visit(module, ())


def has_code(path: Path) -> bool:
    """Whether there is more in a file than a docstring."""
    return len(ast.parse(path.read_text(encoding="utf-8")).body) > 1


@cache
def named_in(room: Path) -> frozenset[str]:
    """The modules that the tests in a folder import by name."""
    found: set[str] = set()
    for path in room.glob("*_test.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {
                    str(node.module),
                    *(f"{node.module}.{alias.name}" for alias in node.names),
                }
    return frozenset(found)


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if has_code(path)])
def test_every_module_is_imported_by_a_test_of_its_own_room(module) -> None:
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    room = package.partition(".")[2].replace(".", "/")
    assert (module not in named_in(ROOT / "tests" / room)) == (module in UNTESTED)


def test_nothing_imports_the_runner() -> None:
    assert not [
        module
        for module in MODULES
        if any(re.match(r"amlc\.runner\b", name) for name in imports(module))
    ]


@pytest.mark.parametrize(
    "path", RUNNER_FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_the_runner_imports_only_the_standard_library(path) -> None:
    """numpy is looked up by the stand-in only where the trial has imported it already."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    assert found - set(sys.stdlib_module_names) <= own_imports(path)


def own_imports(path: Path) -> set[str]:
    """What a file of the runner's may import beyond the standard library and, by a dot, its own folder."""
    if path == RUNNER / "amlc_runner.py":
        return {"amlc_runner_lib"}
    return {"nni"} if RUNNER / "amlc_standin" in path.parents else set()


def test_the_parts_of_the_runner_import_each_other_without_a_cycle() -> None:
    """Also where a function imports, and for types alone: each can be read with what it stands on."""
    left = {name: part_imports(path) for name, path in PARTS.items()}
    assert set().union(*left.values()) <= PARTS.keys()
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert not left


def part_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            assert node.module
            found.add(node.module)
    return found


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_every_module_imports_alone() -> None:
    """Each in a child of its own, forked from one interpreter that has only loaded what is slow and not ours."""
    code = (
        "import os, sys, importlib\n"
        "import click, jinja2, jinja2.sandbox, numpy, pathspec, rich.console, sqlite3, yaml\n"
        "import azure.core.pipeline.transport, jsonschema\n"
        "import concurrent.futures.process, difflib, multiprocessing.context, requests, statistics\n"
        "for name in sys.argv[1:]:\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        try:\n"
        "            importlib.import_module(name)\n"
        "        except BaseException as error:\n"
        "            print(name, repr(error), flush=True)\n"
        "            os._exit(1)\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    )
    done = python("-c", code, *(module for module in MODULES if module != "amlc.__main__"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        pytest.param(["--version"], ("click", "dataclasses"), id="version"),
        pytest.param(["--help"], (), id="help"),
        pytest.param(["compile", "--help"], ("amlc.cli.running",), id="compile"),
        pytest.param(["submit", "--help"], ("amlc.cli.compiling",), id="submit"),
        pytest.param(["collect", "--help"], (), id="collect"),
        pytest.param(["validate", "EXPERIMENT"], UNUSED, id="validate"),
    ],
)
def test_quick_commands_import_nothing_slow(arguments, unused, tmp_path) -> None:
    (tmp_path / "experiment.yml").write_text(
        "searchSpace: {x: {_type: uniform, _value: [0, 1]}}\ntrialCommand: x\ntrialConcurrency: 1\nmaxTrialNumber: 1\n"
        "tuner: {name: TPE}\ntrainingService: {platform: local}\n"
    )
    code = (
        "import sys\nfrom amlc.cli import entry_point\n"
        "try:\n    entry_point()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {(*SLOW, *unused)!r} if name in sys.modules])"
    )
    given = [
        str(tmp_path / "experiment.yml") if word == "EXPERIMENT" else word for word in arguments
    ]
    done = python("-c", code, *given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_is_in_the_readme_and_has_help() -> None:
    from amlc.cli.everything import main

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, command in main.commands.items():
        assert command.help, name
        assert re.search(rf"\bamlc {name}\b|`{name}`", readme), f"README.md does not mention {name}"
