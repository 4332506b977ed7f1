"""Suggestions against what a person made of them: every box counted once, and the work by the rule that is stated."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfod_helpers import formats, labelling
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

LABELS = LabelMap(["cat", "dog"])


def image(name: str, boxes_xyxy: list[list[float]], labels: list[int], **more: object) -> LabelledImage:
    """A photo of 200 x 100 pixels."""
    return LabelledImage(Path(name), 200, 100, np.array(boxes_xyxy, np.float32).reshape(-1, 4), labels, **more)


@pytest.fixture
def before() -> Dataset:
    """Suggestions for four photos, the last of which nobody has looked at."""
    return Dataset(
        (
            image("a.jpg", [[0, 0, 50, 50], [60, 0, 110, 50], [120, 0, 190, 90]], [1, 1, 2], scores=[0.9, 0.8, 0.7]),
            image("b.jpg", [[0, 0, 100, 50], [10, 60, 30, 80]], [2, 1], scores=[0.9, 0.4]),
            image("c.jpg", [], [], scores=[]),
            image("d.jpg", [[0, 0, 50, 50]], [1], scores=[0.5]),
        ),
        LABELS,
    )


@pytest.fixture
def after(before: Dataset) -> Dataset:
    """What a person made of them; the label map has another order, and a class more."""
    names = LabelMap(["owl", "dog", "cat"])
    return Dataset(
        (
            image("new.jpg", [[0, 0, 10, 10]], [1]),
            image("in/a.jpg", [[120, 0, 190, 88], [0, 0, 50, 50], [60, 0, 110, 50]], [2, 3, 1]),
            image("in/b.jpg", [[0, 0, 60, 50], [150, 10, 190, 60]], [2, 3]),
            image("in/c.jpg", [], []),
            dataclasses.replace(before[3], labels=[3]),
        ),
        names,
    )


def test_each_box_is_counted_for_what_became_of_it(before: Dataset, after: Dataset) -> None:
    """Kept, moved, of another class, added, deleted: by names of photos and classes, whatever their order."""
    found = labelling.compare(before, after)
    counts = (found.kept, found.moved, found.classes_changed, found.added, found.deleted)
    assert (counts, found.photos, found.boxes, found.suggested, found.waiting) == ((2, 1, 1, 1, 1), 3, 5, 5, 1)
    assert found.share_kept == pytest.approx(2 / 5)
    assert (found.actions, found.from_nothing) == (1 + 1 + 1 + 1 + 3, 5 + 3)
    rows = found.table[["photo", "change", "label_before", "label_after"]].values.tolist()
    assert rows == [
        ["a.jpg", "kept", "cat", "cat"],
        ["a.jpg", "class changed", "cat", "owl"],
        ["a.jpg", "kept", "dog", "dog"],
        ["b.jpg", "moved", "dog", "dog"],
        ["b.jpg", "deleted", "cat", ""],
        ["b.jpg", "added", "", "cat"],
    ]
    assert found.table["iou"].tolist()[:4] == pytest.approx([1, 1, 88 / 90, 0.6], abs=1e-6)
    assert found.table["box_after_xyxy"].tolist()[3] == (0, 0, 60, 50)
    assert str(found).splitlines() == [
        "3 photos with 5 boxes: 40% of them needed no hand (2 of 5 suggested were kept).",
        "1 moved, 1 with another class, 1 added, 1 deleted.",
        "7 clicks, keys and drags; from nothing 8.",
        "1 photo not confirmed yet, and not counted.",
    ]


def test_what_was_touched_at_all_can_be_counted(before: Dataset, after: Dataset) -> None:
    """At IoU 1 the very box is kept, and one that was moved by two pixels took a drag."""
    found = labelling.compare(before, after, iou=1)
    assert (found.kept, found.moved) == (1, 2)
    with pytest.raises(ValueError, match=r"iou must be between 0\.5 and 1, got 0\.3"):
        labelling.compare(before, after, iou=0.3)


def test_a_box_that_was_moved_and_renamed_is_both(before: Dataset) -> None:
    """It takes a drag and a key; the class nearest in place goes to it, not to a box of its class elsewhere."""
    one = Dataset((before[1],), LABELS)
    changed = Dataset((image("b.jpg", [[0, 0, 60, 50], [10, 60, 30, 80]], [1, 1]),), LABELS)
    found = labelling.compare(one, changed)
    assert found.table["change"].tolist() == ["moved, class changed", "kept"]
    assert (found.moved, found.classes_changed, found.actions) == (1, 1, 3)


def test_a_box_in_place_goes_before_a_surer_one_beside_it() -> None:
    """A suggestion that needs no hand is kept, though a surer one overlaps the object worse, or is of its class."""
    boxes_xyxy = [[0, 0, 160, 90], [0, 0, 100, 90]]
    for labels in ([1, 1], [1, 2]):
        then = Dataset((image("a.jpg", boxes_xyxy, labels, scores=[0.9, 0.5]),), LABELS)
        found = labelling.compare(then, Dataset((image("a.jpg", [[0, 0, 98, 90]], [labels[0]]),), LABELS))
        assert found.table["change"].tolist() == ["deleted", "kept" if labels == [1, 1] else "class changed"]


def test_confirmed_without_a_change_takes_a_key_for_each_photo(before: Dataset) -> None:
    """Where all was right, a person only went past the photos."""
    found = labelling.compare(before, labelling.confirm(before), iou=1)
    assert (found.kept, found.actions, found.share_kept, found.waiting) == (6, 4, 1.0, 0)
    nothing = labelling.compare(Dataset((before[2],), LABELS), Dataset((image("c.jpg", [], []),), LABELS))
    assert math.isnan(nothing.share_kept)
    assert str(nothing).startswith("1 photo with 0 boxes: none needed no hand")


def test_what_cannot_be_compared_is_refused_in_words(before: Dataset, after: Dataset) -> None:
    """No photo in common, none confirmed, another size, or a name twice: each says what to do."""
    with pytest.raises(ValueError, match=r"no photo in common .* 4 after, such as a\.jpg, of which 4 are suggestions"):
        labelling.compare(before, before)
    turned = dataclasses.replace(after[1], width=190, height=100)
    with pytest.raises(ValueError, match=r"a\.jpg has 200 x 100 pixels before and 190 x 100 after.*way_up"):
        labelling.compare(before, Dataset((turned,), after.label_map))
    twice = Dataset((after[1], dataclasses.replace(after[1], path=Path("other/a.jpg"))), after.label_map)
    with pytest.raises(ValueError, match=r"in/a\.jpg and other/a\.jpg \(after\) have one name"):
        labelling.compare(before, twice)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_every_box_stands_in_the_table_once(seed: int) -> None:
    """However the boxes lie, each earlier and each later one is in one row, and the counts add up."""
    random = np.random.default_rng(seed)

    def boxes(count: int) -> list[list[float]]:
        low = random.integers(0, 40, (count, 2))
        return np.concatenate([low, low + random.integers(20, 50, (count, 2))], axis=1).tolist()

    def made(name: str, count: int, **more: object) -> LabelledImage:
        return image(name, boxes(count), random.integers(1, 3, count).tolist(), **more)

    sizes = random.integers(0, 8, 3).tolist()
    then = Dataset(tuple(made(f"{n}.jpg", k, scores=random.uniform(0, 1, k)) for n, k in enumerate(sizes)), LABELS)
    now = Dataset(tuple(made(f"{n}.jpg", k) for n, k in enumerate(reversed(sizes))), LABELS)
    found = labelling.compare(then, now)
    for column, dataset in (("box_before_xyxy", then), ("box_after_xyxy", now)):
        told = sorted((photo, box_xyxy) for photo, box_xyxy in found.table[["photo", column]].values if box_xyxy)
        assert told == sorted((one.path.name, tuple(b)) for one in dataset for b in one.boxes_xyxy.tolist())
    changes = found.table["change"].value_counts()
    both = changes.get("moved, class changed", 0)
    assert found.kept + found.moved + found.classes_changed - both + found.added == found.boxes
    assert found.kept + found.moved + found.classes_changed - both + found.deleted == found.suggested


def test_files_that_were_corrected_in_a_tool_are_compared(tmp_path: Path) -> None:
    """Written for a tool, corrected there and read again, what was left alone is no correction, only not confirmed."""
    from PIL import Image

    images = []
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (200, 100), (9, 90, len(images) * 99)).save(tmp_path / name)
        images.append(dataclasses.replace(image(name, [[10.3, 5, 60, 50]], [1], scores=[0.5]), path=tmp_path / name))
    before = Dataset(tuple(images), LABELS)
    folder = formats.write(before, tmp_path / "out")
    (folder / "a.xml").write_text((folder / "a.xml").read_text().replace("<xmax>60<", "<xmax>90<"))
    found = labelling.compare(before, formats.read(folder))
    assert (found.photos, found.moved, found.waiting) == (1, 1, 1)
    everything = labelling.compare(before, labelling.confirm(formats.read(folder)))
    assert (everything.photos, everything.kept, everything.moved) == (2, 1, 1)
