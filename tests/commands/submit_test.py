"""What the options of submit, plan, retry, run, status and logs do, with real trials."""

import csv
import io
import json
import os
import re
import shutil
import time

import pytest

from amlc.commands.options import Options
from amlc.commands.submit import submit
from amlc.events import Event

FAIL = (
    'echo "$NNI_TRIAL_SEQ_ID says sorry"; case "$NNI_TRIAL_SEQ_ID" in {which}) [ -e "$PROBE/mended" ] || exit 3;; esac'
)


def rows(project, *arguments, code=0):
    return list(csv.DictReader(io.StringIO(project.amlc("collect", *arguments, code=code).stdout.decode())))


@pytest.fixture
def failing(project):
    """Numbers 1 and 3 of six fail, one job at a time."""
    return project.write(FAIL.format(which="1|3"), values=range(6), trialConcurrency=1).compile()


def test_submit_says_how_it_ended_and_what_to_do_about_failures(failing):
    err = failing.amlc("submit", code=1).told
    assert err.startswith("6 submitted, 4 of 6 trials done: 2 failed\n")
    assert "amlc submit --retry failed" in err


def test_retry_failed_runs_the_failed_ones_again_once(failing):
    failing.amlc("submit", code=1)
    assert failing.amlc("submit", "--retry", "failed", code=1).told.startswith("2 submitted, 4 of 6")
    (failing.root / "mended").touch()
    assert failing.amlc("submit", "--retry", "failed").told == "2 submitted, 6 of 6 trials done\n"
    assert failing.amlc("submit", "--retry", "failed").told == "0 submitted, 6 of 6 trials done\n"
    assert [row["attempt"] for row in rows(failing)] == ["1", "3", "1", "3", "1", "1"]


def test_retry_missing_runs_those_without_a_final_result(project):
    project.write('[ -e "$PROBE/mended" ] || [ "$NNI_TRIAL_SEQ_ID" != 1 ] || exit 0', values=range(3)).compile()
    assert "3 of 3 trials done: 1 without a final result" in project.amlc("submit").told
    (project.root / "mended").touch()
    assert project.amlc("submit", "--retry", "missing").told == "1 submitted, 3 of 3 trials done\n"


def test_retry_changed_runs_what_was_done_with_other_data(project):
    def with_data(name):
        (project.root / name).write_text(name)
        job = {"inputs": {"data": {"type": "uri_file", "path": name}}}
        keys = {"trialCommand": "sh trial.sh ${{inputs.data}}", "amlc": {"job": job}}
        return project.write(values=range(2), **keys).compile()

    with_data("one").amlc("submit")
    with_data("two")
    said = b"input data: one (uri_file) -> two (uri_file) (--retry changed runs them again)\n"
    assert said in project.amlc("plan").stdout
    project.amlc("submit", "--retry", "changed")
    assert sorted(project.starts) == sorted(project.trials * 2)


def test_retry_changed_runs_what_was_done_with_other_code(project):
    project.write(values=range(2)).compile()
    project.amlc("submit")
    first = rows(project)[0]["revision"]
    project.write("true # changed", values=range(2)).compile()
    plan = project.amlc("plan").stdout.decode()
    assert f"2 ended at revision {first}, current " in plan
    assert "nothing to submit" in plan
    assert "0 submitted" in project.amlc("submit").told
    assert "2 submitted" in project.amlc("submit", "--retry", "changed").told
    assert "0 submitted" in project.amlc("submit", "--retry", "changed").told
    assert {row["revision"] for row in rows(project)} == {project.manifest.header.revision[:6]}


@pytest.mark.parametrize(
    ("arguments", "submitted", "reason"),
    [
        pytest.param(["--fail-fast"], 2, "stopped: 1 failed", id="fail-fast"),
        pytest.param(["--max-failures", "2"], 4, "stopped: 2 failed", id="number"),
        pytest.param(["--max-failures", "20%"], 2, "stopped: 1 failed", id="percent"),
        pytest.param(["--max-failures", "34%"], 4, "stopped: 2 failed", id="more-percent"),
        pytest.param(["--max-failures", "3"], 6, "6 submitted", id="never-reached"),
    ],
)
def test_too_many_failures_stop_the_submitting(failing, arguments, submitted, reason):
    err = failing.amlc("submit", *arguments, code=1).told
    assert err.startswith(reason)
    assert len(failing.starts) == submitted


