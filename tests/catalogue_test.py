"""What is written about tuners and assessors says what the catalogue does; `make golden` writes table and schema anew."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from amlc import assessors, tuners
from amlc.catalogue import ASSESSORS, NESTED, NUMERIC, TUNERS, Argument, BuiltIn, filled, find, names
from amlc.extras import EXTRAS
from amlc.resources import schema_file

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "tuners.md"
HEAD = "| tuner | needs | `optimize_mode` | certain at once | search space |\n|---|---|---|---|---|\n"
TYPES = (
    "choice", "randint", "uniform", "quniform", "loguniform", "qloguniform",
    "normal", "qnormal", "lognormal", "qlognormal",
)  # fmt: skip
DESCRIBED = {
    "tuner": "The built-in tuner; upper and lower case do not matter: {}.",
    "assessor": "The built-in assessor; upper and lower case do not matter. Supported: {}.",
}
"""What the schema says of a name."""

each = pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in DESCRIBED for name in names(kind)])


def assert_written(file: Path, text: str) -> None:
    if os.environ.get("AMLC_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, "make golden"


def row(known: BuiltIn) -> str:
    mode = known.arguments.get("optimize_mode")
    needs = f"extra `{known.needs}`" if known.needs in EXTRAS else known.needs
    cells = (
        f"{known.name}, amlc's own" if known.own else known.name,
        needs,
        "" if mode is None else mode.default if known.adaptive else "ignored",
        certain(known) if known.adaptive else "all",
        known.layout or searched(known.types),
    )
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n"


def certain(known: BuiltIn) -> str:
    found = dict(known.arguments)
    for argument in known.arguments.values():
        found |= argument.nested
    return f"`{known.certain}` ({found[known.certain].default})" if known.certain in found else known.certain


def searched(types: frozenset[str]) -> str:
    assert types <= {*TYPES, NUMERIC, NESTED}
    if types >= set(TYPES):
        return "every type, nested" if NESTED in types else "every type, not nested"
    found = ", ".join(kind for kind in TYPES if kind in types)
    return found if "choice" in types else f"numbers: choice, {found}"


@pytest.mark.parametrize("known", [*TUNERS, *ASSESSORS], ids=lambda known: known.name)
def test_what_an_extra_is_needed_for_is_looked_for(known) -> None:
    assert bool(known.modules) == (known.needs in EXTRAS)
    assert bool(known.samplers) == (known.needs == "by sampler")


@pytest.mark.golden
def test_the_table_of_tuners_is_that_of_the_catalogue() -> None:
    text = DOCS.read_text(encoding="utf-8")
    before, _, after = text.partition(HEAD)
    assert after
    rest = after[after.index("\n\n") + 1 :]
    rows = "".join(row(known) for known in TUNERS if not known.refused)
    assert_written(DOCS, f"{before}{HEAD}{rows}{rest}")


@pytest.mark.golden
@pytest.mark.parametrize("kind", DESCRIBED)
def test_the_schema_names_what_there_is(kind) -> None:
    text = schema_file().read_text(encoding="utf-8")
    before, after = map(re.escape, DESCRIBED[kind].split("{}"))
    described = json.dumps(DESCRIBED[kind].format(", ".join(names(kind))))
    found, count = re.subn(f'"{before}[^"]*{after}"', described, text)
    assert count == 1
    assert_written(schema_file(), found)


@each
def test_the_readme_names_it(kind, name) -> None:
    assert re.search(rf"\b{name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [name for name in names("tuner") if tuners.built_in(name).by_value])
def test_the_documentation_says_that_it_learns_from_failures(name) -> None:
    (paragraph,) = (part for part in DOCS.read_text(encoding="utf-8").split("\n\n") if " learn so" in part)
    assert re.search(rf"\b{name}\b", paragraph)


@each
def test_each_has_a_module_of_its_own(kind, name) -> None:
    known = find(name, kind)
    assert known is not None
    assert known.name == name
    package = tuners if kind == "tuner" else assessors
    assert package.built_in(name.upper())
    assert kind == "assessor" or known.certain or not known.adaptive


def test_the_catalogue_is_read_without_any_of_them() -> None:
    code = "import json, sys, amlc.tuners, amlc.assessors; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(done.stdout))
    assert "numpy" not in loaded
    ours = {name for name in loaded if name.startswith("amlc.")}
    assert ours <= {f"amlc.{name}" for name in ("assessors", "catalogue", "errors", "light", "model", "tuners")}


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("TPE", "tuner", "TPE"), ("tpe", "tuner", "TPE"), ("BatchTuner", "tuner", "Batch"), ("batch", "tuner", "Batch"),
        ("Medianstop", "tuner", None), ("medianstop", "assessor", "Medianstop"), ("TPE", "assessor", None), ("ASHA", "assessor", "ASHA"),
        (None, "tuner", None), (7, "tuner", None),
    ],
)  # fmt: skip
def test_an_algorithm_is_found_by_its_names(name, kind, found):
    known = find(name, kind)
    assert (known.name if known else None) == found


def test_no_two_algorithms_have_one_name():
    for table in (TUNERS, ASSESSORS):
        names = [name.lower() for known in table for name in {known.name, known.alias} if name]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": 1, "b": {"c": 2}}),
        ({"a": 5}, {"a": 5, "b": {"c": 2}}),
        ({"a": None}, {"a": None, "b": {"c": 2}}),
        ({"b": {"c": 7}, "a": 0}, {"a": 0, "b": {"c": 7}}),
        ({"b": None}, {"a": 1, "b": {"c": 2}}),
    ],
)
def test_what_is_not_given_has_its_default(given, expected):
    table = {"a": Argument(default=1), "b": Argument(nested={"c": Argument(default=2)})}
    found = filled(table, given)
    assert (found, list(found)) == (expected, list(expected))
