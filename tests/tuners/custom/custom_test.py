"""Tuners and Advisors of the user's own run as they are, and survive a restart at any point."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from amlc.errors import AmlcError
from amlc.model import Algorithm, Record, Status
from amlc.tuners import custom
from amlc.tuners.custom import replay
from amlc.user_code import UserCodeError
from tests.conftest import work

# What the classes draw from numpy and json_tricks is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:json_tricks")

SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1]},
    "n": {"_type": "randint", "_value": [0, 50]},
    "c": {"_type": "choice", "_value": ["a", 1, True]},
}

CLASSES = """
    import random, time
    import numpy as np
    import nni
    from nni.tuner import Tuner
    from nni.algorithms.hpo.evolution_tuner import EvolutionTuner
    from nni.algorithms.hpo.tpe_tuner import TpeTuner

    class MyTpe(TpeTuner):
        "NNI's own, whose generator has no seed."
        def __init__(self, mode="maximize", startup=4):
            super().__init__(optimize_mode=mode, tpe_args={"n_startup_jobs": startup})

    class MyEvolution(EvolutionTuner):
        pass

    class Hill(Tuner):
        "Climbs, with the random numbers of the standard library and of numpy."
        def __init__(self, step=0.1):
            self.step, self.best = step, None
        def update_search_space(self, space):
            self.space = space
        def generate_parameters(self, parameter_id, **kwargs):
            x = random.random() if self.best is None else self.best[1] + random.gauss(0, self.step)
            return {"x": min(max(x, 0), 1), "n": np.random.randint(50), "c": np.random.default_rng().choice(3)}
        def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
            if self.best is None or value > self.best[0]:
                self.best = (value, parameters["x"])
"""
HYPERBAND = "nni.algorithms.hpo.hyperband_advisor.Hyperband"


@dataclass(frozen=True)
class Project:
    """A folder with the user's module `mine`."""

    folder: Path

    def write(self, source: str, module: str = "mine") -> Project:
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        return self

    def tuner(self, class_name: str, **class_args):
        return custom.tuner(self.algorithm(class_name, **class_args))

    def algorithm(self, class_name: str, **class_args) -> Algorithm:
        return Algorithm(class_name=class_name, code_directory=self.folder, class_args=class_args)


@pytest.fixture
def project(tmp_path):
    custom._kept.clear()
    replay._warned.clear()
    return Project(tmp_path).write(CLASSES)


@pytest.fixture
def space(parsed):
    return parsed(SPACE)


def value_of(parameters) -> float:
    return -((parameters["x"] - 0.3) ** 2) - 0.001 * parameters["n"]


def propose(tuner, space, history, *, count=1, seed=3, allowed=lambda parameters: True):
    return list(tuner.propose(space, history, count=count, seed=seed, args={}, allowed=allowed))


def run(tuner, space, *, trials, concurrency=1, fresh=False, fails=(), **options):
    """Run trials as the loop does, which end in another order than they began; return the records."""
    history: list[Record] = []
    clock = 0
    while sum(record.status.ended for record in history) < trials:
        free = min(concurrency - sum(not record.status.ended for record in history), trials - len(history))
        if fresh:
            custom._kept.clear()
        clock += 1
        for parameters in propose(tuner, space, history, count=free, **options):
            history.append(Record(parameters=json.loads(json.dumps(parameters)), asked=clock))
        running = [index for index, record in enumerate(history) if not record.status.ended]
        if not running:
            break
        index = running[len(history) % len(running)]
        clock += 1
        status = Status.FAILED if index in fails else Status.SUCCEEDED
        value = None if index in fails else value_of(history[index].parameters)
        history[index] = replace(history[index], status=status, value=value, told=clock)
    return history


CASES = [
    pytest.param("mine.MyTpe", {}, id="NNI's TPE, unseeded"),
    pytest.param("mine.MyEvolution", {"population_size": 6}, id="NNI's Evolution, unseeded"),
    pytest.param("mine.Hill", {"step": 0.05}, id="a Tuner of one's own"),
    pytest.param(HYPERBAND, {"R": 9, "eta": 3}, id="NNI's Hyperband, an Advisor"),
    pytest.param(HYPERBAND, {"R": 9, "eta": 3, "exec_mode": "serial"}, id="Hyperband that waits"),
]


# --- restarts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_restart_before_every_call_changes_nothing(project, space, name, arguments, concurrency):
    tuner = project.tuner(name, **arguments)
    options = {"trials": 24, "concurrency": concurrency, "fails": {3, 8, 17}}
    kept = run(tuner, space, **options)
    assert len(kept) == 24
    assert run(tuner, space, fresh=True, **options) == kept
    assert run(project.tuner(name, **arguments), space, seed=4, **options) != kept