def test_plan_and_dry_run_say_the_same_and_do_nothing(failing):
    plan = failing.amlc("plan").stdout
    assert failing.amlc("submit", "--dry-run").stdout == plan
    text = plan.decode()
    assert text.startswith("probe: 0 of 6 trials done: 6 pending\n6 to submit (new):\n  jobs/00000-")
    assert not failing.folders.state.exists()
    failing.amlc("submit", code=1)
    assert "2 to submit (retry):\n  jobs/00001-" in failing.amlc("plan", "--retry", "failed").stdout.decode()


def test_no_wait_returns_while_the_jobs_run_and_collect_sees_them_end(project, wait_until):
    project.write('while [ ! -e "$PROBE/go" ]; do sleep 0.02; done', values=range(3)).compile()
    assert "2 submitted, 0 of 3 trials done" in project.amlc("submit", "--no-wait").told
    wait_until(lambda: len(project.starts) == 2)
    assert [row["status"] for row in rows(project, code=4)] == ["running", "running", "pending"]
    (project.root / "go").touch()
    wait_until(lambda: not project.processes())
    assert [row["status"] for row in rows(project, code=4)] == ["succeeded", "succeeded", "pending"]


def test_retry_runs_the_named_trials_again_whatever_became_of_them_and_nothing_else(failing):
    failing.amlc("submit", "--fail-fast", code=1)
    (failing.root / "mended").touch()
    assert failing.amlc("retry", "#0", failing.trials[1][:8]).told.startswith("2 submitted, 2 of 6 trials done")
    assert [row["attempt"] for row in rows(failing, code=4)] == ["2", "2", "", "", "", ""]


def test_retry_of_a_trial_that_is_at_work_says_that_none_begins(project):
    project.write("sleep 2", values=range(2)).compile().amlc("submit", "--no-wait")
    said = project.amlc("retry", "0").stderr
    assert "#0 is at work: that attempt is followed to its end, and none begins." in said
    assert "#1" not in said.splitlines()[0]
    assert sorted(project.starts) == sorted(project.trials)
    assert "at work" not in project.amlc("retry", "0").stderr
    assert len(project.starts) == 3


def test_retry_of_a_trial_that_was_never_submitted_submits_it(failing):
    assert failing.amlc("retry", "#4").told.startswith("1 submitted, 1 of 6 trials done")
    assert failing.starts == [failing.trials[4]]


def test_the_experiments_time_is_up(project):
    project.write("sleep 0.7", values=range(20), trialConcurrency=1, maxExperimentDuration="1s").compile()
    assert "stopped: maxExperimentDuration (1 s) is over" in project.amlc("submit").told
    assert len(project.starts) in (1, 2)
    before = len(project.starts)
    assert "stopped: maxExperimentDuration" in project.amlc("submit").told
    assert len(project.starts) == before


def test_run_compiles_submits_and_collects(project):
    project.write(values=range(3))
    done = project.amlc("run", "experiment.yml")
    assert [row["metric.default"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))] == ["1.5"] * 3
    done = project.amlc("-q", "run", "experiment.yml")
    assert done.stderr == ""
    assert len(project.starts) == 3


def test_run_writes_the_rows_though_a_trial_failed(failing):
    done = failing.amlc("run", "experiment.yml", code=1)
    assert len(done.stdout.splitlines()) == 7
    assert "4 of 6 trials done: 2 failed" in done.stderr


