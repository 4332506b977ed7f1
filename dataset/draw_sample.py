"""Draw the embedded sample: 200 train and 50 test pictures of cats and dogs, a VOC XML beside each.

    python dataset/draw_sample.py [folder] [--preview sheet.jpg]

Every picture has its own seed, so one can be redrawn without the others, and the same Pillow always
gives the same bytes.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from animals import draw_animal
from drawing import Dice, Part, Sprite, bounds, ellipse, place, render
from PIL import Image, ImageDraw, ImageFilter
from scenes import draw_scene
from things import draw_cover, draw_thing

from tfod_helpers.annotations import LabelMap

KINDS = ("cat", "dog")
PREVIEW_COLOURS = {"cat": "#ff8c00", "dog": "#1e90ff"}
SPLITS = {"train": 200, "test": 50}
SEED = 2026
FRAMES = ((320, 240), (320, 220), (300, 225), (288, 288), (256, 256), (240, 320), (220, 320), (280, 240), (272, 204))
SMALLEST = 1 / 6  # of the frame's longer side, for the longer side of a box
VISIBLE, HEAD_VISIBLE = 0.45, 0.7  # shares of an animal and of its head that must show
CROWDS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4)  # animals in ten pictures
SIZES = {1: (0.5, 1.1), 2: (0.4, 0.72), 3: (0.34, 0.5), 4: (0.3, 0.42)}  # how large, by how many there are


@dataclass(frozen=True)
class Layer:
    """A sprite and where its top left corner lies in the frame; ``kind`` is empty for what is no animal."""

    sprite: Sprite
    left: int
    top: int
    foot: float
    kind: str = ""
    pose: str = ""

    def mask(self, which: str, width: int, height: int) -> np.ndarray:
        """Return the sprite's mask in the frame: bool, shape (height, width)."""
        frame = Image.new("L", (width, height))
        frame.paste(getattr(self.sprite, which), (self.left, self.top))
        return np.asarray(frame) > 127

    def area(self, which: str) -> int:
        """Return how many pixels a mask of the sprite has, in the frame or not."""
        return int((np.asarray(getattr(self.sprite, which)) > 127).sum())


@dataclass(frozen=True)
class Box:
    """One annotated animal, ``xyxy`` in whole pixels, 0-based, the right and bottom edge not included."""

    kind: str
    pose: str
    truncated: bool
    xyxy: tuple[int, int, int, int]


def plan(split: str) -> list[tuple[str, ...]]:
    """Return the kinds of animals in each picture of a split: as many cats as dogs, spread at random."""
    dice = Dice(SEED, list(SPLITS).index(split))
    counts = dice.shuffled([CROWDS[k % len(CROWDS)] for k in range(SPLITS[split])])
    kinds = dice.shuffled([KINDS[k % 2] for k in range(sum(counts))])
    return [tuple(kinds.pop() for _ in range(count)) for count in counts]


def draw_picture(split: str, index: int, kinds: tuple[str, ...]) -> tuple[Image.Image, list[Box]]:
    """Draw picture ``index`` of a split."""
    picture, layers = draw_layers((SEED, list(SPLITS).index(split), index), kinds)
    return picture, find_boxes(layers, *picture.size)


def draw_layers(
    seed: tuple[int, ...], kinds: tuple[str, ...], frames: tuple[tuple[int, int], ...] = FRAMES
) -> tuple[Image.Image, list[Layer]]:
    """Draw a picture, again and again until every animal in it shows well enough; return what is in it, too.

    Args:
        seed: of this picture.
        kinds: of the animals.
        frames: the sizes that it may have, width and height.
    """
    for attempt in range(1000):
        dice = Dice(*seed, attempt)
        width, height = dice.pick(frames)
        scene = draw_scene(dice, width, height)
        layers = _arrange(dice, width, height, scene.ground, kinds)
        if find_boxes(layers, width, height):
            return _photograph(dice, _compose(dice, scene.parts, layers, width, height)), layers
    raise RuntimeError(f"picture {seed}: no arrangement of {', '.join(kinds)} shows every animal.")


# --- what stands where -------------------------------------------------------------------------------------------


def _arrange(dice: Dice, width: int, height: int, ground: float, kinds: tuple[str, ...]) -> list[Layer]:
    behind = [_thing(dice, width, height, ground) for _ in range(dice.pick((0, 0, 1, 1, 2, 2)))]
    animals: list[Layer] = []
    for kind in kinds:
        tries = [_animal(dice, kind, len(kinds), width, height, ground) for _ in range(8)]
        animals.append(min(tries, key=lambda layer: max((_overlap(layer, other) for other in animals), default=0)))
    layers = sorted([*behind, *animals], key=lambda layer: layer.foot)
    if dice.chance(0.2):
        layers.append(_cover(dice, dice.pick(animals)))
    return layers