@pytest.mark.parametrize(("name", "arguments"), CASES[:3])
def test_a_new_process_proposes_the_same(project, space, name, arguments):
    tuner = project.tuner(name, **arguments)
    history = run(tuner, space, trials=9, concurrency=2)
    expected = propose(tuner, space, history, count=2)
    code = f"""
        import warnings; warnings.simplefilter("ignore")
        from pathlib import Path, PosixPath
        from amlc.model import *
        from amlc.tuners import custom
        import json, sys
        def record(status, **fields): return Record(status=Status(status), **fields)
        history = [record(**fields) for fields in json.loads(sys.argv[1])]
        tuner = custom.tuner({project.algorithm(name, **arguments)!r})
        print(json.dumps(list(tuner.propose({space!r}, history, count=2, seed=3, args={{}}, allowed=bool))))
    """
    fields = [
        {name: getattr(record, name) for name in ("parameters", "status", "value", "asked", "told")}
        for record in history
    ]
    command = [sys.executable, "-c", textwrap.dedent(code), json.dumps(fields)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(("name", "arguments"), CASES[:3])
def test_several_at_once_are_those_that_single_calls_give(project, space, name, arguments):
    tuner = project.tuner(name, **arguments)
    history = run(tuner, space, trials=8)
    single = list(history)
    for _ in range(4):
        single += [Record(parameters=p, asked=100) for p in propose(tuner, space, single)]
    for _ in range(2):  # asked again, what was proposed but not tried stays proposed
        assert propose(tuner, space, history, count=4) == [record.parameters for record in single[8:]]
    custom._kept.clear()
    assert propose(tuner, space, history, count=4) == [record.parameters for record in single[8:]]
    assert propose(tuner, space, history, count=2) == [record.parameters for record in single[8:10]]
    assert propose(tuner, space, history, count=0) == []


def test_a_proposal_that_was_dropped_leaves_no_trace(project, space):
    tuner = project.tuner("mine.Hill")
    history = run(tuner, space, trials=6)
    first, *_ = propose(tuner, space, history, count=3)
    running = Record(parameters=first, asked=50)
    history.append(replace(running, status=Status.SUCCEEDED, value=9.0, told=51))
    expected = propose(tuner, space, history)
    custom._kept.clear()
    assert propose(tuner, space, history) == expected


def test_tuners_learn(project, space):
    history = run(project.tuner("mine.Hill", step=0.02), space, trials=60)
    assert abs(max(history, key=lambda record: record.value).parameters["x"] - 0.3) < 0.05


def test_trials_are_proposed_only_for_free_slots(project):
    assert project.tuner("mine.Hill").ahead([], args={}) == 0


def test_an_endless_request_is_answered_lazily(project, space):
    proposals = project.tuner("mine.Hill").propose(
        space, [], count=sys.maxsize, seed=0, args={}, allowed=lambda parameters: True
    )
    assert len(list(islice(proposals, 5))) == 5


def test_each_of_a_thousand_records_is_replayed_once(project, space):
    tuner = project.tuner("mine.Hill")
    history = []
    for number in range(1000):
        [parameters] = propose(tuner, space, history) if number < 5 else [{"x": 0.5, "n": 1, "c": 0}]
        history.append(
            Record(parameters=parameters, status=Status.SUCCEEDED, value=1.0, asked=2 * number, told=2 * number + 1)
        )
    with pytest.warns(RuntimeWarning, match="does not propose the same"):
        propose(tuner, space, history)
    few = work(lambda: propose(tuner, space, history[:250]))
    assert work(lambda: propose(tuner, space, history)) < 5 * few


# --- what the class is told ---------------------------------------------------------------------------------------

RECORDING = """
    import nni
    from nni.tuner import Tuner

    class Recording(Tuner):
        calls = []
        def note(self, *what):
            self.calls.append(what)
        def update_search_space(self, space):
            self.calls.clear()
            self.note("space", space)
        def import_data(self, data):
            self.note("import", data)
        def generate_multiple_parameters(self, ids, **kwargs):
            self.note("ask", ids, sorted(kwargs))
            return [{"i": id} for id in ids]
        def receive_trial_result(self, id, parameters, value, **kwargs):
            self.note("result", id, parameters, value, sorted(kwargs))
        def trial_end(self, id, success, **kwargs):
            self.note("end", id, success)
"""


def calls():
    return sys.modules["mine"].Recording.calls


def test_a_tuner_is_told_what_nni_tells_it_and_in_that_order(project, space):
    project.write(RECORDING)
    history = [
        Record(parameters={"i": "old"}, status=Status.SUCCEEDED, value=0.5, imported=True, told=0),
        Record(parameters={"i": "lost"}, status=Status.FAILED, imported=True, told=0),
        Record(parameters={"i": 0}, status=Status.SUCCEEDED, value=0.1, asked=1, told=5),
        Record(parameters={"i": 1}, status=Status.FAILED, asked=2, told=4),
        Record(parameters={"i": 2}, status=Status.EARLY_STOPPED, value=0.2, asked=6, told=7),
        Record(parameters={"i": 3}, status=Status.SUCCEEDED, asked=8, told=9),
        Record(parameters={"i": 4}, status=Status.CANCELED, asked=8, told=10),
        Record(parameters={"i": 5}, asked=11),
        Record(parameters={"i": 6}, status=Status.UNKNOWN, asked=11),
    ]
    assert propose(project.tuner("mine.Recording"), space, history) == [{"i": 7}]
    ask = ["st_callback"]
    assert calls() == [
        ("space", SPACE),
        ("import", [{"parameter": {"i": "old"}, "value": 0.5}]),
        ("ask", [0], ask),
        ("ask", [1], ask),
        ("end", 1, False),
        ("result", 0, {"i": 0}, 0.1, ["customized", "trial_job_id"]),
        ("end", 0, True),
        ("ask", [2], ask),
        ("end", 2, False),
        ("ask", [3], ask),
        ("ask", [4], ask),
        ("end", 3, True),
        ("end", 4, False),
        ("ask", [5], ask),
        ("ask", [6], ask),
        ("ask", [7], ask),
    ]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        pytest.param({"status": Status.SUCCEEDED, "reported": 3, "value": 3.0}, [3], id="number"),
        pytest.param(
            {"status": Status.SUCCEEDED, "reported": {"default": 0.5, "loss": [1, None]}, "value": 0.5},
            [{"default": 0.5, "loss": [1, None]}],
            id="mapping",
        ),
        pytest.param({"status": Status.SUCCEEDED, "reported": {"loss": 1}}, [{"loss": 1}], id="no default"),
        pytest.param({"status": Status.SUCCEEDED, "reported": "good"}, ["good"], id="text"),
        pytest.param({"status": Status.FAILED, "reported": 0.5}, [0.5], id="reported, then failed"),
        pytest.param({"status": Status.FAILED, "value": 0.5, "guessed": True}, [], id="guessed"),
        pytest.param({"status": Status.SUCCEEDED, "value": 0.5, "guessed": True}, [], id="guessed, succeeded"),
        pytest.param({"status": Status.SUCCEEDED}, [], id="nothing"),
        pytest.param({"status": Status.EARLY_STOPPED, "curve": ((2, 0.1), (2, 0.2))}, [], id="stopped"),
    ],
)
def test_a_tuner_is_given_what_the_trial_reported(project, space, record, told):
    project.write(RECORDING)
    propose(project.tuner("mine.Recording"), space, [Record(parameters={"i": 0}, asked=1, told=2, **record)])
    results = [call[3] for call in calls() if call[0] == "result"]
    assert results == told
    assert [type(one) for one in results] == [type(one) for one in told]
    assert ("end", 0, record["status"] is Status.SUCCEEDED) in calls()


