"""Photos: whatever the file, RGB pixels the right way up, or an error that says what to do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deep_images
import numpy as np
import odd_jpegs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tfod_helpers import checks, formats, photos, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.problems import DatasetError

JPEG_TOLERANCE = 3.0  # mean difference of 0..255 values that saving as JPEG may cause
BROKEN = {"trunc50.jpg", "trunc_tail.jpg", "empty.jpg", "html.jpg", "lfs.jpg"}

# What a viewer does with the stored pixels for each EXIF orientation (EXIF 2.32, 4.6.4 A).
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}


@pytest.fixture(scope="module")
def odd(shared: Path) -> Path:
    """The folder of odd images and annotations."""
    return shared / "data" / "odd"


@pytest.fixture
def rgb() -> np.ndarray:
    """A smooth picture with no symmetry: uint8, shape (48, 64, 3)."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x - y], axis=-1).astype(np.uint8)


def saved(rgb: np.ndarray, format: str, **options: object) -> bytes:
    """The bytes of a file with these pixels."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format, **options)
    return buffer.getvalue()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The mean difference of two pictures of one shape."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_every_odd_image_is_read_or_refused(odd: Path) -> None:
    """Each odd image gives RGB pixels of its upright size; the broken ones, and only they, a PhotoError."""
    names = [row["file"] for row in json.loads((odd / "index.json").read_text(encoding="utf-8"))]
    images = [name for name in names if name.endswith((".jpg", ".png"))]
    refused = set()
    for name in images:
        try:
            rgb = photos.to_rgb(odd / name)
        except photos.PhotoError:
            refused.add(name)
            continue
        assert rgb.dtype == np.uint8
        width, height = photos.read_info(odd / name).upright_size
        assert rgb.shape == (height, width, 3), name
    assert refused == BROKEN
    assert len(images) > 25


@pytest.mark.parametrize(
    "name", ["webp_named.jpg", "png_named.jpg", "bmp_named.jpg", "tiff_named.jpg", "cmyk.jpg", "prog_444.jpg"]
)
def test_formats_show_the_same_picture(odd: Path, name: str) -> None:
    """The same photo in another format or colour space comes out the same, within what its encoding loses."""
    assert difference(photos.to_rgb(odd / name), photos.to_rgb(odd / "cat.1.jpg")) < 6


@pytest.mark.parametrize("orientation", range(2, 9))
def test_odd_exif_is_turned_upright(odd: Path, orientation: int) -> None:
    """Pixels under an EXIF orientation are turned as viewers turn them."""
    stored = photos.to_rgb(odd / "cat.1.jpg")
    turned = photos.to_rgb(odd / f"exif{orientation}.jpg")
    assert difference(turned, UPRIGHT[orientation](stored)) < JPEG_TOLERANCE


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photo_equals_the_upright_original(rgb: np.ndarray, orientation: int, format: str) -> None:
    """A photo stored turned, with the EXIF orientation that says so, comes out as the upright original."""
    undone = {6: 8, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(np.ascontiguousarray(UPRIGHT[undone](rgb)), format, exif=exif)
    assert difference(photos.to_rgb(data), rgb) < JPEG_TOLERANCE
    assert photos.read_info(data).upright_size == (64, 48)


def test_stored_frame_is_kept_where_the_boxes_are_in_it(odd: Path) -> None:
    """With the size of the stored frame asked for, a photo on its side is not turned."""
    stored = photos.to_rgb(odd / "exif6.jpg", (300, 280))
    assert difference(stored, photos.to_rgb(odd / "cat.1.jpg")) < JPEG_TOLERANCE
    assert photos.to_rgb(odd / "exif6.jpg", (280, 300)).shape == (300, 280, 3)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (48, 64, 3), (48, 64, 4)])
def test_arrays_of_each_shape(rgb: np.ndarray, shape: tuple[int, ...]) -> None:
    """Grey, RGB and opaque RGBA arrays come out as RGB with their values untouched."""
    rgba = np.dstack([rgb, np.full((48, 64), 255, np.uint8)])
    channels = shape[2] if len(shape) == 3 else 1
    expected = rgb if channels >= 3 else np.repeat(rgb[..., :1], 3, axis=2)
    np.testing.assert_array_equal(photos.to_rgb(rgba[..., :channels].reshape(shape)), expected)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    """An array that is no uint8 image is refused with its type and shape."""
    with pytest.raises(TypeError, match=r"got \w+ of shape \([0-9, ]+\)"):
        photos.to_rgb(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
def test_pillow_images_of_each_mode(rgb: np.ndarray, mode: str) -> None:
    """A Pillow image of any mode comes out as uint8 RGB of its size."""
    image = Image.fromarray(rgb)
    image = image.convert("L").convert(mode) if mode in ("I", "F", "I;16", "PA") else image.convert(mode, palette=1)
    out = photos.to_rgb(image)
    assert (out.dtype, out.shape) == (np.uint8, (48, 64, 3))


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_pillow_image_is_turned_as_its_file_is(rgb: np.ndarray, orientation: int) -> None:
    """A file opened with Pillow is turned upright as the file itself is, once; an array is taken as it lies."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(rgb, "PNG", exif=exif)
    image = Image.open(io.BytesIO(data))
    for kind in (data, image, image.copy(), ImageOps.exif_transpose(image)):
        np.testing.assert_array_equal(photos.to_rgb(kind), UPRIGHT[orientation](rgb))
    np.testing.assert_array_equal(photos.to_rgb(np.asarray(image)), rgb)


