"""The bytes of a download that came so far, kept for this process and for the next.

They gather beside the target in a hidden file, ``.name.part``; another, ``.name.part.json``, says which version of
which file they belong to.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from tfod_helpers.files import workspace


@dataclass(frozen=True)
class Part:
    """What is there of one file.

    Attributes:
        path: where its bytes are.
        url: where they come from.
    """

    path: Path
    url: str

    @property
    def note(self) -> Path:
        """The file that says which version the bytes belong to."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size

    def known(self) -> dict[str, Any]:
        """Return ``version``, ``total`` bytes and ``md5`` of the file, as far as the server gave them.

        Without a version it is not certain that the next bytes belong to those that are there.
        """
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self.note.read_text(encoding="utf-8"))
            if known["url"] == self.url:
                return known
        return {"version": None, "total": None, "md5": None}

    def describe(self, headers: HTTPMessage, total: int | None) -> None:
        """Keep what a server's headers state of a file whose bytes are about to come."""
        tag = headers.get("ETag", "")
        # A weak tag (RFC 9110, 8.8.1) promises an equal meaning, not equal bytes.
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        stated = re.search(r"md5=([\w+/=]+)", ", ".join(headers.get_all("x-goog-hash") or []))
        md5 = base64.b64decode(stated[1]).hex() if stated else None
        with workspace.whole_file(self.note) as note:
            facts = {"url": self.url, "version": version, "total": total, "md5": md5}
            note.write_text(json.dumps(facts) + "\n", encoding="utf-8")

    def discard(self) -> None:
        """Forget what came so far."""
        # First the bytes: a kill in between must not leave bytes of one version with the note of another.
        os.truncate(self.path, 0)
        self.note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the file its name."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self.note.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: Path, url: str) -> Iterator[Part]:
    """Give the part of a file, kept from other processes.

    Args:
        path: the file that is to be made.
        url: where from.
    """
    own = "" if workspace.CAN_LOCK else f".{os.getpid()}"
    part = Part(path.with_name(f".{path.name}{own}.part"), url)
    with workspace.alone(path):
        part.path.touch()
        try:
            yield part
        finally:
            if part.path.exists() and not part.size:
                part.note.unlink(missing_ok=True)
                part.path.unlink()
