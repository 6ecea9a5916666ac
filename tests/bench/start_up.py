"""What a short command takes beside the interpreter that it is made of."""

from collections.abc import Iterator

from tests.bench.measure import BARE_NAME, CPU, PROGRAM, ROOT, Effort, Row, bare, command, compared, in_turns

TURNS = 4
"""So many times the rounds of others: they are short."""


def rows(effort: Effort) -> Iterator[Row]:
    digits = str(ROOT / "examples/digits/experiment.yml")
    for what, words, most in (
        ("`amlc --version`", [*PROGRAM, "--version"], 3),
        ("`amlc validate`, the digits example", [*PROGRAM, "-q", "validate", digits], 7),
    ):
        pairs = in_turns(lambda words=words: command(*words), bare, TURNS * effort.rounds)
        yield compared(what, pairs, BARE_NAME, goal={CPU: most})
