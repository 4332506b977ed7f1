"""Where a YOLO data set keeps its photos, its labels and the names of its classes.

What ``data.yaml`` and darknet's ``obj.data`` say are paths of somebody else's machine; whatever they
name is looked for inside the folder, and never outside of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.files import storage
from tfod_helpers.formats import folders, parsing
from tfod_helpers.formats.raw import Part

_SPLITS = ("train", "val", "valid", "validation", "test")
_ABOVE = 3  # folders above the labels in which the classes' names are looked for
_TREE = ("images", "labels")
_NAME_FILES = ("classes.txt", "obj.names", "names.txt", "predefined_classes.txt", "_darknet.labels")
_LARGEST = 1_000_000  # bytes of a data.yaml, and characters of what its aliases may unfold to
_ROW = re.compile(r"\s*\d+(?:\.0*)?(?:\s+-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?){4,}\s*")
_LOOKED_AT = 20  # files of a folder
_FIRST = 5  # text files that are opened to see what they are


def find(folder: Path) -> list[Part]:
    """Return the parts of a YOLO data set: by its ``data.yaml`` or ``obj.data``, else by its folders."""
    return _from_file(folder) or _from_folders(folder)


def labels_of(images: Path) -> Path:
    """Return the folder with the labels of a folder of photos: ``labels`` for ``images``, else the same."""
    parts = list(images.parts)
    for place in range(len(parts) - 1, -1, -1):
        if parts[place].lower() == "images":
            labels = Path(*parts[:place], "labels", *parts[place + 1 :])
            return labels if labels.is_dir() else images
    beside = images / "labels"
    return beside if beside.is_dir() else images


def mirrored(path: storage.AnyPath) -> Path:
    """Return where a folder of photos or labels is on this machine; one of a bucket comes with what it needs.

    That are the labels, in the folder above ``images``, and the nearest file that names the classes.
    """
    if not storage.is_remote(path):
        return Path(path)
    folders = [storage.address(path).rstrip("/")]
    while len(folders) <= _ABOVE and folders[-1].count("/") > 2:  # gs://bucket has two
        folders.append(storage.split(folders[-1])[0])
    names = [place for place, folder in enumerate(folders) if any(map(_may_name, storage.sizes(folder)))]
    tree = [place for place, folder in enumerate(folders[:-1], start=1) if storage.split(folder)[1].lower() in _TREE]
    root = folders[max([*names[:1], *tree], default=0)]
    return storage.mirror(root) / folders[0].removeprefix(root).lstrip("/")


def _may_name(name: str) -> bool:
    return name in _NAME_FILES or name.lower().endswith((".yaml", ".yml"))


def names_of(parts: Sequence[Part]) -> list[str]:
    """Return the classes' names in the order of their ids, as the nearest file says them; none where there is none."""
    folders = dict.fromkeys(
        folder for part in parts for folder in (part.annotations, *list(part.annotations.parents)[:_ABOVE])
    )
    for path in (path for folder in folders for path in _yaml_files(folder)):
        if names := yaml_names(_yaml(path)):
            return names
    for path in (folder / name for folder in folders for name in _NAME_FILES):
        names = [line.strip() for line in _lines(path) if line.strip()]
        if names and not _ROW.fullmatch(names[0]):  # or it has the labels of a photo that is called so
            return names
    return []


def yaml_names(data: dict[str, Any]) -> list[str]:
    """Return the names in what a ``data.yaml`` holds, a list or numbers with names; none where they are no texts."""
    names = data.get("names")
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [{str(id): name for id, name in names.items()}[str(id)] for id in range(len(names))]
    names = [parsing.text(name).strip() for name in names] if isinstance(names, list) else []
    return names if all(names) else []


# --- ways to keep a data set ----------------------------------------------------------------------


