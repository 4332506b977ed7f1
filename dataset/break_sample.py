"""Make the mistakes of the broken sample: a zip of the files that differ from the sample, and a list of what was done.

    python dataset/break_sample.py [file.zip]

Each mistake stands in a photo of its own, so that what is found can be told apart. One of them only a look at the photo
tells: a cat that is labelled as a dog. `sources.local("broken_sample")` lays these files over a copy of the sample,
and removes those that are listed as lost.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lxml import etree
from PIL import Image

HERE = Path(__file__).parent
SPLITS = ("train", "test")
SIDES = ("xmin", "ymin", "xmax", "ymax")


def write(path: Path) -> None:
    """Write a zip: the files that differ, and ``mistakes.json``, what was done by file and which files are lost."""
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(path, "w") as packed:
        broken = Path(temporary)
        for split in SPLITS:
            shutil.copytree(HERE / split, broken / split)
        done = {file: _edit(broken / file, change) for file, change in IN_ANNOTATIONS.items()}
        done |= {file: change(broken / file) for file, change in IN_FILES.items()}
        lost = [file for file in sorted(done) if not (broken / file).exists()]
        text = json.dumps({"mistakes": dict(sorted(done.items())), "lost": lost}, indent=1) + "\n"
        (broken / "mistakes.json").write_text(text, encoding="utf-8")
        for file in sorted(one for one in broken.rglob("*") if one.is_file()):
            name = file.relative_to(broken)
            if not (HERE / name).exists() or file.read_bytes() != (HERE / name).read_bytes():
                packed.writestr(zipfile.ZipInfo(name.as_posix()), file.read_bytes())  # of no time: the same bytes again


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
    return f"a {right} is called a {name.text}, which only a look at the photo tells"


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
    return [int(item.findtext(f"bndbox/{side}")) for side in SIDES]


def _set_box(item: etree._Element, box_xyxy: Sequence[int]) -> None:
    for side, value in zip(SIDES, box_xyxy, strict=True):
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


IN_ANNOTATIONS = {
    "train/train_002.xml": _over_the_edge,
    "train/train_014.xml": _swapped_corners,
    "train/train_024.xml": _capital_letter,
    "train/train_028.xml": _stray_click,
    "train/train_032.xml": _labelled_twice,
    "train/train_042.xml": _wrong_class,
    "train/train_055.xml": _whole_photo,
    "train/train_081.xml": _no_objects,
}
IN_FILES = {
    "train/train_058.jpg": _lying,
    "train/train_068.xml": _cut_short,
    "train/train_074.jpg": _cut_short,
    "train/train_078.jpg": _webp,
    "train/train_085.jpg": _sent_and_saved,
    "train/train_089.jpg": _copied_to_test,
    "test/test_013.xml": _lost,
    "test/test_026.jpg": _lost,
}


def main() -> None:
    """Write the zip that is named on the command line, else the one beside the label map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", default=HERE / "data" / "mistakes.zip")
    write(parser.parse_args().path)


if __name__ == "__main__":
    main()
