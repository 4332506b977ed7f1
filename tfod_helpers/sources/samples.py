"""The drawn sample, as it is and with the mistakes that people make, to see what is found and what can be fixed.

Each mistake stands in a photo of its own, so that what is found can be told apart, and is the same
every time. One of them no program can find: a cat that is called a dog.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree
from PIL import Image

from tfod_helpers.files import workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.sources import bringing

SAMPLE, BROKEN = "sample", "broken_sample"  # the sources' names
_VERSION = 1  # of the mistakes
_SPLITS = ("train", "test")
_NOTE = "README.md"  # no format takes it for an annotation
_TITLE = "# The drawn sample with mistakes made on purpose\n"
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Mistake:
    """One thing that was broken.

    Attributes:
        file: the file, relative to the folder.
        what: what was done to it.
    """

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def sample() -> Path:
    """Return the folder of the drawn sample: ``train/`` and ``test/`` with photos and XML, ``data/``.

    It stands in the checkout, and lies within an installed package.

    Raises:
        FileNotFoundError: the package was installed without it.
    """
    package = Path(__file__).parents[1]
    for folder in (package.parent / "dataset", package / "sample"):
        if (folder / "train").is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'sample'}: the drawn sample is missing. Install the package again.")


def broken_sample(folder: Path) -> Path:
    """Copy the sample and break some of its labels and photos; what is there already is kept.

    Args:
        folder: the folder that the new one, ``broken_sample``, is made in. `mistakes` tells what was broken, and so
            does the ``README.md`` in the new folder.

    Raises:
        FileExistsError: there are other files in the new folder.
        FileNotFoundError: the package was installed without the sample.
    """
    target = folder / BROKEN
    origin = {"from": BROKEN, "shown": "the drawn sample", "version": _VERSION}
    with workspace.alone(target):
        if bringing.is_there(target, origin):
            return target
        with workspace.whole_folder(target) as part:
            for split in _SPLITS:
                shutil.copytree(sample() / split, part / split)
            made = {file: _edit(part / file, change) for file, change in _IN_ANNOTATIONS.items()}
            made |= {file: change(part / file) for file, change in _IN_FILES.items()}
            lines = [f"- {file}: {made[file]}\n" for file in sorted(made)]
            (part / _NOTE).write_text("".join([_TITLE, "\n", *lines]), encoding="utf-8")
            marks.write(part, {**origin, "mistakes": sorted(made.items())})
    bringing.print_done(target, origin["shown"])
    return target


def mistakes(folder: Path) -> tuple[Mistake, ...]:
    """Return what was broken in the broken sample, in the order of the files; nothing for any other folder."""
    known = marks.read(folder) or {}
    return tuple(Mistake(file, what) for file, what in known.get("mistakes", ()))


def _edit(path: Path, change: Callable[[etree._Element], str]) -> str:
    tree = etree.parse(path)
    said = change(tree.getroot())
    tree.write(path)
    return said


# --- what is done to an annotation; each returns what it did --------------------------------------


def _over_the_edge(root: etree._Element) -> str:
    xmin, ymin, _, ymax = _box(_first(root))
    _set_box(_first(root), (xmin, ymin, _size(root)[0] + 24, ymax))
    return "box 1 reaches 24 pixels over the right edge"


def _swapped_corners(root: etree._Element) -> str:
    xmin, ymin, xmax, ymax = _box(_first(root))
    _set_box(_first(root), (xmax, ymax, xmin, ymin))
    return "the corners of box 1 are swapped"


def _whole_photo(root: etree._Element) -> str:
    _set_box(_first(root), (0, 0, *_size(root)))
    return "box 1 is as large as the photo"


def _stray_click(root: etree._Element) -> str:
    _set_box(_copy_of_first(root), (31, 40, 32, 41))
    return "a stray click left a box of one pixel"


def _labelled_twice(root: etree._Element) -> str:
    again = _copy_of_first(root)
    xmin, ymin, xmax, ymax = _box(again)
    _set_box(again, (xmin + 1, ymin, xmax, ymax - 1))
    return "the first animal is labelled twice"


def _capital_letter(root: etree._Element) -> str:
    name = _first(root).find("name")
    name.text = name.text.capitalize()
    return f"the class is spelled {name.text!r}"


def _wrong_class(root: etree._Element) -> str:
    name = _first(root).find("name")
    right, name.text = name.text, {"cat": "dog", "dog": "cat"}[name.text]
    return f"a {right} is called a {name.text}, which only you can see"


def _no_objects(root: etree._Element) -> str:
    for item in root.findall("object"):
        root.remove(item)
    return "nothing in the photo is labelled"


def _first(root: etree._Element) -> etree._Element:
    return root.find("object")


def _copy_of_first(root: etree._Element) -> etree._Element:
    root.append(copy.deepcopy(_first(root)))
    return root[-1]


def _size(root: etree._Element) -> tuple[int, int]:
    return int(root.findtext("size/width")), int(root.findtext("size/height"))


def _box(item: etree._Element) -> list[int]:
    return [int(item.findtext(f"bndbox/{side}")) for side in _SIDES]


def _set_box(item: etree._Element, box_xyxy: Sequence[int]) -> None:
    for side, value in zip(_SIDES, box_xyxy, strict=True):
        item.find(f"bndbox/{side}").text = str(value)


# --- what is done to a file -----------------------------------------------------------------------


def _cut_short(path: Path) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])
    return "the file is cut short"


def _lost(path: Path) -> str:
    path.unlink()
    return "the file is lost"


def _lying(path: Path) -> str:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation, EXIF 2.32, table 4: to be shown turned clockwise by 90 degrees
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(path, quality=92, exif=exif)
    return "the photo lies on its side and says so, as phones write it"


def _webp(path: Path) -> str:
    with Image.open(path) as image:
        image.load()
    image.save(path, "WEBP", quality=90)
    return "the file is a WebP under the name of a JPEG"


def _copied_to_test(path: Path) -> str:
    other = path.parents[1] / "test" / "IMG_2041.jpg"
    shutil.copyfile(path, other)
    _copy_annotation(path, other)
    return f"the photo is in test too, as {other.name}"


def _sent_and_saved(path: Path) -> str:
    other = path.with_name("IMG_2042.jpg")
    with Image.open(path) as image:
        image.save(other, quality=50)
    _copy_annotation(path, other)
    return f"the photo is here twice, as {other.name} in the quality of a messenger"


def _copy_annotation(photo: Path, other: Path) -> None:
    text = photo.with_suffix(".xml").read_text(encoding="utf-8")
    other.with_suffix(".xml").write_text(text.replace(photo.name, other.name), encoding="utf-8")


_IN_ANNOTATIONS = {
    "train/train_002.xml": _over_the_edge,
    "train/train_014.xml": _swapped_corners,
    "train/train_024.xml": _capital_letter,
    "train/train_028.xml": _stray_click,
    "train/train_032.xml": _labelled_twice,
    "train/train_042.xml": _wrong_class,
    "train/train_055.xml": _whole_photo,
    "train/train_081.xml": _no_objects,
}
_IN_FILES = {
    "train/train_058.jpg": _lying,
    "train/train_068.xml": _cut_short,
    "train/train_074.jpg": _cut_short,
    "train/train_078.jpg": _webp,
    "train/train_085.jpg": _sent_and_saved,
    "train/train_089.jpg": _copied_to_test,
    "test/test_013.xml": _lost,
    "test/test_026.jpg": _lost,
}
