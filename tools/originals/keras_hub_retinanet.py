"""KerasHub's RetinaNet ResNet-50 FPN -> what it makes of weights and images that a rule gives, for tests to compare.

Run it in an environment of its own, made of keras_hub_retinanet.txt::

    python tools/originals/keras_hub_retinanet.py fixture tests/originals/keras_hub_retinanet.json.gz
    python tools/originals/keras_hub_retinanet.py trained build/originals/keras_hub

The network is the one that tools/checkpoint_conversion/convert_retinanet_checkpoints.py of keras-team/keras-hub fills
with torchvision's COCO weights, 91 outputs, and publishes as ``retinanet_resnet50_fpn_coco``. Its weights need no
download here: they follow from their names (`value`), and so do the images (`image`), so that a test needs neither
this program nor a model's file. Only the commands load Keras; a test may load this file for its rules.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 256  # the smallest square that level 7 divides
SEEDS = (7, 8, 9)
CLASSES = 91  # background, then COCO's ids 1 to 90
COLUMNS = (0, 1, 17, 18, 44, 62, 88, 90)  # of the class outputs, those that are kept
LEVELS = (3, 7)
ANCHORS_A_PLACE = 9
PICKED_A_LEVEL = 12
BACKBONE, HEADS = "model.weights.h5", "task.weights.h5"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def value(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of a variable, float32, by the rule of all fixtures here.

    Args:
        key: the file's name and the path in it, ``model.weights.h5/layers/functional/layers/conv2d/vars/0``.
        shape: of the variable.

    The numbers are those of ``RandomState(zlib.crc32(key))``. Gamma is near 1, a variance between 0.5 and 2, a kernel
    keeps the size of what it sees; a filter's mean is zero, or what all features share would drown the image. What the
    heads put out last is smaller, so that boxes stay near their anchors, and the background's bias is -20, since
    training leaves that output at zero.
    """
    random = np.random.RandomState(zlib.crc32(key.encode()))
    layer, _, index = key.split("/")[-3:]
    if layer.startswith("batch_normalization"):
        kind = ("gamma", "beta", "moving_mean", "moving_variance")[int(index)]
    else:
        kind = ("kernel", "bias")[int(index)]
    last = layer == "prediction_layer"
    if kind == "moving_variance":
        values = random.uniform(0.5, 2.0, shape)
    elif kind == "gamma":
        values = random.uniform(0.6, 1.4, shape)
    elif kind == "kernel":
        values = random.randn(*shape) * (0.3 if last else 1.15) / np.sqrt(np.prod(shape[:3]))
        values -= values.mean((0, 1, 2))
    else:
        values = random.randn(*shape) * (0.1 if kind == "bias" else 0.3)
    if last and shape == (CLASSES * ANCHORS_A_PLACE,):
        values[::CLASSES] = -20.0
    return values.astype(np.float32)


