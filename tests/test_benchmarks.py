"""The benchmarks' first steps, so that they do not rot between the rare times that they run in full."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import Detector
from tfod_helpers.formats import voc

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """A benchmark script as a module, without running it."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.tensorflow
def test_asirra_goes_from_the_folder_to_an_evaluated_export(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps on 16 real photos end in an export whose AP is the one that the training saw."""
    for part, count in (("train", 16), ("test", 6)):
        (tmp_path / part).mkdir()
        for path in sorted((shared / "data" / "asirra" / part).glob("*.xml"))[:: 40 if part == "train" else 15][:count]:
            shutil.copy(path, tmp_path / part)
            shutil.copy(path.with_suffix(".jpg"), tmp_path / part)
    asirra = load("asirra")
    monkeypatch.setenv("KERAS_HOME", str(asirra.keras_home(tmp_path)))
    result = asirra.run(tmp_path, tmp_path, image_size=64, train_steps=2)
    assert result["ap"] == pytest.approx(result["ap_in_training"], abs=1e-3)
    manifest = (tmp_path / "run" / "run.json").read_text()
    assert "trained on ImageNet" in manifest
    assert (tmp_path / "export" / "label_map.pbtxt").is_file()


@pytest.mark.tensorflow
def test_classifier_goes_from_the_folder_to_a_certificate(
    shared: Path, keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 40 real photos, seen small, the benchmark ends in three saved forms that decide alike."""
    for part, step in (("train", 25), ("test", 10)):
        (tmp_path / part).mkdir()
        for path in sorted((shared / "data" / "asirra" / part).glob("*.xml"))[::step]:
            shutil.copy(path, tmp_path / part)
            shutil.copy(path.with_suffix(".jpg"), tmp_path / part)
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    benchmark = load("classifier")
    found = benchmark.run(tmp_path, tmp_path, side=32, fine_tuning=0)
    assert found["photos"] == 11
    assert found["other_decisions"] == 0
    assert found["low"] <= found["accuracy"] <= found["high"]
    assert "of 11 wrong" in benchmark.report({0: found | {"seconds": 1.0, "cpu_seconds": 2.0}})


@pytest.mark.tensorflow
def test_flipped_labels_are_counted_among_real_photos(
    shared: Path, keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one box in twenty of 105 real photos the classes are flipped, and most are found; no detector is trained."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    benchmark = load("label_errors")
    dataset = voc.read(shared / "data" / "asirra" / "test")
    flipped, which = benchmark.flip(dataset, 0.05, np.random.default_rng(0))
    assert len(which) == round(0.05 * sum(len(image.labels) for image in dataset))
    changed = {
        (str(image.path), place)
        for image, other in zip(dataset, flipped, strict=True)
        for place in np.flatnonzero(image.labels != other.labels).tolist()
    }
    assert changed == which
    found = benchmark.run(dataset, 0, 0.05, 0, tmp_path)
    assert set(found) == {"seconds", "classifier"}
    assert 0.5 < found["classifier"] <= 1


def test_storage_copies_what_it_measures(tmp_path: Path) -> None:
    """A rival's upload and our way back run against the benchmark's servers, and are timed."""
    storage = load("storage")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"photo")
    with storage.serving(0.0) as url:
        assert storage.timed("transfer_manager", url, str(tmp_path / "photos"), "down") > 0
        assert storage.timed("ours, back", url, str(tmp_path / "photos"), "back", str(tmp_path)) > 0
    assert (tmp_path / "back" / "a.jpg").read_bytes() == b"photo"


def test_readers_beside_a_run_that_is_written_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The benchmark's writer and its readers run against a run of this disk, and no read fails."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    assert load("following").read(f"{tmp_path}/runs/one", "", tmp_path, reads=3, readers=1, every=0.05) == 0
    assert capsys.readouterr().out.count(" 1 reads, 0 failed, 1 states seen") == 3


def test_labelling_chooses_from_hidden_labels_in_each_way(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 real photos some are held out, none is in two parts, and each way chooses others of the pool."""
    for part, count in (("train", 40), ("test", 4)):
        (tmp_path / part).mkdir()
        for path in sorted((shared / "data" / "asirra" / part).glob("*.xml"))[::20][:count]:
            shutil.copy(path, tmp_path / part)
            shutil.copy(path.with_suffix(".jpg"), tmp_path / part)
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = load("labelling")
    parts = benchmark.share_out(tmp_path, 0)
    assert {name: len(part) for name, part in parts.items()} == {
        "labelled": 14,
        "pool": 14,
        "held_out": 12,
        "validation": 4,
    }
    assert len({image.path for part in parts.values() for image in part}) == 44
    detector = Detector(by_brightness, LabelMap(["cat", "dog"]), 32, 0.5)
    chosen = {
        method: {image.path for image in benchmark.choose(method, detector, parts, 5, 0)}
        for method in benchmark.METHODS
    }
    assert all(len(some) == 5 for some in chosen.values())
    assert len({frozenset(some) for some in chosen.values()}) == 2
    row = {"ap": 0.5, "ap50": 0.8, "boxes": 20, "of_rare": 9}
    found = {"before": [row], "random": [row], "rank": [row | {"ap": 0.52}]}
    assert benchmark.report_gain(found).endswith(
        "rank     AP 0.520 (0.520), AP50 0.800, 20 boxes, of them dogs 9; against random 0.020"
    )
    assert benchmark.with_interval([0.01, 0.02, 0.03]) == "0.020 (95 %: -0.005 to 0.045)"
    row = {"photos": 10, "boxes": 10, "kept": 7, "actions": 14, "from_nothing": 20}
    assert "0.700 need no hand; clicks and drags against from nothing 0.700" in benchmark.report_boxes([row])
    rare = benchmark.share_out(tmp_path, 0, rare=True)
    dogs = [sum(2 in image.labels for name in ("labelled", "pool") for image in some[name]) for some in (parts, rare)]
    assert dogs[1] == -(-dogs[0] // 9)
    many = benchmark.many_photos(tmp_path, tmp_path / "many", 60)
    assert len({path.read_bytes() for path in many}) == 60


def by_brightness(squares: np.ndarray) -> dict[str, np.ndarray]:
    """A stand-in for a model: one cat and one dog, as sure as the photo is bright and dark."""
    bright = squares.mean(axis=(1, 2, 3)) / 255
    scores = np.stack([bright, 1 - bright], axis=1).astype(np.float32)
    boxes_xyxy = np.tile(np.array([4, 4, 28, 28], np.float32), (len(squares), 2, 1))
    classes = np.tile([1, 2], (len(squares), 1))
    return {"boxes_xyxy": boxes_xyxy, "scores": scores, "classes": classes, "count": np.full(len(squares), 2)}
