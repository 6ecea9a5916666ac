"""Every reader takes anything: files by a grammar with a fixed seed, mutated ones, and all that was ever found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import readers
from tests.fuzz.__main__ import mutated
from tests.fuzz.grammar import GRAMMAR
from tests.fuzz.seeds import seeds

FOUND = sorted(path for path in (Path(__file__).parent / "corpus").glob("*/*"))


@pytest.fixture(scope="module", autouse=True)
def _tidied():
    with readers.tidied():
        yield
    readers.folder.cache_clear()


def test_every_reader_has_a_grammar_and_a_sound_file() -> None:
    assert readers.READERS.keys() == GRAMMAR.keys() == seeds().keys()


@pytest.mark.parametrize("name", readers.READERS)
def test_a_sound_file_is_read(name) -> None:
    for data in seeds()[name]:
        said = readers.read(name, data) or ""
        assert "[E-" not in said.replace("[E-placeholder]", "") or name in ("legacy", "experiment")


@pytest.mark.parametrize("name", readers.READERS)
@given(data=st.data())
@settings(max_examples=40, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_what_the_grammar_makes_is_read_or_refused(name, data) -> None:
    readers.read(name, data.draw(GRAMMAR[name]))


@pytest.mark.parametrize("name", readers.READERS)
def test_what_is_mutated_is_read_or_refused(name) -> None:
    chance = random.Random(name)
    for _ in range(60):
        readers.read(name, mutated(chance.choice(seeds()[name]), chance))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_read_or_refused(path) -> None:
    readers.read(path.parent.name, path.read_bytes())
