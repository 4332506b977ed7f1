"""Training batches: photos as a detector sees them, boxes that stay on their object, shapes that a TPU can compile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_training import Small

from tfod_helpers import photos, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.network.normalization import NORMALIZATIONS

pytestmark = pytest.mark.tensorflow
SIDE = 64
LABELS = LabelMap(["thing", "other"])
PARSER = "task.train_data.parser."
AUGMENTED = {
    "aug_rand_hflip": True,
    "aug_scale_min": 0.5,
    "aug_scale_max": 1.6,
    "aug_aspect": 1.5,
    "aug_color": 0.3,
}


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """Let each test draw the same random numbers in every run."""
    import tensorflow as tf

    tf.random.set_seed(0)


@pytest.fixture(scope="module")
def inputs() -> ModuleType:
    """The module, which loads TensorFlow."""
    from tfod_helpers.network import inputs

    return inputs


def written(folder: Path, pictures: Sequence[np.ndarray], boxes_xyxy: Sequence[Any], **options: Any) -> records.Records:
    """Records of pictures and the boxes of each; the classes go by turns."""
    images = []
    for number, (rgb, boxes) in enumerate(zip(pictures, boxes_xyxy, strict=True)):
        path = folder / f"{number}.jpg"
        Image.fromarray(rgb).save(path, quality=98, subsampling=0)
        labels = [1 + k % 2 for k in range(len(boxes))]
        images.append(LabelledImage(path, rgb.shape[1], rgb.shape[0], np.array(boxes), np.array(labels)))
    return records.write(Dataset(images, LABELS), folder / "train", **options)


def task_of(small: Any, made: records.Records, batch_size: int = 1, resize: str = "letterbox", **parser: Any) -> Any:
    """The small config's task with other records and augmentation."""
    from tfod_helpers import experiment

    config = experiment.change(small.config, {f"{PARSER}{key}": value for key, value in parser.items()})
    task = config.task
    task.class_names, task.train_images = list(LABELS), made.count
    task.train_data.input_path, task.train_data.global_batch_size = made.pattern, batch_size
    task.train_data.parser.max_num_instances, task.resize = max(made.max_boxes, 1), resize
    return task


def boxes_in(inputs: Any, task: Any, labels: dict[str, Any], number: int = 0) -> dict[tuple[float, ...], int]:
    """Decode one image's targets with the anchors: box_xyxy in pixels of the input -> class."""
    anchors = np.concatenate([np.reshape(boxes, (-1, 4)) for boxes in inputs.anchor_boxes(task).values()])
    targets = np.concatenate([np.reshape(levels[number], (-1, 4)) for levels in labels["box_targets"].values()])
    classes = np.concatenate([np.reshape(levels[number], -1) for levels in labels["cls_targets"].values()])
    positive = labels["box_weights"].numpy()[number] > 0
    assert ((classes > 0) == positive).all()
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, 2:] + anchors[:, :2]) / 2 + targets[:, :2] * size  # as Faster R-CNN encodes a box
    half = size * np.exp(targets[:, 2:]) / 2
    boxes_xyxy = np.concatenate([centre - half, centre + half], axis=1)[:, [1, 0, 3, 2]]
    found: dict[tuple[float, ...], int] = {}
    for box_xyxy, label in zip(boxes_xyxy[positive].tolist(), classes[positive].tolist(), strict=True):
        if not any(np.allclose(box_xyxy, other, atol=0.01) for other in found):  # many anchors have the same box
            found[tuple(box_xyxy)] = int(label)
    return found


def to_pixels(inputs: Any, image: Any) -> np.ndarray:
    """An image's values from 0 to 255 again."""
    return np.asarray(NORMALIZATIONS["imagenet"].undo(np.asarray(image)))


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose red says the column and whose green says the row."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    blue = np.full((height, width), 128)
    return np.stack([40 + 160 * columns / width, 40 + 160 * rows / height, blue], axis=-1).round().astype(np.uint8)


