"""Oxford-IIIT Pets: breeds and species, heads and bodies, lists as splits, traps of the real files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import formats
from tfod_helpers.annotations import LabelMap
from tfod_helpers.formats import oxford_pets
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError


@pytest.fixture(scope="module")
def pets(shared: Path) -> Path:
    """Three breeds of the real data set."""
    return shared / "data" / "oxford_pets"


def test_heads_of_breeds(pets: Path) -> None:
    """Each listed photo that has an XML is read, its class from the file name and its box from the XML."""
    dataset = oxford_pets.read(pets)
    assert len(dataset) == len(list((pets / "annotations" / "xmls").glob("*.xml"))) == 296
    image = next(image for image in dataset if image.path.name == "Abyssinian_1.jpg")
    assert image.boxes_xyxy.tolist() == [[333, 72, 425, 158]]
    assert dataset.label_map.name(int(image.labels[0])) == "Abyssinian"
    assert list(dataset.splits()) == ["trainval"]


def test_photos_without_a_head_box_are_told(pets: Path) -> None:
    """Listed photos without an XML are left out with a word that counts them."""
    told = [str(one) for one in oxford_pets.read(pets).problems if one.kind == "listed and not annotated"]
    listed = {line.split()[0] for line in (pets / "annotations" / "trainval.txt").read_text().splitlines()}
    there = {path.stem for path in (pets / "annotations" / "xmls").glob("*.xml")}
    expected = f"trainval.txt: {len(listed - there)} of the {len(listed)} photos listed have no annotation"
    assert len(told) == 2
    assert any(expected in one for one in told)


def test_classes_are_in_the_order_of_the_old_label_map(pets: Path, shared: Path) -> None:
    """Sorted without regard to capitals, as the Object Detection API's own label map has the 37 breeds."""
    old = next((shared / "data" / "tfod_configs").rglob("pet_label_map.pbtxt"))
    names = list(LabelMap.read(old))
    assert names == sorted(names, key=str.casefold)
    found = list(oxford_pets.read(pets).label_map)
    assert found == [name for name in names if name in found]
    assert len(found) == 3


def test_species(pets: Path) -> None:
    """Cats have capitals in their file names, and dogs do not."""
    dataset = oxford_pets.read(pets, classes="species")
    assert list(dataset.label_map) == ["cat", "dog"]
    for image in dataset:
        assert set(image.labels.tolist()) == {1 if image.path.name[0].isupper() else 2}


def test_bodies_are_what_the_trimaps_show(pets: Path) -> None:
    """With around='body' the box is around all that is not background, and the mask is exactly that."""
    from pycocotools import mask

    dataset = oxford_pets.read(pets, around="body", masks=True, on_problem="skip")
    image = next(image for image in dataset if image.path.name == "Abyssinian_10.jpg")
    pet = np.asarray(Image.open(pets / "annotations" / "trimaps" / "Abyssinian_10.png")) != 2
    assert image.masks is not None
    decoded = mask.decode({"size": [image.height, image.width], "counts": image.masks[0]})
    assert (decoded == pet).all()
    rows, columns = np.nonzero(pet)
    assert image.boxes_xyxy.tolist() == [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]


def test_the_mask_of_a_head_lies_in_its_box(pets: Path) -> None:
    """With heads, the mask is the pet within the box."""
    from pycocotools import mask

    image = oxford_pets.read(pets, masks=True)[0]
    assert image.masks is not None
    decoded = mask.decode({"size": [image.height, image.width], "counts": image.masks[0]})
    xmin, ymin, xmax, ymax = image.boxes_xyxy[0].astype(int).tolist()
    assert decoded.sum() == decoded[ymin:ymax, xmin:xmax].sum() > 0.5 * (xmax - xmin) * (ymax - ymin)


def test_png_and_gif_called_jpg_are_read(pets: Path) -> None:
    """The two photos of the data set whose endings lie are there."""
    names = {image.path.name for image in oxford_pets.read(pets, around="body", on_problem="skip")}
    names |= {image.path.name for image in oxford_pets.read(pets)}
    for name in ("Abyssinian_5.jpg", "Abyssinian_34.jpg"):
        assert name in names or not (pets / "annotations" / "trimaps" / name.replace("jpg", "png")).exists()


