"""A detector that looks at large photos in tiles: small objects are found, each once, and large ones stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from tfod_helpers import evaluation, photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.detector import Detector, tiles

LABEL_MAP = LabelMap(["cat", "dog"])
SIDE, TILE = 64, 128
LEAST = 8  # pixels of the model's input: what is smaller, it does not see


def large_spots(squares: np.ndarray) -> dict[str, np.ndarray]:
    """A stand-in for a model: the box of each bright spot that is large enough, as a dog; larger ones are surer."""
    outputs = {
        "boxes_xyxy": np.zeros((len(squares), 20, 4), np.float32),
        "scores": np.zeros((len(squares), 20), np.float32),
        "classes": np.full((len(squares), 20), 2),
        "count": np.zeros(len(squares), int),
    }
    for number, square in enumerate(squares):
        for down, across in ndimage.find_objects(ndimage.label(square.min(axis=-1) > 200)[0]):
            if min(down.stop - down.start, across.stop - across.start) >= LEAST:
                place = outputs["count"][number]
                outputs["boxes_xyxy"][number, place] = [across.start, down.start, across.stop, down.stop]
                outputs["scores"][number, place] = 0.5 + 0.4 * (across.stop - across.start) / SIDE
                outputs["count"][number] += 1
    return outputs


@pytest.fixture
def detector() -> Detector:
    """A detector of bright spots that are large enough."""
    return Detector(large_spots, LABEL_MAP, SIDE, 0.3)


def photo_of(*boxes_xyxy: list[int], size: tuple[int, int] = (520, 400)) -> np.ndarray:
    """A black photo with white rectangles."""
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    for xmin, ymin, xmax, ymax in boxes_xyxy:
        rgb[ymin:ymax, xmin:xmax] = 255
    return rgb


def assert_finds(found: sv.Detections, boxes_xyxy: list[list[int]]) -> None:
    """Each box is found once, to within two pixels of the model's input in a tile, or one in the whole photo."""
    order = np.lexsort(found.xyxy.round(-1).T[:2])
    expected = np.array(boxes_xyxy)[np.lexsort(np.array(boxes_xyxy).round(-1).T[:2])]
    assert len(found) == len(expected)
    large = (expected[:, 2:] - expected[:, :2]).max(axis=1) > TILE
    assert (np.abs(found.xyxy[order] - expected) <= np.where(large, 520 / SIDE, 2 * TILE / SIDE)[:, None]).all()


# Within one tile, over the edge between two, in the corner of four, at the photo's own edges.
SMALL = [[20, 30, 50, 60], [110, 200, 140, 230], [85, 85, 115, 115], [300, 0, 330, 30], [490, 370, 520, 400]]


def test_small_objects_are_found_each_once(detector: Detector) -> None:
    """What is too small in the whole photo is found in tiles, wherever these cut it, and the detections are Detector's.

    Each box is there once, in the pixels of the photo, the most confident first.
    """
    photo = photo_of(*SMALL)
    assert len(detector.detect(photo)) == 0
    found = detector.tiled(tile=TILE, overlap=0.3).detect(photo)
    assert_finds(found, SMALL)
    assert found["class_name"].tolist() == ["dog"] * len(SMALL)
    assert found.class_id.tolist() == [2] * len(SMALL)
    assert (np.diff(found.confidence) <= 0).all()
    assert set(found.data) == {"class_name"}


def test_what_is_larger_than_a_tile_stays(detector: Detector) -> None:
    """An object of many tiles is found as a whole, and no part of it beside; small ones are found too."""
    large = [150, 100, 500, 380]
    found = detector.tiled(tile=TILE).detect(photo_of(large, SMALL[0]))
    assert_finds(found, [large, SMALL[0]])


def test_parts_of_an_object_in_two_tiles_are_joined(detector: Detector) -> None:
    """An object that no tile shows whole, and that is too small in the whole photo, is one box around its parts."""
    cut = [95, 20, 155, 80]  # tiles end at 128 and begin at 116
    photo = photo_of(cut)
    assert len(detector.detect(photo)) == 0
    found = detector.tiled(tile=TILE, overlap=0.1).detect(photo)
    assert_finds(found, [cut])


