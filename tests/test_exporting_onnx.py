"""ONNX: the same detections as the SavedModel's, run without TensorFlow; what cannot be converted is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Once
from model_card_code import assert_same, run_lines
from PIL import Image
from small_training import Small, Trained

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import Detector, ExportFacts

SIDE = 8


@pytest.fixture
def brightest(tmp_path: Path) -> Path:
    """An export folder with a little ONNX file: of each photo, a box over its left half, as sure as its red is bright.

    It has 2 classes and finds the second.
    """
    make = onnx.helper
    constants = {
        "box": np.array([[[0, 0, SIDE / 2, SIDE]]], np.float32),
        "class": np.array([[2]], np.int32),
        "one": np.array([1], np.int32),
        "full": np.array([255], np.float32),
        "axes": np.array([1, 2], np.int64),
        "red": np.array(0, np.int64),
        "n11": np.array([1, 1], np.int64),
        "n": np.array([1], np.int64),
        "n4": np.array([1, 1, 1], np.int64),
    }
    nodes = [
        make.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        make.make_node("Gather", ["floats", "red"], ["reds"], axis=3),
        make.make_node("ReduceMax", ["reds", "axes"], ["brightest"], keepdims=0),
        make.make_node("Div", ["brightest", "full"], ["flat"]),
        make.make_node("Shape", ["flat"], ["batch"]),
        make.make_node("Concat", ["batch", "n"], ["batch1"], axis=0),
        make.make_node("Concat", ["batch", "n11"], ["batch11"], axis=0),
        make.make_node("Reshape", ["flat", "batch1"], ["scores"]),
        make.make_node("Expand", ["box", "batch11"], ["boxes_xyxy"]),
        make.make_node("Expand", ["class", "batch1"], ["classes"]),
        make.make_node("Expand", ["one", "batch"], ["count"]),
    ]
    kinds = {"boxes_xyxy": ("FLOAT", ["n", 1, 4]), "scores": ("FLOAT", ["n", 1])}
    kinds |= {"classes": ("INT32", ["n", 1]), "count": ("INT32", ["n"])}
    graph = make.make_graph(
        nodes,
        "brightest",
        [make.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [make.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), to) for name, (kind, to) in kinds.items()],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "model.onnx")
    LabelMap(["cat", "dog"]).write(tmp_path / "label_map.pbtxt")
    ExportFacts("onnx", SIDE, 2, 0.5, "any", 1, 0.5, 0.8).write(tmp_path)
    return tmp_path


def test_detector_runs_an_onnx_file(brightest: Path) -> None:
    """`Detector.load` gives an ONNX file photos in batches, and its boxes come back in the photos' pixels."""
    detector = Detector.load(brightest)
    photos = [np.full((40, 80, 3), level, np.uint8) for level in (255, 51, 204)]
    first, second, third = detector.detect(photos, batch_size=2)
    np.testing.assert_allclose(first.xyxy, [[0, 0, 40, 40]])
    assert first["class_name"].tolist() == ["dog"]
    assert len(second) == 0
    assert third.confidence.tolist() == pytest.approx([0.8])