def test_transparency_lies_over_white() -> None:
    """A transparent pixel is white, a half transparent black one grey."""
    rgba = np.array([[[0, 0, 0, 0], [0, 0, 0, 128], [10, 20, 30, 255]]], np.uint8)
    np.testing.assert_array_equal(photos.to_rgb(rgba)[0, [0, 2]], [[255, 255, 255], [10, 20, 30]])
    assert 120 <= photos.to_rgb(rgba)[0, 1, 0] <= 135


RANGES = [
    ("u2", 0, 65535),
    ("u2", 0, 65280),  # 8 bits, shifted
    ("u2", 0, 16383),
    ("u2", 0, 4095),
    ("u2", 0, 1023),
    ("u2", 0, 255),
    ("u2", 0, 20),  # so little that the brightest becomes white
    ("u2", 21000, 24000),  # a thermal camera
    ("i2", -1000, 3000),  # a scanner
    ("i4", 0, 4095),
    ("i4", -70000, 900000),
    ("u4", 0, 4095),
    ("u4", 0, 4_000_000_000),
    ("f4", 0, 1),
    ("f4", 0, 0.1),
    ("f4", -1, 1),
    ("f4", 0, 255),
    ("f4", 290, 310),
    ("f4", 0, 65535),
]


@pytest.mark.parametrize(
    ("kind", "dtype", "low", "high"),
    [(kind, *one) for kind, (_, dtypes, _) in deep_images.WRITERS.items() for one in RANGES if one[0] in dtypes],
)
def test_values_of_more_than_8_bits_are_scaled_by_what_is_used(kind: str, dtype: str, low: float, high: float) -> None:
    """Whatever numbers a photo is stored in, and however few of them it uses, it comes out as bright as it was."""
    write, _, bands = deep_images.WRITERS[kind]
    y, x = np.mgrid[0:48, 0:64]
    wanted = np.stack([x * 4, 255 * y // 47, (x + y) * 2] if bands > 2 else [(x * 4 + y * 5) * 255 // 487] * 3, axis=-1)
    wanted = wanted.astype(float) * 255 / wanted.max()
    values = low + wanted / 255 * (high - low)
    image = values[..., 0] if bands < 3 else values
    if bands in (2, 4):
        image = np.dstack([image, np.full((48, 64), 65535)])
    data = write(image.round().astype(dtype) if dtype[0] != "f" else image.astype(dtype))
    shown = photos.to_rgb(data)
    assert difference(shown, wanted) < (13 if high == 20 else 2)
    assert shown.max() > 250
    np.testing.assert_array_equal(photos.letterbox(data, 64).pixels[:48], shown)
    small = Image.fromarray(shown).convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    assert np.abs(photos.look(data).thumbnail.astype(int) - np.asarray(small)).max() <= 1


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", [(100, 37), (64, 64), (30, 200), (1, 90)])
def test_a_photo_is_sampled_as_the_object_detection_api_did(size: tuple[int, int]) -> None:
    """Each pixel is TensorFlow 1's bilinear interpolation, rounded, of a photo that is larger or smaller."""
    import tensorflow as tf

    rgb = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    found = photos.letterbox(rgb, 64, resize="stretch_bilinear")
    expected = tf.compat.v1.image.resize_bilinear(rgb[None].astype(np.float32), (64, 64))[0]
    assert np.abs(found.pixels - expected.numpy()).max() <= 0.501
    assert found.scale == pytest.approx((64 / size[0], 64 / size[1]))


@pytest.mark.parametrize("size", [(2000, 180), (180, 2000), (1600, 900), (50, 30)])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_stretched_photo_fills_the_square_and_loses_no_detail(size: tuple[int, int], orientation: int) -> None:
    """Each axis is scaled by its own factor; a JPEG is decoded smaller only as far as its shorter side allows."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    # Waves of four pixels of the square: gone where either side is decoded smaller than that.
    waves = np.stack([columns / width, rows / height, 0 * rows], axis=-1)
    stripes = (127.5 + 127.5 * np.sin(waves * 16 * 2 * np.pi)).round().astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stripes, "JPEG", quality=95, subsampling=0, exif=exif)
    upright = UPRIGHT[orientation](stripes)
    found, whole = (photos.letterbox(source, 64, resize="stretch") for source in (data, upright))
    height, width = upright.shape[:2]
    assert (found.width, found.height) == (whole.width, whole.height) == (width, height)
    assert found.scale == whole.scale == (64 / width, 64 / height)
    expected = np.asarray(Image.fromarray(upright).resize((64, 64), Image.Resampling.BILINEAR))
    assert difference(whole.pixels, expected) < 4
    assert difference(found.pixels, expected) < 8


@pytest.mark.parametrize(
    ("values", "expected"),
    [([np.nan, 0, 1, np.inf], [0, 0, 255, 0]), ([np.nan] * 4, [0] * 4), ([0.5] * 4, [128] * 4), ([7] * 4, [7] * 4)],
)
def test_numbers_that_are_none(values: list[float], expected: list[int]) -> None:
    """What is not finite counts as the darkest, and a picture of one level is not stretched."""
    data = deep_images.WRITERS["TIFF"][0](np.array([values], np.float32))
    assert photos.to_rgb(data)[0, :, 0].tolist() == expected


def test_real_deep_photos_are_not_black(shared: Path, tmp_path: Path) -> None:
    """A photo of 12 bits in a file of 16 and one of fractions are in the records as they are shown."""
    dataset = formats.read(shared / "data/reported/w24_deep_photos")
    assert {one.kind for one in checks.check(dataset).problems} == {"rare class", "nearly the same photo"}
    for image, kept in zip(dataset, records.read(records.write(dataset, tmp_path / "train")), strict=True):
        assert image.pixels().max() > 250
        assert difference(kept.pixels(), image.pixels()) < JPEG_TOLERANCE


@pytest.mark.parametrize("cut", [1, 2, 10, 200, 4000])
@pytest.mark.parametrize(("format", "trailer"), [("JPEG", 0), ("WEBP", 0), ("TIFF", 0), ("BMP", 0), ("PNG", 20)])
def test_cut_off_image_is_not_whole(format: str, trailer: int, cut: int) -> None:
    """However little of its data is missing at the end, a cut off image is refused (20 PNG bytes only check)."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = saved(noise, format)
    assert photos.look(data).info.format == format
    with pytest.raises(photos.PhotoError):
        photos.look(data[: -trailer - cut])


def test_phone_jpeg_with_more_pictures_is_a_plain_jpeg(rgb: np.ndarray) -> None:
    """A multi-picture JPEG, as phones write, counts as the JPEG that its first picture is; half of it does not."""
    second = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    data = saved(rgb, "MPO", save_all=True, append_images=[second])
    assert photos.look(data).info.format == "MPO"
    assert photos.look(data).info.plain_jpeg
    with pytest.raises(photos.PhotoError):
        photos.look(data[:800])


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 100)])
def test_tiny_jpeg_is_whole(size: tuple[int, int]) -> None:
    """A JPEG too small to be decoded at an eighth of its size is proven whole all the same."""
    info = photos.look(saved(np.zeros((size[1], size[0], 3), np.uint8), "JPEG")).info
    assert (info.width, info.height) == size


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow remarks on some of the damage
def test_damage_of_any_kind_is_a_photo_error(rgb: np.ndarray) -> None:
    """Random damage to a file of any format ends in pixels or a PhotoError, never in another error."""
    rng = np.random.default_rng(0)
    formats = ["JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"]
    Image.init()
    refused = 0
    for data in (saved(rgb, format) for format in formats if format in Image.SAVE):
        for _ in range(40):
            damaged = bytearray(data[: rng.integers(1, len(data) + 1)])
            for place in rng.integers(0, len(damaged), 5):
                damaged[place] = rng.integers(0, 256)
            for function in (photos.read_info, photos.look, photos.to_rgb):
                try:
                    assert function(bytes(damaged)) is not None
                except photos.PhotoError:
                    refused += 1
    assert refused > 300  # the damage is real


