"""One photo of a gallery: its crop, the boxes marked on it, and text that fits its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D, Transform
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import masks
from tfod_helpers.annotations.appearance import ink_on, readable
from tfod_helpers.files import workers
from tfod_helpers.pictures.lettering import FONT, LINE, POINTS, fitted, text_width, wrapped
from tfod_helpers.pictures.picture import FAINT, Picture

_BOLD = FontProperties(size=9, weight="bold")
_GROUND = "#EEEEEE"  # around a photo that does not fill its place, and of the card that stands for one
_ASPECTS = (0.5, 2.2)  # a photo narrower or wider than this is shown inside a place of this shape
_PRINT_DPI = 200  # more pixels than print shows are not kept
_LONGEST_NAME = 32  # letters
_TINT = 0.45  # how much of a mask's colour covers the photo
_PAD = 2.0  # points between a name and the edge of its label


@dataclass(frozen=True)
class Mark:
    """One box to draw.

    Attributes:
        box_xyxy: ``[xmin, ymin, xmax, ymax]`` in pixels of the photo.
        text: what its label says; it has none where this is empty.
        colour: of line and label.
        dashes: Matplotlib's name of the line style.
        mask: what of the frame the object covers, bytes as in `LabelledImage`; None where only its box is known.
    """

    box_xyxy: Sequence[float] | np.ndarray
    text: str
    colour: str
    dashes: str = "solid"
    mask: bytes | None = None


@dataclass(frozen=True)
class Panel:
    """One photo of a gallery.

    Attributes:
        read: decodes it, uint8 of shape (h, w, 3), RGB; or a word about why there is no photo to show.
        size: ``(width, height)`` of the frame that the boxes are in.
        marks: its boxes; the first have the first choice of room for their names.
        title: stands above it, shortened where room is short. A panel without one follows the one before closely.
        note: follows the title, which is shortened first.
        tag: a word and the colour of its ground, before the title.
        faint: a line below the photo, in grey.
        caption: stands below that.
        view_xyxy: what of the frame is shown; it may reach over the photo's edge. None shows all.
        aspect: width by height of its place; None takes that of what is shown.
    """

    read: Callable[[], np.ndarray] | str
    size: tuple[int, int]
    marks: Sequence[Mark] = ()
    title: str = ""
    note: str = ""
    tag: tuple[str, str] | None = None
    faint: str = ""
    caption: str = ""
    view_xyxy: np.ndarray | None = None
    aspect: float | None = None

    @property
    def shown_xyxy(self) -> np.ndarray:
        """What of the frame is shown, float64, shape (4,)."""
        return np.array([0.0, 0.0, *self.size]) if self.view_xyxy is None else self.view_xyxy

    @property
    def inside_xyxy(self) -> np.ndarray:
        """What of that lies in the photo, float64, shape (4,)."""
        return np.clip(self.shown_xyxy, 0, [*self.size, *self.size])

    @property
    def place_aspect(self) -> float:
        """Width by height of its place."""
        wide, high = self.shown_xyxy[2:] - self.shown_xyxy[:2]
        return self.aspect or float(np.clip(wide / high, *_ASPECTS))


class Place(NamedTuple):
    """Where a panel lies on the page: inches from its left top corner."""

    left: float
    top: float
    wide: float
    high: float

    def scale(self, panel: Panel) -> float:
        """Return how many inches of the page a pixel of the panel's frame is wide."""
        wide, high = panel.shown_xyxy[2:] - panel.shown_xyxy[:2]
        return float(min(self.wide / wide, self.high / high))


# --- pixels ---------------------------------------------------------------------------------------


def read_all(panels: Sequence[Panel], places: Sequence[Place]) -> list[np.ndarray | str]:
    """Return what is shown of each photo, or a word about why it cannot be; each photo is decoded once."""
    by_photo: dict[Any, list[int]] = defaultdict(list)
    for number, panel in enumerate(panels):
        by_photo[panel.read].append(number)
    groups = list(by_photo.values())
    crops: list[np.ndarray | str] = [""] * len(panels)
    for group, made in zip(groups, workers.in_order(partial(_crops, panels, places), groups), strict=True):
        for number, crop in zip(group, made, strict=True):
            crops[number] = crop
    return crops


def _crops(panels: Sequence[Panel], places: Sequence[Place], group: Sequence[int]) -> list[np.ndarray | str]:
    """Return the crops of one photo."""
    read = panels[group[0]].read
    try:
        pixels = read if isinstance(read, str) else read()
    except FileNotFoundError:
        pixels = "the photo is not there"
    except photos.PhotoError as error:
        pixels = error.what
    except OSError as error:
        pixels = error.strerror or str(error)
    if isinstance(pixels, str):
        return [pixels] * len(group)
    return [_crop(pixels, panels[number], places[number]) for number in group]


