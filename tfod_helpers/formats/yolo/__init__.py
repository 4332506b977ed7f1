"""YOLO: a text file a photo, one row a box: ``class x y width height``.

The class is a number from 0, x and y are the centre of the box, and everything is in fractions of the
image. https://docs.ultralytics.com/datasets/detect/ describes it. Rows with more numbers are outlines, and
the box around them is taken, or have key points behind the box, where ``data.yaml`` has ``kpt_shape``.

A photo without a label file, or with an empty one, is background: so has YOLO itself. It is left out where its label
file may be lost: where label files beside belong to no photo, or where no photo of the folder has one. The names
of the classes are taken from the ``data.yaml`` or ``obj.data`` that leads to the photos, or from the nearest
``classes.txt`` or the like; folders with lists of their own are joined by the names. `read` takes the folders within a
folder too, and labels from ``labels`` where the photos are in ``images``, beside the photos, or from the nearest folder
that has text files of their names. `write` makes ``images``, ``labels`` and ``data.yaml``, as Ultralytics trains from;
the format has no place for crowds and difficult objects.
"""

from tfod_helpers.formats.format import Format
from tfod_helpers.formats.yolo import layout, reading, writing

FORMAT = Format(
    title="YOLO",
    find=layout.find,
    sources=reading.sources,
    beside=layout.beside,
    fetch=layout.mirrored,
    write_annotations=writing.write,
    photos_in="images",
)
read, write = FORMAT.read, FORMAT.write
