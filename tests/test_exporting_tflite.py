"""LiteRT files: every precision and both forms detect what the run detects, and hold no operator that devices lack."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import Small, Trained

from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector, ExportFacts, tflite_metadata

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def network(trained: Trained) -> Any:
    """The small training's network for exporting."""
    from tfod_helpers.exporting import network

    return network.of_run(trained.run, "best", "LiteRT")


@pytest.fixture(scope="module")
def photos(small: Small, network: Any) -> np.ndarray:
    """The training photos to calibrate with."""
    from tfod_helpers.exporting import calibration

    return calibration.photos(network.config, None)


def read(content: bytes) -> Any:
    """A LiteRT file's contents, by its own schema."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def operators(content: bytes) -> list[tuple[str, int, int]]:
    """Every operator: its name, version, and the most dimensions of what it reads or makes."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = read(content)
    (graph,) = model.subgraphs
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        tensors = [graph.tensors[n] for n in [*operator.inputs, *operator.outputs] if n >= 0]
        name = code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        found.append((name, code.version, max(len(tensor.shape) for tensor in tensors if tensor.shape is not None)))
    return found


@pytest.mark.parametrize("nms", [True, False])
def test_float32_detects_what_the_run_detects(trained: Trained, small: Small, tmp_path: Path, nms: bool) -> None:
    """With the post-processing operator and without: boxes to a tenth of a pixel, scores to a ten-thousandth."""
    from tfod_helpers import training
    from tfod_helpers.exporting import tflite

    folder = tflite.export(trained.run, tmp_path / "export", nms=nms)
    facts = ExportFacts.read(folder)
    assert (facts.format, facts.precision, facts.decoded, facts.step) == (
        "tflite",
        "float32",
        nms,
        trained.history.best["step"],
    )
    assert (folder / "anchors.npy").exists() is not nms
    metadata = tflite_metadata.read(folder / "model.tflite")
    assert metadata is not None
    assert (metadata.labels, metadata.version) == (("red", "blue"), str(facts.step))
    assert metadata.threshold == pytest.approx(facts.threshold)
    assert metadata.description.endswith("Photos are letterboxed: scaled to fit, at the top left.")
    ours, detector = training.detector(trained.run), Detector.load(folder)
    for image in small.dataset:
        expected, found = ours.detect(image.path, threshold=0.0)[:10], detector.detect(image.path, threshold=0.0)[:10]
        assert len(found) == len(expected) == 10
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-4)
        np.testing.assert_allclose(found.xyxy[:3], expected.xyxy[:3], atol=0.1)
        assert found.class_id[:3].tolist() == expected.class_id[:3].tolist()


def test_int8_full_takes_bytes_and_computes_what_the_network_does(
    trained: Trained, network: Any, small: Small, tmp_path: Path
) -> None:
    """uint8 in and out; boxes and logits keep to the network's but for rounding, and the detector's scores are theirs.

    Which of two near boxes wins is chance in so small a training, so what comes before that choice is compared.
    """
    from ai_edge_litert.interpreter import Interpreter

    from tfod_helpers.exporting import tflite
    from tfod_helpers.photos import letterbox

    folder = tflite.export(trained.run, tmp_path / "export", precision="int8_full", nms=False)
    runner = Interpreter(str(folder / "model.tflite")).get_signature_runner()
    outputs = runner.get_output_details()
    details = [*runner.get_input_details().values(), *outputs.values()]
    assert {one["dtype"] for one in details} == {np.uint8}
    detector = Detector.load(folder)
    for image in small.dataset:
        square = letterbox(image.path, 64).pixels[None]
        found, exact = runner(images=square), network(square.astype(np.float32))
        for name in ("boxes", "logits"):
            scale, zero = outputs[name]["quantization"]
            found[name] = (found[name].astype(np.float32) - zero) * scale
            off = np.sqrt(np.mean((found[name] - exact[name].numpy()) ** 2)) / np.std(exact[name])
            assert off < 0.15, name
        best = 1 / (1 + np.exp(-found["logits"].max()))
        assert detector.detect(image.path, threshold=0.0).confidence[0] == pytest.approx(best, abs=1e-6)


def test_each_precision_is_what_it_says(network: Any, photos: np.ndarray) -> None:
    """float16 halves the weights, dynamic and int8 have weights of one byte, and only int8 computes in them."""
    from ai_edge_litert.schema_py_generated import TensorType

    from tfod_helpers.exporting import tflite

    sizes, kinds = {}, {}
    for precision in ("float32", "float16", "dynamic", "int8"):
        given = photos if precision == "int8" else None
        content = tflite.convert(network, precision, nms=True, photos=given)
        model = read(content)
        (graph,) = model.subgraphs
        constant = [tensor for tensor in graph.tensors if model.buffers[tensor.buffer].data is not None]
        computed = [tensor for tensor in graph.tensors if model.buffers[tensor.buffer].data is None]
        sizes[precision] = len(content)
        kinds[precision] = (
            {tensor.type for tensor in constant if len(model.buffers[tensor.buffer].data) > 1000},
            TensorType.INT8 in {tensor.type for tensor in computed},
        )
    assert sizes["int8"] < sizes["float16"] < 0.6 * sizes["float32"]
    assert TensorType.FLOAT16 in kinds["float16"][0]
    assert TensorType.INT8 in kinds["dynamic"][0]
    assert TensorType.INT8 in kinds["int8"][0]
    assert [computes for _, computes in kinds.values()] == [False, False, False, True]


