"""The detector: any photo in, detections in that photo's pixels out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.detector import Detector, ExportFacts
from tfod_helpers.detector.detections import in_photo
from tfod_helpers.photos import Letterboxed
from tfod_helpers.presets.resizing import RESIZES
from tfod_helpers.problems import DatasetError

LABEL_MAP = LabelMap(["cat", "dog"])
SIDE = 64


def bright_spot(squares: np.ndarray) -> dict[str, np.ndarray]:
    """A stand-in for a model: the box of what is brighter than 200, as a dog, and a faint cat over the whole square."""
    boxes_xyxy = np.zeros((len(squares), 2, 4), np.float32)
    scores = np.tile(np.array([0.9, 0.2], np.float32), (len(squares), 1))
    for number, square in enumerate(squares):
        ys, xs = np.nonzero(square.min(axis=-1) > 200)
        if len(ys):
            boxes_xyxy[number, 0] = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        boxes_xyxy[number, 1] = [-5, -5, SIDE + 5, SIDE + 5]
    classes = np.tile(np.array([2, 1], np.int32), (len(squares), 1))
    return {"boxes_xyxy": boxes_xyxy, "scores": scores, "classes": classes, "count": np.full(len(squares), 2)}


@pytest.fixture
def detector() -> Detector:
    """A detector of bright spots."""
    return Detector(bright_spot, LABEL_MAP, SIDE, 0.5)


def spotted(width: int = 200, height: int = 120) -> np.ndarray:
    """A black picture with a white rectangle over the middle fifth to four fifths of each side."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[height // 5 : height * 4 // 5, width // 5 : width * 4 // 5] = 255
    return rgb


def expected_box(width: int = 200, height: int = 120) -> list[int]:
    """Where the rectangle is, ``[xmin, ymin, xmax, ymax]``."""
    return [width // 5, height // 5, width * 4 // 5, height * 4 // 5]


@pytest.mark.parametrize("size", [(200, 120), (120, 200), (64, 64), (30, 40), (1999, 1501)])
def test_boxes_are_in_the_pixels_of_the_photo(detector: Detector, size: tuple[int, int]) -> None:
    """Whatever the photo's size, the box lies on the object to within one pixel of the model's square."""
    found = detector.detect(spotted(*size))
    assert found["class_name"].tolist() == ["dog"]
    assert found.class_id.tolist() == [2]
    np.testing.assert_allclose(found.xyxy[0], expected_box(*size), atol=1.01 * max(size) / SIDE)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(200, 50), (70, 500), (30, 40), (1600, 1200)])
