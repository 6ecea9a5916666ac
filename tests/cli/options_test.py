"""The options that several commands share mean the same to all of them."""

import inspect

import click
import pytest

from amlc.cli import options
from amlc.cli.everything import main
from amlc.cli.options import SUBMIT, submit_options
from amlc.errors import UsageError

GIVEN = {
    "backend": None, "retry": "", "fail_fast": False, "max_failures": None, "rounds": None, "no_wait": False,
    "parallel": 16, "canary": False,
}  # fmt: skip


def test_what_is_declared_is_what_is_understood():
    assert {option.name for option in SUBMIT} | {"canary"} == set(inspect.signature(submit_options).parameters) == GIVEN.keys()


@pytest.mark.parametrize("command", main.commands.values(), ids=lambda command: command.name)
def test_a_command_takes_what_its_options_give(command):
    signature = inspect.signature(command.callback.__wrapped__)
    with_rest = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    given = {param.name: None for param in command.params if param.expose_value}
    signature.bind(None, **given)
    assert with_rest or len(given) == len(signature.parameters) - 1


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"retry": " failed, missing,"}, "retry", ("failed", "missing")),
        ({"fail_fast": True, "max_failures": "3"}, "max_failures", "1"),
        ({"max_failures": "10%"}, "max_failures", "10%"),
        ({"no_wait": True}, "wait", False),
    ],
)
def test_options_are_understood(given, name, value):
    assert getattr(submit_options(**{**GIVEN, **given}), name) == value


def test_a_status_that_cannot_be_retried_is_said():
    with pytest.raises(UsageError, match="--retry done: not one of failed, unfinished"):
        submit_options(**{**GIVEN, "retry": "failed,done"})


def test_every_command_can_be_quiet():
    assert all(options.QUIET in command.params for command in [main, *main.commands.values()])
    assert isinstance(options.QUIET, click.Option)
