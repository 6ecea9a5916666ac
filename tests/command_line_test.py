"""What a trial command runs, where its text says so."""

import pytest

from amlc.command_line import parse


@pytest.mark.parametrize(
    ("command", "program", "script"),
    [
        ("python3 train.py --x 1", "python3", "train.py"),
        ("python3 -u -W ignore -O src/train.py", "python3", "src/train.py"),
        ("/usr/bin/python3.11 'a b.py'", "/usr/bin/python3.11", "a b.py"),
        ("A=1 B='x y' python train.py --data ${{inputs.data}}", "python", "train.py"),
        ("bash -e run.sh", "bash", "run.sh"),
        ("./run.sh 3", "./run.sh", "./run.sh"),
        ("bin/run 3", "bin/run", None),
        ("python3 -m train", "python3", None),
        ("python3 -c 'import x'", "python3", None),
        ("sh -c 'x; y'", "sh", None),
        ("python3 $SCRIPT", "python3", None),
        ("torchrun train.py", "torchrun", None),
        ("Rscript --vanilla fit.R", "Rscript", "fit.R"),
        ("python3 'a;b.py'", "python3", "a;b.py"),
    ],
)
def test_the_program_and_its_script_are_known(command, program, script):
    found = parse(command)
    assert (found.program, found.script) == (program, script)


@pytest.mark.parametrize(
    "command",
    ["cd x && python3 a.py", "a; b", "a | b", "python3 a.py > out", "(a)", "a\nb", "$PYTHON a.py", "'", "", "A=1", "a &"],
)
def test_what_is_more_than_a_program_is_not_guessed(command):
    assert parse(command) is None


def test_what_is_set_before_is_no_plain_command():
    assert parse("python3 a.py").is_plain
    assert not parse("PATH=x python3 a.py").is_plain
    assert parse("python3 a.py").is_python
    assert not parse("sh a.py").is_python
