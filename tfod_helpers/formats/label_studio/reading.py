"""Label Studio's tasks -> the annotation of each photo."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from tfod_helpers.formats import parsing
from tfod_helpers.formats.label_studio import shapes
from tfod_helpers.formats.raw import RawImage, Reading
from tfod_helpers.photos.folder import PHOTO_ENDINGS, PhotoFolder, folded

_ANNOTATIONS = ("annotations", "completions")  # completions: before version 1.0
_CANCELLED = ("was_cancelled", "skipped")
_UPLOAD = re.compile(r"(^|(?<=/))[0-9a-f]{8}-(?=[^/]+\Z)")  # what Label Studio puts before an uploaded file's name
_LOCAL_FILES = "/data/local-files/"
_EXPORT_AGAIN = "Export the project again from Label Studio, as JSON."


def is_ours(path: Path) -> bool:
    """Whether a file begins as Label Studio's exports do."""
    data = parsing.dicts(parsing.beginning_of_json(path))
    first = data[0] if data else {}
    if isinstance(first.get("data"), dict):
        return any(isinstance(first.get(key), list) for key in (*_ANNOTATIONS, "predictions"))
    if any("result" in one for key in _ANNOTATIONS for one in parsing.dicts(first.get(key))):
        return True  # the data comes after the annotations, perhaps too late to be seen
    return bool(shapes.tags_with_shapes(data))


def read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    """Yield the annotations of an export's photos, as `one_file.sources` takes them."""
    tasks = parsing.load_json_list(path, "tasks, as Label Studio's exports are", _EXPORT_AGAIN)
    name_of = _name_finder(photos)
    tags, labelled = shapes.tags_with_shapes(tasks), False
    for number, task in enumerate(tasks, start=1):
        id = parsing.text_at(task, "id")
        place = f"task {number}" + (f" (id {id})" if id else "")
        for raw in _raw_images(path.name, place, task, name_of, tags, reading):
            labelled = True
            yield "", raw
    if tasks and not labelled:
        what, fix = f"none of its {len(tasks)} tasks is labelled", "Label them; predictions are not taken for labels."
        reading.add(path.name, what, fix, "note", "photo not annotated")


def _raw_images(
    where: str, place: str, task: Any, name_of: Callable[[str], str], tags: set[str], reading: Reading
) -> Iterator[RawImage]:
    """Yield the annotation of each of a task's images; nothing where nobody labelled it."""
    names: dict[_Target, str] = {}
    try:
        if not isinstance(task, dict):
            raise parsing.UnusableError(f"it is {reprlib.repr(task)}, not a task", _EXPORT_AGAIN)
        if not {"data", *_ANNOTATIONS, "predictions"} & task.keys():  # JSON-MIN
            task = shapes.from_minimal(task, tags)
        addresses = _addresses(parsing.mapping(task.get("data")))
        addresses = addresses or {_Target("image"): parsing.text_at(task, "file_upload")}
        names = {target: name for target, address in addresses.items() if (name := name_of(address))}
        if not names:
            raise parsing.UnusableError("it names no image", _EXPORT_AGAIN)
        drawn = [_by_image(items, names) for items in _results(task)]
    except parsing.UnusableError as error:
        for filename in dict.fromkeys(names.values()) or [""]:
            yield RawImage(where, place, filename, fault=error.args)
        return
    if not any(task.get(key) for key in _ANNOTATIONS):
        yield from _suggested(where, place, names.values(), reading)
        return
    for filename in names.values():  # what a person submitted is the person's, also where nothing was changed
        reading.suggested.pop(_photo(filename), None)
    if not drawn:
        shown = " and ".join(map(repr, dict.fromkeys(names.values())))
        what, fix = f"{shown} was skipped in Label Studio", "Left out; label it there to use it."
        reading.add(where, what, fix, "note", "photo skipped", place)
    alone = next(iter(names)) if len({*names.values()}) == 1 else None
    for target, filename in names.items():
        # Of several images those on which nobody drew were perhaps not to be labelled, and are no background.
        some = [one[target] for one in drawn if one[target] or target == alone]
        if images := [_to_image(where, place, filename, items) for items in some]:
            if any(_facts(image) != _facts(images[0]) for image in images[1:]):
                what, fix = f"{len(images)} annotations of {filename!r} differ", "The first is taken. Look at them."
                reading.add(where, what, fix, "warning", "labels differ", place)
            yield images[0]


def _suggested(where: str, place: str, names: Iterable[str], reading: Reading) -> Iterator[RawImage]:
    """Yield what was suggested for the photos of a task that nobody has labelled yet, where that is known."""
    for filename in names:
        for raw, _ in reading.suggested.get(_photo(filename), ())[:1]:
            yield dataclasses.replace(raw, where=where, place=place, filename=filename)


def _photo(filename: str) -> str:
    """Return the name of a photo as `Reading.suggested` knows it."""
    return folded(re.split(r"[/\\]", filename)[-1])


