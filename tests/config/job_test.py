"""What `amlc.job` may change of a job file."""

import pytest

from amlc.config.job import check_bound, check_job

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
        ("{inputs: [a]}", ["E-job /amlc/job/inputs"]),
        ("{outputs: a}", ["E-job /amlc/job/outputs"]),
        ("{inputs: {a-b: 1}, outputs: {1st: {type: uri_folder}}}", ["E-job /amlc/job/inputs/a-b", "E-job /amlc/job/outputs/1st"]),
        ("{inputs: {a: {type: uri_folder}}}", ["E-job /amlc/job/inputs/a"]),
        ("{inputs: {a: {type: integer, value: 1}, b: {type: uri_folder, path: 'azureml:b:1'}, c: 3, d: null}}", []),
        ("{inputs: {a: {type: uri_folder, path: nowhere}}}", ["E-file /amlc/job/inputs/a/path"]),
        ("{inputs: {a: {type: uri_folder, path: /}}}", ["E-job /amlc/job/inputs/a/path"]),
        ("{environment: {image: i, conda_file: nowhere.yml}}", ["E-file /amlc/job/environment/conda_file"]),
        ("{environment: {build: {path: nowhere}}}", ["E-file /amlc/job/environment/build/path"]),
        ("{outputs: {a: {type: uri_folder, path: models}}}", ["E-job /amlc/job/outputs/a/path"]),
        ("{outputs: {a: {path: 'azureml://datastores/d/paths/${{name}}'}, b: null}}", []),
        (f"{{inputs: {{a: {{? {LONG} : 1}}}}}}", []),
        (f"{{inputs: {{a: {{? {LONG}k : 1}}}}}}", [f"E-job /amlc/job/inputs/a/{LONG}k"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_part_of_a_job_is_one_that_a_file_can_take(read, say, job, said):
    assert say(check_job(read(f"amlc: {{job: {job}}}"))) == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train ${{inputs.data}} ${{ outputs.model }} ${{inputs.n}} $HOME ${{parent.x}}", []),
        ("train --x ${{search_space.x}} ${{ search_space.y }}", ["E-input /trialCommand"] * 2),
        ("train ${{inputs.dat}} ${{inputs.dat}}", ["E-input /trialCommand"]),
        ("train ${{inputs.model}} ${{outputs.data}} ${{inputs.gone}}", ["E-input /trialCommand"] * 3),
    ],
)
def test_a_command_names_the_inputs_and_outputs_that_there_are(read, say, command, said):
    job = "{inputs: {data: {path: 'azureml:d:1'}, n: 3, gone: null}, outputs: {model: {type: uri_folder}}}"
    assert say(check_bound(read(f"trialCommand: '{command}'\namlc: {{job: {job}}}"))) == said


def test_a_slip_is_told(read):
    config = read("trialCommand: train ${{inputs.dat}}\namlc: {job: {inputs: {data: {path: 'azureml:d:1'}}}}")
    (problem,) = check_bound(config)
    assert "Did you mean 'data'?" in problem.message
