"""The local back end, with real processes: what a job gets, how it ends, and that nothing of it is left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from amlc.backends import Submission
from amlc.errors import BackendError
from amlc.manifest import job_text
from amlc.model import Status
from amlc.targets.local import backend as local
from amlc.targets.local import processes
from amlc.targets.local.backend import LocalBackend

GATE = 'while [ ! -e "$PROBE/go" ]; do sleep 0.02; done'


class Here:
    """A project's local back end."""

    def __init__(self, project, **environ):
        self.project = project
        self.manifest = project.manifest
        self.entries = list(self.manifest.entries())
        self.environ = {**project.environ, **environ}
        self.backend = self.again()

    def again(self):
        """A back end as another process has it, which did not start the jobs."""
        header = replace(self.manifest.header)
        return LocalBackend(self.project.folders.runs("probe"), header, self.environ)

    def submission(self, number=0, edit=lambda text: text, name=None):
        entry = self.entries[number]
        content = edit(job_text(self.manifest.folder, entry))
        return Submission(name or entry.name, content, (self.manifest.folder / entry.file).parent)

    def submit(self, *numbers, **options):
        return [answer.job for answer in self.backend.submit([self.submission(n, **options) for n in numbers or [0]])]

    def follow(self, *jobs, backend=None):
        """Wait for the end of the jobs; return their observations in order."""
        backend, seen, deadline = backend or self.backend, {}, time.monotonic() + 60
        while not all(job in seen and seen[job].status.ended for job in jobs):
            assert time.monotonic() < deadline, seen
            seen = {one.job: one for one in backend.poll(jobs, timeout_s=1)}
        return [seen[job] for job in jobs]

    def follow_or_lose(self, job):
        """Wait for the end of a job; return its observation, or None if it turns out that it never began."""
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            found = self.backend.poll([job], timeout_s=1)
            if not found or found[0].status.ended:
                return found[0] if found else None

    def run(self, **options):
        return self.follow(*self.submit(**options))[0]

    def folder(self, job):
        return self.project.folders.runs("probe") / job

    def log(self, job):
        return b"".join(self.backend.log(job, follow=False)).decode()


@pytest.fixture
def here(project):
    def make(script="", *, environ=None, **keys):
        return Here(project.write(script, **keys).compile(), **(environ or {}))

    return make


# --- what a job gets -------------------------------------------------------------------------------------------------


def test_a_job_gets_a_copy_of_the_code_its_environment_and_outputs_and_leaves_its_log(weird_project):
    weird_project.write('pwd; echo "$OWN|$GIVEN"; echo error >&2; echo "$PROBE" > outputs/file; cp trial.sh copy',
                        amlc={"job": {"environment_variables": {"OWN": "a 'b' \"c\" $HOME ü"}},
                              "workingDirectory": "copy"}).compile()  # fmt: skip
    here = Here(weird_project, GIVEN="from the user's shell")
    seen = here.run()
    assert (seen.status, seen.exit_code, seen.error) == (Status.SUCCEEDED, 0, None)
    assert seen.ended - seen.started >= 0
    run = here.folder(seen.job)
    assert (run / "outputs" / "file").read_text().strip() == str(weird_project.root)
    log = (run / "user_logs" / "std_log.txt").read_text()
    assert f"{run}/work\n" in log
    assert "a 'b' \"c\" $HOME ü|from the user's shell\n" in log
    assert "error\n" in log
    assert "NNISDK_ME" in log
    assert here.log(seen.job) == "".join(line for line in log.splitlines(keepends=True) if "NNISDK_ME" not in line)
    assert (run / "job.yml").read_bytes() == here.submission().content
    assert not (here.manifest.folder / "code" / "copy").exists()
    assert [path.name for path in (run / "work").iterdir()] == ["copy"], "of what ended well, what it wrote is kept"
    fetched = here.backend.fetch(seen.job)
    assert [(m.trial, m.kind, m.value) for m in fetched.metrics] == [(here.entries[0].id, "final", 1.5)]
    assert [(o.trial, o.exit_code) for o in fetched.outcomes] == [(here.entries[0].id, 0)]