def flag(height: int = 80, width: int = 120) -> tuple[np.ndarray, list[int]]:
    """A dark photo with one bright rectangle, its left half red and its right half green, and its box."""
    rgb = np.full((height, width, 3), 20, np.uint8)
    x0, y0, x1, y1 = box_xyxy = [40, 25, 80, 60]
    rgb[y0:y1, x0:60] = (250, 60, 60)
    rgb[y0:y1, 60:x1] = (60, 250, 60)
    return rgb, box_xyxy


# --- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("resize", "shape"), [("letterbox", (200, 200)), ("stretch", (180, 600))])
def test_without_augmentation_training_sees_what_prediction_sees(
    small: Small, inputs: ModuleType, tmp_path: Path, resize: str, shape: tuple[int, int]
) -> None:
    """A photo that fills the square comes as photos.letterbox makes it, to an eighth of a pixel; boxes are exact."""
    boxes_xyxy = [[20, 30, 120, 170], [150.5, 10, 199, 60.25]]
    task = task_of(small, written(tmp_path, [ramp(*shape)], [boxes_xyxy]), resize=resize)
    images, labels = next(iter(inputs.train_batches(task)))
    square = photos.letterbox(tmp_path / "0.jpg", SIDE, resize=resize)
    difference = to_pixels(inputs, images[0]) - square.pixels
    # One pixel further, the colours of the ramp differ by 160 / 64 = 2.5.
    for part in (difference[:32], difference[32:], difference[:, :32], difference[:, 32:]):
        assert np.abs(part.mean(axis=(0, 1))).max() < 0.3
    assert np.abs(difference).mean() < 0.6
    found = boxes_in(inputs, task, labels)
    scaled = np.array(boxes_xyxy) * np.tile(square.scale, 2)
    np.testing.assert_allclose(sorted(found), sorted(scaled.tolist()), atol=0.01)
    assert [found[box] for box in sorted(found)] == [1, 2]


@pytest.mark.parametrize(("resize", "shape"), [("letterbox", (500, 500)), ("stretch", (250, 900))])
def test_fine_detail_is_averaged(
    small: Small, inputs: ModuleType, tmp_path: Path, resize: str, shape: tuple[int, int]
) -> None:
    """A large photo of noise becomes as calm as at prediction: no pixel of it is skipped."""
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 1), np.uint8).repeat(3, axis=2)
    task = task_of(small, written(tmp_path, [noise], [[]]), resize=resize)
    images, _ = next(iter(inputs.train_batches(task)))
    expected = photos.letterbox(tmp_path / "0.jpg", SIDE, resize=resize).pixels.std()
    assert 0.6 * expected < to_pixels(inputs, images[0]).std() < 1.2 * expected


@pytest.mark.parametrize("shape", [(100, 200), (200, 100), (64, 40), (3, 300)])
def test_oblong_photos_keep_their_shape(
    small: Small, inputs: ModuleType, tmp_path: Path, shape: tuple[int, int]
) -> None:
    """An oblong photo fills the square along its longer side, lies anywhere along the other; around it all is 0."""
    height, width = shape
    task = task_of(small, written(tmp_path, [ramp(*shape)], [[[0, 0, width, height]]]))
    images, labels = next(iter(inputs.train_batches(task)))
    ((x0, y0, x1, y1),) = boxes_in(inputs, task, labels)
    scale = SIDE / max(shape)
    assert (x1 - x0, y1 - y0) == pytest.approx((width * scale, height * scale), abs=0.5)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    inside = (columns > x0) & (columns < x1) & (rows > y0) & (rows < y1)
    well_inside = (columns > x0 + 1) & (columns < x1 - 1) & (rows > y0 + 1) & (rows < y1 - 1)
    image = images[0].numpy()
    assert np.abs(image[~inside]).max(initial=0) < 1e-5
    pixels = to_pixels(inputs, image)
    red = 40 + 160 * (columns - x0) / (x1 - x0)
    green = 40 + 160 * (rows - y0) / (y1 - y0)
    for channel, expected, length in ((0, red, x1 - x0), (1, green, y1 - y0)):
        difference = (pixels[..., channel] - expected)[well_inside]
        assert abs(difference.sum()) <= 0.25 * 160 / length * len(difference)  # a quarter of a pixel
        assert np.abs(difference).max(initial=0) < 5