def layout(folder: Path, names: Sequence[str], kind: str, lists: dict[str, str]) -> Path:
    """The data set's layout, with these photos of 64 x 48 pixels that hold one object each."""
    for place in ("images", "annotations/xmls"):
        (folder / place).mkdir(parents=True)
    for name in names:
        Image.new("RGB", (64, 48)).save(folder / "images" / f"{name}.jpg")
        box = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>30</xmax><ymax>31</ymax></bndbox>"
        text = f"<annotation><filename>{name}.jpg</filename><object><name>{kind}</name>{box}</object></annotation>"
        (folder / "annotations/xmls" / f"{name}.xml").write_text(text)
    for name, text in lists.items():
        (folder / "annotations" / f"{name}.txt").write_text(text)
    return folder


PETS = ["Bengal_1", "american_bulldog_12"]


@pytest.mark.parametrize(
    ("names", "kind", "lists", "classes"),
    [
        (PETS, "cat", {"trainval": "Bengal_1 6 1 2\namerican_bulldog_12 2 2 1\n"}, ["american_bulldog", "Bengal"]),
        (PETS, "dog", {"trainval": "Bengal_1", "test": "american_bulldog_12"}, ["american_bulldog", "Bengal"]),
        (["Manx_1", "pug_2"], "cat", {"trainval": "Manx_1\npug_2", "list": "Manx_1 1 1 1"}, ["Manx", "pug"]),
        (["000001_a", "000002_b"], "helmet", {"trainval": "000001_a\n000002_b\n"}, ["helmet"]),
        (["000001_a", "000002_b"], "cat", {"trainval": "000001_a 1 1 1\n000002_b 1 1 1\n"}, ["cat"]),
        (["1_a_1", "2_b_1"], "cat", {"trainval": "1_a_1\n2_b_1", "list": "1_a_1 1 1 1\n2_b_1 1 1 1"}, ["cat"]),
        (PETS, "ear", {"trainval": "Bengal_1\namerican_bulldog_12\n"}, ["ear"]),
        (["1", "2"], "cat", {"trainval": "1\n2\n"}, ["cat"]),
    ],
)  # fmt: skip
def test_others_in_the_same_layout(
    names: Sequence[str], kind: str, lists: dict[str, str], classes: list[str], tmp_path: Path
) -> None:
    """Only its breeds or its list.txt make it the Pets; else the classes are those of the XML."""
    dataset = formats.read(layout(tmp_path, names, kind, lists))
    assert list(dataset.label_map) == classes
    assert {image.path.stem: image.split for image in dataset} == {
        name: split for split, text in lists.items() if split != "list" for name in names if name in text
    }


def test_photos_in_no_list_are_kept(shared: Path) -> None:
    """Of a set in the Pets' layout, the photo that no list names is there too, without a split."""
    dataset = formats.read(shared / "data/reported/f01_voc_in_pets_layout")
    assert list(dataset.label_map) == ["helmet"]
    assert [image.split for image in dataset] == ["trainval", "trainval", ""]


def test_copies_of_the_pets(pets: Path, tmp_path: Path) -> None:
    """A copy without list.txt, or with some of its photos, is still the Pets."""
    (tmp_path / "images").symlink_to(pets / "images")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/xmls").symlink_to(pets / "annotations/xmls")
    (tmp_path / "annotations/trainval.txt").write_text("Abyssinian_1 1 1 1\namerican_bulldog_10 2 2 1\n")
    assert list(formats.read(tmp_path).label_map) == ["Abyssinian", "american_bulldog"]


def test_another_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not this data set is an error, and a wrong word is one before anything is read."""
    with pytest.raises(DatasetError, match=r"there are no images, annotations/trainval\.txt"):
        oxford_pets.read(tmp_path)
    assert oxford_pets.FORMAT.find(Listing(tmp_path)) == []


def test_wrong_words_are_refused(pets: Path) -> None:
    """A misspelt choice is refused with the words that there are."""
    with pytest.raises(ValueError, match="'heads' is not one of 'head' and 'body'"):
        oxford_pets.read(pets, around="heads")  # type: ignore[arg-type]