def _crop(pixels: np.ndarray, panel: Panel, place: Place) -> np.ndarray:
    """Return what is shown of a photo, in no more pixels than print shows."""
    inside_xyxy = panel.inside_xyxy
    to_photo = np.array([pixels.shape[1], pixels.shape[0]]) / panel.size  # which may be larger than the frame
    sides = (inside_xyxy[2:] - inside_xyxy[:2]) * np.minimum(to_photo, place.scale(panel) * _PRINT_DPI)
    wide, high = np.maximum(np.round(sides), 1).astype(int).tolist()
    box_xyxy = tuple((inside_xyxy * np.tile(to_photo, 2)).tolist())
    return np.asarray(Image.fromarray(pixels).resize((wide, high), box=box_xyxy, reducing_gap=2))


def _tint(mark: Mark, panel: Panel, place: Place) -> np.ndarray:
    """Return what is shown of a mask in its mark's colour, which lets the photo through: float, (h, w, 4)."""
    assert mark.mask is not None
    share = _crop(masks.decode(mark.mask, *panel.size) * np.uint8(255), panel, place)[..., None] / 255
    return np.concatenate([np.broadcast_to(to_rgb(mark.colour), (*share.shape[:2], 3)), share * _TINT], axis=2)


# --- drawing --------------------------------------------------------------------------------------


def draw_panel(
    picture: Picture,
    panel: Panel,
    place: Place,
    pixels: np.ndarray | str,
    *,
    rooms: tuple[float, float],
    lines: int,
    font_size: float,
) -> None:
    """Draw a photo in the middle of its place, with its boxes and their names, a title above and words below.

    Args:
        picture: the page.
        panel: what to draw.
        place: where.
        pixels: what is shown of the photo, or why it cannot be.
        rooms: inches that the title and the words below may be wide.
        lines: of the words below.
        font_size: points, of the words below.
    """
    scale = place.scale(panel)
    left, top, right, bottom = panel.shown_xyxy.tolist()
    wide, high = (right - left) * scale, (bottom - top) * scale
    x, y = place.left + (place.wide - wide) / 2, place.top + (place.high - high) / 2
    page_wide, page_high = picture.get_size_inches()
    axes = picture.add_axes((x / page_wide, 1 - (y + high) / page_high, wide / page_wide, high / page_high))
    axes.set_axis_off()
    _draw_title(picture, axes, panel, place, rooms[0])
    if isinstance(pixels, str):
        _draw_card(picture, axes, place, pixels, font_size)
    else:
        if panel.view_xyxy is not None:
            _draw_ground(picture, axes, place, "ground")
        x0, y0, x1, y1 = panel.inside_xyxy.tolist()
        axes.imshow(pixels, extent=(x0, x1, y1, y0), aspect="auto")
        for mark in panel.marks:
            if mark.mask is not None:
                axes.imshow(_tint(mark, panel, place), extent=(x0, x1, y1, y0), aspect="auto", gid="mask")
    axes.set(xlim=(left, right), ylim=(bottom, top))
    # Names may use the whole place, or those on a narrow photo would have no room.
    beside = (np.array(place[2:]) / scale - [right - left, bottom - top]) / 2
    _draw_marks(picture, axes, panel, place, panel.shown_xyxy + [*-beside, *beside])
    _draw_caption(picture, axes, panel, place, rooms[1], lines, font_size)


def _draw_ground(picture: Picture, axes: Axes, place: Place, gid: str) -> None:
    left, top, wide, high = place
    ground = Rectangle((left, top), wide, high, transform=_inches(picture), fc=_GROUND, ec="none", zorder=-1, gid=gid)
    axes.add_patch(ground).set_clip_on(False)


def _draw_card(picture: Picture, axes: Axes, place: Place, reason: str, font_size: float) -> None:
    """Draw what stands in the place of a photo: a grey ground with the reason in its middle."""
    _draw_ground(picture, axes, place, "card")
    lines = max(1, int(place.high * POINTS / (font_size * LINE)) - 1)
    words = "\n".join(wrapped(picture, reason, place.wide * 0.9, lines, FontProperties(size=font_size)))
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", size=font_size, color=FAINT)


def _draw_marks(picture: Picture, axes: Axes, panel: Panel, place: Place, room_xyxy: np.ndarray) -> None:
    for mark in sorted(panel.marks, key=lambda mark: -_area(mark)):  # small boxes stay on top of large ones
        _draw_box(axes, mark, panel, place)
    taken: list[tuple[float, ...]] = []
    for mark in panel.marks:
        if mark.text:
            _draw_name(picture, axes, mark, room_xyxy, place.scale(panel), taken)


def _area(mark: Mark) -> float:
    xmin, ymin, xmax, ymax = mark.box_xyxy
    return (xmax - xmin) * (ymax - ymin)


