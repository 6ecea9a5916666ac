"""SARIF is as the standard's schema says, and has the pages of the codes."""

import json
from pathlib import Path

import jsonschema
import pytest

from amlc.display.sarif import written
from amlc.errors import Severity
from tests.display.formats_test import findings

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif" / "schema.json").read_text(encoding="utf-8"))


def run(**changes):
    log = json.loads("".join(written(findings(**changes))))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (only,) = log["runs"]
    return only


@pytest.mark.parametrize("severity", Severity)
def test_a_problem_has_its_place_and_the_page_of_its_code(severity):
    found = run(code="E-alias", severity=severity, path="/a/b")
    (rule,) = found["tool"]["driver"]["rules"]
    (result,) = found["results"]
    assert (rule["id"], result["ruleId"], result["ruleIndex"]) == ("E-alias", "E-alias", 0)
    assert "To mend it" in rule["help"]["markdown"]
    assert result["level"] == severity.value
    (location,) = result["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 7}
    assert location["logicalLocations"] == [{"fullyQualifiedName": "/a/b"}]


@pytest.mark.parametrize(
    ("file", "uri"), [("a b/ü%.yml", "a%20b/%C3%BC%25.yml"), ("/tmp/a b.yml", "file:///tmp/a%20b.yml")]
)
def test_a_file_is_an_address(file, uri):
    (result,) = run(file=file)["results"]
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uri"] == uri
    assert ("uriBaseId" in artifact) == (not file.startswith("/"))


def test_what_stands_in_no_file_has_no_place():
    (result,) = run(line=0)["results"]
    assert "locations" not in result