@pytest.mark.parametrize(("replicates", "named"), [(1, "trial 1"), (3, "trials 3 to 5")])
def test_an_error_names_the_trials_of_the_parameter_set(project, space, replicates, named):
    project.write("""
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs): return {"i": id}
            def receive_trial_result(self, id, parameters, value, **kwargs): assert id == 0
    """)
    tuner = custom.tuner(project.algorithm("mine.T"), replicates=replicates)
    ended = [Record(parameters={"i": n}, status=Status.SUCCEEDED, value=1.0, asked=1, told=2 + n) for n in range(2)]
    with pytest.raises(UserCodeError, match=rf": taking the end of {named} failed\.\nTraceback"):
        propose(tuner, space, ended)


def test_in_one_process_nothing_is_told_twice(project, space):
    project.write(RECORDING)
    tuner = project.tuner("mine.Recording")
    history = run(tuner, space, trials=0)
    for number in range(3):
        history += [Record(parameters=p, asked=2 * number) for p in propose(tuner, space, history)]
        history[-1] = replace(history[-1], status=Status.SUCCEEDED, value=1.0, told=2 * number + 1)
    assert [call[0] for call in calls()] == ["space", *["ask", "result", "end"] * 2, "ask"]


def test_what_a_trial_receives_is_json(project, space):
    project.write("""
        import numpy as np
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs):
                return {"i": np.int64(3), "f": np.float64(0.1), "b": np.bool_(True), "t": (1, 2), "a": np.arange(2), "s": None}
    """)
    [found] = propose(project.tuner("mine.T"), space, [])
    assert json.dumps(found) == '{"i": 3, "f": 0.1, "b": true, "t": [1, 2], "a": [0, 1], "s": null}'


