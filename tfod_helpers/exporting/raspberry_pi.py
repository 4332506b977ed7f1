"""A LiteRT export -> ``detect.py`` in its folder: a program that finds objects in a photo, without this package.

It needs the model's file beside it, Python 3.9 or later, and three packages that have wheels for the Raspberry Pi:
ai-edge-litert, numpy and Pillow. It is for models that end in the operator for detection post-processing.
"""

from __future__ import annotations

import pprint
from pathlib import Path
from string import Template

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import ExportFacts
from tfod_helpers.detector.tflite_file import MODEL
from tfod_helpers.photos.pixels import MEAN_RGB
from tfod_helpers.presets.resizing import LETTERBOX, STRETCH, STRETCH_BILINEAR

PROGRAM = "detect.py"

# As photos.letterbox does it, so that the same photo gives the same detections.
_FITS = {
    LETTERBOX: "tuple(max(1, round(length * side / max(size))) for length in size)  # as large as fits, in its shape",
    STRETCH: "(side, side)  # stretched, whatever its shape",
    STRETCH_BILINEAR: "(side, side)  # stretched, whatever its shape",
}

_DRAFT = """\
    small.draft("RGB", fit(small.size))  # the model needs no more pixels of a JPEG than these
"""
_RESIZE = "small = small.resize(fit(photo.size), Image.Resampling.BILINEAR, reducing_gap=2.0)"
# Lines that sample a photo to the last bit as photos.letterbox does it; a model card has them too.
BETWEEN = """\
# Each pixel lies between four of the photo, as in the training; what lies between those is skipped.
def between(pixels, length):
    at = np.arange(length, dtype=np.float32) * np.float32(len(pixels) / length)
    low, high = at.astype(int), np.minimum(at.astype(int) + 1, len(pixels) - 1)
    return pixels[low] + (pixels[high] - pixels[low]) * (at - low)[:, None, None]
"""
_SAMPLE = f"""\
{BETWEEN}

across = between(np.asarray(small, np.float32).swapaxes(0, 1), side).swapaxes(0, 1)
small = Image.fromarray((between(across, side) + 0.5).astype(np.uint8))"""

_TEXT = Template('''\
"""Find objects in a photo:  python detect.py photo.jpg

It prints what it finds, with boxes in pixels of the photo, and draws it into photo_detected.png. It runs on a
Raspberry Pi, and wherever else there is Python 3.9 or later:  pip install ai-edge-litert numpy pillow
"""

import os
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageDraw, ImageOps

NAMES = $names
THRESHOLD = $threshold  # 0 to 1; what the model is less sure of is left out

if len(sys.argv) != 2:
    sys.exit("Usage: python detect.py photo.jpg")
path = Path(sys.argv[1])
model = Interpreter(str(Path(__file__).with_name("$model")), num_threads=os.cpu_count()).get_signature_runner()
side = int(model.get_input_details()["images"]["shape"][1])


def fit(size):
    """Return the width and height of a photo within the model's square."""
    return $fit


try:
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")  # upright, as viewers show it
    small = Image.open(path)
$draft    small = ImageOps.exif_transpose(small).convert("RGB")
except FileNotFoundError:
    sys.exit(f"{path}: there is no such file.")
except OSError as error:
    sys.exit(f"{path}: not a photo that Pillow can read ({error}).")
$resized
square = np.full((1, side, side, 3), $mean, model.get_input_details()["images"]["dtype"])
square[0, : small.height, : small.width] = small
found = {name: values[0] for name, values in model(images=square).items()}

scale = np.array([photo.height / small.height, photo.width / small.width] * 2) * side
limits = [photo.height, photo.width] * 2
draw, line = ImageDraw.Draw(photo), max(2, max(photo.size) // 300)
for box, score, label in zip(found["boxes"][: int(found["count"])], found["scores"], found["classes"]):
    ymin, xmin, ymax, xmax = np.clip(box * scale, 0, limits).tolist()
    if score < THRESHOLD or ymin >= ymax or xmin >= xmax:
        continue
    print(f"{NAMES[int(label)]} {score:.3f}: xmin {xmin:.1f}, ymin {ymin:.1f}, xmax {xmax:.1f}, ymax {ymax:.1f}")
    draw.rectangle((xmin, ymin, xmax, ymax), outline="red", width=line)
    style = {"fill": "red", "stroke_fill": "white", "stroke_width": line // 2, "font_size": 7 * line}
    draw.text((xmin + 2 * line, ymin + line), f"{NAMES[int(label)]} {score:.0%}", **style)
photo.save(path.with_name(f"{path.stem}_detected.png"))
print(f"Drawn into {path.with_name(f'{path.stem}_detected.png')}.")
''')


def write(folder: Path, facts: ExportFacts, label_map: LabelMap) -> Path:
    """Write ``detect.py`` into an export folder.

    Args:
        folder: of the export.
        facts: what is known about it.
        label_map: its classes.

    Returns:
        The program's path.

    Raises:
        ValueError: the model is no LiteRT file, or does not detect by itself.
    """
    if facts.format != "tflite" or not facts.decoded:
        raise ValueError(
            f"{folder}: {PROGRAM} runs LiteRT files that detect by themselves. Export with exporting.tflite, nms=True."
        )
    path = folder / PROGRAM
    names = pprint.pformat(list(label_map.names), width=112, compact=True).replace("\n", "\n        ")
    sampled = facts.resize == STRETCH_BILINEAR
    text = _TEXT.substitute(
        names=names,
        threshold=facts.threshold,
        model=MODEL,
        fit=_FITS[facts.resize],
        draft="" if sampled else _DRAFT,
        resized=_SAMPLE if sampled else _RESIZE,
        mean=MEAN_RGB,
    )
    path.write_text(text, encoding="utf-8")
    return path