def image(seed: int) -> np.ndarray:
    """Return squares of random colours, uint8, (256, 256, 3), RGB."""
    small = np.random.RandomState(seed).randint(0, 256, (SIDE // 16, SIDE // 16, 3))
    return small.repeat(16, 0).repeat(16, 1).astype(np.uint8)


def picks() -> np.ndarray:
    """Return the numbers of the anchors that are kept, a few of each level, in KerasHub's order."""
    first, chosen = 0, []
    for level in range(LEVELS[0], LEVELS[1] + 1):
        count = (SIDE >> level) ** 2 * ANCHORS_A_PLACE
        chosen.append(first + np.sort(np.random.RandomState(level).permutation(count)[:PICKED_A_LEVEL]))
        first += count
    return np.concatenate(chosen)


def _model(side: int, classes: int = CLASSES) -> Any:
    """Return the network of the preset; its own preprocessing is for a square of ``side`` pixels."""
    from keras_hub import layers, models

    encoder = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
    )
    backbone = models.RetinaNetBackbone(encoder, min_level=LEVELS[0], max_level=LEVELS[1], use_p5=False)
    converter = layers.RetinaNetImageConverter(
        image_size=(side, side),
        pad_to_aspect_ratio=True,
        crop_to_aspect_ratio=False,
        scale=[1 / 255 / std for std in _STD],
        offset=[-mean / std for mean, std in zip(_MEAN, _STD, strict=True)],
    )
    preprocessor = models.RetinaNetObjectDetectorPreprocessor(image_converter=converter)
    return models.RetinaNetObjectDetector(backbone, num_classes=classes, preprocessor=preprocessor)


def _tensors(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return path -> shape and layer's name of every variable of a file, the optimizer's left out."""
    import h5py

    found = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            found[name] = (tuple(item.shape), str(item.parent.attrs.get("name", "")))

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def fill(folder: Path) -> dict[str, dict[str, Any]]:
    """Give every variable of a preset's files the values of the rule, and return file -> path -> shape and layer."""
    import h5py

    names = {}
    for file in (BACKBONE, HEADS):
        names[file] = {key: [list(shape), layer] for key, (shape, layer) in _tensors(folder / file).items()}
        with h5py.File(folder / file, "r+") as opened:
            for key, (shape, _) in names[file].items():
                opened[key][...] = value(f"{file}/{key}", tuple(shape))
    return names


def _outputs(model: Any, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return everything that the network makes of one image: raw outputs, decoded boxes, detections."""
    import keras

    batch = model.preprocessor(pixels[None].astype(np.float32))
    raw = model(batch, training=False)
    anchors = keras.ops.concatenate(list(model.anchor_generator(batch).values()), axis=0)
    boxes = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors=anchors,
        boxes_delta=raw["bbox_regression"],
        encoded_format="center_xywh",
        anchor_format=model.anchor_generator.bounding_box_format,
        box_format="yxyx",
        image_shape=batch.shape[1:],
    )
    found = model.decode_predictions(raw, batch)
    made = {
        "logits": raw["cls_logits"],
        "codes": raw["bbox_regression"],  # dx, dy, dw, dh
        "anchors": anchors[None],
        "boxes_yxyx": boxes,
        "found_boxes_yxyx": found["boxes"],
        "found_scores": found["confidence"],
        "found_classes": found["labels"],
    }
    return {name: keras.ops.convert_to_numpy(array)[0] for name, array in made.items()}


def _write_fixture(path: Path, folder: Path) -> None:
    model = _model(SIDE)
    model.save_to_preset(str(folder))
    names = fill(folder)
    model = _reload(folder)
    chosen, images = picks(), []
    for seed in SEEDS:
        made = _outputs(model, image(seed))
        images.append(
            {
                "seed": seed,
                "logits": _rounded(made["logits"][chosen][:, COLUMNS]),
                "best": _rounded(made["logits"][chosen].max(1)),
                "codes_xywh": _rounded(made["codes"][chosen]),
                "anchors_yxyx": _rounded(made["anchors"][chosen]),
                "boxes_yxyx": _rounded(made["boxes_yxyx"][chosen]),
                "detections": [
                    {"box_yxyx": _rounded(box), "score": float(f"{score:.7g}"), "class": int(label)}
                    for box, score, label in zip(
                        made["found_boxes_yxyx"], made["found_scores"], made["found_classes"], strict=True
                    )
                ],
            }
        )
    text = json.dumps({"side": SIDE, "columns": COLUMNS, "names": names, "images": images}, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path}: {path.stat().st_size} bytes, {sum(map(len, names.values()))} tensors, {len(chosen)} anchors")


def _reload(folder: Path) -> Any:
    from keras_hub.models import RetinaNetObjectDetector

    return RetinaNetObjectDetector.from_preset(str(folder))


def _rounded(array: np.ndarray) -> Any:
    if array.ndim:
        return [_rounded(part) for part in array]
    return float(f"{array:.7g}")


def _write_trained(folder: Path, steps: int) -> None:
    """Train on noise for a few steps, from the rule's values, and keep the preset and what it makes of the images."""
    import keras

    _model(SIDE).save_to_preset(str(folder))
    fill(folder)
    model = _reload(folder)
    random = np.random.RandomState(0)
    count = 2 * steps
    corners = random.uniform(0, SIDE * 0.6, (count, 3, 2))
    boxes = np.concatenate([corners, corners + random.uniform(SIDE * 0.1, SIDE * 0.4, (count, 3, 2))], -1)
    labels = random.randint(1, CLASSES, (count, 3))
    photos = np.stack([image(100 + number) for number in range(count)]).astype(np.float32)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4, global_clipnorm=10.0),
        box_loss=keras.losses.Huber(reduction="sum"),
        classification_loss=keras.losses.BinaryFocalCrossentropy(from_logits=True, reduction="sum"),
    )
    inputs = np.array(model.preprocessor(photos))
    model.fit(inputs, {"boxes": boxes.astype(np.float32), "labels": labels.astype(np.float32)}, batch_size=2, verbose=2)
    model.save_to_preset(str(folder))
    model = _reload(folder)
    model.prediction_decoder.confidence_threshold = 0.01  # a few steps make nobody sure
    made = [{"pixels": image(seed)} | _outputs(model, image(seed)) for seed in SEEDS]
    np.savez_compressed(folder / "expected.npz", **{name: np.stack([one[name] for one in made]) for name in made[0]})
    print(f"{folder}: {', '.join(sorted(entry.name for entry in folder.iterdir()))}")


def main() -> None:
    """Run the command of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    fixture = commands.add_parser("fixture", help="what the network makes of weights and images that a rule gives")
    fixture.add_argument("path", type=Path)
    fixture.add_argument("--preset", type=Path, default=Path("build/originals/keras_hub_rule"), help="kept here")
    trained = commands.add_parser("trained", help="a network after a few steps of training, and what it makes of them")
    trained.add_argument("folder", type=Path)
    trained.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    if given.command == "fixture":
        _write_fixture(given.path, given.preset)
    else:
        _write_trained(given.folder, given.steps)


if __name__ == "__main__":
    main()
