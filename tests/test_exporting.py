"""The export: whole, alone enough, the same model, and never in the place of something else."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_training import Small, Trained

from tfod_helpers import photos
from tfod_helpers.annotations import LabelMap

pytestmark = pytest.mark.tensorflow


def test_the_export_folder_alone_detects_as_the_run_does(trained: Trained, small: Small, export_folder: Path) -> None:
    """Moved elsewhere, it gives the run's best model's detections: boxes to half a pixel, scores to a thousandth."""
    from tfod_helpers import evaluation, training
    from tfod_helpers.detector import Detector

    ours, detector = training.detector(trained.run), Detector.load(export_folder)
    for image in small.dataset:
        expected, found = ours.detect(image.path, threshold=0.0), detector.detect(image.path, threshold=0.0)
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)
        np.testing.assert_allclose(found.xyxy[:3], expected.xyxy[:3], atol=0.5)
    result = evaluation.evaluate(detector, small.dataset)
    assert result.ap == pytest.approx(trained.history.best["ap"], abs=1e-3)


def test_the_facts_are_the_runs(trained: Trained, export_folder: Path) -> None:
    """export.json and the label map say what the run's manifest says."""
    from tfod_helpers.detector import ExportFacts

    facts = ExportFacts.read(export_folder)
    assert (facts.format, facts.image_size, facts.classes, facts.resize) == ("saved_model", 64, 2, "letterbox")
    assert {name: getattr(facts, name) for name in trained.history.best} == trained.history.best
    assert LabelMap.read(export_folder / "label_map.pbtxt") == LabelMap(["red", "blue"])


def test_run_and_export_resize_as_the_config_says(trained: Trained, small: Small, tmp_path: Path) -> None:
    """Photos are resized in one way by the run's own detector, for int8 and by whoever reads export.json."""
    from tfod_helpers import experiment
    from tfod_helpers.detector import ExportFacts
    from tfod_helpers.exporting import calibration
    from tfod_helpers.exporting.folder import whole_export
    from tfod_helpers.files.run_folder import Run
    from tfod_helpers.training.detecting import load_model, of_model

    config = experiment.change(small.config, {"task.resize": "stretch"})
    stretched = Run(shutil.copytree(trained.run.folder, tmp_path / "run"))
    experiment.save(config, stretched.config_path)
    with whole_export(tmp_path / "export", stretched, "best", "saved_model"):
        pass  # the model's own files are of no interest here
    assert ExportFacts.read(tmp_path / "export").resize == "stretch"
    model, _ = load_model(trained.run)
    assert of_model(model, config).resize == "stretch"
    assert of_model(model, small.config).resize == "letterbox"
    oblong = small.dataset[3]
    (seen,) = calibration.photos(config, dataclasses.replace(small.dataset, images=(oblong,)))
    np.testing.assert_array_equal(seen, photos.letterbox(oblong.path, 64, resize="stretch").pixels)


def test_the_signature_is_the_documented_one(export_folder: Path) -> None:
    """serving_default takes uint8 squares in any number, and returns boxes, scores, classes and count."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(export_folder)).signatures["serving_default"]
    (image,) = signature.structured_input_signature[1].values()
    assert (image.name, image.dtype, image.shape.as_list()) == ("images", tf.uint8, [None, 64, 64, 3])
    outputs = {name: (spec.dtype, spec.shape.rank) for name, spec in signature.structured_outputs.items()}
    assert outputs == {
        "boxes_xyxy": (tf.float32, 3),
        "scores": (tf.float32, 2),
        "classes": (tf.int32, 2),
        "count": (tf.int32, 1),
    }


def test_an_older_export_is_replaced_whole_and_nothing_reaches_the_terminal(
    trained: Trained, export_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The new export, of the last model, is alone there; nothing is printed of the graph; errors are, afterwards."""
    from tfod_helpers.detector import ExportFacts
    from tfod_helpers.exporting import saved_model

    folder = shutil.copytree(export_folder, tmp_path / "export")
    (folder / "stale.txt").write_text("of the older one")
    saved_model.export(trained.run, folder, checkpoint="last")
    assert not (folder / "stale.txt").exists()
    last = trained.run.find_model("last")
    facts = ExportFacts.read(folder)
    assert (facts.step, facts.ap, facts.threshold) == (last["step"], last["ap"], last["threshold"])
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert "InitializeLog" not in capfd.readouterr().err
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_foreign_folder_is_left_alone(trained: Trained, tmp_path: Path) -> None:
    """A folder that holds something else, and a file of that name, are refused and stay as they were."""
    from tfod_helpers.exporting import saved_model

    (tmp_path / "photo.jpg").write_bytes(b"mine")
    for place in (tmp_path, tmp_path / "photo.jpg"):
        with pytest.raises(FileExistsError, match=r"no export\. Choose an empty or a new folder"):
            saved_model.export(trained.run, place)
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["saved_model", "onnx", "tflite", "edge_tpu", "tfjs", "web_page"])
def test_a_foreign_folder_is_refused_before_the_work(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """No model is loaded, converted or trained on for a folder that is not to be replaced."""
    from tfod_helpers import training

    def load(*_: object) -> None:
        raise AssertionError("the model was loaded first")

    monkeypatch.setattr(training, "load_model", load)
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="something here that is no export"):
        importlib.import_module(f"tfod_helpers.exporting.{kind}").export(trained.run, tmp_path)


