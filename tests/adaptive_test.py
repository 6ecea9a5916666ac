"""`amlc run` with tuners that learn: what it proposes, what survives being killed, and what an assessor stops."""

import csv
import io
import itertools
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from amlc.attempts import fold
from amlc.model import Status

# The result is (x - 0.3)², from what NNI's parameter file says.
PARABOLA = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
final "$(awk "BEGIN { print ($x - 0.3) ^ 2 }")"
exit 0
"""
TPE = {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 4}}}
EVOLUTION = {"name": "Evolution", "classArgs": {"optimize_mode": "minimize", "population_size": 4}}
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "c": {"_type": "choice", "_value": ["a", "b"]}}


@pytest.fixture
def learning(make_project):
    """Return a function that makes a project whose tuner learns."""

    count = itertools.count()

    def make(tuner=EVOLUTION, trials=10, concurrency=1, script=PARABOLA, **keys):
        return make_project(f"project{next(count)}").write(
            script, searchSpace=SPACE, tuner=tuner, maxTrialNumber=trials, trialConcurrency=concurrency, **keys
        )

    return make


def proposals(project):
    """Return the parameters of all submitted trials in order."""
    trials = sorted(
        (trial for attempt in project.attempts() for trial in attempt.trials), key=lambda trial: trial.sequence
    )
    return [trial.parameters for trial in trials]


def most_in_flight(project):
    """Return how many jobs were on their way at once, by the ledger."""
    changes = []
    for event in project.events():
        if event.kind == "intent":
            changes.append(1)
        elif event.kind == "void" or (event.kind == "observed" and Status(event.data["status"]).ended):
            changes.append(-1)
    return max(itertools.accumulate(changes))


def is_at_work(project, run):
    lock = project.folders.lock("probe")
    return run.poll() is not None or (lock.exists() and f"process {run.pid} " in lock.read_text())


def test_without_an_end_it_runs_until_the_time_is_over(learning):
    project = learning({"name": "Random"}, trials=None, concurrency=2, maxExperimentDuration="5s")
    found = project.amlc("compile", "experiment.yml")
    assert "2 trials in 2 jobs" in found.stderr
    assert "W-endless" not in found.stderr
    run = project.amlc("run", "experiment.yml")
    assert "stopped: maxExperimentDuration (5 s) is over" in run.stderr
    drawn = proposals(project)
    assert len(drawn) > 2  # more than are compiled at once
    project.write(PARABOLA, searchSpace=SPACE, tuner={"name": "Random"}, maxTrialNumber=len(drawn) + 1)
    assert "1 submitted" in project.amlc("run", "experiment.yml").stderr
    assert proposals(project)[:-1] == drawn


@pytest.mark.parametrize("concurrency", [1, 3])
def test_run_proposes_from_results_until_the_last_trial(learning, concurrency):
    project = learning(concurrency=concurrency)
    out = project.amlc("run", "experiment.yml")
    rows = list(csv.DictReader(io.StringIO(out.stdout.decode())))
    assert [int(row["sequence"]) for row in rows] == list(range(10))
    assert all(
        float(row["metric.default"]) == pytest.approx((float(row["param.x"]) - 0.3) ** 2, rel=1e-3) for row in rows
    )
    assert len(set(project.starts)) == len(project.starts) == 10
    assert most_in_flight(project) == concurrency
    again = project.amlc("run", "experiment.yml")
    assert again.stdout == out.stdout
    assert "0 submitted" in again.stderr


def test_compile_submit_and_collect_in_a_loop_do_the_same_step_by_step(learning):
    project = learning()
    counts = []
    for _ in range(20):
        project.amlc("compile", "experiment.yml")
        counts.append(len(project.trials))
        project.amlc("submit", "--rounds", "1")
        if len(project.starts) == 10:
            break
    assert counts == [4, 5, 6, 7, 8, 9, 10]  # the start-up at once, then each from the results before it
    calm = learning()
    calm.amlc("run", "experiment.yml")
    assert proposals(project) == proposals(calm)


@pytest.mark.parametrize(
    ("tuner", "said"), [pytest.param(EVOLUTION, True, id="learns"), pytest.param({"name": "Random"}, False, id="not")]
)
def test_a_tuner_that_gets_no_numbers_is_said(learning, tuner, said):
    project = learning(tuner, trials=3, script="final '{\\\"acc\\\": 0.5}'\nexit 0")
    text = "probe: 3 without a number as 'default' (they reported: acc). Report a finite number"
    err = project.amlc("run", "experiment.yml").stderr
    assert "3 of 3 trials done\n" in err
    assert (text in err) == said


def test_trials_outside_an_edited_space_are_said(learning):
    project = learning(trials=3)
    warning = "are outside of the search space as it is now: such trials count towards maxTrialNumber"
    for _ in range(2):
        assert "outside" not in project.amlc("run", "experiment.yml").stderr
    project.write(searchSpace={"x": SPACE["x"]}, tuner=EVOLUTION, maxTrialNumber=3)
    for command in ("run", "compile"):
        assert project.amlc(command, "experiment.yml").stderr.startswith(f"warning: 3 of 3 trials on record {warning}")


@pytest.mark.parametrize("name", ["Hyperband", "BOHB", "PBT"])
def test_what_tuners_add_to_the_space_does_not_lie_outside_it(learning, name):
    arguments = {"PBT": {"optimize_mode": "minimize", "population_size": 2}, "Hyperband": {"R": 4, "eta": 2}}
    project = learning({"name": name, "classArgs": arguments.get(name, {"min_budget": 1, "max_budget": 4})}, trials=4)
    for _ in range(2):
        assert "outside" not in project.amlc("run", "experiment.yml").stderr


def test_the_plan_of_an_adaptive_experiment_is_compiled_and_costs_nothing(learning):
    project = learning()
    project.amlc("compile", "experiment.yml")
    assert project.amlc("compile", "experiment.yml", "--check").stdout == b""
    assert len(project.trials) == 4
    assert project.starts == []


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_it_proposes_what_the_calm_run_does(learning, seed, wait_until):
    tuner = (TPE, EVOLUTION)[seed % 2]
    calm = learning(tuner, trials=30)
    calm.amlc("run", "experiment.yml")
    project = learning(tuner, trials=30)
    rng = random.Random(seed)
    for _ in range(25):
        with project.start("run", "experiment.yml") as run:
            wait_until(lambda run=run: is_at_work(project, run))
            time.sleep(rng.uniform(0, 0.6))
            run.kill()
    project.amlc("run", "experiment.yml")
    assert proposals(project) == proposals(calm)
    assert sorted(project.starts) == sorted(calm.starts)


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_concurrency_4_none_is_lost_or_repeated_and_never_more_run(learning, seed, wait_until):
    project = learning(EVOLUTION, trials=40, concurrency=4)
    rng = random.Random(seed)
    for _ in range(15):
        with project.start("run", "experiment.yml") as run:
            wait_until(lambda run=run: is_at_work(project, run))
            time.sleep(rng.uniform(0, 0.5))
            run.kill()
    project.amlc("run", "experiment.yml")
    assert len(proposals(project)) == 40
    assert sorted(project.starts) == sorted(project.trials)
    assert len(set(project.starts)) == 40
    assert most_in_flight(project) <= 4


def test_failed_trials_count_and_the_tuner_goes_on(learning):
    script = 'case "$(cat "$NNI_SYS_DIR/parameter.cfg")" in *\'"a"\'*) exit 3;; esac' + PARABOLA
    project = learning(script=script)
    out = project.amlc("run", "experiment.yml", code=1)
    statuses = [row["status"] for row in csv.DictReader(io.StringIO(out.stdout.decode()))]
    assert len(statuses) == 10
    assert {"failed", "succeeded"} == set(statuses)


def test_replicates_are_one_parameter_set_for_the_tuner(learning):
    project = learning(trials=12, amlc={"replicates": 2})
    project.amlc("run", "experiment.yml")
    found = proposals(project)
    assert found[0::2] == found[1::2]
    assert len({json.dumps(one) for one in found}) == 6


@pytest.mark.parametrize("shape", [{}, {"trialsPerJob": 2}, {"replicates": 3}], ids=str)
@pytest.mark.parametrize("tuner", [EVOLUTION, TPE], ids=lambda tuner: tuner["name"])
def test_all_of_a_widened_space_is_run(learning, tuner, shape):
    project = learning()
    for values in ([1, 2], [0, 1, 2]):
        space = {"x": {"_type": "choice", "_value": values}}
        project.write(
            PARABOLA, searchSpace=space, tuner=tuner, maxTrialNumber=30, trialConcurrency=4, amlc=shape
        )
        table = project.amlc("run", "experiment.yml").stdout
        times = Counter(row["param.x"] for row in csv.DictReader(io.StringIO(table.decode())))
        assert times == dict.fromkeys(map(str, values), shape.get("replicates", 1))


def test_promotions_come_before_new_first_rungs(learning):
    hyperband = {"name": "Hyperband", "classArgs": {"optimize_mode": "minimize", "R": 9, "eta": 3}}
    project = learning(hyperband, trials=16)
    project.amlc("compile", "experiment.yml")
    assert len(project.trials) == 16  # of the first rungs of 9, 5 and 3
    project.amlc("run", "experiment.yml")
    budgets = [parameters["TRIAL_BUDGET"] for parameters in proposals(project)]
    assert budgets == [1] * 9 + [3] * 3 + [9] + [3] * 3


def test_compile_leaves_a_running_experiment_alone(learning, wait_until):
    project = learning(script="sleep 20\n")
    with project.start("run", "experiment.yml") as run:
        wait_until(lambda: project.starts)
        assert f"process {run.pid}" in project.amlc("compile", "experiment.yml", code=5).stderr
        run.kill()


def test_maximum_duration_ends_an_experiment_without_a_number_of_trials(learning):
    project = learning(trials=None, maxExperimentDuration="2s")
    assert "maxExperimentDuration" in project.amlc("run", "experiment.yml").stderr
    assert len(project.starts) >= 4


# --- assessors ------------------------------------------------------------------------------------------------------

LEARNING_CURVE = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
for step in $(seq 20); do
    intermediate "$x"
    sleep 0.25
done
final "$x"
exit 0
"""


