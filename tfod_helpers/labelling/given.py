"""Photos as a person names them -> their paths."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tfod_helpers.files import storage
from tfod_helpers.photos.folder import PhotoFolder

AnyPhotos = storage.AnyPath | Iterable[storage.AnyPath]


def photo_paths(photos: AnyPhotos, *, deep: bool = True) -> list[Path]:
    """Return the paths of photos in the order that they come in; those of a folder sorted by name.

    Args:
        photos: a folder, here or in a bucket, of which there is a copy then; or the photos' paths.
        deep: whether photos in subfolders count.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        DatasetError: there is no photo in it.
        TypeError: one is no path.
    """
    if isinstance(photos, str | os.PathLike):
        folder = PhotoFolder(storage.mirror(Path(photos).expanduser()), deep=deep)
        return [folder.folder / name for name in folder.names]
    some = list(photos)
    strange = next((one for one in some if not isinstance(one, str | os.PathLike)), None)
    if strange is not None:
        raise TypeError(f"Photos are a folder or a list of paths, got {type(strange).__name__} among them.")
    return [Path(one).expanduser() for one in some]