def test_a_tuner_gets_its_own_parameters_back(project, space):
    project.write("""
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs):
                return {"t": (1, 2)}
            def receive_trial_result(self, id, parameters, value, **kwargs):
                assert parameters == {"t": (1, 2)}
    """)
    tuner = project.tuner("mine.T")
    history = [Record(parameters={"t": [1, 2]}, status=Status.SUCCEEDED, value=1.0, asked=1, told=2)]
    assert propose(tuner, space, history) == [{"t": [1, 2]}]


# --- the end of the search ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["raise nni.NoMoreTrialError()", "return []"])
def test_no_more_trials_end_the_search(project, space, end):
    project.write(f"""
        import nni
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_multiple_parameters(self, ids, **kwargs):
                if ids[0] < 3:
                    return [{{"x": ids[0], "n": 0}}]
                {end}
            def receive_trial_result(self, *args, **kwargs): pass
    """)
    assert len(propose(project.tuner("mine.T"), space, [], count=9)) == 3
    assert len(run(project.tuner("mine.T"), space, trials=9, concurrency=2)) == 3


def test_a_tuner_that_waits_for_results_goes_on_after_them(project, space):
    """What it was asked in vain is not asked again in a new process, so it leaves no trace in this one."""
    project.write("""
        import nni, random
        from nni.tuner import Tuner
        class T(Tuner):
            running = asked = 0
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs):
                self.asked += 1
                if self.running == 2:
                    raise nni.NoMoreTrialError("not now")
                self.running += 1
                return {"x": random.random(), "n": self.asked}
            def receive_trial_result(self, *args, **kwargs): pass
            def trial_end(self, *args, **kwargs): self.running -= 1
    """)
    tuner = project.tuner("mine.T")
    assert len(propose(tuner, space, [], count=8)) == 2
    assert len(propose(tuner, space, [], count=8)) == 2
    history = run(tuner, space, trials=12, concurrency=8)
    assert [record.parameters["n"] for record in history] == list(range(1, 13))
    assert run(tuner, space, trials=12, concurrency=8, fresh=True) == history


@pytest.mark.parametrize(
    "written", [{"x": [1, 100]}, ["age", "count_age"], {"x": {"_type": "uniform", "_value": [0, 1.0]}}]
)
def test_a_class_gets_the_search_space_as_it_is_written(project, written):
    project.write("""
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): self.space = space
            def generate_parameters(self, id, **kwargs): return {"space": self.space, "whole": repr(self.space)}
    """)
    tuner = custom.tuner(replace(project.algorithm("mine.T"), search_space=written))
    assert propose(tuner, (), []) == [{"space": written, "whole": repr(written)}]


def test_what_a_module_keeps_at_its_top_level_is_new_with_each_instance(project, space):
    project.write("""
        import helper, numpy, random
        from nni.tuner import Tuner
        rng, first = numpy.random.default_rng(), random.random()
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs):
                helper.COUNT += 1
                return {"x": rng.random() + first, "n": helper.COUNT}
            def receive_trial_result(self, *args, **kwargs): pass
    """).write("COUNT = 0", "helper")
    history = run(project.tuner("mine.T"), space, trials=5)
    assert history[-1].parameters["n"] == 5
    assert run(project.tuner("mine.T"), space, trials=5, fresh=True) == history


def test_what_comes_by_callback_is_proposed_before_the_tuner_is_asked_again(project, space):
    project.write("""
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_multiple_parameters(self, ids, st_callback=None):
                self.send = st_callback
                return [{"asked": ids[0]}]
            def receive_trial_result(self, id, *args, **kwargs):
                self.send(100 + id, {"later": id})
    """)
    tuner = project.tuner("mine.T")
    history = [Record(parameters={"asked": 0}, status=Status.SUCCEEDED, value=1.0, asked=1, told=2)]
    assert propose(tuner, space, history, count=2) == [{"later": 0}, {"asked": 1}]


# --- constraints --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_what_the_constraints_exclude_is_not_proposed(project, space, name, arguments):
    options = {"trials": 15, "concurrency": 3, "allowed": lambda parameters: parameters["n"] % 2 == 0}
    history = run(project.tuner(name, **arguments), space, **options)
    assert len(history) == 15
    if "Hyperband" not in name:
        assert all(record.parameters["n"] % 2 == 0 for record in history)
    assert run(project.tuner(name, **arguments), space, fresh=True, **options) == history


def test_other_constraints_in_the_same_process_are_heeded(project, space):
    tuner = project.tuner("mine.Hill")
    even = propose(tuner, space, [], count=5, allowed=lambda p: p["n"] % 2 == 0)
    odd = propose(tuner, space, [], count=5, allowed=lambda p: p["n"] % 2 == 1)
    free = propose(tuner, space, [], count=5)
    assert not [p for p in even if p["n"] % 2]
    assert not [p for p in odd if not p["n"] % 2]
    custom._kept.clear()
    assert free == propose(tuner, space, [], count=5)


