"""A template or a constraint that would take hours, or all memory, ends at a limit: the same on every machine."""

import resource
from pathlib import Path

import jinja2
import pytest

from amlc.config.rules import variables
from amlc.constraints import Gate
from amlc.errors import PlanError
from amlc.sandbox import MOST_STEPS, BoundedSandbox, LimitError

ENVIRONMENT = BoundedSandbox(undefined=jinja2.StrictUndefined)
DOUBLING = "{% set ns = namespace(v=START) %}{% for i in range(60) %}{% set ns.v = STEP %}{% endfor %}"
TOO_MUCH = [
    pytest.param(text, id=name)
    for name, text in {
        "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "a loop in a call": "{% for a in range(99999) recursive %}{{ loop(range(99999)) }}{% endfor %}",
        "macros that call themselves twice": (
            "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}"
        ),
        "center": "{{ 'a'|center(10**9) }}",
        "center through map": "{{ ['a']|map('center', 10**9)|list }}",
        "ljust": "{{ 'a'.ljust(10**9) }}",
        "zfill": "{{ 'a'.zfill(width) }}",
        "bytes of a number": "{{ (1).to_bytes(10**9, 'big') }}",
        "times": "{{ 'a' * 10**9 }}",
        "times from the left": "{{ 10**9 * 'a' }}",
        "a list times": "{{ [1] * width }}",
        "one factor after the other": "{{ 'a' * 1000 * 1000 * 1000 }}",
        "power": "{{ 10 ** width }}",
        "power through round": "{{ 1.5|round(10**9, 'floor') }}",
        "doubling a text with ~": DOUBLING.replace("START", "'a'").replace("STEP", "ns.v ~ ns.v"),
        "doubling a text with +": DOUBLING.replace("START", "'a'").replace("STEP", "ns.v + ns.v"),
        "doubling a text by a set block": DOUBLING.replace("START", "'a'").replace("STEP", "ns.v|replace('a', 'aa')"),
        "doubling a number": DOUBLING.replace("START", "10").replace("STEP", "ns.v * ns.v"),
        "lists in lists, printed": DOUBLING.replace("START", "[1]").replace("STEP", "[ns.v, ns.v]") + "{{ ns.v }}",
        "lists in lists, compared": (
            DOUBLING.replace("START", "[1]").replace("STEP", "[ns.v, ns.v]")
            + DOUBLING.replace("ns", "os").replace("START", "[1]").replace("STEP", "[os.v, os.v]")
            + "{{ ns.v == os.v }}"
        ),
        "lists in lists, hashed": DOUBLING.replace("START", "(1,)").replace("STEP", "(ns.v, ns.v)") + "{{ {ns.v: 1} }}",
        "lists in lists, as JSON": DOUBLING.replace("START", "[1]").replace("STEP", "[ns.v, ns.v]") + "{{ ns.v|tojson }}",
        "indent": "{{ 'a\nb'|indent(10**9) }}",
        "batch": "{{ [1]|batch(10**9, 1)|list }}",
        "slice": "{{ [1]|slice(10**9)|list }}",
        "replace": "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
        "join": "{{ ('b' * 100000).join(range(99999)|map('string')) }}",
        "join of a long text": "{{ (['a' * 1000000]*1000000)|join }}",
        "format": "{{ '%1000000000d'|format(1) }}",
        "format with a star": "{{ '%*d'|format(10**9, 1) }}",
        "format by %": "{{ '%1000000000d' % 1 }}",
        "str.format": "{{ '{:>1000000000}'.format(1) }}",
        "str.format with a width that is given": "{{ '{:>{}}'.format(1, 10**9) }}",
        "the same long range, many times": "{{ ([range(99999)] * 99999)|map('sum')|list }}",
        "views of a mapping": "{{ ([dict(a=1).items()] * 99999)|map('list')|map('list')|list * 99 }}",
        "long text in a loop": "{% for a in range(99999) %}" + "x" * 5000 + "{% endfor %}",
    }.items()
]


