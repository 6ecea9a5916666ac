"""The names under which paid work is found again."""

from __future__ import annotations

from amlc.names import aml_name


def test_names_are_what_the_service_takes() -> None:
    assert aml_name("my exp/é" * 60) == ("my_exp__" * 60)[:255]
