"""Old labels and new ones become one dataset that leaves the photos of validation what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import formats, labelling
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.problems import DatasetError


def photo(path: Path, seed: int, **arguments: Any) -> LabelledImage:
    """A photo of a few large squares, other ones for each seed, with a box of the first class."""
    random = np.random.default_rng(seed)
    large = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    large.save(path)
    return LabelledImage(path, 160, 120, [[10, 10, 90, 100]], [1], **arguments)


@pytest.fixture
def old(tmp_path: Path) -> Dataset:
    """Four photos for training and two for validation, with cats and dogs."""
    names = ["Train"] * 4 + ["val"] * 2
    images = [photo(tmp_path / "old" / f"{n}.png", n, split=split) for n, split in enumerate(names)]
    return Dataset(tuple(images), LabelMap(["cat", "dog"]))


def test_new_photos_are_for_training_and_the_others_stay_where_they_are(old: Dataset, tmp_path: Path) -> None:
    """Each new photo gets the training split's own name, the order of the old ones stays, and all is written."""
    new = Dataset(tuple(photo(tmp_path / "new" / f"n{n}.png", 10 + n) for n in range(3)), old.label_map)
    both = labelling.join(old, new)
    assert [image.split for image in both] == ["Train"] * 4 + ["val"] * 2 + ["Train"] * 3
    assert [image.path for image in both] == [image.path for image in (*old, *new)]
    again = formats.read(formats.write(both, tmp_path / "both"))
    assert {name: len(part) for name, part in again.splits().items()} == {"Train": 7, "val": 2}


def test_without_splits_none_is_made_up(old: Dataset, tmp_path: Path) -> None:
    """Where the old photos have no splits, the new ones have none."""
    plain = replace(old, images=tuple(replace(image, split="") for image in old))
    new = Dataset((photo(tmp_path / "new" / "n.png", 10, split="anything"),), old.label_map)
    assert {image.split for image in labelling.join(plain, new)} == {""}


def test_classes_are_known_by_their_names(old: Dataset, tmp_path: Path) -> None:
    """Old classes keep their ids, whatever the new photos number them; one that was added half way comes last."""
    image = photo(tmp_path / "new" / "n.png", 10)
    image = replace(image, boxes_xyxy=np.tile(image.boxes_xyxy, (3, 1)), labels=[1, 2, 3], crowd=None, difficult=None)
    both = labelling.join(old, Dataset((image,), LabelMap(["dog", "bird", "cat"])))
    assert list(both.label_map) == ["cat", "dog", "bird"]
    assert both[-1].labels.tolist() == [2, 3, 1]
    assert [part.labels.tolist() for part in both][:6] == [[1]] * 6


def test_what_looks_like_a_photo_of_validation_is_not_trained_on(old: Dataset, tmp_path: Path) -> None:
    """A new photo that is nearly the same as an old one goes to the split of that, and so does its copy."""
    near = photo(tmp_path / "new" / "near.png", 5)
    Image.open(near.path).point(lambda value: int(value * 0.93)).save(near.path)
    copied = replace(near, path=tmp_path / "new" / "copied.png")
    copied.path.write_bytes(near.path.read_bytes())
    other = photo(tmp_path / "new" / "other.png", 10)
    both = labelling.join(old, Dataset((near, copied, other), old.label_map))
    assert [image.split for image in both][6:] == ["val", "val", "Train"]


def test_a_photo_labelled_again_is_there_once(old: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file under another name takes the old one's place and split with its new labels, and a line says so."""
    path = tmp_path / "new" / "again.png"
    path.parent.mkdir()
    path.write_bytes(old[4].path.read_bytes())
    both = labelling.join(old, Dataset((LabelledImage(path, 160, 120, [], []),), old.label_map))
    assert [image.path.name for image in both] == ["0.png", "1.png", "2.png", "3.png", "5.png", "again.png"]
    assert (both[-1].split, len(both[-1].labels)) == ("val", 0)
    assert "Labelled before: 1 of the new photos. Their new labels are taken." in capsys.readouterr().out


def test_suggestions_are_not_joined(old: Dataset, tmp_path: Path) -> None:
    """What nobody has confirmed is refused, on either side."""
    waiting = Dataset((photo(tmp_path / "new" / "n.png", 10, scores=[0.8]),), old.label_map)
    for pair in ((old, waiting), (waiting, old)):
        with pytest.raises(DatasetError, match="nobody has confirmed"):
            labelling.join(*pair)
