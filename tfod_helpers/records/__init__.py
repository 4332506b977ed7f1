"""A dataset -> TFRecord shards that training reads, and back, with no need of TensorFlow.

``write(dataset, "runs/records/train")`` makes::

    runs/records/train.json                                  the manifest: counts, classes, shards and their checksums
    runs/records/train-9d40b7e3.index.npy                    the index: each record's place, source and labels
    runs/records/train-1f6c02aa-00000-of-00002.tfrecord      the shards, in the dataset's order
    runs/records/train-1f6c02aa-00001-of-00002.tfrecord

The tags in the middle are made from the contents: the same dataset gives the same names, other
contents give other names, so two sets of shards never share a name or a pattern. The shards are
written in a hidden folder beside, and named when the last is complete; then the manifest is renamed
over the old one, which is the moment the new set takes over; only then do the old shards go. A write
that is killed leaves the old set or the new one, never a mixture, and its unfinished files are removed
by the next ``write``.

A second ``write`` reuses the records that have not changed: one is encoded again where the photo's size or
modification time, a box, a label, a class name or a setting is another one. The result is the same
files, byte for byte, that a first ``write`` would make.

``gs://bucket/records/train`` works like a folder; the shards are made on this machine and uploaded.
Where one machine is too few, `beam.write` makes the same files on many.

Each record is a ``tf.train.Example`` with the fields that Model Garden's ``TfExampleDecoder`` reads.
TensorFlow ignores EXIF rotation and gives CMYK other colours, so an upright JPEG in RGB or grey goes
in byte for byte, and every other image is turned upright and encoded as JPEG of quality 95.
"""

from tfod_helpers.records.manifest import Records, counted, in_both, of_pattern, open, read, read_labels
from tfod_helpers.records.verifying import verify
from tfod_helpers.records.writing import write

__all__ = ["Records", "counted", "in_both", "of_pattern", "open", "read", "read_labels", "verify", "write"]