def test_classes_are_merged_apart() -> None:
    """A cat and a dog at the same place are both kept, as by the model's own suppression."""

    def both(squares: np.ndarray) -> dict[str, np.ndarray]:
        found = large_spots(squares)
        for name, of_cats in (("boxes_xyxy", 1), ("scores", 0.8), ("classes", 0.5)):
            found[name] = np.concatenate([found[name], found[name] * of_cats], axis=1)
        # The dogs of a photo come first, and then its cats.
        for number, count in enumerate(found["count"]):
            for name in ("boxes_xyxy", "scores", "classes"):
                found[name][number, count : 2 * count] = found[name][number, 20 : 20 + count]
        return found | {"count": found["count"] * 2}

    found = Detector(both, LABEL_MAP, SIDE, 0.3).tiled(tile=TILE, overlap=0.3).detect(photo_of(*SMALL))
    assert sorted(found["class_name"].tolist()) == ["cat"] * len(SMALL) + ["dog"] * len(SMALL)


def test_a_less_sure_box_takes_no_ones_place() -> None:
    """A part that is sure stays, where the box around it is a weak guess."""

    def with_guess(squares: np.ndarray) -> dict[str, np.ndarray]:
        found = large_spots(squares)
        for number, square in enumerate(squares):
            if not found["count"][number] and (square.min(axis=-1) > 200).any():  # too small: the whole photo
                found["boxes_xyxy"][number, 0], found["scores"][number, 0] = [0, 0, SIDE, SIDE], 0.05
                found["count"][number] = 1
        return found

    cut = [95, 20, 155, 80]
    found = Detector(with_guess, LABEL_MAP, SIDE, 0.01).tiled(tile=TILE, overlap=0.1).detect(photo_of(cut))
    assert_finds(found[found.confidence > 0.4], [cut])


def test_evaluation_says_what_tiles_bring(detector: Detector, tmp_path: Path) -> None:
    """`evaluate` takes a tiled detector, and small objects raise its AP over that of whole photos."""
    images = []
    for number in range(3):
        boxes_xyxy = [[x + 11 * number for x in box] for box in SMALL[:3]]
        Image.fromarray(photo_of(*boxes_xyxy)).save(tmp_path / f"{number}.png")
        boxes = np.array(boxes_xyxy, np.float32)
        images.append(LabelledImage(tmp_path / f"{number}.png", 520, 400, boxes, np.array([2] * 3)))
    dataset = Dataset(images, LABEL_MAP)
    whole, tiled = (
        evaluation.evaluate(one, dataset, resamples=0) for one in (detector, detector.tiled(tile=TILE, overlap=0.3))
    )
    assert whole.coco["AP"] == 0
    assert tiled.coco["AP50"] > 0.99


def test_photos_of_any_kind_in_batches_of_any_size(detector: Detector, tmp_path: Path) -> None:
    """A path, bytes, arrays and labelled images, alone or in a list, give the same, whatever the batch size."""
    photo = photo_of(*SMALL)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    tiled = detector.tiled(tile=TILE, overlap=0.3)
    expected = tiled.detect(photo)
    labelled = LabelledImage(path, 520, 400, np.zeros((0, 4)), [])
    for one in (path, path.read_bytes(), Image.fromarray(photo), labelled):
        np.testing.assert_array_equal(tiled.detect(one).xyxy, expected.xyxy)
    for batch_size in (1, 100):
        found = tiled.detect([path, photo], batch_size=batch_size)
        assert [one.xyxy.tolist() for one in found] == [expected.xyxy.tolist()] * 2
    assert tiled.detect([]) == []
    assert len(tiled.detect(photo, threshold=0.95)) == 0


