"""pictures of photos: which are shown, where boxes and names lie on them, and what is said of detections."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import supervision as sv
from matplotlib import colors
from picture_parts import CAT_DOG, all_found, detections, drawn, few_photos, odd_photos, photo, words
from PIL import Image

from tfod_helpers import pictures
from tfod_helpers.annotations import Dataset, LabelMap, masks

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    return few_photos(tmp_path)


@pytest.fixture
def odd(tmp_path: Path) -> Dataset:
    """Tiny, very wide, very high, crowded and empty photos, with names that are hard to draw."""
    return odd_photos(tmp_path)


def test_boxes_lie_on_the_pixels_they_name(tmp_path: Path) -> None:
    """A box is drawn around exactly the pixels that boxes_xyxy names, in a photo scaled into the grid."""
    image = photo(tmp_path, "a.png", (640, 400), [[100, 50, 420, 350]], [2], colour=(0, 0, 0))
    pixels = np.zeros((400, 640, 3), np.uint8)
    pixels[50:350, 100:420] = (255, 0, 0)
    Image.fromarray(pixels).save(image.path)
    picture = pictures.show_images([image], label_map=CAT_DOG)
    axes, (box,) = picture.axes[0], drawn(picture.axes[0], "box")
    picture.canvas.draw()
    rgb = np.asarray(picture.canvas.buffer_rgba())[..., :3].astype(int)
    whole, around = axes.get_window_extent(), box.get_extents()
    scale = whole.width / 640
    assert whole.height / 400 == pytest.approx(scale)
    assert np.allclose(around.x0 - whole.x0, 100 * scale)
    assert np.allclose(whole.y1 - around.y1, 50 * scale)
    assert np.allclose((around.width, around.height), (320 * scale, 300 * scale))
    line = (np.abs(rgb - np.array(colors.to_rgb(pictures.colour_of(2))) * 255) < 8).all(-1)
    red = (rgb[..., 0] > 200) & (rgb[..., 1:].max(-1) < 60)
    middle = int(rgb.shape[0] - (around.y0 + around.y1) / 2)
    across = np.flatnonzero(line[middle])
    assert across.min() == pytest.approx(around.x0, abs=3)
    assert across.max() == pytest.approx(around.x1, abs=3)
    inside = np.flatnonzero(red[middle])
    assert inside.min() == pytest.approx(around.x0, abs=4)
    assert inside.max() == pytest.approx(around.x1, abs=4)


def test_photos_are_spread_and_the_same_every_time(few: Dataset) -> None:
    """Photos come evenly from the whole dataset; a seed draws others, the same each time; all where they are few."""

    def names(**options: int) -> list[str]:
        picture = pictures.show_images(few, **options)
        return [axes.texts[0].get_text() for axes in picture.axes]

    assert names(count=3) == ["02.png", "06.png", "10.png"]
    assert names(count=4, seed=1) == names(count=4, seed=1) != names(count=4, seed=2)
    assert names(count=99) == [f"{n:02}.png" for n in range(12)]


def test_suggestions_are_not_called_labels(few: Dataset) -> None:
    """What nobody has confirmed is dashed, with its confidence, and counted apart from what is labelled."""
    waiting = [replace(image, scores=[0.5 + 0.01 * n] * len(image.labels)) for n, image in enumerate(few)]
    picture = pictures.show_images(waiting[:1], label_map=CAT_DOG)
    assert "cat 0.50" in words(picture)
    assert drawn(picture.axes[0], "box")[0].get_linestyle() in ("--", "dashed")
    count = sum(len(image.labels) for image in waiting[:1])
    assert f"1 photo, {count} suggested box" in picture.texts[0].get_text()
    assert "labelled" not in picture.texts[0].get_text()
    both = pictures.show_images([few[1], waiting[2]], label_map=CAT_DOG).texts[0].get_text()
    assert re.match(r"2 photos, \d labelled box(es)?, \d suggested box(es)?: cat, dog", both)


def test_names_never_cover_each_other(odd: Dataset) -> None:
    """In a crowd a name that finds no free place is left out; every box is still drawn, small ones on top."""
    crowd = pictures.show_images(odd).axes[3]
    grounds = [patch.get_extents() for patch in drawn(crowd, "name")]
    assert len(drawn(crowd, "box")) == 30
    assert 5 < len(grounds) < 30
    for a, b in itertools.combinations(grounds, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 0.01


def test_titles_never_cover_each_other(odd: Dataset) -> None:
    """Titles over very wide and very narrow photos stay over their own photo."""
    picture = pictures.show_images(odd, columns=5)
    titles = sorted((axes.texts[0].get_window_extent() for axes in picture.axes), key=lambda area: area.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))


def test_detections_of_any_photo(tmp_path: Path) -> None:
    """Photos of all kinds, also out of a generator, are shown upright, with names and confidences."""
    lying = photo(tmp_path, "lying.jpg", (300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (300, 200)).save(tmp_path / "turned.jpg", exif=exif)
    image = Image.fromarray(lying.pixels())
    turned = tmp_path / "turned.jpg"
    sources = [turned, np.asarray(image), image, lying, Image.open(turned), turned.read_bytes()]
    found = detections(([10, 10, 90, 90], 0.25, 1), ([20, 20, 99, 99], 0.875, 2))
    picture = pictures.show_detections(iter(sources), [found] * 6)
    assert [axes.get_xlim()[1] for axes in picture.axes] == [200, 300, 300, 300, 200, 200]
    assert words(picture.axes[0]) == ["turned.jpg: 1 detection", "dog 0.88"]
    assert "6 photos, 6 detections at confidence ≥ 0.30" in words(picture)
    assert "object" in words(pictures.show_detections(lying, sv.Detections(xyxy=np.array([[1.0, 2, 50, 60]]))))


def test_predictions_show_hits_misses_and_false_positives(few: Dataset) -> None:
    """True positives are solid, false negatives and false positives dashed, on either side; the title counts them."""
    cat, dog = few[0].boxes_xyxy.tolist()
    found = [detections((cat, 0.9, 1), (cat, 0.8, 1), (dog, 0.7, 1), (dog, 0.1, 2))] + [detections()] * 11
    picture = pictures.show_predictions(few, found, worst_first=True, count=1)
    truth, seen = picture.axes
    assert words(truth) == ["00.png: 1 of 2 detected, 2 false", "cat", "dog"]
    assert words(seen) == ["cat 0.90", "cat 0.80", "cat 0.70"]
    # Large boxes are drawn first: the dog's before the cats'.
    assert [box.get_linestyle() for box in drawn(truth, "box")] == ["dashed", "solid"]
    assert [box.get_linestyle() for box in drawn(seen, "box")] == ["dashed", "solid", "dashed"]
    assert "1 of 16 objects detected, 2 false positives; the 1 worst of 12 photos" in words(picture)


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_what_does_not_count_is_no_mistake(mark: str, few: Dataset) -> None:
    """A crowd or a difficult object is neither missed nor found, and dotted like the detections on it."""
    cat, dog = few[0].boxes_xyxy.tolist()
    dataset = Dataset([replace(few[0], **{mark: [False, True]})], few.label_map)
    for found in (detections((cat, 0.9, 1)), detections((cat, 0.9, 1), (dog, 0.8, 2), (dog, 0.7, 2))):
        picture = pictures.show_predictions(dataset, [found])
        truth, seen = picture.axes
        assert words(truth) == ["00.png: 1 of 1 detected, 0 false", "cat", "dog"]
        assert sorted(box.get_linestyle() for box in drawn(truth, "box")) == ["dotted", "solid"]
        assert [box.get_linestyle() for box in drawn(seen, "box")].count("dotted") == len(found) - 1
        assert "1 of 1 object detected, 0 false positives, 1 not counted" in words(picture)


def test_predictions_are_matched_by_name(few: Dataset) -> None:
    """A detector that counts the classes in another order is right; of a class that the labels lack it is said."""
    turned = LabelMap(["owl", "dog", "cat"])  # cat 3, dog 2
    found = [all_found(replace(image, labels=4 - image.labels), turned) for image in few]
    everything = pictures.show_predictions(few, found)
    assert "16 of 16 objects detected, 0 false positives; 6 of 12 photos" in words(everything)
    found[0] = detections(([0, 0, 9, 9], 0.9, 1), names=turned)
    some = words(pictures.show_predictions(few, found))
    assert "14 of 16 objects detected, 0 false positives, 1 of other classes; 6 of 12 photos" in some


def test_worst_photos_first(few: Dataset) -> None:
    """worst_first shows the photos with the most false negatives and false positives, the worst at the start."""
    right = [all_found(image) for image in few]
    right[5] = detections(([0, 0, 9, 9], 0.9, 1), ([9, 9, 30, 30], 0.8, 2))
    right[8] = detections()
    picture = pictures.show_predictions(few, right, worst_first=True, count=2)
    assert [words(axes)[0] for axes in picture.axes[::2]] == [
        "05.png: 0 of 1 detected, 2 false",
        "08.png: 0 of 1 detected, 0 false",
    ]
    assert len(pictures.show_predictions(few, right, count=4).axes) == 8


def test_errors_say_what_to_do(few: Dataset) -> None:
    """Empty, mismatched and wrong input is refused with what was found."""
    none, found = Dataset((), CAT_DOG), detections(([1, 1, 9, 9], 0.9, 1))
    for call, kind, message in [
        (lambda: pictures.show_images(none), ValueError, "no photos to show"),
        (lambda: pictures.show_images(list(few)), ValueError, "Give label_map="),
        (lambda: pictures.show_images(list(few), label_map=LabelMap(["cat"])), ValueError, "06.png: class id 2|00.png"),
        (lambda: pictures.show_images("photos"), TypeError, "got str"),
        (lambda: pictures.show_images([1], label_map=CAT_DOG), TypeError, "image 0 must be a LabelledImage, got int"),
        (lambda: pictures.show_images(few, count=0), ValueError, "count must be 1 or more, got 0"),
        (lambda: pictures.show_images(few, columns=0), ValueError, "columns must be 1 or more, got 0"),
        (lambda: pictures.show_detections([], []), ValueError, "no photos to show"),
        (lambda: pictures.show_detections(list(few), [found]), ValueError, "got 12 photos and 1 detections"),
        (lambda: pictures.show_detections(few[0].path, [found]), TypeError, "one photo takes one Detections"),
        (lambda: pictures.show_detections(few[0].pixels(), [found]), TypeError, "one photo takes one Detections"),
        (lambda: pictures.show_detections([7], [found]), TypeError, "A photo is a path, a Pillow image, .*got int"),
        (lambda: pictures.show_detections({few[0].path}, [found]), TypeError, "A set of photos cannot be told"),
        (lambda: pictures.show_detections([few[0]], ["x"]), TypeError, "detections 0 must be supervision.Detections"),
        (lambda: pictures.show_detections(few[0].path.parent / "no.jpg", found), FileNotFoundError, "no such file"),
        (lambda: pictures.show_predictions(list(few), [found] * 12), TypeError, "must be a Dataset, got list"),
        (lambda: pictures.show_predictions(few, [found]), ValueError, "got 12 photos and 1 detections"),
        (lambda: pictures.show_predictions(few, [sv.Detections(np.ones((1, 4)))] * 12), ValueError, "need class_id"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            call()


def test_photo_that_cannot_be_shown_is_a_grey_card(few: Dataset) -> None:
    """A photo that is gone or cut short since it was read is a card with the reason, and the others are there."""
    few[0].path.unlink()
    few[1].path.write_bytes(few[1].path.read_bytes()[:60])
    picture = pictures.show_images(few, count=12)
    assert "the photo is not there" in words(picture.axes[0])
    assert any("damaged or cut off" in text for text in words(picture.axes[1]))
    assert [len(drawn(axes, "card")) for axes in picture.axes] == [1, 1, *[0] * 10]
    assert [len(axes.images) for axes in picture.axes] == [0, 0, *[1] * 10]
    assert picture.to_bytes()


def test_masks_are_shown_where_there_are_some(few: Dataset) -> None:
    """Labelled masks, those that a detector found and encoded ones are tinted; photos without show boxes alone."""
    image = few[0]
    pixels = np.zeros((len(image.labels), image.height, image.width), bool)
    pixels[:, 40:90, 30:60] = True
    labelled = replace(image, masks=tuple(map(masks.encode, pixels)))
    compact = sv.CompactMask.from_dense(pixels, image.boxes_xyxy, pixels.shape[1:])
    found = [replace(all_found(image), mask=one) for one in (pixels, compact)]
    found.append(replace(all_found(image), data={"rle": np.array(labelled.masks, object)}))
    shown = [pictures.show_images(Dataset((labelled,), CAT_DOG))]
    shown += [pictures.show_detections(image, one) for one in found]
    shown += [pictures.show_predictions(Dataset((labelled,), CAT_DOG), [one]) for one in found]
    for picture in shown:
        for axes in picture.axes:
            assert [tint.get_gid() for tint in axes.images] == [None, "mask", "mask"]
            assert 0.001 < (axes.images[1].get_array()[..., 3] > 0).mean() < 0.1
    assert len(pictures.show_images(few, count=1).axes[0].images) == 1


def test_photos_to_label_are_shown_in_their_order_with_the_reason(few: Dataset) -> None:
    """The first of a ranking are there, numbered, each with its reason below."""
    rows = [(str(image.path), f"unsure: cat 0.{n}1; unlike what is labelled") for n, image in enumerate(few)]
    ranking = pd.DataFrame(rows[::-1], columns=["path", "reason"])
    picture = pictures.show_ranking(ranking, 3)
    assert [axes.texts[0].get_text() for axes in picture.axes] == ["1. 11.png", "2. 10.png", "3. 09.png"]
    assert picture.texts[0].get_text() == "12 photos to label next; the first 3"
    assert "unsure: cat 0.91; unlike what is labelled" in " ".join(" ".join(words(picture)).split())
    assert pictures.show_ranking(ranking, 12).texts[0].get_text() == "12 photos to label next"
    with pytest.raises(ValueError, match="count must be 1 or more, got 0"):
        pictures.show_ranking(ranking, 0)
