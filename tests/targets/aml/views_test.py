"""What the service says of a job, in amlc's words: above all, which jobs are lost and therefore run again."""

import pytest

from amlc.model import Status
from amlc.targets.aml import views
from amlc.targets.aml.views import DIGEST, EXPERIMENT, HEADER, REVISION, cause, is_late, seconds_in, trials_of, view
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


# What the service is known to say, and where that can be read. GitHub's issues are given as owner/name#number.
LOST = {
    # MicrosoftDocs/azure-docs#66288, Azure/MachineLearningNotebooks#1242
    "pre-empted": ("ServiceError", PREEMPTED),
    # microsoft/MLOpsPython#346
    "pre-empted, and called the user's error": ("UserError", PREEMPTED),
    # getindata/kedro-azureml#6
    "the compute's own container": (
        "ServiceError",
        (
            "AzureMLCompute job failed.\nOrchestrateJobError: Failed to execute command group with error Got "
            "CommonRuntimeJobError from executing command: \nDocker container `x-execution-wrapper` failed with status "
            "code `1` due to response error: \nNone"
        ),
    ),
    # Azure/MachineLearningNotebooks#1160: an exit code, but not where the service says the user's
    "an exit code of another process": ("ServiceError", "Failed to run ['python'] \\n Exit code 250"),
    # Azure/MachineLearningNotebooks#700
    "the service": ("ServiceError", "InternalServerError"),
    # azure.ai.ml.exceptions.ErrorCategory
    "the system": ("SystemError", "Something went wrong."),
    # microsoft/MLOpsPython#113
    "the service, in another word": ("InternalServerError", "An internal server error occurred. Please try again."),
    # kubernetes.io/docs/concepts/containers/images, "ImagePullBackOff"
    "an image that Kubernetes cannot pull": (
        "UserError",
        'Azure Machine Learning Kubernetes job failed. ImagePullBackOff:Back-off pulling image "x"',
    ),
    # kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction
    "a pod that Kubernetes evicts": ("UserError", "AzureML Kubernetes job failed. Evicted:The node was low on memory."),
    # Not published: what the words of these would be.
    "a code alone": ("Preempted", ""),
    "a node": ("NodeLost", "The node that ran the job stopped answering."),
}
FAILED = {
    # Not published.
    "it failed by itself": ("UserError", EXITED.format(1)),
    "named": ("UserError", "Execution failed. User process 'python' exited with status code 1. Please check log file."),
    # Not published: the compute's words for the same.
    "as the compute words it": (
        "UserError",
        (
            "AzureMLCompute job failed.\nJobFailed: Submitted script failed with a non-zero exit code; see the driver log "
            "file for details."
        ),
    ),
    # A registry that the compute may not read: a retry does not help. From a public repository's notes.
    "no image": (
        "UserError",
        (
            "AzureMLCompute job failed.\nAggregatedUnauthorizedAccessError: Failed to pull Docker image "
            "mma.azurecr.io/my-pytorch. This error may occur because the compute could not authenticate."
        ),
    ),
    # learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-kubernetes-compute
    "not enabled": (
        "UserError",
        'Azure Machine Learning Kubernetes job failed. E45004:"Training feature is not enabled, please enable it."',
    ),
    "no token": ("UserError", 'Azure Machine Learning Kubernetes job failed. 400:{"Msg":"Encountered an error"}'),
    # learn.microsoft.com/azure/machine-learning, "ScriptExecution.StreamAccess"
    "no right to its data": ("UserError", "ScriptExecution.StreamAccess.Authentication: it cannot be mounted."),
    # What a program prints, which the service quotes: words of all kinds, and none of them counts.
    **{
        f"it prints: {words}": ("UserError", f"{EXITED.format(1)} Error: {words}")
        for words in (
            "socket.timeout: timed out",
            "TimeoutError: time limit",
            "maximum run duration",
            "exceeded the limit",
            "node lost",
            "unhealthy node",
            "preempted",
            "evicted",
            "ServiceError: 500",
            "JobTimeout",
            PREEMPTED,
        )
    },
    "words without an exit code": ("JobFailed", "The node was lost, evicted and preempted; it timed out."),
    "its own words before the service's": ("UserError", f"python: {PREEMPTED}"),
    "nobody knows": ("JobFailed", "Something went wrong."),
    "a code within a word": ("JobFailed", "ServiceErrorHandler is undefined."),
    "no code": ("", "Something went wrong."),
}


@pytest.mark.parametrize("case", LOST)
def test_a_job_that_lost_its_node_is_retried(case):
    found = cause(details(*LOST[case]))
    assert (found.infrastructure, found.limit, found.code) == (True, False, None)


@pytest.mark.parametrize("case", FAILED)
def test_a_job_that_failed_by_itself_is_not_paid_for_twice(case):
    found = cause(details(*FAILED[case]))
    assert (found.infrastructure, found.limit) == (False, False)