def test_the_working_copy_of_a_failed_job_is_kept_to_look_into(here):
    h = here("echo why > notes; exit 1", amlc={"workingDirectory": "copy"})
    assert (h.folder(h.run().job) / "work" / "notes").read_text() == "why\n"


def test_outputs_in_the_snapshot_are_there_and_old_results_in_them_are_not_taken_for_new(project):
    project.write("cat outputs/weights; ls outputs")
    (project.root / "code" / "outputs" / "amlc" / "0123456789abcdef").mkdir(parents=True)
    (project.root / "code" / "outputs" / "weights").write_text("pretrained")
    (project.root / "code" / "outputs" / "amlc" / "0123456789abcdef" / "metrics.jsonl").write_text(
        '{"type": "final"}\n[]\n'
    )
    project.compile()
    here = Here(project)
    seen = here.run()
    assert seen.status is Status.SUCCEEDED
    assert "pretrained" in here.log(seen.job)
    assert [m.trial for m in here.backend.fetch(seen.job).metrics] == [here.entries[0].id]


@pytest.mark.parametrize("name", ["-rf", "a b", "$(touch hacked)", "'quote\"", "new\nline", "ünï ✓", ".hidden", "*"])
def test_hostile_file_names_in_the_snapshot_arrive(project, name):
    project.write("ls -A > outputs/list; cat ./*hostile*/* ./.*hostile*/* 2> /dev/null; true")
    folder = project.root / "code" / f"{name}hostile"
    folder.mkdir()
    (folder / name).write_text("arrived")
    project.compile()
    here = Here(project)
    seen = here.run()
    assert seen.status is Status.SUCCEEDED
    assert "arrived" in here.log(seen.job) or name == ".hidden"
    assert not list(project.root.rglob("hacked"))


def test_a_script_that_is_executable_stays_so(project):
    project.write(trialCommand="./run")
    run = project.root / "code" / "run"
    run.write_text("#!/bin/sh\nexec sh trial.sh\n")
    run.chmod(0o755)
    project.compile()
    assert Here(project).run().status is Status.SUCCEEDED


def test_literal_inputs_and_outputs_are_filled_in(here):
    h = here(amlc={"job": {
        "inputs": {"epochs": 3, "data": {"type": "uri_folder", "path": "/etc"}},
        "outputs": {"model": {"type": "uri_folder"}},
        "command": "echo ${{inputs.epochs}} ${{ inputs.data }} ${{outputs.model}}; python3 amlc_runner.py",
    }})  # fmt: skip
    seen = h.run()
    assert h.log(seen.job).startswith("3 /etc outputs/model\n")