def _results(task: dict[str, Any]) -> list[list[Any]]:
    """Return the shapes of each annotation that was not cancelled; UnusableError: what is wrong."""
    annotations: Any = next((task[key] for key in _ANNOTATIONS if key in task), [])
    if not isinstance(annotations, list) or len(parsing.dicts(annotations)) != len(annotations):
        raise parsing.UnusableError(f"its annotations are {reprlib.repr(annotations)}", _EXPORT_AGAIN)
    results = [one.get("result") for one in annotations if not any(one.get(key) for key in _CANCELLED)]
    if odd := [result for result in results if not isinstance(result, list)]:
        raise parsing.UnusableError(f"an annotation has {reprlib.repr(odd[0])}, not a list of results", _EXPORT_AGAIN)
    return [list(shapes.labelled(result)) for result in results]


def _by_image(items: Sequence[Any], names: Mapping[_Target, str]) -> dict[_Target, list[Any]]:
    """Return the results that are drawn on each of a task's images; UnusableError where one may be on any of them."""
    drawn: dict[_Target, list[Any]] = {target: [] for target in names}
    keys = {tag: _key_of(tag, names) for tag in {parsing.text_at(item, "to_name") for item in items}}
    if len(names) == 1 or (len({*names.values()}) == 1 and len(keys) < 2):  # one image, perhaps by several addresses
        return drawn | {next(iter(names)): list(items)}
    for item in map(parsing.mapping, items):
        tag = parsing.text_at(item, "to_name")
        page = item.get("item_index") or 0
        target = _Target(keys[tag], page if isinstance(page, int) else -1)
        if target not in drawn or len(set(keys.values())) < len(keys):
            shown = ", ".join(repr(one.key) for one in names)
            what = f"it has several images ({shown}), and a region on {tag!r} may be on any of them"
            fix = "Export it as JSON, with each <Image> tag in Label Studio called as its image is in the task."
            raise parsing.UnusableError(what, fix)
        drawn[target].append(item)
    return drawn


def _key_of(tag: str, names: Iterable[_Target]) -> str:
    """Return the key of the image that a tag shows: the tag's own name, or the one that begins and ends like it."""
    keys = list(dict.fromkeys(target.key for target in names))
    own = [key for key in keys if key == tag]
    begins = [key for key in keys if tag and key[:2].lower() == tag[:2].lower()]
    ends = [key for key in begins if re.findall(r"\d*$", key)[0] == re.findall(r"\d*$", tag)[0]]
    return next((found[0] for found in (keys, own, begins, ends) if len(found) == 1), "")


def _facts(image: RawImage) -> list[str]:
    """Return an image's objects in a form that can be compared."""
    return sorted(repr((item.name, tuple(item.coordinates), item.fault)) for item in image.objects)


def _to_image(where: str, place: str, filename: str, items: list[Any]) -> RawImage:
    start = f"{place} ({filename}), region"
    objects = [shapes.to_object(f"{start} {number}", item) for number, item in enumerate(items, start=1)]
    sizes = ((item.get("original_width"), item.get("original_height")) for item in parsing.dicts(items))
    size = next((size for size in sizes if size != (None, None)), (None, None))
    # Without a region there is no size either, and the image is background.
    return RawImage(where, place, filename, size=size, objects=objects, has_size=bool(objects))


# --- the photo that a task is of ------------------------------------------------------------------


class _Target(NamedTuple):
    """One image of a task: the key that it has in the data, and its place where that is a list of images."""

    key: str
    page: int = 0


def _name_finder(photos: PhotoFolder) -> Callable[[str], str]:
    """Return a function that takes an image's address and returns the name of a photo that there is, else its own."""
    cleaned: dict[str, list[str]] = defaultdict(list)
    for name in photos.names:
        last = name.rpartition("/")[2]
        cleaned[_clean(last)].append(last)

    def find(address: str) -> str:
        names = _names(address)
        for name in names:
            if known := photos.find(name, ""):
                return known[0] if len(known) == 1 else name
        for name in names:
            known = cleaned.get(unquote(name).rpartition("/")[2], [])
            if len(known) == 1:
                return known[0]
        return names[-1]

    return find


def _addresses(data: dict[str, Any]) -> dict[_Target, str]:
    """Return where a task's images are: ``image``, as most projects call it, and all texts that end as photos do.

    Where there is none, it is the one text that looks like a file.
    """
    texts = {
        _Target(key, page): text
        for key, value in data.items()
        for page, text in enumerate(value if isinstance(value, list) else [value])
        if isinstance(text, str) and text.strip()
    }
    photos = {at: text for at, text in texts.items() if at.key == "image" or _is_photo(text)}
    files = {at: text for at, text in texts.items() if re.search(r"\.\w{3,5}($|\?)", text)}
    named = {at: text for at, text in texts.items() if at.key in ("img", "url")}
    return photos or (files if len(files) == 1 else dict(list(named.items())[:1]))


def _is_photo(address: str) -> bool:
    return _names(address)[-1].lower().endswith(tuple(PHOTO_ENDINGS))


def _names(address: str) -> list[str]:
    """Return the names that the photo may have: the file's, and that without what was put before an uploaded file's."""
    name = address.strip()
    if "://" in name or name.startswith("/data/"):
        name, _, query = name.partition("#")[0].partition("?")
        if name.endswith(_LOCAL_FILES):
            name = parse_qs(query).get("d", [name])[0]
    return [name, _UPLOAD.sub("", name)]


def _clean(name: str) -> str:
    """Return a file name as Django, which Label Studio stores uploads with, cleans it."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
