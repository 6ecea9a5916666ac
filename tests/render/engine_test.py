"""Templates: amlc's own, the user's, and what happens when one of them is wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from amlc.errors import TemplateError
from amlc.model import Algorithm, Experiment, Trial
from amlc.plan import Job
from amlc.render.context import mapper
from amlc.render.engine import TEMPLATE, renderer, template_files
from amlc.resources import templates_dir
from amlc.targets.aml import AmlTarget

REVISION = "a1b2c3d4e5f6" + "0" * 52
PLAIN = {"lr": 1e-05, "n": 3, "name": "it's"}
EXTENDS = '{% extends "amlc/command-job.yml.j2" %}\n'


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


def experiment(templates: Path | None = None, **changes: Any) -> Experiment:
    base = Experiment(
        name="exp", namespace="", source=Path("/exp.yml"), inputs=(Path("/exp.yml"),), space=(),
        tuner=Algorithm(name="Random"), assessor=None, command="python3 trial.py", code=Path("/code"), concurrency=1,
        gpus_per_trial=None, max_trials=None, max_seconds=None, trial_seconds=60,
        target=AmlTarget(compute="c", image="img"), seed=0, templates=templates,
    )  # fmt: skip
    return replace(base, **changes)


def job(parameters: dict) -> Job:
    return Job("0123456789abcdef", (Trial("0123456789abcdef", 7, parameters),))


def render(one: Experiment, parameters: dict | None = None) -> str:
    return renderer(one, revision=REVISION)(job(PLAIN if parameters is None else parameters)).decode()


def user_template(folder: Path, text: str, name: str = TEMPLATE) -> Experiment:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return experiment(folder)


def test_the_own_template_writes_the_whole_job() -> None:
    one = experiment(job={"resources": {"instance_count": 2}, "tags": {"a b": "c: d"}, "description": "x # y"})
    found = yaml.safe_load(render(one))
    assert found.pop("$schema") == "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
    assert found.pop("type") == "command"
    assert found == mapper(one, revision=REVISION)(job(PLAIN))


def test_keys_without_a_value_are_left_out() -> None:
    text = render(experiment(trial_seconds=None, job={"compute": None}))
    assert "limits" not in text
    assert "compute" not in text


HOSTILE = [
    "yes",
    "1e-05",
    "a: b",
    "# x",
    "x\ny",
    "\u2028",
    "\x85",
    "${{inputs.x}}",
    "$[[x]]",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "'\"\\",
    "🙂",
    "k" * 3000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[ascii(text)[:20] for text in HOSTILE])
def test_hostile_values_pass_through_the_template(text) -> None:
    rendered = render(experiment(command=text, name=text[:50]), {text: text, "n": {text: [text]}})
    assert "${{" not in rendered
    assert "$[[" not in rendered


def test_one_block_can_be_overridden_and_the_rest_stays(templates) -> None:
    one = user_template(
        templates,
        EXTENDS
        + "{% block limits %}\nlimits: {timeout: 7}\n{% raw %}queue: ${{parent.inputs.q}}\n{% endraw %}{% endblock %}\n",
    )
    expected = yaml.safe_load(render(replace(one, templates=None)))
    found = yaml.safe_load(render(one))
    assert found.pop("queue") == "${{parent.inputs.q}}"  # the user's own expression stays
    assert found == {**expected, "limits": {"timeout": 7}}


def test_a_block_can_add_to_its_parent_and_include_a_neighbour(templates) -> None:
    (templates / "extra.j2").write_text("inputs: {path: azureml:data:{{ trials[0].sequence }}}\n")
    one = user_template(
        templates, EXTENDS + '{% block more %}\n{{ super() }}{% include "extra.j2" %}\n{% endblock %}\n'
    )
    assert yaml.safe_load(render(one))["inputs"] == {"path": "azureml:data:7"}


def test_a_folder_without_our_template_changes_nothing(templates) -> None:
    (templates / "other.j2").touch()
    assert render(experiment(templates)) == render(experiment())


def test_a_template_can_read_the_experiment(templates) -> None:
    text = "description: {{ (experiment.name ~ ' ' ~ experiment.source.name ~ ' ' ~ revision[:6]) | yaml }}\n"
    one = user_template(templates, EXTENDS + "{% block more %}\n" + text + "{% endblock %}\n")
    assert yaml.safe_load(render(one))["description"] == "exp exp.yml a1b2c3"


# --- mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "line", "message"),
    [
        pytest.param(
            "x: {{ job.nope | yaml }}", 3, "UndefinedError: 'dict object' has no attribute 'nope'", id="undefined"
        ),
        pytest.param("x: {{ nope }}", 3, "UndefinedError: 'nope' is undefined", id="undefined name"),
        pytest.param("a: 1\nb: {{ 1 / 0 }}", 4, "ZeroDivisionError", id="arithmetic"),
        pytest.param("x: {{ job | nope }}", 3, "No filter named 'nope'", id="unknown filter"),
        pytest.param("x: {% if %}", 3, "Expected an expression", id="syntax"),
        pytest.param("x: {{ experiment | yaml }}", 3, "TypeError: Experiment is not JSON data", id="not JSON"),
        pytest.param("x: {% include 'nope.j2' %}", 3, "TemplateNotFound: nope.j2", id="missing include"),
    ],
)
def test_an_error_says_template_and_line(templates, block, line, message) -> None:
    one = user_template(templates, f"{EXTENDS}{{% block more %}}\n{block}\n{{% endblock %}}\n")
    with pytest.raises(TemplateError) as caught:
        render(one)
    assert str(caught.value).startswith(f"{templates / TEMPLATE}:{line}: ")
    assert message in str(caught.value)


def test_an_error_in_an_extended_template_names_that_one(templates) -> None:
    (templates / "base.j2").write_text("a: 1\nb: {{ nope }}\n")
    one = user_template(templates, '{% extends "base.j2" %}')
    with pytest.raises(TemplateError, match=r"base\.j2:2: UndefinedError"):
        render(one)
    (templates / "base.j2").write_text("a: 1\n{% if %}\n")
    with pytest.raises(TemplateError, match=r"base\.j2:2: Expected an expression"):
        render(one)


MANGLED = [
    pytest.param("environment_variables", "environment_variables.AMLC_", id="variables"),
    pytest.param("tags", "tags.amlc.", id="tags"),
]


@pytest.mark.parametrize(("section", "key"), MANGLED)
def test_a_bare_value_that_reads_back_otherwise_is_refused(templates, section, key) -> None:
    block = f"{{% block {section} %}}\n{section}:\n{{% for k, v in job.{section}.items() %}}\n  {{{{ k }}}}: {{{{ v }}}}\n{{% endfor %}}\n{{% endblock %}}\n"
    with pytest.raises(TemplateError) as caught:
        render(user_template(templates, EXTENDS + block))
    assert f"{TEMPLATE}: job exp-0123456789abcdef-a1b2c3: '{key}" in str(caught.value)
    assert "reads back as" in str(caught.value)
    assert "Print every value through '| yaml'." in str(caught.value)


@pytest.mark.parametrize("section", ["environment_variables", "tags"])
def test_a_section_that_the_job_has_not_needs_not_be_in_the_output(templates, section) -> None:
    one = user_template(templates, EXTENDS + f"{{% block {section} %}}{{% endblock %}}")
    assert section not in yaml.safe_load(render(replace(one, job={section: None})))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "name: x\n", "'name' reads back as 'x', and the plan says 'exp-0123456789abcdef-a1b2c3'", id="another name"
        ),
        pytest.param("", "the output is not one mapping", id="empty"),
        pytest.param("- a\n", "the output is not one mapping", id="a list"),
        pytest.param("just text\n", "the output is not one mapping", id="text"),
        pytest.param("a: [1\n", "the output is not YAML", id="not YAML"),
        pytest.param("a: 1\n---\nb: 2\n", "the output is not YAML", id="two documents"),
        pytest.param("x: 2020-99-99\n", "the output is not YAML: ValueError", id="a date that is none"),
        pytest.param('x: !!int ""\n', "the output is not YAML: IndexError", id="a tag that does not fit"),
        pytest.param("x: !!bool maybe\n", "the output is not YAML: KeyError", id="a bool that is none"),
        pytest.param("x: {{ '\\ud800' }}\n", "the output is not YAML", id="half a surrogate pair"),
        pytest.param(
            "a: !!python/object/apply:os.getcwd []\n", "the output is not YAML", id="a tag that would run code"
        ),
        pytest.param(
            EXTENDS + "{% block tags %}{% endblock %}", "'tags.amlc.experiment' reads back as None", id="no tags"
        ),
        pytest.param(
            EXTENDS + "{% block environment %}{% endblock %}", "the output has no 'environment'", id="no environment"
        ),
        pytest.param(EXTENDS + "{% block code %}{% endblock %}", "the output has no 'command'", id="no command"),
    ],
)
def test_output_that_is_not_the_planned_job_is_refused(templates, text, message) -> None:
    with pytest.raises(TemplateError) as caught:
        render(user_template(templates, text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__",
        "experiment.__class__",
        "(job | attr('__class__'))",
        "'{0.__class__}'.format(job)",
        "self.__init__.__globals__",
        "cycler.__init__.__globals__['os'].getcwd()",
        "job.update({'name': 'x'})",
        "job.tags.clear()",
        "experiment.source.read_text()",
        "experiment.source.parent.joinpath('etc/passwd').read_text()",
        "(experiment.source / '..' / 'etc').iterdir() | list",
        "experiment.code.rmdir()",
        "experiment.source.open('w')",
        "experiment.inputs[0].write_text('x')",
        "(experiment.inputs | map('attr', 'read_text') | list)[0]()",
    ],
)
def test_the_sandbox_holds(templates, tmp_path, expression) -> None:
    (tmp_path / "secret").write_text("secret")
    one = user_template(templates, EXTENDS + "{% block more %}x: {{ " + expression + " }}\n{% endblock %}\n")
    one = replace(one, source=tmp_path / "secret", inputs=(tmp_path / "secret",))
    with pytest.raises(TemplateError, match=r"SecurityError|not safely callable|unsafe"):
        render(one)
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/../../secret", "amlc/../../pyproject.toml"])
def test_no_file_outside_of_the_template_folders_is_read(templates, tmp_path, name) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(TemplateError, match="TemplateNotFound"):
        render(user_template(templates, EXTENDS + "{% block more %}{% include " + repr(name) + " %}{% endblock %}\n"))


def test_every_template_file_counts_as_input(templates) -> None:
    (templates / "sub").mkdir()
    for path in (templates / "a.j2", templates / "sub" / "b.j2"):
        path.touch()
    assert {templates / "a.j2", templates / "sub" / "b.j2", templates_dir() / TEMPLATE} <= set(
        template_files(templates)
    )


def test_a_template_that_is_not_utf8_is_a_clear_error(templates) -> None:
    (templates / TEMPLATE).write_bytes(b"name: \xff\n")
    with pytest.raises(TemplateError, match=TEMPLATE):
        render(experiment(templates))


def test_the_output_is_the_same_in_another_folder(tmp_path, monkeypatch) -> None:
    first = render(experiment())
    monkeypatch.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    assert render(experiment()) == first
