"""A URL -> a file, attempt by attempt, each of which resumes where the last one stopped."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.downloads import parts
from tfod_helpers.files.downloads.answers import Again, DownloadError, broken, by_hand, refused

_ATTEMPTS = 4  # in a row without progress
_PROGRESS = 1 << 20  # bytes: an attempt that brought so many was not in vain
_WAIT_SECONDS = 1.0  # before the second attempt; twice that before the third, and so on
_LONGEST_WAIT_SECONDS = 60.0  # whatever a server asks for
_TIMEOUT_SECONDS = 30.0  # for a connection, and for the next bytes
_SLOW_SECONDS, _SLOWEST = 60.0, 1000  # so long below so many bytes a second is as bad as a broken connection
_PIECE = 1 << 16
_PAGE_ENDINGS = (".html", ".htm")
_PAGE_STARTS = (b"<!doctype html", b"<html", b"<head")

Check = Callable[[Path], None]


@dataclass(frozen=True)
class _Proof:
    sha256: str | None
    md5: str | None
    check: Check | None

    def hold(self, path: Path, told_md5: str | None = None) -> None:
        """Raise ValueError where a file is not the one that is wanted."""
        # What a server says of its file proves the way only, so it counts where nothing better is known.
        md5 = self.md5 or (None if self.sha256 else told_md5)
        for name, wanted in (("sha256", self.sha256), ("md5", md5)):
            if wanted:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, name).hexdigest()
                if found != wanted.lower():
                    raise ValueError(f"it is not the published file: its {name} is {found}, expected {wanted}")
        if self.check:
            try:
                self.check(path)
            except ValueError as error:
                raise ValueError(str(error).rstrip(".")) from error


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    check: Check | None = None,
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Fetch a file, whole or not at all; one that is there already and passes is kept.

    What an earlier call, in this process or in a killed one, brought of the same version of the file is gone on
    with. Where two processes want the same file, one waits for the other.

    Args:
        url: ``https://``, ``http://`` or ``gs://``.
        path: the file to make; missing folders are made.
        sha256: the file's hash, in hexadecimal, where it is known.
        md5: the same of another kind. Where neither is given, the MD5 in the headers of Google's servers is taken.
        check: takes the file before it gets its name, and raises ValueError where it is the wrong one.
        headers: sent to this server besides, such as a key. They are sent to no other that it redirects to.

    Returns:
        The path.

    Raises:
        DownloadError: it could not be had, or is not the right one.
        OSError: it is in a bucket and could not be had, or the disk is too small.
    """
    proof = _Proof(sha256, md5, check)
    if _is_there(path, proof):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if storage.is_remote(url):
        _copy_from_bucket(url, path, proof)
    elif urllib.parse.urlsplit(url).scheme in ("http", "https"):
        with parts.opened(path, url) as part:
            if not _is_there(path, proof, silent=True):  # another process may have brought it meanwhile
                _Download(path, part, proof, headers).go()
    else:
        raise DownloadError(url, "this is no URL of a file", "Give one with https://, http:// or gs://.")
    return path


def _is_there(path: Path, proof: _Proof, silent: bool = False) -> bool:
    try:
        if path.is_file():
            proof.hold(path)
            return True
    except ValueError as error:
        if not silent:
            print(f"{path}: {error}. Downloading it anew.")
    return False


def _copy_from_bucket(url: str, path: Path, proof: _Proof) -> None:
    with workspace.whole_file(path) as part:
        storage.download(url, part)
        try:
            proof.hold(part)
        except ValueError as error:
            raise DownloadError(url, str(error), "Check the URL.") from error


