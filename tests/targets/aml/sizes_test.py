"""The GPUs of a node, by the name of its size."""

import pytest

from amlc.targets.aml.sizes import gpus_of


@pytest.mark.parametrize(
    ("size", "expected"),
    [("Standard_NC6", 1), ("STANDARD_NC24s_v3", 4), ("standard_nd96asr_v4", 8), ("NC48ads_A100_v4", 2), ("Standard_D4s_v3", None)],
)
def test_a_size_has_its_gpus(size, expected):
    assert gpus_of({"resources": {"instance_type": size}}) == expected


@pytest.mark.parametrize("job", [None, {}, {"resources": None}, {"resources": {"instance_count": 2}}, {"resources": {"instance_type": 1}}])
def test_what_names_no_size_says_nothing(job):
    assert gpus_of(job) is None
