"""The names under which paid work is found again."""

from __future__ import annotations

from amlc.names import JOB_NAME, aml_name, imported_name, job_id, slug


def test_a_name_of_another_locale_has_the_slug_of_what_its_bytes_are() -> None:
    assert slug("\udcff").startswith("experiment-")
    assert slug("\u00fc".encode().decode("ascii", "surrogateescape")) == slug("\u00fc")


def test_names_are_what_the_service_takes() -> None:
    assert aml_name("my exp/é" * 60) == ("my_exp__" * 60)[:255]


def test_a_job_has_the_id_of_its_only_trial_or_one_of_all_of_them() -> None:
    assert job_id(["a"]) == "a"
    assert len(job_id(["a", "b"])) == 16
    assert len({job_id(["a", "b"]), job_id(["b", "a"]), job_id(["a", "bc"]), job_id(["a", "b", "c"])}) == 4


def test_no_job_has_the_name_of_what_was_imported() -> None:
    name = imported_name("My exp", "0123456789abcdef")
    assert name.endswith("-0123456789abcdef-imported")
    assert JOB_NAME.fullmatch(name) is None
