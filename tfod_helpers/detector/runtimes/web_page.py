"""A web page that detects, opened in a headless browser: it resizes photos and decodes boxes by itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfod_helpers.detector.decoding import Outputs, batched
from tfod_helpers.detector.facts import ExportFacts
from tfod_helpers.detector.runtimes import browser

PAGE = "index.html"
_DETECT = f"""
{browser.BYTES}
const detector = await window.detector;
const {{ found }} = await detector.detectBlob(new Blob([bytes(arguments[0])], {{ type: "image/png" }}), "the photo");
return found.map(({{ xmin, ymin, xmax, ymax, score, classId }}) => [xmin, ymin, xmax, ymax, score, classId]);
"""


def load(folder: Path, facts: ExportFacts) -> Callable[[Any], Outputs]:
    """Open the page of an export folder.

    Returns:
        What `Detector` takes where the model resizes: whole photos, uint8, (h, w, 3), to boxes in their pixels.

    Raises:
        ImportError: there is no browser, or nothing that drives it.
        ValueError: the page does not start.
    """
    # A page of one file opens as by a double click; the others come from a server.
    one_file = not any(path.suffix == ".js" for path in folder.iterdir())
    page = browser.Page((folder.resolve() / PAGE).as_uri() if one_file else browser.serve(folder) + PAGE)
    try:
        page.call("const detector = await window.detector; await detector.model.settled;")
    except RuntimeError as error:
        raise ValueError(f"{folder / PAGE}: the page does not start ({error}). Export the run again.") from error

    def run(photos: Sequence[np.ndarray]) -> Outputs:
        found = [np.reshape(page.call(_DETECT, browser.to_text(_png(photo))), (-1, 6)) for photo in photos]
        return batched([(rows[:, :4], rows[:, 4], rows[:, 5].astype(int)) for rows in found])

    return run


def _png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
