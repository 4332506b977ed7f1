"""The rival: what the two scripts of the old Object Detection tutorials do, written anew.

``xml_to_csv`` reads every XML file of a folder into a table and saves it as CSV; ``generate_tfrecord``
groups that table by photo, reads each photo, asks Pillow for its size and writes one TFRecord file.
Each runs as a process of its own, as in the tutorials:

    python benchmarks/old_scripts.py xml_to_csv FOLDER labels.csv
    python benchmarks/old_scripts.py generate_tfrecord labels.csv FOLDER train.record
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

CLASSES = {"cat": 1, "dog": 2}  # the tutorials have their readers write such a table into the script


def xml_to_csv(folder: str, table: str) -> None:
    """Write one row a box: filename, width, height, class, xmin, ymin, xmax, ymax."""
    import xml.etree.ElementTree as ElementTree

    import pandas as pd

    rows = []
    for path in Path(folder).glob("*.xml"):
        root = ElementTree.parse(path).getroot()
        for box in root.findall("object"):
            size, corners = root.find("size"), box.find("bndbox")
            rows.append(
                (root.find("filename").text, int(size[0].text), int(size[1].text), box[0].text)
                + tuple(int(float(corner.text)) for corner in corners)
            )
    columns = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
    pd.DataFrame(rows, columns=columns).to_csv(table, index=None)


def create_example(filename: str, rows: pd.DataFrame, folder: str) -> tf.train.Example:
    """Return one photo and its boxes as the tutorials encode them."""
    import tensorflow as tf
    from PIL import Image

    with tf.io.gfile.GFile(str(Path(folder) / filename), "rb") as file:
        encoded = file.read()
    width, height = Image.open(io.BytesIO(encoded)).size
    xmins, xmaxs, ymins, ymaxs, names, ids = [], [], [], [], [], []
    for _, row in rows.iterrows():
        xmins.append(row["xmin"] / width)
        xmaxs.append(row["xmax"] / width)
        ymins.append(row["ymin"] / height)
        ymaxs.append(row["ymax"] / height)
        names.append(row["class"].encode("utf8"))
        ids.append(CLASSES[row["class"]])

    def ints(values: list[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def texts(values: list[bytes]) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def floats(values: list[float]) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    features = {
        "image/height": ints([height]),
        "image/width": ints([width]),
        "image/filename": texts([filename.encode("utf8")]),
        "image/source_id": texts([filename.encode("utf8")]),
        "image/encoded": texts([encoded]),
        "image/format": texts([b"jpg"]),
        "image/object/bbox/xmin": floats(xmins),
        "image/object/bbox/xmax": floats(xmaxs),
        "image/object/bbox/ymin": floats(ymins),
        "image/object/bbox/ymax": floats(ymaxs),
        "image/object/class/text": texts(names),
        "image/object/class/label": ints(ids),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def generate_tfrecord(table: str, folder: str, output: str) -> None:
    """Write the TFRecord file; print the photos written and the seconds of the loop alone, without the imports."""
    import pandas as pd
    import tensorflow as tf
    from PIL import Image  # noqa: F401  # loaded here, so that the loop does not pay for it

    groups = pd.read_csv(table).groupby("filename")
    with tf.io.TFRecordWriter(output) as writer:
        started = time.perf_counter()
        for filename in groups.groups:
            writer.write(create_example(filename, groups.get_group(filename), folder).SerializeToString())
    print(len(groups), time.perf_counter() - started)


if __name__ == "__main__":
    {"xml_to_csv": xml_to_csv, "generate_tfrecord": generate_tfrecord}[sys.argv[1]](*sys.argv[2:])