@pytest.mark.parametrize(
    ("job", "message"),
    [
        pytest.param({"command": "echo ${{inputs.nope}}"}, r"\$\{\{inputs.nope\}\}, and the job has no such input", id="unknown"),
        pytest.param(
            {"command": "echo ${{inputs.d}}", "inputs": {"d": {"type": "uri_file", "path": "azureml:d:1"}}},
            "is data on Azure .* which the local back end cannot reach", id="azure"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_had_are_a_clear_error(here, job, message):
    h = here(amlc={"job": job})
    with pytest.raises(BackendError, match=message):
        h.submit()
    assert h.backend.poll([h.entries[0].name], timeout_s=0) == [], "such a job was never there"


BOUND = """for one; do printf '%s\\n' "$one"; done
cat "$1/numbers"; echo ours > "$2/weights"; final 0.5"""


@pytest.mark.parametrize("packed", [1, 2])
def test_a_trial_command_names_data_and_a_model(weird_project, packed):
    """Relative paths count from the experiment file, and what is an input is not in the snapshot too."""
    data = weird_project.root / "code" / "da ta"
    data.mkdir(parents=True)
    (data / "numbers").write_text("1 2 3\n")
    weird_project.write(
        BOUND,
        trialCommand='bash trial.sh ${{inputs.data}} "${{outputs.model}}" ${{inputs.epochs}}',
        amlc={
            "trialsPerJob": packed,
            "job": {
                "inputs": {"data": {"type": "uri_folder", "path": "code/da ta"}, "epochs": 3},
                "outputs": {"model": {"type": "uri_folder"}},
            },
        },
    ).compile()
    here = Here(weird_project)
    assert not (here.manifest.folder / "code" / "da ta").exists()
    seen = here.run()
    assert seen.status is Status.SUCCEEDED, here.log(seen.job)
    model = here.folder(seen.job) / "outputs" / "model"
    trials = [trial.id for trial in here.entries[0].trials]
    places = [model] if packed == 1 else [model / trial for trial in trials]
    for place in places:
        assert (place / "weights").read_text() == "ours\n"
        seen_there = here.folder(seen.job) / "work" / place.relative_to(here.folder(seen.job))
        assert f"{data}\n{seen_there}\n3\n1 2 3\n" in here.log(seen.job)


# --- how a job ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [
        pytest.param("exit 3", 3, "exit code 3", id="exit-3"),
        pytest.param("exit 127", 127, "exit code 127", id="exit-127"),
        pytest.param("echo oops >&2; exit 3", 3, "oops", id="says-why"),
        pytest.param("kill -SEGV $$", 139, "Segmentation fault", id="segfault"),
        pytest.param("kill -KILL $$", 137, "Killed", id="killed"),
    ],
)
def test_a_failure_says_how(here, script, code, error):
    h = here(script)
    seen = h.run()
    assert (seen.status, seen.exit_code, seen.error, seen.infrastructure) == (Status.FAILED, code, error, False)
    assert h.again().poll([seen.job], timeout_s=0) == [seen], "every process says the same"


def test_results_before_a_failure_are_fetched(here):
    h = here("final 0.25; exit 3")
    seen = h.run()
    fetched = h.backend.fetch(seen.job)
    assert [m.value for m in fetched.metrics] == [0.25]
    assert [o.exit_code for o in fetched.outcomes] == [3]


def test_submitting_a_name_again_runs_it_once(here, project, wait_until):
    h = here(GATE)
    (job,) = h.submit()
    h.submit()
    wait_until(lambda: project.starts)
    assert [answer.job for answer in h.again().submit([h.submission()])] == [job]
    (project.root / "go").touch()
    h.follow(job)
    h.submit()  # nor when it is over
    h.follow(job)
    assert len(project.starts) == 1


def test_jobs_that_were_never_submitted_are_left_out(here):
    assert here().backend.poll(["nothing-1", "nothing-2"], timeout_s=0) == []


def test_poll_returns_when_a_job_ends_and_not_before_the_timeout_otherwise(here, project, wait_until):
    h = here(GATE)
    jobs = h.submit(0, 1)
    wait_until(lambda: len(project.starts) == 2)
    h.backend.poll(jobs, timeout_s=0)
    begun = time.monotonic()
    assert {seen.status for seen in h.backend.poll(jobs, timeout_s=0.3)} == {Status.RUNNING}
    assert time.monotonic() - begun >= 0.3
    (project.root / "go").touch()
    assert {seen.status for seen in h.backend.poll(jobs, timeout_s=600)} & {Status.SUCCEEDED}
    h.follow(*jobs)


def test_a_broken_metrics_line_is_skipped_and_the_rest_is_read(here):
    h = here('printf \'{"type": "fin\\n[1]\\n{"type": "final"}\\n\' >> "$NNI_SYS_DIR/metrics.jsonl"; final 2.5')
    seen = h.run()
    with pytest.warns(RuntimeWarning, match="3 of its reports left out"):
        assert [m.value for m in h.backend.fetch(seen.job).metrics] == [2.5, 1.5]


def test_reports_that_a_trial_made_and_that_are_gone_are_said(here):
    h = here("final 2.5; final 3.5")
    seen = h.run()
    (path,) = h.folder(seen.job).glob("outputs/amlc/*/metrics.jsonl")
    count = len(h.backend.fetch(seen.job).metrics)
    for text, missing in ((path.read_text()[:-9], 1), ("", count)):
        path.write_text(text)
        with pytest.warns(RuntimeWarning, match=f": {missing} of its {count} reports not in its metrics.jsonl"):
            assert len(h.backend.fetch(seen.job).metrics) == count - missing
    path.unlink()
    with pytest.warns(RuntimeWarning, match=f": {count} of its {count} reports not in its metrics.jsonl"):
        assert list(h.backend.fetch(seen.job).metrics) == []


# --- and leaves nothing behind ---------------------------------------------------------------------------------------

DETACHED = "setsid=; python3 -S -c 'import os, time; os.setpgid(0, 0); time.sleep(600)' &"
STUBBORN = "trap '' TERM INT HUP\n"


def test_what_a_trial_leaves_behind_is_ended_with_it(here, project, wait_until):
    """One grandchild in the trial's process group that holds its stdout, and one in a group of its own."""
    h = here(f"sleep 600 &\n{DETACHED}\nsleep 0.2")
    assert h.run().status is Status.SUCCEEDED
    wait_until(lambda: not project.processes())


def test_what_a_trial_leaves_behind_is_ended_even_if_submit_was_killed(project, wait_until):
    project.write(f"{DETACHED}\nsleep 0.1\n{GATE}", values=[1]).compile()
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: project.starts)
        submit.kill()
    (project.root / "go").touch()
    wait_until(lambda: not project.processes())
    here = Here(project)
    assert here.follow(here.entries[0].name)[0].status is Status.SUCCEEDED


