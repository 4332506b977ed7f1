"""A checkpoint of the Object Detection API becomes a run that detects the same, or an error says why it cannot."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import originals
import pytest

from tfod_helpers import pipeline_config
from tfod_helpers.files.run_folder import Run

pytestmark = pytest.mark.tensorflow
CLASSES = ["one", "two", "three"]


def raw_outputs(model: Any, config: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's class logits with the background, and its decoded boxes_yxyx in pixels, all per anchor."""
    import tensorflow as tf

    from tfod_helpers.network import inputs, normalization

    features = model.backbone(normalization.of(config.task).apply(tf.cast(images, tf.float32)), training=False)
    found = dict(zip(("cls_outputs", "box_outputs"), model.head(model.decoder(features, training=False)), strict=False))
    logits, codes = (
        np.concatenate([found[name][level].numpy().reshape(len(images), -1, size) for level in sorted(found[name])], 1)
        for name, size in (("cls_outputs", len(CLASSES) + 1), ("box_outputs", 4))
    )
    anchors = np.concatenate(
        [boxes.numpy().reshape(-1, 4) for _, boxes in sorted(inputs.anchor_boxes(config.task).items())]
    )
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + codes[..., :2] * size
    half = np.exp(codes[..., 2:]) * size / 2
    return logits, np.concatenate([centre - half, centre + half], axis=-1)


def carried(fixture: dict[str, Any], folder: Path) -> Run:
    """Carry a fixture over."""
    (folder / "pipeline.config").write_text(fixture["config"])
    prefix = originals.write_checkpoint(fixture, folder / "ckpt-3")
    return pipeline_config.read(folder / "pipeline.config").carry(prefix, folder / "run", label_map=CLASSES)


@pytest.mark.parametrize(
    "name", ["fpnlite_320", "fpnlite_75", "v1_fpn_75", "r50_fpn", "r101_fpn", "v2_plain", "v2_plain_75"]
)
def test_the_same_network_and_the_same_detections(name: str, tmp_path: Path) -> None:
    """Logits and decoded boxes to 0.001 of each family, widths and depths; the same hundred detections."""
    from tfod_helpers import training
    from tfod_helpers.training import detecting

    fixture = originals.load(name)
    run, side = carried(fixture, tmp_path), fixture["size"]
    images = np.stack([originals.image(one["seed"], side) for one in fixture["images"]])
    model, config = training.load_model(run)
    logits, boxes_yxyx = raw_outputs(model, config, images)
    assert logits.shape[1] == fixture["anchors"]
    detections = detecting.of_model(model, config).detect(list(images), threshold=0.0)
    for number, (one, found) in enumerate(zip(fixture["images"], detections, strict=True)):
        np.testing.assert_allclose(logits[number, one["pick"]], one["logits"], atol=1e-3)
        np.testing.assert_allclose(boxes_yxyx[number, one["pick"]] / side, one["boxes_yxyx"], atol=1e-3)
        # The original leaves boxes beyond the image out before it counts to a hundred, a detector after it.
        assert len(found) > 90
        assert not originals.unmatched(one["detections"][: len(found)], found, side)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A fixture, and a folder as the old program leaves it: config, label map and two checkpoints."""
    fixture, folder = originals.load("v1_fpn_75"), tmp_path_factory.mktemp("old")
    (folder / "pipeline.config").write_text(fixture["config"])
    items = (f"item {{ id: {id} name: '{name}' }}" for id, name in enumerate(CLASSES, start=1))
    (folder / "label_map.pbtxt").write_text("\n".join(items))
    for number in (1, 10):
        originals.write_checkpoint(fixture, folder / f"ckpt-{number}")
    return fixture, folder


def test_a_carried_run_is_taken_as_any_other(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Its folder alone is enough: the newest checkpoint, the label map beside it; it is exported, listed and kept."""
    from tfod_helpers import runs, training
    from tfod_helpers.detector import Detector, ExportFacts
    from tfod_helpers.exporting import tflite

    fixture, old = small
    run = pipeline_config.read(old / "pipeline.config").carry(old, tmp_path / "runs" / "old")
    assert run.read_manifest()["weights"].endswith("carried over from ckpt-10, of the Object Detection API.")
    assert run.label_map_path.read_text().count("name:") == 3
    assert list(runs.table(tmp_path / "runs").index) == ["old"]
    assert list(runs.checkpoints(run).index) == [0]
    folder = tflite.export(run, tmp_path / "export", nms=False)
    card = " ".join((folder / "README.md").read_text().split())
    assert "trained for 0 steps with the TensorFlow Object Detection API and carried over by tfod_helpers" in card
    assert "| AP on the validation photos | not measured |" in card
    assert np.isnan(ExportFacts.read(folder).ap)
    image = originals.image(fixture["images"][0]["seed"], fixture["size"])
    ours, exported = (one.detect(image, threshold=0.02) for one in (training.detector(run), Detector.load(folder)))
    assert len(ours) == len(exported) > 10
    np.testing.assert_allclose(exported.confidence, ours.confidence, atol=1e-4)
    np.testing.assert_allclose(exported.xyxy[:5], ours.xyxy[:5], atol=0.1)
    with pytest.raises(ValueError, match="there is a run in this folder already"):
        pipeline_config.read(old / "pipeline.config").carry(old, run.folder)