def test_medianstop_ends_a_hopeless_trial_for_real(make_project):
    project = make_project().write(
        LEARNING_CURVE,
        searchSpace={"x": {"_type": "choice", "_value": [0.8, 0.9, 0.1, 0.95]}},
        trialConcurrency=1,
        assessor={"name": "Medianstop", "classArgs": {"start_step": 2}},
    )
    out = project.amlc("run", "experiment.yml")
    assert project.statuses() == ["succeeded", "succeeded", "early_stopped", "succeeded"]
    rows = list(csv.DictReader(io.StringIO(out.stdout.decode())))
    assert rows[2]["metric.default"] == ""
    assert rows[2]["error"] == "stopped by the assessor or the tuner"
    history = csv.DictReader(io.StringIO(project.amlc("collect", "--history").stdout.decode()))
    assert 2 <= sum(row["sequence"] == "2" for row in history) < 20
    assert not project.processes()
    with project.ledger() as ledger:
        assert [attempt.stopping for attempt in fold(ledger.events()).values()] == [False, False, True, False]


# As people write them for NNI; it knows nothing of rungs. Without site-packages (-S) `nni` is the runner's, which loads
# in no time.
TRAINING = """
import os, time
import nni

with open(os.environ["STARTS"], "a") as file:
    file.write(os.environ["NNI_TRIAL_JOB_ID"] + "\\n")
x = nni.get_next_parameter()["x"]
for epoch in range(1, 10):
    time.sleep(0.4)
    nni.report_intermediate_result(x * epoch / 9)
nni.report_final_result(x)
"""
ASHA = {"name": "ASHA", "classArgs": {"min_budget": 1, "max_budget": 9}}


