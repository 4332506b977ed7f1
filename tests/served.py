"""Servers on this machine: what all of them have, and one that gives files as good servers do, or as a test says."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Self


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a request, whatever its method, and keeps the test's output clean."""

    def do_GET(self) -> None:
        """Answer, as `http.server` calls it."""
        self.answer()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def answer(self) -> None:
        """Answer; each server says how."""
        raise NotImplementedError

    def give(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send an answer; of its body the length, where the headers do not say one."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class JsonHandler(Handler):
    """Answers as Google's APIs do, many times on one connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, the second waits for the first to be acknowledged

    def read(self) -> bytes:
        """Return what came with the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def give_json(self, status: int, body: Any) -> None:
        """Send an answer: bytes as they are, nothing for None, and else JSON."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.give(status, sent, {"Content-Type": "application/json; charset=UTF-8"})


class Listening:
    """A server, for as long as a block takes, or until it is stopped.

    Attributes:
        address: of the server, ``http://127.0.0.1:port``.
    """

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Go off the network."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass
class Asked:
    """A request: its method, its path with what follows the question mark, and its headers."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Server(Listening):
    """A server of files.

    Attributes:
        files: path without what follows the question mark -> the bytes.
        answers: path -> the status and headers of an answer that is no file.
        asked: all requests, in order.
        cut: the next answers with a file break off after so many bytes.
        tags: whether it says which version of a file it gives.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    tags: bool = True

    def __post_init__(self) -> None:
        site = self

        class FileHandler(Handler):
            def answer(self) -> None:
                site._answer(self)

        super().__init__(FileHandler)

    def gets(self) -> list[Asked]:
        """The requests that asked for the bytes of a file."""
        return [one for one in self.asked if one.method == "GET"]

    def _answer(self, handler: Handler) -> None:
        self.asked.append(Asked(handler.command, handler.path, dict(handler.headers)))
        path = handler.path.partition("?")[0]
        if path in self.answers:
            status, headers, body = self.answers[path]
        elif path in self.files:
            status, headers, body = self._file(handler, self.files[path])
        else:
            status, headers, body = 404, {}, b""
        length = {"Content-Length": str(len(body))}
        if handler.command == "HEAD":
            body = b""
        elif path in self.files and self.cut:
            body = body[: self.cut.pop(0)]
        handler.give(status, body, length | headers)

    def _file(self, handler: Handler, data: bytes) -> tuple[int, dict[str, str], bytes]:
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": tag} if self.tags else {}
        wanted = handler.headers.get("Range")
        if wanted and self.tags and handler.headers["If-Range"] == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            return 206, headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]
        return 200, headers, data
