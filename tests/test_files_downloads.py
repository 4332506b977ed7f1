"""Downloads: whole or not at all, from servers that fail in every way and in processes that are killed."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import types
import urllib.error
from base64 import b64encode
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from served import Handler, Listening

from tfod_helpers.files import downloads, storage, workspace
from tfod_helpers.files.downloads import DownloadError, answers, fetching, parts

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(280_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
Answer = Callable[[Handler], None]


class Site(Listening):
    """A server of one file on this machine, which answers as its plan says, and then as it should.

    Attributes:
        asked: the ``Range`` header of each request, None where there was none.
        file: its address.
        sent: how many bytes of the file were handed out.
    """

    def __init__(self) -> None:
        self.data, self.tag, self.ranges, self.headers = DATA, '"1"', True, {}
        self.plan: list[Answer] = []
        self.asked: list[str | None] = []
        self.sent = 0
        site = self

        class SiteHandler(Handler):
            def answer(self) -> None:
                site.asked.append(self.headers.get("Range"))
                (site.plan.pop(0) if site.plan else site.gives())(self)

        super().__init__(SiteHandler)
        self.file = f"{self.address}/weights.h5"

    def gives(self, cut: int | None = None, pause: float = 0.0, piece: int = 16_384) -> Answer:
        """Answer as a good server does; ``cut`` hangs up after so many bytes, ``pause`` waits between pieces."""

        def answer(handler: Handler) -> None:
            start = 0
            if self.ranges and (wanted := handler.headers.get("Range")) and handler.headers["If-Range"] == self.tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                handler.send_response(206)
                handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
            else:
                handler.send_response(200)
            handler.send_header("Content-Length", str(len(self.data) - start))
            for name, value in ({"ETag": self.tag} | self.headers).items():
                if value is not None:
                    handler.send_header(name, value)
            handler.end_headers()
            self._send(handler, self.data[start:][:cut], pause, piece)

        return answer

    def _send(self, handler: Handler, data: bytes, pause: float, piece: int) -> None:
        try:
            for at in range(0, len(data), piece):
                handler.wfile.write(data[at : at + piece])
                self.sent += len(data[at : at + piece])
                time.sleep(pause)
        except OSError:
            handler.close_connection = True  # the other side was killed or has had enough


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a status, headers and a body."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between attempts, which takes no time here; this machine's servers need no proxy."""
    slept: list[float] = []
    monkeypatch.setattr(fetching, "time", types.SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "_PROGRESS", 10_000)
    return slept


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server of `DATA`."""
    monkeypatch.setenv("no_proxy", "*")
    with Site() as site:
        yield site


def left(folder: Path) -> list[str]:
    """The names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def refuse(path: Path) -> None:
    """A check that no file passes."""
    raise ValueError(f"it has {path.stat().st_size} bytes")


def test_file_comes_whole_and_once(site: Site, tmp_path: Path) -> None:
    """A file is fetched into a new folder, leaves nothing beside it, and is not fetched again."""
    path = tmp_path / "new" / "weights.h5"
    for _ in range(2):
        assert downloads.fetch(site.file, path, sha256=SHA256, md5=hashlib.md5(DATA).hexdigest()) == path
    assert path.read_bytes() == DATA
    assert left(path.parent) == ["weights.h5"]
    assert site.asked == [None]


