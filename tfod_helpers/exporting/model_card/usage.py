"""The lines of a model card that run an export: with this package, and of each format without it."""

from __future__ import annotations

import textwrap
from string import Template

from tfod_helpers.detector import ANCHORS, ExportFacts
from tfod_helpers.exporting.model_card.apps import in_apps
from tfod_helpers.exporting.raspberry_pi import BETWEEN, PROGRAM
from tfod_helpers.photos.pixels import MEAN_RGB
from tfod_helpers.presets.resizing import LETTERBOX, STRETCH, STRETCH_BILINEAR

_WITH_US = """\
With `tfod_helpers`, which takes photos of any size and kind and gives boxes in their pixels, in this folder:

```python
from tfod_helpers.detector import Detector

found = Detector.load(".").detect("photo.jpg")  # supervision.Detections
print(found.xyxy, found.confidence, found["class_name"])
```
"""

# The size that a photo gets in the square, as photos.letterbox computes it.
_SIZES = {
    LETTERBOX: "[max(1, round(length * $side / max(photo.size))) for length in photo.size]",
    STRETCH: "$side, $side",
    STRETCH_BILINEAR: "$side, $side",
}
_RESIZE = """\
square[:height, :width] = photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
"""
_SAMPLE = f"""\
{BETWEEN}
across = between(np.asarray(photo, np.float32).swapaxes(0, 1), width).swapaxes(0, 1)
square[:height, :width] = between(across, height) + 0.5
"""
_PREPARE = """\
```python
import numpy as np
from PIL import Image, ImageOps

photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
width, height = $size
square = np.full(($side, $side, 3), $mean, np.uint8)
$resized```
"""
_RESIZED = {
    LETTERBOX: "The photo is scaled to fit into a square of $side x $side pixels, keeps its shape and lies in its top "
    "left corner; the rest has the colour $mean.",
    STRETCH: "The photo is stretched to a square of $side x $side pixels, whatever its shape.",
    STRETCH_BILINEAR: "The photo is stretched to a square of $side x $side pixels, whatever its shape, each pixel "
    "between four of the photo's; what lies between is skipped, as in the training.",
}
_WITHOUT = "Without it, the photo has to be prepared first."
_NORMALIZED = (
    "The model takes RGB values from 0 to 255: normalization is part of it. The photo is turned upright "
    "before, as its EXIF orientation says."
)

_PIXELS = """\
Boxes are in pixels of the square, `[xmin, ymin, xmax, ymax]`; divided by `[width / photo.width, height / photo.height]`
they are in pixels of the photo. The highest score comes first, classes are numbered from 1 as in `label_map.pbtxt`, and
of each output only the first `count` rows count.
"""
_FRACTIONS = """\
Boxes are fractions of the square, `[ymin, xmin, ymax, xmax]`: times $side, and divided by `[height / photo.height,
width / photo.width]`, they are in pixels of the photo. The highest score comes first, classes are numbered from 0, and
of each output only the first `count` rows count.
"""
_ENCODED = """\
`boxes` are encoded and `logits` are no scores yet. With an anchor `[ycenter, xcenter, height, width]` of `$anchors`, in
pixels of the square, and its box `[dy, dx, dh, dw]`,

- the centre is `[ycenter + dy * height, xcenter + dx * width]`, and the size `[exp(dh) * height, exp(dw) * width]`;
- the score of a class is `1 / (1 + exp(-logit))`; classes are numbered from 0;
- of the boxes of one class that overlap by an IoU of more than $iou, the one with the highest score is kept.
"""

_LITERT = """\
With LiteRT (`pip install ai-edge-litert`), one square at a time:

```python
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("model.tflite").get_signature_runner()
$call
```

"""
_USES = {
    "saved_model": """\
With TensorFlow alone, for any number of squares at once:

```python
import tensorflow as tf

model = tf.saved_model.load(".")
found = model.signatures["serving_default"](images=tf.constant(square[None]))
boxes, scores, classes, count = (found[name] for name in ("boxes_xyxy", "scores", "classes", "count"))
```

"""
    + _PIXELS,
    "onnx": """\
With ONNX Runtime (`pip install onnxruntime`), for any number of squares at once:

```python
import onnxruntime

model = onnxruntime.InferenceSession("model.onnx")
names = ["boxes_xyxy", "scores", "classes", "count"]
boxes, scores, classes, count = model.run(names, {"images": square[None]})
```

"""
    + _PIXELS,
    "tfjs": """\
With TensorFlow.js (`npm install @tensorflow/tfjs`), where `square` is an `ImageData` of that size:

```js
const model = await tf.loadGraphModel("model.json");
const images = tf.expandDims(tf.cast(tf.browser.fromPixels(square), "float32"));
const outputs = model.modelSignature.outputs;
const [boxes, logits] = model.execute(images, [outputs.boxes.name, outputs.logits.name]);
```

"""
    + _ENCODED,
    "web_page": "Open `index.html` in a browser: it takes photos, and the camera's pictures, and sends them nowhere.\n",
}


def usage(facts: ExportFacts) -> str:
    """Return how an export is run, in Markdown: with this package; what a photo has to become, and the lines behind."""
    if facts.format == "web_page":
        return _USES["web_page"]
    own = _lite(facts) if facts.format == "tflite" else _USES.get(facts.format, "")
    if not own:
        return _WITH_US
    values = {
        "side": facts.image_size,
        "mean": MEAN_RGB,
        "anchors": ANCHORS,
        "iou": f"{facts.nms.iou:g}",
        "resized": _SAMPLE if facts.resize == STRETCH_BILINEAR else _RESIZE,
        "size": Template(_SIZES[facts.resize]).substitute(side=facts.image_size),
    }
    prepared = Template(f"{_WITHOUT} {_RESIZED[facts.resize]} {_NORMALIZED}").substitute(values)
    in_python = facts.format != "tfjs"
    code = Template(f"{_PREPARE}\n{own}" if in_python else own).substitute(values)
    apps = f"\n{in_apps(facts)}" if facts.format == "tflite" and facts.decoded else ""
    return f"{_WITH_US}\n{textwrap.fill(prepared, 120)}\n\n{code}{apps}"


def _lite(facts: ExportFacts) -> str:
    kind = "uint8" if facts.precision == "int8_full" else "float32"
    image = 'images=square[None].astype("float32")' if kind == "float32" else "images=square[None]"
    if facts.decoded:
        program = f"`python {PROGRAM} photo.jpg` does all of it, with ai-edge-litert, numpy and Pillow alone.\n\n"
        call = (
            f'found = model({image})\nboxes, scores, classes = (found[name][0, : int(found["count"][0])] for name in '
        )
        call += '("boxes", "scores", "classes"))'
        return program + _LITERT.replace("$call", call) + _FRACTIONS
    call = f'found = model({image})\nboxes, logits = found["boxes"][0], found["logits"][0]'
    quantized = (
        "Both are uint8: `model.get_output_details()` has their `quantization`, a scale and a zero point. A number is "
        "`scale * (value - zero point)`.\n\n"
    )
    return _LITERT.replace("$call", call) + quantized * (kind == "uint8") + _ENCODED