@pytest.mark.parametrize("text", TOO_MUCH)
def test_a_template_ends_at_the_limit(text) -> None:
    ENVIRONMENT.begin()
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000, before[1]))  # beyond it a MemoryError
    try:
        with pytest.raises((LimitError, OverflowError)):
            ENVIRONMENT.from_string(text).render(width=10**9)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_the_limit_is_counted_in_steps_and_counts_anew_for_each_job() -> None:
    template = ENVIRONMENT.from_string("{% for i in range(n) %}{% endfor %}{{ n }}")
    for _ in range(3):
        ENVIRONMENT.begin()
        assert template.render(n=99_999) == "99999"
    rounds = ENVIRONMENT.from_string("{% for i in range(100) %}{% for i in range(n) %}{% endfor %}{% endfor %}")
    with pytest.raises(LimitError, match=f"{MOST_STEPS:,} steps"):
        rounds.render(n=MOST_STEPS // 100)


PLAIN = """
{% macro line(a, b=2) %}{{ a }}-{{ b }}{% if caller is defined %}{{ caller() }}{% endif %};{% endmacro %}
{{ line(1) }}{{ line(a=1, b='x') }}{{ 'a' ~ 1 ~ none }}{{ [1, 2] + [3] }}{{ 'ab' * 3 }}{{ 7 % 4 }}{{ '%5.2f' % 1.5 }}
{{ '%s-%03d'|format('a', 7) }}{{ '{:>5}|{}'.format('a', 20000000) }}{{ 12345678|default(3) }}{{ x.y is defined }}
{% for k, v in x|dictsort %}{{ loop.index }}/{{ loop.length }}{{ k }}={{ v }}{% else %}none{% endfor %}
{% for i in range(3) if i != 1 %}{{ loop.last }}{{ i }}{% endfor %}{% for i in [] %}{% else %}empty{% endfor %}
{% for c in tree recursive %}{{ c.n }}{{ loop(c.c) }}{% endfor %}{% set block %}{{ 1 }}text{% endset %}{{ block|upper }}
{{ x|tojson }}{{ [3, 1, 2]|sort|join(', ') }}{{ ['a', 'b']|map('upper')|list }}{{ [1, 2]|select('gt', 1)|list }}
{{ 'a b'.split() }}{{ 'abc'|center(9) }}{{ 1.256|round(2) }}{{ 10 ** 3 }}{{ 'b' in 'abc' }}{{ 1 < 2 < 3 }}
{{ dict(a=1).items()|list }}{% with z = 3 %}{{ z }}{% endwith %}{{ [1, 2, 3]|batch(2, 0)|list }}{{ 'x'|indent(2, true) }}
{% filter replace('q', 'Q') %}qqq{% endfilter %}{% call line(3) %}c{% endcall %}{{ (1, 2)[0] }}{{ 'abc'[1:] }}{{ [] is eq [] }}
"""


def test_what_is_printed_is_what_jinja_prints() -> None:
    values = {"x": {"b": [1, {"c": None}], "a": "é"}, "tree": [{"n": 1, "c": [{"n": 2, "c": []}]}]}
    ENVIRONMENT.begin()
    expected = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(PLAIN).render(values)
    assert ENVIRONMENT.from_string(PLAIN).render(values) == expected


@pytest.mark.parametrize("text", ["'a'|center(10**9) == x", "range(10**9)|list == x", "'a' * 10**9 == x"])
def test_a_constraint_ends_at_the_limit_and_is_not_computed_for_its_names(text) -> None:
    assert variables(text) == {"x"}
    with pytest.raises(PlanError, match="failed for"):
        Gate([text])({"x": 1})


def test_a_number_that_cannot_be_printed_stays_in_its_constraint() -> None:
    assert variables("10**20000 > x") == {"x"}
    assert Gate(["10**20000 > x"])({"x": 1})


def test_the_templates_of_amlc_use_nothing_that_is_left_out() -> None:
    from amlc.resources import templates_dir

    assert not [path for path in Path(templates_dir()).rglob("*.j2") if "lipsum" in path.read_text(encoding="utf-8")]