def test_the_timeout_ends_the_whole_tree(here, project, wait_until):
    h = here(f"sleep 600 &\n{DETACHED}\nfinal 0.5\nsleep 600", maxTrialDuration="1s")
    seen = h.run()
    assert seen.status is Status.EARLY_STOPPED
    assert seen.error == "stopped at its time limit (maxTrialDuration)"
    assert 1 <= seen.ended - seen.started < 600
    wait_until(lambda: not project.processes())
    assert [m.value for m in h.backend.fetch(seen.job).metrics] == [0.5]


def test_the_timeout_holds_when_nobody_watches(project, wait_until):
    project.write(f"sleep 600 &\n{DETACHED}\nfinal 0.5\nsleep 600", values=[1], maxTrialDuration="1s").compile()
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: project.starts)
        submit.kill()
    wait_until(lambda: not project.processes())
    assert project.amlc("collect").stdout.decode().splitlines()[1].split(",")[2] == "early_stopped"


def test_a_job_within_its_time_leaves_no_watchdog(here, project, wait_until):
    h = here(maxTrialDuration="1h")
    assert h.run().status is Status.SUCCEEDED
    wait_until(lambda: not project.processes())


def test_cancel_ends_the_whole_tree_of_a_job_that_does_not_listen(here, project, wait_until):
    h = here(f"{STUBBORN}sh -c 'trap \"\" TERM; sleep 600' &\n{DETACHED}\nwhile true; do sleep 1; done")
    (job,) = h.submit()
    wait_until(lambda: project.starts)
    wait_until(lambda: len(project.processes()) > 5)  # the grandchildren too
    h.backend.cancel([job])
    (seen,) = h.follow(job)
    assert (seen.status, seen.infrastructure) == (Status.CANCELED, False)
    wait_until(lambda: not project.processes())


def test_cancel_of_what_was_never_there_or_has_ended_is_no_error(here):
    h = here()
    job = h.run().job
    h.backend.cancel([job, "nothing-1"])
    assert h.follow(job)[0].status is Status.SUCCEEDED


def test_cancel_by_another_process_right_after_the_start_kills_nobody(here, project, wait_until, monkeypatch):
    monkeypatch.setattr(local, "_GRACE_S", 600)
    h = here("exec sleep 600")
    jobs = h.submit(0, 1, 2, 3)
    h.again().cancel(jobs)
    assert {seen.status for seen in h.follow(*jobs)} == {Status.CANCELED}
    wait_until(lambda: not project.processes())


SETSID = "python3 -S -c 'import os, time; os.setsid(); time.sleep(600)' &"


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "submit killed"])
def test_a_session_of_its_own_is_no_way_out(project, wait_until, is_watched):
    project.write(f"{SETSID}\nsleep 0.2\n{GATE}", values=[1]).compile()
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: project.starts)
        if not is_watched:
            submit.kill()
            submit.wait()
        (project.root / "go").touch()
    wait_until(lambda: not project.processes())
    assert project.amlc("status").returncode == 0
    assert project.statuses() == ["succeeded"]


