"""Paths as text: local ones, and addresses in a bucket."""

from __future__ import annotations

import os

AnyPath = str | os.PathLike[str]


def is_remote(path: AnyPath) -> bool:
    """Return whether a path is in a bucket."""
    return os.fspath(path).startswith("gs:/")


def address(path: AnyPath) -> str:
    """Return a path as text: ``gs://bucket/name`` in a bucket, with ``~`` resolved on this machine."""
    text = os.fspath(path)
    if is_remote(text):
        return "gs://" + text.removeprefix("gs:").lstrip("/")
    return os.path.expanduser(text)


def join(folder: AnyPath, name: str) -> str:
    """Return the path of a file in a folder."""
    return f"{address(folder).rstrip('/')}/{name}" if is_remote(folder) else os.path.join(address(folder), name)


def split(path: AnyPath) -> tuple[str, str]:
    """Return the folder of a path, and its last name; the folder of ``gs://bucket/name`` is ``gs://bucket``."""
    if is_remote(path):
        folder, _, name = address(path).removeprefix("gs://").rpartition("/")
        return f"gs://{folder}", name
    folder, name = os.path.split(address(path))
    return folder or ".", name


def bucket_and_name(path: AnyPath) -> tuple[str, str]:
    """Return the bucket of an address, and the name in it without slashes at its end; empty for the bucket itself.

    Raises:
        ValueError: there is no bucket in it.
    """
    bucket, _, name = address(path).removeprefix("gs://").partition("/")
    if not bucket:
        raise ValueError(f"{address(path)}: there is no bucket in this address. Give gs://bucket/name.")
    return bucket, name.rstrip("/")
