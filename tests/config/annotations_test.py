"""NNI's annotations become calls; everything else keeps each character."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from amlc.config.annotations import translate
from amlc.errors import ConfigError

FILE = Path("mnist.py")
BEFORE = '''\
"""A trial, as NNI 2 had them."""
from __future__ import print_function
import math


def pool(x,   size):   # spaces   stay
    """Docstring, no annotation."""
    return x * size


def slide(x, size): return x + size


def main(params):
    \'\'\'@nni.variable(nni.choice(0.1, 0.01), name=learning_rate)\'\'\'
    learning_rate = 0.5  # the default
    """@nni.variable(nni.uniform(0.5, 0.9), name=params['dropout'])"""
    params['dropout'] = 0.7
    if learning_rate:
        # which pool
        """@nni.function_choice(pool(learning_rate, 2), slide(learning_rate, size=2), name=pool)"""
        hidden = 1 + pool(learning_rate, 3) * 1
    for step in range(2):
        """@nni.report_intermediate_result(step * hidden)"""
        pass
    """@nni.report_final_result({'default': round(hidden, 3), 'dropout': params['dropout']})"""
    print('é', learning_rate, hidden); \'\'\'@nni.variable(nni.randint(5), name=n)\'\'\'; n = 3
    return n


if __name__ == '__main__':
    """@nni.get_next_parameter()"""
    main({})
'''
AFTER = '''\
"""A trial, as NNI 2 had them."""
from __future__ import print_function
import nni
import math


def pool(x,   size):   # spaces   stay
    """Docstring, no annotation."""
    return x * size


def slide(x, size): return x + size


def main(params):
    learning_rate = (nni.get_current_parameter() or nni.get_next_parameter() or {}).get('learning_rate', 0.5)  # the default
    params['dropout'] = (nni.get_current_parameter() or nni.get_next_parameter() or {}).get("params['dropout']", 0.7)
    if learning_rate:
        # which pool
        hidden = 1 + {'pool(learning_rate, 2)': lambda: pool(learning_rate, 2), 'slide(learning_rate, size=2)': lambda: slide(learning_rate, size=2)}.get((nni.get_current_parameter() or nni.get_next_parameter() or {}).get('pool'), lambda: pool(learning_rate, 3))() * 1
    for step in range(2):
        nni.report_intermediate_result(step * hidden)
        pass
    nni.report_final_result({'default': round(hidden, 3), 'dropout': params['dropout']})
    print('é', learning_rate, hidden); n = (nni.get_current_parameter() or nni.get_next_parameter() or {}).get('n', 3)
    return n


if __name__ == '__main__':
    nni.get_current_parameter() or nni.get_next_parameter()
    main({})
'''
SPACE = {
    "learning_rate": {"_type": "choice", "_value": [0.1, 0.01]},
    "params['dropout']": {"_type": "uniform", "_value": [0.5, 0.9]},
    "pool": {"_type": "choice", "_value": ["pool(learning_rate, 2)", "slide(learning_rate, size=2)"]},
    "n": {"_type": "randint", "_value": [0, 5]},
}


def test_annotations_become_calls_and_the_rest_stays():
    found = translate({FILE: BEFORE, Path("other.py"): "x = 1\n"})
    assert found.files == {FILE: AFTER}
    assert found.space == SPACE


def test_what_it_became_runs_with_parameters_and_without(tmp_path):
    (tmp_path / "mnist.py").write_text(AFTER)
    standin = Path(__file__).parents[2] / "amlc" / "runner" / "amlc_standin"
    parameters = {"learning_rate": 0.01, "params['dropout']": 0.6, "pool": "slide(learning_rate, size=2)", "n": 1}
    record = {"parameter_id": 0, "parameters": parameters}
    (tmp_path / "parameter.cfg").write_text(json.dumps(record))
    environ = {"PYTHONPATH": str(standin), "NNI_SYS_DIR": str(tmp_path), "NNI_OUTPUT_DIR": str(tmp_path / "out")}
    command = [sys.executable, "-S", "mnist.py"]

    def run(**more):
        env = {**environ, **more}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout

    reported = run(NNI_PLATFORM="aml", NNI_TRIAL_JOB_ID="t")
    assert '\\"default\\": 3.01, \\"dropout\\": 0.6' in reported
    assert reported.count("NNISDK_ME") == 3
    alone = run(PYTHONWARNINGS="ignore", PYTHONIOENCODING="utf-8")
    assert "é 0.5 2.5" in alone
    assert "Final result: {'default': 2.5, 'dropout': 0.7}" in alone


def test_a_choice_of_expressions_is_one_of_their_texts():
    text = '"""@nni.variable(nni.choice(\'2\', 5*6, n), name=x)"""\nx = 5\n'
    text += '"""@nni.function_choice(f(x), 2 * 3, lambda y: 1+y, name=f)"""\nz = f(x)\n'
    found = translate({FILE: text})
    assert found.space == {
        "x": {"_type": "choice", "_value": ["'2'", "5 * 6", "n"]},
        "f": {"_type": "choice", "_value": ["f(x)", "2 * 3", "lambda y: 1 + y"]},
    }
    names = {"n": 9, "f": lambda x: -x}
    for chosen, expected in (("'2'", "2"), ("5 * 6", 30), ("n", 9), (None, 5)):
        program = found.files[FILE].replace("import nni\n", "")
        nni = type("nni", (), {"get_current_parameter": lambda chosen=chosen: {"x": chosen, "f": "2 * 3"}})
        scope = {**names, "nni": nni}
        exec(program, scope)
        assert (scope["x"], scope["z"]) == (expected, 6)


def test_a_name_that_is_taken_gets_the_module_s_before_it():
    text = '"""@nni.variable(nni.choice(1), name=x)"""\nx = 1\n' * 3
    found = translate({FILE: text})
    assert list(found.space) == ["x", "mnist/x", "mnist/x/2"]
    assert found.files[FILE].startswith("import nni\nx = ")
    assert translate({FILE: "import nni\n" + text}).files[FILE].count("import nni") == 1


@pytest.mark.parametrize(
    ("annotation", "following", "said"),
    [
        ("variable(nni.choice(1), name=x)", "y = 1", "must stand right before `x = …`"),
        ("variable(nni.choice(1), name=x)", "", "must stand right before `x = …`"),
        ("variable(nni.choice(1))", "x = 1", "needs 'name='"),
        ("variable(name=x)", "x = 1", "needs one of NNI's functions"),
        ("variable(nni.uniform(a, 1), name=x)", "x = 1", "must be written out"),
        ("variable(nni.pick(1), name=x)", "x = 1", "there is no 'nni.pick' to draw from"),
        ("function_choice(f(), name=f)", "g()", "must stand right before a call of it"),
        ("function_choice(name=f)", "f()", "needs calls to choose from"),
        ("mutable_layers({})", "x = 1", "there is no '@nni.mutable_layers' that amlc can translate"),
        ("variable(", "x = 1", "the annotation is no expression"),
        ("variable", "x = 1", "the annotation is no call"),
    ],
)
def test_what_cannot_be_translated_is_said_where_it_stands(annotation, following, said):
    with pytest.raises(ConfigError) as found:
        translate({FILE: f'def f():\n    """@nni.{annotation}"""\n    {following}\n'})
    assert str(found.value).startswith("mnist.py:2:5: ")
    assert said in str(found.value)


def test_python_2_is_no_python():
    with pytest.raises(ConfigError, match=r"mnist.py:2:1: not Python 3: "):
        translate({FILE: '"""@nni.get_next_parameter()"""\nprint "x"\n'})
