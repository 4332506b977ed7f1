"""The program for a Raspberry Pi: it finds what `Detector` finds, and needs three packages and nothing of ours."""

from __future__ import annotations

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import Once
from model_card_code import assert_same, run_lines
from PIL import Image

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import Detector, ExportFacts

# Runs a program where nothing but what it says it needs can be imported.
ALONE = """
import runpy, sys
sys.modules |= dict.fromkeys(("tensorflow", "tf_keras", "tfod_helpers", "supervision", "cv2", "scipy"))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SIDE = 64
FOUND = re.compile(r"(\w+) ([\d.]+): xmin ([\d.]+), ymin ([\d.]+), xmax ([\d.]+), ymax ([\d.]+)")


def run(program: Path, photo: Path, python: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the program on a photo."""
    return subprocess.run([*python, program, photo], capture_output=True, text=True, cwd=photo.parent)


def put_photos(folder: Path) -> list[Path]:
    """Put dark photos with a bright rectangle there: turned by EXIF and large, small, grey; and an all dark one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    paths = [folder / name for name in ("turned.jpg", "small.jpg", "grey.png", "dark.png")]
    for path, (width, height) in zip(paths, [(900, 600), (50, 40), (64, 64), (300, 100)], strict=True):
        rgb = np.full((height, width, 3), 30, np.uint8)
        if path.stem != "dark":
            rgb[height // 5 : height // 2, width // 3 : width * 3 // 4] = 240
        image = Image.fromarray(rgb)
        image = image.convert("L") if path.stem == "grey" else image
        image.save(path, quality=95, exif=exif) if path.stem == "turned" else image.save(path)
    return paths


def check(export: Path, folder: Path, python: list[str], *, photos: int = 4) -> None:
    """Compare what the program prints and draws for some photos with what `Detector` finds."""
    detector = Detector.load(export)
    for path in put_photos(folder)[:photos]:
        done = run(export / "detect.py", path, python)
        assert done.returncode == 0, done.stderr
        expected = detector.detect(path)
        assert len(expected) == (path.stem != "dark")
        found = FOUND.findall(done.stdout)
        assert [name for name, *_ in found] == expected.data["class_name"].tolist()
        numbers = np.array([values for _, *values in found], float).reshape(-1, 5)
        np.testing.assert_allclose(numbers[:, 0], expected.confidence, atol=6e-4)  # as it is printed
        np.testing.assert_allclose(numbers[:, 1:], expected.xyxy, atol=0.06)
        with Image.open(folder / f"{path.stem}_detected.png") as drawn, Image.open(path) as photo:
            assert drawn.size == (photo.size[::-1] if path.stem == "turned" else photo.size)
            red = (np.asarray(drawn.convert("RGB")) == (255, 0, 0)).all(axis=-1)
        assert red.any() == bool(found)


def facts(**others: object) -> ExportFacts:
    """What an export says about itself."""
    return ExportFacts("tflite", SIDE, 2, 0.5, "mobilenet_v2_192", 100, 0.5, 0.8, **others)  # type: ignore[arg-type]


def convert(kind: str) -> bytes:
    """A LiteRT file that finds what is brighter than 200, as a dog, and everywhere a cat, of which it is not sure.

    Its outputs have the names, types and shapes of those of the operator for detection post-processing.
    """
    import tensorflow as tf

    from tfod_helpers.exporting import network

    def ends(bright: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = tf.range(SIDE, dtype=tf.float32)
        return tf.reduce_min(tf.where(bright, places, SIDE)), tf.reduce_max(tf.where(bright, places + 1, 0))

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], kind, name="images")], autograph=False)
    def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
        bright = tf.reduce_min(tf.cast(images, tf.float32), axis=-1)[0] > 200
        (ymin, ymax), (xmin, xmax) = (ends(tf.reduce_any(bright, axis=axis)) for axis in (1, 0))
        dog = tf.stack([ymin, xmin, ymax, xmax]) / SIDE
        return {
            "boxes": tf.stack([dog, tf.constant([0.0, 0.0, 1.0, 1.0])])[None],
            "scores": tf.stack([tf.reduce_max(tf.cast(images, tf.float32)) / 255, 0.1])[None],
            "classes": tf.constant([[1.0, 0.0]]),
            "count": tf.constant([2.0]),
        }

    with tempfile.TemporaryDirectory() as folder, network.silent_stderr():
        network.save(call, folder)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


@pytest.fixture(scope="session")
def lite(once: Once) -> Path:
    """LiteRT exports: one that takes floats, one that takes bytes, and one that has photos stretched."""

    def export(folder: Path) -> None:
        from tfod_helpers.exporting import raspberry_pi

        for name, kind, resize in (
            ("floats", "float32", "letterbox"),
            ("bytes", "uint8", "letterbox"),
            ("stretch", "float32", "stretch"),
            ("sampled", "float32", "stretch_bilinear"),
        ):
            (folder / name).mkdir()
            (folder / name / "model.tflite").write_bytes(convert(kind))
            LabelMap(["cat", "dog"]).write(folder / name / "label_map.pbtxt")
            facts(resize=resize).write(folder / name)
            raspberry_pi.write(folder / name, facts(resize=resize), LabelMap(["cat", "dog"]))

    return once("lite", export)


@pytest.mark.tensorflow
def test_it_finds_what_the_detector_finds(lite: Path, tmp_path: Path) -> None:
    """Names, scores and boxes are `Detector`'s, for models of floats and of bytes, letterboxed and stretched photos."""
    for name, photos in (("floats", 4), ("bytes", 1), ("stretch", 1), ("sampled", 1)):
        check(lite / name, tmp_path, [sys.executable, "-c", ALONE], photos=photos)