def test_a_class_that_meets_no_constraint_is_given_up(project, space):
    with pytest.raises(AmlcError, match=r"^amlc.constraints: 1000 proposals in a row of tuner mine.Hill .*Loosen"):
        propose(project.tuner("mine.Hill"), space, [], allowed=lambda parameters: False)


# --- a class that is not deterministic ----------------------------------------------------------------------------

UNSTEADY = """
    import time
    from nni.tuner import Tuner
    class Unsteady(Tuner):
        told = []
        def update_search_space(self, space): self.told.clear()
        def generate_parameters(self, id, **kwargs): return {"t": time.perf_counter_ns()}
        def receive_trial_result(self, id, parameters, value, **kwargs): self.told.append((id, parameters, value))
"""


def test_a_class_that_is_not_deterministic_is_warned_of_once_and_goes_on(project, space):
    tuner = project.write(UNSTEADY).tuner("mine.Unsteady")
    [first] = propose(tuner, space, [])
    history = [Record(parameters=first, status=Status.SUCCEEDED, value=0.5, asked=1, told=2)]
    custom._kept.clear()
    with pytest.warns(RuntimeWarning, match=r"mine\.Unsteady .*does not propose the same again") as caught:
        [second] = propose(tuner, space, history)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert second != first
    assert sys.modules["mine"].Unsteady.told == [(0, first, 0.5)]
    custom._kept.clear()
    assert propose(tuner, space, history)  # no second warning, which would be an error here


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "doing"),
    [
        ("__init__", "starting"),
        ("update_search_space", "starting"),
        ("generate_parameters", "proposing trial 0"),
        ("receive_trial_result", "taking the end of trial 0"),
        ("trial_end", "taking the end of trial 0"),
    ],
)
def test_an_error_of_the_class_shows_its_own_traceback(project, space, method, doing):
    methods = "\n".join(
        f"    def {name}(self, *args, **kwargs):\n        {'wrong()' if name == method else body}"
        for name, body in {
            "__init__": "pass",
            "update_search_space": "pass",
            "generate_parameters": "return {'x': 1}",
            "receive_trial_result": "pass",
            "trial_end": "pass",
        }.items()
    )
    source = (
        f"from nni.tuner import Tuner\ndef wrong():\n    raise ValueError('it broke')\nclass T(Tuner):\n{methods}\n"
    )
    project.write(source)
    history = [Record(parameters={"x": 1}, status=Status.SUCCEEDED, value=1.0, asked=1, told=2)]
    with pytest.raises(UserCodeError) as caught:
        propose(project.tuner("mine.T"), space, history)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"tuner mine.T ({project.folder}): {doing} failed."
    assert lines[1] == "Traceback (most recent call last):"
    assert str(project.folder / "mine.py") in str(caught.value)
    assert lines[-1] == "ValueError: it broke"
    assert "amlc/tuners" not in str(caught.value)


def test_an_error_loses_nothing(project, space):
    """A passing failure: the next call replays, and goes on as if there had been none."""
    project.write("""
        import os, random
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs):
                if os.path.exists(os.path.join(os.path.dirname(__file__), "broken")):
                    raise OSError("disk")
                return {"x": random.random(), "n": 0}
            def receive_trial_result(self, *args, **kwargs): pass
    """)
    tuner = project.tuner("mine.T")
    history = run(tuner, space, trials=4)
    expected = propose(tuner, space, history)
    custom._kept.clear()
    (project.folder / "broken").touch()
    with pytest.raises(UserCodeError, match="OSError: disk"):
        propose(tuner, space, history)
    (project.folder / "broken").unlink()
    assert propose(tuner, space, history) == expected


def test_a_module_that_fails_to_import_shows_where(project, space):
    project.write("import json\nimport broken\n").write("import json\n1 / 0\n", "broken")
    with pytest.raises(UserCodeError) as caught:
        propose(project.tuner("mine.T"), space, [])
    assert "mine.py" in str(caught.value)
    assert str(caught.value).endswith("ZeroDivisionError: division by zero")
    assert "importlib" not in str(caught.value)