def test_no_operator_that_accelerators_lack(network: Any, photos: np.ndarray) -> None:
    """Nothing has more than four dimensions, resizing is its widely known version, and nothing needs TensorFlow."""
    from tfod_helpers.exporting import tflite

    raw = operators(tflite.convert(network, "int8_full", nms=False, photos=photos))
    assert {name for name, _, _ in raw} <= {
        "ADD",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "MUL",
        "QUANTIZE",
        "RELU6",
        "RESHAPE",
        "RESIZE_NEAREST_NEIGHBOR",
        "SUB",
    }
    assert max(rank for _, _, rank in raw) == 4
    assert {version for name, version, _ in raw if name == "RESIZE_NEAREST_NEIGHBOR"} <= {1, 2}
    assert "RESIZE_NEAREST_NEIGHBOR" in {name for name, _, _ in raw}


def test_the_background_channel_is_gone_and_the_outputs_are_named(network: Any, trained: Trained, small: Small) -> None:
    """Two classes are two channels, and a photo's logits are the trained network's without its first."""
    import tensorflow as tf

    from tfod_helpers import photos, training
    from tfod_helpers.network import normalization

    square = photos.letterbox(small.dataset[0].path, 64).pixels[None].astype(np.float32)
    found = network.frozen()(tf.constant(square))
    assert {name: value.shape.as_list()[2] for name, value in found.items()} == {"boxes": 4, "logits": 2}
    assert found["logits"].shape[1] == len(network.anchors_yxhw)
    model, config = training.load_model(trained.run)
    height, width = config.task.model.input_size[:2]
    raw = model(
        normalization.of(config.task).apply(square), image_shape=tf.constant([[height, width]]), training=False
    )["cls_outputs"]
    trained_logits = np.concatenate([raw[level].numpy().reshape(1, -1, 3) for level in sorted(raw)], axis=1)
    np.testing.assert_allclose(found["logits"], trained_logits[..., 1:], atol=1e-4)


def test_what_litert_cannot_hold_is_refused(
    trained: Trained, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An R-CNN is refused with what takes it, and an unknown precision with those that are known."""
    from tfod_helpers import experiment, training
    from tfod_helpers.exporting import tflite

    with pytest.raises(
        ValueError, match="precision must be one of float32, float16, dynamic, int8, int8_full, got 'int4'"
    ):
        tflite.export(trained.run, tmp_path / "export", precision="int4")  # type: ignore[arg-type]
    rcnn = experiment.make("faster_rcnn_resnet101_640", train=small.train, validation=small.validation)
    monkeypatch.setattr(training, "load_model", lambda *_: (None, rcnn))
    with pytest.raises(
        ValueError, match=r"is a Faster R-CNN, .* LiteRT holds no such network\. Export it by exporting.saved"
    ):
        tflite.export(trained.run, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_int8_asks_for_photos_where_the_runs_are_gone(network: Any, small: Small, tmp_path: Path) -> None:
    """The error says what to give; photos that are given are taken, evenly over the set; an empty set is refused."""
    from tfod_helpers.exporting import calibration

    moved = copy.deepcopy(network.config)
    moved.task.train_data.input_path = str(tmp_path / "gone-*.tfrecord")
    with pytest.raises(FileNotFoundError, match=r"int8 has to see training photos.*calibrate=dataset"):
        calibration.photos(moved, None)
    assert calibration.photos(moved, small.dataset).shape == (4, 64, 64, 3)
    many = Dataset(tuple(small.dataset) * 75, small.dataset.label_map)
    assert len(calibration.photos(moved, many)) == calibration.COUNT
    with pytest.raises(ValueError, match="no photo to calibrate int8 with"):
        calibration.photos(moved, replace(small.dataset, images=()))


def test_box_biases_take_back_what_rounding_moves(network: Any, photos: np.ndarray, monkeypatch: Any) -> None:
    """Where an int8 file has all boxes moved by 0.05, the network moves them back, and is afterwards as it was."""
    from tfod_helpers.exporting import bias_correction, tflite

    monkeypatch.setattr(bias_correction, "_SURE", -9.0)  # the small training is sure of little
    bias = network.model.head._box_regressor.bias
    before = bias.numpy()
    bias.assign(before + 0.05)
    moved = tflite.convert(network, "int8", nms=False, photos=photos)
    bias.assign(before)
    square = photos[:1].astype(np.float32)
    exact = network(square)["boxes"].numpy()
    with bias_correction.corrected(network, moved, photos):
        np.testing.assert_allclose(exact - network(square)["boxes"].numpy(), 0.05, atol=0.005)
    np.testing.assert_array_equal(bias.numpy(), before)