def _draw_box(axes: Axes, mark: Mark, panel: Panel, place: Place) -> None:
    """Draw the line of a box, as far as it lies within the photo, the finer the smaller box and place are."""
    xmin, ymin, xmax, ymax = np.clip(mark.box_xyxy, 0, [*panel.size, *panel.size]).tolist()
    shorter = min(xmax - xmin, ymax - ymin) * place.scale(panel)
    if not shorter:
        return
    line = float(np.clip(min(shorter / 12, min(place[2:]) / 60) * POINTS, 0.8, 2.0))
    # The casing, dark around light colours and light around dark ones, parts the line from any photo.
    for colour, width, dashes, alpha, gid in (
        (ink_on(mark.colour), line + 1, "solid", 0.8, None),
        (mark.colour, line, mark.dashes, 1.0, "box"),
    ):
        box = Rectangle((xmin, ymin), xmax - xmin, ymax - ymin, fill=False, joinstyle="miter", ec=colour, lw=width)
        box.set(linestyle=dashes, alpha=alpha, gid=gid)
        axes.add_patch(box).set_clip_on(False)  # whole lines along the photo's edge too


def _draw_name(
    picture: Picture, axes: Axes, mark: Mark, room_xyxy: np.ndarray, scale: float, taken: list[tuple[float, ...]]
) -> None:
    """Draw the name of a box where it covers no other name, and note where that is in ``taken``."""
    room = (room_xyxy[2] - room_xyxy[0]) * scale
    text = fitted(picture, readable(mark.text, _LONGEST_NAME), room - 2 * _PAD / POINTS)
    wide = (text_width(picture, text) + 2 * _PAD / POINTS) / scale
    high = (FONT.get_size_in_points() * 1.2 + _PAD) / POINTS / scale
    place_xyxy = _free_place(mark.box_xyxy, (wide, high), room_xyxy, taken)
    if place_xyxy is None:  # two names on one spot say less than one
        return
    x, y = place_xyxy[:2]
    taken.append(place_xyxy)
    axes.add_patch(Rectangle((x, y), wide, high, fc=mark.colour, ec="none", zorder=3, clip_on=False, gid="name"))
    axes.text(x + wide / 2, y + high / 2, text, ha="center", va="center_baseline", color=ink_on(mark.colour), zorder=4)


def _free_place(
    box_xyxy: Sequence[float] | np.ndarray,
    label: tuple[float, float],
    room_xyxy: np.ndarray,
    taken: Sequence[tuple[float, ...]],
) -> tuple[float, float, float, float] | None:
    """Return the first place for a label of ``(width, height)`` at the box that is in the room and free."""
    xmin, ymin, xmax, ymax = map(float, box_xyxy)
    wide, high = label
    left, top, right, bottom = room_xyxy.tolist()
    for y in (ymin - high, ymin, ymax - high, ymax):
        for x in (xmin, xmax - wide):
            x = max(min(x, right - wide), left)
            free = all(x >= t[2] or x + wide <= t[0] or y >= t[3] or y + high <= t[1] for t in taken)
            if free and y >= top and y + high <= bottom:
                return x, y, x + wide, y + high
    return None


def _draw_title(picture: Picture, axes: Axes, panel: Panel, place: Place, room: float) -> None:
    """Draw a panel's tag and title above it, at most ``room`` inches wide."""
    font = _BOLD if panel.tag else FONT
    left, bottom = place.left, place.top - 0.05
    if panel.tag:
        word, colour = panel.tag
        wide, high = text_width(picture, word) + 0.1, 0.15
        ground = Rectangle((left, bottom - high + 0.03), wide, high, transform=_inches(picture), fc=colour, ec="none")
        axes.add_patch(ground).set_clip_on(False)
        axes.text(left + wide / 2, bottom, word, transform=_inches(picture), ha="center", color=ink_on(colour))
        left, room = left + wide + 0.06, room - wide - 0.06
    note = f": {panel.note}" if panel.title and panel.note else panel.note
    title = fitted(picture, panel.title, room - text_width(picture, note, font), font)
    axes.text(left, bottom, fitted(picture, title + note, room, font), transform=_inches(picture), font=font)


def _draw_caption(
    picture: Picture, axes: Axes, panel: Panel, place: Place, room: float, lines: int, font_size: float
) -> None:
    """Draw a panel's words below it, on at most ``lines`` lines of ``room`` inches."""
    font, height = FontProperties(size=font_size), font_size * LINE / POINTS
    top = place.top + place.high + 0.03
    if panel.faint:
        faint = fitted(picture, panel.faint, room, font)
        axes.text(place.left, top, faint, transform=_inches(picture), va="top", color=FAINT, font=font)
        top, lines = top + height, lines - 1
    caption = wrapped(picture, panel.caption, room, lines, font)
    axes.text(
        place.left, top, "\n".join(caption), transform=_inches(picture), va="top", font=font, linespacing=LINE - 0.05
    )


def _inches(picture: Picture) -> Transform:
    """Return the transformation from inches from the page's left top corner."""
    wide, high = picture.get_size_inches()
    return Affine2D().scale(1 / wide, -1 / high).translate(0, 1) + picture.transFigure