def test_a_value_added_to_the_space_runs_only_what_is_new(project):
    project.write(values=[1, 2]).compile()
    project.amlc("submit")
    project.write(values=[0, 1, 2, 3]).compile()
    assert project.amlc("submit").told == "2 submitted, 4 of 4 trials done\n"
    assert len(project.starts) == 4
    assert {row["param.x"] for row in rows(project)} == {"0", "1", "2", "3"}


def test_logs_show_what_the_last_attempt_printed(failing):
    failing.amlc("submit", code=1)
    assert b"3 says sorry\n" in failing.amlc("logs", "#3").stdout
    assert b"3 says sorry\n" in failing.amlc("logs", "-f", failing.trials[3]).stdout


def test_status_as_data_has_a_row_for_each_trial(failing):
    failing.amlc("submit", "--fail-fast", code=1)
    table = list(csv.DictReader(io.StringIO(failing.amlc("status", "--format", "csv").stdout.decode())))
    assert [row["status"] for row in table] == ["succeeded", "failed", "pending", "pending", "pending", "pending"]


def test_everything_can_be_given_a_build_and_a_state_folder(weird_project):
    weird_project.write(values=range(2))
    where = ["--build", "b ü", "--state", "s 'x'"]
    weird_project.amlc(*where, "compile", "experiment.yml")
    weird_project.amlc(*where, "submit")
    weird_project.amlc(*where, "collect")
    weird_project.amlc(*where, "status")
    assert (weird_project.root / "s 'x'" / ".gitignore").read_text() == "*\n"
    assert not weird_project.folders.state.exists()


def test_another_folder_is_no_obstacle(weird_project):
    """Run from elsewhere, by absolute paths."""
    weird_project.write(values=range(2)).compile()
    where = ["--build", weird_project.folders.build, "--state", weird_project.folders.state]
    weird_project.environ["PYTHONSAFEPATH"] = "1"
    old, weird_project.root = weird_project.root, weird_project.root.parent
    weird_project.amlc(*where, "submit")
    weird_project.amlc(*where, "collect")
    weird_project.root = old
    assert len(weird_project.starts) == 2


# --- an experiment whose tuner learns ------------------------------------------------------------------------------------

TPE = {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 3}}}
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


@pytest.fixture
def learning(project):
    return project.write(searchSpace=SPACE, tuner=TPE, maxTrialNumber=6, trialConcurrency=1).compile()


def test_where_only_the_build_folder_is_the_compiled_round_is_run_and_that_is_said(learning, make_project):
    there = make_project("there")
    shutil.copytree(learning.root / "build", there.root / "build")
    done = there.amlc("submit", code=4)
    assert done.stderr.startswith("warning: ../../experiment.yml is not here, so that the tuner cannot be asked")
    assert (
        "3 submitted, 3 of 6 trials done: 3 not proposed yet: amlc submit goes on where the experiment's file is\n"
        in (done.stderr)
    )
    assert "3 not proposed yet" in there.amlc("collect", code=4).stderr
    there.amlc("submit", "--rounds", "1")  # which asks for no more than that, and says nothing of the tuner
    (there.root / "experiment.yml").write_text((learning.root / "experiment.yml").read_text())
    shutil.copytree(learning.root / "code", there.root / "code")
    assert "3 submitted, 6 of 6 trials done\n" in there.amlc("submit").told


def test_rounds_compile_in_between(learning):
    assert "3 submitted, 3 of 6 trials done: 3 not proposed yet" in learning.amlc("submit", "--rounds", "1").told
    said = [line for line in learning.amlc("submit", "--rounds", "3").told.splitlines() if "submitted" in line]
    assert [line.split(":")[0] for line in said] == [
        "0 submitted, 3 of 6 trials done",
        "1 submitted, 4 of 6 trials done",
        "1 submitted, 5 of 6 trials done",
    ]


def test_a_round_of_nothing_names_what_is_to_be_done_before(learning):
    learning.amlc("submit", "--rounds", "1")
    said = learning.amlc("submit", "--rounds", "1").told
    assert "0 submitted" in said
    assert "a round submits what is compiled, and all of it was. Compile what follows: amlc compile experiment.yml." in said
    learning.amlc("compile", "experiment.yml")
    assert "a round submits" not in learning.amlc("submit", "--rounds", "1").told


