"""The scripts of the web page that compute, in Node.js: they do what Python does. No browser, no TensorFlow."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_exports import as_text, needs_node, run_scripts

import tfod_helpers
from tfod_helpers import photos
from tfod_helpers.detector import Nms
from tfod_helpers.detector.decoding import decode
from tfod_helpers.detector.runtimes import tfjs
from tfod_helpers.presets.resizing import RESIZES

WEB = Path(tfod_helpers.__file__).parent / "exporting" / "web"
RUNTIME = tfjs.JAVASCRIPT / "tensorflow"
SIZES = [(500, 375), (333, 512), (128, 5), (64, 64), (50, 40), (1, 7), (601, 450), (700, 2), (1025, 769)]
SQUARES = """
return given.map(({ width, height, side, resize, rgba, mean }) => {
  const data = Buffer.from(rgba, "base64");
  const rows = (top, count) => ({ data: data.subarray(top * width * 4, (top + count) * width * 4) });
  const { pixels, scaleX, scaleY } = toSquare(width, height, rows, { side, resize, mean });
  return { pixels: Buffer.from(pixels).toString("base64"), scale: [scaleX, scaleY] };
});
"""
DETECTIONS = """
const numbers = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
const outputs = { boxes: numbers(given.boxes), logits: numbers(given.logits) };
return decode(outputs, numbers(given.anchors), given.side, given.nms)
  .map(({ xmin, ymin, xmax, ymax, score, classId }) => [xmin, ymin, xmax, ymax, score, classId]);
"""


@needs_node
@pytest.mark.parametrize("resize", RESIZES)
def test_the_page_resizes_as_pillow_does(resize: str) -> None:
    """A photo of any size becomes the same square as in training; where blocks are averaged first, to a level."""
    rng = np.random.default_rng(0)
    given, expected = [], []
    for width, height in SIZES:
        coarse = Image.fromarray(rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height)), int)
        rgb = (smooth + rng.integers(-20, 20, smooth.shape)).clip(0, 255).astype(np.uint8)
        rgba = np.dstack([rgb, np.full((height, width), 255, np.uint8)])
        given.append({"width": width, "height": height, "side": 64, "resize": resize, "rgba": as_text(rgba)})
        given[-1]["mean"] = photos.MEAN_RGB
        expected.append(photos.letterbox(rgb, 64, resize=resize))
    for size, square, wanted in zip(SIZES, run_scripts([WEB / "resize.js"], SQUARES, given), expected, strict=True):
        pixels = np.frombuffer(base64.b64decode(square["pixels"]), np.uint8).reshape(64, 64, 3)
        apart = np.abs(pixels.astype(int) - wanted.pixels)
        reduced = max(size) >= 4 * 64
        assert apart.max() <= reduced, size
        assert (apart > 0).mean() < 0.01, size
        assert square["scale"] == pytest.approx(wanted.scale)


@needs_node
@pytest.mark.parametrize("nms", [Nms(), Nms(iou=0.2, least_score=0.3, detections=5)])
def test_the_page_decodes_as_python_does(nms: Nms) -> None:
    """Random boxes and logits give the detections of detector.decoding, in its order."""
    rng, side, count, classes = np.random.default_rng(1), 96, 400, 3
    anchors = np.hstack([rng.uniform(0, side, (count, 2)), rng.uniform(5, 60, (count, 2))]).astype(np.float32)
    boxes = rng.normal(0, 1.5, (count, 4)).astype(np.float32)
    logits = rng.normal(-3, 3, (count, classes)).astype(np.float32)
    anchors[:9, 2:], boxes[:9, 2:], logits[:9, 0] = 1, 6, 5  # far larger than their anchors, which is bounded
    given = {"boxes": as_text(boxes), "logits": as_text(logits), "anchors": as_text(anchors), "side": side}
    given["nms"] = {"iou": nms.iou, "least_score": nms.least_score, "detections": nms.detections}
    found = np.array(run_scripts([WEB / "decode.js"], DETECTIONS, given))
    expected = decode(boxes[None], logits[None], anchors, side, nms)
    assert len(found) == expected["count"][0] > 4
    np.testing.assert_allclose(found[:, :4], expected["boxes_xyxy"][0], atol=1e-3)
    np.testing.assert_allclose(found[:, 4], expected["scores"][0], atol=1e-5)
    assert found[:, 5].tolist() == expected["classes"][0].tolist()


def test_what_runs_the_model_is_small_licensed_and_named() -> None:
    """packages.json names each file of TensorFlow.js that is there, under one version; the licence lies beside them."""
    packages = json.loads((RUNTIME / "packages.json").read_text())
    named = {Path(name).name for package in packages for name in package["files"]}
    there = {path.name: path.stat().st_size for path in RUNTIME.iterdir()}
    assert named == there.keys() - {"packages.json", "LICENSE"}
    assert sum(there.values()) < 1_700_000
    assert {package["license"] for package in packages} == {"Apache-2.0"}
    assert len({package["version"] for package in packages}) == 1
    assert "Apache License" in (RUNTIME / "LICENSE").read_text()


@pytest.mark.parametrize("path", [*tfjs.SCRIPTS, *sorted(WEB.glob("*.*"))], ids=lambda path: path.name)
def test_a_script_can_stand_within_a_page(path: Path) -> None:
    """No script ends the element that holds it, and none that is ours is longer than 350 lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".html":
        assert not any(end in text.lower() for end in ("</script", "</style", "<!--"))
    assert "tf-" in path.name or len(text.splitlines()) <= 350
