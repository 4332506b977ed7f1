"""A folder on Drive or in a bucket -> a copy on the local disk, with only those files copied that are not there yet.

The copy gathers in a hidden folder beside its place, which a killed process leaves for the next one to go on with.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import archives, mounts, storage, workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.sources import bringing
from tfod_helpers.sources.bringing import SourceError

_AT_ONCE = 16  # Drive answers slowly, and many at a time
# Google's own documents, which have no bytes that could be copied; and what systems add to folders.
_PASSED_OVER = (".gdoc", ".gsheet", ".gslides", ".gform", ".gdraw", ".gsite", ".gjam", ".gmap", ".gscript", ".glink")
_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "icon\r")
_ARCHIVES_ONLY = (".txt", ".md", ".pdf", ".ipynb", ".py")  # what may lie beside an archive that is meant

Stamp = tuple[int, int]  # bytes, and when it was changed, in nanoseconds


class DriveFolder:
    """A folder on Drive or another network."""

    def __init__(self, path: Path) -> None:
        """List its files.

        Raises:
            SourceError: it holds nothing, or only archives.
            mounts.DriveError: Drive does not answer.
        """
        self.path = path
        self.key, self.shown, self.name = os.path.abspath(path), str(path), path.name
        with mounts.explained(path):
            self._files = dict(_listed(path))
        refuse_archives_only(path, self._files)

    def version(self) -> str:
        """Return what changes with a file's name, size or time."""
        return bringing.digest(sorted((name, *stamp) for name, stamp in self._files.items()))

    def make(self, target: Path, origin: dict[str, Any]) -> None:
        """Copy the files that are not there yet."""
        with _staging(target, origin) as staging:
            _fill(staging, self.path, self._files)


class BucketFolder:
    """A folder in a bucket, or all of a bucket."""

    def __init__(self, address: str) -> None:
        """Name a folder, which is not looked at yet."""
        self.key = self.shown = address.rstrip("/")
        bucket, inside = storage.bucket_and_name(address)
        self.name = inside.rpartition("/")[2] or bucket

    def version(self) -> str | None:
        """Return what changes with a file, or None where the bucket does not answer."""
        try:
            return bringing.digest(sorted((name, *stamp) for name, stamp in storage.stamps(self.key).items()))
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:  # the network's
            return None

    def make(self, target: Path, origin: dict[str, Any]) -> None:
        """Fetch the files that are not there yet."""
        with _staging(target, origin) as staging:
            storage.download_folder(self.key, staging)
            _delete_others(staging, storage.stamps(self.key))


@contextlib.contextmanager
def _staging(target: Path, origin: dict[str, Any]) -> Iterator[Path]:
    """Give a hidden folder to fill, which becomes the target when the block ends well, and else stays."""
    bringing.clear_leftovers(target)
    staging = target.with_name(f".{target.name}.copying")
    staging.mkdir(exist_ok=True)
    if target.exists():
        _link_missing(target, staging)
    yield staging
    marks.write(staging, origin)
    with workspace.whole_folder(target) as part:
        part.rmdir()
        staging.rename(part)


def _link_missing(folder: Path, staging: Path) -> None:
    """Let a folder have the files of another one that it lacks; they are replaced there, never written to."""
    for at, _, names in os.walk(folder):
        for path in (Path(at, name) for name in names if name != marks.MARK):
            other = staging / path.relative_to(folder)
            if not other.exists():
                other.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, other)
                except OSError:  # a disk without links
                    shutil.copy2(path, other)


def _listed(folder: Path, within: str = "", seen: frozenset[Stamp] = frozenset()) -> Iterator[tuple[str, Stamp]]:
    """Yield the files of a folder and of those in it; shortcuts, which are links there, are followed."""
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        name = entry.name.lower()
        if name.startswith(".") or name.endswith(_PASSED_OVER) or name in _OF_SYSTEMS:
            continue
        try:
            stat = entry.stat()
        except FileNotFoundError:
            print(f"{entry.path}: left out, as this shortcut leads to nothing that is there.")
            continue
        here = (stat.st_dev, stat.st_ino)
        if not entry.is_dir():
            yield within + entry.name, (stat.st_size, stat.st_mtime_ns)
        elif here not in seen:  # a shortcut may lead to a folder that it lies in
            yield from _listed(Path(entry.path), f"{within}{entry.name}/", seen | {here})


def refuse_archives_only(source: Path, files: Collection[str]) -> None:
    """Raise where a folder holds nothing, or nothing but an archive, which is what was meant.

    Args:
        source: the folder.
        files: what is in it.
    """
    packed = [name for name in files if archives.is_archive(name)]
    if not files:
        raise SourceError(str(source), "there are no files in this folder", "Check the path.")
    if packed and not [one for one in files if one not in packed and not one.lower().endswith(_ARCHIVES_ONLY)]:
        what = f"there are no photos in this folder, but {len(packed)} archive{'s' * (len(packed) > 1)}"
        raise SourceError(str(source), what, f"Give the archive: sources.local({str(source / packed[0])!r})")


def _fill(staging: Path, source: Path, files: Mapping[str, Stamp]) -> None:
    """Bring all files of a listing into a folder, and delete what else is in it."""
    missing = {name: stamp for name, stamp in files.items() if not _is_same(staging / name, stamp)}
    for path in (staging / name for name in missing):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to a file that is in use
    needed = sum(size for size, _ in missing.values())
    with workspace.room_for(source, staging.parent, needed):
        _copy_all(source, staging, missing, needed)
    _delete_others(staging, files)


def _delete_others(staging: Path, files: Collection[str]) -> None:
    for at, _, names in os.walk(staging):
        for path in (Path(at, name) for name in names):
            if path.relative_to(staging).as_posix() not in files:
                path.unlink()


def _copy_all(source: Path, staging: Path, files: Mapping[str, Stamp], size: int) -> None:
    def copy_one(name: str) -> int:
        with mounts.explained(source / name):
            shutil.copyfile(source / name, staging / name)
            found = (staging / name).stat().st_size
        if found != files[name][0]:
            fix = "Wait until Drive shows that its upload has ended, and run the cell again"
            raise SourceError(str(source / name), "it changed while it was copied", fix)
        # Last, because by this time a whole file is told from one that a killed process left.
        os.utime(staging / name, ns=(files[name][1], files[name][1]))
        return found

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        with tqdm(total=size, desc=f"Copying {source.name}", unit="B", unit_scale=True, delay=1) as bar:
            for done in as_completed([pool.submit(copy_one, name) for name in files]):
                bar.update(done.result())
    finally:
        pool.shutdown(cancel_futures=True)


def _is_same(path: Path, stamp: Stamp) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == stamp
