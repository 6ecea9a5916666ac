"""What a YAML reader stumbled on, in plain words and at the place that is to be mended."""

import pytest
import yaml

from amlc.config.syntax import explain, mark_index


def explained(text):
    with pytest.raises(yaml.YAMLError) as caught:
        list(yaml.parse(text, Loader=yaml.CSafeLoader))
    index, words = explain(caught.value, text)
    return text[index : index + 1], words.what.removesuffix(".")


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("a: [1, 2\nb: 3", None, "an item without ',' or closing bracket after it"),
        ("a: {b: 1", None, "an item without ',' or closing bracket after it"),
        ("a: [,]", ",", "a bracket or comma where a value should be"),
        ("a: 1\n b: 2", None, "a ':' where no key can be"),
        ("a: b: c", ":", "a ':' where no key can be"),
        ("a: 1\nb\nc: 2", None, "a key without ':'"),
        ("a\nb: 1", ":", "a ':' where no key can be"),
        ("a: @b", "@", "a tab, '@', '%' or '`' where a value starts"),
        ("a: `b", "`", "a tab, '@', '%' or '`' where a value starts"),
        ("a:\n\tb: 1", "\t", "a tab"),
        ('a: "b', '"', "a quote that is never closed"),
        ("a: 'b\nc: 1", "'", "a quote that is never closed"),
        ('a: "\\d"', "\\", "an unknown '\\' escape in double quotes"),
        ('a: "\\u12"', "\\", "a '\\u' escape that is no character"),
        ("a: - b", "-", "a '- item' where no list can be"),
        ("a: &", "&", "an '&' names a value, and here is no name"),
        ("a: *", "*", "a '*' repeats a named value, and here is no name"),
        ("a: |x\n", "|", "a '|' begins a block of lines, and something follows on its own line"),
        ("a: >x\n", ">", "a '>' begins a block of lines, and something follows on its own line"),
        ("[1]\n[2]", "[", "text after the end of the document"),
        ("- a\nb: 1", "b", "a line that is no '- item' of its list"),
        ("a: 1\n- b", None, "a line that is no 'key: value' of its block"),
        ("%x: 1\na: 1", None, "a line that starts with '%' is a directive to YAML readers"),
    ],
)
def test_each_slip_is_said_in_plain_words(text, at, words):
    found, said = explained(text)
    assert said.startswith(words)
    assert at in (None, found)


def test_an_error_without_a_place_is_the_whole_text():
    index, words = explain(yaml.YAMLError(), "a: 1")
    assert (index, str(words)) == (0, "the text cannot be read here. Check the lines around it.")
    assert explain(yaml.YAMLError(), r'a: "\U00110000"')[0] == 4
    assert explain(yaml.YAMLError(), r'a: "\U0010ffff"')[0] == 0
    assert mark_index(yaml.YAMLError()) is None
