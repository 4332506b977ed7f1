"""The metadata of a LiteRT file: where MediaPipe looks for it, the model as it was, and what does not fit."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Model
from conftest import Once
from PIL import Image
from small_training import Small, Trained
from tflite_files import TfliteFile

from tfod_helpers.detector import tflite_metadata as reading
from tfod_helpers.exporting import tflite_metadata

# Run by a Python that has MediaPipe: a model and photos -> what its ObjectDetector finds in them, from a threshold.
MEDIAPIPE = "mediapipe==1.2.3"
DETECT = """
import json, sys
import mediapipe
import numpy
from mediapipe.tasks.python import BaseOptions, vision
from PIL import Image
model, *photos = sys.argv[1:]
options = vision.ObjectDetectorOptions(BaseOptions(model_asset_path=model), max_results=100, score_threshold=0.01)
with vision.ObjectDetector.create_from_options(options) as detector:
    for photo in photos:
        rgb = numpy.array(Image.open(photo).convert("RGB"))
        found = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)).detections
        boxes = [(one.bounding_box, one.categories[0]) for one in found]
        rows = [[b.origin_x, b.origin_y, b.width, b.height, c.score, c.category_name] for b, c in boxes]
        print(json.dumps(rows))
"""
SIDE, ANCHORS = 4, 12
LABELS = ["cat", "dog", "black bird", "Großkatze"]  # as many as a box has numbers: shapes do not tell outputs apart
NAMES = {"name": "Cats", "description": "Finds cats.", "version": "7", "author": "Ada", "license": "CC0-1.0"}
forms = pytest.mark.parametrize("decoded", [True, False], ids=["decoded", "encoded"])


def anchors_yxhw() -> np.ndarray:
    """Three boxes around each quarter of the input, in its pixels."""
    centres = np.array([(y, x) for y in (1, 3) for x in (1, 3) for _ in range(3)])
    return np.concatenate([centres, np.tile([(1, 2), (2, 2), (2, 1)], (4, 1))], axis=1).astype(np.float32)


def detector_file(*, decoded: bool, names: tuple[str, str] = ("boxes", "logits")) -> bytes:
    """A model that takes (1, 4, 4, 3) for twelve encoded boxes, and for the logits too.

    Args:
        decoded: with the post-processing operator behind, whose outputs stand in another order than it gives them.
        names: of the encoded outputs; their order in the file is the other one, as a converter's is.
    """
    file = TfliteFile()
    image = file.tensor((1, SIDE, SIDE, 3), "FLOAT32", name="images")
    shape = file.tensor((3,), "INT32", np.array([1, ANCHORS, 4], np.int32))
    outputs = {name: file.tensor((1, ANCHORS, 4), "FLOAT32") for name in reversed(names)}
    for output in outputs.values():
        file.operator("RESHAPE", [image, shape], output)
    if decoded:
        anchors = file.tensor((ANCHORS, 4), "FLOAT32", anchors_yxhw() / SIDE)
        shapes = {"boxes": (1, 5, 4), "classes": (1, 5), "scores": (1, 5), "count": (1,)}
        found = {name: file.tensor(shape, "FLOAT32") for name, shape in shapes.items()}
        settings: dict[str, Any] = {"max_detections": 5, "detections_per_class": 5, "max_classes_per_detection": 1}
        settings |= {f"{axis}_scale": 1.0 for axis in "yxhw"} | {"num_classes": len(LABELS), "use_regular_nms": True}
        settings |= {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.5}
        inputs = [*(outputs[name] for name in names), anchors]
        file.operator("CUSTOM", inputs, *found.values(), custom="TFLite_Detection_PostProcess", settings=settings)
        outputs = {name: found[name] for name in ("count", "scores", "boxes", "classes")}
    taken, given = ([schema.TensorMapT(*one) for one in part.items()] for part in ({"images": image}, outputs))
    file.model.signatureDefs = [schema.SignatureDefT(taken, given, "serving_default")]
    return file.content([image], list(outputs.values()))


def with_metadata(tflite: bytes, **changed: Any) -> bytes:
    """The file with metadata, as an export gives it."""
    return tflite_metadata.add(
        tflite, **{**NAMES, "labels": LABELS, "threshold": 0.25, "anchors_yxhw": anchors_yxhw()} | changed
    )


class At:
    """A table of a flatbuffer, read by the numbers of its fields in the .fbs file, without the package."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def at(self, slot: int) -> int:
        """Where a field's value is; 0 where it is not written."""
        vtable = self.position - self.number("<i", self.position)
        inside = 4 + 2 * slot < self.number("<H", vtable)
        offset = self.number("<H", vtable + 4 + 2 * slot) if inside else 0
        return self.position + offset if offset else 0

    def number(self, kind: str, at: int) -> Any:
        """A number at a place."""
        return struct.unpack_from(kind, self.data, at)[0]

    def behind(self, at: int) -> int:
        """What an offset refers to."""
        return at + int(self.number("<I", at))

    def table(self, slot: int) -> At:
        """A field that is a table."""
        return At(self.data, self.behind(self.at(slot)))

    def vector(self, slot: int, kind: str) -> tuple[Any, ...]:
        """A field that is a vector of numbers."""
        start = self.behind(self.at(slot))
        return struct.unpack_from(f"<{self.number('<I', start)}{kind}", self.data, start + 4)

    def tables(self, slot: int) -> Iterator[At]:
        """A field that is a vector of tables."""
        start = self.behind(self.at(slot)) + 4
        for number in range(self.number("<I", start - 4)):
            yield At(self.data, self.behind(start + 4 * number))

    def text(self, slot: int) -> str:
        """A field that is a text."""
        return bytes(self.vector(slot, "B")).decode()


