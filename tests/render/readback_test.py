"""Reading back gives what PyYAML gives, whatever a template wrote."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from amlc.render.readback import read_job
from amlc.render.scalars import from_yaml, to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


def lines(job):
    """Write a job as amlc's own template does: sections of one level, everything else in flow style."""
    for key, value in job.items():
        if isinstance(value, dict) and value:
            yield f"{to_yaml(key)}:"
            yield from (f"  {to_yaml(name)}: {to_yaml(item)}" for name, item in value.items())
        else:
            yield f"{to_yaml(key)}: {to_yaml(value)}"


@given(st.dictionaries(TEXT, VALUE | st.dictionaries(TEXT, VALUE, min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_our_template_writes_reads_back_as_it_was(job):
    text = "\n".join(lines(job)) + "\n"
    assert read_job(text) == from_yaml(text) == job


def outcome(read, text):
    try:
        return repr(read(text))  # the text, so that nan equals nan and 1 is not True
    except (yaml.YAMLError, ValueError) as err:
        return type(err)


@given(st.text(alphabet="ab:'\" \n{}[]#&*!|>-,\\0$%@`?~\t.u\r", max_size=40), st.sampled_from(["", "k: ", "k:\n  "]))
def test_any_text_reads_back_as_pyyaml_reads_it(text, start):
    assert outcome(read_job, start + text) == outcome(from_yaml, start + text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a:\nb: 1\n", id="a section without lines is null"),
        pytest.param("a: 1\na: 2\n", id="a key twice"),
        pytest.param("a: &x 1\nb: *x\n", id="an anchor"),
        pytest.param("a: |\n  b: c\n", id="a block scalar that looks like a section"),
        pytest.param("a: b\n  c: d\n", id="a scalar that runs on"),
        pytest.param('a: "b\n  c"\n', id="a quoted scalar on two lines"),
        pytest.param('a: "\\ud83d\\ude00"\n', id="escaped surrogates"),
        pytest.param("a: b # c\n", id="a comment"),
        pytest.param("yes: 1\n", id="a key that is no text"),
        pytest.param("- a\n", id="a list"),
        pytest.param("a: 'it''s'\n", id="a doubled quote"),
        pytest.param("a: 'b' 'c'\n", id="two scalars on a line"),
        pytest.param("a: b\r\n", id="carriage return"),
        pytest.param("---\na: b\n", id="document start"),
        pytest.param(f"{'a' * 1000}: 1\n", id="a long key"),
        pytest.param(f"{'a' * 1025}: 1\n", id="a key that is too long"),
        pytest.param(f'"{"a" * 1025}":\n  b: c\n', id="a section whose key is too long"),
        pytest.param("a: 2020-99-99\n", id="a date that is none"),
        pytest.param("a: 2020-99-99\n  b\n", id="text that starts like a date"),
        pytest.param("a: 1e-5\nb: 012\nc: 1:30\n", id="numbers of YAML 1.1"),
    ],
)
def test_corners_of_yaml_read_back_as_pyyaml_reads_them(text):
    assert outcome(read_job, text) == outcome(from_yaml, text)
