"""How Label Studio names an image -> the name of the photo."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tfod_helpers.formats import json_file
from tfod_helpers.photos.folder import PhotoFolder

_UPLOAD = re.compile(r"[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file
_LOCAL_FILES = "/data/local-files/"


class NameFinder:
    """Finds the photo that a task means.

    Args:
        photos: the photos that there are.
    """

    def __init__(self, photos: PhotoFolder) -> None:
        self._photos = photos
        self._cleaned: dict[str, list[str]] = defaultdict(list)
        for name in photos.names:
            last = name.rpartition("/")[2]
            self._cleaned[_clean(last)].append(last)

    def __call__(self, data: dict[str, Any], uploaded: str) -> str:
        """Return the name of a photo that there is, else the name that the task gives, or nothing.

        Args:
            data: the task's ``data``; for JSON-MIN the whole entry.
            uploaded: the task's ``file_upload``.
        """
        names = _names(_address(data) or uploaded)
        for name in names:
            if known := self._photos.find(name, ""):
                return known[0] if len(known) == 1 else name
        for name in names:
            known = self._cleaned.get(name.rpartition("/")[2], ())
            if len(known) == 1:
                return known[0]
        return names[-1] if names else ""


def _address(data: dict[str, Any]) -> str:
    """Return where the image is: ``image``, as most projects call it, or the one text that looks like a file."""
    if isinstance(image := data.get("image"), str):
        return image
    texts = [value for value in data.values() if isinstance(value, str)]
    files = [text for text in texts if re.search(r"\.\w{3,5}($|\?)", text)]
    return files[0] if len(files) == 1 else json_file.text(data.get("img") or data.get("url"))


def _names(address: str) -> list[str]:
    """Return the names that the photo may have, the nearest first: as it is, decoded, without what was put before."""
    path = address.strip()
    if "://" in path or path.startswith("/data/"):
        try:
            parts = urlsplit(path)
        except ValueError:  # such as a broken address of a host
            return [path]
        local = parse_qs(parts.query).get("d") if _LOCAL_FILES in parts.path else None
        path = local[0] if local else parts.path
    names = []
    for name in dict.fromkeys((path, unquote(path))):
        before, slash, last = name.rpartition("/")
        names += [name] + [before + slash + last[9:]] * bool(_UPLOAD.match(last) and last[9:])
    return names if path else []


def _clean(name: str) -> str:
    """Return a file name as Django, which Label Studio stores uploads with, cleans it."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