def test_a_trial_without_its_supervisor_is_ended_before_anybody_says_how_it_ended(project, wait_until):
    """Or it would go on beside its own next attempt, in the same folder."""
    project.write(f"{SETSID}\n{GATE}", values=[1]).compile()
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: project.starts)
        submit.kill()
    here = Here(project)
    job = here.entries[0].name
    os.kill(int((here.folder(job) / "supervisor").read_text()), signal.SIGKILL)
    wait_until(lambda: not here.backend._alive(job))
    assert project.processes(), "they go on"
    (seen,) = here.backend.poll([job], timeout_s=0)
    assert not project.processes()
    assert (seen.status, seen.infrastructure) == (Status.FAILED, True)
    (project.root / "go").touch()
    project.amlc("submit")
    assert project.statuses() == ["succeeded"]
    assert len(project.starts) == 2


def test_a_job_inside_a_trial_ends_with_that(project, wait_until):
    project.write("sleep 600", values=[1]).compile()
    here = Here(project, **{processes.MARK: "0" * 32})
    here.submit()
    wait_until(lambda: project.starts)
    processes.end("0" * 32)
    assert not project.processes()


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_of_a_run_folder_is_not_taken_for_the_original(project, make_project, wait_until):
    here = Here(project.write(GATE, values=[1]).compile())
    (job,) = here.submit()
    wait_until(lambda: project.starts and (here.folder(job) / "supervisor").exists())
    other = make_project("copy")
    shutil.copytree(project.root, other.root, dirs_exist_ok=True)
    copy = Here(other)
    copy.backend.cancel([job])
    (seen,) = copy.backend.poll([job], timeout_s=0)
    assert (seen.status, seen.infrastructure) == (Status.FAILED, True)
    assert f"the original, made on {os.uname().nodename}, may go on there" in seen.error
    assert here.backend.poll([job], timeout_s=0)[0].status is Status.RUNNING, "nobody ended it"
    (project.root / "go").touch()
    assert here.follow(job)[0].status is Status.SUCCEEDED


def test_a_folder_that_was_renamed_is_the_same_still(project, wait_until):
    here = Here(project.write(f"exec 3< /dev/null; {GATE}", values=[1]).compile())
    (job,) = here.submit()
    wait_until(lambda: project.starts and (here.folder(job) / "supervisor").exists())
    runs = project.folders.runs("probe")
    runs.rename(runs.with_name("renamed"))
    moved = LocalBackend(runs.with_name("renamed"), here.manifest.header, here.environ)
    assert moved.poll([job], timeout_s=0)[0].status is Status.RUNNING
    moved.cancel([job])
    assert moved.poll([job], timeout_s=0)[0].status is Status.CANCELED
    wait_until(lambda: not project.processes())


@pytest.mark.parametrize("name", ["half past 12:30", "caf\udce9 in latin 1"])
def test_a_folder_may_have_any_name(make_project, name):
    project = make_project(name)
    project.write('test -d "${PYTHONPATH%%:*}/nni" && test "$NNI_CODE_DIR" = "$PWD" || exit 1').compile()
    assert "4 of 4 trials done" in project.amlc("submit").stderr
    assert len(project.starts) == 4


def test_a_job_of_another_machine_is_not_canceled_by_a_number_that_means_another_process_here(
    project, wait_until, monkeypatch
):
    """On a shared disk the lock is held from there, and the process id is that machine's."""
    monkeypatch.setattr("amlc.targets.local.backend._GRACE_S", 0.5)
    here = Here(project.write(GATE, values=[1]).compile())
    (job,) = here.submit()
    wait_until(lambda: project.starts and (here.folder(job) / "supervisor").exists())
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        (here.folder(job) / "supervisor").write_text(f"{stranger.pid}\n")
        origin = here.folder(job) / "origin"
        origin.write_text(origin.read_text().replace(os.uname().nodename, "there"))
        with pytest.raises(BackendError, match=r"its job runs on there, or in another container\. Cancel it there"):
            here.again().cancel([job])
        assert stranger.poll() is None
        stranger.kill()
    (project.root / "go").touch()
    here.follow(job)


# --- working copies --------------------------------------------------------------------------------------------------

COPIES = {"workingDirectory": "copy"}


