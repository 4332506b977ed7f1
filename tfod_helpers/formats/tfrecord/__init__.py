"""TFRecords of the Object Detection API, of the Model Garden and of this package, so that old records go on living.

Their photos are taken out once, into a folder, so that 20,000 of them need not be kept in memory. The features
are those of ``create_pet_tf_record.py``, ``generate_tfrecord.py`` and the Model Garden's ``tfrecord_lib.py``.

`read` takes one file or shard, whose other shards are read too, or a folder with several sets, in it or in subfolders
named for splits, as Roboflow packs them; `formats.read` looks into all where it recognises nothing else. A label map
beside the records or above names the classes of those that hold ids only; else they need the ``label_map`` that they
were written with: the ids in that file are the records' ids, gaps and all. Sets that number their classes differently
are joined by the names. The option ``folder`` is where the photos are put, a folder for each set; None takes
``<set>_photos`` beside the records. One that has other files in it is a FileExistsError.
"""

import functools

from tfod_helpers.files import storage
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.tfrecord import reading
from tfod_helpers.formats.tfrecord.reading import find_anywhere, parts_of

__all__ = ["FORMAT", "find_anywhere", "parts_of", "read"]

FORMAT = Format(
    title="TFRecord",
    find=reading.find,
    sources=reading.sources,
    beside=reading.beside,
    fetch=functools.partial(storage.mirror, around=True),
)
read = FORMAT.read
