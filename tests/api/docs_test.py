"""docs/api.md is made of the docstrings, and its first example runs."""

import dataclasses
import inspect
import os
import re
from pathlib import Path

import pytest

import amlc
from amlc.collect.verdict import Verdict
from amlc.commands.import_ import Imported
from amlc.commands.plan import Due, Older, Plan
from amlc.commands.status import Standing
from amlc.commands.steps import Run
from amlc.drive import Progress
from amlc.errors import Position, Problem
from amlc.model import Trial

FILE = Path(__file__).parents[2] / "docs" / "api.md"
INTRODUCTION = """# The Python API

`import amlc` does what the command line does, on the same folders, and gives values where that prints text. Nothing
prints and nothing ends the process; what is wrong is an exception, with all the problems that the command line would
have printed. The names follow NNI's `nni.experiment`. This page is made of the docstrings.

```python
import amlc

experiment = amlc.load("experiment.yml")  # or amlc.Experiment("local"), and fill in its config
for problem in experiment.problems:
    print(problem)
results = experiment.run()  # goes on where a run that was cut short stopped
print(results.best()["param.lr"])
results.to_csv("results.csv")
```

Inside a trial nothing of amlc is needed: the library there is `nni`, with or without the package (see the README).
"""
VALUES = (Plan, Due, Older, Run, Progress, Imported, Standing, Verdict, Trial, Problem, Position)


def document() -> str:
    """What the page has to be."""
    parts = [INTRODUCTION]
    for name in ("Experiment", "ExperimentConfig", "Build", "Results", "Report"):
        parts += one_class(getattr(amlc, name))
    parts += ["## Values\n"]
    for value in VALUES:
        parts += [f"### `{value.__name__}`\n", docstring(value), *fields(value), *properties(value)]
    parts += ["## Errors\n", "All of them are `amlc.AmlcError`; the text is for the user.\n"]
    for name in amlc.__all__:
        if name.endswith("Error") and name != "AmlcError":
            parts.append(f"- `amlc.{name}`: {docstring(getattr(amlc, name))}")
    return "\n".join(parts) + "\n"


def one_class(kind):
    yield f"## `amlc.{kind.__name__}`\n"
    yield docstring(kind)
    if "__init__" in vars(kind) and not dataclasses.is_dataclass(kind):
        yield f"### `{kind.__name__}{signature(kind.__init__)}`\n"
        yield docstring(kind.__init__)
    yield from fields(kind)
    for name, member in members(kind):
        if isinstance(member, property):
            yield f"### `.{name}`\n"
            yield docstring(member)
        else:
            yield f"### `.{name}{signature(member)}`\n"
            yield docstring(member)


def members(kind):
    for base in kind.__mro__[:2]:
        for name, member in vars(base).items():
            if (not name.startswith("_") and not dataclasses.is_dataclass(base)) or name == "save":
                found = member.__func__ if isinstance(member, classmethod) else member
                if isinstance(found, property) or inspect.isfunction(found):
                    yield name, found


def signature(function) -> str:
    found = inspect.signature(function)
    given = [parameter for name, parameter in found.parameters.items() if name not in ("self", "cls")]
    text = str(found.replace(parameters=given)).replace(" -> 'None'", "")
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # the annotations are text


def fields(kind):
    if dataclasses.is_dataclass(kind):
        named = ", ".join(f"`{field.name}: {field.type}`" for field in dataclasses.fields(kind))
        yield f"Fields: {named}.\n"


def properties(kind):
    found = {name: member for name, member in vars(kind).items() if isinstance(member, property)}
    for name, member in found.items():
        yield f"- `.{name}`: {docstring(member).strip()}"
    if found:
        yield ""


def docstring(thing) -> str:
    text = inspect.getdoc(thing)
    assert text, thing
    lines = text.splitlines()
    code = [line.startswith("    ") for line in lines]
    for index in reversed(range(len(lines))):  # fence what is indented
        if code[index] and not (index + 1 < len(lines) and code[index + 1]):
            lines.insert(index + 1, "```")
        if code[index] and not (index and code[index - 1]):
            lines.insert(index, "```python")
    inside, found = False, []
    for line in lines:
        inside = line == "```python" or (inside and line != "```")
        found.append(line.removeprefix("    ") if inside else line)
    return "\n".join(found) + "\n"


@pytest.mark.golden
def test_the_page_is_what_the_docstrings_say():
    if os.environ.get("AMLC_GOLDEN"):
        FILE.write_text(document(), encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == document()


def test_the_first_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    one = amlc.Experiment("local")
    one.config.search_space = {"lr": {"_type": "choice", "_value": [0.1, 0.2]}}
    one.config.trial_command = (
        "echo; python3 -c 'import nni; nni.report_final_result(nni.get_next_parameter()[\"lr\"])'"
    )
    one.config.trial_concurrency = 2
    one.config.tuner.name = "GridSearch"
    one.config.tuner.class_args = {"optimize_mode": "minimize"}
    one.to_yaml("experiment.yml")
    (block,) = re.findall(r"```python\n(.*?)```", INTRODUCTION, re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out == "0.1\n"
    assert Path("results.csv").read_text().count("succeeded") == 2
