"""How YAML and JSON become values and positions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from amlc.config import tree
from amlc.config.load import load_document, parse_document
from amlc.errors import ConfigError, Position, UsageError
from tests.conftest import work

FILE = Path("x.yml")


def value_of(text: str) -> Any:
    return parse_document(f"key: {text}\n", FILE).data["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+1", 1),
        ("0", 0),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("01e3", 1000.0),
        ("1e999", math.inf),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("=", "="),
        ("y", "y"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        (".", "."),
        ("1e", "1e"),
        ("0x", "0x"),
        ("0b", "0b"),
        ("1_000", 1000),
        ("0b101", 5),
        ("-010", -8),
        ("1:30", 90),
        ("-1:30:01", -5401),
        ("1:30.5", 90.5),
        ("off", False),
        ("!!str 12", "12"),
        ("! 12", 12),
        ("!!float 3", 3.0),
        ("!!int 0x10", 16),
        ("'1'", "1"),
        ('"a\\tb"', "a\tb"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("9" * 4000, int("9" * 4000)),
    ],
)
def test_plain_scalars_mean(text: str, expected: Any) -> None:
    found = value_of(text)
    assert (type(found), found) == (type(expected), expected)


def test_nan_is_a_float() -> None:
    assert math.isnan(value_of(".nan"))


@pytest.mark.parametrize("text", ["yes", "No", "ON", "1:30", "1:30.5", "010", "0_7", "1_000", "0b101", "0x_f", "1_0.5"])
def test_what_yaml_versions_disagree_about_is_read_as_nni_does_and_warned_of(text: str) -> None:
    document = parse_document(f"key: {text}\n", FILE)
    assert document.data["key"] == yaml.safe_load(text)
    [remark] = document.remarks
    assert (remark.code, remark.position, remark.path) == ("W-yaml", Position(FILE, 1, 6), "/key")


@pytest.mark.parametrize("text", ["1e-3", "12", "1.5", "text", "2001-01-01", "0o17", "true", "'yes'", '"010"'])
def test_ordinary_values_are_not_remarked_upon(text: str) -> None:
    assert parse_document(f"key: {text}\n", FILE).remarks == ()


def test_positions_of_keys_and_values_count_from_one() -> None:
    document = parse_document("a:\n  b: [1, {é: x}]\n", FILE)
    assert document.at(("a", "b"), key=True) == Position(FILE, 2, 3)
    assert document.at(("a", "b", 1, "é")) == Position(FILE, 2, 14)
    assert document.at(("a", "b", 1, "nothing", 3)) == Position(FILE, 2, 10)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(newline: str) -> None:
    document = parse_document("a: 1\nb: 2\n".replace("\n", newline), FILE)
    assert (document.data, document.at(("b",))) == ({"a": 1, "b": 2}, Position(FILE, 2, 4))


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    document = load_document(tmp_path / "x.json")
    assert (document.data, document.at(("a",), key=True).column) == ({"a": 1}, 2)


def test_json_with_all_that_json_readers_accept() -> None:
    text = '{\t"a":\t[1, 2,\n\t-Infinity,],"n":NaN,"s":"\\ud83d\\ude00\\/\\u00e9 \u2028\x7f","t":"a\\tb",}'
    data = parse_document(text, FILE).data
    assert math.isnan(data.pop("n"))
    assert data == {"a": [1, 2, -math.inf], "s": "😀/é \u2028\x7f", "t": "a\tb"}


def test_json_agrees_with_the_json_module() -> None:
    data = {
        "text": "'\"\\{}[]:,#&*!|>%@` \t\n\r\x00\x1f😀\ud7ff",
        "": [1.5e-7, -0.0, 10**30, None, True],
        "a": {"b": []},
    }
    for text in (json.dumps(data), json.dumps(data, ensure_ascii=False), json.dumps(data, indent="\t")):
        assert parse_document(text, FILE).data == data


@pytest.mark.parametrize("text", ['{"%s": 1}', '{"a": {\n"b": "c", "%s" : 1}}', '{"a": "%s:", "%s": [1]}'])
def test_a_json_key_that_is_too_long_is_named_so(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text.replace("%s", "k" * 1023), FILE)
    assert "a key of 1,023 characters, where they take 1,000. Shorten it." in str(caught.value)


def test_a_long_json_value_before_a_mistake_is_no_long_key() -> None:
    with pytest.raises(ConfigError, match="an item without ','"):
        parse_document('{"a": "%s" "b": 1}' % ("k" * 1023), FILE)


def test_yaml_flow_mapping_is_no_less_yaml() -> None:
    assert parse_document("{a: 1, b: 'it''s', c: [x, y]} # end\n", FILE).data == {"a": 1, "b": "it's", "c": ["x", "y"]}


def test_merge_keys_work_as_in_pyyaml() -> None:
    text = "a: &a {k: 1, l: 2}\nb: &b {k: 3}\nc: {<<: *a, l: 4}\nd: {<<: [*b, *a], m: 5}\ne: {'<<': 1}\nf: [*a, *a]\n"
    found, expected = parse_document(text, FILE).data, yaml.safe_load(text.replace("'<<'", "x"))
    assert found.pop("e") == {"<<": 1}
    expected.pop("e")
    assert (found, list(found["c"])) == (expected, ["k", "l"])


def test_merged_values_keep_the_place_where_they_stand() -> None:
    document = parse_document("a: &a\n  k: yes\nb:\n  <<: *a\n", FILE)
    assert document.at(("b", "k")) == Position(FILE, 2, 6)


@pytest.mark.parametrize("code", range(32))
def test_control_characters_are_refused_or_space(code: int) -> None:
    if chr(code) in "\t\n\r":
        return
    with pytest.raises(ConfigError, match=f"U\\+{code:04X}"):
        parse_document(f"a: 'x{chr(code)}'", FILE)


def test_five_megabytes_of_text_are_read() -> None:
    text = "x" * 5_000_000
    assert parse_document(f'a: "{text}"\nb: {text}\n', FILE).data == {"a": text, "b": text}
    assert parse_document(json.dumps({"a": text}), FILE).data == {"a": text}


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _either_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with libyaml, and as PyYAML does without it."""
    monkeypatch.setattr(tree, "_Loader", getattr(yaml, request.param))


