"""`amlc serve` answers who knows the token, on this machine, and shows what is there."""

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from amlc.model import Status
from amlc.serve import server as serving
from amlc.serve.server import Server
from tests.report.report_test import ATTACK, SOME, experiment, trial

TOKEN = "t0ken"


@contextmanager
def served(folders):
    server = Server(folders, token=TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(tmp_path):
    with served(experiment(tmp_path, SOME)) as found:
        yield found


def ask(server, path, *, method="GET", host=None, **headers):
    """Return the status, the headers and the body of an answer; path: as it stands, behind the token's."""
    connection = http.client.HTTPConnection(serving.ADDRESS, server.server_port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host or f"127.0.0.1:{server.server_port}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        return answer.status, answer.headers, body
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone_and_its_address_has_a_secret(tmp_path):
    folders = experiment(tmp_path, SOME)
    with Server(folders) as one, Server(folders) as other:
        assert one.server_address[0] == "127.0.0.1"
        assert one.token != other.token
        assert len(one.token) >= 32
        assert one.address == f"http://127.0.0.1:{one.server_port}/{one.token}/"


def test_pages_and_their_data_are_there(server):
    status, headers, body = ask(server, f"/{TOKEN}/")
    assert (status, b'href="tiny/"' in body, b"2 of 5 trials done" in body) == (200, True, True)
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    status, _, body = ask(server, f"/{TOKEN}/tiny/")
    assert (status, body.startswith(b"<!DOCTYPE html>"), b"connect-src &#39;self&#39;" in body) == (200, True, True)
    data = json.loads(ask(server, f"/{TOKEN}/tiny/data")[2])
    assert data["data"]["trials"]["count"] == 5
    assert "2 of 5" in data["summary"]
    assert "tiny" in json.loads(ask(server, f"/{TOKEN}/data")[2])["list"]


@pytest.mark.parametrize("path", ["/", "/wrong/", f"/{TOKEN}", f"/{TOKEN}x/", "/t0ke/tiny/", "/%74oken/", "/?token=t0ken", "/%C3%A9/"])
def test_without_the_token_nothing_is_shown(server, path):
    status, _, body = ask(server, path)
    assert (status, b"tiny" in body) == (403, False)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:80", "localhost.evil.example", "[::1]"])
def test_a_page_elsewhere_that_calls_this_machine_by_its_own_name_is_refused(server, host):
    assert ask(server, f"/{TOKEN}/", host=host)[0] == 403
    assert ask(server, f"/{TOKEN}/", host=f"localhost:{server.server_port}")[0] == 200


def test_two_host_headers_are_refused(server):
    with socket.create_connection((serving.ADDRESS, server.server_port), timeout=30) as raw:
        host = f"127.0.0.1:{server.server_port}"
        raw.sendall(f"GET /{TOKEN}/ HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "path",
    ["tiny", "tiny/../", "../", "..%2f", "tiny/..%2f..%2f", "%2e%2e/tiny/", "tiny/log/../data", "tiny/log/1", "tiny/log/x/text", "tiny/log/-1/text",
     "tiny/log/9999999999/text", "tiny//data", "tiny/manifest.json", ".amlc/", "/etc/passwd", "other/", "tiny%00/", "tiny/data/", "events/",
     "tiny/outputs/1", "tiny/outputs/x/", "tiny/outputs/0/file", "tiny/outputs/../log/0/"],
)  # fmt: skip
def test_an_address_names_nothing_but_experiments_and_trials(server, path):
    status, _, body = ask(server, f"/{TOKEN}/{path}")
    assert (status, body) == (404, b"There is no such page.")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("br, GZip;q=0.5", "gzip"),
        ("*", "gzip"),
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate, gzip;q=0", None),
        ("gzip; q=0.0", None),
    ],
)
def test_data_is_packed_for_who_takes_that(server, accepted, encoding):
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    for place in ("data", "tiny/data"):
        status, answered, body = ask(server, f"/{TOKEN}/{place}", **headers)
        assert (status, answered["Content-Encoding"]) == (200, encoding)
        assert json.loads(body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "CONNECT"])
def test_there_is_nothing_but_looking(server, method):
    assert ask(server, f"/{TOKEN}/tiny/data", method=method)[0] == 501


def test_no_answer_lets_another_page_read_it(server):
    _, headers, _ = ask(server, f"/{TOKEN}/tiny/data", Origin="http://evil.example")
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"


