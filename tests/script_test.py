"""Which parameters a script reads: said only where it is certain."""

from __future__ import annotations

from pathlib import Path

import pytest

from amlc.script import imported, reads

ROOT = Path(__file__).parents[1]
FOLLOWED = {
    "subscript": ("import nni\np = nni.get_next_parameter()\nprint(p)\nx = p['a'] + p['b']\n", "ab", "ab"),
    "at once": ("import nni\nx = nni.get_next_parameter()['a']\n", "a", "a"),
    "another name": ("import nni as n\np = n.get_next_parameter()\nq = p\nx = q['a']\n", "a", "a"),
    "from": ("from nni import get_next_parameter as ask\np = ask()\nx = p['a']\n", "a", "a"),
    "get": ("import nni\np = nni.get_next_parameter()\nx = p.get('a', 1), p.pop('b', 2)\n", "ab", ""),
    "looked for": ("import nni\np = nni.get_next_parameter()\nx = p['a'] if 'a' in p else 1\n", "a", ""),
    "set first": ("import nni\np = nni.get_next_parameter()\np['a'] = 1\nx = p['a'], p['b']\n", "ab", "b"),
    "nested": ("import nni\np = nni.get_next_parameter()\nx = p['a']['_name']\n", "a", "a"),
    "function": ("import nni\ndef main(q, n):\n    return q['a'] * n\nmain(nni.get_next_parameter(), 3)\n", "a", "a"),
    "keyword": ("import nni\ndef main(*, q):\n    use(q['a'])\nmain(q=nni.get_next_parameter())\n", "a", "a"),
    "asked in a function": (
        "import nni\ndef main():\n    p = nni.get_next_parameter()\n    x = p['a']\nif __name__ == '__main__':\n    main()\n", "a", "a",
    ),
    "returned": ("import nni\ndef ask():\n    return nni.get_next_parameter()\np = ask()\nx = p['a']\n", "a", "a"),
    "defaults": (
        "import nni\np = {'a': 1, 'b': 2}\np.update(nni.get_next_parameter())\nx = p['a'], p['b']\n", "ab", "",
    ),
    "defaults, in two steps": (
        "import nni\np = {'a': 1}\nq = nni.get_next_parameter()\np.update(q)\nx = p['a']\n", "a", "",
    ),
    "argparse": (
        ("import argparse, nni\nparser = argparse.ArgumentParser()\nparser.add_argument('-a', '--alpha-x')\n"
        "parser.add_argument('--b', dest='beta')\nargs, _ = parser.parse_known_args()\n"
        "nni.utils.merge_parameter(args, nni.get_next_parameter())\nx = args.alpha_x, args.beta\n"), ["alpha_x", "beta"], "",
    ),
    "argparse with vars": (
        ("import argparse, nni\nfrom nni.utils import merge_parameter\ndef get_params():\n    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--lr')\n    args, _ = parser.parse_known_args()\n    return args\n"
        "def main(args):\n    print(args)\n    return args['lr']\n"
        "tuner_params = nni.get_next_parameter()\nparams = vars(merge_parameter(get_params(), tuner_params))\nmain(params)\n"),
        ["lr"], "",
    ),
    "argparse by its dict": (
        ("import argparse, nni\nparser = argparse.ArgumentParser()\nargs = parser.parse_args()\n"
        "vars(args).update(nni.get_next_parameter())\nx = args.lr, args.more\n"), ["lr", "more"], "",
    ),
    "a model's eval": ("import nni\np = nni.get_next_parameter()\nmodel(p['a']).eval()\n", "a", "a"),
    "a function that calls itself": (
        "import nni\ndef f(p, n):\n    return f(p, n - 1) if n else p['a']\nf(nni.get_next_parameter(), 3)\n", "a", "a",
    ),
}  # fmt: skip
LOST = {
    "items": "import nni\np = nni.get_next_parameter()\nfor k, v in p.items(): use(k, v)\n",
    "stars": "import nni\np = nni.get_next_parameter()\nx = Net(**p)\n",
    "another module": "import nni, model\np = nni.get_next_parameter()\nx = model.build(p), p['a']\n",
    "a class": "import nni\nclass T:\n    def __init__(self, p): self.p = p\nT(nni.get_next_parameter())\n",
    "an attribute": "import nni\nx.p = nni.get_next_parameter()\n",
    "computed": "import nni\np = nni.get_next_parameter()\nx = p[name]\n",
    "json": "import json, nni\np = nni.get_next_parameter()\nx = json.dumps(p)\n",
    "twice": "import nni\np = nni.get_next_parameter()\nq = nni.get_next_parameter()\nx = p['a'], q['b']\n",
    "never": "import nni\nx = 1\n",
    "not called": "import nni\ndef f():\n    return nni.get_next_parameter()\n",
    "a global": "import nni\np = nni.get_next_parameter()\ndef f():\n    return p['a']\nf()\n",
    "a lambda": "import nni\np = nni.get_next_parameter()\nf = lambda: p['a']\n",
    "bound again": "import nni\np = nni.get_next_parameter()\nif x:\n    p = other()\ny = p['a']\n",
    "bound by a loop": "import nni\np = nni.get_next_parameter()\nfor p in x: pass\ny = p['a']\n",
    "exec": "import nni\np = nni.get_next_parameter()\nexec('p[1]')\n",
    "star import": "from nni import *\np = get_next_parameter()\n",
    "or": "import nni\np = nni.get_next_parameter() or {}\nx = p['a']\n",
    "decorated": "import nni\n@wrap\ndef f(p):\n    return p['a']\nf(nni.get_next_parameter())\n",
    "no Python": "import nni\np = nni.get_next_parameter(\n",
    "NUL": "import nni\0\n",
    "deep": "x = " + "(" * 300 + ")" * 300,
    "an option that is computed": "import nni\nparser.add_argument(name)\np = nni.get_next_parameter()\nx = p['a']\n",
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_is_read_is_followed(case):
    text, names, needed = FOLLOWED[case]
    found = reads(text)
    assert found is not None
    assert (found.names, set(found.needed)) == (frozenset(names), set(needed))


@pytest.mark.parametrize("case", LOST)
def test_where_it_cannot_be_followed_nothing_is_said(case):
    assert reads(LOST[case]) is None


def test_the_line_of_the_first_reading_is_known():
    assert reads("import nni\np = nni.get_next_parameter()\n\nx = p['a']\ny = p['a']\n").needed == {"a": 4}


@pytest.mark.parametrize("name", ["digits/train.py", "digits-pbt/train.py", "aml/code/train.py"])
def test_the_examples_are_followed(name):
    assert reads((ROOT / "examples" / name).read_text(encoding="utf-8")) is not None


def test_what_is_imported_is_named_with_its_parts():
    assert imported("import a.b\nfrom c import d\nfrom . import e\n") >= {"a.b", "c", "c.d"}
    assert imported("import (") == frozenset()
