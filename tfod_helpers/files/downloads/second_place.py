"""A second place for downloads, which outlives this machine: a Drive folder or a ``gs://`` folder.

It is named in ``$TFOD_HELPERS_CACHE``. It is looked into before anything is downloaded, and gets a copy of what was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tfod_helpers.files import storage
from tfod_helpers.files.downloads import fetching

SECOND_PLACE = "TFOD_HELPERS_CACHE"  # the environment variable


def fetch_kept(
    url: str,
    path: Path,
    *,
    kept: str,
    sha256: str | None = None,
    md5: str | None = None,
    check: fetching.Check | None = None,
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Fetch a file as `fetch` does, from the second place where it is there; else it gets a copy.

    Args:
        url: as of `fetch`, and so are ``path``, ``sha256``, ``md5``, ``check`` and ``headers``.
        path: the file to make.
        kept: the file's path within the second place.
        sha256: its hash.
        md5: its hash of another kind.
        check: takes the file, and raises ValueError where it is the wrong one.
        headers: sent to this server besides.

    Returns:
        The path.

    Raises:
        DownloadError: it could not be had, or is not the right one.
        OSError: it is in a bucket and could not be had, or the disk is too small.
    """
    place = os.environ.get(SECOND_PLACE)
    second = place and storage.join(place, kept)
    if second and not path.exists():
        _take(second, path)
    before = _stamp(path)
    fetching.fetch(url, path, sha256=sha256, md5=md5, check=check, headers=headers)
    if second and _stamp(path) != before:
        _give(path, second)
    return path


def _take(source: str, path: Path) -> None:
    try:
        _copy(source, path)
    except FileNotFoundError:
        pass  # not there yet
    except OSError as error:
        print(f"The second cache was no help ({error}). Looking on the web.")


def _give(path: Path, target: str) -> None:
    try:
        _copy(path, target)
    except OSError as error:
        print(f"The second cache got no copy ({error}). Going on without.")


def _copy(source: storage.AnyPath, target: storage.AnyPath) -> None:
    with storage.local_copy(source) as local, storage.whole_file(target) as part:
        shutil.copyfile(local, part)


def _stamp(path: Path) -> tuple[int, int] | None:
    return storage.stamp(path) if path.exists() else None