def test_the_plan_says_what_is_to_be_proposed_and_what_changed(learning):
    assert learning.amlc("plan").stdout.decode().endswith("3 to be proposed by the tuner, from the results\n")
    learning.amlc("submit")
    assert learning.amlc("plan").stdout.decode() == "probe: 6 of 6 trials done\nnothing to submit\n"
    first = learning.manifest.header.revision[:6]
    (learning.root / "code" / "trial.sh").write_text("exit 0\n")
    (learning.root / "code" / "new.sh").write_text("exit 0\n")
    learning.compile()
    now = learning.manifest.header.revision[:6]
    said = f"6 ended at revision {first}, current {now}: changed: trial.sh, new: new.sh (--retry changed runs them again)\n"
    assert said in learning.amlc("plan").stdout.decode()


def test_a_tuner_that_has_no_more_to_propose_is_not_waited_for(project):
    project.write(searchSpace={"x": {"_type": "choice", "_value": [1, 2, 3, 4]}}, tuner=TPE, maxTrialNumber=9).compile()
    assert "4 submitted, 4 of 4 trials done\n" in project.amlc("submit").told
    assert project.amlc("collect").stderr == "probe: 4 of 4 trials done\n"
    project.write(
        searchSpace={"x": {"_type": "choice", "_value": [1, 2, 3, 4, 5]}}, tuner=TPE, maxTrialNumber=9
    ).compile()
    assert "not proposed yet" in project.amlc("collect", code=4).stderr or len(project.trials) == 5
    assert "1 submitted, 5 of 5 trials done\n" in project.amlc("submit").told


def test_a_retry_that_was_cut_short_is_done_by_the_same_command_again(project):
    project.write('[ -e "$PROBE/mended" ] || exit 3', values=range(2)).compile()
    project.amlc("submit", code=1)
    (project.root / "mended").touch()
    first = project.attempts()[0]
    data = {"id": first.id, "attempt": 2, "trials": [trial.as_dict() for trial in first.trials], "backend": "local",
            "revision": first.revision, "losses": 0}  # fmt: skip
    with project.ledger() as ledger:  # as a kill between the intent and the call leaves it
        ledger.append([Event(kind="intent", at=1.0, job=f"{first.job}-2", data=data)])
    assert "2 submitted, 2 of 2 trials done\n" in project.amlc("submit", "--retry", "failed").told
    assert len(project.starts) == 4


def test_it_returns_what_came_of_it_and_prints_nothing(project, monkeypatch, capfd):
    for name in ("PATH", "PROBE", "STARTS"):
        monkeypatch.setenv(name, project.environ[name])
    project.write('[ "$NNI_TRIAL_SEQ_ID" != 1 ] || exit 3', values=range(3)).compile()
    run = submit(project.manifest, Options(), folders=project.folders)
    assert (run.progress.submitted, run.verdict.done, run.verdict.failed, run.stopped) == (3, 2, 1, None)
    again = submit(project.manifest, Options(max_failures="1", retry=["failed"]), folders=project.folders)
    assert (again.progress.submitted, again.stopped, again.partial) == (1, "1 failed", True)
    assert capfd.readouterr() == ("", "")


ODD = "[W-script]"


@pytest.fixture
def odd(project):
    """What it runs is not there, which is said before anything runs."""
    return project.write(values=range(2), trialCommand="sh nowhere.sh", amlc={"retries": 0})


def test_what_is_odd_is_said_once_before_anything_is_submitted(odd):
    for command in (["run", "experiment.yml"], ["submit"], ["submit", "--retry", "failed"]):
        err = odd.amlc(*command, code=1).stderr
        assert err.count(ODD) == 1
        assert err.index(ODD) < err.index("submitted, ")


def test_what_is_odd_is_data_where_that_was_asked_for(odd):
    done = odd.compile().amlc("submit", "--format", "json", code=1)
    assert [problem["code"] for problem in json.loads(done.stdout)["problems"]][:1] == ["W-script"]


