"""What the service says of a job, in amlc's words: above all, which jobs are lost and therefore run again."""

import pytest

from amlc.model import Status
from amlc.targets.aml.views import DIGEST, EXPERIMENT, HEADER, REVISION, cause, trials_of, view
from tests.targets.aml.workspace import ONE, TWO, resource

PREEMPTED = (
    "AzureMLCompute job failed.\nPreemptionError: Nodes of this job got pre-empted. Check if the run has failed or "
    "restarted.\n\tReason: Received pre-emption warning signal."
)
EXITED = "Execution failed. User process exited with status code {}. See user_logs/std_log.txt."


def details(code, message, *inner):
    """Return the run history's details of a failed run; `inner`: the codes of the errors inside its error."""
    innermost = None
    for each in reversed(inner):
        innermost = {"code": each, "innerError": innermost}
    error = {"code": code, "message": message, "severity": None, "details": [], "innerError": innermost}
    return {"runId": "job", "status": "Failed", "error": {"error": error, "time": "2026-11-25T08:00:00Z"}}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *[
            (word, Status.WAITING)
            for word in ("NotStarted", "Scheduled", "Starting", "Provisioning", "Preparing", "Queued")
        ],
        *[(word, Status.RUNNING) for word in ("Running", "Finalizing", "CancelRequested")],
        ("Completed", Status.SUCCEEDED),
        ("Failed", Status.FAILED),
        ("Canceled", Status.CANCELED),
    ],
)
def test_each_word_of_the_service_has_one_of_ours(word, status):
    assert view(resource(status=word)).status is status


@pytest.mark.parametrize("word", ["NotResponding", "Paused", "completed", "Resurrected", "", None])
def test_a_word_after_which_a_job_may_go_on_is_no_end(word):
    status = view(resource(status=word)).status
    assert status is Status.UNKNOWN
    assert not status.ended


@pytest.mark.parametrize(
    ("code", "message", "inner"),
    [
        pytest.param(
            "JobPreempted", "The job was preempted: its low-priority node was taken back.", (), id="preempted"
        ),
        pytest.param("ServiceError", PREEMPTED, (), id="pre-empted, as the compute words it"),
        pytest.param("UserError", PREEMPTED, (), id="pre-empted, and called the user's error"),
        pytest.param("Preempted", "", (), id="a code alone"),
        pytest.param("JobFailed", "The spot node was evicted.", (), id="evicted"),
        pytest.param("NodeLost", "The node that ran the job stopped answering.", (), id="node lost"),
        pytest.param("JobFailed", "Node lost.", (), id="node lost, in words"),
        pytest.param("JobFailed", "The node was lost during the run.", (), id="a node that was lost"),
        pytest.param("JobFailed", "Stopped because of a lost node.", (), id="a lost node"),
        pytest.param("JobFailed", "Stopped after a node failure.", (), id="node failure"),
        pytest.param("JobFailed", "It ran on an unhealthy node.", (), id="unhealthy node"),
        pytest.param("ServiceError", "InternalServerError: the service could not run the job.", (), id="service"),
        pytest.param("SystemError", "Something went wrong.", (), id="system"),
        pytest.param("InternalError", "Something went wrong.", (), id="internal"),
        pytest.param("JobFailed", "Something went wrong.", ("ServiceError",), id="inside"),
        pytest.param("JobFailed", "Something went wrong.", ("Other", "NodeLost"), id="far inside"),
        pytest.param("nodelost", "Something went wrong.", (), id="case does not count"),
    ],
)
def test_a_job_that_lost_its_node_is_retried(code, message, inner):
    found = cause(details(code, message, *inner))
    assert (found.infrastructure, found.late) == (True, False)


@pytest.mark.parametrize(
    ("code", "message", "inner"),
    [
        pytest.param("UserError", EXITED.format(1), (), id="it failed by itself"),
        pytest.param("UserError", EXITED.format(1), ("ServiceError",), id="whatever is inside"),
        pytest.param("UserError", f"{EXITED.format(1)} Error: RuntimeError: unhealthy node", (), id="its own words"),
        pytest.param("UserError", f"{EXITED.format(1)} Error: {PREEMPTED}", (), id="what it quotes"),
        pytest.param("usererror", "Something about a lost node.", (), id="case does not count"),
        pytest.param("UserError", "AzureMLCompute job failed.\nJobFailed: Submitted script failed with a non-zero exit code; see "
                     "the driver log file for details.", (), id="as the compute words it"),
        pytest.param("UserError", "AzureMLCompute job failed.\nAggregatedUnauthorizedAccessError: Failed to pull Docker image "
                     "mma.azurecr.io/my-pytorch. This error may occur because the compute could not authenticate.", (), id="no image"),
        pytest.param("JobFailed", "Something went wrong.", (), id="nobody knows"),
        pytest.param("JobFailed", "ServiceErrorHandler is undefined.", (), id="a code within a word"),
        pytest.param("", "Something went wrong.", (), id="no code"),
    ],
)  # fmt: skip
def test_a_job_that_failed_by_itself_is_not_paid_for_twice(code, message, inner):
    assert not cause(details(code, message, *inner)).infrastructure


