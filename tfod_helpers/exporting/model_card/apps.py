"""The lines of a model card that run a LiteRT file in an app, by MediaPipe Tasks.

Its names are those of MediaPipe's guide to object detection on Android, iOS and the web:
https://ai.google.dev/edge/mediapipe/solutions/vision/object_detector
"""

from __future__ import annotations

import textwrap
from string import Template

from tfod_helpers.detector import ExportFacts
from tfod_helpers.presets.resizing import LETTERBOX

_SHRINKING = (
    "MediaPipe Tasks loads `model.tflite` as it is, on Android, iOS and the web. Give it the threshold: it passes over "
    "the one in the file. Shrink a large photo before, as below: MediaPipe's own shrinking leaves pixels out, and "
    "small objects with them. The boxes are then in pixels of the small photo."
)
_STRETCHED = (
    "MediaPipe stretches each photo to the model's square, and this model was trained on photos that kept their shape. "
    "Hand it square photos, or train anew with `experiment.make(..., resize='stretch')`; otherwise it finds less."
)
_CODE = Template("""\
Android, in Kotlin:

```kotlin
// build.gradle: implementation("com.google.mediapipe:tasks-vision:latest.release"); model.tflite in src/main/assets
val options = ObjectDetector.ObjectDetectorOptions.builder()
    .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
    .setRunningMode(RunningMode.IMAGE)
    .setScoreThreshold(${threshold}f)
    .build()
val detector = ObjectDetector.createFromOptions(context, options)
val small = Bitmap.createScaledBitmap(bitmap, $side, $side, true)  // of a large photo, halve it step by step before
for (found in detector.detect(BitmapImageBuilder(small).build()).detections())
    println("$${found.categories()[0].categoryName()} $${found.categories()[0].score()} $${found.boundingBox()}")
```

iOS, in Swift:

```swift
// Podfile: pod 'MediaPipeTasksVision'; model.tflite in the app's bundle
let options = ObjectDetectorOptions()
options.baseOptions.modelAssetPath = Bundle.main.path(forResource: "model", ofType: "tflite")!
options.runningMode = .image
options.scoreThreshold = $threshold
let detector = try ObjectDetector(options: options)
let format = UIGraphicsImageRendererFormat()
format.scale = 1
let square = CGRect(x: 0, y: 0, width: $side, height: $side)
let small = UIGraphicsImageRenderer(bounds: square, format: format).image { context in
    context.cgContext.interpolationQuality = .high
    photo.draw(in: square)
}
for found in try detector.detect(image: MPImage(uiImage: small)).detections {
    print(found.categories[0].categoryName ?? "", found.categories[0].score, found.boundingBox)
}
```

The web, in JavaScript:

```js
import {FilesetResolver, ObjectDetector} from "@mediapipe/tasks-vision";

const vision = await FilesetResolver.forVisionTasks("node_modules/@mediapipe/tasks-vision/wasm");
const detector = await ObjectDetector.createFromOptions(vision,
  {baseOptions: {modelAssetPath: "model.tflite"}, scoreThreshold: $threshold});
const photo = await createImageBitmap(file);
const small = await createImageBitmap(photo, {resizeWidth: $side, resizeHeight: $side, resizeQuality: "high"});
for (const {boundingBox, categories} of detector.detect(small).detections)
  console.log(categories[0].categoryName, categories[0].score, boundingBox.originX * photo.width / small.width);
```
""")


def in_apps(facts: ExportFacts) -> str:
    """Return how apps run a LiteRT file that ends in the post-processing operator, in Markdown."""
    notes = [_SHRINKING, _STRETCHED] if facts.resize == LETTERBOX else [_SHRINKING]
    text = "\n\n".join(textwrap.fill(note, 120) for note in notes)
    code = _CODE.substitute(side=facts.image_size, threshold=f"{facts.threshold:.2f}")
    return f"### In an app\n\n{text}\n\n{code}"