@pytest.mark.parametrize("what", ["a retry", "quiet", "another file", "no file", "a file that is wrong now"])
def test_what_is_odd_is_not_said_where_nobody_wants_it_or_it_is_not_known(odd, what):
    file = odd.compile().root / "experiment.yml"
    command = {"a retry": ["retry", "0"], "quiet": ["-q", "submit"]}.get(what, ["submit"])
    if what == "another file":
        os.utime(file, ns=(time.time_ns() + 10**10,) * 2)
    elif what == "no file":
        file.unlink()
    elif what == "a file that is wrong now":
        before = file.stat()
        file.write_text("x: [")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ODD not in odd.amlc(*command, code=1).stderr


@pytest.mark.parametrize(
    ("tuner", "removed", "code", "said"),
    [
        ("GridSearch", "build", 2, "build/probe/ was removed while this was at work on it."),
        ("TPE", "build", 2, "build/probe/ was removed while this was at work on it."),
        ("TPE", "build/probe/jobs", 2, r"build/probe/jobs/\S+ was removed while this was at work on it."),
        ("GridSearch", "build/probe/jobs", 1, r"build/probe/jobs/\S+: it is gone. Compile and submit again."),
    ],
)
def test_what_is_compiled_and_removed_meanwhile_is_named(project, tuner, removed, code, said):
    keys = {"tuner": {"name": tuner, "classArgs": {"optimize_mode": "maximize"}}, "maxTrialNumber": 4}
    once = f'[ -e "$PROBE/once" ] || {{ touch "$PROBE/once"; rm -rf "$PROBE/{removed}"; }}'
    project.write(once, trialConcurrency=1, **keys).compile()
    told = project.amlc("submit", code=code).stderr.splitlines()[-1]
    what = "" if code == 1 else " Compile and submit again: amlc compile experiment.yml, then amlc submit."
    assert re.fullmatch(f"error: {said}{what}", told)
    project.amlc("compile", "experiment.yml")
    project.amlc("submit")
    assert len(project.starts) == len(set(project.starts)) == 4


@pytest.mark.parametrize("tuner", [{"name": "GridSearch"}, {"name": "TPE"}], ids=lambda tuner: tuner["name"])
@pytest.mark.parametrize("form", [{}, {"trialsPerJob": 2}, {"replicates": 2}], ids=["single", "packed", "replicates"])
def test_when_the_time_is_over_every_command_says_so_and_none_promises_more(project, tuner, form):
    keys = {"tuner": tuner, "maxTrialNumber": 4, "trialConcurrency": 1, "maxExperimentDuration": "1s", "amlc": form}
    project.write("sleep 1.5", **keys).compile()
    assert "stopped: maxExperimentDuration (1 s) is over" in project.amlc("submit").stderr
    project.amlc("compile", "experiment.yml")
    over = "maxExperimentDuration is over: nothing is submitted until it is raised"
    plan = project.amlc("plan", "-o", "sealed.plan").stdout.decode()
    assert over in plan
    assert "to submit (" not in plan
    assert over in project.amlc("plan", "--format", "markdown").stdout.decode()
    assert json.loads(project.amlc("plan", "--format", "json").stdout)["plan"]["due"] == []
    for words, code in [(["submit", "--plan", "sealed.plan"], 0), (["submit", "--canary"], 0), (["retry", "0"], 4)]:
        said = project.amlc(*words, code=code).stderr
        assert "failed" not in said
        assert "0 submitted" in said
    if tuner["name"] == "GridSearch":
        assert "goes on once maxExperimentDuration is raised" in project.amlc("status").stderr + said
    assert len(project.starts) == form.get("trialsPerJob", 1)
    project.write("", **keys | {"maxExperimentDuration": "1h"}).compile()
    assert over not in project.amlc("plan").stdout.decode()
    project.amlc("submit", "--canary")
    assert len(project.starts) == len(set(project.starts)) == 4