class _Download:
    """One file on its way."""

    def __init__(self, path: Path, part: parts.Part, proof: _Proof, headers: Mapping[str, str] | None = None) -> None:
        self.path, self.part, self.proof, self.headers = path, part, proof, headers or {}
        self.resumed = False  # whether the part holds bytes of an earlier attempt

    def go(self) -> None:
        """Fetch the file and give it its name."""
        failures = 0
        while True:
            before = self.part.size
            try:
                self._attempt()
                self._prove()
                break
            except Again as again:
                failures = 1 if self.part.size - before >= _PROGRESS else failures + 1
                if failures == _ATTEMPTS:
                    raise DownloadError(self.part.url, again.what, again.fix) from again
                wait = _WAIT_SECONDS * 2 ** (failures - 1) if again.wait is None else again.wait
                wait = min(wait, _LONGEST_WAIT_SECONDS)
                print(f"{self.path.name}: {again.what}; trying again in {wait:.0f} s.", flush=True)
                time.sleep(wait)
        self.part.finish(self.path)

    def _attempt(self) -> None:
        known, offset = self.part.known(), self.part.size
        if not known["version"] or offset > (known["total"] or offset):
            self.part.discard()
            offset = 0
        self.resumed = offset > 0
        if offset and offset == known["total"]:  # killed just before it got its name
            return
        # Bytes that were packed for the way would stand in other places than in the file.
        headers = {"Accept-Encoding": "identity", "User-Agent": "tfod_helpers"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": known["version"]}
        try:
            request = urllib.request.Request(self.part.url, headers=headers)
            for name, value in self.headers.items():
                request.add_unredirected_header(name, value)
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                self._receive(answer, offset)
        except urllib.error.HTTPError as error:
            with error:
                if offset and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    self.part.discard()
                    raise Again("the file is another one now, and shorter") from error
                raise refused(self.part.url, self.path, error) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise broken(self.part.url, self.path, error) from error

    def _receive(self, answer: Any, offset: int) -> None:
        self._refuse_page(answer, answer.headers.get_content_type() == "text/html")
        total: int | None
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            place = re.match(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if not place or int(place[1]) != offset:
                self.part.discard()
                raise Again("the server sent other bytes than it was asked for")
            total = int(place[2])
        else:  # the whole of it: the first time, or it changed since, or the server knows no ranges
            self.part.discard()
            self.resumed, offset = False, 0
            total = int(answer.headers.get("Content-Length") or 0) or None
            self.part.describe(answer.headers, total)
        with workspace.room_for(self.path, self.path.parent, total - offset if total else 0):
            self._write(answer, offset, total)
        if total and self.part.size != total:
            raise Again(f"the connection broke off after {self.part.size:,} of {total:,} bytes")

    def _write(self, answer: Any, offset: int, total: int | None) -> None:
        began, since = time.monotonic(), 0
        with (
            self.part.path.open("ab") as file,
            tqdm(total=total, initial=offset, unit="B", unit_scale=True, desc=self.path.name, delay=1) as bar,
        ):
            while piece := answer.read1(_PIECE):
                if not offset:
                    self._refuse_page(answer, piece.lstrip().lower().startswith(_PAGE_STARTS))
                bar.update(file.write(piece))
                offset, since = offset + len(piece), since + len(piece)
                if (seconds := time.monotonic() - began) > _SLOW_SECONDS:
                    if since < _SLOWEST * seconds:
                        raise Again(f"it comes too slowly, at {since / seconds:,.0f} bytes a second")
                    began, since = time.monotonic(), 0

    def _refuse_page(self, answer: Any, page: bool) -> None:
        url = self.part.url
        if url.startswith("https:") and not answer.url.startswith("https:"):
            what = f"it leads to {answer.url}, where anybody on the way could change the file"
            raise DownloadError(url, what, "Fetch it from another URL.")
        if page and not self.path.name.lower().endswith(_PAGE_ENDINGS):
            host = urllib.parse.urlsplit(answer.url).netloc
            what = f"{host} sent a web page, such as one to log in, and not the file"
            raise DownloadError(url, what, by_hand(self.path))

    def _prove(self) -> None:
        try:
            self.proof.hold(self.part.path, self.part.known()["md5"])
        except ValueError as error:
            self.part.discard()
            if self.resumed:  # what was there before may have been damaged on the disk
                raise Again(f"{error}; fetching it from the start") from error
            raise DownloadError(self.part.url, str(error), by_hand(self.path)) from error
