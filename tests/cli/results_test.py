"""What may be asked for together of the results, and what may not."""

import pytest

from amlc.cli import results
from amlc.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--history", "--aggregate", "mean"], "--history and --aggregate are two tables"),
        (["--as", "nni-json", "--aggregate", "mean"], "--as nni-json: NNI aggregates nothing"),
        (["--cost", "--history"], "--cost is of trials"),
        (["--cost", "--aggregate", "mean"], "--cost is of trials"),
        (["--cost", "--as", "nni-csv"], "--cost is of trials"),
        (["--to", "wandb", "x", "--cost"], "--to sends all that is known"),
        (["--to", "wandb", "x", "--history"], "--to sends all that is known"),
        (["--to", "wandb", "x", "--aggregate", "mean"], "--to sends all that is known"),
        (["--to", "wandb", "x", "--as", "nni-csv"], "--to sends all that is known"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_two_tables_are_not_written_at_once(call, arguments, message):
    with pytest.raises(UsageError, match=message):
        call(results.collect, *arguments)


@pytest.mark.parametrize("arguments", [[], ["1", "2", "3"], ["--best", "1", "2"]], ids=" ".join)
def test_a_download_is_of_one_trial(call, arguments):
    with pytest.raises(UsageError, match="name a trial and perhaps a folder"):
        call(results.download, *arguments)


def test_the_best_trial_s_job_is_its_name_alone(project, call, capsys):
    project.write(values=range(1)).compile().amlc("-q", "submit")
    call(results.best, "--job")
    (entry,) = project.manifest.entries()
    assert capsys.readouterr().out == f"{entry.name}\n"
