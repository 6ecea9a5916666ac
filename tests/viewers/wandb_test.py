"""What `wandb sync` makes of the files, against a server that takes all, and what wandb's own types read in them."""

import gzip
import http.server
import json
import math
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import pytest

from amlc.model import Status
from amlc.viewers.wandb import _file

pytest.importorskip("wandb", reason="wandb is missing: make test-all")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from wandb.proto import wandb_internal_pb2 as proto


class Cloud(http.server.BaseHTTPRequestHandler):
    """As much of Weights & Biases as sync asks for; `runs` has the arguments of each run, `files` what was streamed."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        if self.path == "/graphql":
            self._answer({"data": self._asked(body["query"], body.get("variables", {}))})
        elif self.path.endswith("/file_stream"):
            run = self.server.streams.setdefault(self.path.split("/")[-2], {})
            for name, part in body.get("files", {}).items():
                lines = run.setdefault(name, {})
                lines |= {part["offset"] + number: line for number, line in enumerate(part["content"])}
            if "exitcode" in body:
                run["exitcode"] = body["exitcode"]
            self._answer({"exitcode": None, "limits": {}})
        else:
            self._answer({})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer({})

    def do_GET(self):
        self._answer({})

    def _asked(self, query, given):
        if "UpsertBucket" in query:
            known = self.server.runs.setdefault(given["name"], {})
            known |= {name: value for name, value in given.items() if value is not None}
            project = {"id": "P", "name": "p", "entity": {"id": "E", "name": "e"}}
            bucket = {"id": "B", "name": given["name"], "displayName": known.get("displayName"), "project": project}
            return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}
        if "CreateRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.server.url}/up/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        return {"viewer": {"id": "V", "entity": "e", "username": "u", "flags": "{}", "teams": {"edges": []}},
                "serverInfo": {"cliVersionInfo": {}, "features": []}, "model": {"bucket": None}}  # fmt: skip

    def _answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def cloud():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.runs, server.streams, server.url = {}, {}, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def sync(cloud, tmp_path):
    """Run the real `wandb sync`; return what it said."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    env = {**kept, "HOME": str(home), "WANDB_BASE_URL": cloud.url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}

    def run(folder):
        command = [sys.executable, "-W", "ignore", "-m", "wandb", "sync", "--yes", *sorted(map(str, folder.glob("*/offline-run-*")))]
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def test_wandb_sync_uploads_every_run(story, sync, cloud, tmp_path):
    told = story().everything()
    assert told.send("wandb", tmp_path / "wb") == {"NEW": 11}
    assert sync(tmp_path / "wb").count("Finished syncing") == 11
    ids = [trial.id for trial in told.trials]
    assert set(cloud.runs) == set(ids) - {ids[10]}

    first = cloud.runs[ids[0]]
    config = {name: one["value"] for name, one in json.loads(first["config"]).items()}
    assert (first["displayName"], first["tags"]) == ("#0", ["succeeded"])
    assert (config["lr"], config["odd $name/.."]) == (0.1, {"_name": "conv", "k": 3})
    assert (config["amlc"]["trial"], config["amlc"]["job"], config["amlc"]["attempt"]) == (ids[0], told.entries[0].name, "1")
    assert [json.loads(cloud.runs[ids[n]]["config"])["lr"]["value"] for n in (2, 4, 6, 8, 11)] == [
        1, "größer|kleiner", [1, "x"], True, None,
    ]  # fmt: skip

    rows = [json.loads(line) for line in cloud.streams[ids[0]]["wandb-history.jsonl"].values()]
    assert [(row["_step"], row["_timestamp"], row["_runtime"]) for row in rows] == [
        (0, 11, 1), (1, 12, 2), (2, 13, 3), (3, 14, 4), (4, 30, 20),
    ]  # fmt: skip
    assert rows[0]["default"] == 0.5
    assert math.isnan(rows[1]["default"])
    assert rows[1]["loss"] == {"train": math.inf, "test": -math.inf}
    assert rows[3]["default"] == "words"
    summary = json.loads(max(cloud.streams[ids[0]]["wandb-summary.json"].items())[1])
    assert {name: summary[name] for name in ("default", "ok", "note", "_step")} == {
        "default": 0.25, "ok": True, "note": "grüße|x", "_step": 4,
    }  # fmt: skip
    codes = [cloud.streams[ids[number]].get("exitcode") for number in (0, 2, 4)]
    assert codes == [0, 1, 0]