def test_errors_name_the_file_and_the_cure(odd: Path, tmp_path: Path) -> None:
    """An error says which file, what it is, and what to do; its parts can be had, and it can be pickled."""
    cures = {"empty.jpg": "Copy it again", "html.jpg": "Download", "lfs.jpg": "git lfs pull", "trunc50.jpg": "cut off"}
    for name, cure in cures.items():
        with pytest.raises(photos.PhotoError, match=cure) as caught:
            photos.to_rgb(odd / name)
        error = caught.value
        assert str(error) == f"{odd / name}: {error.what}. {error.fix}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: there is no such file"):
        photos.to_rgb(tmp_path / "gone.jpg")


def test_jpeg_keeps_the_picture(rgb: np.ndarray) -> None:
    """Pixels saved as JPEG are a plain JPEG that reads back nearly the same."""
    data = photos.to_jpeg(rgb)
    assert photos.look(data).info.plain_jpeg
    assert difference(photos.to_rgb(data), rgb) < JPEG_TOLERANCE


def test_damage_in_the_middle_of_a_jpeg_is_found(shared: Path) -> None:
    """A photo that a disk or a download spoiled in the middle is refused, although Pillow shows it, half grey."""
    data = bytearray((shared / "data" / "asirra" / "test" / "cat.40.jpg").read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 1000)
    data[middle] = bytes(1000)
    photos.to_rgb(bytes(data))  # shows it
    with pytest.raises(photos.PhotoError, match="damaged or cut off"):
        photos.look(bytes(data))


