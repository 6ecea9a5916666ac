"""Which command is where, and what each leaves behind for who gives advice."""

import re
import sys
from collections import defaultdict

import click
import pytest

import amlc.cli
from amlc.cli.command import MODULES, command
from amlc.cli.everything import main
from amlc.cli.invocation import Invocation


def test_the_first_line_of_a_module_says_which_commands_are_there():
    """A newcomer looks there."""
    there = defaultdict(set)
    for name, one in main.commands.items():
        there[one.callback.__wrapped__.__module__].add(name)
    assert {module.rpartition(".")[2]: names for module, names in there.items()} == {
        module: set(names) for module, names in MODULES.items()
    }
    for module, names in there.items():
        first = sys.modules[module].__doc__.partition("\n")[0]
        assert set(re.findall(r"`(\w+)`", first)) == names
        assert f"`{module.rpartition('.')[2]}`" in amlc.cli.__doc__


@pytest.mark.parametrize(
    ("arguments", "given"), [(["e.yml"], "e.yml"), ([], None)], ids=["named", "left out"]
)
def test_a_command_leaves_its_name_and_what_it_was_given(monkeypatch, arguments, given):
    monkeypatch.setattr(main, "commands", {})

    @command(click.Argument(["experiment"], required=False), name="toy")
    def toy_(call, /, experiment):
        """Help of a toy."""
        return call.command, call.given, experiment

    call = Invocation()
    answer = main.commands["toy"].main([*arguments, "-q"], standalone_mode=False, obj=call)
    assert answer == ("toy", given, given)
    assert call.quiet
    assert toy_.help == "Help of a toy."