@pytest.mark.parametrize("code", sorted(views._FAULTS))
def test_each_code_of_a_fault_is_one_wherever_it_stands(code):
    said = "Something went wrong."
    assert cause(details(code, said)).infrastructure
    assert cause(details(code.upper(), said)).infrastructure
    assert cause(details("JobFailed", said, "Other", code)).infrastructure
    assert cause(details("UserError", f"AzureMLCompute job failed.\n{code}: {said}")).infrastructure
    assert not cause(details("UserError", said, code)).infrastructure
    assert not cause(details(code, EXITED.format(1))).infrastructure
    assert not cause(details("JobFailed", f"{code}: {said}")).infrastructure


LIMITED = {"limits": {"jobLimitsType": "Command", "timeout": "PT1M"}}
SAID = "The job reached its maximum run duration."


@pytest.mark.parametrize(
    ("status", "why", "limits", "ran_s", "late"),
    [
        pytest.param("Canceled", ("JobTimeout", SAID), LIMITED, 1.0, True, id="the limit's own code"),
        pytest.param("Failed", ("JobTimeout", SAID), LIMITED, 1.0, True, id="failed, by the limit's own code"),
        pytest.param("Failed", ("JobFailed", SAID, "JobTimeout"), LIMITED, 1.0, True, id="the code inside"),
        # kubernetes.io/docs/concepts/workloads/controllers/job, "activeDeadlineSeconds"
        pytest.param(
            "Failed",
            ("UserError", "AzureML Kubernetes job failed. DeadlineExceeded:It was active for too long."),
            LIMITED,
            1.0,
            True,
            id="Kubernetes' code",
        ),
        pytest.param("Canceled", ("JobTimeout", SAID), {}, 1.0, False, id="no limit is set"),
        pytest.param("Canceled", ("JobTimeout", SAID), LIMITED, None, False, id="it never began"),
        pytest.param("Canceled", None, LIMITED, 60.0, True, id="canceled when its time was up"),
        pytest.param("Canceled", ("JobCanceled", SAID), LIMITED, 60.0, True, id="canceled then, with another code"),
        pytest.param("Canceled", None, LIMITED, 59.9, False, id="canceled before"),
        pytest.param("Canceled", ("NodeLost", SAID), LIMITED, 60.0, False, id="its node is lost"),
        pytest.param("Canceled", ("UserError", EXITED.format(1)), LIMITED, 60.0, False, id="it failed by itself"),
        pytest.param("Failed", ("UserError", SAID), LIMITED, 60.0, False, id="failed, in the limit's words"),
        pytest.param(
            "Failed", ("UserError", f"{EXITED.format(1)} JobTimeout"), LIMITED, 60.0, False, id="it prints so"
        ),
        pytest.param("Failed", None, LIMITED, 60.0, False, id="failed, and nobody knows why"),
    ],
)
def test_a_job_is_late_by_the_limits_code_or_when_it_was_canceled_at_its_limit(status, why, limits, ran_s, late):
    found = cause(details(*why)) if why else None
    assert is_late(view(resource(status=status, **limits)), found, ran_s) is late


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT35M", 2100.0), ("P1DT2H3M4.5S", 93784.5), ("PT0S", 0.0), ("", None), (None, None), ("1h", None)],
)
def test_a_duration_is_read(text, seconds):
    assert seconds_in(text) == seconds


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (EXITED.format(127), 127),
        ("Execution failed. User process 'python' exited with status code 3. Error: x", 3),
        # learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-kubernetes-compute, "Job failed. 137"
        ("Azure Machine Learning Kubernetes job failed. 137:PodPattern matched: {}", 137),
        ("Azure Machine Learning Kubernetes job failed. 400:{}", None),
        ("Failed with exit code: 3", None),
        (f"It said: {EXITED.format(3)}", None),
        ("It ended without one.", None),
        ("Execution failed. User process exited with status code 1234", None),
    ],
)
def test_the_exit_code_of_the_command_is_read_where_the_service_says_it(message, code):
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


@pytest.mark.parametrize("status", ["Running", "Queued", "NotResponding", "Failed", "Completed", "Canceled"])
def test_who_follows_jobs_can_do_without_most_of_them(status):
    more = {"limits": {"timeout": "PT1M"}, "distribution": {"distributionType": "Mpi"}, "inputs": {"x": 1}}
    job = view(resource("job", ONE, TWO, status=status, tags={"a": "b"}, **more))
    slim = job.slim
    for name in ("name", "status", "raw_status", "experiment", "limit_s", "is_distributed", "created"):
        assert getattr(slim, name) == getattr(job, name)
    assert slim.url("t") == job.url("t")
    assert trials_of(slim) == trials_of(job)
    assert (slim.completed.raw_status, slim.completed.url("t"), slim.completed.limit_s) == ("Completed", job.url("t"), 60)
    assert (slim.tags, slim.properties.get("inputs")) == ({}, None)