@pytest.mark.parametrize("how", ["submit --no-wait", "submit killed", "all killed", "canceled"])
def test_whoever_looks_next_removes_the_working_copy_that_nobody_needs(project, wait_until, how):
    project.write(f"echo mine > notes; {GATE}", values=[1], amlc=COPIES).compile()
    with project.start("submit", *how.split()[1:] if "wait" in how else [], stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: project.starts)
        run = project.run_folder(project.trials[0])
        wait_until((run / "work" / "notes").exists)
        if "killed" in how:
            submit.kill()
            submit.wait()
        if how == "canceled":
            project.amlc("cancel", "--all")
    if how == "all killed":
        project.kill_all()
    (project.root / "go").touch()
    wait_until(lambda: not project.processes())
    project.amlc("status")
    assert [path.name for path in (run / "work").iterdir()] == ["notes"], "what the trial wrote is kept"


def test_what_the_trial_changed_is_kept_whatever_became_of_the_snapshot(project):
    project.write("echo more >> data; rm other", values=[1], amlc=COPIES)
    for name in ("data", "other", "same"):
        (project.root / "code" / name).write_text(name)
    here = Here(project.compile())
    job = here.run().job
    assert (here.folder(job) / "work" / "data").read_text() == "datamore\n"
    assert [path.name for path in (here.folder(job) / "work").iterdir()] == ["data"]


def test_a_start_that_was_cut_short_leaves_no_working_copy(here):
    h = here()
    run = h.folder(h.entries[0].name)
    (run / "work" / "half").mkdir(parents=True)
    (run / "lock").touch()
    assert h.backend.poll([h.entries[0].name], timeout_s=0) == []
    assert not (run / "work").exists()


# --- across processes ------------------------------------------------------------------------------------------------


def test_a_job_whose_submit_died_is_adopted(here, project, wait_until):
    h = here(GATE)
    job = h.entries[0].name
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: len(project.starts) == 2)
        submit.kill()
    assert h.backend.poll([job], timeout_s=0)[0].status is Status.RUNNING
    (project.root / "go").touch()
    assert h.follow(job)[0].status is Status.SUCCEEDED


def test_a_start_that_was_cut_short_is_no_job_and_can_be_made_again(here, project):
    h = here()
    run = h.folder(h.entries[0].name)
    (run / "work" / "half").mkdir(parents=True)
    (run / "lock").touch()
    assert h.backend.poll([h.entries[0].name], timeout_s=0) == []
    assert h.run().status is Status.SUCCEEDED
    assert len(project.starts) == 1


def test_a_job_that_vanished_without_a_word_is_an_infrastructure_failure(here, project, wait_until):
    h = here("exec sleep 600")
    (job,) = h.submit()
    wait_until(lambda: project.starts)
    project.kill_all()
    (seen,) = h.follow(job)
    assert (seen.status, seen.exit_code, seen.infrastructure) == (Status.FAILED, None, True)
    assert "gone without a word" in seen.error


def test_a_run_folder_that_was_deleted_is_not_there_any_more(here, project):
    h = here()
    job = h.run().job
    shutil.rmtree(h.folder(job))
    assert h.backend.poll([job], timeout_s=0) == []
    with pytest.raises(BackendError, match="its run folder was removed"):
        h.log(job)
    fetched = h.backend.fetch(job)
    assert (list(fetched.metrics), list(fetched.outcomes)) == ([], [])


def test_a_log_can_be_followed_until_the_job_ends(here, project, wait_until):
    h = here(f"echo first; {GATE}; echo last")
    (job,) = h.submit()
    lines = h.again().log(job, follow=True)
    text = b""
    while b"first\n" not in text:
        text += next(lines)
    (project.root / "go").touch()
    assert b"last\n" in text + b"".join(lines)


# --- GPUs ------------------------------------------------------------------------------------------------------------

SMI = """#!/bin/sh
case "$1" in
--query-gpu=*) n=0; while [ $n -lt {count} ]; do echo "$n, GPU-$n"; n=$((n + 1)); done;;
--query-compute-apps=*) for n in {active}; do echo "GPU-$n"; done; cat "$PROBE"/active 2> /dev/null;;
*) n=0; while [ $n -lt {count} ]; do echo "GPU $n: Fake"; n=$((n + 1)); done;;
esac
exit 0
"""
GPU_JOB = f'echo "$CUDA_VISIBLE_DEVICES" > "$PROBE/gpus-$NNI_TRIAL_SEQ_ID"\n{GATE}'


