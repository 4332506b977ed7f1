"""Run the TensorFlow Object Detection API on models of its own making, and keep what it makes of them.

Usage: ``python object_detection_api.py WHAT FOLDER``, with Python 3.9 and the packages in ``object_detection_api.txt``;
WHAT is ``fixtures``, ``trained`` or ``sample``. It imports nothing of this project: what it writes is what the original
program says.

``fixtures`` writes small files for the tests, ``FOLDER/<name>.json.gz``. No weights are in them: each value follows
from its key in the checkpoint (``value_of``) and each photo from a number (``photo_of``), so that a test makes both
anew. A file holds ``config`` (text of the pipeline.config), ``size`` (side of the square, pixels), ``classes``,
``anchors`` (how many), ``names`` (each key without ``model/`` before and ``/.ATTRIBUTES/VARIABLE_VALUE`` behind, with
its shape) and ``images``: ``seed``, ``pick`` (numbers of the anchors that follow, in the API's order), ``logits``
(pick, 1 + classes), before the sigmoid, background first; ``codes`` (pick, 4: ty, tx, th, tw), ``boxes_yxyx`` (pick, 4)
decoded, in fractions of the square, not clipped; ``detections``: box_yxyx, score, label (from 1), best first.

``trained`` trains small models of each family with the API's own training loop and writes a folder for each:
``pipeline.config``, ``label_map.pbtxt``, ``checkpoint`` and ``ckpt-1`` (before the first step) to ``ckpt-3``, photos as
PNG and ``expected.npz``, what the API makes of them with ckpt-3: ``photos`` (their names, P), ``logits`` (P, N,
1 + classes), ``codes`` (P, N, 4), ``boxes_yxyx`` (P, N, 4), ``detection_boxes_yxyx`` (P, 100, 4),
``detection_scores`` (P, 100), ``detection_labels`` (P, 100).

``sample`` trains on half of the drawn sample, about ten minutes on two cores, and writes ``FOLDER/old_training.zip``:
``pipeline.config``, ``label_map.pbtxt`` and ``checkpoint/ckpt-0``, as the API's exporter leaves them. Its weights are
rounded to half precision, which halves the file.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import types
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from xml.etree import ElementTree

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

# Packages that the API imports for what is not used here (averaged weights, EfficientNet, DeepMAC) and that need
# another TensorFlow: empty ones will do. So the API itself is imported where it is used, after this.
for missing in (
    "official.modeling.optimization.ema_optimizer",
    "official.legacy.image_classification.efficientnet.efficientnet_model",
    "tensorflow_io",
):
    parts = missing.split(".")
    for length in range(1, len(parts) + 1):
        module = sys.modules.setdefault(".".join(parts[:length]), types.ModuleType(".".join(parts[:length])))
        if length > 1:
            setattr(sys.modules[".".join(parts[: length - 1])], parts[length - 1], module)

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
PICKED_PER_LEVEL = 10
SEEDS = (7, 8, 9)
RECORDS = 12
STEPS = 20
SAMPLE = Path(__file__).parents[2] / "dataset" / "train"
SAMPLE_CLASSES = ("cat", "dog")
SAMPLE_PHOTOS, SAMPLE_STEPS, SAMPLE_BATCH = 100, 1500, 16
ADAM = "adam_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.003 } } }"
MOMENTUM = """momentum_optimizer {
      learning_rate { constant_learning_rate { learning_rate: 0.02 } }
      momentum_optimizer_value: 0.9
    }"""
CLASSES = ("cat", "dog", "person")
COLORS = ((220, 60, 40), (40, 200, 80), (50, 80, 230))


@dataclass(frozen=True)
class Model:
    """What of a zoo model differs here."""

    extractor: str  # type of the feature_extractor
    size: int  # side of the square, pixels
    width: float = 1.0  # depth_multiplier
    pyramid_depth: int = 256  # before the depth_multiplier, which narrows a MobileNet's pyramid too
    head_depth: int = 256
    stddev: float = 0.01  # of the weights that a training begins with
    optimizer: str = ADAM
    min_depth: int = 16
    kernel_size: int = 1  # of a plain SSD's heads
    min_scale: float = 0.2  # of a plain SSD's anchors
    aspect_ratios: str = "1.0, 2.0, 0.5, 3.0, 0.3333"

    @property
    def is_plain(self) -> bool:
        """Whether it has no feature pyramid."""
        return "fpn" not in self.extractor

    def anchors(self) -> list[int]:
        """How many anchors each of its levels has."""
        levels = range(4, 10) if self.is_plain else range(3, 8)
        # Three aspects of two scales; a plain SSD's aspects and one anchor more, but three on its first level.
        per_cell = [6] * len(levels)
        if self.is_plain:
            per_cell = [3] + [len(self.aspect_ratios.split(",")) + 1] * (len(levels) - 1)
        return [count * (-(-self.size // 2**level)) ** 2 for count, level in zip(per_cell, levels)]


FIXTURES = {
    "fpnlite_320": Model("ssd_mobilenet_v2_fpn_keras", 320, pyramid_depth=128, head_depth=128),
    "fpnlite_75": Model("ssd_mobilenet_v2_fpn_keras", 192, width=0.75, pyramid_depth=64, head_depth=64),
    "v1_fpn_75": Model("ssd_mobilenet_v1_fpn_keras", 128, width=0.75, pyramid_depth=64, head_depth=64),
    "r50_fpn": Model("ssd_resnet50_v1_fpn_keras", 256),
    "r101_fpn": Model("ssd_resnet101_v1_fpn_keras", 192, pyramid_depth=64, head_depth=64),
    "v2_plain": Model("ssd_mobilenet_v2_keras", 300),
    "v2_plain_75": Model(
        "ssd_mobilenet_v2_keras", 150, width=0.75, kernel_size=3, min_scale=0.1, aspect_ratios="1.0, 2.0, 0.5"
    ),
}
COSINE = """adam_optimizer {
      learning_rate {
        cosine_decay_learning_rate {
          learning_rate_base: 0.004
          total_steps: %d
          warmup_learning_rate: 0.0004
          warmup_steps: 75
        }
      }
    }"""
# As narrow as its MobileNet can be: the API applies the multiplier twice, so the backbone's width is a quarter.
SMALL = Model(
    "ssd_mobilenet_v1_fpn_keras",
    128,
    width=0.5,
    min_depth=8,
    pyramid_depth=64,
    head_depth=32,
    stddev=0.03,
    optimizer=COSINE % SAMPLE_STEPS,
)
# Weights far from zero, so that twenty steps make a network whose scores differ.
TRAINED = {
    "fpnlite_320": Model("ssd_mobilenet_v2_fpn_keras", 320, pyramid_depth=128, head_depth=128, stddev=0.2),
    "fpnlite_75": Model("ssd_mobilenet_v2_fpn_keras", 192, width=0.75, pyramid_depth=64, head_depth=64, stddev=0.2),
    "v1_fpn_75": Model(
        "ssd_mobilenet_v1_fpn_keras", 192, width=0.75, pyramid_depth=64, head_depth=64, stddev=0.06, optimizer=MOMENTUM
    ),
    "r50_fpn": Model("ssd_resnet50_v1_fpn_keras", 192, pyramid_depth=64, head_depth=64, stddev=0.06),
    "r101_fpn": Model("ssd_resnet101_v1_fpn_keras", 192, pyramid_depth=64, head_depth=64, stddev=0.06),
    "v2_plain": Model("ssd_mobilenet_v2_keras", 300, stddev=0.2),
}

# The zoo's, with what differs between its SSDs, and in what the training here needs.
CONFIG = Path(__file__).with_suffix(".config").read_text(encoding="utf-8")
HEADS = {
    is_plain: Path(__file__).with_name(f"object_detection_api_{name}.config").read_text(encoding="utf-8")
    for is_plain, name in ((False, "pyramid"), (True, "plain"))
}
PYRAMID = """      fpn { min_level: 3 max_level: 7 additional_layer_depth: ${pyramid_depth} }
      use_depthwise: ${lite}
