"""What the browser sends, in Colab -> a folder on the local disk."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from tfod_helpers import drive
from tfod_helpers.files import archives, workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.sources import bringing
from tfod_helpers.sources.bringing import SourceError

NAME = "upload"
_ORIGIN = {"from": NAME, "shown": "an upload", "version": 1}


def upload(folder: Path) -> Path:
    """Ask for files in the browser; what was uploaded before is kept, so that running all cells does not ask again.

    Args:
        folder: the folder that the new one, ``upload``, is made in.

    Returns:
        The folder of the files; of one archive, of what it holds.

    Raises:
        SourceError: this is not Colab, nothing was chosen, or what was chosen is no data set.
        FileExistsError: there are other files in the folder.
    """
    target = folder / NAME
    if marks.read(target) == _ORIGIN:
        print(f"{target}: there already. To upload other files, delete it: import shutil; shutil.rmtree('{target}')")
        return target
    if not drive.in_colab():
        fix = "Give the path of the archive or folder: sources.local('path/to/photos.zip')"
        raise SourceError(NAME, "only Colab can ask for files in the browser", fix)
    marks.refuse_others(target, "an upload")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{NAME}.", suffix=".fetched", dir=folder) as stage:
        files = _asked(Path(stage))
        packed = [path for path in files if archives.is_archive(path)]
        if packed and {*files} != {*_parts(packed[0])}:
            fix = "Choose one archive, or all photos and annotations and no archive"
            raise SourceError(packed[0].name, "it was uploaded together with other files", fix)
        if packed:
            _unpack(packed[0], target)
        else:
            _move(files, target)
    bringing.print_done(target, "the browser")
    return target


def _parts(path: Path) -> list[Path]:
    try:
        return archives.parts_of(path)
    except archives.ArchiveError as error:
        raise SourceError(path.name, error.what, error.fix) from None


def _unpack(path: Path, target: Path) -> None:
    try:
        archives.unpack(path, target, origin=_ORIGIN)
    except archives.ArchiveError as error:
        raise SourceError(path.name, error.what, error.fix) from None


def _move(files: list[Path], target: Path) -> None:
    with workspace.whole_folder(target) as part:
        for path in files:
            path.rename(part / path.name)
        marks.write(part, _ORIGIN)


def _asked(folder: Path) -> list[Path]:
    from google.colab import files

    try:
        with contextlib.chdir(folder):  # it writes to where the notebook is
            files.upload()
    except Exception as error:  # its errors are private, and differ from one of its versions to the next
        fix = "Leave the notebook's tab open and run the cell again. For more than 100 MB use Drive: drive.mount()"
        raise SourceError(NAME, f"the browser did not send the files ({type(error).__name__}: {error})", fix) from error
    there = [path for path in folder.iterdir() if path.is_file()]
    if not there:
        raise SourceError(NAME, "no file was chosen", "Run the cell again and choose the zip of your photos")
    return there
