"""pictures of a dataset: its labels counted, its boxes in their places, crops of its classes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors
from picture_parts import CAT_DOG, drawn, few_photos, photo, words
from PIL import Image

from tfod_helpers import pictures
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    return few_photos(tmp_path)


def test_labels_are_counted(few: Dataset) -> None:
    """The class bars carry the counts of each split, and the title says how uneven they are."""
    picture = pictures.plot_labels(few.split({"train": 0.75, "validation": 0.25}))
    classes, sizes, objects, shapes = picture.axes
    assert [text.get_text() for text in classes.get_yticklabels()] == ["cat", "dog"]
    bars = {bars.get_label(): [int(bar.get_width()) for bar in bars] for bars in classes.containers}
    assert np.sum(list(bars.values()), axis=0).tolist() == [12, 4]
    assert {str(n) for part in bars.values() for n in part} <= set(words(classes))
    assert "Classes: the largest has 3.0 times the smallest" in words(classes)
    for axes in (sizes, objects, shapes):
        for split in axes.containers:
            assert sum(bar.get_height() for bar in split) == pytest.approx(1)
    heights = np.mean([[bar.get_height() for bar in split] for split in objects.containers], axis=0)
    assert heights[[0, 3, 4]].tolist() == [0, 0, 0]
    assert "12 labelled photos, 16 boxes, 2 classes" in words(picture)
    assert {"train", "validation"} <= set(words(picture.legends[0]))


def test_labels_of_many_classes_say_what_is_left_out(tmp_path: Path) -> None:
    """Of eighty classes the most and the least common are drawn, and the title says so."""
    image = LabelledImage(tmp_path / "a.jpg", 100, 100, [[0, 0, 50, 50]] * 82, [*range(1, 81), 1, 1])
    classes = pictures.plot_labels(Dataset((image,), LabelMap(f"class {n}" for n in range(80)))).axes[0]
    assert len(classes.containers[0]) == 16
    assert "Classes: 8 most and 8 least common of 80" in words(classes)


# --- places and sizes --------------------------------------------------------------------------


def test_places_are_where_the_boxes_are(tmp_path: Path) -> None:
    """The heat map is high exactly where boxes lie, as a share of the boxes, whatever the photos' sizes."""
    images = [
        LabelledImage(tmp_path / "a.jpg", 400, 200, [[0, 0, 200, 100], [0, 0, 400, 200]], [1, 2]),
        LabelledImage(tmp_path / "b.jpg", 40, 40, [[0, 0, 20, 20], [20, 20, 40, 40]], [1, 2]),
    ]
    picture = pictures.plot_places(Dataset(images, CAT_DOG))
    every, cat, dog = (np.asarray(axes.images[0].get_array()) for axes in picture.axes[:3])
    quarters = [(slice(0, 20), slice(0, 20)), (slice(0, 20), slice(20, 40)), (slice(20, 40), slice(20, 40))]
    assert [np.unique(every[quarter]).tolist() for quarter in quarters] == [[0.75], [0.25], [0.5]]
    assert [np.unique(cat[quarter]).tolist() for quarter in quarters] == [[1], [0], [0]]
    assert [np.unique(dog[quarter]).tolist() for quarter in quarters] == [[0.5], [0.5], [1]]
    assert [axes.get_title(loc="left") for axes in picture.axes[:3]] == [
        "all classes: 4 boxes", "cat: 2 boxes", "dog: 2 boxes",
    ]  # fmt: skip
    assert picture.get_suptitle() == "25% of the boxes are centred in the middle ninth of the photo"


def test_places_of_many_classes_say_what_is_left_out(tmp_path: Path) -> None:
    """Of eighty classes the five most common have a map; one class alone has one map; no box is no error."""
    image = LabelledImage(tmp_path / "a.jpg", 100, 100, [[0, 0, 50, 50]] * 82, [*range(1, 81), 7, 7])
    picture = pictures.plot_places(Dataset((image,), LabelMap(f"class {n}" for n in range(80))))
    assert sum(bool(axes.images) for axes in picture.axes) == 6
    assert picture.axes[1].get_title(loc="left") == "class 6: 3 boxes"
    assert "and 75 classes with fewer boxes" in words(picture)
    one = Dataset((LabelledImage(tmp_path / "a.jpg", 9, 9, [[1, 1, 3, 3]], [1]),), LabelMap(["cat"]))
    assert [axes.get_title(loc="left") for axes in pictures.plot_places(one).axes if axes.images] == [
        "all classes: 1 box"
    ]
    empty = Dataset((LabelledImage(tmp_path / "a.jpg", 9, 9, [], []),), CAT_DOG)
    assert pictures.plot_places(empty).get_suptitle() == "There are no boxes"
    assert pictures.plot_places(empty).to_bytes()


