"""Photos on their way back into a folder."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files import storage, workspace
from tfod_helpers.photos.folder import folded


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes ``folder`` when the block ends well.

    Raises:
        FileExistsError: the folder has files in it, or is a file.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"{folder}: there are files here already. Choose a new folder, or empty this one.")
    with workspace.whole_folder(folder) as part:
        yield part


def write_photo(image: LabelledImage, path: Path) -> None:
    """Copy a photo byte for byte.

    Raises:
        FileNotFoundError: the photo is gone.
    """
    if image.encoded is not None:
        path.write_bytes(image.encoded)
    elif storage.is_remote(image.path):
        path.write_bytes(storage.read_bytes(image.path))
    elif image.path.is_file():
        shutil.copyfile(image.path, path)
    else:
        raise FileNotFoundError(f"{image.path}: the image is gone. Put it back, or read the dataset again.")


def by_split(dataset: Dataset, *, by_stem: bool) -> dict[str, list[LabelledImage]]:
    """Return the images of each split, which go to a folder each.

    Args:
        dataset: what is to be written.
        by_stem: as in `refuse_same_names`.

    Raises:
        ValueError: two images of one split have one name, or a split's name can be no folder's.
    """
    splits: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in dataset:
        splits[image.split].append(image)
    for split, images in splits.items():
        # The name may come from an annotation file, and must not lead out of the folder.
        if split in (".", "..") or re.search(r"[/\\\0]", split):
            raise ValueError(f"A split is called {split!r}, which can be no folder's name. Rename it.")
        refuse_same_names(Dataset(tuple(images), dataset.label_map), by_stem=by_stem)
    return splits


def refuse_same_names(dataset: Dataset, *, by_stem: bool) -> None:
    """Raise where two images would be written under one name.

    Args:
        dataset: what is to be written.
        by_stem: whether ``a.jpg`` and ``a.png`` are one name too.

    Raises:
        ValueError: with both paths.
    """
    seen: dict[str, Path] = {}
    for image in dataset.images:
        other = seen.setdefault(folded(image.path.stem if by_stem else image.path.name), image.path)
        if other is not image.path:
            raise ValueError(f"{other} and {image.path} would be written under one name. Rename one of them.")
