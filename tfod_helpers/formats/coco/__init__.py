"""COCO JSON: one file with lists of images, annotations and categories, as COCO, Roboflow, CVAT and others write it.

A box is ``[x, y, width, height]`` in pixels. https://cocodataset.org/#format-data describes the format,
and https://cocodataset.org/#format-results the list of detections that `read_results` takes.

The classes keep the order of their ids and are numbered from 1. A category that is never used and that has the id 0, as
Roboflow writes it, or is called background, is no class. Without annotations, `read` takes all COCO files of the data
set, in the folder, in its ``annotations`` or in its split folders, and looks for the photos by their names. Of COCO's
own archive the files with captions, key points and the like are left out, with a note. Ids may be numbers or texts, and
an object without a box gets the one around its outline. With the option ``masks=True`` the outlines (polygons or
run-length encoding) are kept as masks; where an object has none, its box is its mask. An annotation's ``area`` is kept
where it is above 0: scores tell small objects from large ones by it, as pycocotools does.

COCO itself knows no difficult objects. An annotation's ``difficult``, or CVAT's ``attributes.difficult``, is read as
such, and `write` adds ``"difficult": 1`` to them, which other programs pass over.
"""

import functools

from tfod_helpers.formats import one_file
from tfod_helpers.formats.coco import reading, writing
from tfod_helpers.formats.coco.results import read_results
from tfod_helpers.formats.format import Format

__all__ = ["FORMAT", "read", "read_results", "write"]

FORMAT = Format(
    title="COCO JSON",
    find=functools.partial(one_file.find, ".json", reading.is_ours),
    sources=reading.sources,
    write_annotations=writing.write,
    by_stem=False,
    marks=frozenset({"crowd", "difficult"}),
)
read, write = FORMAT.read, FORMAT.write
