"""What TensorBoard itself shows of the files: its page HParams, its scalars and its texts."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

from amlc.model import Status
from amlc.viewers import tensorboard

pytest.importorskip("tensorboard", reason="tensorboard is missing: make test-all")


class Board:
    """A TensorBoard over a folder, as a browser asks it."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}/data/"
        command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
        env = {**os.environ, "PYTHONPATH": ""}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    def ask(self, what, body=None, **query):
        url = f"{self._url}{what}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=30) as answer:
            return json.loads(answer.read())

    def wait_for(self, runs):
        """Wait until it has read so many."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if len(self.ask("runs")) >= runs and len(self.sessions()) >= runs:
                    return
            except OSError:
                assert self.process.poll() is None
            time.sleep(0.2)
        pytest.fail("TensorBoard has not read the runs")

    def groups(self):
        """The rows of HParams: of equal parameters, the mean."""
        experiment = self.ask("plugin/hparams/experiment", {"experimentName": ""})
        columns = [{"metric": info["name"]} for info in experiment.get("metricInfos", ())]
        request = {
            "experimentName": "", "startIndex": 0, "sliceSize": 100, "aggregationType": "AGGREGATION_AVG", "colParams": columns,
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        }  # fmt: skip
        return self.ask("plugin/hparams/session_groups", request)["sessionGroups"]

    def sessions(self):
        return {one["name"].rpartition("-")[2]: {**one, "hparams": group["hparams"]} for group in self.groups() for one in group["sessions"]}

    def scalars(self, run, tag):
        """As [seconds, step, value]; what is no finite number, as a text."""
        return self.ask("plugin/scalars/scalars", run=run, tag=tag)

    def text(self, run):
        return self.ask("plugin/text/text", run=run, tag="amlc")[-1]["text"]


@pytest.fixture
def board():
    """Open one over a folder."""
    boards = []

    def open_(folder, *, runs):
        boards.append(Board(folder))
        boards[-1].wait_for(runs)
        return boards[-1]

    yield open_
    for one in boards:
        one.process.kill()
        one.process.wait()


def test_tensorboard_shows_every_run(story, board, tmp_path):
    told = story().everything()
    assert told.send("tensorboard", tmp_path / "tb") == {"NEW": 11}
    shown = board(tmp_path / "tb", runs=11)
    found = shown.sessions()
    assert set(found) == {trial.id for number, trial in enumerate(told.trials) if number != 10}
    first, _, failed, _, stopped, _, running, *_ = (found[trial.id] for trial in told.trials[:10])

    assert first["name"] == f"probe/00000-{told.trials[0].id}"
    assert first["hparams"] == {"lr": 0.1, "odd $name/..._name": "conv", "odd $name/...k": 3}
    assert [found[trial.id]["hparams"]["lr"] for trial in told.trials[:10:2]] == [0.1, 1, "größer|kleiner", '[1, "x"]', True]
    assert found[told.trials[11].id]["hparams"]["lr"] == "null"
    assert [one["status"].removeprefix("STATUS_") for one in (first, failed, stopped, running)] == [
        "SUCCESS", "FAILURE", "SUCCESS", "UNKNOWN",
    ]  # fmt: skip
    assert (first["startTimeSecs"], first["endTimeSecs"], first["modelUri"]) == (10, 30.5, told.entries[0].name)

    name = first["name"]
    assert shown.scalars(name, "default") == [[11, 0, 0.5], [12, 1, "NaN"], [30, 4, 0.25]]
    assert [shown.scalars(name, f"loss.{which}") for which in ("train", "test")] == [[[12, 1, "Infinity"]], [[12, 1, "-Infinity"]]]
    values = {metric["name"]["tag"]: metric["value"] for metric in first["metricValues"]}
    assert (values["default"], values["ok"]) == (0.25, 1)
    text = shown.text(name)
    assert re.search(r"result note</td>\s*<td>grüße\|x</td>", text)
    assert told.trials[0].id in text
    assert told.trials[6].id in shown.text(running["name"])
    assert "<td>bad | worse worst</td>" in shown.text(failed["name"])


def test_replicates_are_one_row_with_their_mean(story, board, tmp_path):
    told = story(searchSpace={"x": {"_type": "choice", "_value": [1, 2]}}, amlc={"replicates": 2})
    for number in range(4):
        told.tell(number, Status.SUCCEEDED, ([], number), started=1.0, ended=2.0)
    told.send("tensorboard", tmp_path / "tb")
    groups = board(tmp_path / "tb", runs=4).groups()
    found = {group["hparams"]["x"]: (len(group["sessions"]), group["metricValues"][0]["value"]) for group in groups}
    assert found == {1: (2, 0.5), 2: (2, 2.5)}


def files(folder):
    return {path.parent.name: path.read_bytes() for path in folder.rglob("events*")}


def test_what_is_the_same_is_left_alone_and_what_went_on_gets_longer(story, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.RUNNING, ([1], ...), started=10.0)
    told.tell(1, Status.SUCCEEDED, ([1], 2), started=10.0, ended=20.0)
    assert told.send("tensorboard", tmp_path) == {"NEW": 2}
    running, ended = (files(tmp_path)[f"0000{number}-{told.trials[number].id}"] for number in (0, 1))
    told.tell(0, Status.RUNNING, ([1, 2], ...), started=10.0)
    assert told.send("tensorboard", tmp_path) == {"CHANGED": 1, "SAME": 1}
    assert told.send("tensorboard", tmp_path) == {"SAME": 2}
    longer, same = sorted(files(tmp_path).values(), key=lambda content: content == ended)
    assert same == ended
    assert longer != running
    assert longer.startswith(running)


def test_a_file_that_was_cut_off_is_completed(story, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.SUCCEEDED, ([1, 2, 3], 2), started=10.0, ended=20.0)
    told.send("tensorboard", tmp_path)
    (path,) = tmp_path.rglob("events*")
    whole, place = path.read_bytes(), path.stat().st_ino
    path.write_bytes(whole[:150])
    assert told.send("tensorboard", tmp_path) == {"CHANGED": 1}
    assert (path.read_bytes(), path.stat().st_ino) == (whole, place)


def test_another_attempt_takes_the_place_of_the_last(story, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.FAILED, ([1, 2, 3], ...), started=10.0, ended=20.0)
    told.send("tensorboard", tmp_path)
    told.tell(0, Status.SUCCEEDED, ([9], 9), attempt=2, started=30.0, ended=40.0)
    assert told.send("tensorboard", tmp_path) == {"CHANGED": 1}
    (content,) = files(tmp_path).values()
    told.send("tensorboard", tmp_path / "anew")
    assert files(tmp_path / "anew") == {next(iter(files(tmp_path))): content}


def test_a_trial_with_a_new_number_has_its_folder_renamed(story, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.SUCCEEDED, ([], 1), started=10.0, ended=20.0)
    told.send("tensorboard", tmp_path)
    trial = told.trials[0].id
    (tmp_path / "probe" / f"00000-{trial}").rename(tmp_path / "probe" / f"00003-{trial}")
    assert told.send("tensorboard", tmp_path) == {"SAME": 1}
    assert [path.name for path in (tmp_path / "probe").iterdir() if path.is_dir()] == [f"00000-{trial}"]


def test_the_masked_checksum_is_tensorflow_s():
    """The one of RFC 3720, B.4 (32 bytes of zeros: 8a9136aa), masked as record_writer.cc says."""
    masked = ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tensorboard._checksum(bytes(32)) == masked.to_bytes(4, "little")