def test_broken_connection_is_gone_on_with(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """Where connections break off again and again, each attempt asks for the rest, and no byte comes twice."""
    site.plan = [site.gives(cut=50_000) for _ in range(5)]  # more than the attempts that may fail without progress
    path = downloads.fetch(site.file, tmp_path / "weights.h5", sha256=SHA256)
    assert path.read_bytes() == DATA
    assert site.asked == [None, *[f"bytes={50_000 * n}-" for n in range(1, 6)]]
    assert site.sent == len(DATA)
    assert waits == [1.0] * 5


def test_part_outlives_the_call(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """What came before giving up is gone on with by the next call; until then the file has no name."""
    path = tmp_path / "weights.h5"
    site.plan = [site.gives(cut=90_000), *[says(500)] * 4]
    with pytest.raises(DownloadError, match=r"answers 500"):
        downloads.fetch(site.file, path)
    assert left(tmp_path) == [".weights.h5.part", ".weights.h5.part.json"]
    assert downloads.fetch(site.file, path).read_bytes() == DATA
    assert site.asked[-1] == "bytes=90000-"
    assert left(tmp_path) == ["weights.h5"]


@pytest.mark.parametrize("change", ["another version", "no ranges", "no version", "weak version"])
def test_rest_of_another_version_is_never_added(change: str, site: Site, tmp_path: Path, waits: list[float]) -> None:
    """Where the file changed meanwhile, or nobody can say that it did not, it comes from the start."""
    if change in ("no version", "weak version"):
        site.tag = None if change == "no version" else 'W/"1"'
    site.plan = [site.gives(cut=90_000)]

    def go(handler: Handler) -> None:
        if change == "another version":
            site.tag, site.data = '"2"', OTHER
        site.ranges = change != "no ranges"
        site.gives()(handler)

    site.plan.append(go)
    path = downloads.fetch(site.file, tmp_path / "weights.h5")
    assert path.read_bytes() == site.data
    asks_for_the_rest = change in ("another version", "no ranges")
    assert site.asked == [None, "bytes=90000-" if asks_for_the_rest else None]


def test_part_of_another_address_is_never_added(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """What came from one address is no beginning of what another has, even if it is to have the same name."""
    site.plan = [site.gives(cut=90_000), *[says(500)] * 4]
    with pytest.raises(DownloadError):
        downloads.fetch(site.file, tmp_path / "weights.h5")
    site.data = OTHER
    assert downloads.fetch(f"{site.file}?other", tmp_path / "weights.h5").read_bytes() == OTHER


def test_other_bytes_than_asked_for_are_refused(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """A server that answers with another range gets no chance to mix up the file."""
    # As many bytes as are missing, so that the length alone would not tell.
    wrong = says(206, DATA[50_000:-40_000], Content_Range=f"bytes 50000-{len(DATA) - 40_001}/{len(DATA)}")
    site.plan = [site.gives(cut=90_000), wrong]
    assert downloads.fetch(site.file, tmp_path / "weights.h5").read_bytes() == DATA
    assert site.asked == [None, "bytes=90000-", None]


def test_part_longer_than_the_file_is_forgotten(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """416, which means that the part is longer than the file is now, starts anew."""
    site.plan = [site.gives(cut=90_000), says(416)]
    assert downloads.fetch(site.file, tmp_path / "weights.h5").read_bytes() == DATA
    assert site.asked == [None, "bytes=90000-", None]


def test_server_that_is_busy_is_waited_for(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """The wait doubles; what a server asks for is honoured, as a number or a date, up to a minute."""
    soon = formatdate(time.time() + 30, usegmt=True)
    asked = [{}, {"Retry_After": "7"}, {"Retry_After": soon}]
    site.plan = [says(503, **headers) for headers in asked]
    downloads.fetch(site.file, tmp_path / "weights.h5")
    assert waits[:2] == [1.0, 7.0]
    assert 25 < waits[2] <= 30
    site.plan, waits[:] = [says(429, Retry_After="3600"), says(502), says(504)], []
    downloads.fetch(site.file, tmp_path / "again.h5")
    assert waits == [60.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("answer", "times", "words"),
    [
        (says(500), 4, "answers 500 (Internal Server Error). Try again later."),
        (says(403), 1, "answers 403 (Forbidden): not to anonymous users. Fetch it by hand"),
        (says(404), 1, "answers 404 (Not Found): it is not there, or no longer. Check the URL."),
        (says(418), 1, "answers 418 (I'm a Teapot). Fetch it by hand"),
        (
            says(200, b"<p>Log in</p>", Content_Type="text/html; charset=utf-8"),
            1,
            "sent a web page, such as one to log",
        ),
        (says(200, b"\n<!DOCTYPE HTML><p>Log in</p>"), 1, "sent a web page, such as one to log in"),
        (says(200, b"short", Content_Length="9"), 4, "broke off after 5 of 9 bytes"),
        (says(302, Location="file:///etc/passwd"), 1, "answers 302"),
    ],
    ids=["500", "403", "404", "418", "page", "disguised page", "cut", "redirect to a file"],
)
def test_what_cannot_be_had_is_told(
    answer: Answer, times: int, words: str, site: Site, tmp_path: Path, waits: list[float]
) -> None:
    """Each failure says where, what and what to do; only what may pass is tried again; no file appears."""
    site.plan = [answer] * times
    with pytest.raises(DownloadError) as raised:
        downloads.fetch(site.file, tmp_path / "weights.h5")
    assert str(raised.value).startswith(f"{site.file}: ")
    assert words in str(raised.value)
    assert len(site.asked) == times
    assert not (tmp_path / "weights.h5").exists()
    if "by hand" in words:
        assert str(tmp_path / "weights.h5") in raised.value.fix


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://nobody.invalid/a.h5", "no machine is called nobody.invalid: the URL is wrong, or this machine is"),
        ("http://127.0.0.1:9/a.h5", "the connection failed ([Errno 111] Connection refused)"),
        ("file:///etc/passwd", "this is no URL of a file. Give one with https://"),
        ("weights.h5", "this is no URL of a file"),
    ],
)
def test_no_network_and_no_address(address: str, words: str, tmp_path: Path, waits: list[float]) -> None:
    """Without a network, or with something that is no address, the error says so, and nothing is left."""
    with pytest.raises(DownloadError) as raised:
        downloads.fetch(address, tmp_path / "a.h5")
    assert words.split(" ([Errno 111]")[0] in str(raised.value)
    assert not left(tmp_path)


def test_what_connections_raise_is_told(tmp_path: Path) -> None:
    """A forged certificate is an error at once; a machine that is unknown or silent may be there later."""
    address, path = "https://somewhere.org/a.h5", tmp_path / "a.h5"
    forged = answers.broken(address, path, urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")))
    assert isinstance(forged, DownloadError)
    assert "certificate is not to be trusted" in forged.what
    for reason, word in (
        (socket.gaierror(-2, "unknown"), "no machine is called somewhere.org"),
        (TimeoutError(), "silent"),
    ):
        later = answers.broken(address, path, urllib.error.URLError(reason))
        assert isinstance(later, answers.Again)
        assert word in later.what
        assert str(path) in later.fix


def test_redirect_is_followed_but_not_out_of_https(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """A redirect keeps the range that is asked for; one from https to http is refused."""
    moved = says(302, Location=f"{site.file}?moved")
    site.plan = [moved, site.gives(cut=90_000), moved]
    assert downloads.fetch(site.file, tmp_path / "weights.h5").read_bytes() == DATA
    assert site.asked == [None, None, "bytes=90000-", "bytes=90000-"]
    part = parts.Part(tmp_path / ".a.h5.part", "https://safe.org/a.h5")
    download = fetching._Download(tmp_path / "a.h5", part, fetching._Proof(None, None, None))
    with pytest.raises(DownloadError, match=r"leads to http://open\.org/a\.h5"):
        download._refuse_page(types.SimpleNamespace(url="http://open.org/a.h5"), False)


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        ({"sha256": "0" * 64}, "it is not the published file: its sha256 is"),
        ({"md5": "0" * 32}, "it is not the published file: its md5 is"),
        ({"check": refuse}, "it has 300000 bytes"),
    ],
    ids=["sha256", "md5", "check"],
)
def test_wrong_file_is_refused(proof: dict, words: str, site: Site, tmp_path: Path, waits: list[float]) -> None:
    """A file with another hash, or one that the caller's check refuses, is not kept and not asked for again."""
    with pytest.raises(DownloadError, match=words):
        downloads.fetch(site.file, tmp_path / "weights.h5", **proof)
    assert len(site.asked) == 1
    assert not left(tmp_path)


def test_what_google_tells_of_its_file_is_compared(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """Where no hash is known, the MD5 in the server's answer is; a better known one outweighs it."""
    told = {name: b64encode(hashlib.md5(data).digest()).decode() for name, data in (("good", DATA), ("bad", OTHER))}
    site.headers = {"x-goog-hash": f"crc32c=AAAAAA==, md5={told['good']}"}
    assert downloads.fetch(site.file, tmp_path / "good.h5").read_bytes() == DATA
    site.headers = {"x-goog-hash": f"crc32c=AAAAAA==, md5={told['bad']}"}
    with pytest.raises(DownloadError, match="its md5 is"):
        downloads.fetch(site.file, tmp_path / "bad.h5")
    assert downloads.fetch(site.file, tmp_path / "bad.h5", sha256=SHA256).read_bytes() == DATA


def test_damaged_part_and_damaged_file_come_anew(
    site: Site, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that were changed on the disk are noticed by the hash, and the file comes from the start."""
    path = tmp_path / "weights.h5"
    site.plan = [site.gives(cut=90_000), *[says(500)] * 4]
    with pytest.raises(DownloadError):
        downloads.fetch(site.file, path, sha256=SHA256)
    with (tmp_path / ".weights.h5.part").open("r+b") as file:
        file.write(b"damaged")
    assert downloads.fetch(site.file, path, sha256=SHA256).read_bytes() == DATA
    assert site.asked[-2:] == ["bytes=90000-", None]
    path.write_bytes(DATA[:1000])
    assert downloads.fetch(site.file, path, sha256=SHA256).read_bytes() == DATA
    assert "Downloading it anew" in capsys.readouterr().out


def test_part_that_is_whole_needs_no_server(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """A process that was killed between the last byte and the name left all that is needed."""
    with parts.opened(tmp_path / "weights.h5", site.file) as part:
        part.describe(types.SimpleNamespace(get={"ETag": '"1"'}.get, get_all=lambda _: None), len(DATA))
        part.path.write_bytes(DATA)
    assert downloads.fetch(site.file, tmp_path / "weights.h5").read_bytes() == DATA
    assert site.asked == []


def test_silent_and_slow_servers_are_left(
    site: Site, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes silent, or sends next to nothing, is asked again for the rest."""
    monkeypatch.setattr(fetching, "_TIMEOUT_SECONDS", 1.0)
    pause = threading.Event()

    def goes_silent(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.send_header("ETag", '"1"')
        handler.end_headers()
        handler.wfile.write(DATA[:90_000])
        pause.wait(5)

    site.plan = [goes_silent]
    assert downloads.fetch(site.file, tmp_path / "silent.h5").read_bytes() == DATA
    assert site.asked == [None, "bytes=90000-"]
    pause.set()
    monkeypatch.setattr(fetching, "_SLOW_SECONDS", 0.1)
    monkeypatch.setattr(fetching, "_SLOWEST", 100_000)

    def dribbles(handler: Handler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode())
        for at in range(100):
            if not pause.is_set():
                break
            handler.wfile.write(DATA[at : at + 1])
            time.sleep(0.02)

    site.plan = [dribbles] * 4
    with pytest.raises(DownloadError, match=r"comes too slowly, at \d+ bytes a second"):
        downloads.fetch(site.file, tmp_path / "slow.h5")
    pause.clear()


def test_full_disk_is_told_before_a_byte_comes(
    site: Site, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is too small for the rest of the file is an error that says how much is missing."""
    monkeypatch.setattr(workspace.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100_000))
    with pytest.raises(OSError, match=r"the disk is full: 0\.3 MB are to come, and .* has 0\.1 MB free"):
        downloads.fetch(site.file, tmp_path / "weights.h5")
    assert not left(tmp_path)


def test_file_of_unknown_length_is_proven_by_its_hash(site: Site, tmp_path: Path, waits: list[float]) -> None:
    """Without a length, a file that broke off is found out by its hash."""
    site.plan = [says(200, DATA)]
    assert downloads.fetch(site.file, tmp_path / "a.h5", sha256=SHA256).read_bytes() == DATA
    site.plan = [says(200, DATA[:1000])]
    with pytest.raises(DownloadError, match="its sha256 is"):
        downloads.fetch(site.file, tmp_path / "b.h5", sha256=SHA256)


def test_file_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    """A gs:// address is read through Google's client, and proven as others are."""
    storage.write_bytes(f"{bucket}/weights.h5", DATA)
    assert downloads.fetch(f"{bucket}/weights.h5", tmp_path / "a.h5", sha256=SHA256).read_bytes() == DATA
    with pytest.raises(DownloadError, match="its sha256 is"):
        downloads.fetch(f"{bucket}/weights.h5", tmp_path / "b.h5", sha256="0" * 64)
    with pytest.raises(FileNotFoundError, match="not there"):
        downloads.fetch(f"{bucket}/none.h5", tmp_path / "c.h5")
    assert left(tmp_path) == ["a.h5"]


def start(address: str, path: Path) -> subprocess.Popen[bytes]:
    """Start a process that fetches a file."""
    code = "import sys; from pathlib import Path; from tfod_helpers.files import downloads; "
    code += "downloads.fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    command = [sys.executable, "-c", code, address, str(path), SHA256]
    return subprocess.Popen(command, env=os.environ | {"no_proxy": "*"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_killed_processes_lose_nothing(site: Site, tmp_path: Path) -> None:
    """Processes killed with SIGKILL in the middle are gone on with by the next; hardly a byte comes twice."""
    path, part, kills = tmp_path / "weights.h5", tmp_path / ".weights.h5.part", 4
    for number in range(1, kills + 1):
        site.plan = [site.gives(pause=0.03)]
        process = start(site.file, path)
        wait_for(lambda wanted=50_000 * number: part.exists() and part.stat().st_size >= wanted)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not path.exists()
    process = start(site.file, path)
    assert process.wait(20) == 0, process.stderr.read()
    assert path.read_bytes() == DATA
    assert left(tmp_path) == ["weights.h5"]
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in site.asked[1:]]
    assert site.asked[0] is None
    assert all(start >= 50_000 * number for number, start in enumerate(starts, start=1))
    assert len(starts) == kills


def test_two_processes_want_the_same_file(site: Site, tmp_path: Path) -> None:
    """One fetches it, the other waits and says so; both end well, and where the first is killed the other goes on."""
    site.plan = [site.gives(pause=0.05)]
    processes = [start(site.file, tmp_path / "weights.h5") for _ in range(2)]
    outs = [process.communicate(timeout=20)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert (tmp_path / "weights.h5").read_bytes() == DATA
    assert left(tmp_path) == ["weights.h5"]
    assert site.asked == [None]
    assert sorted("another process is making it" in out for out in outs) == [False, True]
    site.plan = [site.gives(pause=0.05)]
    first = start(site.file, tmp_path / "other.h5")
    wait_for(lambda: site.sent > len(DATA) + 50_000)
    second = start(site.file, tmp_path / "other.h5")
    assert b"waiting" in second.stdout.readline()
    first.kill()
    first.wait()
    assert second.wait(20) == 0
    assert (tmp_path / "other.h5").read_bytes() == DATA
    assert site.asked[-1] not in (None, "bytes=0-")