# Third-party classes are written for what their author had installed, often an NNI of years ago.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            "import not_there.at_all",
            "imports 'not_there', which is not in codeDirectory, nor installed here.",
            id="anything",
        ),
        pytest.param(
            "from nni.msg_dispatcher_base import MsgDispatcherBase",
            "imports 'nni.msg_dispatcher_base', which NNI 3.0 does not have. "
            "It is nni.runtime.msg_dispatcher_base now.",
            id="NNI 1's Advisor",
        ),
        pytest.param(
            "from nni.protocol import CommandType, send",
            "imports 'nni.protocol', which NNI 3.0 does not have. "
            "CommandType is in nni.runtime.tuner_command_channel, and send(…) is self.send(…) now.",
            id="NNI 1's channel",
        ),
        pytest.param(
            "from nni.evolution_tuner.evolution_tuner import EvolutionTuner",
            "imports 'nni.evolution_tuner', which NNI 3.0 does not have. "
            "It is nni.algorithms.hpo.evolution_tuner now.",
            id="NNI 1's tuner",
        ),
        pytest.param(
            "from nni.multi_phase.multi_phase_tuner import MultiPhaseTuner",
            "imports 'nni.multi_phase', which NNI 3.0 does not have. The class needs a change.",
            id="what is gone",
        ),
    ],
)
def test_a_module_that_is_not_there_is_said_in_a_line(project, space, line, message):
    project.write("import deeper\n").write(f"import json\n{line}\n", "deeper")
    with pytest.raises(UserCodeError) as caught:
        propose(project.tuner("mine.T"), space, [])
    assert str(caught.value) == f"tuner mine.T ({project.folder}): deeper.py:2 {message}"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        pytest.param("nowhere.Hill", {}, "codeDirectory has no module 'nowhere'.", id="module"),
        pytest.param("mine.deep.Hill", {}, "codeDirectory has no module 'mine.deep'.", id="submodule"),
        pytest.param("mine.hil", {}, "'mine' has no class 'hil'. Did you mean 'Hill'?", id="class"),
        pytest.param("mine.Hill", {"size": 1}, "classArgs do not fit: got an unexpected keyword argument 'size'. It takes (step=0.1).", id="arguments"),
        pytest.param("mine.Odd", {}, "is neither a Tuner (nni.tuner.Tuner) nor an Advisor of NNI.", id="other class"),
        pytest.param("mine.List", {}, "it proposed [1] as trial 0, which is no mapping by name.", id="no mapping"),
        pytest.param("mine.Text", {}, "it proposed 'x' = nan in trial 0, which is no JSON value. Propose finite numbers", id="NaN"),
        pytest.param("mine.Deep", {}, "it proposed 'n' = {'a': [inf]} in trial 0, which is no JSON value.", id="deep"),
        pytest.param("mine.Object", {}, "it proposed 'x' = {1} in trial 0, which is no JSON value.", id="no JSON"),
        pytest.param("mine.Quits", {}, "SystemExit: 3", id="exit"),
        pytest.param("mine.Old", {}, "it is written for an older NNI: receive_trial_result(parameter_id, parameters, reward) does not take customized and trial_job_id, generate_parameters(parameter_id) does not take st_callback. Add **kwargs to the parameters.", id="NNI 1's arguments"),
        pytest.param("mine.OldMany", {}, "it is written for an older NNI: generate_multiple_parameters(parameter_id_list) does not take st_callback.", id="NNI 1's arguments, several"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(project, space, name, arguments, message):
    more = """
    class Odd: pass
    class List(Hill):
        def generate_parameters(self, *args, **kwargs): return [1]
    class Text(Hill):
        def generate_parameters(self, *args, **kwargs): return {"x": float("nan")}
    class Deep(Hill):
        def generate_parameters(self, *args, **kwargs): return {"x": 1, "n": {"a": [float("inf")]}}
    class Object(Hill):
        def generate_parameters(self, *args, **kwargs): return {"x": {1}}
    class Quits(Hill):
        def generate_parameters(self, *args, **kwargs): raise SystemExit(3)
    class Old(Hill):
        def generate_parameters(self, parameter_id): return {"x": 0.5}
        def receive_trial_result(self, parameter_id, parameters, reward): pass
    class OldMany(Hill):
        def generate_parameters(self, parameter_id): return {"x": 0.5}
        def generate_multiple_parameters(self, parameter_id_list): return [self.generate_parameters(parameter_id_list[0])]
    """
    project.write(textwrap.dedent(CLASSES) + textwrap.dedent(more))
    with pytest.raises(UserCodeError) as caught:
        propose(project.tuner(name, **arguments), space, [])
    assert str(caught.value).startswith(f"tuner {name} ({project.folder})")
    assert message in str(caught.value)
    assert ("\n" in str(caught.value)) == (name == "mine.Quits")


def test_without_nni_the_error_says_what_to_install(project, space, monkeypatch):
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(UserCodeError, match="needs NNI, which is not installed here: pip install nni"):
        propose(project.tuner("mine.Hill"), space, [])


# --- a world of its own -------------------------------------------------------------------------------------------


def states():
    return random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_the_rest_of_the_process_notices_nothing(project, space, capsys):
    project.write("""
        import random, sys, numpy, late
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): print("in the class")
            def generate_parameters(self, id, **kwargs):
                import later
                return {"x": random.random() + numpy.random.rand() + later.ONE}
    """).write("", "late").write("ONE = 1", "later")
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    path, before = list(sys.path), states()
    unseeded = {float(np.random.default_rng().random()) for _ in range(2)}
    assert propose(project.tuner("mine.T"), space, [], count=2)
    assert states() == before
    assert sys.path == path
    assert len({float(np.random.default_rng().random()) for _ in range(2)} | unseeded) == 4
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "in the class\n")


