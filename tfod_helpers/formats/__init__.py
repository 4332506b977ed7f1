"""Annotation formats, one a module: each reads a folder of photos into a `Dataset`, and some write one back.

`read` recognises the format of a folder, an archive or a file, and `find_format` only names it. Each module holds a
`Format` in ``FORMAT``, and reads and writes by it, as in ``formats.coco.read(images, annotations)``. All of them hand
what their files say to `labelled_images`, which pairs it with the photos and checks it in the same way; for all of them
``way_up`` says which way up photos were labelled that are stored turned. `tfds` reads TensorFlow Datasets by name.
"""

from tfod_helpers.formats.recognise import FORMATS, find_format, read, write

__all__ = ["FORMATS", "find_format", "read", "write"]