def test_boxes_come_back_in_their_place_however_the_photo_is_resized(
    resize: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """Of a wide and of a tall photo, from an array and from a JPEG, each axis is scaled back by its own factor."""
    detector = Detector(bright_spot, LABEL_MAP, SIDE, 0.5, resize=resize)
    Image.fromarray(spotted(*size)).save(tmp_path / "photo.jpg", quality=95)
    longest = max(size)
    a_pixel = 1.01 * np.tile([longest, longest] if resize == "letterbox" else size, 2) / SIDE
    if resize == "stretch_bilinear":  # it counts from the pixels' corners, so that a photo moves by up to half a pixel
        a_pixel = a_pixel + 0.5
    for photo in (spotted(*size), tmp_path / "photo.jpg"):
        (box_xyxy,) = detector.detect(photo).xyxy
        assert (np.abs(box_xyxy - expected_box(*size)) <= a_pixel).all()
    seen = detector.letterbox(spotted(*size))
    is_padding = (seen.pixels == photos.MEAN_RGB).all(axis=-1)
    assert is_padding.any() == (resize == "letterbox")
    assert seen.scale == pytest.approx(SIDE / np.array([longest, longest] if resize == "letterbox" else size), abs=0.01)


def test_an_unknown_way_to_resize_is_refused_in_words() -> None:
    """A slip of the pen is told with what is allowed and what was probably meant."""
    with pytest.raises(
        ValueError,
        match=r"resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'strech'\. Did you mean 'str",
    ):
        Detector(bright_spot, LABEL_MAP, SIDE, 0.5, resize="strech")


def test_an_export_says_how_its_photos_are_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of an export resizes as its export.json says, as a letterbox where it says nothing of it."""
    monkeypatch.setattr("tfod_helpers.detector.detector.load_model", lambda folder, facts: bright_spot)
    LABEL_MAP.write(tmp_path / "label_map.pbtxt")
    facts = ExportFacts("any", SIDE, len(LABEL_MAP), 0.5, "mobilenet_v2_192", 100, 0.4, 0.8, resize="stretch")
    facts.write(tmp_path)
    detector = Detector.load(tmp_path)
    assert detector.resize == "stretch"
    assert (detector.letterbox(spotted(200, 50)).pixels[-1] == 0).all()  # photo down to the last row
    written = json.loads((tmp_path / "export.json").read_text())
    (tmp_path / "export.json").write_text(json.dumps(written | {"resize": "crop"}))
    with pytest.raises(
        ValueError,
        match=r"export\.json: damaged \(resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'crop'",
    ):
        Detector.load(tmp_path)
    del written["resize"]
    (tmp_path / "export.json").write_text(json.dumps(written))
    assert Detector.load(tmp_path).resize == "letterbox"


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA"])
def test_every_mode_of_a_pillow_image_is_seen(detector: Detector, mode: str) -> None:
    """A Pillow image of any mode gives the box that its RGB form gives."""
    grey = Image.fromarray(spotted()).convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    found = detector.detect(image)
    np.testing.assert_allclose(found.xyxy[0], expected_box(), atol=4)


def test_arrays_may_be_grey_or_have_alpha(detector: Detector) -> None:
    """Arrays of shape (h, w), (h, w, 1), (h, w, 3) and (h, w, 4) are all images."""
    rgb = spotted()
    opaque = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=-1)
    for array in (rgb, rgb[..., 0], rgb[..., :1], opaque):
        np.testing.assert_allclose(detector.detect(array).xyxy[0], expected_box(), atol=4)


def test_a_phones_photo_is_turned_upright(detector: Detector, tmp_path: Path) -> None:
    """The box is in the frame that viewers show, however the photo is given; pixels that were turned stay so."""
    rgb = np.zeros((120, 200, 3), np.uint8)
    rgb[:40, :60] = 255  # top left as stored; turned by 90 degrees clockwise it is top right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    path = tmp_path / "turned.jpg"
    with Image.open(path) as image:
        kinds = [path, image, image.copy(), image.convert("L"), ImageOps.exif_transpose(image), path.read_bytes()]
        for kind in kinds:
            np.testing.assert_allclose(detector.detect(kind).xyxy[0], [80, 0, 120, 60], atol=4)
        np.testing.assert_allclose(detector.detect(np.asarray(image)).xyxy[0], [0, 0, 60, 40], atol=4)


def test_a_large_jpeg_is_seen_as_its_pixels_are(detector: Detector, tmp_path: Path) -> None:
    """A JPEG that is decoded at a fraction of its size gives the same box and nearly the same square."""
    rgb = spotted(2000, 1500)
    Image.fromarray(rgb).save(tmp_path / "large.jpg", quality=95)
    np.testing.assert_allclose(detector.detect(tmp_path / "large.jpg").xyxy[0], expected_box(2000, 1500), atol=32)
    ours, whole = detector.letterbox(tmp_path / "large.jpg"), detector.letterbox(rgb)
    assert (ours.width, ours.height, ours.scale) == (whole.width, whole.height, whole.scale) == (2000, 1500, ours.scale)
    assert np.abs(ours.pixels.astype(int) - whole.pixels).mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (2000, 20), (3, 900)])
def test_extreme_shapes_do_not_fail(detector: Detector, size: tuple[int, int]) -> None:
    """One pixel, and photos a hundred times as long as wide, are scaled and their boxes stay inside them."""
    found = detector.detect(np.full((size[1], size[0], 3), 255, np.uint8), threshold=0.0)
    assert found.xyxy.min() >= 0
    assert (found.xyxy[:, [0, 2]] <= size[0]).all()
    assert (found.xyxy[:, [1, 3]] <= size[1]).all()


def test_a_list_gives_what_its_photos_give_alone(detector: Detector, tmp_path: Path) -> None:
    """Lists of mixed kinds and any length, in batches of any size, come back in order."""
    Image.fromarray(spotted(90, 70)).save(tmp_path / "a.png")
    kinds = [spotted(), Image.fromarray(spotted(50, 60)), tmp_path / "a.png", str(tmp_path / "a.png")]
    mixed = [kinds[number % 4] for number in range(17)]
    alone = [detector.detect(photo).xyxy for photo in mixed]
    for batch_size in (1, 4, 16):
        found = detector.detect(mixed, batch_size=batch_size)
        assert len(found) == 17
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_array_equal(one, other.xyxy)
    assert detector.detect([]) == []


def test_the_threshold_is_the_least_confidence(detector: Detector) -> None:
    """The detector's own threshold is taken unless another is given; the most confident comes first."""
    assert detector.detect(spotted()).confidence.tolist() == pytest.approx([0.9])
    assert detector.detect(spotted(), threshold=0.0).confidence.tolist() == pytest.approx([0.9, 0.2])
    assert len(detector.detect(spotted(), threshold=0.95)) == 0
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            detector.detect(spotted(), threshold=wrong)


def test_what_is_no_photo_is_named(detector: Detector, tmp_path: Path) -> None:
    """A missing file, a file that is no image, a cut one and a wrong array each say what they are."""
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    whole = io.BytesIO()
    Image.fromarray(spotted()).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:900])
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: there is no such file"):
        detector.detect(tmp_path / "gone.jpg")
    with pytest.raises(photos.PhotoError, match=r"page\.jpg: a web page"):
        detector.detect([spotted(), tmp_path / "page.jpg"])
    with pytest.raises(photos.PhotoError, match=r"cut\.jpg: damaged or cut off"):
        detector.detect(tmp_path / "cut.jpg")
    with pytest.raises(FileNotFoundError, match=r"\*\.jpg: there is no such file\. Give what glob\.glob makes of it"):
        detector.detect(tmp_path / "*.jpg")
    with pytest.raises(TypeError, match=r"detect_folder takes the path of a folder, got list; detect takes photos"):
        detector.detect_folder([tmp_path])
    with pytest.raises(photos.PhotoError, match=r"this is a folder, not a photo\. Give it to detect_folder"):
        detector.detect(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"https://example\.com/a\.jpg: there is no such file\. Download it first"
    ):
        detector.detect("https://example.com/a.jpg")