def train(project, **keys):
    """Write an experiment of 12 trials whose script is NNI's."""
    project.write(
        searchSpace={"x": {"_type": "uniform", "_value": [0, 1]}},
        maxTrialNumber=12, trialConcurrency=4, trialCommand="python3 -S train.py", **keys
    )  # fmt: skip
    (project.root / "code" / "train.py").write_text(TRAINING)
    return project


def reported(project):
    """Return how many intermediate results each trial reported."""
    history = csv.DictReader(io.StringIO(project.amlc("collect", "--history").stdout.decode()))
    return Counter(row["sequence"] for row in history)


def assert_stopped(project, rows, *, least):
    """Assert that each trial ran once, that at least so many of them were stopped, and that the best got to its end."""
    assert len(rows) == len(set(project.starts)) == len(project.starts) == 12
    statuses = Counter(row["status"] for row in rows)
    assert statuses.keys() == {"succeeded", "early_stopped"}
    assert statuses["early_stopped"] >= least
    best = max(rows, key=lambda row: float(row["param.x"]))
    assert best["status"] == "succeeded"
    lengths = reported(project)
    assert all(lengths[row["sequence"]] == 9 for row in rows if row["status"] == "succeeded")
    assert sum(lengths.values()) < 12 * 9
    assert not project.processes()


