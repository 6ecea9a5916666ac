"""Values in messages: never a secret, never long; and what to do about them."""

import pytest

from amlc.config.wording import flow, show, wrong_type


@pytest.mark.parametrize(
    ("value", "kinds", "advice"),
    [
        ("7", ["integer"], "Remove the quotes."),
        (" -7 ", ["number"], "Remove the quotes."),
        ("1.5", ["number"], "Correct it."),
        ("seven", ["integer"], "Correct it."),
        ("True", ["boolean"], "Remove the quotes."),
        ("7", ["boolean"], "Correct it."),
        ("true", ["integer"], "Correct it."),
        (7, ["string"], "Put it in quotes."),
        (True, ["string"], "Put it in quotes."),
        (7, ["string", "object"], "Correct it."),
        ([7], ["string"], "Correct it."),
        (2.0, ["integer"], "Write 2."),
        (2.5, ["integer"], "Correct it."),
        (1e30, ["integer"], "Correct it."),
        (2.0, ["boolean"], "Correct it."),
        (None, ["array"], "Correct it."),
    ],
    ids=str,
)
def test_what_to_do_about_a_value_of_another_type(value, kinds, advice):
    said = wrong_type("'x'", "that", value, kinds=kinds)
    assert said.text.startswith("'x' must be ")
    assert said.text.endswith(f"got that. {advice}")
    assert (said.found, said.hint) == ("that", advice)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["string"], "text"),
        (["integer", "string"], "a whole number or text"),
        (["number"], "a number"),
        (["boolean"], "true or false"),
        (["object"], "a mapping (key: value)"),
        (["array"], "a list"),
    ],
)
def test_types_have_names_that_people_use(kinds, words):
    said = wrong_type("'x'", "that", None, kinds=kinds)
    assert f"'x' must be {words}, got that." in said.text
    assert said.expected == words


def test_better_words_and_an_example_come_first():
    assert (
        str(wrong_type("'x'", "that", None, kinds=[], expected="a day", example="Say 1."))
        == "'x' must be a day, got that. Say 1."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [True, None]}, "{a: 1, b: [true, null]}"),
        ("a, b", "a, b"),
        ("1, 2", '"1, 2"'),
        ("12", "12"),
        ("", ""),
        (0.5, "0.5"),
    ],
    ids=str,
)
def test_a_value_is_one_line_of_yaml(value, text):
    assert flow(value) == text


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("trialCommand: [a, 1]", ("trialCommand",), "the list [a, 1]"),
        ("trial_command: abc", ("trialCommand",), "the text 'abc'"),
        (f"trialCommand: {'x' * 99}", ("trialCommand",), f"the text '{'x' * 57}...'"),
        ("trialCommand: 0.5", ("trialCommand",), "0.5"),
        ("trialCommand: {a: 1}", ("trialCommand",), "a mapping"),
        ("sharedStorage: {storageAccountKey: 7}", ("sharedStorage", "storageAccountKey"), "a value that is not shown"),
        (
            "sharedStorage: {storageAccountKey: [x]}",
            ("sharedStorage", "storageAccountKey"),
            "a value that is not shown",
        ),
    ],
)
def test_a_found_value_is_shown_as_it_stands_in_the_file(read, text, path, shown):
    config = read(text)
    assert show(config, path, config.get(*map(str, path))) == shown


def test_what_came_from_the_environment_is_not_shown(read):
    config = read("trialCommand: '${SECRET}'").with_value(("trialCommand",), "the secret itself")
    assert show(config, ("trialCommand",), "the secret itself") == "the text '${SECRET}'"