def test_sizes_tell_boxes_that_no_anchor_fits(tmp_path: Path) -> None:
    """A box is drawn at the size that the model sees, and one too small or too thin for the anchors counts as such."""
    boxes_xyxy = [[0, 0, 384, 384], [0, 0, 8, 8], [0, 0, 760, 8]]
    dataset = Dataset((LabelledImage(tmp_path / "a.jpg", 768, 768, boxes_xyxy, [1, 1, 2]),), CAT_DOG)
    picture = pictures.plot_sizes(dataset, preset="mobilenet_v2_192")
    photos, boxes = picture.axes
    fit, missed, _ = (dots.get_offsets().tolist() for dots in boxes.collections)
    assert fit == [[96, 96]]  # 192 of 768 pixels
    assert missed == [[2, 2], [190, 2]]
    assert "box that none fits: 2" in words(boxes)
    assert picture.get_suptitle() == "33% of the boxes fit an anchor of mobilenet_v2_192"
    assert "the model sees 192 x 192" in words(photos)
    assert photos.collections[0].get_offsets().tolist() == [[768, 768]]


def test_sizes_of_boxes_follow_how_the_photo_is_resized(tmp_path: Path) -> None:
    """In a photo twice as wide as high, a flat box is flat where that is letterboxed, square where stretched."""
    dataset = Dataset((LabelledImage(tmp_path / "a.jpg", 768, 384, [[0, 0, 384, 192]], [1]),), CAT_DOG)
    for resize, seen in (("letterbox", [96, 48]), ("stretch", [96, 96])):
        boxes = pictures.plot_sizes(dataset, resize=resize).axes[1]
        assert [dots.get_offsets().tolist() for dots in boxes.collections[:2]] == [[seen], []]
    with pytest.raises(ValueError, match="resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'fit'"):
        pictures.plot_sizes(dataset, resize="fit")


# --- classes -----------------------------------------------------------------------------------


def test_crop_shows_the_box_and_what_is_around(tmp_path: Path) -> None:
    """A crop holds the pixels of its box in the middle, some around it, and the box drawn on its edge."""
    image = photo(tmp_path, "a.png", (400, 300), [[200, 100, 300, 180]], [2], colour=(0, 90, 0))
    pixels = image.pixels().copy()
    pixels[100:180, 200:300] = (255, 0, 0)
    Image.fromarray(pixels).save(image.path)
    axes = pictures.show_classes(Dataset((image,), CAT_DOG)).axes[0]
    (crop,), (box,) = axes.images, drawn(axes, "box")
    left, right, bottom, top = crop.get_extent()
    scale = (right - left) / 130  # a square of 130 pixels of the photo: the box's longer side and 15 % on both sides
    assert (box.get_x() - left, box.get_y() - top) == pytest.approx((15 * scale, 25 * scale))
    assert (box.get_width(), box.get_height()) == pytest.approx((100 * scale, 80 * scale))
    shown = np.asarray(crop.get_array())
    red = np.argwhere(shown[..., 0] > 128) / len(shown) * 130
    assert red.min(0) == pytest.approx([25, 15], abs=1.5)
    assert red.max(0) == pytest.approx([105, 115], abs=1.5)
    assert colors.to_hex(box.get_edgecolor()).upper() == pictures.colour_of(2)
    assert bottom > top