def _from_file(folder: Path) -> list[Part]:
    described = [data for data in map(_yaml, _yaml_files(folder)) if yaml_names(data)]
    described += [_settings(folder / name) for name in folders.names_in(folder, (".data",))]
    for data in described:
        places: dict[tuple[Path, frozenset[str] | None], str] = {}
        for split in (key for key in _SPLITS if key in data):
            for entry in data[split] if isinstance(data[split], list) else [data[split]]:
                for images, only in _places(folder, parsing.text(data.get("path")), parsing.text(entry)):
                    named = "" if only else folders.split_name(*images.relative_to(folder).parts[::-1])
                    # One folder as both is no split: data.yaml must have train and val.
                    places[images, only] = named or ("" if (images, only) in places else split)
        if places:
            return [Part(images, labels_of(images), split, only) for (images, only), split in places.items()]
    return []


def _settings(path: Path) -> dict[str, str]:
    """Return what darknet's ``obj.data`` says."""
    pairs = (line.split("=", 1) for line in _lines(path) if line.count("=") == 1)
    return {key.strip(): value.strip() for key, value in pairs}


def _from_folders(folder: Path) -> list[Part]:
    images = folder / "images"
    if images.is_dir() and (folder / "labels").is_dir():
        split = [child for child in folders.subfolders(images) if labels_of(child) != child]
        found = [Part(child, labels_of(child), child.name) for child in split] or [Part(images, folder / "labels")]
        return [part for part in found if _has_rows(part.annotations)]
    found = []
    for child in folders.subfolders(folder):
        if (child / "images").is_dir() and (child / "labels").is_dir() and _has_rows(child / "labels"):
            found.append(Part(child / "images", child / "labels", child.name))
        elif (split := folders.split_name(child.name)) and _has_rows(child):
            found.append(Part(child, child, split))
    return found or ([Part(folder, folder)] if _has_rows(folder) else [])


def _places(root: Path, base: str, entry: str) -> Iterator[tuple[Path, frozenset[str] | None]]:
    """Yield the folders that an entry means; of a list of photos, each folder with the names without ending."""
    found = _inside(root, f"{base}/{entry}")
    if found is None or not entry:
        return
    if found.is_dir():
        has_both = (found / "images").is_dir() and (found / "labels").is_dir()
        yield found / "images" if has_both else found, None
        return
    listed: dict[Path, set[str]] = defaultdict(set)
    for line in filter(str.strip, _lines(found)):
        parts = re.split(r"[/\\]", line.strip())
        folder = _inside(root, "/".join(parts[:-1])) if len(parts) > 1 else found.parent
        listed[folder or found.parent].add(parts[-1].rpartition(".")[0])
    for folder, stems in listed.items():
        yield folder, frozenset(stems)


def _inside(root: Path, text: str) -> Path | None:
    """Return what a path means inside of ``root``: the longest end of it that is there."""
    parts = [part for part in re.split(r"[/\\]", text.strip()) if part not in ("", ".", "..") and ":" not in part]
    for start in range(len(parts) + 1):
        path = root.joinpath(*parts[start:])
        if path.exists() and not path.is_symlink():
            return path if parts[start:] or not parts else None
    return None


def _has_rows(folder: Path) -> bool:
    """Whether one of the first text files begins with a row of YOLO; others may be lists or words for people."""
    names = [name for name in folders.names_in(folder, (".txt",)) if name not in _NAME_FILES]
    first = (next(filter(str.strip, _lines(folder / name)), "") for name in names[:_FIRST])
    return any(_ROW.fullmatch(line) for line in first)


# --- files ----------------------------------------------------------------------------------------


def _yaml_files(folder: Path) -> list[Path]:
    return [folder / name for name in folders.names_in(folder, (".yaml", ".yml"))]


def _yaml(path: Path) -> dict[str, Any]:
    """Return what a YAML file holds, or nothing where it is none, too large, or a bomb."""
    import yaml

    try:
        if path.stat().st_size > _LARGEST:
            return {}
        text = path.read_text(encoding="utf-8-sig")
        if "*" in text and "&" in text:  # aliases: no tool writes them here, and they can unfold without end
            return {}
        data = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) else {}


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():  # a device never ends
            return []
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8-sig", "surrogateescape").splitlines()
    except OSError:
        return []