DEEP = [
    pytest.param("[", "x.yml:1:302: ", id="lists"),
    pytest.param("{a: ", "x.yml:1:1202: ", id="mappings"),
    pytest.param("- ", "x.yml:1:603: ", id="blocks"),
]


@pytest.mark.usefixtures("_either_loader")
@pytest.mark.parametrize("levels", [302, 1_100, 5_000])
@pytest.mark.parametrize(("opening", "place"), DEEP)
def test_nesting_beyond_reason_is_refused(opening: str, place: str, levels: int) -> None:
    with pytest.raises(ConfigError, match=r"more than 300 levels") as caught:
        parse_document(opening * levels, FILE)
    assert str(caught.value).startswith(place)


NO_YAML = [
    pytest.param("a: 1\n\tb: 2", "2:1", "a tab", id="tab"),
    pytest.param("a: |\n\tb", "2:1", "a tab", id="tab in a block"),
    pytest.param("a: - b", "1:4", "a '- item' where no list can be", id="list on the line of its key"),
    pytest.param("a: *.py", "1:4", "a '*' repeats a named value", id="wildcard"),
    pytest.param("a: && b", "1:4", "an '&' names a value", id="ampersand"),
    pytest.param("a: !<b c", "1:4", "a '!' begins a tag", id="tag"),
    pytest.param("a: !b!c d", "1:4", "a '!' begins a tag", id="tag of no handle"),
    pytest.param("a: |b", "1:4", "a '|' begins a block of lines", id="block"),
    pytest.param("a: [>b]", "1:5", "a '>' begins a block of lines", id="block in a list"),
    pytest.param("%YAML 1.1\na: 1", "2:1", "a line that starts with '%'", id="directive"),
    pytest.param("a: 'b\n---\nc: 1", "1:4", "a quote that is never closed", id="quote before a document"),
    pytest.param("a: '''", "1:4", "a quote that is never closed", id="quote before a quoted quote"),
    pytest.param("b: 1\n'a'\n", "3:1", "a key without ':'", id="quoted key without a colon at the end"),
    pytest.param('a: "\\x1"', "1:5", "a '\\u' escape that is no character", id="short escape"),
    pytest.param('a: "\\U00200000"', "1:5", "a '\\u' escape that is no character", id="escape beyond Unicode"),
    pytest.param("a: ]", "1:4", "a bracket or comma where a value should be", id="bracket"),
    pytest.param("{a: 1}}", "1:7", "text after the end of the document", id="bracket too many"),
    pytest.param(":", "1:1", "a ':' where no key can be", id="colon alone"),
]


@pytest.mark.usefixtures("_either_loader")
@pytest.mark.parametrize(("text", "place", "said"), NO_YAML)
def test_what_is_no_yaml_is_named_at_its_place(text: str, place: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, FILE)
    assert str(caught.value).startswith(f"x.yml:{place}: not ")
    assert said in str(caught.value)


@pytest.mark.usefixtures("_either_loader")
def test_half_a_character_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x\.yml:1:[45]: .*a '\\u' escape that is .*Write the character itself"):
        parse_document('a: "\\ud800"', FILE)


def test_nesting_through_aliases_is_refused() -> None:
    levels = "".join(f"a{n}: &a{n} [{'[' * 40}*a{n - 1}{']' * 40}]\n" for n in range(1, 12))
    with pytest.raises(ConfigError, match=r"more than 300 levels"):
        parse_document("a0: &a0 x\n" + levels, FILE)


def test_billion_laughs_end_at_once() -> None:
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    with pytest.raises(ConfigError, match=r"aliases repeat more than 100000 values"):
        parse_document("a0: &a0 lol\n" + laughs, FILE)


def test_merging_billions_ends_at_once() -> None:
    laughs = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 30))
    with pytest.raises(ConfigError, match=r"aliases repeat more than 100000 values"):
        parse_document("a0: &a0 {k: lol}\n" + laughs, FILE)


def test_work_grows_with_the_size_of_a_space_not_its_square() -> None:
    def calls(count: int) -> int:
        text = "".join(f"p{n}:\n  _type: uniform\n  _value: [0, {n}.5]\n" for n in range(count))
        return work(lambda: parse_document(text, FILE))

    assert calls(2000) < 5 * calls(500)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    for name in ("nothing.yml", ".", "bad\0name"):
        with pytest.raises(UsageError, match=r"cannot be read"):
            load_document(tmp_path / name)