def test_a_run_that_went_on_is_uploaded_again(story, sync, cloud, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.RUNNING, ([1], ...), started=10.0)
    told.tell(1, Status.SUCCEEDED, ([], 2), started=10.0, ended=20.0)
    told.send("wandb", tmp_path / "wb")
    sync(tmp_path / "wb")
    assert "Finished" not in sync(tmp_path / "wb")
    told.tell(0, Status.SUCCEEDED, ([1, 2], 3), started=10.0, ended=20.0)
    assert told.send("wandb", tmp_path / "wb") == {"CHANGED": 1, "SAME": 1}
    assert sync(tmp_path / "wb").count("Finished") == 1
    rows = cloud.streams[told.trials[0].id]["wandb-history.jsonl"]
    assert [json.loads(line)["default"] for line in rows.values()] == [1, 2, 3]


def read(path):
    """The records of a file, as wandb's own types."""
    content = path.read_bytes()
    assert content[:7] == b":W&B\xe1\xbe\x00"
    place, data, records = 7, b"", []
    while place < len(content):
        if (room := 2**15 - place % 2**15) < 7:
            place += room
            continue
        checksum, size, kind = struct.unpack_from("<IHB", content, place)
        piece = content[place + 7 : place + 7 + size]
        assert checksum == zlib.crc32(piece, zlib.crc32(bytes([kind])))
        data += piece
        place += 7 + size
        if kind in (1, 4):
            records.append(proto.Record.FromString(data))
            data = b""
    assert not data
    return records


@pytest.mark.parametrize("sizes", [[0], [1], [2**15 - 20, 5], [2**15 - 7 - 7 - 9, 3, 70_000], [200_000, 1, 200_000]], ids=str)
def test_records_of_any_size_are_read_back(tmp_path, sizes):
    from amlc.viewers.protobuf import block, text

    (tmp_path / "file").write_bytes(_file(block(17, text(1, "x" * size)) for size in sizes))
    records = read(tmp_path / "file")
    assert [len(record.run.run_id) for record in records] == sizes
    assert [record.num for record in records] == list(range(1, len(sizes) + 1))


@pytest.mark.parametrize(("amlc", "groups"), [({"replicates": 2}, 1), ({}, 0)], ids=["two", "one"])
def test_replicates_are_a_group_and_others_are_none(story, tmp_path, amlc, groups):
    told = story(searchSpace={"x": {"_type": "choice", "_value": [1, 2]}}, amlc=amlc)
    for number in range(2):
        told.tell(number, Status.SUCCEEDED, ([], number), started=1.0, ended=2.0)
    told.send("wandb", tmp_path)
    found = {read(path)[1].run.run_group for path in tmp_path.rglob("*.wandb")}
    assert len(found - {""}) == groups
    assert len(found) == 1


def test_another_attempt_takes_the_place_of_the_last(story, tmp_path):
    told = story(amlc={})
    told.tell(0, Status.FAILED, ([1, 2, 3], ...), started=10.0, ended=20.0)
    told.send("wandb", tmp_path)
    told.tell(0, Status.SUCCEEDED, ([9], 9), attempt=2, started=3000.0, ended=4000.0)
    assert told.send("wandb", tmp_path) == {"CHANGED": 1}
    assert told.send("wandb", tmp_path) == {"SAME": 1}
    (path,) = tmp_path.rglob("*.wandb")
    assert [record.history.step.num for record in read(path) if record.HasField("history")] == [0, 1]


def test_a_project_has_a_name_that_wandb_takes(story, tmp_path):
    told = story(experimentName="a%c:d#e?ü", amlc={})
    told.tell(0, Status.SUCCEEDED, ([], 9), started=10.0, ended=20.0)
    told.send("wandb", tmp_path)
    (path,) = tmp_path.rglob("*.wandb")
    assert read(path)[1].run.project == "a-c-d-e-ü"