@pytest.mark.parametrize(
    "how", [{"tuner": ASHA}, {"tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}, "assessor": ASHA}]
)
def test_asha_saves_what_an_unmodified_script_would_spend_on_bad_trials(make_project, how):
    project = train(make_project(), **how)
    out = project.amlc("run", "experiment.yml")
    assert_stopped(project, list(csv.DictReader(io.StringIO(out.stdout.decode()))), least=3)
    assert "0 submitted, 12 of 12 trials done" in project.amlc("submit").stderr


def test_asha_killed_at_any_moment_goes_on_and_comes_to_the_same_kind_of_end(make_project, wait_until):
    project = train(make_project(), tuner=ASHA)
    rng = random.Random(0)
    for _ in range(3):
        with project.start("run", "experiment.yml") as run:
            wait_until(lambda run=run: is_at_work(project, run))
            time.sleep(rng.uniform(0.5, 2.5))
            run.kill()
    project.amlc("run", "experiment.yml")
    rows = list(csv.DictReader(io.StringIO(project.amlc("collect").stdout.decode())))
    assert_stopped(project, rows, least=1)  # while nobody looks, nobody stops any
    assert [parameters["x"] for parameters in proposals(project)] == [float(row["param.x"]) for row in rows]
    stopped = {attempt.job for attempt in project.attempts() if attempt.latest.status is Status.EARLY_STOPPED}
    assert stopped <= {event.job for event in project.events() if event.kind == "early_stop"}


# --- checkpoints ----------------------------------------------------------------------------------------------------

CHECKPOINTED = """
import os
import nni

p = nni.get_next_parameter()
load, save = (os.path.join(p[name], "epochs") for name in ("load_checkpoint_dir", "save_checkpoint_dir"))
epoch = 0
if load != save and os.path.exists(load):
    with open(load) as file:
        epoch = int(file.read())
for epoch in range(epoch + 1, p["TRIAL_BUDGET"] + 1):
    with open(os.environ["STARTS"], "a") as file:
        file.write(f"{p['x']}:{epoch}\\n")
os.makedirs(os.path.dirname(save))
with open(save, "w") as file:
    file.write(str(epoch))
nni.report_final_result({"default": p["x"], "epochs": epoch})
"""


@pytest.mark.parametrize(
    "tuner",
    [
        pytest.param({"name": "Hyperband", "classArgs": {"R": 9, "all_checkpoint_dir": True}}, id="Hyperband"),
        pytest.param({"name": "BOHB", "classArgs": {"max_budget": 9, "all_checkpoint_dir": True}}, id="BOHB"),
    ],
)
def test_a_rung_goes_on_from_the_checkpoint_of_the_one_before(make_project, tuner):
    project = make_project().write(
        searchSpace={"x": {"_type": "uniform", "_value": [0, 1]}}, tuner=tuner, maxTrialNumber=16, trialConcurrency=1,
        trialCommand="python3 -S train.py",
    )  # fmt: skip
    (project.root / "code" / "train.py").write_text(CHECKPOINTED)
    out = project.amlc("run", "experiment.yml")
    rows = list(csv.DictReader(io.StringIO(out.stdout.decode())))
    assert Counter(row["param.TRIAL_BUDGET"] for row in rows) == {"1": 9, "3": 6, "9": 1}
    assert all(row["metric.epochs"] == row["param.TRIAL_BUDGET"] for row in rows)
    largest = {}
    for row in rows:
        largest[row["param.x"]] = max(largest.get(row["param.x"], 0), int(row["param.TRIAL_BUDGET"]))
    assert sorted(largest.values()) == [1] * 6 + [3] * 5 + [9]
    epochs = Counter(line.partition(":")[0] for line in project.starts)
    assert epochs == largest, "what a configuration cost is its largest budget, and not the sum of all of them"
    folders = [Path(row["param.save_checkpoint_dir"]) for row in rows]
    assert {folder.parents[1] for folder in folders} == {project.root / ".amlc" / "probe" / "checkpoints"}
    assert len(set(folders)) == 16


def test_the_best_that_is_run_again_leads_no_more(project):
    tuner = {"name": "Random", "classArgs": {"optimize_mode": "maximize"}}
    project.write('[ ! -e "$PROBE/bad" ] || exit 3', maxTrialNumber=4, trialConcurrency=1, tuner=tuner).compile()
    assert "best " in project.amlc("submit").stderr
    (project.root / "bad").touch()
    said = project.amlc("retry", "0", "1", "2", "3", code=1).stderr
    ended = [line for line in said.splitlines() if line.startswith("#")]
    assert len(ended) == 4
    assert "best " not in ended[-1]