def test_a_failing_export_leaves_the_old_one(
    trained: Trained, export_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where writing breaks off, the older export still loads and no half one lies beside it."""
    from tfod_helpers.detector import Detector, ExportFacts
    from tfod_helpers.exporting import saved_model

    folder = shutil.copytree(export_folder, tmp_path / "export")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ExportFacts, "write", no_room)
    with pytest.raises(OSError, match="No space left"):
        saved_model.export(trained.run, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert Detector.load(folder).label_map == LabelMap(["red", "blue"])


def test_a_run_without_a_model_cannot_be_exported(tmp_path: Path) -> None:
    """The error says to train first, and no folder appears."""
    from tfod_helpers.exporting import saved_model

    with pytest.raises(FileNotFoundError, match=r"no trained model here\. Train this run first"):
        saved_model.export(tmp_path / "run", tmp_path / "export")
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("export.json", None, r"holds no export \(export.json is missing\)"),
        ("export.json", "{", "export.json: damaged"),
        ("export.json", json.dumps({"format": "saved_model"}), "export.json: damaged"),
        ("export.json", json.dumps({"version": 99}), "version 99 of an export, and this tfod_helpers reads up to 2"),
        ("label_map.pbtxt", None, r"the export has no label_map.pbtxt\. Copy the whole export folder"),
        ("label_map.pbtxt", "item { id: 1 name: 'red' }", "label_map.pbtxt: not the file that was exported"),
        ("saved_model.pb", "nonsense", "saved_model.pb: not the file that was exported"),
    ],
)
def test_a_damaged_export_is_named(
    export_folder: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    """A missing or damaged file of an export is told by name, with what to do."""
    from tfod_helpers.detector import Detector

    broken = shutil.copytree(export_folder, tmp_path / "export")
    (broken / name).unlink()
    if content is not None:
        (broken / name).write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        Detector.load(broken)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("label_map.pbtxt", None, "no label_map.pbtxt, so its classes have no names"),
        ("label_map.pbtxt", "item { id: 1 name: 'red' }", "1 classes, but the model was exported with 2"),
        ("saved_model.pb", "nonsense", "SavedModel in it cannot be loaded"),
    ],
)
def test_an_older_export_loads_and_what_is_damaged_in_it_is_named(
    export_folder: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    """An export.json without version, checksums and settings of NMS is read; damage shows when the file is used."""
    from tfod_helpers.detector import Detector

    old = shutil.copytree(export_folder, tmp_path / "export")
    facts = json.loads((old / "export.json").read_text())
    newer = {"precision", "decoded", "nms", "resize", "files", "certificate", "version"}
    (old / "export.json").write_text(json.dumps({key: facts[key] for key in facts.keys() - newer}))
    assert Detector.load(old).label_map == LabelMap(["red", "blue"])
    (old / name).unlink()
    if content is not None:
        (old / name).write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        Detector.load(old)


def test_no_folder_is_no_export(tmp_path: Path) -> None:
    """A path that does not exist is told as such."""
    from tfod_helpers.detector import Detector

    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        Detector.load(tmp_path / "nowhere")
