"""Fields as Google's own library reads them."""

import math

import pytest

from amlc.viewers import protobuf as pb

struct_pb2 = pytest.importorskip("google.protobuf.struct_pb2", reason="protobuf is missing: make test-all")
wrappers = pytest.importorskip("google.protobuf.wrappers_pb2")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_whole_numbers(value):
    assert wrappers.Int64Value.FromString(pb.integer(1, value)).value == value


@pytest.mark.parametrize("value", [0.0, -0.1, 1e308, math.inf, -math.inf])
def test_floats(value):
    assert wrappers.DoubleValue.FromString(pb.double(1, value)).value == value


@pytest.mark.parametrize(
    ("value", "found"), [(0.5, 0.5), (1e300, math.inf), (-1e300, -math.inf), (1e-300, 0.0), (math.inf, math.inf)]
)
def test_floats_of_32_bits(value, found):
    assert wrappers.FloatValue.FromString(pb.single(1, value)).value == found


@pytest.mark.parametrize(("value", "found"), [("", ""), ("ü✓\n\0", "ü✓\n\0"), ("a\ud800b", "a?b"), ("x" * 300, "x" * 300)])
def test_texts(value, found):
    assert wrappers.StringValue.FromString(pb.text(1, value)).value == found


def test_a_map_of_messages():
    values = {"a": pb.double(2, 1.5), "ü": pb.text(3, "x"), "": pb.integer(4, True)}
    found = struct_pb2.Struct.FromString(pb.mapping(1, values))
    assert dict(found) == {"a": 1.5, "ü": "x", "": True}