def metadata_of(tflite: bytes) -> bytes:
    """The one metadata flatbuffer of a file."""
    model = Model.GetRootAs(tflite)
    [entry] = (m for m in map(model.Metadata, range(model.MetadataLength())) if m.Name() == b"TFLITE_METADATA")
    return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()


def root(data: bytes) -> At:
    """The root table of a flatbuffer."""
    return At(data, struct.unpack_from("<I", data)[0])


@forms
def test_fields_are_where_the_schema_has_them(decoded: bool) -> None:
    """Read by the slots of metadata_schema.fbs: the model's names, RGB without normalization, outputs in file order."""
    data = metadata_of(with_metadata(detector_file(decoded=decoded)))
    assert data[4:8] == b"M001"
    model = root(data)
    assert [model.text(slot) for slot in (0, 1, 2, 4, 5)] == list(NAMES.values())
    assert model.text(7) == ("1.0.0" if decoded else "1.5.0")
    [graph] = model.tables(3)
    [image] = graph.tables(2)
    content, [unit] = image.table(3), image.tables(4)
    assert content.number("B", content.at(0)) == 2  # ImageProperties
    assert content.table(1).number("b", content.table(1).at(0)) == 1  # RGB
    assert unit.number("B", unit.at(0)) == 1  # NormalizationOptions
    assert [unit.table(1).vector(slot, "f") for slot in (0, 1)] == [(0.0,), (1.0,)]
    outputs = {output.text(0): output for output in graph.tables(3)}
    assert list(outputs) == (
        ["number of detections", "score", "location", "category"] if decoded else ["score", "location"]
    )
    box = outputs["location"].table(3)
    assert box.number("B", box.at(0)) == 3  # BoundingBoxProperties
    assert box.table(1).vector(0, "I") == (1, 0, 3, 2)
    assert box.table(1).number("b", box.table(1).at(1)) == 1  # BOUNDARIES
    [limit] = outputs["score"].tables(4)
    assert limit.number("B", limit.at(0)) == 3  # ScoreThresholdingOptions
    assert limit.table(1).number("<f", limit.table(1).at(0)) == 0.25
    [file] = outputs["category" if decoded else "score"].tables(6)
    assert (file.text(0), file.number("b", file.at(2))) == ("labels.txt", 3 if decoded else 2)


