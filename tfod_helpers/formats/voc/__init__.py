"""Pascal VOC: one XML file a photo, as labelImg and most other labelling tools write it.

``<annotation>`` holds ``<filename>``, ``<size>`` and one ``<object>`` a box with ``<name>`` and
``<bndbox>``. Coordinates are taken as they are: no one is subtracted.

An annotation belongs to the photo that its ``<filename>`` names, or to the one that has its own name; where both exist
and differ, that is an error. ``<part>`` and XML namespaces are ignored; a polygon alone has the box around it. Without
annotations, `read` takes the XML files beside the photos; `formats.read` also finds what LabelImg writes into one other
folder, Roboflow into ``train``, ``valid`` and ``test``, and the VOCdevkit and CVAT ("PASCAL VOC 1.1") into
``Annotations`` and ``JPEGImages``, with a list a split in ``ImageSets/Main``; ``train.txt`` and the like may also lie
elsewhere. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
``<difficult>1</difficult>`` is read and written. The format has no place for crowds, masks and the order of
the classes.
"""

import functools

from tfod_helpers.formats import folders
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part
from tfod_helpers.formats.voc import lists, reading, writing

FORMAT = Format(
    title="Pascal VOC XML",
    find=functools.partial(folders.find_parts, ".xml", reading.is_ours, lists.parts_of),
    sources=reading.sources,
    beside=lambda folder: [Part(folder, folder)],
    write_annotations=writing.write,
    marks=frozenset({"difficult"}),
)
read, write = FORMAT.read, FORMAT.write
