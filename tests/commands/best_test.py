"""The best trial: by which order, and which results do not count."""

import json
import math

import pytest

from amlc.events import Event, observed
from amlc.model import Metric, Observation, Status


@pytest.fixture
def best(project):
    """Tell `best` of finals in the order of the trials; return what it prints and says."""

    def run(finals, *arguments, code=0, mode="maximize", status=Status.SUCCEEDED):
        project.write(values=range(max(len(finals), 1)), tuner={"name": "Random", "classArgs": {"optimize_mode": mode}}
                      if mode == "of-the-file" else {"name": "GridSearch"}, maxTrialNumber=max(len(finals), 1)).compile()  # fmt: skip
        with project.ledger() as ledger:
            for entry, final in zip(project.manifest.entries(), finals, strict=False):
                (trial,) = entry.trials
                data = {"id": entry.id, "attempt": 1, "revision": "a1b2c3", "backend": "local", "losses": 0,
                        "trials": [{"id": trial.id, "sequence": trial.sequence, "parameters": trial.parameters}]}  # fmt: skip
                metrics = (
                    [Metric(trial=trial.id, kind="final", sequence=0, value=final, at=1.0)] if final is not ... else []
                )
                ledger.append([Event(kind="intent", at=1, job=entry.name, data=data),
                               observed(Observation(job=entry.name, status=status), at=2)], metrics, job=entry.name)  # fmt: skip
        return project.amlc("best", *(arguments or ["--optimize-mode", mode]), code=code)

    return run


@pytest.mark.parametrize(
    ("finals", "mode", "expected"),
    [
        pytest.param([1, 3, 2], "maximize", 1, id="maximize"),
        pytest.param([2, 1, 3], "minimize", 1, id="minimize"),
        pytest.param([0, 5, 5, 5], "maximize", 1, id="ties-go-to-the-first"),
        pytest.param([5, 1, 1], "minimize", 1, id="ties-go-to-the-first-minimize"),
        pytest.param([math.nan, 1, math.nan], "maximize", 1, id="nan"),
        pytest.param([math.inf, 1, -math.inf], "maximize", 1, id="infinities"),
        pytest.param(["9", None, [9], True, 1], "maximize", 4, id="no-numbers"),
        pytest.param([{"default": 1, "f1": 9}, {"default": 2}, {"f1": 9}], "maximize", 1, id="mappings"),
        pytest.param([..., 0, ...], "maximize", 1, id="none-reported"),
        pytest.param([-1, -3], "maximize", 0, id="negative"),
        pytest.param([1, 10**400, 2], "maximize", 2, id="too-large-for-a-float"),
        pytest.param([0, -0.0], "minimize", 0, id="zeros"),
    ],
)
def test_best_is(best, finals, mode, expected):
    done = best(finals, mode=mode)
    assert json.loads(done.stdout) == {"x": expected}
    assert f"(#{expected}): default = " in done.stderr
    assert done.stderr.endswith(f"the best by {mode}\n")


@pytest.mark.parametrize(
    ("finals", "reported"),
    [
        pytest.param([], None, id="none"),
        pytest.param([...], None, id="none-reported"),
        pytest.param(
            [math.nan, -math.inf], "2 without a number as 'default' (they reported: NaN; -Infinity)", id="nan"
        ),
        pytest.param(["0.5"], "1 without a number as 'default' (they reported: \"0.5\")", id="text"),
        pytest.param(
            [{"acc": 1, "f1\n": 2}] * 2, "2 without a number as 'default' (they reported: acc, f1)", id="names"
        ),
        pytest.param(
            ["a", "b", "c", "d" * 50], '4 without a number as \'default\' (they reported: "a"; "b"; "c"; …)', id="many"
        ),
    ],
)
def test_without_a_number_there_is_no_best(best, finals, reported):
    done = best(finals, code=4)
    assert done.stdout == b""
    why = f": {reported}. Report a finite number, or a dict with 'default'" if reported else ""
    assert done.stderr == f"error: probe: no trial has a numeric final result yet{why}.\n"


def test_best_says_which_results_it_left_out(best):
    err = best([1, {"acc": 2}]).stderr
    assert err.startswith("probe: 1 without a number as 'default' (they reported: acc). Report a finite number")


