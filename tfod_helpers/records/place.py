"""Where records are: a folder, local or in a bucket, and the names of their files in it.

A name with a tag is made from what the file holds, so a file never changes under its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.files import storage


@dataclass(frozen=True)
class Place:
    """A folder, and the start of the names in it.

    Attributes:
        folder: local, or ``gs://bucket/folder``.
        name: what every file's name starts with.
    """

    folder: str
    name: str

    @classmethod
    def of_prefix(cls, prefix: storage.AnyPath) -> Place:
        """Return the place of a prefix such as ``runs/records/train``.

        Raises:
            ValueError: it cannot be one.
        """
        if "," in os.fspath(prefix):
            raise ValueError(f"{prefix}: Model Garden takes a comma for the end of a path. Choose a path without one.")
        folder, name = storage.split(prefix)
        remote = storage.is_remote(folder)
        if "://" in os.fspath(prefix) and not remote:
            raise ValueError(f"{prefix}: records are in a local folder or in a bucket (gs://). Choose one of these.")
        if not name or name in (".", "..") or (remote and folder == "gs://"):
            example = "gs://bucket/records/train" if remote else storage.join(folder, "train")
            raise ValueError(f"{storage.address(prefix)}: records need a name in a folder, such as {example}.")
        return cls(folder, name)

    @classmethod
    def of_pattern(cls, pattern: str) -> Place:
        """Return the place of the records whose shards a pattern matches."""
        prefix = re.sub(r"-[0-9a-f]{8}-\*-of-\d{5}\.tfrecord$", "", pattern)
        return cls.of_prefix(re.sub(r"\[([*?[])\]", r"\1", prefix))  # what glob.escape put into brackets

    @property
    def remote(self) -> bool:
        """Whether it is in a bucket."""
        return storage.is_remote(self.folder)

    @property
    def manifest(self) -> str:
        """The path of the manifest."""
        return self.path(f"{self.name}.json")

    def path(self, name: str) -> str:
        """The path of a file of this place."""
        return storage.join(self.folder, name)

    def shard_names(self, tag: str, count: int) -> list[str]:
        """The names of so many shards."""
        return [f"{self.name}-{tag}-{number:05d}-of-{count:05d}.tfrecord" for number in range(count)]

    def index_name(self, tag: str) -> str:
        """The name of an index."""
        return f"{self.name}-{tag}.index.npy"

    def sizes(self, start: str = "") -> dict[str, int]:
        """The files that are there, those that ``start`` with something, with their sizes in bytes."""
        if self.remote:
            return storage.sizes(self.folder, start)
        folder = Path(self.folder)
        there = folder.iterdir() if folder.is_dir() else ()
        return {path.name: path.stat().st_size for path in there if path.name.startswith(start) and path.is_file()}

    def put(self, made: Path | str, name: str) -> None:
        """Give a complete file, of this machine or of the bucket, its name here; what had it is replaced at once."""
        if not self.remote:
            os.replace(made, self.path(name))
        elif storage.is_remote(made):
            storage.copy(made, self.path(name))
        else:
            storage.upload(Path(made), self.path(name))

    def put_bytes(self, data: bytes, name: str) -> None:
        """Write a file, whole or not at all."""
        with storage.whole_file(self.path(name)) as part:
            part.write_bytes(data)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Place]:
        """Give a hidden folder in this one, which every machine sees, and remove it in the end."""
        name = f".{self.name}.{secrets.token_hex(4)}.part"
        staging = Place(self.path(name), name)
        self.remove_unfinished()
        if not self.remote:
            Path(staging.folder).mkdir(parents=True)
        try:
            yield staging
        finally:
            self.remove_unfinished()

    def remove_all_but(self, named: Collection[str]) -> None:
        """Remove older shards and indexes, and what an interrupted write left."""
        ours = re.compile(rf"{re.escape(self.name)}-[0-9a-f]{{8}}(-\d{{5}}-of-\d{{5}}\.tfrecord|\.index\.npy)")
        for name in self.sizes(f"{self.name}-"):
            if ours.fullmatch(name) and name not in named:
                with contextlib.suppress(OSError):  # Windows keeps a file that another program has open
                    storage.delete(self.path(name)) if self.remote else os.unlink(self.path(name))
        self.remove_unfinished()

    def remove_unfinished(self) -> None:
        """Remove what a write left that was interrupted before its files had their names."""
        name = re.escape(self.name)
        if self.remote:
            nested = re.compile(rf"\.{name}\.[0-9a-f]{{8}}\.part/.*")
            for other in storage.sizes(self.folder, f".{self.name}.", nested=True):
                if nested.fullmatch(other):
                    storage.delete(self.path(other))
            return
        hidden = re.compile(rf"\.{name}(-[0-9a-f]{{8}}.*|\.json)?\.[a-z0-9_]{{8}}\.part")
        for path in Path(self.folder).glob(".*.part"):
            if hidden.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