@pytest.fixture
def gpus(project, monkeypatch):
    """Make a project on a machine with so many GPUs, of which some are in use by others."""

    def make(count, *, active=(), per_trial=1, trialsPerJob=1, concurrency=6, **service):
        folder = project.root / "bin"
        folder.mkdir()
        (folder / "nvidia-smi").write_text(SMI.format(count=count, active=" ".join(map(str, active))))
        (folder / "nvidia-smi").chmod(0o755)
        project.environ["PATH"] = f"{folder}:{project.environ['PATH']}"
        monkeypatch.setenv("PATH", project.environ["PATH"])
        monkeypatch.setenv("PROBE", str(project.root))
        project.write(GPU_JOB, values=range(6), trialConcurrency=concurrency, trialGpuNumber=per_trial,
                      amlc={"trialsPerJob": trialsPerJob},
                      trainingService={"platform": "local", "useActiveGpu": False, **service})  # fmt: skip
        return Here(project.compile())

    return make


def given(project):
    found = {path.name.removeprefix("gpus-"): path.read_text().strip() for path in project.root.glob("gpus-*")}
    return {name: gpus for name, gpus in found.items() if gpus}  # else it is being written


def test_each_job_gets_a_gpu_of_its_own_and_the_others_wait(gpus, project, wait_until):
    gpus(2)
    with project.start("submit") as submit:
        wait_until(lambda: len(given(project)) == 2)
        assert sorted(given(project).values()) == ["0", "1"]
        assert len(project.starts) == 2
        (project.root / "go").touch()
        submit.communicate()
    assert submit.returncode == 0
    assert len(given(project)) == 6


def test_gpus_are_shared_out_evenly_up_to_trials_per_gpu(gpus, project, wait_until):
    h = gpus(2, maxTrialNumberPerGpu=2)
    assert h.backend.slots == 4
    h.submit(0, 1, 2, 3)
    wait_until(lambda: len(given(project)) == 4)
    assert sorted(given(project).values()) == ["0", "0", "1", "1"]
    (project.root / "go").touch()
    h.follow(*[entry.name for entry in h.entries[:4]])


@pytest.mark.parametrize("sharing", [1, 2])
def test_a_pack_has_no_more_trials_on_a_gpu_than_single_trials_have(gpus, project, wait_until, sharing):
    """With NNI's maxTrialNumberPerGpu K, K trials are on a GPU, packed or not."""
    h = gpus(2, maxTrialNumberPerGpu=sharing, trialsPerJob=3)
    assert h.backend.slots == 2 * sharing
    h.submit(0)
    wait_until(lambda: len(given(project)) == min(3, 2 * sharing))
    h.submit(1)
    wait_until(lambda: len(given(project)) == min(3, 2 * sharing) + 1)
    time.sleep(0.5)  # for one too many
    counts = Counter(given(project).values())
    if sharing == 2:
        assert counts == {"0": 2, "1": 2}
    else:  # the caller's count was wrong: at least one trial of each job runs
        assert counts == {"0": 2, "1": 1}
    assert (h.folder(h.entries[0].name) / "gpus").read_text() == ("0,1" if sharing == 1 else "0,0,1")
    (project.root / "go").touch()
    h.follow(*[entry.name for entry in h.entries])
    assert len(given(project)) == 6


def test_a_pack_is_as_wide_as_the_experiment_allows(gpus, project, wait_until):
    h = gpus(4, trialsPerJob=6, concurrency=3)
    h.submit(0)
    wait_until(lambda: len(given(project)) == 3)
    time.sleep(0.5)
    assert sorted(given(project).values()) == ["0", "1", "2"]
    (project.root / "go").touch()
    h.follow(h.entries[0].name)


def test_what_a_submit_costs_does_not_grow_with_what_was_run_before(gpus, project, monkeypatch):
    h = gpus(2)
    (project.root / "go").touch()
    asked = []
    alive = LocalBackend._alive
    monkeypatch.setattr(LocalBackend, "_alive", lambda self, job: asked.append(job) or alive(self, job))
    costs = []
    for number in range(12):
        asked.clear()
        with monkeypatch.context() as patch:
            if number:
                patch.setattr(Path, "glob", None)  # the run folders are listed once
            h.follow(*h.submit(0, name=f"{h.entries[0].name}-{number + 2}"))
        costs.append(len(asked))
    assert max(costs) <= 3, costs