def test_contact_sheet_names_every_box(few: Dataset) -> None:
    """Under each crop stands its photo, with the number of the box where there are several; over it the class."""
    said = words(pictures.show_classes(few, per_class=4))
    assert said.count("cat: 12 boxes") == said.count("dog: 4 boxes") == 1
    assert {"00 #2", "03 #2", "06 #2", "09 #2"} <= set(said)
    assert sum(text[:2].isdigit() for text in said) == 8
    assert "2 classes, 4 boxes each" in said
    assert words(pictures.show_classes(few, classes=["dog"])).count("dog: 4 boxes") == 1
    assert "cat: 12 boxes" not in words(pictures.show_classes(few, classes=["dog"]))
    drawn_again = [words(pictures.show_classes(few, per_class=3, seed=seed)) for seed in (1, 1, 2)]
    assert drawn_again[0] == drawn_again[1] != drawn_again[2]


@pytest.mark.parametrize(
    ("classes", "each", "headline"),
    [
        (1, 82, "1 class"),
        (37, 3, "37 classes, 3 boxes each"),
        (90, 3, "48 most and least common of 90 classes, 3 boxes each"),
    ],
)
def test_contact_sheet_of_many_classes_stays_one_page(tmp_path: Path, classes: int, each: int, headline: str) -> None:
    """A page holds at most 144 crops, whole classes beside each other, and says what is left out."""
    labels = [1 + n % classes for n in range(max(82, classes * 7))] + [2] * (classes > 1)
    boxes_xyxy = [[n % 50, n % 40, n % 50 + 30, n % 40 + 40] for n in range(len(labels))]
    image = photo(tmp_path, "a.png", (200, 200), boxes_xyxy, labels)
    dataset = Dataset((image,), LabelMap([f"class {n}" for n in range(classes)]))
    picture = pictures.show_classes(dataset, per_class=100)
    assert len(picture.axes) == each * min(classes, 48) <= 144
    assert headline in words(picture)
    places = sorted((round(1 - axes.get_position().y1, 4), axes.get_position().x0) for axes in picture.axes)
    assert len(set(places)) == len(places)
    assert all(right[1] - left[1] > 0.07 for left, right in itertools.pairwise(places) if left[0] == right[0])
    assert picture.get_size_inches()[1] < 14


def test_contact_sheet_does_without_photos_that_cannot_be_read(few: Dataset) -> None:
    """A photo that is gone or cut short leaves a grey place that says so, and a class without boxes is named."""
    few[0].path.unlink()
    few[1].path.write_bytes(few[1].path.read_bytes()[:60])
    dataset = Dataset(few.images, LabelMap(["cat", "dog", "bird"]))
    picture = pictures.show_classes(dataset)
    reasons = [" ".join(text.split()) for text in words(picture)]
    assert reasons.count("the photo is not there") == 2
    assert sum(text.startswith("damaged or cut off") for text in reasons) == 1
    assert [len(drawn(axes, "card")) + len(axes.images) for axes in picture.axes] == [1] * 16
    assert sum(len(axes.images) for axes in picture.axes) == 13
    assert "2 classes; 1 has none" in words(picture)


# --- errors ------------------------------------------------------------------------------------


def test_errors_say_what_to_do(few: Dataset) -> None:
    """Empty, mismatched and wrong input is refused with what was found."""
    none, other = Dataset((), CAT_DOG), Dataset(few.images, LabelMap(["dog", "cat"]))
    for call, kind, message in [
        (lambda: pictures.plot_labels(none), ValueError, "plot_labels: 'all' holds no photos"),
        (lambda: pictures.plot_labels({}), ValueError, "empty dict"),
        (lambda: pictures.plot_labels([few]), TypeError, "dict of them by name, got list"),
        (lambda: pictures.plot_labels({"a": few, "b": other}), ValueError, "different label maps"),
        (lambda: pictures.plot_places(none), ValueError, "plot_places: 'all' holds no photos"),
        (lambda: pictures.plot_sizes("photos"), TypeError, "plot_sizes takes a Dataset or a dict"),
        (lambda: pictures.plot_sizes(few, "mobilenet_v2_265"), ValueError, "mobilenet_v2_256"),
        (lambda: pictures.show_classes(list(few)), TypeError, "show_classes takes a Dataset, got list"),
        (lambda: pictures.show_classes(none), ValueError, "no photo has a box"),
        (lambda: pictures.show_classes(few, classes=["cta"]), ValueError, "no class 'cta'.*cat"),
        (lambda: pictures.show_classes(few, per_class=0), ValueError, "per_class must be 1 or more, got 0"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            call()
