"""Keys move and are renamed; comments, order and spelling stay."""

from pathlib import Path

import pytest
import yaml

from amlc.config.legacy.moves import moves, to_v2
from amlc.config.load import parse_document
from amlc.config.rewrite import rewrite

OLD = """\
# A header.

authorName: me
trialConcurrency: 1   # one
#choice: local, remote
trainingServicePlatform: local
tuner: # which
  #choice: TPE, Random
  builtinTunerName: "TPE"
  classArgs:
    # which way
    optimize_mode: maximize
  #gpuIndices: "0"

# The trial
trial:
  command: >-
    python3 a.py
    --fast  # no comment
  codeDir: '.'  # here
  # no GPU
  gpuNum: 0
localConfig: {useActiveGpu: true}
# the end
"""
NEW = """\
# A header.

trialConcurrency: 1   # one
#choice: local, remote
trainingService:
  platform: local
  useActiveGpu: true
tuner: # which
  #choice: TPE, Random
  name: "TPE"
  classArgs:
    # which way
    optimize_mode: maximize
  #gpuIndices: "0"

# The trial
trialCommand: >-
  python3 a.py
  --fast  # no comment
trialCodeDirectory: '.'  # here
# no GPU
trialGpuNumber: 0
# the end
"""


def rewritten(text):
    document = parse_document(text, Path("old.yml"))
    found = list(moves(document.data))
    values = to_v2(found)
    return (*rewrite(text, {move.old: move.new for move in found}, values, document.data), values)


def test_comments_go_with_the_key_that_they_stand_before():
    text, kept, _ = rewritten(OLD)
    assert text == NEW
    assert kept


LAYOUTS = {
    "flow": "{trainingServicePlatform: local, trial: {command: x, codeDir: .}}",
    "flow inside": "trainingServicePlatform: local\ntrial: {command: 'a # b', codeDir: .}  # both\n",
    "json": '{"trainingServicePlatform": "local", "trial": {"command": "x"}}',
    "anchors": "trainingServicePlatform: local\nlocalConfig: &a {useActiveGpu: true}\nexperimentName: x\n",
    "alias first": "searchSpacePath: &s a\ntrainingServicePlatform: local\ntrial: {command: *s}\n",
    "literal": "trainingServicePlatform: local\ntrial:\n  command: |\n    a # b\n\n    c\n\n  codeDir: .\n",
    "quoted over lines": "trainingServicePlatform: local\ntrial:\n  command: 'a\n\n    b'\n  codeDir: .\n",
    "machines": (
        "trainingServicePlatform: remote\nmachineList: # all\n  - ip: 1.2.3.4 # first\n    username: u\n    passwd: p\n"
        "  # second\n  - {ip: h, username: v}\ntrial: {command: x}\n"
    ),
    "machines at the margin": "trainingServicePlatform: remote\nmachineList:\n- ip: a\n  preCommand: b\n- ip: c\n",
    "nulls": "trainingServicePlatform: local\nassessor:\nmaxTrialNum: null\n# x\nlogDir: ~\ntrial:\n  command: x\n",
    "pai": "trainingServicePlatform: pai # old\ntrial:\n  cpuNum: 1\npaiConfig:\n  userName: u # me\n",
    "class": "trainingServicePlatform: local\ntuner:\n  codeDir: a\n  classFileName: b.py # file\n  className: C\n",
    "storage": "trainingServicePlatform: aml\nsharedStorage:\n    # indented by four\n    storageType: NFS\n    nfsServer: n\n",
    "windows": "trainingServicePlatform: local\r\ntrial:\r\n  command: x # y\r\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same(layout):
    text, kept, values = rewritten(LAYOUTS[layout])
    assert yaml.safe_load(text) == values
    assert kept is (layout not in ("flow", "json", "alias first", "machines at the margin")) or layout.endswith(
        "margin"
    )
    if layout == "machines":
        assert "machineList:" in text
        assert "- host: 1.2.3.4 # first" in text
        assert "# second" in text
