"""The schema for editors takes what amlc takes, in any spelling, and refuses what its own schema refuses."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.catalogue import ASSESSORS, TUNERS
from amlc.config import load_experiment
from amlc.config.load import load_document
from amlc.config.published import published, snake
from amlc.config.schema import load_schema, schema_text
from amlc.errors import AmlcError, ConfigError, Severity
from tests.fuzz.seeds import EXPERIMENT

ROOT = Path(__file__).parents[2]
FILE = ROOT / "schema" / "amlc.json"
SCHEMA = json.loads(schema_text())
CHECKED = jsonschema.Draft7Validator(SCHEMA)
ENVIRON = {f"AZURE_{name}": "x" for name in ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE", "COMPUTE")}
FOLDERS = ("examples", "tests/cases", "tests/compatibility/corpus", "tests/invalid", "tests/refused")
FILES = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.yml"))]
CONFIG = [name for name in load_schema()["$defs"] if name != "parameter"]
# What its own schema finds, and the catalogue of tuners and assessors.
FOUND = {"E-type", "E-range", "E-value", "E-unknown-key", "E-tuner-unknown", "E-tuner-unsupported", "E-assessor-unknown"}
NOT_TODAY = {"N-legacy", "E-annotation"}


WHOLE = {"one-count-too-large.yml"}  # 1e30 is no whole number to amlc, and one to JSON Schema


def verdicts() -> tuple[list[Path], list[Path]]:
    """The files of today's format that amlc takes, and those that it refuses for no more than `FOUND`."""
    taken, refused = [], []
    for file in FILES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _, problems = load_experiment(file, environ=ENVIRON)
        except ConfigError as err:
            codes = {problem.code for problem in err.problems if problem.severity is Severity.ERROR}
            if file.name not in WHOLE and codes <= FOUND and not NOT_TODAY & {problem.code for problem in err.problems}:
                refused.append(file)
        except (AmlcError, OSError):
            continue
        else:
            if not NOT_TODAY & {problem.code for problem in problems}:
                taken.append(file)
    return taken, refused


TAKEN, REFUSED = verdicts()


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.golden
def test_the_file_for_schema_stores_is_what_the_command_prints() -> None:
    if os.environ.get("AMLC_GOLDEN") == "1":
        FILE.write_text(json.dumps(published(load_schema()), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert json.loads(FILE.read_text(encoding="utf-8")) == SCHEMA, "make golden"


def test_it_is_a_schema_that_can_be_served() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert re.fullmatch(r"https://json\.schemastore\.org/[a-z]+\.json", SCHEMA["$id"])
    assert "$defs" not in json.dumps(SCHEMA)


def nodes(node: Any) -> Any:
    if isinstance(node, Mapping):
        yield node
    for child in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from nodes(child)


def test_every_reference_leads_somewhere_and_stands_alone() -> None:
    found = [node for node in nodes(SCHEMA) if isinstance(node.get("$ref"), str)]
    assert len(found) > 100
    for node in found:
        assert node.keys() == {"$ref"}  # of what stands beside it, draft 7 knows nothing
        place: Any = SCHEMA
        for part in node["$ref"].removeprefix("#/").split("/"):
            place = place[part]


def test_no_default_is_null() -> None:
    assert [node for node in nodes(SCHEMA) if node.get("default", "") is None] == []  # editors stumble over it


@pytest.mark.parametrize("part", ["", *CONFIG])
def test_every_key_of_a_config_object_has_both_spellings(part: str) -> None:
    own = load_schema()
    keys = (own["$defs"][part] if part else own)["properties"]
    here = (SCHEMA["definitions"][part] if part else SCHEMA)["properties"]
    assert here.keys() == {spelled for key in keys for spelled in (key, snake(key))}


@pytest.mark.parametrize("file", TAKEN, ids=name)
def test_what_amlc_takes_is_taken(file: Path) -> None:
    assert [error.message for error in CHECKED.iter_errors(load_document(file).data)] == []


@pytest.mark.parametrize("file", REFUSED, ids=name)
def test_what_the_schema_of_amlc_refuses_is_refused(file: Path) -> None:
    assert not CHECKED.is_valid(load_document(file).data)


def test_there_are_files_of_both_kinds() -> None:
    assert len(TAKEN) > 60
    assert len(REFUSED) > 40
    assert {"examples/digits/experiment.aml.yml", "tests/compatibility/corpus/v2-aml-snake-case.yml"} <= set(map(name, TAKEN))


@st.composite
def any_spelling(draw: st.DrawFn, value: Any, level: Mapping[str, Any] | None) -> Any:
    """The value, each of its config keys in another spelling."""
    if not isinstance(value, Mapping) or level is None:
        return value
    own, made = load_schema(), {}
    for key, child in value.items():
        inner = level["properties"].get(key, {})
        inner = own["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
        if key == "trainingService":
            inner = own["$defs"][child["platform"]]
        spelled = "".join(
            draw(st.sampled_from((char, char.upper(), char.lower()))) + draw(st.sampled_from(("", "", "_"))) for char in key
        )
        made[spelled] = draw(any_spelling(child, inner if "properties" in inner else None))
    return made


AZURE = {
    **EXPERIMENT,
    "tuner": {"className": "mine.Tuner", "codeDirectory": "."},
    "trainingService": {"platform": "aml", "dockerImage": "x", "computeTarget": "${COMPUTE}"},
    "amlc": {"budget": {"nodeHours": 3}, "failedValue": "worst", "environment": "${ENVIRONMENT}"},
}


@given(st.sampled_from((EXPERIMENT, AZURE)).flatmap(lambda one: any_spelling(one, load_schema())))
def test_any_mix_of_spellings_is_taken(experiment: Any) -> None:
    assert [error.message for error in CHECKED.iter_errors(experiment)] == []


BUILT_IN = [(kind, one) for kind, table in (("tuner", TUNERS), ("assessor", ASSESSORS)) for one in table]


@pytest.mark.parametrize(("kind", "one"), BUILT_IN, ids=lambda one: getattr(one, "name", one))
def test_each_tuner_and_assessor_takes_its_own_arguments(kind: str, one: Any) -> None:
    def experiment(**arguments: Any) -> Any:
        return {**EXPERIMENT, kind: {"name": one.name.lower(), "classArgs": arguments}}

    assert CHECKED.is_valid(experiment()) == (not one.refused)
    given = {key: each.default for key, each in one.arguments.items() if each.default is not None and not each.refused}
    assert CHECKED.is_valid(experiment(**given)) == (not one.refused)
    assert CHECKED.is_valid(experiment(no_such_argument=1)) == (one.open and not one.refused)
    if one.alias and not one.refused:
        assert CHECKED.is_valid({**EXPERIMENT, kind: {"name": one.alias}})