def test_anchors_are_fractions_of_the_input() -> None:
    """Without the operator, MediaPipe's own metadata holds the anchors, x first, and how the boxes are encoded."""
    [graph] = root(metadata_of(with_metadata(detector_file(decoded=False)))).tables(3)
    [custom] = graph.tables(9)
    assert custom.text(0) == "DETECTOR_METADATA"
    data = bytes(custom.vector(1, "B"))
    assert data[4:8] == b"V001"
    options = root(data)
    anchors = [
        [anchor.number("<f", anchor.at(slot)) for slot in (1, 0, 3, 2)]
        for anchor in options.table(1).table(0).tables(0)
    ]
    np.testing.assert_array_equal(anchors, anchors_yxhw() / SIDE)
    decoding = options.table(2)
    assert [decoding.number("<i", decoding.at(slot)) for slot in (0, 1, 2, 5)] == [len(LABELS), len(anchors), 4, 2]
    assert [decoding.number("<f", decoding.at(slot)) for slot in (6, 7, 8, 9)] == [1.0] * 4
    assert [decoding.number("?", decoding.at(slot)) for slot in (10, 11)] == [True, True]


@forms
def test_the_model_computes_what_it_did(decoded: bool) -> None:
    """LiteRT gives equal outputs under equal names, and each buffer of the file lies as the schema asks."""
    plain = detector_file(decoded=decoded)
    image = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    before, after = (
        Interpreter(model_content=content).get_signature_runner()(images=image)
        for content in (plain, with_metadata(plain))
    )
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
        assert np.ptp(values) > 0 or name == "count"
    model = Model.GetRootAs(with_metadata(plain))
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    places = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if not buffer.DataIsNone()]
    assert {place % 16 for place in places} == {0}


@forms
def test_what_was_written_is_read(decoded: bool, tmp_path: Path) -> None:
    """From bytes and from a file: names, labels, threshold, normalization, outputs; and None where there is nothing."""
    plain = detector_file(decoded=decoded)
    assert reading.read(plain) is None
    (tmp_path / "model.tflite").write_bytes(with_metadata(plain))
    outputs = ("number of detections", "score", "location", "category") if decoded else ("score", "location")
    expected = reading.TfliteMetadata(
        **NAMES, labels=tuple(LABELS), threshold=0.25, mean=(0.0,), std=(1.0,), outputs=outputs
    )
    assert reading.read(tmp_path / "model.tflite") == reading.read(with_metadata(plain)) == expected


def test_labels_follow_as_a_zip_archive() -> None:
    """The archive at the end holds labels.txt alone, uncompressed, one name a line, and gives its owner no surprise."""
    with zipfile.ZipFile(io.BytesIO(with_metadata(detector_file(decoded=True)))) as archive:
        [entry] = archive.infolist()
        assert archive.testzip() is None
        assert archive.read(entry).decode() == "cat\ndog\nblack bird\nGroßkatze\n"
    assert (entry.filename, entry.compress_type, entry.external_attr >> 16) == ("labels.txt", zipfile.ZIP_STORED, 0o644)


@forms
def test_metadata_is_replaced(decoded: bool) -> None:
    """A file that has metadata ends up with the new alone, byte for byte as if it had had none before."""
    plain = detector_file(decoded=decoded)
    once = with_metadata(with_metadata(plain, name="old", labels=["a", "b", "c", "d"], threshold=0.5))
    assert once == with_metadata(plain)
    assert (once.count(b"M001"), once.count(b"labels.txt"), once.count(b"PK\5\6")) == (1, 3, 1)