@pytest.mark.parametrize("name", odd_jpegs.GOOD)
def test_what_pillow_and_tensorflow_accept_is_good(name: str, tmp_path: Path) -> None:
    """A JPEG that a strict decoder refuses for what others pass over is checked, mended, split and written."""
    data = odd_jpegs.GOOD[name]
    if "samples" not in name:
        np.testing.assert_array_equal(photos.to_rgb(data), photos.to_rgb(odd_jpegs.plain()))
        plain = photos.look(odd_jpegs.plain()).thumbnail
        assert np.abs(photos.look(data).thumbnail.astype(int) - plain).max() < 16
    width, height = photos.look(data).info.upright_size
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    images = []
    for path, some, size in (("a.jpg", data, (width, height)), ("b.jpg", saved(noise, "JPEG"), (16, 16))):
        (tmp_path / path).write_bytes(some)
        images.append(LabelledImage(tmp_path / path, *size, [[1, 1, 9, 9]], [1]))
    dataset = checks.mend(Dataset(tuple(images), LabelMap(["cat"]))).dataset
    assert "error" not in {one.severity for one in checks.check(dataset).problems}
    assert {len(part) for part in dataset.split({"train": 0.5, "validation": 0.5}).values()} == {1}
    (first, _) = records.read(records.write(dataset, tmp_path / "records" / "train"))
    np.testing.assert_array_equal(first.pixels(), photos.to_rgb(data))


@pytest.mark.tensorflow
def test_tensorflow_sees_the_pixels_that_pillow_sees() -> None:
    """Of each JPEG that is called good although a strict decoder refuses it, TensorFlow decodes the same pixels."""
    import tensorflow as tf

    for name, data in odd_jpegs.GOOD.items():
        decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
        np.testing.assert_array_equal(decoded, photos.to_rgb(data), name)