class Tensor:
    """What TensorFlow, PyTorch and JAX have in common: it can be made an array, and is gone through by rows."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.array

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.array)


ONE = {
    "a tensor": lambda path: Tensor(spotted()),
    "bytes": Path.read_bytes,
    "a bytearray": lambda path: bytearray(path.read_bytes()),
    "an open file": lambda path: path.open("rb"),
    "a file in memory": lambda path: io.BytesIO(path.read_bytes()),
    "a labelled image": lambda path: LabelledImage(path, 200, 120, np.zeros((0, 4)), []),
}
SEVERAL = {
    "a list": lambda folder: [spotted(), folder / "a.png", Image.fromarray(spotted())],
    "a tuple": lambda folder: (spotted(),) * 3,
    "a generator": lambda folder: (spotted() for _ in range(3)),
    "what glob gives": lambda folder: folder.glob("*.png"),
    "a map": lambda folder: map(str, folder.glob("*.png")),
    "a dict's values": lambda folder: dict.fromkeys("abc", spotted()).values(),
    "a dict's keys": lambda folder: dict.fromkeys(map(str, folder.glob("*.png"))).keys(),
    "a stack of photos": lambda folder: np.stack([spotted()] * 3),
    "a tensor of photos": lambda folder: Tensor(np.stack([spotted()] * 3)),
    "a column of paths": lambda folder: pd.DataFrame({"path": map(str, folder.glob("*.png"))})["path"],
    "an array of paths": lambda folder: np.array(list(map(str, folder.glob("*.png")))),
    "a dataset": lambda folder: Dataset(
        [LabelledImage(path, 200, 120, np.zeros((0, 4)), []) for path in folder.glob("*.png")], LABEL_MAP
    ),
}


@pytest.mark.parametrize("kind", ONE)
def test_one_photo_of_any_kind_gives_one_result(kind: str, detector: Detector, tmp_path: Path) -> None:
    """Whatever stands for one photo gives one `Detections`, and a list of it a list of one."""
    Image.fromarray(spotted()).save(tmp_path / "a.png")
    photo = ONE[kind](tmp_path / "a.png")
    np.testing.assert_allclose(detector.detect(photo).xyxy[0], expected_box(), atol=4)
    (found,) = detector.detect([photo])  # an open file is read from its start again
    np.testing.assert_allclose(found.xyxy[0], expected_box(), atol=4)


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_photos_of_any_kind_give_a_list(kind: str, detector: Detector, tmp_path: Path) -> None:
    """Whatever can be gone through in order gives one `Detections` a photo."""
    for name in "abc":
        Image.fromarray(spotted()).save(tmp_path / f"{name}.png")
    found = detector.detect(SEVERAL[kind](tmp_path), batch_size=2)
    assert isinstance(found, list)
    assert len(found) == 3
    for one in found:
        np.testing.assert_allclose(one.xyxy[0], expected_box(), atol=4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spotted() / 255, r"float64 of shape \(120, 200, 3\)\. Scale to 0\.\.255 .*its largest value is 1\."),
        (spotted().astype(np.uint16), r"uint16 of shape .*Scale to 0\.\.255"),
        (spotted() > 0, r"bool of shape .*Scale to 0\.\.255"),
        (Tensor(spotted() / np.float32(255)), r"float32 of shape"),
        (spotted().transpose(2, 0, 1), r"shape \(3, 120, 200\)\. Move the channels to the end: \.transpose\(1, 2, 0\)"),
        (np.zeros((2, 3, 9, 9, 3), np.uint8), r"shape \(2, 3, 9, 9, 3\)\. Give one photo, or a list of them\."),
        (np.zeros((0, 9, 3), np.uint8), r"shape \(0, 9, 3\)\. There are no pixels in it\."),
        (pd.DataFrame({"path": ["a.jpg"]}), r"got object of shape \(1, 1\)\. There are no pixels in it\."),
        (None, r"A photo is a path, .*got NoneType, which is what cv2\.imread gives for a file that it cannot read"),
        (7, r"A photo is a path, .*, and several are a list of them; got int\."),
        ({"a.jpg": spotted()}, r"A dict of photos cannot be told which result is whose\. Give a list\."),
        ({"a.jpg", "b.jpg"}, r"A set of photos cannot be told"),
        ([spotted(), None], r"photo 2: A photo is a path.*got NoneType, which is what cv2\.imread"),
        ([spotted(), spotted(), [spotted()]], r"photo 3: A photo is a path, .*; got list\."),
        ([spotted() / 255], r"photo 1: An image array must be uint8"),
        (io.StringIO("text"), r"must be opened for bytes: open\(path, 'rb'\)"),
    ],
)
def test_what_cannot_be_a_photo_is_refused_in_words(given: object, message: str, detector: Detector) -> None:
    """Floats, channels first, nothing, sets, lists in lists: the error says what to give, and which photo it was."""
    with pytest.raises(TypeError, match=message):
        detector.detect(given)


def test_a_folder_becomes_a_table(detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a detection with the photo's path in the folder; a photo without one is listed; a bar shows progress."""
    (tmp_path / "deep").mkdir()
    photos = {"b.jpg": spotted(), "a.JPG": np.zeros((50, 50, 3), np.uint8), "deep/c.png": spotted(80, 80)}
    for name, rgb in photos.items():
        Image.fromarray(rgb).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    table = detector.detect_folder(tmp_path, threshold=0.5)
    assert table.columns.tolist() == ["filename", "class", "confidence", "xmin", "ymin", "xmax", "ymax"]
    rows = table[table["xmax"] > 0]
    assert rows["filename"].tolist() == ["b.jpg", "deep/c.png"]
    assert set(table["class"]) == {"dog"}
    assert table.attrs["photos"] == ["a.JPG", "b.jpg", "deep/c.png"]
    assert "detecting: 100%" in capsys.readouterr().err