"""


def config_of(
    model: Model,
    folder: str = "",
    *,
    decay: float = 0.997,
    classes: int = len(CLASSES),
    batch: int = 4,
    steps: int = STEPS,
) -> str:
    """The text of a model's pipeline.config; its paths begin with ``folder``."""
    whole = CONFIG.replace("${heads}", HEADS[model.is_plain]).replace("${pyramid}", "" if model.is_plain else PYRAMID)
    return Template(whole).substitute(
        vars(model),
        classes=classes,
        batch=batch,
        steps=steps,
        lite="true" if "v2_fpn" in model.extractor else "false",
        decay=decay,
        folder=folder,
    )


def built(config: Path) -> Any:
    """The model of a pipeline.config for detecting, with all its variables."""
    from object_detection.builders import model_builder
    from object_detection.utils import config_util

    model = model_builder.build(config_util.get_configs_from_pipeline_file(str(config))["model"], is_training=False)
    predicted(model, tf.zeros((1, 64, 64, 3)))
    return model


def predicted(model: Any, photos: tf.Tensor) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What a model makes of photos (P, H, W, 3), 0 to 255: its raw outputs, and those of its post-processing."""
    tf.keras.backend.set_learning_phase(False)
    pixels, shapes = model.preprocess(tf.cast(photos, tf.float32))
    outputs = model.predict(pixels, shapes)
    processed = model.postprocess(outputs, shapes)
    raw = {
        "logits": outputs["class_predictions_with_background"].numpy(),
        "codes": outputs["box_encodings"].numpy().reshape(len(photos), -1, 4),
        "boxes_yxyx": processed["raw_detection_boxes"].numpy(),
    }
    detections = {
        "detection_boxes_yxyx": processed["detection_boxes"].numpy(),
        "detection_scores": processed["detection_scores"].numpy(),
        "detection_labels": processed["detection_classes"].numpy().astype(np.int64) + 1,
    }
    assert (processed["num_detections"].numpy() == 100).all(), processed["num_detections"]
    return raw, detections


def value_of(key: str, shape: list[int]) -> np.ndarray:
    """The value of a variable, from its key: large enough for each part of the network to matter in what comes out."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    kind = key.rsplit("/", 1)[-1]
    if kind == "moving_variance":
        value = random.uniform(0.5, 2.0, shape)
    elif kind == "gamma":
        value = random.uniform(0.6, 1.4, shape)
    elif kind in ("moving_mean", "beta"):
        value = random.randn(*shape) * 0.3
    elif kind == "bias":
        value = random.randn(*shape) * 0.1
    else:
        inputs = shape[:2] if kind == "depthwise_kernel" else shape[:3]
        value = random.randn(*shape) * 1.4 / np.sqrt(np.prod(inputs))
    return value.astype(np.float32)