def test_modules_of_the_same_name_in_two_folders_are_two(tmp_path, space):
    source = """
        from nni.tuner import Tuner
        class T(Tuner):
            def update_search_space(self, space): pass
            def generate_parameters(self, id, **kwargs): return {{"who": {!r}}}
    """
    found = []
    for name in ("one", "two", "one"):
        (tmp_path / name).mkdir(exist_ok=True)
        custom._kept.clear()
        found += propose(Project(tmp_path / name).write(source.format(name)).tuner("mine.T"), space, [])
    assert found == [{"who": "one"}, {"who": "two"}, {"who": "one"}]


# --- Advisors -----------------------------------------------------------------------------------------------------

ADVISOR = """
    import nni
    from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
    from nni.runtime.tuner_command_channel import CommandType

    class Mine(MsgDispatcherBase):
        calls = []
        def __init__(self, label="p", **kwargs):
            super().__init__(**kwargs)
            self.label, self.number = label, 0
            self.calls.clear()
        def one(self):
            parameters = {"i": self.number}
            data = {"parameter_id": f"{self.label}{self.number}", "parameter_source": "algorithm", "parameters": parameters}
            self.send(CommandType.NewTrialJob, nni.dump(data))
            self.number += 1
        def handle_initialize(self, space):
            self.calls.append(("space", space))
            self.send(CommandType.Initialized, "")
        def handle_import_data(self, data):
            self.calls.append(("import", data))
        def handle_request_trial_jobs(self, count):
            self.calls.append(("ask", count))
            for _ in range(count):
                self.one()
        def handle_report_metric_data(self, data):
            value = nni.load(data["value"])
            self.calls.append((data["type"], data["parameter_id"], data["sequence"], value, data["trial_job_id"]))
            if isinstance(value, float) and value > 1:
                self.send(CommandType.KillTrialJob, nni.dump(data["trial_job_id"]))
        def handle_trial_end(self, data):
            self.calls.append(("end", nni.load(data["hyper_params"])["parameter_id"], data["event"], data["trial_job_id"]))
            self.one()

    class Silent(Mine):
        def handle_request_trial_jobs(self, count):
            self.send(CommandType.NoMoreTrialJobs, nni.dump({"parameter_id": "-1", "parameters": ""}))

    class Broken(Mine):
        def handle_request_trial_jobs(self, count):
            self.report_error("cannot go on")
            self.send(CommandType.Error, "cannot go on")
"""


def test_an_advisor_is_sent_nnis_messages(project, space):
    project.write(ADVISOR)
    history = [
        Record(parameters={"i": "old"}, status=Status.SUCCEEDED, value=0.5, imported=True),
        Record(parameters={"i": 0}, status=Status.SUCCEEDED, value=0.1, asked=1, told=4),
        Record(parameters={"i": 1}, status=Status.CANCELED, asked=2, told=5),
        Record(parameters={"i": 2}, status=Status.EARLY_STOPPED, value=0.2, asked=6, told=7),
    ]
    found = propose(project.tuner("mine.Mine", label="q"), space, history, count=3)
    assert found == [{"i": 3}, {"i": 4}, {"i": 5}]  # those that it sent by itself before one that it was asked for
    assert sys.modules["mine"].Mine.calls == [
        ("space", SPACE),
        ("import", [{"parameter": {"i": "old"}, "value": 0.5}]),
        ("ask", 1),
        ("ask", 1),
        ("FINAL", "q0", 0, 0.1, "trial-q0"),
        ("end", "q0", "SUCCEEDED", "trial-q0"),
        ("end", "q1", "USER_CANCELED", "trial-q1"),
        ("end", "q2", "EARLY_STOPPED", "trial-q2"),
        ("ask", 1),
    ]


def test_an_advisor_that_has_nothing_waits(project, space):
    assert propose(project.write(ADVISOR).tuner("mine.Silent"), space, [], count=3) == []


def test_the_error_that_an_advisor_sends_is_shown(project, space):
    with pytest.raises(UserCodeError, match="cannot go on"):
        propose(project.write(ADVISOR).tuner("mine.Broken"), space, [])


def given_up(tuner, space, history, *, seed=3, allowed=lambda parameters: True):
    return tuner.given_up(space, history, seed=seed, args={}, allowed=allowed)


