"""The best trial: by which order, and which results do not count."""

import json
import math

import pytest

from amlc.attempts import fold
from amlc.collect.results import Results
from amlc.events import Event, observed
from amlc.experience import Experience
from amlc.model import Metric, Observation, Status
from amlc.report.overview import read_overview


@pytest.fixture
def best(project):
    """Tell `best` of finals in the order of the trials; return what it prints and says."""

    def run(finals, *arguments, code=0, mode="maximize", status=Status.SUCCEEDED, statuses=()):
        project.write(values=range(max(len(finals), 1)), tuner={"name": "Random", "classArgs": {"optimize_mode": mode}}
                      if mode == "of-the-file" else {"name": "GridSearch"}, maxTrialNumber=max(len(finals), 1)).compile()  # fmt: skip
        with project.ledger() as ledger:
            ends = statuses or [status] * len(finals)
            for entry, final, end in zip(project.manifest.entries(), finals, ends, strict=False):
                (trial,) = entry.trials
                data = {"id": entry.id, "attempt": 1, "revision": "a1b2c3", "backend": "local", "losses": 0,
                        "trials": [{"id": trial.id, "sequence": trial.sequence, "parameters": trial.parameters}]}  # fmt: skip
                metrics = (
                    [Metric(trial=trial.id, kind="final", sequence=0, value=final, at=1.0)] if final is not ... else []
                )
                ledger.append([Event(kind="intent", at=1, job=entry.name, data=data),
                               observed(Observation(job=entry.name, status=end), at=2)], metrics, job=entry.name)  # fmt: skip
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
        pytest.param(["9", None, [9], {"default": "9"}, 1], "maximize", 4, id="no-numbers"),
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
    is_over = bool(finals)
    done = best(finals, code=1 if is_over else 4)
    assert done.stdout == b""
    why = f": {reported}. Report a finite number, or a dict with 'default'" if reported else ""
    what = "no trial has a numeric final result yet"
    look = ""
    if is_over:  # waiting brings none
        what = "all trials have ended, and no trial that succeeded has a numeric final result"
        look = " amlc logs TRIAL shows what one printed."
    assert done.stderr == f"error: probe: {what}{why}.{look}\n"


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


ENDS = [status for status in Status if status.ended and status is not Status.SUCCEEDED]


@pytest.mark.parametrize("status", ENDS)
def test_only_the_result_of_a_trial_that_succeeded_counts(best, status):
    """As for the tuner: one that failed after it had reported may have reported anything."""
    done = best([2, 3, 1], statuses=[Status.SUCCEEDED, status, status])
    assert json.loads(done.stdout) == {"x": 0}
    line = f"#1 reported 3, which is better, and is {status.value}: only the result of a trial that succeeded counts\n"
    assert done.stderr.endswith(f"(#0): default = 2, the best by maximize\n{line}")


def test_where_none_succeeded_there_is_no_best(best):
    done = best([1, 2], status=Status.FAILED, code=1)
    assert "all trials have ended, and no trial that succeeded has a numeric final result. amlc logs" in done.stderr


def test_the_best_the_summary_the_report_and_the_means_take_what_the_tuner_takes(project):
    """Of x=1 one trial reports 10 and fails, and one reports 1; of x=2 both report 3; of x=3 both report 20 and fail."""
    script = """x=$(sed 's/.*"x": *\\([0-9]\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
case $x$AMLC_REPLICATE in 10) final 10; exit 1;; 11) final 1; exit;; 2*) final 3; exit;; *) final 20; exit 1;; esac"""
    tuner = {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
    project.write(script, values=[1, 2, 3], tuner=tuner, maxTrialNumber=6, amlc={"replicates": 2}).compile()
    said = project.amlc("submit", code=1).stderr
    trials = {}
    with project.ledger() as ledger:
        for row in Results(project.manifest, ledger).rows():
            trials.setdefault(row.trial.parameters["x"], []).append(row.trial.sequence)
        past = Experience(ledger, replicates=2).past(fold(ledger.events()))
        overview = read_overview(Results(project.manifest, ledger))
    both = ", ".join(f"#{number}" for number in sorted(trials[2]))
    taken = {record.parameters["x"]: record.value for record in past.records}
    assert taken == {1: 1.0, 2: 3.0, 3: None}
    assert f"6 of 6 ended; best 3 (mean of {both})" in said
    done = project.amlc("best")
    assert json.loads(done.stdout) == {"x": 2}
    assert f"trials {both}: mean default = 3, the best by maximize\n" in done.stderr
    assert "reported 20, which is better, and is failed (exit code 1)" in done.stderr
    assert "did best, by maximize: 3" in project.amlc("summary").stdout.decode()
    assert (overview.best.parameters, overview.best.score) == ({"x": 2}, 3.0)
    assert {row.parameters["x"]: row.score for row in overview.scored.rows} == {1: 1.0, 2: 3.0}
    table = project.amlc("collect", "--aggregate", "mean,count", code=4).stdout.decode().splitlines()
    means = {cells[2]: cells[3:] for cells in (line.split(",") for line in table[1:])}
    assert means == {"1": ["1.0", "1"], "2": ["3.0", "2"], "3": ["", ""]}
    plain = [line.split(",") for line in project.amlc("collect", code=4).stdout.decode().splitlines()]
    status, metric = plain[0].index("status"), plain[0].index("metric.default")
    assert sorted((row[status], row[metric]) for row in plain[1:]) == [
        ("failed", "10"), ("failed", "20"), ("failed", "20"), ("succeeded", "1"), ("succeeded", "3"), ("succeeded", "3"),
    ]  # fmt: skip


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


def test_a_better_set_that_lacks_replicates_is_named(project):
    grid = {"name": "GridSearch", "classArgs": {"optimize_mode": "maximize"}}
    script = """final $(sed 's/.*"x": *\\([0-9]\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg"); exit"""
    project.write(script, values=[1, 2, 9], tuner=grid, maxTrialNumber=5, amlc={"replicates": 2}).compile()
    project.amlc("submit")
    done = project.amlc("best")
    assert json.loads(done.stdout) == {"x": 2}
    assert "#4: 9, which is better, and lacks a replicate's result: it counts only where no set has them all\n" in done.stderr
    summary = project.amlc("summary").stdout.decode()
    assert "\\#4: 9, which is better, and lacks a replicate's result: it counts" in summary
    assert "lacks" not in project.amlc("best", "--optimize-mode", "minimize").stderr


def test_a_replicate_that_fails_leaves_the_best_to_a_set_with_all_its_results(project):
    grid = {"name": "GridSearch", "classArgs": {"optimize_mode": "maximize"}}
    script = 'x=$(sed \'s/.*"x": *\\([0-9]\\).*/\\1/\' "$NNI_SYS_DIR/parameter.cfg")\n'
    script += "[ $x = 9 ] && mkdir ../nine 2>/dev/null && exit 3\nfinal $x; exit"
    project.write(script, values=[1, 9], tuner=grid, amlc={"replicates": 2}, trialConcurrency=1).compile()
    project.amlc("submit", code=1)
    for verb in ("best", "summary"):
        said = project.amlc(verb)
        text = said.stdout.decode() + said.stderr
        assert "3: 9, which is better, and lacks a replicate's result" in text
    assert json.loads(project.amlc("best").stdout) == {"x": 1}
