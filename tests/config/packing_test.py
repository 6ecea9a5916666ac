"""`amlc.trialsPerJob: auto`: so many trials in a job that starting it hardly counts, and no more than fits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.config import load_experiment
from amlc.config.packing import Packing, check_packing, packing
from amlc.errors import ConfigError
from amlc.model import Choice, Integer, JobPart, Real

AML = {"platform": "aml", "computeTarget": "c", "dockerImage": "i", "subscriptionId": "s"}
AML |= {"resourceGroup": "r", "workspaceName": "w"}
SPACE = (Integer("x", 0, 1000),)
MINUTES = {"maxTrialDuration": "2m", "trialConcurrency": 4, "tuner": {"name": "Random"}, "maxTrialNumber": 1000}
AUTO = {"amlc": {"trialsPerJob": "auto"}}


@pytest.fixture
def packed(read):
    def make(space=SPACE, part=None, **keys):
        config = read(json.dumps({"trainingService": AML, **MINUTES, **keys}))
        return packing(config, space, part or JobPart())

    return make


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param({}, Packing(), id="nobody asked"),
        pytest.param({"amlc": {"trialsPerJob": 7}}, Packing(7), id="as the file says"),
        pytest.param(AUTO, Packing(14, 1, 180), id="two minutes, of which 14 take ten times the start"),
        pytest.param({**AUTO, "maxTrialDuration": "27m"}, Packing(), id="long enough alone"),
        pytest.param({**AUTO, "maxTrialDuration": "26m"}, Packing(2, 1, 180), id="hardly long enough"),
        pytest.param({**AUTO, "maxTrialDuration": 1}, Packing(100, 1, 180), id="a second: not without end"),
        pytest.param({"amlc": {"trialsPerJob": "auto", "jobStart": "10m"}}, Packing(45, 1, 600), id="a slow start"),
        pytest.param({"amlc": {"trialsPerJob": "auto", "jobStart": 1}}, Packing(), id="a quick one"),
        pytest.param({**AUTO, "maxTrialNumber": 20}, Packing(5, 1, 180), id="work for all four"),
        pytest.param({**AUTO, "maxTrialNumber": 3}, Packing(), id="fewer than four"),
        pytest.param({**AUTO, "trialConcurrency": 1000}, Packing(), id="all at once"),
        pytest.param({**AUTO, "maxTrialDuration": None}, Packing(), id="nobody knows how long"),
        pytest.param({**AUTO, "assessor": {"name": "Medianstop"}}, Packing(), id="an assessor ends single ones"),
        pytest.param({**AUTO, "tuner": {"name": "ASHA"}}, Packing(), id="so does ASHA"),
        pytest.param({**AUTO, "tuner": {"className": "a.B"}}, Packing(), id="so may an Advisor"),
        pytest.param({**AUTO, "tuner": {"name": "TPE"}}, Packing(), id="who learns waits for nothing"),
    ],
)
def test_how_many_trials_a_job_has(packed, keys, expected):
    assert packed(**keys) == expected


SHARED = {"trialGpuNumber": 1, "trainingService": {**AML, "maxTrialNumberPerGpu": 2}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(SHARED, Packing(28, 2, 180), id="by itself where trials share a GPU"),
        pytest.param({**SHARED, "amlc": {"trialsPerJob": 1}}, Packing(1), id="not where the file says no"),
        pytest.param({**SHARED, "trialGpuNumber": 0}, Packing(), id="not without GPUs"),
        pytest.param({**SHARED, "tuner": {"name": "TPE"}}, Packing(2, 2, 180), id="who learns: as wide as a GPU"),
        pytest.param({**SHARED, "trialConcurrency": 1}, Packing(14, 1, 180), id="one at a time"),
        pytest.param({**SHARED, "maxTrialDuration": "2h"}, Packing(2, 2, 180), id="long ones side by side"),
        pytest.param({**SHARED, "maxTrialNumber": 1}, Packing(), id="a single one"),
        pytest.param({**AUTO, "trialGpuNumber": 1}, Packing(14, 1, 180), id="a GPU each, and one is known"),
        pytest.param({"trialGpuNumber": 1, "amlc": {"trialsPerJob": "auto", "gpusPerNode": 4}}, Packing(56, 4, 180), id="four of them"),
        pytest.param({"trialGpuNumber": 2, "amlc": {"trialsPerJob": "auto", "gpusPerNode": 4}}, Packing(28, 2, 180), id="two each"),
        pytest.param({"trialGpuNumber": 3, "amlc": {"trialsPerJob": "auto", "gpusPerNode": 4}}, Packing(14, 1, 180), id="three each"),
        pytest.param({"trialGpuNumber": 8, "amlc": {"trialsPerJob": "auto", "gpusPerNode": 4}}, Packing(14, 1, 180), id="more than there are"),
    ],
)  # fmt: skip
def test_they_run_side_by_side_as_the_gpus_of_a_node_allow(packed, keys, expected):
    assert packed(**keys) == expected


def test_the_target_says_how_many_gpus_a_node_has_unless_the_file_does(packed):
    keys = {**AUTO, "trialGpuNumber": 1}
    assert packed(part=JobPart(gpus=2), **keys) == Packing(28, 2, 180)
    given = {**keys, "amlc": {"trialsPerJob": "auto", "gpusPerNode": 1}}
    assert packed(part=JobPart(gpus=2), **given) == Packing(14, 1, 180)


def test_on_this_machine_a_start_takes_no_time_unless_the_file_says_so(packed):
    here = JobPart(uploads=False)
    service = {"platform": "local", "maxTrialNumberPerGpu": 2}
    assert packed(part=here, **AUTO) == Packing()
    assert packed(part=here, trialGpuNumber=1, trainingService=service) == Packing()
    keys = {"amlc": {"trialsPerJob": "auto", "jobStart": "1m"}, "trainingService": service, "trialGpuNumber": 1}
    assert packed(part=here, **keys) == Packing(10, 2, 60)


def test_a_space_bounds_it_and_so_does_the_size_of_its_values(packed):
    keys = {**AUTO, "maxTrialNumber": None, "tuner": {"name": "GridSearch"}}
    assert packed((Integer("x", 0, 8),), **keys) == Packing(2, 1, 180)
    assert packed((Real("x", 0.0, 1.0),), **keys) == Packing(14, 1, 180)
    assert packed((Integer("x", 0, 8),), **{**keys, "amlc": {"trialsPerJob": "auto", "replicates": 4}}) == Packing(8, 1, 180)
    assert packed((Choice("x", ("a" * 40_000, "b")),), **{**keys, "maxTrialNumber": 1000}) == Packing()
    rows = (Choice("x", ({"a": 1},) * 40),)
    assert packed(rows, **{**keys, "tuner": {"name": "Batch"}}) == Packing(14, 1, 180)


@given(
    trials=st.integers(1, 3000) | st.none(),
    concurrency=st.integers(1, 300),
    seconds=st.integers(1, 20_000) | st.none(),
    start=st.integers(1, 4000),
    node=st.integers(1, 16),
    gpus=st.integers(0, 8),
    per_gpu=st.integers(1, 8),
    tuner=st.sampled_from(["Random", "TPE"]),
)
def test_whatever_is_asked_for(tmp_path_factory, trials, concurrency, seconds, start, node, gpus, per_gpu, tuner):
    """Never more side by side than the GPUs and trialConcurrency take, and work for all that may run at once."""
    file = tmp_path_factory.mktemp("packing") / "experiment.yml"
    keys = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": concurrency,
        "maxTrialNumber": trials,
        "maxTrialDuration": seconds,
        "trialGpuNumber": gpus,
        "tuner": {"name": tuner},
        "trainingService": {**AML, "maxTrialNumberPerGpu": per_gpu},
        "amlc": {"trialsPerJob": "auto", "jobStart": start, "gpusPerNode": node},
    }
    file.write_text(json.dumps(keys))
    one, _ = load_experiment(file, environ={})
    size, width = one.trials_per_job, one.abreast or 1
    assert 1 <= width <= min(size, concurrency, max(node * per_gpu // gpus, 1) if gpus else 1)
    assert size % width == 0
    assert size <= 100
    if trials is not None:
        jobs = -(-trials // size)
        assert size == width or jobs >= min(concurrency // width, trials // width)
    if size > width:
        assert tuner == "Random"
        assert seconds is not None
        assert (size // width - 1) * seconds < 9 * start  # one fewer would start too often


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (AUTO, []),
        ({"amlc": {"trialsPerJob": 4}, "assessor": {"name": "Medianstop"}}, []),
        ({**AUTO, "assessor": {"name": "Medianstop"}}, ["may be ended early"]),
        ({**AUTO, "maxTrialDuration": None}, ["without 'maxTrialDuration' nobody knows"]),
    ],
)
def test_where_it_packs_nothing_the_file_is_told(read, keys, said):
    found = list(check_packing(read(json.dumps({"trainingService": AML, **MINUTES, **keys}))))
    assert [problem.path for problem in found] == ["/amlc/trialsPerJob"] * len(said)
    assert all(words in problem.message for words, problem in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("ours", "code"),
    [({"trialsPerJob": "Auto"}, "E-value"), ({"trialsPerJob": 0}, "E-range"), ({"jobStart": "3 weeks"}, "E-value"),
     ({"jobStart": "0s"}, "E-duration"), ({"gpusPerNode": 0}, "E-range")],
)  # fmt: skip
def test_what_is_no_value_of_it(tmp_path, ours, code):
    file = tmp_path / "experiment.yml"
    file.write_text(json.dumps({"searchSpace": {}, "trialCommand": "x", "trainingService": AML, **MINUTES, "amlc": ours}))
    with pytest.raises(ConfigError) as caught:
        load_experiment(file, environ={})
    assert [problem.code for problem in caught.value.problems if problem.severity.value == "error"] == [code]
