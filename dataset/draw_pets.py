"""Draw the pets: 60 small pictures of four breeds in the layout of Oxford-IIIT Pets, as data/drawn_pets.zip.

    python dataset/draw_pets.py [folder]

Each picture holds one animal, with a box around its head and an outline of its body. As in that data set the photos of
the test list have no box, and one of the others has none.
"""

from __future__ import annotations

import argparse
import io
import itertools
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from animals import BREEDS
from draw_sample import Box, Layer, draw_layers, write_annotation
from PIL import Image, ImageFilter

SEED = 37
FRAMES = ((160, 120), (150, 112), (128, 128), (120, 160))
COUNTS = {"trainval": 11, "test": 4}  # pictures of a breed
PET, BACKGROUND, BORDER = 1, 2, 3  # of a trimap
QUALITY = 70
README = """\
Drawings in the layout of Oxford-IIIT Pets (https://www.robots.ox.ac.uk/~vgg/data/pets/), one animal each.
trimaps/  1: pet, 2: background, 3: border
xmls/     boxes around heads, Pascal VOC; 0-based, xmax and ymax just past the last pixel
list.txt  photo, class, species (1 cat, 2 dog), breed of its species
Dedicated to the public domain under CC0 1.0.
"""


def head_and_body(layers: list[Layer], width: int, height: int) -> tuple[Box, np.ndarray]:
    """Return the box around the animal's head, and what of its body shows: bool, shape (height, width)."""
    animal = next(layer for layer in layers if layer.kind)
    shows = ~np.any([layer.mask("alpha", width, height) for layer in layers[layers.index(animal) + 1 :]] or [False], 0)
    head, body = (animal.mask(which, width, height) & shows for which in ("head", "solid"))
    cut_off = bool(animal.mask("head", width, height).sum() < animal.area("head"))
    kind = BREEDS[animal.kind].kind
    return Box(kind, animal.pose, cut_off, Image.fromarray(head).getbbox()), body


def trimap(body: np.ndarray) -> Image.Image:
    """Return an outline as the data set has it, with a border of two pixels, one of them outside of the body."""
    mask = Image.fromarray(body.astype(np.uint8) * 255)
    wide, narrow = (np.asarray(mask.filter(kind(3))) > 0 for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    return Image.fromarray(np.where(narrow, PET, np.where(wide, BORDER, BACKGROUND)).astype(np.uint8))


def draw_all(folder: Path) -> None:
    """Draw all pictures, and write them and their annotations."""
    lists: dict[str, list[str]] = {split: [] for split in COUNTS}
    for place in ("images", "annotations/xmls", "annotations/trimaps"):
        (folder / place).mkdir(parents=True)
    for number, breed in enumerate(BREEDS, start=1):
        same = [name for name in BREEDS if BREEDS[name].kind == BREEDS[breed].kind]
        numbers = f"{number} {1 + (BREEDS[breed].kind == 'dog')} {same.index(breed) + 1}"
        splits = [split for split, count in COUNTS.items() for _ in range(count)]
        for index, split in enumerate(splits, start=1):
            name = f"{breed}_{index}"
            picture, layers = draw_layers((SEED, number, index), (breed,), FRAMES)
            picture.save(folder / "images" / f"{name}.jpg", quality=QUALITY)
            head, body = head_and_body(layers, *picture.size)
            trimap(body).save(folder / "annotations/trimaps" / f"{name}.png", optimize=True, bits=2)
            lists[split].append(f"{name} {numbers}")
            if split == "trainval" and name != f"{list(BREEDS)[-1]}_{COUNTS[split]}":
                photo = folder / "annotations/xmls" / f"{name}.jpg"
                write_annotation(photo, "images", "drawn by draw_pets.py", picture.size, [head])
    for name, lines in {**lists, "list": list(itertools.chain(*lists.values()))}.items():
        (folder / "annotations" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    (folder / "annotations" / "README").write_text(README, encoding="utf-8", newline="\n")


def pack(folder: Path, path: Path) -> None:
    """Pack a folder's files, in the order of their names and without times: the same files give the same zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            name = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.getvalue())


def main() -> None:
    """Draw everything, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("folder", nargs="?", type=Path, default=here, help="where to write (default: here)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        draw_all(Path(made))
        pack(Path(made), args.folder / "data" / "drawn_pets.zip")


if __name__ == "__main__":
    main()
