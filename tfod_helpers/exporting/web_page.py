"""A run -> a web page that detects in photos and in the camera's picture, on the device that opens it.

As one file it opens by a double click, with no server and no network: the model and what runs it are inside. As a
folder it is for a web server: the same in several files, which browsers keep. Photos go nowhere in either form; the
page's Content Security Policy allows no other host.

The export folder holds ``index.html``, the label map and ``export.json``; as a folder also what the page loads. The
page resizes photos as in training and decodes boxes by itself. `Detector.load` opens it in a headless browser, so that
`evaluation.evaluate` judges what the page detects.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import sys
from dataclasses import asdict
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tfod_helpers.annotations import appearance
from tfod_helpers.detector import ANCHORS, ExportFacts
from tfod_helpers.detector.runtimes import browser
from tfod_helpers.detector.runtimes.tfjs import LICENSE, MODEL, SCRIPTS, WASM, WEIGHTS
from tfod_helpers.detector.runtimes.web_page import PAGE
from tfod_helpers.exporting import network, tfjs
from tfod_helpers.exporting.folder import whole_export
from tfod_helpers.exporting.network import ExportNetwork
from tfod_helpers.exporting.tfjs import Precision
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.photos import MEAN_RGB

FORMAT = "web_page"
_OWN = Path(str(resources.files("tfod_helpers.exporting") / "web"))
_SCRIPTS = ("assets", "resize", "decode", "photo", "detector", "draw", "camera", "page")  # each builds upon the former
_ASSETS = (MODEL, WEIGHTS, WASM.name, ANCHORS)
_MOST_NAMED = 4  # classes in the title


def export(
    run: str | os.PathLike[str] | Run,
    folder: str | os.PathLike[str],
    *,
    precision: Precision = "float16",
    one_file: bool = True,
    title: str | None = None,
    checkpoint: Checkpoint = "best",
) -> Path:
    """Write a web page that detects what a run's model detects, whole or not at all.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        precision: of the weights in the file, as for `exporting.tfjs`; what is computed is float32.
        one_file: everything in ``index.html``, to be mailed and opened by a double click. Otherwise in several files,
            to be hosted: they load a third faster, and a camera needs https there.
        title: of the page; left out, it names the classes.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: an unknown precision, no model of that step, or a network that TensorFlow.js cannot run.
        FileExistsError: the folder holds something other than an export.
    """
    tfjs.check_precision(precision)
    with (
        reading(run, checkpoint) as run,
        whole_export(folder, run, checkpoint, FORMAT, precision=precision) as part,
    ):
        made = network.of_run(run, checkpoint, "a web page")
        tfjs.write(made, part, precision)
        shutil.copyfile(WASM, part / WASM.name)
        scores = run.find_scores(checkpoint)
        known = {name: value if math.isfinite(value) else None for name, value in scores.items()}
        shown = _facts(made, precision, known)
        title = title if title is not None else _title(made.config.task.class_names)
        page = _in_one(part) if one_file else _in_several(part)
        (part / PAGE).write_text(_fill({"title": escape(title), "facts": _as_data(shown), **page}), encoding="utf-8")
    return Path(folder)


def show(folder: str | os.PathLike[str], *, height: int = 640) -> Any:
    """Show an exported page within a notebook, in Colab and where Jupyter runs on the reader's own machine.

    It is served by this process, to this machine alone. Elsewhere, open ``index.html`` by a double click.

    Args:
        folder: the export folder, here or ``gs://``.
        height: of the frame, in pixels.

    Returns:
        The frame that Jupyter shows; in Colab None, since Colab shows it by itself.

    Raises:
        FileNotFoundError: the folder is no export.
        ValueError: it is an export of another format.
    """
    facts = ExportFacts.read(folder)
    if facts.format != FORMAT:
        raise ValueError(
            f"{storage.address(folder)}: an export of the format {facts.format}, which has no page. Give the folder "
            f"that exporting.web_page wrote."
        )
    address = browser.serve(storage.mirror(folder))
    if "google.colab" in sys.modules:
        from google.colab import output

        output.serve_kernel_port_as_iframe(urlsplit(address).port, height=str(height))
        return None
    from IPython.display import HTML

    frame = f'<iframe src="{address}" width="100%" height="{height}" frameborder="0" allow="camera"></iframe>'
    return HTML(f"{frame}<p>An empty frame? Run this cell: the page lives as long as the notebook's kernel does.</p>")


def _title(names: list[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"Detects {', '.join(names[: _MOST_NAMED - 1])} and {len(names) - _MOST_NAMED + 1} more"
    return f"Detects {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"Detects {names[0]}"


def _facts(made: ExportNetwork, precision: Precision, scores: dict[str, Any]) -> dict[str, Any]:
    """Return what the page has to know, as its scripts call it."""
    colours = [appearance.colour_of(number) for number, _ in enumerate(made.config.task.class_names, start=1)]
    classes = [
        {"name": name, "colour": colour, "ink": appearance.ink_on(colour)}
        for name, colour in zip(made.config.task.class_names, colours, strict=True)
    ]
    return {
        "classes": classes,
        "side": made.side,
        "resize": made.config.task.resize,
        "mean": MEAN_RGB,
        "nms": asdict(made.nms),
        "preset": made.config.task.preset,
        "precision": precision,
        **scores,
    }


def _in_one(folder: Path) -> dict[str, str]:
    """Return the parts of a page that holds everything, and remove the files that it holds."""
    scripts = [path.read_text(encoding="utf-8") for path in _scripts()]
    style = (_OWN / "style.css").read_text(encoding="utf-8")
    assets = [f"<!--\nTensorFlow.js, which runs the model, is under this license.\n{LICENSE.read_text('utf-8')}-->"]
    for name in _ASSETS:
        packed = base64.b64encode(gzip.compress((folder / name).read_bytes(), mtime=0)).decode("ascii")
        assets.append(f'<script type="text/plain" id="asset {name}">{packed}</script>')
        (folder / name).unlink()
    return {
        "policy": _policy(" ".join(map(_hash, scripts)), _hash(style), "blob:"),
        "style": f"<style>{style}</style>",
        "assets": "\n".join(assets),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }


def _in_several(folder: Path) -> dict[str, str]:
    """Write the files beside a page for a web server, and return its parts."""
    for path in (*_scripts(), _OWN / "style.css"):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(LICENSE, folder / "LICENSE-TensorFlow.js.txt")
    return {
        "policy": _policy("'self'", "'self'", "'self' blob:"),
        "style": '<link rel="stylesheet" href="style.css">',
        "assets": "",
        "scripts": "\n".join(f'<script src="{path.name}"></script>' for path in _scripts()),
    }


def _scripts() -> list[Path]:
    return [*SCRIPTS, *(_OWN / f"{name}.js" for name in _SCRIPTS)]


def _policy(scripts: str, styles: str, connections: str) -> str:
    """Return a policy by which the page runs these scripts alone, and reaches no other host."""
    return (
        f"default-src 'none'; script-src 'wasm-unsafe-eval' {scripts}; style-src {styles}; img-src data: blob:; "
        f"connect-src {connections}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _as_data(facts: dict[str, Any]) -> str:
    """Return JSON that no class name can end the script element of."""
    return json.dumps(facts, allow_nan=False).replace("<", "\\u003c")


def _fill(parts: dict[str, str]) -> str:
    template = (_OWN / PAGE).read_text(encoding="utf-8")
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], template)
