"""Where archives are: on this disk, on Drive, behind an address, in a bucket. Each is brought in its own way."""

from __future__ import annotations

import http.client
import os
import urllib.request
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.files import archives, downloads, mounts, storage, workspace
from tfod_helpers.sources import bringing, links
from tfod_helpers.sources.bringing import SourceError, without_ending

_PIECE = 1 << 22  # bytes: each reading on Drive is a question to Google, so few large ones
_TIMEOUT_SECONDS = 10.0  # for the question whether an address holds what it held


class LocalArchive(bringing.Archive):
    """An archive on this machine's disk, which is unpacked where it is."""

    def __init__(self, path: Path) -> None:
        try:
            self.parts = archives.parts_of(path)
            name = archives.name_of(path)
        except archives.ArchiveError as error:
            raise SourceError(str(path), error.what, error.fix) from None
        self.path = self.parts[0]
        self.key, self.shown, self.name = os.path.abspath(self.path), str(path), without_ending(name)

    def version(self) -> list[int]:
        """Return its size and the time of its last change, of all parts where it has several."""
        with mounts.explained(self.path):
            return [number for part in self.parts for number in storage.stamp(part)]

    def fetch(self, path: Path) -> Path:
        """Return its own place."""
        return self.path


class FarArchive(LocalArchive):
    """An archive on Drive.

    It is copied in one go, from its first byte to its last. Unpacked from there, it would be read in as many jumps as
    it has files, and a single one that Drive does not answer would be the end of it.
    """

    def fetch(self, path: Path) -> Path:
        """Copy it, going on where that was stopped."""
        path.parent.mkdir(parents=True, exist_ok=True)
        targets = [path] if len(self.parts) == 1 else [path.with_name(one.name) for one in self.parts]
        for source, target in zip(self.parts, targets, strict=True):
            if not target.is_file():  # else what was stopped was the unpacking, or the next part
                self._fetch_one(source, target)
        return targets[0]

    def _fetch_one(self, source: Path, target: Path) -> None:
        part = target.with_name(f"{target.name}.part")
        with mounts.explained(source):
            before = storage.stamp(source)
            self._copy(source, part, before[0])
            if storage.stamp(source) != before or part.stat().st_size != before[0]:
                part.unlink()
                fix = "Wait until Drive shows that its upload has ended, and run the cell again."
                raise SourceError(str(source), "it changed while it was copied", fix)
        part.replace(target)

    def _copy(self, path: Path, part: Path, total: int) -> None:
        with part.open("ab") as file, path.open("rb", buffering=0) as source:
            offset = source.seek(file.tell())
            with (
                workspace.room_for(path, part.parent, total - offset),
                tqdm(total=total, initial=offset, unit="B", unit_scale=True, desc=path.name, delay=1) as bar,
            ):
                while piece := source.read(_PIECE):
                    bar.update(file.write(piece))


class WebArchive(bringing.Archive):
    """An archive behind an address."""

    def __init__(self, link: links.Link) -> None:
        self.link = link
        self.key, self.shown, self.name = link.address, link.shown, link.name

    def version(self) -> list[str | None] | None:
        """Return the server's word for this version of the file, and its size."""
        request = urllib.request.Request(self.link.address, headers={"User-Agent": "tfod_helpers"}, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                told = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
                return [told, answer.headers.get("Content-Length")] if told else None
        except (OSError, http.client.HTTPException, ValueError):
            return None  # `fetch` is the one to say why, where it is needed

    def fetch(self, path: Path) -> Path:
        """Download it, going on where that was stopped."""
        try:
            return downloads.fetch(self.link.address, path)
        except downloads.DownloadError as error:
            by_hand = "Fetch it in a browser, and give the path that it then has."
            fix = self.link.fix or (by_hand if str(path) in error.fix else error.fix)
            # Not from the other error, whose message has the whole address, key and all.
            raise SourceError(self.shown, error.what, fix) from None


class BucketArchive(bringing.Archive):
    """An archive in a Cloud Storage bucket."""

    def __init__(self, address: str) -> None:
        self.key = self.shown = address
        self._folder, name = storage.split(address)
        self._parts = [name]
        try:
            if archives.is_part(name) and len(others := archives.parts_among(name, storage.sizes(self._folder))) > 1:
                self._parts, name = others, archives.start_of(name)
                self.key = storage.join(self._folder, others[0])
        except archives.ArchiveError as error:
            raise SourceError(address, error.what, error.fix) from None
        self.name = without_ending(name)

    def version(self) -> list[int] | None:
        """Return its size and its generation, which is a new one for each change."""
        try:
            return [number for part in self._parts for number in storage.stamp(storage.join(self._folder, part))]
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:  # the network's
            return None

    def fetch(self, path: Path) -> Path:
        """Download it."""
        if len(self._parts) == 1:
            return downloads.fetch(self.key, path)
        fetched = [downloads.fetch(storage.join(self._folder, one), path.with_name(one)) for one in self._parts]
        return fetched[0]
