"""What a revision is made of, and what two of them differ in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amlc.errors import UsageError
from amlc.revision import Contents, contents_text, differences, file_mark, parse_contents, read_contents

CONTENTS = Contents(
    command="python3 train.py",
    environment="azureml:e:1",
    files={"train.py": "0" * 16, "ü\n.py": "1" * 16, "run.sh": "2" * 16 + "+x"},
)


def test_the_text_is_read_back_as_it_was() -> None:
    bare = Contents(command="x", environment=None, files={})
    for contents in (CONTENTS, bare, replace(CONTENTS, inputs={"data": "azureml:d:1 (uri_folder)"})):
        assert parse_contents(contents_text(contents)) == contents
        assert parse_contents(contents_text(contents).encode()) == contents


def test_the_text_has_one_file_a_line_in_order() -> None:
    assert contents_text(replace(CONTENTS, files={"b": "1", "a/ü": "2"})) == (
        "{\n"
        ' "command": "python3 train.py",\n'
        ' "environment": "azureml:e:1",\n'
        ' "files": {\n'
        '  "a/ü": "2",\n'
        '  "b": "1"\n'
        " }\n"
        "}\n"
    )


def test_a_file_is_marked_by_its_content_and_whether_it_is_executable() -> None:
    assert file_mark("0123456789abcdef" * 4, executable=False) == "0123456789abcdef"
    assert file_mark("0123456789abcdef" * 4, executable=True) == "0123456789abcdef+x"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"command": "x"}, ["trialCommand changed"], id="command"),
        pytest.param({"environment": None}, ["environment changed"], id="environment"),
        pytest.param({"files": {**CONTENTS.files, "train.py": "9" * 16}}, ["changed: train.py"], id="content"),
        pytest.param({"files": {**CONTENTS.files, "run.sh": "2" * 16}}, ["changed: run.sh"], id="mode"),
        pytest.param({"files": {**CONTENTS.files, "util.py": "9" * 16}}, ["new: util.py"], id="new"),
        pytest.param({"files": {}}, ["gone: run.sh", "gone: train.py", r"gone: ü\n.py"], id="gone"),
        pytest.param(
            {"files": {"z": "1", "train.py": "9", "a": "1"}, "command": "x", "environment": "y"},
            [
                "changed: train.py",
                *["new: a", "new: z", "gone: run.sh", r"gone: ü\n.py"],
                *["trialCommand changed", "environment changed"],
            ],
            id="everything",
        ),
    ],
)
def test_differences_are_lines(changes, lines) -> None:
    assert differences(CONTENTS, replace(CONTENTS, **changes)) == lines


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"files": 1}', '{"files": {'])
def test_what_amlc_did_not_write_is_a_clear_error(tmp_path, text) -> None:
    (tmp_path / "revision.json").write_text(text)
    with pytest.raises(UsageError, match=r"revision\.json: not what amlc wrote .*Compile again"):
        read_contents(tmp_path)


def test_a_build_without_it_is_a_clear_error(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"revision\.json: there is no such file\. Compile"):
        read_contents(tmp_path)


def test_inputs_are_listed_one_by_one() -> None:
    old = replace(CONTENTS, inputs={"a": "1", "b": "azureml:d:1 (uri_folder)"})
    new = replace(CONTENTS, inputs={"b": "azureml:d:2 (uri_folder)", "c\n": "x"})
    assert differences(old, new) == [
        "input a: 1 -> none",
        "input b: azureml:d:1 (uri_folder) -> azureml:d:2 (uri_folder)",
        "input c\\n: none -> x",
    ]
    assert differences(old, old) == []


def test_without_inputs_the_text_is_as_it_was_before_they_counted() -> None:
    assert "inputs" not in contents_text(CONTENTS)
