"""Forms: filled in, they are what the template prints, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from amlc.model import Trial
from amlc.plan import Job
from amlc.render.engine import renderer
from amlc.render.form import Blank, filled
from amlc.render.scalars import to_yaml
from amlc.resources import templates_dir
from tests.render.engine_test import REVISION, experiment

NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUE = st.one_of(NAME, st.integers(), st.floats(), st.booleans(), st.none(), st.just("0123456789" * 20))
PARAMETERS = st.dictionaries(NAME, st.one_of(VALUE, st.lists(VALUE, max_size=2), st.dictionaries(NAME, VALUE)))


def copied_templates(folder: Path) -> Path:
    """A folder that makes the same template the user's own, which is printed anew for each job."""
    for path in templates_dir().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@given(st.lists(st.lists(PARAMETERS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_filled_in_and_printed_are_the_same_bytes(tmp_path_factory, groups):
    folder = copied_templates(tmp_path_factory.mktemp("templates"))
    changes: dict[str, Any] = {"job": {"tags": {"n": 1, "on": True}, "environment_variables": {"A": None, "B": 2.5}}}
    fast = renderer(experiment(**changes), revision=REVISION)
    slow = renderer(experiment(folder, **changes), revision=REVISION)
    for number, group in enumerate(groups):
        trials = tuple(Trial(f"{number:08x}{index:08x}", index, one) for index, one in enumerate(group))
        one = Job(trials[0].id, trials)
        assert fast(one) == slow(one)


@given(st.lists(st.integers(9_990, 10_010), min_size=2, max_size=6), PARAMETERS)
def test_the_snapshot_is_found_from_every_folder_of_job_files(tmp_path_factory, sequences, parameters):
    """Beyond so many jobs their files lie one folder deeper."""
    folder = copied_templates(tmp_path_factory.mktemp("templates"))
    fast, slow = renderer(experiment(), revision=REVISION), renderer(experiment(folder), revision=REVISION)
    depth = property(lambda job: "jobs/" + ("001/" if job.sequence >= 10_000 else "") + f"{job.sequence:05d}-{job.id}.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "file", depth)
        for number, sequence in enumerate(sequences):
            one = Job(f"{number:016x}", (Trial(f"{number:016x}", sequence, parameters),))
            text = fast(one)
            assert text == slow(one)
            found = Path("/build/exp", one.file).parent / yaml.safe_load(text)["code"]
            assert os.path.normpath(found) == "/build/exp/code"


def test_the_template_is_printed_once_for_each_set_of_keys():
    printed = []

    def checked(mapping):
        printed.append(dict(mapping["tags"]))
        return text_of(mapping)

    def text_of(mapping):
        values = [mapping["name"], *mapping["environment_variables"].values(), *mapping["tags"].values()]
        return "\n".join(str(value) if isinstance(value, Blank) else to_yaml(value) for value in values)

    fill = filled(text_of, checked)
    for number in range(600):
        tags = {f"tag{number % 300}": f"v{number}"}
        mapping = {"name": f"n{number}", "display_name": "d", "environment_variables": {"A": "x"}, "tags": tags}
        assert fill(mapping) == text_of(mapping)
    assert len(printed) == 600  # three hundred do not all fit
    for number in range(600):
        mapping = {
            "name": "n",
            "display_name": "d",
            "environment_variables": {"A": "x"},
            "tags": {"same": f"v{number}"},
        }
        assert fill(mapping) == text_of(mapping)
    assert len(printed) == 601


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{% if job.name == 'a' %}x{% endif %}{{ job.name }}", id="a condition"),
        pytest.param("{{ job.name | upper }}", id="a filter"),
        pytest.param("{{ job.name }}{{ job.tags | length }}{{ job.tags.t == 'b' }}", id="a comparison"),
    ],
)
def test_a_template_that_looks_at_a_value_is_found_out(template):
    source = jinja2.Template(template)

    def printed(mapping):
        return source.render(job=mapping)

    fill = filled(printed, printed)
    with pytest.raises(AssertionError, match="as it comes"):
        fill({"name": "a", "display_name": "d", "environment_variables": {}, "tags": {"t": "b"}})