def test_a_photo_no_larger_than_a_tile_is_looked_at_once() -> None:
    """Where there is nothing to gain, the model runs once; other photos take one look and one a tile."""
    looks: list[int] = []

    def counted(squares: np.ndarray) -> dict[str, np.ndarray]:
        looks.append(len(squares))
        return large_spots(squares)

    tiled = Detector(counted, LABEL_MAP, SIDE, 0.3).tiled(tile=TILE, overlap=0.25)
    found = tiled.detect(photo_of([20, 20, 100, 100], size=(128, 110)))
    assert_finds(found, [[20, 20, 100, 100]])
    assert looks == [1]
    looks.clear()
    tiled.detect(photo_of(size=(300, 128)), batch_size=2)  # three tiles beside each other
    assert looks == [1, 2, 1]


@pytest.mark.parametrize(
    ("size", "tile", "overlap"), [((520, 400), 128, 0.25), ((256, 128), 128, 0), ((300, 64), 64, 0)]
)
def test_a_bar_counts_the_tiles_of_one_photo(
    size: tuple[int, int], tile: int, overlap: float, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at the number of tiles that it began with; for several photos there is none."""
    bars: list[tqdm] = []

    def bar(**given: Any) -> tqdm:
        bars.append(tqdm(**given | {"delay": 0}))
        return bars[-1]

    monkeypatch.setattr(tiles, "tqdm", bar)
    tiled = detector.tiled(tile=tile, overlap=overlap)
    tiled.detect(photo_of(size=size), batch_size=3)
    assert bars[0].n == bars[0].total > 1
    tiled.detect([photo_of(size=size)])
    assert bars[1].disable


def test_masks_lie_in_their_boxes_in_the_whole_photo() -> None:
    """Of a detector with masks each object has one of the photo's size, which covers its box and nothing beside."""

    def found(squares: np.ndarray) -> dict[str, np.ndarray]:
        return large_spots(squares) | {"masks": np.ones((len(squares), 20, 28, 28), np.float32)}

    large = [200, 150, 480, 380]
    detections = Detector(found, LABEL_MAP, SIDE, 0.3).tiled(tile=TILE, overlap=0.3).detect(photo_of(SMALL[0], large))
    assert_finds(detections, [SMALL[0], large])
    masks = np.asarray(detections.mask)
    assert masks.shape == (2, 400, 520)
    for mask, box_xyxy in zip(masks, detections.xyxy.round().astype(int), strict=True):
        xmin, ymin, xmax, ymax = box_xyxy
        assert mask[ymin + 1 : ymax - 1, xmin + 1 : xmax - 1].all()
        assert mask.sum() <= (ymax - ymin + 2) * (xmax - xmin + 2)


def test_the_tile_is_the_models_input_unless_another_is_given(detector: Detector) -> None:
    """Its size and what it stands in for can be read; sizes that make no tiles are refused in words."""
    tiled = detector.tiled()
    assert (tiled.tile, tiled.overlap, tiled.image_size, tiled.threshold) == (SIDE, 16, SIDE, 0.3)
    assert list(tiled.label_map) == ["cat", "dog"]
    assert repr(tiled) == f"TiledDetector({detector!r}; tiles of 64 px that overlap by 16)"
    with pytest.raises(ValueError, match=r"tile must be at least 1 pixel, got 0\."):
        detector.tiled(tile=0)
    for overlap in (-0.1, 0.95):
        with pytest.raises(ValueError, match=r"overlap is a share of the tile, from 0 to 0\.9; got"):
            detector.tiled(overlap=overlap)


def test_what_is_no_photo_is_named(detector: Detector, tmp_path: Path) -> None:
    """A missing file, a wrong array and its place in the list, a threshold and a batch size out of range."""
    tiled = detector.tiled(tile=TILE)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: there is no such file"):
        tiled.detect(tmp_path / "gone.jpg")
    with pytest.raises(photos.PhotoError, match=r"this is a folder, not a photo"):
        tiled.detect(tmp_path)
    with pytest.raises(TypeError, match=r"photo 2: An image array must be uint8"):
        tiled.detect([photo_of(), photo_of() / 255])
    with pytest.raises(ValueError, match="between 0 and 1"):
        tiled.detect(photo_of(), threshold=2)
    with pytest.raises(ValueError, match=r"batch_size must be at least 1, got 0\."):
        tiled.detect(photo_of(), batch_size=0)