def test_photos_lie_anywhere_in_a_larger_window(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """A photo that leaves room is whole in every example, and its place goes from one edge to the other."""
    task = task_of(small, written(tmp_path, [ramp(60, 120)], [[[0, 0, 120, 60]]]), 100)
    _, labels = next(iter(inputs.train_batches(task)))
    boxes_xyxy = np.array([next(iter(boxes_in(inputs, task, labels, n))) for n in range(100)])
    np.testing.assert_allclose(boxes_xyxy[:, 3] - boxes_xyxy[:, 1], SIDE / 2, atol=0.01)
    assert boxes_xyxy[:, 1].min() < 3
    assert boxes_xyxy[:, 3].max() > SIDE - 3


def test_a_smaller_window_lies_inside_the_photo(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Where a window could lie wholly on the photo it does: no example has any padding, and places differ."""
    task = task_of(
        small, written(tmp_path, [ramp(90, 120)], [[[0, 0, 120, 90]]]), 50, aug_scale_min=1.5, aug_scale_max=1.6
    )
    images, _ = next(iter(inputs.train_batches(task)))
    assert not (np.abs(images).max(axis=-1) < 1e-5).any()
    corners = to_pixels(inputs, images)[:, 0, 0, :2]
    assert np.ptp(corners, axis=0).min() > 15


@pytest.mark.parametrize(("color", "resize"), [(0.0, "letterbox"), (0.3, "stretch")])
def test_boxes_stay_on_their_object(
    small: Small, inputs: ModuleType, tmp_path: Path, color: float, resize: str
) -> None:
    """However a photo is cut, stretched, mirrored and coloured, the box is where the bright rectangle is."""
    rgb, box_xyxy = flag()
    task = task_of(small, written(tmp_path, [rgb], [[box_xyxy]]), 200, resize, **(AUGMENTED | {"aug_color": color}))
    images, labels = next(iter(inputs.train_batches(task)))
    mirrored, sizes, dropped = 0, [], 0
    for number, pixels in enumerate(to_pixels(inputs, images)):
        bright = (pixels.max(axis=-1) - pixels.min(axis=-1)) > 40
        found = list(boxes_in(inputs, task, labels, number))
        if not found:
            dropped += 1
            assert bright.mean() < 0.3
            continue
        ((x0, y0, x1, y1),) = found
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        bounds = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        np.testing.assert_allclose(bounds, (x0, y0, x1, y1), atol=1.6)
        middle = round((y0 + y1) / 2)
        left = pixels[middle, min(round(x0) + 2, SIDE - 1)]
        mirrored += bool(left[1] > left[0])
        sizes.append((x1 - x0, y1 - y0))
    kept = len(sizes)
    assert kept > 150
    assert dropped < 50
    assert 0.3 < mirrored / kept < 0.7
    assert np.ptp(sizes, axis=0).min() > 15


def test_a_stretched_photo_fills_the_canvas(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """All of the canvas is photo, its boxes are fractions of the photo; an odd name is no letterbox."""
    import tensorflow as tf

    from tfod_helpers.network.inputs.canvas import read_canvas

    made = written(tmp_path, [ramp(60, 240)], [[[24, 15, 120, 60]]])
    (record,) = tf.data.TFRecordDataset([str(path) for path in made.files]).take(1)
    canvas = read_canvas(record, 80, 1, False, "stretch")
    assert canvas["content"].numpy().tolist() == [1, 1]
    np.testing.assert_allclose(canvas["boxes_yxyx"], [[0.25, 0.1, 1, 0.5]], atol=1e-6)
    np.testing.assert_allclose(canvas["image"], ramp(80, 80), atol=4)
    with pytest.raises(
        ValueError, match="resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'fill'"
    ):
        read_canvas(record, 80, 1, False, "fill")


def test_scale_and_aspect_stay_in_their_bounds(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Boxes that are not cut shrink and grow within the scale, and stretch within the aspect, and use most of both."""
    rgb, box_xyxy = flag(120, 120)
    task = task_of(small, written(tmp_path, [rgb], [[box_xyxy]]), 200, **AUGMENTED)
    _, labels = next(iter(inputs.train_batches(task)))
    whole = [
        box
        for n in range(200)
        for box in boxes_in(inputs, task, labels, n)
        if min(box) > 0.01 and max(box) < SIDE - 0.01
    ]
    x0, y0, x1, y1 = np.array(whole).T
    ratio = ((x1 - x0) / (y1 - y0)) / (40 / 35)
    scale = np.sqrt((x1 - x0) * (y1 - y0) / (40 * 35)) * 120 / SIDE
    assert 1 / 1.51 < ratio.min() < 0.75
    assert 1.33 < ratio.max() < 1.51
    assert 0.49 < scale.min() < 0.6
    assert 1.4 < scale.max() < 1.61


def test_the_surroundings_have_no_colour_of_their_own(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Beyond a shrunk photo all is exactly 0, as at prediction, also where the photo's own colours were changed."""
    white = np.full((50, 50, 3), 255, np.uint8)
    task = task_of(small, written(tmp_path, [white], [[[0, 0, 50, 50]]]), 32, **(AUGMENTED | {"aug_scale_max": 0.6}))
    images, labels = next(iter(inputs.train_batches(task)))
    for number, image in enumerate(images.numpy()):
        ((x0, y0, x1, y1),) = boxes_in(inputs, task, labels, number)
        rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
        outside = (columns < x0) | (columns > x1) | (rows < y0) | (rows > y1)
        assert outside.mean() > 0.4
        assert np.abs(image[outside]).max() < 1e-5
        assert np.abs(image[~outside]).mean() > 0.5


# --- what the machine needs ----------------------------------------------------------------------


def test_shapes_are_known_beforehand(small: Small, inputs: ModuleType) -> None:
    """No size is left open, the batch's neither: a TPU compiles for one size."""
    import tensorflow as tf

    images, labels = inputs.train_batches(small.config.task).element_spec
    assert images.shape == (4, SIDE, SIDE, 3)
    for spec in tf.nest.flatten((images, labels)):
        assert spec.shape.is_fully_defined()
        assert spec.shape[0] == 4
    levels = {level: spec.shape[1:3] for level, spec in labels["cls_targets"].items()}
    assert levels == {"3": (8, 8), "4": (4, 4), "5": (2, 2), "6": (1, 1)}


def test_photos_without_objects_are_background(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Records of nothing but background train: no positive place, every place counted, all numbers finite."""
    import tensorflow as tf

    task = task_of(small, written(tmp_path, [ramp(60, 80)] * 3, [[], [], []]), 4, **AUGMENTED)
    images, labels = next(iter(inputs.train_batches(task)))
    for tensor in tf.nest.flatten((images, labels)):
        assert np.isfinite(tensor).all()
    assert all((np.asarray(levels) <= 0).all() for levels in labels["cls_targets"].values())
    assert (labels["cls_weights"].numpy() == 1).all()
    assert (labels["box_weights"].numpy() == 0).all()


def test_a_crowd_is_no_example(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """A box around a crowd is left out of the targets; the objects beside it stay, difficult ones too."""
    Image.fromarray(ramp(64, 64)).save(tmp_path / "0.jpg")
    boxes_xyxy = [[4, 4, 28, 28], [30, 30, 62, 62]]
    image = LabelledImage(tmp_path / "0.jpg", 64, 64, boxes_xyxy, [1, 2], crowd=[False, True], difficult=[True, False])
    task = task_of(small, records.write(Dataset((image,), LABELS), tmp_path / "train"))
    _, labels = next(iter(inputs.train_batches(task)))
    found = boxes_in(inputs, task, labels)
    assert [(pytest.approx(boxes_xyxy[0], abs=0.1), 1)] == list(found.items())


def test_all_targets_are_finite(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Photos of odd shapes with boxes down to a pixel, one and many, give finite numbers however they are cut."""
    import tensorflow as tf

    shapes = [(1, 1), (4, 900), (900, 4), (64, 64), (33, 57)]
    boxes_xyxy = [[[0, 0, w, h], [0, 0, max(w / 2, 1), 1], [w - 1, h - 1, w, h]] for h, w in shapes]
    task = task_of(small, written(tmp_path, [ramp(*shape) for shape in shapes], boxes_xyxy), 100, **AUGMENTED)
    for tensor in tf.nest.flatten(next(iter(inputs.train_batches(task)))):
        assert np.isfinite(tensor).all()


def test_missing_records_are_named(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """A pattern that matches no file is told with the pattern and the fix."""
    task = task_of(small, small.train)
    task.train_data.input_path = str(tmp_path / "gone-*")
    with pytest.raises(FileNotFoundError, match=r"gone-.*there are no records here\. Make them with records\.write"):
        inputs.train_batches(task)


@pytest.mark.parametrize(("shards", "mosaic", "memory"), [(1, 0.0, 0.3), (3, 0.5, 0.3), (2, 0.5, 0.0)])
def test_machines_share_each_batch_out(
    small: Small,
    inputs: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shards: int,
    mosaic: float,
    memory: float,
) -> None:
    """Side by side, the parts of three machines are what one alone makes, to the last bit; also without a cache."""
    import tensorflow as tf

    monkeypatch.setattr(inputs.batches, "_CACHE_SHARE", memory)
    pictures = [np.full((SIDE, SIDE, 3), shade, np.uint8) for shade in range(20, 220, 20)]
    varied = {"aug_rand_hflip": True, "aug_scale_min": 0.7, "aug_scale_max": 1.4, "aug_color": 0.3}
    made = written(tmp_path, pictures, [[[8, 8, 40, 40]]] * len(pictures), shards=shards)
    task = task_of(small, made, 6, aug_mosaic=mosaic, **varied)
    contexts = [tf.distribute.InputContext(3, number, 3) for number in range(3)]
    parts = [inputs.train_batches(task, context).take(5) for context in contexts]
    assert all(inputs.train_batches(task, one).cardinality() == tf.data.INFINITE_CARDINALITY for one in contexts)
    for (images, labels), *shares in zip(inputs.train_batches(task).take(5), *parts, strict=True):
        assert np.array_equal(images, np.concatenate([share for share, _ in shares]))
        for name in ("source", "boxes_yxyx"):
            assert np.array_equal(labels["seen"][name], np.concatenate([share["seen"][name] for _, share in shares]))
    assert not np.array_equal(images, next(iter(inputs.train_batches(task, begun=5)))[0])


def test_every_photo_comes_once_an_epoch(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Each pass over the records shows every photo once, in another order each time."""
    shades = range(20, 220, 20)
    pictures = [np.full((SIDE, SIDE, 3), shade, np.uint8) for shade in shades]
    task = task_of(small, written(tmp_path, pictures, [[[8, 8, 40, 40]]] * len(pictures)), 10)
    epochs = []
    for images, _ in inputs.train_batches(task).take(3):
        epochs.append([round(to_pixels(inputs, image).mean() / 20) * 20 for image in images])
        assert sorted(epochs[-1]) == list(shades)
    assert epochs[0] != epochs[1] != epochs[2]


# --- four photos in one ---------------------------------------------------------------------------


def test_mosaic_boxes_stay_on_their_objects(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """In an image of four photos every box surrounds what is bright, and nothing bright lies outside the boxes."""
    flags = [flag(120, 120) for _ in range(6)]
    made = written(tmp_path, [rgb for rgb, _ in flags], [[box_xyxy] for _, box_xyxy in flags])
    task = task_of(small, made, 16, aug_mosaic=1.0, aug_rand_hflip=True, aug_scale_min=0.8, aug_scale_max=1.2)
    images, labels = next(iter(inputs.train_batches(task)))
    found = 0
    for number in range(16):
        bright = to_pixels(inputs, images[number])[..., :2].max(axis=-1) > 180
        inside = np.zeros((SIDE, SIDE), bool)
        for box_yxyx, label in zip(
            labels["seen"]["boxes_yxyx"][number].numpy(), labels["seen"]["labels"][number].numpy(), strict=True
        ):
            if label:
                ymin, xmin, ymax, xmax = box_yxyx * SIDE
                rows, columns = slice(round(ymin), max(round(ymax), 1)), slice(round(xmin), max(round(xmax), 1))
                assert bright[rows, columns].mean() > 0.7
                inside[max(rows.start - 2, 0) : rows.stop + 2, max(columns.start - 2, 0) : columns.stop + 2] = True
                found += 1
        # A rest of less than 0.3 of a flag has no box: at most a third of one of the four.
        assert (bright & ~inside).sum() < 0.1 * SIDE * SIDE
    assert found > 40  # of 64: the rest is cut off too far


def test_mosaic_is_made_of_four_different_photos(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """Its quarters show four photos, side by side without a gap, and its number says that it is none of them alone."""
    plain = [np.full((80, 80, 3), 40 + 30 * number, np.uint8) for number in range(6)]
    task = task_of(small, written(tmp_path, plain, [[]] * 6), 8, aug_mosaic=1.0, aug_scale_min=3.0, aug_scale_max=3.1)
    images, labels = next(iter(inputs.train_batches(task)))
    assert (labels["seen"]["source"].numpy() == -1).all()
    for image in images[:3]:  # a group that reaches into the next epoch may show a photo twice
        greys = to_pixels(inputs, image).mean(axis=-1)
        assert len({round(float(greys[y, x])) // 10 for y in (3, 60) for x in (3, 60)}) == 4
    with_share = next(
        iter(inputs.train_batches(task_of(small, written(tmp_path, plain, [[]] * 6), 200, aug_mosaic=0.3)))
    )
    assert 0.15 < (with_share[1]["seen"]["source"].numpy() == -1).mean() < 0.45


# --- what an R-CNN is taught ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> records.Records:
    """Records of one bright disc on dark ground, with its mask."""
    from pycocotools import mask as coco

    folder = tmp_path_factory.mktemp("masked")
    rows, columns = np.mgrid[0:100, 0:100]
    disc = (rows - 50) ** 2 + (columns - 45) ** 2 < 30**2
    rgb = np.where(disc[..., None], 230, 20).repeat(3, axis=2).astype(np.uint8)
    Image.fromarray(rgb).save(folder / "disc.jpg", quality=98)
    counts = coco.encode(np.asfortranarray(disc.astype(np.uint8)))["counts"]
    image = LabelledImage(folder / "disc.jpg", 100, 100, np.array([[15, 20, 75, 80]]), np.array([1]), masks=(counts,))
    return records.write(Dataset([image] * 1, LABELS), folder / "train")


def rcnn_task(made: records.Records, **parser: Any) -> Any:
    """The Mask R-CNN preset's task, small, with some records and augmentation."""
    from tfod_helpers import experiment

    config = experiment.from_preset("mask_rcnn_resnet50_640")
    settings = {"task.model.input_size": [64, 64, 3], **{f"{PARSER}{key}": value for key, value in parser.items()}}
    task = experiment.change(config, settings | {"task.train_data.global_batch_size": 32}).task
    task.class_names, task.train_images = list(LABELS), made.count
    task.train_data.input_path, task.train_data.parser.max_num_instances = made.pattern, 3
    return task


def test_masks_follow_cut_mirror_and_scale(inputs: ModuleType, masked: records.Records) -> None:
    """Whatever part of the disc is left, its mask, laid into its box, covers the bright pixels and no dark ones."""
    task = rcnn_task(masked, aug_scale_min=0.6, aug_scale_max=2.0, aug_aspect=1.3, aug_color=0.0)
    images, labels = next(iter(inputs.train_batches(task)))
    seen = 0
    for image, boxes_yxyx, masks in zip(images, labels["gt_boxes"].numpy(), labels["gt_masks"].numpy(), strict=True):
        if boxes_yxyx[0, 0] < 0:
            continue
        ymin, xmin, ymax, xmax = boxes_yxyx[0]
        bright = to_pixels(inputs, image).mean(axis=-1) > 128
        rows, columns = np.arange(np.ceil(ymin), np.floor(ymax)), np.arange(np.ceil(xmin), np.floor(xmax))
        size = masks.shape[1]
        down = ((rows + 0.5 - ymin) / (ymax - ymin) * size).astype(int)
        across = ((columns + 0.5 - xmin) / (xmax - xmin) * size).astype(int)
        laid = masks[0][np.ix_(down, across)] > 0.5
        there = bright[np.ix_(rows.astype(int), columns.astype(int))]
        assert (laid == there).mean() > 0.93
        seen += 1
    assert seen > 25


def test_an_rcnn_gets_what_its_losses_take(inputs: ModuleType, masked: records.Records) -> None:
    """Boxes in pixels and classes, padded with -1; anchors scored 1, 0 and -1, a positive one overlapping the box."""
    task = rcnn_task(masked, aug_rand_hflip=False, aug_scale_min=1.0, aug_scale_max=1.0, aug_aspect=1.0)
    _, labels = next(iter(inputs.train_batches(task)))
    np.testing.assert_allclose(labels["gt_boxes"][0], [[12.8, 9.6, 51.2, 48.0], [-1] * 4, [-1] * 4], atol=0.02)
    assert labels["gt_classes"][0].numpy().tolist() == [1, -1, -1]
    assert labels["gt_masks"].shape == (32, 3, 112, 112)
    np.testing.assert_array_equal(labels["image_info"][0, 1], [64, 64])
    scores = np.concatenate([np.reshape(level[0], -1) for level in labels["rpn_score_targets"].values()])
    assert set(scores.tolist()) == {-1, 0, 1}
    anchors = np.concatenate([np.reshape(boxes, (-1, 4)) for boxes in inputs.anchor_boxes(task).values()])
    centres = (anchors[scores == 1, :2] + anchors[scores == 1, 2:]) / 2
    assert (np.abs(centres - [32.0, 28.8]) < 20).all()


# --- the very images, to look at ------------------------------------------------------------------


def test_examples_are_what_the_model_sees(small: Small, inputs: ModuleType, tmp_path: Path) -> None:
    """As many images as asked for, of the model's size, coloured and with boxes, whatever the number of photos."""
    from tfod_helpers import experiment

    config = experiment.augment(small.config, "strong")
    shown = inputs.examples(config, 7)
    assert len(shown) == 7
    assert {(image.width, image.height) for image in shown} == {(SIDE, SIDE)}
    assert shown.label_map == LabelMap(["red", "blue"])
    assert sum(len(image.labels) for image in shown) >= 7
    assert shown[0].pixels().shape == (SIDE, SIDE, 3)
    assert {image.path.name for image in shown} <= {"four photos", *(f"{number}.jpg" for number in range(8))}
    one = next(image for image in shown if len(image.labels))
    x0, y0, x1, y1 = one.boxes_xyxy[0].round().astype(int)
    assert one.pixels()[y0:y1, x0:x1].max() > 120  # the rectangle's colour, on dark ground
