"""A model in TensorFlow.js's format, run by TensorFlow.js in a headless browser."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfod_helpers.detector.decoding import Outputs, decode
from tfod_helpers.detector.facts import ANCHORS, ExportFacts
from tfod_helpers.detector.runtimes import browser

JAVASCRIPT = Path(__file__).parent / "javascript"
SCRIPTS = (  # in the order in which they build upon each other
    *(JAVASCRIPT / "tensorflow" / f"tf-{part}.es2017.min.js" for part in ("core", "converter")),
    *(JAVASCRIPT / "tensorflow" / f"tf-backend-{part}.es2017.min.js" for part in ("cpu", "wasm", "webgpu")),
    JAVASCRIPT / "model.js",
)
LICENSE = JAVASCRIPT / "tensorflow" / "LICENSE"
WASM = JAVASCRIPT / "tensorflow" / "tfjs-backend-wasm-simd.wasm"
MODEL, WEIGHTS = "model.json", "weights.bin"
_LOAD = """
const [topology, weights, wasm] = window.parts;
window.model = await Model.load(
  { topology: JSON.parse(await topology.text()), weights: await weights.arrayBuffer() }, await wasm.arrayBuffer());
await window.model.settled;
"""
_RUN = f"""
{browser.BYTES}
const outputs = await window.model.run(bytes(arguments[0]));
const text = (numbers) => new Promise((resolve) => {{
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(",")[1]);
  reader.readAsDataURL(new Blob([numbers]));
}});
return [await text(outputs.boxes), await text(outputs.logits)];
"""


def load(folder: Path, facts: ExportFacts) -> Callable[[np.ndarray], Outputs]:
    """Load the model of an export folder into a blank page with TensorFlow.js.

    Raises:
        ImportError: there is no browser, or nothing that drives it.
        ValueError: a file of it is damaged.
    """
    page = browser.Page("about:blank")
    page.add_scripts(SCRIPTS)
    page.add_files("parts", [folder / MODEL, folder / WEIGHTS, WASM])
    try:
        anchors_yxhw = np.load(folder / ANCHORS, allow_pickle=False)
        page.call(_LOAD)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{folder}: the model in it cannot be loaded ({error}). Export the run again.") from error

    def run(letterboxed: np.ndarray) -> Outputs:
        outputs = [[_numbers(text) for text in page.call(_RUN, browser.to_text(one.tobytes()))] for one in letterboxed]
        shape = (len(outputs), len(anchors_yxhw), -1)
        boxes, logits = (np.reshape(values, shape) for values in zip(*outputs, strict=True))
        return decode(boxes, logits, anchors_yxhw, facts.image_size, facts.nms)

    return run


def _numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)