@pytest.mark.tensorflow
def test_code_of_the_card_runs(lite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that a model card gives for LiteRT find what `Detector` finds."""
    folder = shutil.copytree(lite / "floats", tmp_path / "export")
    shutil.copy(put_photos(tmp_path)[1], folder / "photo.jpg")
    found = run_lines(folder, monkeypatch)
    height, width = (found["photo"].height, found["photo"].width)
    boxes_yxyx = found["boxes"] * SIDE / np.tile([found["height"] / height, found["width"] / width], 2)
    assert found["classes"].tolist() == [1, 0]
    assert_same(boxes_yxyx[:, [1, 0, 3, 2]], found["scores"], (width, height), folder)


@pytest.mark.tensorflow
def test_it_says_what_is_wrong(lite: Path, tmp_path: Path) -> None:
    """No photo, a missing file, a folder and a file that is no photo end in one line and no traceback."""
    (tmp_path / "page.jpg").write_text("<html>")
    program = lite / "floats" / "detect.py"
    for name, message in {
        "gone.jpg": "gone.jpg: there is no such file.",
        "page.jpg": "page.jpg: not a photo that Pillow can read",
        ".": "not a photo that Pillow can read",
    }.items():
        done = run(program, tmp_path / name, [sys.executable])
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "Usage: python detect.py photo.jpg")


def test_names_of_any_kind_are_kept(tmp_path: Path) -> None:
    """Quotes, backslashes, dollars and other alphabets are in the program as they are, in the syntax of Python 3.9."""
    from tfod_helpers.exporting import raspberry_pi

    names = ['it\'s a "cat"', "back\\slash $names {x}", "Katze", *(f"猫 number {number}" for number in range(90))]
    path = raspberry_pi.write(tmp_path, facts(), LabelMap(names))
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    [value] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES"
    ]
    assert ast.literal_eval(value) == names


def test_it_is_not_written_for_what_it_cannot_run(tmp_path: Path) -> None:
    """A model without the post-processing operator, and one of another format, are refused."""
    from tfod_helpers.exporting import raspberry_pi

    for other in (facts(decoded=False), dataclasses.replace(facts(), format="onnx")):
        with pytest.raises(ValueError, match=r"detect\.py runs LiteRT files that detect by themselves"):
            raspberry_pi.write(tmp_path, other, LabelMap(["a", "b", "c"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.install
def test_three_packages_are_enough(lite: Path, tmp_path: Path) -> None:
    """In an environment with ai-edge-litert, numpy and Pillow alone it finds what `Detector` finds."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "ai-edge-litert", "numpy", "pillow"], check=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert not re.search("tensorflow|opencv|supervision", listed)
    check(lite / "floats", tmp_path, [str(python)])
