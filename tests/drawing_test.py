"""What a platform drew for the children of a sweep gets numbers and ids that no other trial has."""

from dataclasses import replace
from pathlib import Path

import pytest

from amlc.attempts import Attempt
from amlc.drawing import allotted, drawing
from amlc.events import drawn, intent
from amlc.ledger import open_ledger
from amlc.manifest import Manifest
from amlc.model import Draw, Observation, Status, Trial
from amlc.plan import identity_of
from tests.manifest_test import HEADER, entry, read_manifest, write

NAMES = ("exp", "ns")
ATTEMPT = Attempt(
    id="s", number=1, trials=(), revision="r", backend="aml", losses=0, sweep=True, draws=range(4, 7),
    latest=Observation(job="exp-s-r", status=Status.RUNNING),
)  # fmt: skip


def ids_of(parameters, count):
    return [identity_of(*NAMES, parameters, occurrence) for occurrence in range(count)]


def draws(*sequences):
    return [Draw(child=f"c{place}", parameters={"x": 1}, sequence=number) for place, number in enumerate(sequences)]


def test_equal_parameters_get_the_ids_of_replicates_and_none_that_is_taken():
    ids = ids_of('{"x":1}', 3)
    made = allotted(ATTEMPT, draws(4, 5), NAMES, taken={ids[1]})
    assert [trial.id for trial in made.values()] == [ids[0], ids[2]]
    assert list(made) == ["c0", "c1"]


@pytest.mark.parametrize(
    ("sequences", "numbers"),
    [((4, 5, 6), [4, 5, 6]), ((6, 4), [6, 4]), ((None, None), [4, 5]), ((4, 4, None, 5), [4, 5, 6, 7])],
)
def test_each_has_its_own_number_where_that_is_free(sequences, numbers):
    made = allotted(ATTEMPT, draws(*sequences), NAMES, taken=set())
    assert [trial.sequence for trial in made.values()] == numbers
    later = allotted(replace(ATTEMPT, trials=tuple(made.values())), draws(4), NAMES, taken=set())
    assert [trial.sequence for trial in later.values()] == [next(n for n in (*range(4, 7), 7, 8) if n not in numbers)]


def test_the_manifest_has_them_first_and_what_is_recorded_is_not_new(tmp_path):
    sweep = replace(entry(1), id="s", trials=(), sweep=True, draws=range(4, 7))
    write(tmp_path, replace(HEADER, sweep="latent", namespace="ns"), [entry(0), sweep])
    manifest: Manifest = read_manifest(tmp_path)
    with open_ledger(Path(tmp_path, "ledger.db")) as ledger:
        ledger.append(
            [intent("j", at=1, identity="s", attempt=1, trials=[], revision="r", backend="aml", losses=0, sweep=True, draws=range(4, 7))]
        )  # fmt: skip
        (attempt,) = ledger.working().values()
        take_up = drawing(manifest, ledger)
        made = take_up(attempt, draws(5, 4))
        assert take_up(attempt, draws(5, 4)) == made, "killed in between, they are the same again"
        ids = ids_of('{"x":1}', 2)
        assert made == {"c0": Trial(ids[0], 5, {"x": 1}), "c1": Trial(ids[1], 4, {"x": 1})}
        assert [trial.sequence for one in read_manifest(tmp_path).entries() for trial in one.trials] == [0, 4, 5]
        ledger.append([drawn("j", made, at=2)])
        attempt = ledger.attempts(["s"])["s"]
        assert attempt.keys == ("s", ids[1], ids[0])
        assert take_up(attempt, draws(5, 4)) == {}
        assert ledger.attempts([ids[0]]) == dict.fromkeys(attempt.keys, attempt)
