"""A server on this machine that gives files as good servers do, and breaks off or refuses where a test says so."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Asked:
    """A request: its method, its path with what follows the question mark, and its headers."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Server:
    """The server.

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

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._answer(self)

            def do_HEAD(self) -> None:
                site._answer(self)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """Go off the network."""
        self.server.shutdown()
        self.server.server_close()

    def gets(self) -> list[Asked]:
        """The requests that asked for the bytes of a file."""
        return [one for one in self.asked if one.method == "GET"]

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append(Asked(handler.command, handler.path, dict(handler.headers)))
        path = handler.path.partition("?")[0]
        if path in self.answers:
            status, headers, body = self.answers[path]
        elif path in self.files:
            status, headers, body = self._file(handler, self.files[path])
        else:
            status, headers, body = 404, {}, b""
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "GET":
            whole = path not in self.files or not self.cut
            handler.wfile.write(body if whole else body[: self.cut.pop(0)])

    def _file(self, handler: http.server.BaseHTTPRequestHandler, data: bytes) -> tuple[int, dict[str, str], bytes]:
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": tag} if self.tags else {}
        wanted = handler.headers.get("Range")
        if wanted and self.tags and handler.headers["If-Range"] == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            return 206, headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]
        return 200, headers, data
