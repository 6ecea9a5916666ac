"""What a trial command runs, where that can be told from its text: the program, and its script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh")
_OTHERS: Final = ("Rscript", "julia", "perl", "ruby", "node")
_OPEN: Final = frozenset("$`*?[]{}~!")  # what the shell fills in
_WITH_VALUE: Final = ("-W", "-X", "-o", "--rcfile", "--init-file")
_NO_SCRIPT: Final = {True: ("-c", "-m", "-i"), False: ("-c", "-s", "-i")}  # Python's, a shell's


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one program.

    script: the file that it runs, None where it runs none or nobody can tell. is_plain: nothing is
    set before it, such as PATH.
    """

    program: str
    script: str | None
    is_plain: bool

    @property
    def is_python(self) -> bool:
        """Whether the script is one of Python's."""
        return self.script is not None and _is_python(_name(self.program))


def parse(command: str) -> Command | None:
    """Return what a command runs, None if it is more than one program, or not plain to see."""
    if "\n" in command.strip():
        return None
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return None
    if any(word and not word.strip("();<>|&") for word in words):
        return None
    rest = list(words)
    while rest and _is_assignment(rest[0]):
        rest.pop(0)
    if not rest or _OPEN & set(rest[0]):
        return None
    return Command(rest[0], _script(rest[0], rest[1:]), is_plain=len(rest) == len(words))


def _name(program: str) -> str:
    return program.rpartition("/")[2]


def _is_python(name: str) -> bool:
    return name.rstrip("0123456789.") == "python"


def _is_assignment(word: str) -> bool:
    name, sign, _ = word.partition("=")
    return bool(sign) and name.isidentifier() and name.isascii()


def _script(program: str, arguments: Sequence[str]) -> str | None:
    """Return the file that an interpreter is given, or the program itself if it is a file."""
    name = _name(program)
    is_python = _is_python(name)
    if not (is_python or name in _SHELLS or name in _OTHERS):
        return program if program.startswith("./") else None
    without = ("-e", "-c", "-E") if name in _OTHERS else _NO_SCRIPT[is_python]
    rest = iter(arguments)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif word.startswith(without):
            return None
        elif not word.startswith(("-", "+")):
            return None if _OPEN & set(word) else word
    return None
