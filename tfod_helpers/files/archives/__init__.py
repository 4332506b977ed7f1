"""A zip or tar file -> a folder, safely: nothing leaves the folder, nothing runs, nothing fills the disk.

A file that somebody sends you may hold paths such as ``../../.bashrc``, links that lead elsewhere, or a few
bytes that unfold to terabytes. All of that is refused before anything is written.

* `unpack` unpacks, `is_archive` knows an archive by its name, and `ArchiveError` says why one is refused.
* `entries` lists what an archive holds, and refuses what would not stay in the folder.
* `parts` knows which archives are one download together, and refuses the volumes of one that was split.
* `names` decodes the file names of old zips.
* `marks` says what a folder was made from, so that the same need not be made twice.
"""

from tfod_helpers.files.archives.entries import ENDINGS, is_archive
from tfod_helpers.files.archives.names import ArchiveError
from tfod_helpers.files.archives.parts import download_in, is_part, name_of, parts_among, parts_of, start_of
from tfod_helpers.files.archives.unpacking import unpack

__all__ = [
    "ENDINGS",
    "ArchiveError",
    "download_in",
    "is_archive",
    "is_part",
    "name_of",
    "parts_among",
    "parts_of",
    "start_of",
    "unpack",
]
