"""Planning: which trials, under which ids, packed into which jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from amlc.errors import PlanError
from amlc.model import Drawing, Algorithm, Budget, Choice, Experiment, Integer, Real, Record, Space, Trial
from amlc.names import JOB_NAME, attempt_name, job_name, slug
from amlc.plan import adaptive, adopted, learns, plan, proposed, trial_id, upcoming
from amlc.targets.aml import AmlTarget
from amlc.targets.local import LocalTarget
from tests.conftest import work
from tests.tuners.simulation import arguments

AB = (Choice("a", (1, 2, 3)), Choice("b", ("x", "y")))
ENDLESS = (Real("lr", 0.0, 1.0), Integer("n", 1, 9))


def experiment(space: Space = AB, *, tuner: str = "GridSearch", **changes: Any) -> Experiment:
    base = Experiment(
        name="exp",
        namespace="",
        source=Path("/exp.yml"),
        inputs=(Path("/exp.yml"),),
        space=space,
        tuner=Algorithm(name=tuner),
        assessor=None,
        command="true",
        code=Path("/code"),
        concurrency=1,
        gpus_per_trial=None,
        max_trials=None,
        max_seconds=None,
        trial_seconds=None,
        target=LocalTarget(),
        seed=0,
    )
    return replace(base, **changes)


def ids(one: Experiment) -> list[str]:
    return [trial.id for trial in proposed(one)]


def sequences(one: Experiment, submitted: Any = ()) -> list[list[int]]:
    return [[trial.sequence for trial in job.trials] for job in plan(one, submitted)]


# --- ids: public interface ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "namespace", "parameters", "occurrence", "expected"),
    [
        pytest.param("exp", "", {}, 0, "031f813fd1fee8ce", id="no parameters"),
        pytest.param("exp", "", {"lr": 0.01, "batch_size": 32}, 0, "a68b9bcdc119a38e", id="plain"),
        pytest.param("exp", "", {"lr": 0.01, "batch_size": 32}, 1, "c5e2129241912698", id="second occurrence"),
        pytest.param("exp", "team-a", {"lr": 0.01, "batch_size": 32}, 0, "5655507a9720068a", id="namespace"),
        pytest.param(
            "exp é",
            "",
            {"é": "ü", "n": None, "t": True, "s": 1e-05, "l": [1, 1.0]},
            0,
            "260784d7906eecea",
            id="any JSON",
        ),
        pytest.param("exp", "", {"layer": {"_name": "conv", "k": 3}}, 0, "b75f42e19462cf0b", id="nested"),
    ],
)
def test_trial_ids_never_change(name, namespace, parameters, occurrence, expected) -> None:
    assert trial_id(experiment(name=name, namespace=namespace), parameters, occurrence) == expected


def test_the_ids_of_a_whole_grid_never_change() -> None:
    assert ids(experiment()) == [
        "27a0ff3dd1619a31",
        "833f82f0f7ed6dfa",
        "d9000887c0632f72",
        "3c6724fb2f9454f6",
        "38e0a1a7b58dbd32",
        "6641a54e2909e0d3",
    ]


def test_the_ids_of_random_draws_never_change() -> None:
    assert ids(experiment(ENDLESS, tuner="Random", max_trials=3)) == [
        "603400d3a1e37c97",
        "e1603a62ce1b2a10",
        "83b1474921a9fccc",
    ]


def test_ids_do_not_depend_on_the_order_of_keys() -> None:
    one = experiment()
    assert trial_id(one, {"a": 1, "b": {"c": 2, "d": 3}}, 0) == trial_id(one, {"b": {"d": 3, "c": 2}, "a": 1}, 0)


def test_values_that_python_finds_equal_have_ids_of_their_own() -> None:
    one = experiment()
    assert len({trial_id(one, {"a": value}, 0) for value in (1, 1.0, True, "1", None, 0, False)}) == 7


def test_adding_a_value_to_a_choice_keeps_the_other_ids() -> None:
    more = (Choice("a", (1, 5, 2, 3)), Choice("b", ("x", "z", "y")))
    assert set(ids(experiment())) < set(ids(experiment(more)))


def test_what_runs_and_where_is_not_in_the_id() -> None:
    changed = experiment(command="false", code=Path("/other"), concurrency=9, environment="azureml:x:1", max_trials=6)
    assert ids(changed) == ids(experiment())


def test_replicates_differ_only_in_their_occurrence() -> None:
    trials = list(proposed(experiment(replicates=3)))
    assert [trial.sequence for trial in trials] == list(range(18))
    assert [trial.parameters for trial in trials[:4]] == [{"a": 1, "b": "x"}] * 3 + [{"a": 1, "b": "y"}]
    assert len({trial.id for trial in trials}) == 18
    assert set(ids(experiment())) < {trial.id for trial in trials}


def test_equal_rows_of_batch_are_trials_of_their_own() -> None:
    rows = ({"x": 1}, {"x": 2}, {"x": 1})
    first, _, third = proposed(experiment((Choice("p", rows),), tuner="Batch"))
    assert first.parameters == third.parameters
    assert first.id != third.id
    assert third.id == trial_id(experiment(), {"x": 1}, 1)


# --- names ----------------------------------------------------------------------------------------------------------

NAMES = ["exp", "my exp", "a/b", "-x-", "été", "🙂", "x" * 300, "a.b", "_", "A_b-9", "..", "x\ny", "a" * 40 + "-"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", [1, 2, 999])
def test_job_names_are_what_aml_accepts(name, attempt) -> None:
    first = job_name(name, "3f9c1a2b4d5e6f70", "a1b2c3d4")
    text = attempt_name(first, attempt)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}", text)
    assert text == text.lower()  # azure-ai-ml 1.35 makes it so when it loads the file
    assert text.endswith("-3f9c1a2b4d5e6f70-a1b2c3" + ("" if attempt == 1 else f"-{attempt}"))
    found = JOB_NAME.fullmatch(text)
    assert found is not None
    assert (found["base"], found["id"], found["revision"]) == (first, "3f9c1a2b4d5e6f70", "a1b2c3")
    assert int(found["number"] or 1) == attempt


def test_names_that_look_alike_have_slugs_of_their_own() -> None:
    names = [*NAMES, "my-exp", "my_exp", "my  exp", "x" * 299, "a" * 40, "ete"]
    assert len({slug(name) for name in names}) == len(names)


def test_a_plain_name_is_its_own_slug() -> None:
    assert slug("example_mnist-2") == "example_mnist-2"


def test_files_sort_in_the_order_of_the_trials() -> None:
    files = [job.file for job in plan(experiment(trials_per_job=2))]
    assert files == sorted(files)
    assert all(re.fullmatch(r"jobs/0000[0-9]-[0-9a-f]{16}\.yml", file) for file in files)


# --- packing and what was submitted -----------------------------------------------------------------------------------


def test_trials_are_packed_in_order_and_the_last_job_may_be_smaller() -> None:
    assert sequences(experiment(trials_per_job=4)) == [[0, 1, 2, 3], [4, 5]]


def test_a_job_of_one_trial_has_its_id_and_a_packed_one_that_of_its_list() -> None:
    single, packed = next(plan(experiment())), next(plan(experiment(trials_per_job=2)))
    assert single.id == single.trials[0].id
    assert packed.id not in {trial.id for trial in packed.trials}
    assert packed.id == "9d1b2b409de4efcf"


def test_submitted_jobs_keep_their_packing_and_the_rest_is_packed_anew() -> None:
    trials = list(proposed(experiment()))
    submitted = [tuple(trials[1:3])]
    assert sequences(experiment(trials_per_job=2), submitted) == [[1, 2], [0, 3], [4, 5]]


def test_submitted_jobs_come_once_whichever_of_their_trials_is_proposed_first() -> None:
    trials = list(proposed(experiment()))
    submitted = [(trials[5], trials[0]), (trials[4],)]
    assert sequences(experiment(), submitted) == [[5, 0], [1], [2], [3], [4]]


def test_submitted_trials_that_are_no_longer_proposed_follow_at_the_end() -> None:
    trials = list(proposed(experiment()))
    fewer = (Choice("a", (1,)), AB[1])
    jobs = list(plan(experiment(fewer), [(trials[2], trials[3]), (trials[5],)]))
    assert [[trial.id for trial in job.trials] for job in jobs] == [
        [trials[0].id],
        [trials[1].id],
        [trials[2].id, trials[3].id],
        [trials[5].id],
    ]
    assert [trial.sequence for job in jobs for trial in job.trials] == [0, 1, 2, 3, 5]


def test_a_second_plan_after_everything_was_submitted_is_the_same() -> None:
    one = experiment(trials_per_job=4, replicates=2)
    jobs = list(plan(one))
    assert list(plan(one, [job.trials for job in jobs])) == jobs
    assert list(plan(replace(one, trials_per_job=1), [job.trials for job in jobs])) == jobs


# --- constraints ------------------------------------------------------------------------------------------------------


def test_constraints_leave_parameter_sets_out_and_say_how_many_remain() -> None:
    kept = list(proposed(experiment(constraints=("a < 3", "not (a == 1 and b == 'x')"))))
    assert [(t.parameters["a"], t.parameters["b"]) for t in kept] == [(1, "y"), (2, "x"), (2, "y")]
    assert [t.sequence for t in kept] == [0, 1, 2]
    assert {t.id for t in kept} < set(ids(experiment()))


def test_maxTrialNumber_counts_the_trials_that_constraints_admit() -> None:
    kept = list(proposed(experiment(ENDLESS, tuner="Random", constraints=("n >= 5",), max_trials=20)))
    assert len(kept) == 20
    assert min(trial.parameters["n"] for trial in kept) >= 5


NESTED = (Choice("layer", ("conv", "none"), ((Integer("k", 1, 4),), ())),)


@pytest.mark.parametrize(
    ("space", "text", "count"),
    [
        pytest.param(NESTED, "layer.k is not defined or layer.k > 1", 3, id="nested parameter"),
        pytest.param(AB, "parameters['a'] == 1", 2, id="by the name parameters"),
        pytest.param((Choice("self", (1, 2)),), "parameters['self'] == 1", 1, id="a parameter named self"),
        pytest.param((Choice("my-lr", (1, 2)),), "parameters['my-lr'] == 1", 1, id="a name that is no identifier"),
        pytest.param(AB, "true", 6, id="always"),
    ],
)
def test_a_constraint_reads_the_parameters(space, text, count) -> None:
    assert len(list(proposed(experiment(space, constraints=(text,))))) == count


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("nope > 1", "'nope' is undefined", id="undefined name"),
        pytest.param("a >", "is not an expression", id="syntax"),
        pytest.param("a > b", "'>' not supported", id="types"),
        pytest.param("a / 0 > 1", "division", id="arithmetic"),
        pytest.param("'{0}{1}'.format(a) == ''", "index", id="lookup"),
        pytest.param("''.__class__.__mro__[1].__subclasses__()", "unsafe", id="escape through a class"),
        pytest.param("(a|attr('__class__'))", "unsafe", id="escape through attr"),
        pytest.param("parameters.__init__.__globals__", "unsafe", id="escape through globals"),
        pytest.param("'{0.__class__}'.format(a) == ''", "unsafe", id="escape through format"),
        pytest.param("lipsum.__globals__['os'].system('true')", "'lipsum' is undefined", id="escape through lipsum"),
        pytest.param("cycler.__init__.__globals__.os", "unsafe", id="escape through cycler"),
        pytest.param("parameters.clear()", "unsafe", id="changes the parameters"),
        pytest.param("range(10 ** 9)|list", "range", id="a range without end"),
    ],
)
def test_a_constraint_that_fails_is_one_clear_error(text, part) -> None:
    with pytest.raises(PlanError) as caught:
        list(proposed(experiment(constraints=(text,))))
    assert part.lower() in str(caught.value).lower()
    assert text in str(caught.value)
    assert str(caught.value).startswith("amlc.constraints:")
    assert (caught.value.path, caught.value.code) == (("amlc", "constraints", 0), "E-constraint")


@pytest.mark.parametrize(
    ("constraints", "path", "part"),
    [
        pytest.param(("a > 0", "a > 3"), ("amlc", "constraints", 1), "all parameter sets .* by 'a > 3'", id="one"),
        pytest.param(("a > 2", "a < 2"), ("amlc", "constraints"), "the last by 'a < 2'", id="two together"),
    ],
)
def test_constraints_that_leave_nothing_of_a_grid_are_refused(constraints, path, part) -> None:
    with pytest.raises(PlanError, match=part) as caught:
        list(proposed(experiment(constraints=constraints)))
    assert caught.value.path == path


def test_a_constraint_that_nothing_satisfies_ends_on_an_endless_space() -> None:
    with pytest.raises(PlanError, match=r"100000 parameter sets in a row were excluded, the last by 'lr > 2'"):
        list(proposed(experiment(ENDLESS, tuner="Random", constraints=("lr > 2",), max_trials=1)))


# --- budget and bounds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"budget": Budget(trials=5)}, "amlc.budget.trials is 5", id="trials"),
        pytest.param({"budget": Budget(node_hours=1.0)}, "needs maxTrialDuration", id="node hours without a limit"),
        pytest.param(
            {"budget": Budget(node_hours=2.9), "trial_seconds": 1800, "retries": 0}, "6 trials may take 3 node-hours, and", id="node hours"
        ),
        pytest.param(
            {"budget": Budget(node_hours=5.9), "trial_seconds": 1800, "retries": 1},
            "6 trials may take 6 node-hours with amlc.retries, 1 for each, and",
            id="what is cut short runs again",
        ),
        pytest.param(
            {"budget": Budget(node_hours=11), "trial_seconds": 3600, "retries": 0, "job": {"resources": {"instance_count": 2}}},
            "6 trials may take 12 node-hours",
            id="every node counts",
        ),
        pytest.param(
            {"budget": Budget(node_hours=11), "trial_seconds": 3600, "job": {"resources": {"instance_count": "two"}}},
            "instance_count must be a whole number of at least 1, got 'two'",
            id="nodes that are no number",
        ),
        pytest.param(
            {"budget": Budget(node_hours=11), "trial_seconds": 3600, "job": {"resources": [2]}},
            "instance_count must be a whole number of at least 1, got [2]",
            id="resources that are no mapping",
        ),
        pytest.param({"budget": Budget(trials=11), "replicates": 2}, "amlc.budget.trials is 11", id="replicates count"),
    ],
)
def test_a_plan_over_budget_is_refused(changes, message) -> None:
    with pytest.raises(PlanError, match=re.escape(message)):
        list(proposed(experiment(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"budget": Budget(trials=6)}, id="trials"),
        pytest.param({"budget": Budget(node_hours=9), "trial_seconds": 1800}, id="node hours"),
        pytest.param({"budget": Budget(trials=4), "max_trials": 4}, id="maxTrialNumber keeps within it"),
    ],
)
def test_a_plan_within_its_budget_is_admitted(changes) -> None:
    assert len(list(proposed(experiment(**changes)))) == changes.get("max_trials", 6)


def test_max_trials_cuts_and_a_smaller_space_ends_before() -> None:
    assert len(ids(experiment(max_trials=4))) == 4
    assert len(ids(experiment(max_trials=100))) == 6
    assert ids(experiment(max_trials=4)) == ids(experiment())[:4]


def test_the_first_job_of_an_endless_space_comes_at_once() -> None:
    first = next(plan(experiment(ENDLESS, tuner="Random", max_trials=10**9)))
    assert first.trials[0].sequence == 0
    assert len(list(islice(proposed(experiment(ENDLESS, max_trials=None)), 100))) == 100


@pytest.mark.parametrize("tuner", ["Random", "GridSearch"])
@pytest.mark.parametrize("changes", [{}, {"replicates": 2}, {"initial": ({"lr": 0.5, "n": 3},)}], ids=str)
def test_an_open_loop_without_an_end_is_planned_as_far_as_there_is_room(tuner, changes) -> None:
    one = experiment(ENDLESS, tuner=tuner, concurrency=4, **changes)
    assert adaptive(one)
    assert not learns(one)
    bounded = list(proposed(replace(one, max_trials=30)))
    assert not adaptive(replace(one, max_trials=30))
    known = [trial for job in plan(one) for trial in job.trials]
    assert known == bounded[:4]
    while len(known) < 24:
        known += upcoming(one, known, [Record(parameters=trial.parameters) for trial in known], room=5)
    assert known == bounded[: len(known)]
    assert [trial for job in plan(one, [(trial,) for trial in known]) for trial in job.trials][: len(known)] == known


def test_what_was_read_of_an_endless_loop_is_not_gone_through_again() -> None:
    one = experiment(ENDLESS, tuner="Random")
    known: list[Trial] = []


    def ask(room: int) -> None:
        known.extend(upcoming(one, known, (), room=room))

    for _ in range(3):
        ask(3000)
    assert len(known) == 9000
    assert work(lambda: ask(1)) < 2 * len(known)  # a draw alone makes fifty calls
    assert known == list(islice(proposed(one), len(known)))


def test_a_space_that_ends_needs_no_limit() -> None:
    assert not adaptive(experiment(AB, tuner="Random"))
    assert not adaptive(experiment((Choice("rows", ({"lr": 1},)),), tuner="Batch"))


def test_trials_are_values() -> None:
    parameters: Mapping[str, Any] = {"a": 1}
    assert Trial("x", 0, parameters) == Trial("x", 0, {"a": 1})


def test_what_was_run_elsewhere_has_the_ids_and_numbers_that_it_would_have_here() -> None:
    one = experiment()
    planned = [trial for job in plan(one) for trial in job.trials]
    sets = [planned[4].parameters, planned[1].parameters, planned[4].parameters]
    found = list(adopted(one, sets, planned))
    assert found[:2] == [planned[4], planned[1]]
    assert (found[2].sequence, found[2].id) == (6, trial_id(one, planned[4].parameters, 1))


def test_more_replicates_are_of_the_sets_that_the_space_has() -> None:
    """Of what an edit of the space has left outside nothing more is bought."""
    one = experiment(ENDLESS, tuner="TPE", replicates=2, max_trials=12, concurrency=12)
    one = replace(one, tuner=Algorithm(name="TPE", class_args=arguments("TPE")))
    inside = [trial.parameters for trial in upcoming(one, [], [], room=4)][::2]
    sets = [{"lr": 7.0, "n": 1}, inside[0], {"lr": 8.0, "n": 1}, inside[1]]
    known = [Trial(trial_id(one, parameters, 0), number, parameters) for number, parameters in enumerate(sets)]
    records = [Record(parameters=parameters, asked=number) for number, parameters in enumerate(sets)]
    more = list(upcoming(one, known, records, room=8))
    assert [trial.parameters for trial in more[:2]] == inside
    assert more[2].parameters == more[3].parameters
    assert more[2].parameters not in sets
    assert [trial.sequence for trial in more] == [*range(4, 12)]
    again = list(upcoming(one, [*known, *more[:3]], records, room=1))
    assert again == more[3:4]  # and the set that is new is filled up


def test_replicates_from_elsewhere_stand_in_a_block() -> None:
    one = experiment(ENDLESS, tuner="TPE", replicates=3)
    sets = [{"lr": 0.5, "n": 1}, {"lr": 0.25, "n": 1}, {"lr": 0.5, "n": 1}]
    known = [Trial("x", 1, {"lr": 0.1, "n": 1})]
    assert [trial.sequence for trial in adopted(one, sets, known)] == [3, 6, 4]


# --- sweeps -----------------------------------------------------------------------------------------------------------

AML = AmlTarget(subscription_id="s", resource_group="r", workspace_name="w", compute="c", image="i")


def test_a_sweep_has_all_trials_in_one_file():
    one = experiment(target=AML, sweep=True, replicates=2)
    (swept,) = plan(one)
    assert (swept.sweep, swept.file, len(swept.trials)) == (True, "sweep.yml", 12)
    assert [trial for job in plan(replace(one, sweep=False)) for trial in job.trials] == list(swept.trials)


def test_what_was_swept_stays_so_and_what_is_missing_is_a_further_sweep():
    one = experiment(target=AML, sweep=True)
    (swept,) = plan(one)
    wider = replace(one, space=(Choice("a", (1, 2, 3, 4)), AB[1]))
    alone = swept.trials[:1]
    files = [(job.file, job.sweep, len(job.trials)) for job in plan(wider, [swept.trials])]
    assert files == [("sweep.yml", True, 6), ("sweep-00006.yml", True, 2)]
    files = [(job.file[:5], job.sweep, len(job.trials)) for job in plan(wider, [alone])]
    assert files == [("jobs/", False, 1), ("sweep", True, 7)]


def test_more_trials_than_a_sweep_may_have_are_several_sweeps():
    one = experiment((Integer("n", 0, 2001),), target=AML, sweep=True)
    jobs = list(plan(one))
    assert [(job.file, len(job.trials)) for job in jobs] == [
        ("sweep.yml", 1000), ("sweep-01000.yml", 1000), ("sweep-02000.yml", 1),
    ]  # fmt: skip
    assert list(plan(one, [jobs[0].trials])) == jobs
    assert [trial for job in plan(replace(one, sweep=False)) for trial in job.trials] == [
        trial for job in jobs for trial in job.trials
    ]


def drawn(**changes):
    return experiment(tuner="Random", target=AML, sweep=True, sampling="random", **changes)


def test_a_sweep_that_draws_its_trials_has_their_numbers_alone_and_several_have_other_names():
    jobs = list(plan(drawn(max_trials=2001)))
    assert [(job.file, job.trials, job.draws, job.sweep) for job in jobs] == [
        ("sweep.yml", (), range(1000), True),
        ("sweep-01000.yml", (), range(1000, 2000), True),
        ("sweep-02000.yml", (), range(2000, 2001), True),
    ]
    assert len({job.id for job in jobs}) == 3
    assert next(plan(drawn(max_trials=2001, seed=3))).id != jobs[0].id


@pytest.mark.parametrize(
    ("known", "is_over", "missing"),
    [(2, False, []), (4, False, []), (2, True, [range(4, 6)]), (0, True, [range(4, 8)]), (4, True, [])],
)
def test_what_a_sweep_did_not_draw_is_a_further_ones(known, is_over, missing):
    trials = tuple(Trial(f"t{number}", number, {"a": number}) for number in range(known))
    before = Drawing(id="s", draws=range(4), trials=trials, is_over=is_over)
    first, *further = plan(drawn(max_trials=4), drawings=[before])
    assert (first.id, first.trials, first.draws) == ("s", trials, range(4))
    assert [job.draws for job in further] == missing
    (alone, *_) = list(plan(drawn(max_trials=1), [(Trial("x", 9, {}),)]))
    assert (alone.sweep, alone.file) == (False, "jobs/00009-x.yml")
    wider = list(plan(drawn(max_trials=7), [(Trial("x", 9, {}),)], drawings=[before]))
    assert wider[-1].draws == range(10, 10 + 7 - 1 - before.count)



def test_of_a_set_with_a_checkpoint_there_are_no_replicates() -> None:
    """Each would save over the other's; replicates can come when PBT was left for another tuner."""
    one = experiment(ENDLESS, tuner="TPE", replicates=2, max_trials=4, concurrency=4)
    one = replace(one, tuner=Algorithm(name="TPE", class_args=arguments("TPE")))
    folders = {"load_checkpoint_dir": "cp/0/0", "save_checkpoint_dir": "cp/0/1"}
    sets = [{"lr": 0.5, "n": 1, **folders}, {"lr": 0.25, "n": 1}]
    known = [Trial(trial_id(one, parameters, 0), number, parameters) for number, parameters in enumerate(sets)]
    records = [Record(parameters=parameters, asked=number) for number, parameters in enumerate(sets)]
    more = list(upcoming(one, known, records, room=2))
    assert more[0].parameters == sets[1]
    assert all("save_checkpoint_dir" not in trial.parameters for trial in more)
