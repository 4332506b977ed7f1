"""photos.folder: an annotation finds its photo by any way to write its name, and never another one."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import DatasetError

COMPOSED, APART = (unicodedata.normalize(form, "Größe é.jpg") for form in ("NFC", "NFD"))


def folder_of(folder: Path, *names: str, only: set[str] | None = None) -> PhotoFolder:
    """A folder with files of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return PhotoFolder(folder, deep=True, only=only)


@pytest.mark.parametrize(
    ("names", "filename", "stem", "found"),
    [
        (["frame_000000.PNG"], "frame_000000", "", ["frame_000000.PNG"]),
        (["x1080.jpeg"], "x1080", "x1080_1", ["x1080.jpeg"]),
        (["a.jpeg"], "a", "a.", ["a.jpeg"]),
        (["video.1080.jpeg", "video.jpeg"], "video.1080", "", ["video.1080.jpeg"]),
        (["a.jpg", "a.xml"], "a.xml", "a", ["a.jpg"]),
        (["a.jpg", "b.xml"], "a.XML", "b", ["a.jpg"]),
        (["a.xml.jpg", "a.jpg"], "a.xml", "", ["a.xml.jpg"]),
        (["a.jpg", "b.jpg"], "a.jpg.json", "", ["a.jpg"]),
        (["cam1/f.jpg", "cam2/f.png"], "video/cam2/f", "", ["cam2/f.png"]),
        (["cam1/f.jpg", "cam2/f.png"], "f", "", ["cam1/f.jpg", "cam2/f.png"]),
        (["a.jpg", "a.png"], "a", "", ["a.jpg", "a.png"]),
        (["a.jpg", "b.jpg"], "b", "a", ["a.jpg", "b.jpg"]),
        (["F.jpg", "f.png"], "f", "", ["f.png"]),
        (["a.ppm", "b.jpg"], "a.ppm", "", ["a.ppm"]),
        (["a.jpg"], "a.png", "", []),
        (["a.jpg"], "", "", []),
        ([COMPOSED], APART, "", [COMPOSED]),
        ([APART], COMPOSED.upper(), "", [APART]),
        ([APART], "Größe É", "", [APART]),
    ],
)
def test_photos_are_found_by_their_names(
    names: list[str], filename: str, stem: str, found: list[str], tmp_path: Path
) -> None:
    """With an ending, without one or with an annotation file's; in any capitals and accents; all of several."""
    assert folder_of(tmp_path, *names).find(filename, stem) == found


@pytest.mark.parametrize(
    ("names", "only", "meant"),
    [
        (["IMG_1.JPG", "b.jpg"], {"img_1"}, ["IMG_1.JPG"]),
        (["IMG_1.JPG", "img_1.jpg"], {"img_1"}, ["img_1.jpg"]),
        ([COMPOSED, "b.jpg"], {APART.removesuffix(".jpg")}, [COMPOSED]),
        ([APART, "b.jpg"], {COMPOSED.removesuffix(".jpg")}, [APART]),
        (["x/b.jpg", "a.jpg"], {"b", "a", "gone"}, ["a.jpg", "x/b.jpg"]),
        (["a.jpg"], set(), []),
    ],
)
def test_photos_that_are_meant(names: list[str], only: set[str], meant: list[str], tmp_path: Path) -> None:
    """Of a folder the photos of a list are meant, in whatever capitals and accents the list has them."""
    assert folder_of(tmp_path, *names, only=only).names == meant


def test_where_photos_are_instead(tmp_path: Path) -> None:
    """A folder without photos says what it holds, and which folders in it have some, however deep."""
    with pytest.raises(DatasetError, match=r"no photos in this folder, only 2 \.xml, 1 without ending\. Check"):
        folder_of(tmp_path, "a.xml", "b.XML", "LICENSE")
    folder_of(tmp_path, "data/train_images/a.jpg", "data/train_images/b.jpg", "data/c.png")
    text = r"Its subfolders have some: 'data' \(1\), 'data/train_images' \(2\)\. Give the path of one of them"
    with pytest.raises(DatasetError, match=text):
        PhotoFolder(tmp_path)
    assert len(PhotoFolder(tmp_path / "data/train_images").names) == 2
