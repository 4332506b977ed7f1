"""What is known of an export -> its model card, in Markdown as GitHub and Hugging Face show it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfod_helpers import __version__
from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import ExportFacts
from tfod_helpers.exporting.model_card.origin import Origin, Photos
from tfod_helpers.exporting.model_card.usage import usage
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import CARRIED
from tfod_helpers.pictures import counted

CARD = "README.md"
BEGIN, END = "<!-- what exporting.certify found: begin -->", "<!-- end -->"
_FEW = 20  # training objects of a class, below which the card says so
_MANY = 30  # classes, beyond which their table is folded up
_TITLE = 4  # classes in it
_KINDS = {
    "saved_model": "TensorFlow SavedModel",
    "tflite": "LiteRT (TensorFlow Lite)",
    "onnx": "ONNX",
    "tfjs": "TensorFlow.js",
    "web_page": "web page",
}
_RESIZED = {
    "letterbox": "letterboxed",
    "stretch": "stretched",
    "stretch_bilinear": "stretched, without averaging",
}
_ESCAPABLE, _MARKUP = "\\`*_[]#{}", "<>&|~$@"  # what Markdown, its dialects and HTML could take for markup
_FEW_WORDS = f"Of these classes there were fewer than {_FEW} training objects: {{}}."
_UNTESTED = "Of these classes no validation photo shows an object, so how well they are found is unknown: {}."
_UNKNOWN = "Their licence is not known to this card."
_TRAINED_ON = {
    "coco": "COCO's annotations are under the Creative Commons Attribution 4.0 License; its photos belong to others, "
    "and their use has to follow Flickr's terms ([terms of use](https://cocodataset.org/#termsofuse)).",
    "imagenet": "ImageNet's [terms of access](https://image-net.org/download.php) allow its photos for non-commercial "
    "research and education only. Whether they reach weights trained on these photos is for you to judge.",
}


def write(folder: Path, facts: ExportFacts, label_map: LabelMap, origin: Origin) -> Path:
    """Write the card of a new export.

    Args:
        folder: of the export, on this machine.
        facts: what is known about it.
        label_map: its classes.
        origin: what it was made from.

    Returns:
        The card's path.
    """
    parts = [
        _head(facts, label_map),
        _what(facts, label_map, origin),
        _table(facts, origin),
        _scores(facts, origin),
        _marked(facts),
        "## How to run it\n\n" + usage(facts),
        _data(label_map, origin),
        _limits(facts, label_map, origin),
        _licences(origin),
    ]
    path = folder / CARD
    path.write_text("\n".join(part.rstrip() + "\n" for part in parts), encoding="utf-8")
    return path


def update(folder: storage.AnyPath) -> bool:
    """Bring what `exporting.certify` wrote into ``export.json`` into the card; whatever else is in it stays.

    Args:
        folder: of the export, local or ``gs://``.

    Returns:
        Whether there is a card that has a place for it.
    """
    path = storage.join(folder, CARD)
    try:
        text = storage.read_bytes(path).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return False
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return False
    made = before + _marked(ExportFacts.read(folder)).rstrip("\n") + after
    with storage.whole_file(path) as part:
        part.write_bytes(made.encode("utf-8", "surrogateescape"))
    return True


# --- its parts ------------------------------------------------------------------------------------


def _head(facts: ExportFacts, label_map: LabelMap) -> str:
    """Return the front matter, which Hugging Face reads, and the title."""
    tags = ["object-detection", "tfod_helpers", facts.format.replace("_", "-")]
    listed = "".join(f"- {tag}\n" for tag in tags)
    shown = ", ".join(map(escape, label_map.names[:_TITLE]))
    more = f" and {len(label_map) - _TITLE} more" if len(label_map) > _TITLE else ""
    return f"---\npipeline_tag: object-detection\ntags:\n{listed}---\n\n# Object detector: {shown}{more}\n"


def _what(facts: ExportFacts, label_map: LabelMap, origin: Origin) -> str:
    classes = counted(len(label_map), "class", "classes")
    version = f"tfod_helpers {origin.made_with.get('tfod_helpers', __version__)}"
    if origin.weights == CARRIED:
        trained = (
            f"trained for {facts.step:,} steps with the TensorFlow Object Detection API and carried over by {version}"
        )
    else:
        steps = f"{facts.step:,} steps of {origin.batch_size:,} photos"
        trained = f"trained for {steps} with {version} from the preset `{facts.preset}`. {origin.started}"
    return _filled(
        f"It finds objects of {classes} in photos and says where they are: a box, a class and a confidence each. "
        f"It is a {origin.network}, {trained.rstrip('.')}."
    )


def _table(facts: ExportFacts, origin: Origin) -> str:
    rows = [
        ("Format", f"{_KINDS.get(facts.format, facts.format)}, {facts.precision}"),
        ("Input", f"{facts.image_size} x {facts.image_size} pixels, RGB; photos are {_RESIZED[facts.resize]}"),
        ("AP on the validation photos", _with_interval(facts.ap, origin.intervals.get("ap"))),
        ("AP50 on the validation photos", _with_interval(facts.ap50, origin.intervals.get("ap50"))),
        ("Confidence threshold", f"{facts.threshold:.2f}"),
        ("Trained on", _counted(origin.parts["train"])),
        ("Validated on", _counted(origin.parts["validation"])),
    ]
    return _rows(rows[0], rows[1:])


def _scores(facts: ExportFacts, origin: Origin) -> str:
    if math.isnan(facts.ap):
        return "## How good it is\n\n" + _filled(
            f"Nobody has measured it with this package. The confidence threshold, {facts.threshold:.2f}, is a first "
            f"guess: choose your own on photos that it was not trained on."
        )
    photos = _counted(origin.parts["validation"])
    known = " The intervals come from resampling these photos." if origin.intervals else ""
    exact = facts.precision == "float32" and facts.format in ("saved_model", "onnx")
    other = "" if exact else f" AP was measured before the export; this file is {facts.precision}."
    return "## How good it is\n\n" + _filled(
        f"AP is COCO's, the mean over IoU .50 to .95, and AP50 the one at IoU .50, on {photos}.{known}{other} "
        f"The validation photos also chose the training step and the threshold: new photos may give a little less. At "
        f"the confidence threshold, {facts.threshold:.2f}, F1 was highest: a lower one finds more objects and is "
        f"wrong more often, a higher one the other way round."
    )


def _marked(facts: ExportFacts) -> str:
    """Return what was found by judging the file itself, between marks."""
    found = facts.certificate
    if not found:
        text = "Nobody has judged this file itself yet; `exporting.certify` of tfod_helpers does."
    else:
        numbers = [found.get(name) for name in ("ap", "ap_low", "ap_high")]
        ap, low, high = (value if isinstance(value, int | float) else math.nan for value in numbers)
        scored = f" AP {_with_interval(ap, (low, high) if math.isfinite(low + high) else None)}." * math.isfinite(ap)
        notes = f" Note: {escape(str(found['notes']))}." if found.get("notes") else ""
        text = (
            f"This file was judged on {found.get('photos', '?')} photos with {found.get('objects', '?')} objects "
            f"({str(found.get('date', 'no date'))[:10]}), compared with {escape(str(found.get('reference', '?')))}: "
            f"**{escape(str(found.get('verdict', '?')))}**.{scored}{notes}"
        )
    return f"{BEGIN}\n\n{_filled(text)}\n{END}\n"


def _data(label_map: LabelMap, origin: Origin) -> str:
    train, validation = origin.parts["train"], origin.parts["validation"]
    rows = [
        (str(number), escape(name), _of(train, name), _of(validation, name))
        for number, name in enumerate(label_map.names, start=1)
    ]
    table = _rows(("Id", "Class", "Training objects", "Validation objects"), rows)
    if len(rows) > _MANY:
        table = f"<details>\n<summary>{len(rows)} classes</summary>\n\n{table}\n</details>\n"
    text = f"{_counted(train)}. What they show, who took them and who labelled them is not known to this card."
    if not train.objects:
        text += " Neither is how many objects of each class there are: the records were not there at the export."
    return f"## What it was trained on\n\n{_filled(text)}\n{table}"


def _of(photos: Photos, name: str) -> str:
    return f"{photos.objects[name]:,}" if photos.objects else "unknown"


def _limits(facts: ExportFacts, label_map: LabelMap, origin: Origin) -> str:
    train, validation = origin.parts["train"], origin.parts["validation"]
    known = f"{train.images:,} training photos" if train.images else "training photos"
    limits = [
        f"It knows objects as its {known} show them. Photos of other places, cameras, weather or light than those "
        f"were not tested, unless the validation photos hold them.",
        "It names only its own classes, and can take other things for one of them.",
    ]
    if train.sides:
        low, high = (f"{side:.0f}" for side in train.sides)
        limits.append(
            f"Nine in ten training objects measure {low} to {high} pixels in the input of {facts.image_size} pixels, "
            f"as the square root of the box's area. Smaller and larger ones were hardly seen."
        )
    for few, words in (
        ([name for name in label_map.names if train.objects and train.objects[name] < _FEW], _FEW_WORDS),
        ([name for name in label_map.names if validation.objects and not validation.objects[name]], _UNTESTED),
    ):
        if few:
            limits.append(words.format(", ".join(map(escape, few))))
    return "## Limits\n\n" + "".join(_filled(text, indent="- ") for text in limits)


def _licences(origin: Origin) -> str:
    terms = [
        "The code that made this, tfod_helpers, and the TensorFlow Model Garden, which the network is built with, are "
        "under the Apache License 2.0.",
        "The terms of the photos and labels that it was trained on are not known to this card, nor a licence that its "
        "owner gives this model.",
    ]
    if origin.weights in _TRAINED_ON:
        terms[1:1] = [f"{origin.started} {origin.licence or _UNKNOWN}", _TRAINED_ON[origin.weights]]
    elif origin.weights != "scratch":
        words = origin.started or "Which weights the training started from is not known."
        terms.insert(1, f"{words} {_UNKNOWN}")
    if origin.citation:
        terms.append(f"Cite {origin.citation}.")
    if origin.weights == CARRIED:
        terms[1:2] = ["Its weights are those of an older training, whose terms are not known to this card."]
    return "## Licences\n\n" + "".join(_filled(text, indent="- ") for text in terms)


# --- words and Markdown ---------------------------------------------------------------------------


def escape(text: str) -> str:
    """Return a text that Markdown and HTML show as it is, also in a table."""
    return "".join(f"\\{one}" if one in _ESCAPABLE else f"&#{ord(one)};" if one in _MARKUP else one for one in text)


def _counted(photos: Photos) -> str:
    if not photos.images:
        return "Photos that this card does not know"
    objects = "" if photos.count is None else f" with {counted(photos.count, 'object')}"
    return counted(photos.images, "photo") + objects


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if math.isnan(value):
        return "not measured"
    return f"{value:.3f}" + (f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _filled(text: str, indent: str = "") -> str:
    """Return a paragraph in lines of 120 characters, which no word is broken for."""
    later = " " * len(indent)
    return (
        textwrap.fill(
            text, 120, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
        )
        + "\n"
    )