def test_garbage_and_an_endless_header_are_no_harm(server):
    for garbage in (b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection((serving.ADDRESS, server.server_port), timeout=30) as raw:
            raw.sendall(garbage)
            assert b"tiny" not in raw.recv(10_000)
    assert ask(server, f"/{TOKEN}/")[0] == 200


def test_names_of_strangers_are_no_markup_anywhere(tmp_path):
    trials = [trial({ATTACK: ATTACK}, {"default": 1, ATTACK: ATTACK}, error=ATTACK, status=Status.FAILED)]
    with served(experiment(tmp_path, trials, name=ATTACK)) as server:
        for path in ("", "tiny/", "tiny/data", "tiny/log/0/"):
            body = ask(server, f"/{TOKEN}/{path}")[2].decode()
            assert "<img" not in body
            assert "<script>document.documentElement.dataset" not in body


def lines(server, path):
    """Yield the lines of a stream of events."""
    connection = http.client.HTTPConnection(serving.ADDRESS, server.server_port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    try:
        for line in answer:
            yield line.strip()
    finally:
        connection.close()


def test_fifty_readers_are_told_of_a_change_and_a_reader_that_left_keeps_no_place(tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr(serving, "_LOOK_S", 0.02)
    monkeypatch.setattr("amlc.serve.live._REST", 0.0)
    folders = experiment(tmp_path, SOME)
    with served(folders) as server:
        readers = [lines(server, f"/{TOKEN}/tiny/events") for _ in range(50)]
        with ThreadPoolExecutor(50) as pool:

            def told(reader):
                return [next(reader) for _ in range(3)]

            (first,) = {tuple(one) for one in pool.map(told, readers)}
            assert first[0] == b"event: changed"
            from amlc.ledger import open_ledger

            with open_ledger(folders.ledger("tiny")) as ledger:
                ledger._connection.execute("UPDATE events SET data = replace(data, 'exit code 3', 'exit code 4'), sum = NULL")
            (second,) = {tuple(one) for one in pool.map(told, readers)}
            assert second[0] == first[0]
            assert second[1] != first[1]
        assert b"exit code 4" in ask(server, f"/{TOKEN}/tiny/data")[2]
        for reader in readers:
            reader.close()
        wait_until(lambda: server.places._value == serving._MOST_READERS)


def test_more_readers_than_there_is_room_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_MOST_READERS", 1)
    with served(experiment(tmp_path, SOME)) as server:
        reader = lines(server, f"/{TOKEN}/events")
        next(reader)
        assert ask(server, f"/{TOKEN}/")[0] == 503
        reader.close()


def test_the_log_of_a_trial_is_followed_to_its_last_words(project, monkeypatch):
    monkeypatch.setattr(serving, "_LOG_S", 0.02)
    project.write('echo first words; while [ ! -e "$PROBE/go" ]; do sleep 0.05; done; echo last words', values=[1]).compile()
    with project.start("submit") as submitting:
        with served(project.folders) as server:
            connection = http.client.HTTPConnection(serving.ADDRESS, server.server_port, timeout=60)
            while True:
                connection.request("GET", f"/{TOKEN}/probe/log/0/text")
                answer = connection.getresponse()
                if answer.status == 200:
                    break
                answer.read()
            read = b""
            while b"first words" not in read:
                read += answer.read1(100)
            assert b"last words" not in read
            (project.root / "go").touch()
            read += answer.read()
            assert b"last words" in read
            assert b"NNISDK" not in read
            connection.close()
        submitting.communicate(timeout=60)
    status, _, body = ask_log(project)
    assert (status, b"last words" in body) == (200, True)


def ask_log(project):
    with served(project.folders) as server:
        return ask(server, f"/{TOKEN}/probe/log/0/text")


def test_of_a_long_log_the_end_is_shown_and_the_rest_is_named(project, monkeypatch):
    monkeypatch.setattr(serving, "_MOST_LOG", 100)
    project.write("i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done", values=[1]).compile()
    project.amlc("submit")
    _, _, body = ask_log(project)
    assert body.decode().startswith("… ")
    assert "amlc logs 0" in body.decode()
    assert b"line 49" in body
    assert b"line 3\n" not in body


def test_a_file_that_a_link_names_outside_of_the_run_folder_is_not_sent(project):
    (project.root / "secret").write_text("mine")
    body = 'mkdir -p "$NNI_OUTPUT_DIR"; cd "$NNI_OUTPUT_DIR"; ln -s "$PROBE/secret" key; ln -s / root; echo w > epoch3; ln -s epoch3 best'
    project.write(body, values=[1]).compile()
    project.amlc("submit")
    with served(project.folders) as server:
        _, _, page = ask(server, f"/{TOKEN}/probe/outputs/0/")
        assert b"nnioutput/best" in page
        assert b"nnioutput/key" not in page
        for name, status in (("best", 200), ("key", 404), (f"root{project.root}/secret", 404)):
            assert ask(server, f"/{TOKEN}/probe/outputs/0/file/nnioutput/{name}")[0] == status
    done = project.amlc("download", "0", "got")
    assert sorted(path.name for path in (project.root / "got").rglob("*") if path.is_file()) == [".amlc-download", "best", "epoch3"], done


LEAVES = r"""cd "$NNI_OUTPUT_DIR"; mkdir sub; printf one > 'sub/a b.txt'; printf '<script>' > '<b>&?#%2e.html'; printf odd > "$(printf 'x\\377y')"; : > empty"""


def test_the_outputs_of_a_trial_are_listed_and_saved(project):
    project.write(LEAVES, values=[1]).compile()
    project.amlc("submit")
    with served(project.folders) as server:
        status, _, page = ask(server, f"/{TOKEN}/probe/outputs/0/")
        assert status == 200
        assert "4 files." in page.decode()
        assert b"<b>" not in page
        found = re.findall(r'href="(file/[^"]+)"', page.decode())
        saved = {address: ask(server, f"/{TOKEN}/probe/outputs/0/{address}") for address in found}
        assert {one[0] for one in saved.values()} == {200}
        assert sorted(one[2] for one in saved.values()) == [b"", b"<script>", b"odd", b"one"]
        _, headers, _ = saved["file/nnioutput/%3Cb%3E%26%3F%23%252e.html"]
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%3Cb%3E%26%3F%23%252e.html"
        assert headers["Content-Security-Policy"] == "sandbox"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(server, "/wrong/probe/outputs/0/file/nnioutput/empty")[0] == 403


@pytest.mark.parametrize(
    "path",
    ["../job.yml", "..%2fjob.yml", "nnioutput/../../job.yml", "nnioutput/sub/../empty", "nnioutput/sub/./a%20b.txt", "nnioutput/sub", "nnioutput//empty",
     "/etc/passwd", "%2fetc%2fpasswd", "", "nnioutput", "nnioutput/empty%00", "amlc/", "nnioutput/..\\empty", "%ff", "nnioutput/empty/"],
)  # fmt: skip
def test_no_address_leads_to_a_file_that_is_not_listed(ran, path):
    with served(ran.folders) as server:
        status, _, body = ask(server, f"/{TOKEN}/probe/outputs/0/file/{path}")
        assert (status, body) == (404, b"There is no such page.")
        assert ask(server, f"/{TOKEN}/probe/outputs/0/file/nnioutput/empty")[0] == 200


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    from tests.conftest import Project

    made = Project(tmp_path_factory.mktemp("ran") / "p")
    made.write(LEAVES, values=[1]).compile()
    made.amlc("submit")
    return made


def test_of_a_pack_each_trial_has_its_own_outputs_and_what_is_missing_is_said(project):
    project.write('echo "$NNI_TRIAL_SEQ_ID" > "$NNI_OUTPUT_DIR/mine"', values=[1, 2], amlc={"trialsPerJob": 2}).compile()
    project.amlc("submit")
    with served(project.folders) as server:
        for trial in (0, 1):
            assert ask(server, f"/{TOKEN}/probe/outputs/{trial}/file/nnioutput/mine")[2] == b"%d\n" % trial
        for folder in project.folders.runs("probe").iterdir():
            shutil.rmtree(folder)
        status, _, body = ask(server, f"/{TOKEN}/probe/outputs/0/")
        assert (status, b"it was removed" in body) == (200, True)
        assert ask(server, f"/{TOKEN}/probe/outputs/0/file/nnioutput/mine")[0] == 404


def test_a_file_that_grows_while_it_is_sent_is_sent_as_long_as_it_was_listed(ran, monkeypatch):
    monkeypatch.setattr("amlc.backends.run_folder.output", lambda run, name, *, start: iter([b"on", b"e, and", b" more"]))
    with served(ran.folders) as server:
        assert ask(server, f"/{TOKEN}/probe/outputs/0/file/nnioutput/sub/a%20b.txt")[2] == b"one"


def test_a_trial_that_did_not_run_has_no_outputs(server):
    assert "not submitted yet" in ask(server, f"/{TOKEN}/tiny/outputs/4/")[2].decode()


def test_the_command_prints_its_address_and_ends_at_interrupt(project):
    project.write(values=[1]).compile()
    with project.start("serve") as process:
        address = process.stdout.readline().decode().strip()
        host, _, path = address.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("GET", f"/{path}probe/")
        assert connection.getresponse().status == 200
        connection.close()
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"^C ends it" in err
    assert b"Traceback" not in err


def test_a_port_that_is_taken_is_a_sentence(project):
    project.write(values=[1]).compile()
    with socket.create_server((serving.ADDRESS, 0)) as taken:
        done = project.amlc("serve", "--port", str(taken.getsockname()[1]), code=2)
    assert "cannot be listened on" in done.stderr