MAXIMIZE, MINIMIZE = ({"optimize_mode": mode} for mode in ("maximize", "minimize"))
MEDIANSTOP = {"name": "Medianstop", "classArgs": {}}


@pytest.mark.parametrize(
    ("tuner", "assessor", "mode"),
    [
        ({"name": "GridSearch"}, None, None),
        ({"name": "GridSearch", "classArgs": MAXIMIZE}, None, "maximize"),
        ({"name": "GridSearch", "classArgs": MINIMIZE}, {**MEDIANSTOP, "classArgs": MAXIMIZE}, "minimize"),
        ({"name": "Random"}, MEDIANSTOP, "maximize"),  # its default, by which it stops trials
        ({"name": "Random"}, {**MEDIANSTOP, "classArgs": MINIMIZE}, "minimize"),
        ({"name": "TPE"}, MEDIANSTOP, "minimize"),
    ],
)
def test_which_is_better_says_the_tuner_or_else_the_assessor_or_nobody(project, tuner, assessor, mode):
    """As in NNI's web page."""
    keys = {"tuner": tuner, "maxTrialNumber": 2} | ({"assessor": assessor} if assessor else {})
    project.write('final "$NNI_TRIAL_SEQ_ID"; exit', values=range(2), **keys).compile()
    assert project.manifest.header.optimize_mode == mode
    project.amlc("submit")
    said = project.amlc("best").stderr
    assert f"the best by {mode or 'minimize'}" in said
    assert ("warning: smaller was taken for better" in said) is (mode is None)
    assert "smaller" not in project.amlc("best", "--optimize-mode", "maximize").stderr


def test_a_failed_trial_with_a_result_counts(best):
    """It reported the number before it failed; whether to believe it is the user's business, status says failed."""
    done = best([1, 2], status=Status.FAILED)
    assert json.loads(done.stdout) == {"x": 1}
    assert "the best by maximize; but #1 is failed: " in done.stderr


@pytest.mark.parametrize("tuner", ["GridSearch", "TPE"])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 3), (3, 2), (3, 1)])
def test_another_number_of_replicates_regroups_no_trial(project, before, after, tuner):
    """Their trials stay those of their parameter set: the mean is over equal parameters alone."""
    report = """r=$(sed 's/.*"x": *\\([0-9]\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")\n"""
    report += """echo "seed-$r-$AMLC_REPLICATE" >> "$STARTS"; final $r; exit"""
    keys = {
        "tuner": {"name": tuner, "classArgs": {"optimize_mode": "maximize"}},
        "values": [1, 2, 3],
        "trialConcurrency": 4,
    }
    for replicates in (before, after):
        most = 3 * max(before, replicates)
        project.write(report, **keys, maxTrialNumber=most, amlc={"replicates": replicates}).compile()
        project.amlc("submit")
    if before == 3 and after == 1:
        return  # each trial is a set then
    table = [line.split(",") for line in project.amlc("collect", "--aggregate", "min,max").stdout.decode().splitlines()]
    low, high = table[0].index("metric.default.min"), table[0].index("metric.default.max")
    assert len(table) > 3
    assert all(row[low] == row[high] for row in table[1:]), table
    numbers = [line.split(",")[0] for line in project.amlc("collect").stdout.decode().splitlines()[1:]]
    assert len(set(numbers)) == len(numbers), "a number is one trial's"
    assert json.loads(project.amlc("best").stdout) == {"x": 3}
    seeds = [line for line in project.starts if line.startswith("seed-")]
    assert len(set(seeds)) == len(seeds), "no replicate is seeded as another is"


def test_a_value_that_is_added_in_front_gets_a_number_of_its_own(project):
    project.write(values=[2, 5]).compile()
    project.amlc("submit")
    project.write(values=[0, 2, 5, 9]).compile()
    project.amlc("submit")
    rows = [line.split(",") for line in project.amlc("collect").stdout.decode().splitlines()]
    x = rows[0].index("param.x")
    assert [(row[0], row[x]) for row in rows[1:]] == [("2", "0"), ("0", "2"), ("1", "5"), ("3", "9")]