def test_a_job_can_have_several_gpus(gpus, project, wait_until):
    h = gpus(5, per_trial=2)
    assert h.backend.slots == 2
    h.submit(0, 1)
    wait_until(lambda: len(given(project)) == 2)
    assert sorted(given(project).values()) == ["0,1", "2,3"]


def test_only_the_named_gpus_are_used(gpus, project, wait_until):
    h = gpus(4, gpuIndices="1,3")
    assert h.backend.slots == 2
    h.submit(0, 1)
    wait_until(lambda: len(given(project)) == 2)
    assert sorted(given(project).values()) == ["1", "3"]


def test_gpus_that_others_use_are_left_alone_unless_shared(gpus, project):
    h = gpus(3, active=[0, 2])
    assert h.backend.slots == 1
    header = replace(h.manifest.header, target={"local": {"use_active_gpu": True}})
    assert LocalBackend(project.folders.runs("probe"), header, h.environ).slots == 3


def test_gpus_that_our_own_jobs_use_still_count_after_submit_died(gpus, project, wait_until):
    h = gpus(2)
    h.submit(0, 1)
    wait_until(lambda: len(given(project)) == 2)
    (project.root / "active").write_text("GPU-0\nGPU-1\n")  # nvidia-smi shows our own jobs too
    assert h.again().slots == 2
    (project.root / "go").touch()
    h.follow(*[entry.name for entry in h.entries[:2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"per_trial": 4}, "a trial needs 4 GPUs, and 2 can be used here", id="too-few"),
        pytest.param({"active": [0, 1]}, "a trial needs 1 GPU, and 0 can be used here", id="all-in-use"),
        pytest.param({"gpuIndices": "7"}, "a trial needs 1 GPU, and 0 can be used here", id="no-such"),
    ],
)
def test_gpus_that_cannot_be_had_are_a_clear_error(gpus, options, message):
    h = gpus(2, **options)
    with pytest.raises(BackendError, match=message):
        assert h.backend.slots


def test_missing_gpus_keep_submit_from_working_and_nothing_else(gpus, project):
    gpus(2, per_trial=4)
    assert "a trial needs 4 GPUs" in project.amlc("submit", code=5).stderr
    assert project.starts == []
    project.amlc("status")
    project.amlc("collect", code=4)


def test_without_gpus_on_the_machine_trials_run_all_the_same(project):
    project.write('echo "[${CUDA_VISIBLE_DEVICES-unset}]"', trialGpuNumber=1,
                  trainingService={"platform": "local", "useActiveGpu": True}).compile()  # fmt: skip
    here = Here(project)
    assert here.backend.slots is None
    assert "[unset]" in here.log(here.run().job)


def test_python_of_the_trial_is_the_one_on_the_path(here):
    h = here("python3 -S -c 'import sys; print(sys.executable)'")
    found = Path(h.log(h.run().job).splitlines()[0])
    assert found.parent == Path(sys.executable).parent


def test_signals_for_the_terminal_do_not_reach_the_jobs(here, project, wait_until):
    h = here(GATE)
    (job,) = h.submit()
    wait_until(lambda: project.starts)
    assert all(os.getsid(pid) != os.getsid(0) for pid in project.processes())
    (project.root / "go").touch()
    assert h.follow(job)[0].status is Status.SUCCEEDED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_trial_has_the_environment_of_who_started_it_and_no_other_file_gets_that(project):
    """As SECURITY.md says: what it prints of that is its own."""
    project.write("env", values=range(1)).compile()
    project.amlc("submit", env={"MY_TOKEN": "hunter2"})
    assert "MY_TOKEN=hunter2" in project.amlc("logs", "0").stdout.decode()
    places = (project.folders.build, project.folders.state)
    found = [path for place in places for path in place.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    log = project.run_folder(project.trials[0]) / "user_logs" / "std_log.txt"
    assert [path for path in found if path.parent != log.parent] == []
