"""A figure that shows itself once and saves itself whole, and the look that all pictures share."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tfod_helpers.annotations.appearance import BLUE, ORANGE, families
from tfod_helpers.files import storage

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

# Inches: what a notebook column shows unscaled and a printed page nearly so; photos cost more bytes an inch.
CHART_WIDTH, PHOTO_WIDTH = 9.0, 7.5
INK, FAINT = "#222222", "#767676"  # text; the faint one still has contrast 4.5 to 1 on white (WCAG 2.2, 1.4.3)
SCORES = (("ap", "AP", BLUE, "o"), ("ap50", "AP50", ORANGE, "s"))  # a table's column, its name, colour and marker
_NOTEBOOK_DPI = 96
# A notebook with eight pictures, three of them photos, is to stay under 300 kB, and base64 adds a third.
_PHOTO_BYTES = 50_000
_QUALITIES = (85, 74, 63, 52, 42, 36)  # JPEG; at the last one names are still read, so a larger file is taken then
_CHART_COLOURS = 96
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # '$' in a file or class name is a dollar
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "pdf.fonttype": 42,  # letters stay letters, which printers and journals ask for
}


class Picture(Figure):
    """A Matplotlib figure that a notebook shows exactly once, where a cell ends in it.

    It is never registered with pyplot, so none stays open and ``%matplotlib inline`` shows no second
    copy. Charts are shown as PNG with a palette, photos as JPEG, so that notebooks stay small.

    Args:
        width: inches.
        height: inches.
        photos: it holds photos, so show it as JPEG.
        **figure: further arguments of `matplotlib.figure.Figure`.
    """

    def __init__(self, width: float, height: float, *, photos: bool = False, **figure: Any) -> None:
        super().__init__(figsize=(width, height), dpi=_NOTEBOOK_DPI, facecolor="white", **figure)
        self.agg = FigureCanvasAgg(self)
        self.photos = photos

    def headline(self, text: str) -> None:
        """Write what a chart shows over all of it.

        Args:
            text: on one line, or two.
        """
        self.suptitle(text, x=0.01, ha="left", size=12, weight="bold")

    def to_bytes(self, *, dpi: int = _NOTEBOOK_DPI) -> bytes:
        """Return the bytes of a JPEG (photos) or a PNG (charts), by default as a notebook shows it.

        Args:
            dpi: dots per inch.
        """
        usual = self.dpi
        self.set_dpi(dpi)
        with style():
            self.agg.draw()
        image = Image.fromarray(np.asarray(self.agg.buffer_rgba())[..., :3])
        self.set_dpi(usual)
        return _small_jpeg(image, _PHOTO_BYTES * (dpi / _NOTEBOOK_DPI) ** 2) if self.photos else _small_png(image)

    def save(self, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
        """Write the picture, whole or not at all.

        Args:
            path: where to; its ending says the format: png, jpg, pdf, svg, ...
            dpi: dots per inch of pixel formats, and of photos in the others.

        Raises:
            ValueError: the ending is none that Matplotlib writes.
        """
        ending = Path(path).suffix
        if ending[1:].lower() not in self.canvas.get_supported_filetypes():
            where = storage.address(path)
            raise ValueError(f"{where}: a picture cannot be saved as {ending!r}. Use .png, .jpg, .pdf or .svg.")
        with storage.whole_file(path) as part, style():
            self.savefig(part, format=ending[1:].lower(), dpi=dpi)
        return Path(path)

    def _ipython_display_(self) -> None:
        # Of all hooks only this one outranks the formatters that %matplotlib inline registers for
        # Figure, which would add a PNG, three times as large, to the output.
        from IPython.display import display

        kind = "image/jpeg" if self.photos else "image/png"
        display({kind: base64.b64encode(self.to_bytes()).decode(), "text/plain": repr(self)}, raw=True)

    def __repr__(self) -> str:
        return f"Picture({self.get_suptitle()!r})"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in this package's look, whatever style the notebook has set; then give that back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        matplotlib.rcParams["font.family"] = list(families())
        yield


@contextlib.contextmanager
def chart(height: float, width: float = CHART_WIDTH, layout: str = "constrained") -> Iterator[Picture]:
    """Yield a picture for charts, to be drawn in this package's look.

    Args:
        height: inches.
        width: inches.
        layout: Matplotlib's layout engine.
    """
    with style():
        yield Picture(width, height, layout=layout)


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return ``1 photo`` or ``1,200 photos``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def check_columns(table: Any, columns: Sequence[str], where: str) -> None:
    """Refuse a table that lacks a column or has no row.

    Args:
        table: a DataFrame, or columns by name.
        columns: what it needs.
        where: the function that takes it.

    Raises:
        ValueError: as above.
    """
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(
            f"{where} takes a table with the columns {', '.join(columns)}, and this one lacks {', '.join(lacking)}."
        )
    if not len(table[columns[0]]):
        raise ValueError(f"{where}: the table has no rows yet. Train and evaluate first.")


def _small_jpeg(image: Image.Image, most: float) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()


def _small_png(image: Image.Image) -> bytes:
    """Encode with a palette: of each block of 32 x 32 x 32 like colours the most frequent, of the fullest blocks.

    Pillow's own choices (median cut, octree) turn the colours of thin lines into each other.
    """
    rgb = np.asarray(image).astype(np.int32)
    codes, index, counts = np.unique(rgb @ (65536, 256, 1), return_inverse=True, return_counts=True)
    every = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    order = np.argsort(-counts, kind="stable")
    first = np.unique((every[order] >> 3) @ (1024, 32, 1), return_index=True)[1]
    palette = every[order[np.sort(first)[:_CHART_COLOURS]]]
    nearest = ((every[:, None] - palette) ** 2).sum(2).argmin(1).astype(np.uint8)
    small = Image.fromarray(nearest[index].reshape(rgb.shape[:2]))
    small.putpalette(palette.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