def _thing(dice: Dice, width: int, height: int, ground: float) -> Layer:
    parts, size = draw_thing(dice), dice.between(0.1, 0.34) * max(width, height)
    return _stand(dice, parts, size, dice.between(0, width), dice.between(ground, height))


def _animal(dice: Dice, kind: str, count: int, width: int, height: int, ground: float) -> Layer:
    animal = draw_animal(kind, dice)
    mirror = dice.chance(0.5)
    low, high = SIZES[count]
    size = max(width, height) * dice.between(low, high)
    extent = np.subtract(*bounds(animal.parts)[::-1])
    size *= min(1, 0.96 * width / (size * extent[0] / max(extent)), 0.98 * height / (size * extent[1] / max(extent)))
    wide, tall = size * extent / max(extent)
    x = dice.between(wide / 2, width - wide / 2)
    if dice.chance(0.1):  # cut off at the left or the right
        x = dice.pick((0, width)) + dice.between(-0.2, 0.3) * wide * dice.pick((-1, 1))
    lowest = max(ground, tall)
    foot = height + dice.between(0.1, 0.25) * tall if animal.bust else dice.between(min(lowest, height), height * 1.03)
    layer = _stand(dice, animal.parts, size, x, foot, mirror, 0 if animal.bust else dice.between(-7, 7))
    pose = {"Left": "Right"}.get(animal.pose, animal.pose) if mirror else animal.pose
    return Layer(layer.sprite, layer.left, layer.top, foot, kind, pose)


def _stand(
    dice: Dice, parts: list[Part], size: float, x: float, foot: float, mirror: bool = False, degrees: float = 0
) -> Layer:
    """Render a drawing with its longer side ``size`` pixels long, its lowest point at ``foot``, its middle at ``x``."""
    start, end = bounds(parts)
    parts = place(parts, size / max(end - start), degrees, mirror)
    start, end = bounds(parts)
    reach = np.concatenate([part.points for part in parts])
    corner, far = np.floor(reach.min(0)) - 2, np.ceil(reach.max(0)) + 2
    width, height = (far - corner).astype(int).tolist()
    line = min(1.6, max(0.5, size / 160)) * dice.between(0.6, 1.2)
    sprite = render(place(parts, shift=tuple(-corner)), width, height, line)
    left, top = corner + (x - (start[0] + end[0]) / 2, foot - end[1])
    return Layer(sprite, round(left), round(top), foot)


def _cover(dice: Dice, animal: Layer) -> Layer:
    """Put something in front of an animal's lower part."""
    wide, tall = animal.sprite.solid.size
    x = animal.left + wide * dice.between(0.15, 0.85)
    return _stand(dice, draw_cover(dice), dice.between(0.3, 0.55) * max(wide, tall), x, animal.foot + 0.05 * tall)


def _overlap(layer: Layer, other: Layer) -> float:
    """Return how much of the smaller frame lies in the other."""
    a, b = ((part.left, part.top, *part.sprite.solid.size) for part in (layer, other))
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    tall = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0) / min(a[2] * a[3], b[2] * b[3])


def find_boxes(layers: list[Layer], width: int, height: int) -> list[Box]:
    """Return the animals' boxes, back to front, or none where an animal is too small or too much hidden.

    A box is tight on what lies in the frame, whiskers left out; what stands in front takes nothing from it.

    Args:
        layers: from the back to the front.
        width: of the frame, in pixels.
        height: of the frame, in pixels.
    """
    covered, boxes = np.zeros((height, width), bool), []
    for layer in reversed(layers):
        if layer.kind:
            solid, head = layer.mask("solid", width, height), layer.mask("head", width, height)
            shown = (solid & ~covered).sum() / layer.area("solid")
            if shown < VISIBLE or (head & ~covered).sum() / layer.area("head") < HEAD_VISIBLE:
                return []
            left, top, right, bottom = Image.fromarray(solid).getbbox()
            if max(right - left, bottom - top) < SMALLEST * max(width, height):
                return []
            truncated = bool(solid.sum() < layer.area("solid"))
            boxes.append(Box(layer.kind, layer.pose, truncated, (left, top, right, bottom)))
        covered |= layer.mask("alpha", width, height)
    return boxes[::-1]


# --- the picture -------------------------------------------------------------------------------------------------


def _compose(dice: Dice, scene: list[Part], layers: list[Layer], width: int, height: int) -> Image.Image:
    frame = render(scene, width, height).rgb
    frame = _add(frame, dice.noise(width, height, dice.between(2, 40)) * dice.pick((0, 3, 5, 8)))
    if dice.chance(0.3):  # a background out of focus
        frame = frame.filter(ImageFilter.GaussianBlur(dice.between(0.8, 2.5)))
    for layer in layers:
        wide = layer.sprite.solid.width
        for share in (1.0, 0.8, 0.6):  # a soft shadow on the ground
            shade = ellipse(layer.left + wide / 2, layer.foot - wide * 0.02, wide * 0.5 * share, wide * 0.07 * share)
            ImageDraw.Draw(frame, "RGBA").polygon([tuple(p) for p in shade.tolist()], (20, 16, 30, 34))
        size = layer.sprite.rgb.size
        fur = _add(layer.sprite.rgb, dice.noise(*size, 2.5) * (7 if layer.kind else 3))
        frame.paste(fur, (layer.left, layer.top), layer.sprite.alpha)
    return frame


