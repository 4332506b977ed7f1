"""Datasets that hypothesis makes up: a few small photos with any boxes, classes and names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, name_fault

# Names that any file system takes; tools give photos names in every script.
STEMS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='/\\:*?"<>|.'),
    min_size=1,
    max_size=8,
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=8).filter(
    lambda name: name_fault(name) is None
)


def jpeg(width: int, height: int) -> bytes:
    """A small grey JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> list[float]:
    """A box inside an image, its corners any float32 that is not below a ten thousandth of a pixel."""

    def side(length: int) -> list[float]:
        values = st.floats(0, length, width=32).map(lambda value: 0.0 if value < 1e-4 else value)
        return sorted(draw(st.lists(values, min_size=2, max_size=2, unique=True)))

    x, y = side(width), side(height)
    # A box of a pixel at the corner could be one in fractions, which reading refuses.
    return [x[0], y[0], max(x[1], 2.0), max(y[1], 2.0)] if x[0] < 2 and y[0] < 2 else [x[0], y[0], x[1], y[1]]


@st.composite
def datasets(
    draw: st.DrawFn,
    *,
    splits: Sequence[str] = ("",),
    crowds: bool = False,
    masks: bool = False,
    difficult: bool = False,
) -> Dataset:
    """One to four images with up to three objects each; at least one has an object."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=lambda name: name.casefold()))
    stems = draw(st.lists(STEMS, min_size=1, max_size=4, unique_by=lambda stem: stem.casefold()))
    images = []
    for number, stem in enumerate(stems):
        width, height = draw(st.integers(3, 40)), draw(st.integers(3, 40))
        count = draw(st.integers(1 if number == 0 else 0, 3))
        some = [draw(boxes(width, height)) for _ in range(count)]
        labels = [draw(st.integers(1, len(names))) for _ in range(count)]
        images.append(
            LabelledImage(
                Path(f"{stem}.jpg"),
                width,
                height,
                some,
                labels,
                encoded=jpeg(width, height),
                crowd=[draw(st.booleans()) for _ in range(count)] if crowds else None,
                masks=tuple(draw(_masks(width, height)) for _ in range(count)) if masks else None,
                split=splits[number % len(splits)],
                difficult=[draw(st.booleans()) for _ in range(count)] if difficult else None,
            )
        )
    images.sort(key=lambda image: (image.split, str(image.path)))
    return Dataset(tuple(images), LabelMap(names))


@st.composite
def _masks(draw: st.DrawFn, width: int, height: int) -> bytes:
    from pycocotools import mask

    pixels = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 2, (height, width), np.uint8)
    return mask.encode(np.asfortranarray(pixels))["counts"]


def assert_equal(found: Dataset, expected: Dataset) -> None:
    """Two datasets are the same: classes, file names, sizes, splits, and every object exactly and in its order."""
    assert found.label_map == expected.label_map
    assert [image.path.name for image in found] == [image.path.name for image in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.width, one.height, one.split) == (other.width, other.height, other.split)
        assert one.boxes_xyxy.tolist() == other.boxes_xyxy.tolist()
        assert one.labels.tolist() == other.labels.tolist()
        assert one.crowd.tolist() == other.crowd.tolist()
        assert one.difficult.tolist() == other.difficult.tolist()
        assert (one.masks or None) == (other.masks or None)