def test_a_bucket_and_an_archive(small: tuple[dict[str, Any], Path], bucket: str, tmp_path: Path) -> None:
    """Config, checkpoints and label map are read from a bucket, and the run is kept there; a .zip is unpacked."""
    from tfod_helpers import training
    from tfod_helpers.files import storage

    storage.upload_folder(small[1], f"{bucket}/old")
    old = pipeline_config.read(f"{bucket}/old/pipeline.config")
    run = old.carry(f"{bucket}/old", f"{bucket}/runs/old", label_map=f"{bucket}/old/label_map.pbtxt")
    assert "run.json" in storage.sizes(f"{bucket}/runs/old")
    archive = shutil.make_archive(str(tmp_path / "old"), "zip", small[1])
    other = pipeline_config.read(small[1] / "pipeline.config").carry(archive, tmp_path / "run", label_map=CLASSES)
    for one, two in zip(training.load_model(run)[0].weights, training.load_model(other)[0].weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_label_map_with_gaps_keeps_each_class_with_its_outputs(
    small: tuple[dict[str, Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a name for id 2, classes 1 and 3 have the outputs that they had, and a line says which are left out."""
    from tfod_helpers import training

    fixture, old = small
    path = tmp_path / "gaps.pbtxt"
    path.write_text("item { id: 1 name: 'one' } item { id: 3 name: 'three' }")
    run = pipeline_config.read(old / "pipeline.config").carry(old / "ckpt-1", tmp_path / "run", label_map=path)
    assert "no class has the ids 2; the outputs for them are left out" in capsys.readouterr().out
    model, config = training.load_model(run)
    assert config.task.class_names == ["one", "three"]
    key = "_box_predictor/_prediction_heads/class_predictions_with_background/_class_predictor_layers/0/bias"
    theirs = originals.value(key, dict(fixture["names"])[key]).reshape(6, 4)
    np.testing.assert_array_equal(model.head._classifier.bias.numpy().reshape(6, 3), theirs[:, [0, 1, 3]])


CHANGES = {
    "keep aspect": (
        "fixed_shape_resizer { height: 128 width: 128 }",
        "keep_aspect_ratio_resizer { min_dimension: 128 }",
    ),
    "not square": ("height: 128 width: 128", "height: 128 width: 160"),
    "odd side": ("height: 128 width: 128", "height: 120 width: 120"),
    "padded": ("min_depth: 16", "min_depth: 16 pad_to_multiple: 96"),
    "narrow": ("depth_multiplier: 0.75", "depth_multiplier: 0.5"),
    "softmax": ("score_converter: SIGMOID", "score_converter: SOFTMAX"),
    "listed anchors": (
        "multiscale_anchor_generator {",
        "flexible_grid_anchor_generator { anchor_grid { base_sizes: 9 }",
    ),
    "levels": ("anchor_scale: 4.0", "anchor_scale: 4.0 max_level: 6"),
    "coder": (
        "faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 }",
        "square_box_coder { }",
    ),
    "activation": ("        activation: RELU_6\n", "        activation: RELU\n"),
    "quantized": ("eval_config {", "graph_rewriter { quantization { delay: 9 } } eval_config {"),
    "plain": ('"ssd_mobilenet_v1_fpn_keras"', '"ssd_mobilenet_v1_keras"'),
    "mixed": ('"ssd_mobilenet_v1_fpn_keras"', '"ssd_mobilenet_v2_keras"'),
}
WORDS = {
    "keep aspect": "photos keep their shape in it",
    "not square": "its input is not square",
    "odd side": "no multiple of 32",
    "padded": "its input is padded to a multiple",
    "narrow": "makes it so narrow that min_depth widens its first layers",
    "softmax": "its scores are no sigmoids",
    "listed anchors": "its anchors are listed one by one",
    "levels": "its anchors have max_level 6, its pyramid 7",
    "coder": "its boxes are coded otherwise",
    "activation": "its MobileNet has another activation than relu6|its pyramid has relu, its heads",
    "quantized": "trained with quantization in its graph",
    "plain": "no preset builds this network",
    "mixed": "are those of an SSD with a pyramid",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_preset_builds_is_refused_at_its_setting(
    change: str, small: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """The line of the config, what it means, and what can be done instead; nothing is written."""
    old, new = CHANGES[change]
    text = small[0]["config"]
    assert old in text
    text = text.replace("max_level: 7\n        anchor_scale", "anchor_scale") if change == "levels" else text
    (tmp_path / "pipeline.config").write_text(text.replace(old, new))
    carried = pipeline_config.read(tmp_path / "pipeline.config")
    with pytest.raises(pipeline_config.OldConfigError, match=WORDS[change]) as raised:
        carried.carry(small[1], tmp_path / "run", label_map=CLASSES)
    assert re.search(r"pipeline\.config, line \d+, column \d+", str(raised.value))
    assert "train its preset on your photos" in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_other_and_damaged_checkpoints_are_refused(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """TF1's, another network's, half a checkpoint, a frozen graph, no label map: what it is and what to give."""
    import tensorflow as tf

    fixture, old = small
    config = pipeline_config.read(old / "pipeline.config")

    def refused(path: Path, words: str, label_map: Any = CLASSES) -> None:
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            config.carry(path, tmp_path / "run", label_map=label_map)

    names = ["FeatureExtractor/MobilenetV1/Conv2d_0/weights", "global_step"]
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt-9"),
        tensor_names=names,
        shape_and_slices=["", ""],
        tensors=[np.zeros(3), np.ones(1)],
    )
    refused(tmp_path / "model.ckpt-9", "a checkpoint of the TF1 Object Detection API")
    bifpn = {"_feature_extractor/_bifpn_stage/a/kernel": np.zeros(3, np.float32)}
    refused(
        originals.write_checkpoint({"names": []}, tmp_path / "d" / "ckpt-1", **bifpn), "an EfficientDet, whose pyramid"
    )
    other = originals.write_checkpoint(originals.load("r50_fpn"), tmp_path / "r" / "ckpt-1")
    refused(other, r"backbone has 53 convolutions and 53 batch norms, this network's 27 of both")
    key = "_feature_extractor/_coarse_feature_layers/0/0/kernel"
    refused(
        originals.write_checkpoint(fixture, tmp_path / "m" / "ckpt-1", **{key: None}), "layers under .*, this network 2"
    )
    bad = {"_box_predictor/_box_prediction_head/_box_encoder_layers/0/bias": np.full(24, np.nan, np.float32)}
    refused(originals.write_checkpoint(fixture, tmp_path / "n" / "ckpt-1", **bad), "bias holds NaN or infinite values")
    shutil.copytree(old, tmp_path / "half")
    data = tmp_path / "half" / "ckpt-10.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100_000])
    refused(tmp_path / "half", "damaged or not whole")
    data.unlink()
    refused(tmp_path / "half", "damaged or not whole|cannot be read")
    (tmp_path / "frozen_inference_graph.pb").write_bytes(b"graph")
    refused(tmp_path / "frozen_inference_graph.pb", "a frozen graph or an exported model has no tensors by name")
    refused(tmp_path / "gone", r"there is nothing here\. Give what the old training left: one checkpoint")
    refused(old, "label_map: it has the ids 1 to 4, the config's num_classes is 3", [*CLASSES, "four"])
    (tmp_path / "alone").mkdir()
    shutil.copy(old / "pipeline.config", tmp_path / "alone")
    with pytest.raises(FileNotFoundError, match=r"label_map\.pbtxt: not found in .*carry\(\.\.\., label_map="):
        pipeline_config.read(tmp_path / "alone" / "pipeline.config").carry(other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_near_but_not_this_training_is_refused(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """A checkpoint of fewer or more classes than the config's, one from before the first step, the SavedModel."""
    import tensorflow as tf

    fixture, old = small
    (tmp_path / "pipeline.config").write_text(fixture["config"].replace("num_classes: 3", "num_classes: 2"))
    config = pipeline_config.read(tmp_path / "pipeline.config")
    with pytest.raises(ValueError, match=r"it tells 3 classes apart, and its pipeline\.config says num_classes: 2"):
        config.carry(old, tmp_path / "run", label_map=CLASSES[:2])
    tf.train.Checkpoint(step=tf.Variable(0)).save(str(tmp_path / "ckpt"))
    with pytest.raises(ValueError, match="before the first step and holds no network"):
        config.carry(tmp_path / "ckpt-1", tmp_path / "run", label_map=CLASSES[:2])
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"an exported model has no tensors by name.*in its folder 'checkpoint'"):
        config.carry(tmp_path / "saved_model", tmp_path / "run", label_map=CLASSES[:2])
    assert not (tmp_path / "run").exists()