def test_a_folder_without_photos_is_named(detector: Detector, tmp_path: Path) -> None:
    """An empty folder and a missing one are told apart."""
    with pytest.raises(DatasetError, match="there are no photos in this folder"):
        detector.detect_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        detector.detect_folder(tmp_path / "nowhere")


def test_a_photo_that_cannot_be_read_is_left_out_and_told_of(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged photo does not cost the other photos' detections; where all are damaged, it is an error."""
    (tmp_path / "bad.jpg").write_bytes(b"nonsense")
    with pytest.raises(DatasetError, match=r"no photo can be read.*\n.*bad\.jpg"):
        detector.detect_folder(tmp_path)
    Image.fromarray(spotted()).save(tmp_path / "good.jpg")
    table = detector.detect_folder(tmp_path)
    assert table["filename"].tolist() == ["good.jpg"]
    assert table.attrs["photos"] == ["good.jpg"]
    assert "1 of 2 photos are left out" in capsys.readouterr().out


def test_importing_it_loads_no_tensorflow() -> None:
    """Only loading a SavedModel needs TensorFlow, so that other exports will not."""
    code = "import sys, tfod_helpers.detector; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", RESIZES)
def test_masks_lie_in_their_boxes_in_the_pixels_of_the_photo(resize: str) -> None:
    """A disc within its box comes back as that disc in the photo, for whole photos and for boxes over the edge."""
    y, x = (np.mgrid[0:28, 0:28] + 0.5) / 28 - 0.5
    disc = np.where(x**2 + y**2 < 0.25, 0.9, 0.1).astype(np.float32)

    def found(squares: np.ndarray) -> dict[str, np.ndarray]:
        masks = np.tile(disc, (len(squares), 2, 1, 1))
        return bright_spot(squares) | {"masks": masks}

    detector = Detector(found, LABEL_MAP, SIDE, 0.1, resize=resize)
    photo = spotted(200, 120)
    dog, cat = detector.detect(photo).mask
    assert dog.shape == (120, 200)
    xmin, ymin, xmax, ymax = detector.detect(photo).xyxy[0]
    down, across = np.mgrid[0:120, 0:200] + 0.5
    away = ((across - xmin) / (xmax - xmin) - 0.5) ** 2 + ((down - ymin) / (ymax - ymin) - 0.5) ** 2
    assert dog[away < 0.22].all()
    assert not dog[away > 0.28].any()
    # The cat's box is larger than the photo, so its disc is too, and reaches all but the corners.
    assert cat[55:65].all()
    assert not cat[0, :10].any()
    assert Detector(bright_spot, LABEL_MAP, SIDE, 0.1).detect(photo).mask is None


def test_masks_of_a_large_photo_take_little_memory() -> None:
    """A hundred masks of twelve megapixels, a gigabyte as pixels, are kept as the outlines that they have."""
    boxes_xyxy = np.tile(np.array([[10, 10, 20, 20]], np.float32), (100, 1))[None]
    outputs = {"boxes_xyxy": boxes_xyxy, "scores": np.full((1, 100), 0.9), "classes": np.ones((1, 100))}
    outputs |= {"count": np.array([100]), "masks": np.ones((1, 100, 28, 28), np.float32)}
    photo = Letterboxed(np.zeros((SIDE, SIDE, 3), np.uint8), (SIDE / 4000, SIDE / 4000), 4000, 3000)
    tracemalloc.start()
    found = in_photo(outputs, 0, photo, 0.5, np.array(["cat"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.mask.shape == (100, 3000, 4000)
    assert found.mask[99].sum() == pytest.approx(np.prod(found.xyxy[99, 2:] - found.xyxy[99, :2]), rel=0.01)
    assert peak < 100e6
