"""Exports for browsers of the small training, and what runs their scripts without a browser: Node.js."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv

TITLE = "Finds <b>red</b> & 'blue'"
SQUARES, SPREAD = 3, 5
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no Node.js")
needs_browser = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="this machine has no Chromium with its driver"
)
# Runs scripts in the global scope, as a page does, and then the body of an asynchronous function on `given`.
_RUN = """
const fs = require("fs"), vm = require("vm"), { stdout } = process;
const { scripts, body, given } = JSON.parse(fs.readFileSync(0, "utf-8"));
globalThis.self = globalThis.window = globalThis;
globalThis.document = {};
for (const name of ["process", "module", "exports", "require"]) delete globalThis[name]; // a page has none
for (const path of scripts) vm.runInThisContext(fs.readFileSync(path, "utf-8"), path);
vm.runInThisContext(`(async (given, read) => { ${body} })`)(given, fs.readFileSync)
  .then((answer) => stdout.write(JSON.stringify(answer)), (error) => setTimeout(() => { throw error; }));
"""


def run_scripts(scripts: Sequence[Path], body: str, given: Any) -> Any:
    """Run a page's scripts in Node.js, and then the body of a function; ``read`` there reads a file."""
    asked = json.dumps({"scripts": list(map(str, scripts)), "body": body, "given": given})
    done = subprocess.run(["node", "-e", _RUN], input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_text(data: np.ndarray) -> str:
    """Return an array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(data).tobytes()).decode("ascii")


def write_exports(run: Any, folder: Path) -> None:
    """Write each export for browsers; the network is built once, and its own outputs are kept in ``outputs.npz``.

    A training so short gives each photo the same few low scores: they are spread, so that photos differ in what is
    found, and moved, so that each training photo has one of 0.73 or more.
    """
    from tfod_helpers.exporting import calibration, network, tfjs, web_page

    made = network.of_run(run, "best", "browsers")
    classifier = made.model.head._classifier
    *kernels, bias = classifier.get_weights()
    classifier.set_weights([*kernels[:-1], SPREAD * kernels[-1], bias])
    squares = np.random.default_rng(0).integers(0, 256, (SQUARES, made.side, made.side, 3), np.uint8)
    seen = np.concatenate([calibration.photos(made.config, None), squares]).astype(np.float32)
    least = made(seen)["logits"].numpy().max(axis=(1, 2)).min()
    classifier.set_weights([*kernels[:-1], SPREAD * kernels[-1], bias + 1 - least])
    outputs = {name: values.numpy() for name, values in made(squares.astype(np.float32)).items()}
    np.savez(folder / "outputs.npz", squares=squares, **outputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "of_run", lambda *_: made)
        frozen = made.frozen(batch=None)
        patch.setattr(network.ExportNetwork, "frozen", lambda *_, **__: frozen)
        for precision in ("float32", "float16", "uint8"):
            tfjs.export(run, folder / precision, precision=precision)
        web_page.export(run, folder / "page", precision="float32", title=TITLE)
        web_page.export(run, folder / "hosted", one_file=False)


def assert_same(
    found: sv.Detections, expected: sv.Detections, *, pixels: float, score: float, sure: float = 0.1
) -> None:
    """Each detection from the confidence ``sure`` on has its like on the other side, of the same class and so near.

    Equal scores may come in another order, and what lies below ``sure`` be found on one side alone.
    """
    boxes = np.abs(found.xyxy[:, None] - expected.xyxy).max(axis=2) <= pixels
    scores = np.abs(found.confidence[:, None] - expected.confidence) <= score
    alike = boxes & scores & (found.class_id[:, None] == expected.class_id)
    assert alike.any(axis=0)[expected.confidence >= sure].all()
    assert alike.any(axis=1)[found.confidence >= sure].all()
