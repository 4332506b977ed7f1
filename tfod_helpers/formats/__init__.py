"""Annotation formats, one a module: each reads a folder of photos into a `Dataset`, and writes one back.

`voc` (Pascal VOC XML, one file a photo) and `tfod_csv` (one table for all photos). Both pair the
annotations with the photos and check them in the same way, see `photo_folder` and `labelled_images`.
"""
