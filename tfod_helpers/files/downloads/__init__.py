"""A URL -> a file: a download resumes where it broke off, comes whole or not at all, and is proven.

* `fetch` downloads; `DownloadError` says why a file could not be had, and what to do.
* `fetch_kept` looks into a second place first, one that outlives this machine, and leaves a copy there.
* `parts` keeps the bytes that came so far, for this process and for the next.
* `answers` says what a server's or a network's refusal means.
"""

from tfod_helpers.files.downloads.answers import DownloadError
from tfod_helpers.files.downloads.fetching import fetch
from tfod_helpers.files.downloads.second_place import SECOND_PLACE, fetch_kept

__all__ = ["SECOND_PLACE", "DownloadError", "fetch", "fetch_kept"]
