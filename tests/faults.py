"""A server that stands between Google's client and the emulator, and does to requests what networks and servers do."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from served import JsonHandler

from tfod_helpers.files.storage import client

PASSING = ("429", "500", "503", "cut", "cut after", "cut body", "slow", "wrong")  # what another try mends
LASTING = ("401", "403", "404")
SLOW_SECONDS = 0.8
MESSAGES = {
    "400": "Bad request.",
    "401": "Invalid Credentials",
    "403": "me@example.com does not have storage.objects.create access to the Google Cloud Storage object.",
    "404": "The specified bucket does not exist.",
    "429": "The rate of requests exceeds the quota.",
    "500": "We encountered an internal error.",
    "503": "Backend error.",
    "billing": "The billing account for the owning project is disabled in state absent",
}


@dataclass
class Faults:
    """Which faults happen to which requests: the same ones each time, whatever the order the requests come in.

    Attributes:
        rates: how often each fault happens, 0 to 1.
        always: a part of an object's name -> the fault that each request for it meets.
        seed: of what is random.
        latency: seconds that each answer takes, as over a real network.
        happened: how often each fault did.
        requests: the method and the object of each request that reached the emulator.
    """

    rates: dict[str, float] = field(default_factory=dict)
    always: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    latency: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self, method: str, name: str) -> str:
        """Return the fault that a request meets, or nothing."""
        with self._lock:
            self._seen[method, name] += 1
            draw = random.Random(f"{self.seed}/{method}/{name}/{self._seen[method, name]}")
            (chosen,) = draw.choices([*self.rates, ""], [*self.rates.values(), 1 - sum(self.rates.values())])
            if not name and chosen in LASTING:  # of a listing: nothing would be left to look at
                chosen = ""
            chosen = next((fault for part, fault in self.always.items() if part in name), chosen)
            if chosen:
                self.happened[chosen] += 1
        return chosen


class _Handler(JsonHandler):
    disable_nagle_algorithm = True

    def answer(self) -> None:
        server: Any = self.server
        body = self.read()
        name, fault = _object(self.path, body), server.faults.choose(self.command, _object(self.path, body))
        media = "alt=media" in self.path
        time.sleep(server.faults.latency + (SLOW_SECONDS if fault == "slow" else 0))
        if fault in MESSAGES:
            self._refuse(fault)
        elif fault == "cut":
            self.close_connection = True
        else:
            if fault == "wrong" and not media:
                body = _changed(body)
            status, headers, data = server.forward(self.command, self.path, body, self.headers, name)
            if fault == "wrong" and media and data:
                data = bytes([data[0] ^ 1]) + data[1:]
            self._answer(status, headers, data, fault)

    def _answer(self, status: int, headers: dict[str, str], data: bytes, fault: str) -> None:
        if fault == "cut after":
            self.close_connection = True
            return
        whole = str(len(data))
        if fault == "cut body":
            data, self.close_connection = data[: len(data) // 2], True
        self.give(status, data, headers | {"Content-Length": whole})

    def _refuse(self, fault: str) -> None:
        code = 403 if fault == "billing" else int(fault)
        error = {"code": code, "message": MESSAGES[fault], "errors": [{"message": MESSAGES[fault], "reason": "x"}]}
        self._answer(code, {"Content-Type": "application/json"}, json.dumps({"error": error}).encode(), "")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, faults: Faults, host: str) -> None:
        super().__init__(("localhost", 0), _Handler)
        self.faults, self.host, self.one_at_a_time = faults, host, threading.Lock()

    def forward(
        self, method: str, path: str, body: bytes, headers: Any, name: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the emulator, which does one thing at a time."""
        with self.one_at_a_time:
            self.faults.requests.append((method, name))
            connection = http.client.HTTPConnection(self.host)
            kept = {key: value for key, value in headers.items() if key.lower() not in ("connection", "content-length")}
            connection.request(method, path, body or None, kept)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
        passed_over = ("content-length", "connection", "server", "date")
        return answer.status, {k: v for k, v in answer.headers.items() if k.lower() not in passed_over}, data

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that has waited too long is gone."""


def _object(path: str, body: bytes) -> str:
    """Return the object that a request is about; of a listing, nothing."""
    if found := re.search(r"/o/([^?]+)", path):
        return urllib.parse.unquote(found[1])
    if "upload_id=" in path:
        session = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["upload_id"][0]
        return re.sub(r"\d{4}-\d\d-\d\d.*", "", session)  # the time, with which the faults would be others each time
    found = re.search(rb'"name": "([^"]+)"', body) if "/upload/" in path else None
    return found[1].decode() if found else ""


def _changed(body: bytes) -> bytes:
    """Return an upload with one byte of the file changed, in the middle of what follows the second empty line."""
    start = body.find(b"\r\n\r\n", body.find(b"\r\n\r\n") + 4) + 4
    end = body.rfind(b"\r\n--")
    if not 4 <= start < end:
        return body
    at = (start + end) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@contextmanager
def standing_before(host: str, faults: Faults) -> Iterator[str]:
    """Start a server that passes requests on to ``host``, and give its address."""
    server = _Server(faults, host)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def be_patient(monkeypatch: pytest.MonkeyPatch, seconds: float = 20.0, pause: float = 0.01) -> None:
    """Let Google's client try again for so long, with so short a pause before its second try."""
    from google.cloud.storage import retry

    pauses = retry.DEFAULT_RETRY.with_delay(initial=pause, maximum=max(pause, 0.1), multiplier=2.0)
    monkeypatch.setattr(retry, "DEFAULT_RETRY", pauses.with_timeout(seconds))


@pytest.fixture
def faults(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """The faults between Google's client and the emulator, none to begin with; pauses and patience are short."""
    be_patient(monkeypatch)
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", (5.0, SLOW_SECONDS / 2))
    made = Faults()
    with standing_before(os.environ["STORAGE_EMULATOR_HOST"].removeprefix("http://"), made) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield made
