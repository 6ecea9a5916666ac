"""A notebook with an experiment in it, executed as Jupyter would: it shows progress, results and report."""

import os
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

from amlc.api.notebook import line
from amlc.drive import Progress

ROOT = Path(__file__).parents[2]
CELLS = (
    """\
import amlc
from pathlib import Path
Path("trial.py").write_text("import nni; nni.report_final_result(nni.get_next_parameter()['x'])")
experiment = amlc.Experiment("local")
experiment.config.experiment_name = "notes"
experiment.config.search_space = {"x": {"_type": "choice", "_value": [1, 2, 3]}}
experiment.config.trial_command = "python3 trial.py"
experiment.config.trial_concurrency = 2
experiment.config.tuner.name = "GridSearch"
experiment.problems""",
    "experiment.run()",
    "results = experiment.results(); results.best('maximize')['param.x'], results.to_polars().shape",
    "experiment.report()",
    "amlc.load('none.yml')",
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The cells of a notebook after its execution, in a folder of its own."""
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AMLC_", "NNI_"))}
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    client = nbclient.NotebookClient(book, timeout=120, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / ".ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        client.execute(env={**own, "PATH": path, "PYTHONPATH": python_path, "IPYTHONDIR": str(folder / ".ipython")})
    return book.cells


def shown(cell, kind="text/plain"):
    """What a cell shows in a form, the last in each place."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def test_what_is_wrong_is_a_value(cells):
    assert shown(cells[0]) == ["()"]


def test_a_run_shows_a_line_that_ends_with_all_trials_done(cells):
    progress, results = shown(cells[1], "text/html")
    now = Progress()
    now.ended = 3
    assert progress == line("notes", 3, now)
    assert results.count("<tr>") == 4
    assert "3 of 3 trials done" in results
    assert [output for output in cells[1].outputs if output.output_type == "stream"] == []


def test_results_go_on_into_polars(cells):
    (text,) = shown(cells[2])
    assert text.startswith("(3, (3, ")


def test_a_report_shows_in_a_frame(cells):
    (page,) = shown(cells[3], "text/html")
    assert page.startswith("<iframe srcdoc=")
    assert "notes" in page


def test_an_error_is_one_line_and_ends_no_kernel(cells):
    (output,) = cells[4].outputs
    assert output.ename == "UnreadableError"
    assert output.evalue.startswith("none.yml")