@pytest.mark.parametrize(
    ("tflite", "changed", "message"),
    [
        (b"PK\3\4 no model", {}, r"these bytes: no LiteRT \(TensorFlow Lite\) model: .* bytes 5 to 8, .* b' no '"),
        (detector_file(decoded=True)[:200], {}, "these bytes: a damaged LiteRT .* Copy it again"),
        (detector_file(decoded=True), {"labels": LABELS[:3]}, "tells 4 classes apart, and the labels are 3: cat, dog"),
        (detector_file(decoded=False), {"labels": [*LABELS, "e"]}, "tells 4 classes apart, and the labels are 5"),
        (detector_file(decoded=True), {"labels": ["a", "a", "b", "c"]}, "must be distinct, got 'a' more than once"),
        (detector_file(decoded=True), {"labels": ["a", "b\nc", "d", "e"]}, "b.nc"),
        (detector_file(decoded=False), {"anchors_yxhw": None}, r"by 12 anchors, .* shape \(12, 4\), got none"),
        (detector_file(decoded=False), {"anchors_yxhw": anchors_yxhw()[1:]}, r"got an array of shape \(11, 4\)"),
        (detector_file(decoded=False, names=("a", "b")), {}, "its outputs are b, a, and MediaPipe takes those of TFL"),
    ],
)
def test_what_does_not_fit_is_refused(tflite: bytes, changed: dict[str, Any], message: str) -> None:
    """No model, a damaged one, no detector, and labels or anchors of another one: the error says what to do."""
    with pytest.raises(ValueError, match=message):
        with_metadata(tflite, **changed)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """The reader names the file, and what is wrong: no model, metadata of another kind, or the labels cut off."""
    whole = with_metadata(detector_file(decoded=True))
    path = tmp_path / "model.tflite"
    for content, message in (
        (b"", r"no LiteRT .* this one b''"),
        (whole[:200], "damaged"),
        (whole.replace(b"M001", b"M002"), "its metadata is of the kind b'M002'"),
        (whole[: whole.index(b"PK\3\4")], "labels.txt, which its metadata names, is not behind the model"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as raised:
            reading.read(path)
        assert str(path) in str(raised.value)
    with pytest.raises(FileNotFoundError):
        reading.read(tmp_path / "nowhere.tflite")


@pytest.mark.install
@pytest.mark.tensorflow
@forms
def test_mediapipe_finds_what_the_detector_finds(decoded: bool, trained: Trained, small: Small, once: Once) -> None:
    """In an environment of its own, MediaPipe loads a run's model.tflite; names, scores and boxes agree.

    The photos are squares of the model's size, so that its way to resize them has no part in it; it cuts what it says
    of boxes to whole pixels.
    """
    from tfod_helpers.detector import Detector
    from tfod_helpers.exporting import tflite

    def install(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", MEDIAPIPE, "pillow"], check=True)

    def export(folder: Path) -> None:
        tflite.export(trained.run, folder / "export", nms=decoded)
        for image in small.dataset:
            if image.width == image.height:
                Image.open(image.path).save(folder / f"{image.path.stem}.png")

    python = once("mediapipe", install) / "bin" / "python"
    folder = once(f"mediapipe-{decoded}", export)
    squares = sorted(folder.glob("*.png"))
    command = [python, "-c", DETECT, folder / "export" / "model.tflite", *squares]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Detector.load(folder / "export").detect(squares, threshold=0.01)
    compared = 0
    for line, ours in zip(done.stdout.splitlines(), found, strict=True):
        theirs = sorted(json.loads(line), key=lambda row: -row[4])
        assert theirs[0][5] == ours.data["class_name"][0]
        corners = ours.xyxy[0]
        place, size = np.split(np.array(theirs[0][:4]), 2)
        np.testing.assert_allclose(place, corners[:2], atol=1)
        # Of a box over the edge, MediaPipe cuts the corner and not the size.
        inside = (corners[:2] > 1) & (corners[2:] < Image.open(squares[0]).width - 1)
        np.testing.assert_allclose(size[inside], (corners[2:] - corners[:2])[inside], atol=1)
        compared += int(inside.sum())
        same = 5 if decoded else 1  # without the operator, MediaPipe suppresses across classes
        np.testing.assert_allclose([row[4] for row in theirs[:same]], ours.confidence[:same], atol=1e-4)
    assert compared