def test_what_is_wrong_with_the_file_is_said(brightest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ONNX Runtime, a damaged file and a missing one: each message names the file and what to do."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ImportError, match=r"model\.onnx is run by ONNX Runtime.*pip install onnxruntime$"):
            Detector.load(brightest)
    whole = (brightest / "model.onnx").read_bytes()
    (brightest / "model.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"model\.onnx: the model in it cannot be loaded .*Export the run again"):
        Detector.load(brightest)
    (brightest / "model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.onnx: the model's file is missing"):
        Detector.load(brightest)


def test_code_of_the_card_runs(brightest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that a model card gives for ONNX find what `Detector` finds."""
    Image.fromarray(np.full((40, 80, 3), 204, np.uint8)).save(brightest / "photo.jpg")
    found = run_lines(brightest, monkeypatch)
    scale = np.tile([found["width"] / found["photo"].width, found["height"] / found["photo"].height], 2)
    count = int(found["count"][0])
    assert_same(found["boxes"][0, :count] / scale, found["scores"][0, :count], (80, 40), brightest)


@pytest.mark.tensorflow
def test_onnx_detects_as_the_saved_model_does(
    trained: Trained, small: Small, export_folder: Path, once: Once, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exported anew, ONNX gives the SavedModel's detections to five digits, alone and in batches; no log is seen."""
    from tfod_helpers.exporting import onnx as exporting

    def export(folder: Path) -> None:
        exporting.export(trained.run, folder / "export")

    folder = once("onnx", export) / "export"
    printed = capfd.readouterr()
    assert "tf2onnx" not in printed.out + printed.err
    assert "InitializeLog" not in printed.err
    assert "converting" in printed.err  # the progress bar's
    ours, theirs = Detector.load(folder), Detector.load(export_folder)
    assert (ours.threshold, ours.label_map) == (theirs.threshold, theirs.label_map)
    assert ExportFacts.read(folder).format == "onnx"
    paths = [image.path for image in small.dataset]
    for batch_size in (1, 4):
        for found, expected in zip(
            ours.detect(paths, threshold=0.0, batch_size=batch_size), theirs.detect(paths, threshold=0.0), strict=True
        ):
            assert len(found) == len(expected) > 0
            np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)
            # Those of equal scores may come in another order.
            rows, others = (np.column_stack([one.xyxy, one.class_id, one.confidence]) for one in (found, expected))
            alike = np.abs(rows[:, None] - others).max(axis=2) <= 1e-3
            assert alike.any(axis=0).all()
            assert alike.any(axis=1).all()


@pytest.mark.tensorflow
def test_boxes_of_an_rcnn_convert_and_stay_the_same() -> None:
    """The detections of an R-CNN, which has boxes for each class, are the Model Garden's, also as ONNX."""
    import onnxruntime
    import tensorflow as tf
    from official.vision.modeling.layers.detection_generator import DetectionGenerator
    from tf2onnx import convert

    from tfod_helpers.exporting.onnx import _BoxesOfNoClass

    random = np.random.default_rng(0)
    places, classes = 40, 4  # with background
    corner = random.uniform(0, 100, (2, places, 2))
    given = {
        "encoded": random.normal(0, 0.3, (2, places, classes * 4)).astype(np.float32),
        "logits": random.normal(0, 2, (2, places, classes)).astype(np.float32),
        "places": np.concatenate([corner, corner + random.uniform(10, 30, (2, places, 2))], axis=-1).astype(np.float32),
        "shape": np.full((2, 2), 128, np.float32),
    }
    settings = {"nms_version": "batched", "pre_nms_score_threshold": 0.05, "max_num_detections": 30}
    expected = DetectionGenerator(**settings)(*map(tf.constant, given.values()))
    assert (expected["num_detections"].numpy() > 10).all()

    @tf.function(autograph=False)
    def call(encoded: Any, logits: Any, places: Any, shape: Any) -> Any:
        return _BoxesOfNoClass(**settings)(encoded, logits, places, shape)

    specs = [tf.TensorSpec([None, *array.shape[1:]], array.dtype, name) for name, array in given.items()]
    model, _ = convert.from_function(call, input_signature=specs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict(zip((one.name for one in session.get_outputs()), session.run(None, given), strict=True))
    assert found.keys() == expected.keys()
    for number, count in enumerate(expected["num_detections"].numpy()):
        assert found["num_detections"][number] == count
        for name in ("detection_boxes", "detection_scores", "detection_classes"):
            np.testing.assert_allclose(found[name][number, :count], expected[name][number, :count], atol=1e-4)


@pytest.mark.tensorflow
def test_what_onnx_cannot_hold_is_refused(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A missing library, an operator that ONNX lacks and a Mask R-CNN are told in words, and leave no folder."""
    import tensorflow as tf

    from tfod_helpers import experiment
    from tfod_helpers.exporting import onnx as exporting

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tf2onnx", None)
        with pytest.raises(ImportError, match=r"no module 'tf2onnx'\. Install them: pip .*tfod_helpers\[onnx\]'"):
            exporting.export(trained.run, tmp_path / "export")
    config = experiment.load(trained.run.config_path)
    monkeypatch.setattr(exporting.training, "load_model", lambda *_: (SimpleNamespace(), config))
    odd = lambda images: {"scores": tf.linalg.cholesky(tf.cast(images[..., :64, :64, 0], tf.float32))}  # noqa: E731
    monkeypatch.setattr(exporting, "detect_function", lambda *_: odd)
    with pytest.raises(ValueError, match=r"tf2onnx cannot convert Cholesky of this network\. Export it with"):
        exporting.export(trained.run, tmp_path / "export")
    assert "tf2onnx" not in capfd.readouterr().err
    masks = experiment.from_preset("mask_rcnn_resnet50_640")
    monkeypatch.setattr(exporting.training, "load_model", lambda *_: (SimpleNamespace(), masks))
    with pytest.raises(ValueError, match="a Mask R-CNN into a file that nothing can run"):
        exporting.export(trained.run, tmp_path / "export")
    assert not (tmp_path / "export").exists()