def test_an_advisor_is_told_intermediate_results_where_they_happened(project, space):
    project.write(ADVISOR)
    history = [
        Record(parameters={"i": 0}, status=Status.SUCCEEDED, reported={"default": 0.1, "n": 2}, value=0.1, asked=1, told=8, curve=((3, 0.5), (3, {"default": 1}), (7, "x"))),
        Record(parameters={"i": 1}, asked=2, curve=((5, None),)),
        Record(parameters={"i": 2}, asked=6),
    ]  # fmt: skip
    tuner = project.tuner("mine.Mine")
    assert given_up(tuner, space, history) == []
    told = [call for call in sys.modules["mine"].Mine.calls if call[0] != "space"]
    assert told == [
        ("ask", 1),
        ("ask", 1),
        ("PERIODICAL", "p0", 0, 0.5, "trial-p0"),
        ("PERIODICAL", "p0", 1, {"default": 1}, "trial-p0"),
        ("PERIODICAL", "p1", 0, None, "trial-p1"),
        ("ask", 1),
        ("PERIODICAL", "p0", 2, "x", "trial-p0"),
        ("FINAL", "p0", 0, {"default": 0.1, "n": 2}, "trial-p0"),
        ("end", "p0", "SUCCEEDED", "trial-p0"),
    ]


def test_at_the_same_number_proposals_come_first_and_ends_last(project, space):
    project.write(ADVISOR)
    history = [
        Record(parameters={"i": 0}, status=Status.EARLY_STOPPED, asked=1, told=5, curve=((5, 0.5),)),
        Record(parameters={"i": 1}, asked=5),
    ]
    given_up(project.tuner("mine.Mine"), space, history)
    assert [call[0] for call in sys.modules["mine"].Mine.calls] == ["space", "ask", "ask", "PERIODICAL", "end"]


@pytest.mark.parametrize(
    ("status", "curve", "expected"),
    [
        pytest.param(Status.RUNNING, (0.1, 0.2), [], id="none bad"),
        pytest.param(Status.RUNNING, (0.1, 2.0), [1], id="bad"),
        pytest.param(Status.RUNNING, (2.0, 0.1), [1], id="stays given up"),
        pytest.param(Status.EARLY_STOPPED, (2.0,), [], id="stopped"),
        pytest.param(Status.SUCCEEDED, (2.0,), [], id="ended by itself"),
    ],
)
def test_the_trials_that_an_advisor_wants_to_end(project, space, status, curve, expected):
    tuner = project.write(ADVISOR).tuner("mine.Mine")
    running = Record(parameters={"i": 1}, status=status, asked=2, told=9 if status.ended else None)
    history = [Record(parameters={"i": 0}, asked=1), running]
    for kept in range(len(curve) + 1):
        history[1] = replace(running, curve=tuple((3 + step, value) for step, value in enumerate(curve[:kept])))
        found = given_up(tuner, space, history)
    assert found == expected
    custom._kept.clear()
    assert given_up(tuner, space, history) == expected


def test_only_advisors_follow_running_trials(project, space):
    assert given_up(project.tuner("mine.Hill"), space, []) is None
    assert given_up(project.tuner(HYPERBAND), space, []) == []


def test_asking_what_is_given_up_leaves_no_trace(project, space):
    tuner = project.tuner(HYPERBAND, R=9, eta=3)
    plain = run(tuner, space, trials=15, concurrency=3)
    custom._kept.clear()
    history = []
    for record in plain[:6]:
        given_up(tuner, space, history)
        [found] = propose(tuner, space, history)
        history.append(Record(parameters=json.loads(json.dumps(found)), asked=len(history)))
        given_up(tuner, space, history)
        assert found == record.parameters


def test_nan_reports_do_not_make_a_replay_differ(project, space):
    tuner = project.write(RECORDING).tuner("mine.Recording")
    for _ in range(2):
        nan = float("nan")
        ended = Record(parameters={"i": 0}, status=Status.SUCCEEDED, reported={"default": nan}, asked=1, told=2)
        assert propose(tuner, space, [ended]) == [{"i": 1}]
    assert [call[0] for call in calls()] == ["space", "ask", "result", "end", "ask"]


def test_hyperband_of_nni_runs_its_brackets(project, space):
    history = run(project.tuner(HYPERBAND, R=9, eta=3), space, trials=22, concurrency=1)
    budgets = [record.parameters["TRIAL_BUDGET"] for record in history]
    assert {budget: budgets[:22].count(budget) for budget in (1, 3, 9)} == {1: 9, 3: 3 + 5, 9: 1 + 1 + 3}


def test_nni_itself_is_not_heard(project, space):
    """Its warnings at import and its progress; what the class writes comes on standard error."""
    code = f"""
        from pathlib import Path, PosixPath
        from amlc.model import *
        from amlc.tuners import custom
        tuner = custom.tuner({project.algorithm("mine.MyTpe")!r})
        print(len(list(tuner.propose({space!r}, [], count=2, seed=3, args={{}}, allowed=bool))))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.fixture(autouse=True)
def _quiet_nni():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nni  # noqa: F401 - at once, so that no test pays for it
