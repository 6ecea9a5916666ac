"""The YAML language server, spoken to as an editor does."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Message = Mapping[str, Any]
CAN = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "hover": {"contentFormat": ["markdown"]},
    },
    "workspace": {"configuration": True},
}
WANTS = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}


class Missing(Exception):
    """The language server or Node.js is not installed; the text says what to do."""


def find() -> tuple[str, Path]:
    """Return node and the server's program. Raises Missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "amlc-yaml-language-server"
    package = Path(__file__).with_name("package.json").read_text(encoding="utf-8")
    version = re.findall(r'"yaml-language-server": "(.*?)"', package)[0]
    program = cache / version / "node_modules/yaml-language-server/bin/yaml-language-server"
    node = shutil.which("node")
    if node is None:
        raise Missing("Node.js is missing: make test-all brings it")
    if not program.exists():
        raise Missing("the YAML language server is missing: make test-all brings it")
    return node, program


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": CAN})
        self._tell("initialized", {})

    def diagnose(self, file: Path) -> list[tuple[int, str]]:
        """Open a file; return what is wrong with it, as line (from 1) and message, sorted."""
        text = file.read_text(encoding="utf-8")
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        said = self._wait(
            lambda one: one.get("method") == "textDocument/publishDiagnostics" and one["params"]["uri"] == file.as_uri()
        )
        return sorted((one["range"]["start"]["line"] + 1, one["message"]) for one in said["params"]["diagnostics"])

    def hover(self, file: Path, line: int, column: int) -> str:
        """Return what is shown for a place of an open file, line and column from 1."""
        found = self._ask("textDocument/hover", _place(file, line, column))
        return str(found["contents"]["value"]) if found else ""

    def complete(self, file: Path, line: int, column: int) -> list[str]:
        """Return what is offered at a place of an open file."""
        return [one["label"] for one in self._ask("textDocument/completion", _place(file, line, column))["items"]]

    def _ask(self, method: str, params: Message) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": params})
        return self._wait(lambda one: one.get("id") == number and "method" not in one)["result"]

    def _tell(self, method: str, params: Message) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: Message) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream = self._process.stdin
        assert stream is not None
        stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        stream.flush()

    def _wait(self, wanted: Callable[[Message], bool]) -> Message:
        while True:
            message = self._read()
            if "method" in message and "id" in message:  # it asks us
                items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
                settings = [WANTS if item.get("section") == "yaml" else {} for item in items]
                self._send({"id": message["id"], "result": settings or None})
            elif wanted(message):
                return message

    def _read(self) -> Message:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        found: Message = json.loads(stream.read(length))
        return found


@contextmanager
def running() -> Iterator[Server]:
    """Start a server and end it. Raises Missing."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*find(), "--stdio"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def _place(file: Path, line: int, column: int) -> Message:
    place = {"line": line - 1, "character": column - 1}
    return {"textDocument": {"uri": file.as_uri()}, "position": place}
