"""The stage on which classes of the user's run; with tuners and assessors on it in their own custom_test.py."""

import os
import random
import sys
import textwrap

import pytest

from amlc.model import Algorithm
from amlc.user_code import Stage, UserCodeError, swapped

SOURCE = """
    import random
    import numpy as np

    class Dice:
        def __init__(self, sides=6): self.sides = sides
        def roll(self):
            print("rolled")
            return random.randrange(self.sides), np.random.randint(self.sides), int(np.random.default_rng().integers(99))
        def fail(self): raise KeyError("mine")
        def leave(self): raise SystemExit(3)
"""


@pytest.fixture
def stage(tmp_path):
    """Return a function that gives a new stage with an object on it."""
    (tmp_path / "dice_of_the_user.py").write_text(textwrap.dedent(SOURCE))

    def make(name="dice_of_the_user.Dice", *, seed=0, folder=tmp_path, **class_args):
        return Stage(Algorithm(class_name=name, code_directory=folder, class_args=class_args), "tuner", seed=seed)

    return make


def rolls(stage, count=3):
    found = []
    with stage.open("constructing"):
        dice = stage.construct()
    for _ in range(count):
        with stage.open("rolling"):
            found.append(dice.roll())
    return found


def test_the_same_seed_gives_the_same_numbers_and_nobody_else_notices(stage):
    random.seed(1)
    expected = random.random()
    random.seed(1)
    first = rolls(stage(sides=1_000))
    assert random.random() == expected
    assert rolls(stage(sides=1_000)) == first != rolls(stage(sides=1_000, seed=1))


def test_what_it_prints_is_no_output_of_amlc(stage, capsys):
    rolls(stage(), 1)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "rolled\n")


def test_its_folder_is_on_the_path_only_while_the_stage_is_open(stage, tmp_path):
    one, before = stage(), list(sys.path)
    with one.kept_open(), one.kept_open():
        assert sys.path == [*before, str(tmp_path)]
    assert sys.path == before


def test_it_finds_the_environment_of_nnis_dispatcher_while_the_stage_is_open(stage, monkeypatch):
    monkeypatch.setenv("NNI_LOG_LEVEL", "mine")
    before = dict(os.environ)
    with stage().kept_open():
        assert os.environ["NNI_TUNER_COMMAND_CHANNEL"].startswith("ws://")
        assert os.environ["NNI_MODE"] == "create"  # nothing is ever resumed here
        assert os.environ["NNI_LOG_LEVEL"] == "info"
    assert dict(os.environ) == before


@pytest.mark.parametrize(("method", "said"), [("fail", "KeyError: 'mine'"), ("leave", "SystemExit: 3")])
def test_an_error_says_what_was_being_done_and_shows_the_users_lines_alone(stage, tmp_path, method, said):
    one = stage()
    with one.open("constructing"):
        dice = one.construct()
    with pytest.raises(UserCodeError) as caught, one.open("asking it"):
        getattr(dice, method)()
    assert str(caught.value).startswith(f"tuner dice_of_the_user.Dice ({tmp_path}): asking it failed.\n")
    assert said in str(caught.value)
    assert "amlc/user_code.py" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("dice_of_the_user.Dize", {}, "'dice_of_the_user' has no class 'Dize'. Did you mean 'Dice'?"),
        ("nowhere.Dice", {}, "codeDirectory has no module 'nowhere'"),
        ("dice_of_the_user.Dice", {"side": 3}, r"classArgs do not fit: .*'side'.* It takes \(sides=6\)"),
    ],
)
def test_what_cannot_be_constructed_is_said(stage, name, arguments, message):
    one = stage(name, **arguments)
    with pytest.raises(UserCodeError, match=message), one.open("constructing"):
        one.construct()


def test_an_attribute_is_swapped_for_a_while(tmp_path):
    class Owner:
        name = 1

    with swapped(Owner, "name", 2):
        assert Owner.name == 2
    assert Owner.name == 1
    with pytest.raises(ZeroDivisionError), swapped(Owner, "name", 0):
        1 / Owner.name
    assert Owner.name == 1
    with swapped(Owner, "other", 2):
        assert not hasattr(Owner, "other")
