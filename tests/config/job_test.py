"""What `amlc.job` may change of a job file."""

import pytest

from amlc.config.job import check_job

LONG = "k" * 1_000


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("{}", []),
        ("text", []),
        ("{resources: {shm_size: 8g}, compute: null, limits: null}", []),
        ("{name: x}", ["E-job /amlc/job/name"]),
        ("{type: command}", ["E-job /amlc/job/type"]),
        ("{$schema: x}", ["E-job /amlc/job/$schema"]),
        ("{code: null}", ["E-job /amlc/job/code"]),
        ("{command: null}", ["E-job /amlc/job/command"]),
        ("{environment: null}", ["E-job /amlc/job/environment"]),
        ("{display_name: null}", ["E-job /amlc/job/display_name"]),
        ("{experiment_name: null}", ["E-job /amlc/job/experiment_name"]),
        ("{environment_variables: null}", ["E-job /amlc/job/environment_variables"]),
        ("{tags: null}", ["E-job /amlc/job/tags"]),
        ("{tags: {amlc.trial: x}}", ["E-job /amlc/job/tags/amlc.trial"]),
        ("{tags: {amlc: x, AMLC_X: y}}", []),
        ("{tags: [x]}", ["E-job /amlc/job/tags"]),
        ("{environment_variables: {AMLC_X: x, amlc.x: y}}", ["E-job /amlc/job/environment_variables/AMLC_X"]),
        ("{environment_variables: text}", ["E-job /amlc/job/environment_variables"]),
        ("{resources: {instance_count: 1}}", []),
        ("{resources: {instance_count: 0}}", ["E-job /amlc/job/resources/instance_count"]),
        ("{resources: {instance_count: true}}", ["E-job /amlc/job/resources/instance_count"]),
        ("{resources: {instance_count: '2'}}", ["E-job /amlc/job/resources/instance_count"]),
        ("{resources: 2}", ["E-job /amlc/job/resources"]),
        ("{resources: null}", []),
        ("{inputs: {a: [1, {b: .nan}]}}", ["E-job /amlc/job/inputs/a/1/b"]),
        ("{inputs: {a: .inf}}", []),
        (f"{{inputs: {{a: {{? {LONG} : 1}}}}}}", []),
        (f"{{inputs: {{a: {{? {LONG}k : 1}}}}}}", [f"E-job /amlc/job/inputs/a/{LONG}k"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_part_of_a_job_is_one_that_a_file_can_take(read, say, job, said):
    assert say(check_job(read(f"amlc: {{job: {job}}}"))) == said