@pytest.mark.parametrize(
    "message",
    [
        "The job reached its maximum run duration.",
        "The job timed out.",
        "The run exceeded its time limit.",
        "JobTimeout",
        "It was canceled: max run duration.",
        "It was canceled: maximum duration.",
        "The job exceeded the limit of 3600 seconds.",
    ],
)
@pytest.mark.parametrize("code", ["JobFailed", "UserError", "ServiceError"])
def test_a_job_at_its_time_limit_is_late(code, message):
    found = cause(details(code, message))
    assert (found.late, found.infrastructure) == (True, code == "ServiceError")


def test_a_code_alone_says_that_a_job_is_late():
    assert cause(details("JobTimeout", "The job reached its maximum run duration.")).late
    assert cause(details("JobFailed", "It ended.", "JobTimeout")).late


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (EXITED.format(127), 127),
        ("Failed with exit code: 3", 3),
        ("exit code 0", 0),
        ("It ended without one.", None),
        ("status code 1234", None),
        ("http status codes 500", None),
    ],
)
def test_the_exit_code_of_the_command_is_read(message, code):
    assert cause(details("UserError", message)).code == code


def test_why_a_job_failed_is_one_line():
    assert (
        cause(details("UserError", " Execution failed.\n\tSee  the log. ")).text
        == "UserError: Execution failed. See the log."
    )
    assert cause(details("", "It failed.")).text == "It failed."
    assert cause(details("", "It failed.", "NodeLost")).text == "It failed."
    assert cause(details("JobFailed", "x" * 5_000)).text == "JobFailed: " + "x" * 989


def test_an_error_that_is_not_wrapped_is_read_as_well():
    found = cause({"error": {"code": "NodeLost", "message": "It is gone."}})
    assert (found.text, found.infrastructure) == ("NodeLost: It is gone.", True)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"error": None},
        {"error": {}},
        {"error": {"error": None}},
        {"error": {"error": {"code": None, "message": None}}},
        {"error": {"error": {"code": "", "message": " \n", "innerError": {"code": None}}}},
    ],
    ids=str,
)
def test_details_that_say_nothing_give_no_cause(value):
    assert cause(value) is None


def test_a_code_without_a_message_is_a_cause():
    assert cause({"error": {"error": {"code": "NodeLost", "message": None}}}).infrastructure
    assert cause({"error": {"error": {"message": "", "innerError": {"code": "NodeLost"}}}}).infrastructure


def test_an_inner_error_that_is_no_mapping_is_left_alone():
    assert (
        cause({"error": {"code": "JobFailed", "message": "It failed.", "innerError": "NodeLost"}}).text
        == "JobFailed: It failed."
    )


def test_a_view_reads_the_job():
    job = view(
        resource(
            "job",
            ONE,
            TWO,
            tags={"amlc.trial": ONE},
            properties={"amlc.revision": "9e7a6c"},
            computeId="/subscriptions/s/computes/cpu-cluster",
        )
    )
    assert (job.name, job.raw_status, job.experiment, job.compute) == ("job", "Running", "mnist", "cpu-cluster")
    assert (job.tags, job.notes) == ({"amlc.trial": ONE}, {"amlc.revision": "9e7a6c"})
    assert job.created == "2026-11-25T08:00:00Z"
    assert [trial.id for trial in trials_of(job)] == [ONE, TWO]


def test_a_view_of_a_bare_job_is_empty():
    job = view({"name": "job"})
    assert (job.raw_status, job.experiment, job.compute, job.created) == ("", "Default", "", "")
    assert (job.tags, job.notes, job.variables, job.url("t"), trials_of(job)) == ({}, {}, {}, None, ())


def test_a_page_names_the_tenant_where_it_is_known():
    job = view(resource("job", services={"Studio": {"endpoint": "https://ml.azure.com/runs/job?wsid=w"}}))
    assert job.url("t") == "https://ml.azure.com/runs/job?wsid=w&tid=t"
    assert job.url(None) == "https://ml.azure.com/runs/job?wsid=w"
    assert view(resource("job", services={"Studio": {}})).url("t") is None


def test_the_marks_by_which_paid_work_is_found_again_stay_what_they_are():
    assert (EXPERIMENT, REVISION, DIGEST, HEADER) == ("amlc.experiment", "amlc.revision", "amlc.digest", "amlc.header")
