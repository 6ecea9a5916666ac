"""Old experiments run as they stand, or after `amlc migrate`: a file of NNI 1, and one with annotations."""

import csv
import io

import pytest

V1 = """\
authorName: me
experimentName: old
trialConcurrency: 2
maxExecDuration: 1h
maxTrialNum: 4
#choice: local, remote, pai, kubeflow
trainingServicePlatform: local
#choice: true, false
useAnnotation: false
searchSpacePath: space.json
tuner:
  #choice: TPE, Random, Anneal, Evolution
  builtinTunerName: Random
  classArgs:
    #choice: maximize, minimize
    optimize_mode: maximize
trial:
  command: python3 -S trial.py
  codeDir: code
  gpuNum: 0
"""
# As NNI's mnist-annotation is made, without the network.
ANNOTATED = '''\
"""A classifier."""

import logging


class Network(object):
    def __init__(self, conv_size, learning_rate):
        """@nni.variable(nni.choice(2, 3, 5, 7),name=self.conv_size)"""
        self.conv_size = conv_size
        """@nni.variable(nni.uniform(0.0001, 0.1), name=self.learning_rate)"""
        self.learning_rate = learning_rate

    def build(self):
        """@nni.function_choice(max_pool(self.conv_size), avg_pool(self.conv_size), name=max_pool)"""
        pool = max_pool(self.conv_size)
        return pool


def max_pool(size):
    return 100 + size


def avg_pool(size):
    return 200 + size


def main(params):
    network = Network(params['conv_size'], params['learning_rate'])
    for step in range(2):
        accuracy = network.build() + step
        """@nni.report_intermediate_result(accuracy)"""
        logging.debug('sent')
    """@nni.report_final_result(accuracy)"""


if __name__ == '__main__':
    \'\'\'@nni.get_next_parameter()\'\'\'
    main({'conv_size': 5, 'learning_rate': 1e-4})
'''
PLAIN = "import nni\np = nni.get_next_parameter()\nnni.report_final_result(p['x'])\n"


@pytest.fixture
def project(make_project):
    def make(text, script):
        one = make_project("project")
        (one.root / "code").mkdir()
        (one.root / "code" / "trial.py").write_text(script)
        (one.root / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')
        (one.root / "old.yml").write_text(text)
        return one

    return make


def rows(done):
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


def test_a_file_of_nni_1_runs_and_a_migrated_one_is_the_same_experiment(project):
    one = project(V1, PLAIN)
    found = rows(one.amlc("run", "old.yml"))
    assert [row["status"] for row in found] == ["succeeded"] * 4
    assert all(row["metric.default"] == row["param.x"] for row in found)
    one.amlc("migrate", "old.yml", "--in-place")
    assert "#choice: maximize, minimize" in (one.root / "old.yml").read_text()
    again = one.amlc("run", "old.yml")
    assert "0 submitted" in again.stderr
    assert rows(again) == found


def test_an_annotated_experiment_runs_after_migrate(project):
    one = project(V1.replace("useAnnotation: false\nsearchSpacePath: space.json", "useAnnotation: true"), ANNOTATED)
    assert "amlc migrate old.yml --in-place" in one.amlc("validate", "old.yml", code=1).stderr
    one.amlc("migrate", "old.yml", "--in-place")
    found = rows(one.amlc("run", "old.yml"))
    for row in found:
        pool = 100 if row["param.max_pool"].startswith("max_pool") else 200
        assert float(row["metric.default"]) == pool + int(row["param.self.conv_size"]) + 1
        assert 0.0001 <= float(row["param.self.learning_rate"]) <= 0.1
    assert len({row["param.max_pool"] for row in found}) == 2