def test_real_photo_with_bytes_before_a_marker(shared: Path, tmp_path: Path) -> None:
    """A public set's photo is good from the reading to the records, and has no problem."""
    dataset = formats.read(shared / "data/reported/f03_jpeg_junk_before_marker")
    assert {one.kind for one in checks.check(dataset).problems} == {"rare class"}
    assert len(list(records.read(records.write(checks.mend(dataset).dataset, tmp_path / "train")))) == 2


@pytest.mark.parametrize("error", [KeyError("x"), struct.error("y"), IndexError(), ZeroDivisionError("z")])
def test_whatever_a_decoder_raises_names_the_file(error: Exception, tmp_path: Path, monkeypatch: Any) -> None:
    """An error of any kind in one of Pillow's readers becomes a problem of that photo."""
    (tmp_path / "a.png").write_bytes(saved(np.zeros((4, 4, 3), np.uint8), "PNG"))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Image.Image, "load", fail)
    dataset = Dataset((LabelledImage(tmp_path / "a.png", 4, 4, [[1, 1, 3, 3]], [1]),), LabelMap(["cat"]))
    assert ("error", "photo unreadable", "a.png") in {
        (one.severity, one.kind, one.where) for one in checks.check(dataset).problems
    }
    with pytest.raises(DatasetError, match=r"a\.png: damaged or cut off"):
        records.write(dataset, tmp_path / "train")


def test_header_read_quickly_says_what_pillow_says(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read without Pillow is what Pillow reads: of every odd image, and of real photos."""
    paths = [path for path in sorted((shared / "data" / "odd").iterdir()) if path.suffix in (".jpg", ".png")]
    paths += sorted((shared / "data" / "asirra" / "test").glob("*.jpg"))

    def told(path: Path) -> object:
        try:
            return photos.read_info(path)
        except photos.PhotoError as error:
            return error.what

    quick = [told(path) for path in paths]
    monkeypatch.setattr(photos.photo, "_plain_jpeg_info", lambda head: None)
    assert quick == [told(path) for path in paths]
    assert sum(isinstance(one, photos.PhotoInfo) for one in quick) > 120


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_where_the_plug_in_is(orientation: int) -> None:
    """A phone's HEIC photo is read upright, whatever its ending; the bytes decide."""
    heif = pytest.importorskip("pillow_heif")
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24] = (200, 30, 30)  # red above
    stored = Image.fromarray(rgb if orientation == 1 else np.rot90(rgb))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    heif.from_pillow(stored).save(buffer, exif=exif.tobytes(), quality=95)
    info = photos.look(buffer.getvalue()).info
    assert (info.upright_size, info.orientation, info.plain_jpeg) == ((64, 48), 1, False)
    shown = photos.to_rgb(buffer.getvalue())
    assert shown[:20].mean(axis=(0, 1))[0] > 150
    assert shown[28:].mean() < 30


def test_heic_without_the_plug_in_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the plug-in is missing, the error names it."""
    monkeypatch.setattr(photos.photo, "_learn_heif", lambda: False)
    with pytest.raises(photos.PhotoError, match=r"a HEIC photo, as phones write. Install the plug-in"):
        photos.read_info(b"\x00\x00\x00\x18ftypheic" + bytes(100))


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_decompression_bomb_is_refused(side: int) -> None:
    """An image of too many pixels is refused by its header alone, also where Pillow would only warn."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    png = b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, side, side, 3) + bytes(9)
    for data in (png, jpeg):
        for function in (photos.read_info, photos.look, photos.to_rgb):
            with pytest.raises(photos.PhotoError):
                function(data)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """What is no file is refused at once."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(photos.PhotoError):
        photos.read_info(tmp_path / "pipe.jpg")
    with pytest.raises(photos.PhotoError):
        photos.read_info(tmp_path)


@pytest.mark.parametrize("name", ["prog_444.jpg", "palette.png", "webp_named.jpg", "gif_named.jpg", "tiff_named.jpg"])
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_damaged_bytes_are_read_or_refused(odd: Path, name: str, changes: list[tuple[float, bytes]]) -> None:
    """Whatever happens to a file's bytes, each function returns or raises a PhotoError."""
    data = bytearray((odd / name).read_bytes())
    for place, some in changes:
        start = int(place * len(data))
        data[start : start + len(some)] = some
    for function in (photos.read_info, photos.look, photos.to_rgb):
        with contextlib.suppress(photos.PhotoError):
            function(bytes(data))
