"""A path that is local or in a Cloud Storage bucket (``gs://``), its files and its folders.

`pathlib.Path` makes ``gs:/`` of ``gs://``; both are taken for the same address here. What is written is private:
nothing here opens a file or a bucket to anybody.
"""

from tfod_helpers.files.storage.files import (
    Stored,
    copy,
    delete,
    download,
    read_bytes,
    read_stamped,
    sizes,
    stamp,
    stamps,
    upload,
    versions,
    write_bytes,
)
from tfod_helpers.files.storage.folders import TransferError, Transferred, download_folder, refresh, upload_folder
from tfod_helpers.files.storage.mirrors import local_copy, local_place, mirror, reading, whole_file, whole_folder
from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name, is_remote, join, split

__all__ = [
    "AnyPath",
    "Stored",
    "TransferError",
    "Transferred",
    "address",
    "bucket_and_name",
    "copy",
    "delete",
    "download",
    "download_folder",
    "is_remote",
    "join",
    "local_copy",
    "local_place",
    "mirror",
    "read_bytes",
    "read_stamped",
    "reading",
    "refresh",
    "sizes",
    "split",
    "stamp",
    "stamps",
    "upload",
    "upload_folder",
    "versions",
    "whole_file",
    "whole_folder",
    "write_bytes",
]