def photo_of(seed: int, size: int) -> np.ndarray:
    """A photo of blocks of 16 pixels (size, size, 3), uint8."""
    blocks = np.random.RandomState(seed).randint(0, 256, (-(-size // 16), -(-size // 16), 3))
    return blocks.repeat(16, 0).repeat(16, 1)[:size, :size].astype(np.uint8)


def filled(model: Any) -> list[tuple[str, list[int]]]:
    """Fill a model's variables by ``value_of``; their keys and shapes."""
    checkpoint = tf.train.Checkpoint(model=model)
    with tempfile.TemporaryDirectory() as folder:
        reader = tf.train.load_checkpoint(checkpoint.write(folder + "/own"))
        graph = reader.get_tensor(OBJECT_GRAPH)
        shapes = reader.get_variable_to_shape_map()
        names = sorted(key[len("model/") : -len(SUFFIX)] for key in shapes if key.startswith("model/"))
        keys = [f"model/{name}{SUFFIX}" for name in names]
        values = [value_of(name, shapes[key]) for name, key in zip(names, keys)]
        tf.raw_ops.SaveV2(
            prefix=folder + "/rule",
            tensor_names=[*keys, OBJECT_GRAPH],
            shape_and_slices=[""] * (len(keys) + 1),
            tensors=[*values, graph],
        )
        checkpoint.read(folder + "/rule").assert_existing_objects_matched()
    return [(name, shapes[f"model/{name}{SUFFIX}"]) for name in names]


def picked(model: Model, seed: int) -> list[int]:
    """Numbers of anchors out of every level, in the API's order."""
    random, start, numbers = np.random.RandomState(seed), 0, []
    for count in model.anchors():
        chosen = random.choice(count, min(count, PICKED_PER_LEVEL), replace=False)
        numbers += (start + np.sort(chosen)).tolist()
        start += count
    return numbers


def rounded(values: np.ndarray) -> list[Any]:
    """Numbers as JSON holds them, six digits behind the point."""
    return np.round(values.astype(np.float64), 6).tolist()


def image_of(original: Any, model: Model, seed: int) -> tuple[dict[str, Any], int]:
    """What a fixture holds of a photo, and how many anchors there are."""
    raw, found = predicted(original, photo_of(seed, model.size)[None])
    pick = picked(model, seed)
    detections = [
        {"box_yxyx": box, "score": score, "label": int(label)}
        for box, score, label in zip(
            rounded(found["detection_boxes_yxyx"][0]),
            rounded(found["detection_scores"][0]),
            found["detection_labels"][0],
        )
    ]
    values = {name: rounded(array[0][pick]) for name, array in raw.items()}
    return {"seed": seed, "pick": pick, **values, "detections": detections}, raw["logits"].shape[1]


def write_fixture(path: Path, model: Model) -> None:
    """Write the fixture of a model."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pipeline.config")
        config.write_text(config_of(model), encoding="utf-8")
        original = built(config)
    names = filled(original)
    images = [image_of(original, model, seed) for seed in SEEDS]
    fixture = {
        "made_with": f"tf-models-research-object-detection 2.8.0.post1, TensorFlow {tf.__version__}",
        "size": model.size,
        "classes": len(CLASSES),
        "anchors": images[0][1],
        "names": names,
        "config": config_of(model),
        "images": [image for image, _ in images],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a time in it, so that the same numbers are the same file.
    path.write_bytes(gzip.compress(json.dumps(fixture, separators=(",", ":")).encode(), mtime=0))
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def scene(random: np.random.RandomState, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo of noise with one to three coloured boxes on it; the boxes (n, 4: yxyx in fractions) and their labels."""
    pixels = random.randint(0, 256, (-(-height // 8), -(-width // 8), 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    count = random.randint(1, 4)
    corners = random.uniform(0, 0.6, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.15, 0.4, (count, 2))], axis=1)
    labels = random.randint(1, 1 + len(CLASSES), count)
    for (top, left, bottom, right), label in zip(boxes * [height, width, height, width], labels):
        area = pixels[int(top) : int(bottom), int(left) : int(right)]
        area[:] = area // 4 + np.multiply(COLORS[label - 1], 3) // 4
    return pixels.astype(np.uint8), boxes, labels


def example_of(encoded: bytes, kind: str, boxes: np.ndarray, labels: Sequence[int], names: Sequence[str]) -> bytes:
    """A record as the API's tools write them: of a photo's bytes, its boxes (n, 4: yxyx in fractions) and labels."""

    def of_bytes(*values: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    features = {
        "image/encoded": of_bytes(encoded),
        "image/format": of_bytes(kind.encode()),
        "image/object/class/text": of_bytes(*(names[label - 1].encode() for label in labels)),
        "image/object/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
    }
    for side, values in zip(("ymin", "xmin", "ymax", "xmax"), boxes.T):
        features[f"image/object/bbox/{side}"] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_label_map(folder: Path, names: Sequence[str]) -> None:
    """Write the label map of some classes into a folder."""
    items = [f'item {{\n  id: {number}\n  name: "{name}"\n}}\n' for number, name in enumerate(names, start=1)]
    (folder / "label_map.pbtxt").write_text("".join(items), encoding="utf-8")


def write_inputs(folder: Path, model: Model) -> list[str]:
    """Write what a training begins with, and photos for afterwards; the names of these."""
    random = np.random.RandomState(0)
    # The folder is named as a user's is, whole. Twenty steps are to leave no statistics where they began: a low decay.
    config = config_of(model, f"{folder.resolve()}/", decay=0.8)
    (folder / "pipeline.config").write_text(config, encoding="utf-8")
    write_label_map(folder, CLASSES)
    with tf.io.TFRecordWriter(str(folder / "train.tfrecord")) as writer:
        for _ in range(RECORDS):
            pixels, boxes, labels = scene(random, model.size, model.size)
            writer.write(example_of(tf.io.encode_png(pixels).numpy(), "png", boxes, labels, CLASSES))
    sizes = [(model.size, model.size)] * 3 + [(375, 500)]
    names = []
    for number, (height, width) in enumerate(sizes):
        names.append(f"photo_{number}.png")
        encoded = tf.io.encode_png(scene(random, height, width)[0])
        (folder / names[-1]).write_bytes(encoded.numpy())
    return names


def write_trained(folder: Path, model: Model) -> None:
    """Train a model, and write down what it makes of photos then."""
    from object_detection import model_lib_v2

    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)  # or the API goes on from the checkpoint that it finds
    folder.mkdir(parents=True)
    photos = write_inputs(folder, model)
    config = folder / "pipeline.config"
    tf.keras.utils.set_random_seed(1)
    model_lib_v2.train_loop(
        str(config),
        str(folder),
        train_steps=STEPS,
        checkpoint_every_n=STEPS // 2,
        num_steps_per_iteration=STEPS // 2,
        record_summaries=False,
    )
    trained = built(config)
    newest = tf.train.latest_checkpoint(str(folder))
    tf.train.Checkpoint(model=trained).restore(newest).expect_partial().assert_existing_objects_matched()
    outputs = []
    for photo in photos:
        raw, found = predicted(trained, tf.io.decode_png((folder / photo).read_bytes())[None])
        outputs.append({**raw, **found})
    arrays = {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}
    np.savez_compressed(folder / "expected.npz", photos=photos, **arrays)
    scores = arrays["detection_scores"]
    print(
        f"{folder}: {Path(newest).name}, {time.monotonic() - started:.0f} s; deviation of the logits"
        f" {arrays['logits'].std():.3f}, scores {scores.min():.3f} to {scores.max():.3f}",
        flush=True,
    )


def sample_example(xml: Path) -> bytes:
    """The record of a photo of the drawn sample."""
    root = ElementTree.parse(xml).getroot()
    width, height = (float(root.findtext(f"size/{side}")) for side in ("width", "height"))
    corners = [
        [one.findtext(f"bndbox/{name}") for name in ("ymin", "xmin", "ymax", "xmax")] for one in root.iter("object")
    ]
    boxes = np.array(corners, np.float32) / [height, width, height, width]
    labels = [SAMPLE_CLASSES.index(one.findtext("name")) + 1 for one in root.iter("object")]
    return example_of(xml.with_suffix(".jpg").read_bytes(), "jpeg", boxes, labels, SAMPLE_CLASSES)


def write_sample(folder: Path) -> None:
    """Train on half of the drawn sample, and pack what an old training leaves."""
    from object_detection import model_lib_v2

    with tempfile.TemporaryDirectory() as temporary:
        work, kept = Path(temporary, "work"), Path(temporary, "old_training")
        work.mkdir()
        (kept / "checkpoint").mkdir(parents=True)
        shape = {"classes": len(SAMPLE_CLASSES), "batch": SAMPLE_BATCH, "steps": SAMPLE_STEPS}
        config = work / "pipeline.config"
        # A low decay, since the statistics of 1500 steps are to be the last ones'.
        config.write_text(config_of(SMALL, f"{work}/", decay=0.97, **shape), encoding="utf-8")
        (kept / config.name).write_text(config_of(SMALL, decay=0.97, **shape), encoding="utf-8")
        for place in (work, kept):
            write_label_map(place, SAMPLE_CLASSES)
        with tf.io.TFRecordWriter(str(work / "train.tfrecord")) as writer:
            for xml in sorted(SAMPLE.glob("*.xml"))[:SAMPLE_PHOTOS]:
                writer.write(sample_example(xml))
        tf.keras.utils.set_random_seed(1)
        model_lib_v2.train_loop(
            str(config), str(work), train_steps=SAMPLE_STEPS, checkpoint_every_n=SAMPLE_STEPS, record_summaries=False
        )
        trained = built(config)
        newest = tf.train.Checkpoint(model=trained).restore(tf.train.latest_checkpoint(str(work)))
        newest.expect_partial().assert_existing_objects_matched()
        for variable in trained.variables:
            variable.assign(tf.cast(tf.cast(variable, tf.float16), variable.dtype))
        manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=trained), str(kept / "checkpoint"), max_to_keep=1, checkpoint_name="ckpt"
        )
        manager.save(checkpoint_number=0)
        folder.mkdir(parents=True, exist_ok=True)
        pack(kept, folder / f"{kept.name}.zip")


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder, without times, so that the same files are the same archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    print(f"{archive}: {archive.stat().st_size} bytes", flush=True)


def main(what: str, folder: Path) -> None:
    """Write the fixtures, the trained models or the sample's old training into a folder."""
    logging.disable(logging.WARNING)  # the API's about its own age
    if what == "sample":
        write_sample(folder)
        return
    models, write = {"fixtures": (FIXTURES, write_fixture), "trained": (TRAINED, write_trained)}[what]
    for name, model in models.items():
        write(folder / (name + (".json.gz" if what == "fixtures" else "")), model)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("fixtures", "trained", "sample"):
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