def _photograph(dice: Dice, frame: Image.Image) -> Image.Image:
    """Light the picture, colour the light, and add a lens's blur and a sensor's noise."""
    width, height = frame.size
    pixels = np.asarray(frame, np.float32) / 255
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    across = 1 + dice.between(-0.16, 0.16) * x + dice.between(-0.12, 0.12) * y
    vignette = 1 - dice.between(0, 0.16) * (x**2 + y**2)
    tint = np.array([1 + dice.between(-0.06, 0.06) for _ in range(3)], np.float32)
    pixels = pixels * (across * vignette)[..., None] * tint * dice.between(0.88, 1.12)
    pixels = (pixels - 0.45) * dice.between(0.88, 1.15) + 0.45
    frame = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    if dice.chance(0.35):
        frame = frame.filter(ImageFilter.GaussianBlur(dice.between(0.3, 0.8)))
    return _add(frame, dice.noise(width, height, 1) * dice.between(0, 7))


def _add(frame: Image.Image, change: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(frame, np.float32) + change[..., None], 0, 255).astype(np.uint8))


# --- files -------------------------------------------------------------------------------------------------------


def write_picture(folder: Path, split: str, index: int, kinds: tuple[str, ...]) -> Path:
    """Draw one picture and write its JPEG and its XML into ``folder/split``."""
    image, boxes = draw_picture(split, index, kinds)
    path = folder / split / f"{split}_{index + 1:03}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=Dice(SEED, index).whole(75, 87))
    write_annotation(path, split, "drawn by draw_sample.py", image.size, boxes)
    return path


def write_annotation(photo: Path, folder: str, source: str, size: tuple[int, int], boxes: list[Box]) -> None:
    """Write the XML of a photo beside it, as LabelImg does.

    Args:
        photo: its path.
        folder: what the XML says of its folder.
        source: what it says of where the photo is from.
        size: of the photo, width and height.
        boxes: what is in it.
    """
    root = ElementTree.Element("annotation")
    _texts(root, folder=folder, filename=photo.name)
    _texts(ElementTree.SubElement(root, "source"), database=source)
    _texts(ElementTree.SubElement(root, "size"), width=size[0], height=size[1], depth=3)
    _texts(root, segmented=0)
    for box in boxes:
        item = ElementTree.SubElement(root, "object")
        _texts(item, name=box.kind, pose=box.pose, truncated=int(box.truncated), difficult=0)
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box.xyxy, strict=True)
        _texts(ElementTree.SubElement(item, "bndbox"), **dict(corners))
    ElementTree.indent(root, "\t")
    photo.with_suffix(".xml").write_text(ElementTree.tostring(root, "unicode") + "\n", "utf-8", newline="\n")


def _texts(parent: ElementTree.Element, **values: str | int) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def save_preview(folder: Path, path: Path, columns: int = 8, rows: int = 5, side: int = 160) -> None:
    """Save a contact sheet of evenly spread pictures with their boxes, cats' orange and dogs' blue."""
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    paths = sorted(folder.glob("t*/*.jpg"))
    for cell, k in enumerate(np.linspace(0, len(paths) - 1, columns * rows).astype(int)):
        picture = _with_boxes(paths[k])
        picture.thumbnail((side - 4, side - 4))
        row, column = divmod(cell, columns)
        left, top = (side - picture.width) // 2, (side - picture.height) // 2
        sheet.paste(picture, (column * side + left, row * side + top))
    sheet.save(path, quality=80)


def _with_boxes(path: Path) -> Image.Image:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    pen = ImageDraw.Draw(picture)
    for item in ElementTree.parse(path.with_suffix(".xml")).iter("object"):
        left, top, right, bottom = (int(edge.text) for edge in item.find("bndbox"))
        colour = PREVIEW_COLOURS[item.findtext("name")]
        pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
    return picture


def main() -> None:
    """Draw everything, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("folder", nargs="?", type=Path, default=here, help="where to write (default: here)")
    parser.add_argument("--preview", type=Path, metavar="FILE", help="also save a contact sheet with the boxes")
    args = parser.parse_args()
    LabelMap(KINDS).write(args.folder / "data" / "label_map.pbtxt")
    for split in SPLITS:
        for index, kinds in enumerate(plan(split)):
            write_picture(args.folder, split, index, kinds)
    if args.preview:
        save_preview(args.folder, args.preview)


if __name__ == "__main__":
    main()
