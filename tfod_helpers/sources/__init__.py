"""Wherever the data set is -> a folder on the local disk, where training reads it thousands of times faster.

* `local` brings the data, and `frames` the frames of a video, as photos to label; `SourceError` says why they could
  not be had, and what to do.
* `places` are the archives and videos: on this disk, on Drive, behind an address, in a bucket; `links` and `kaggle`
  know more of some addresses.
* `bringing` makes a folder of an archive, once, and again where the archive changed.
* `videos` takes those frames of a video that differ.
* `samples` is the drawn sample, and what `mistakes` it has when it is broken; `oxford_pets` is a published data set.
* `copying` does the same with a folder on Drive or in a bucket, and `uploads` with what the browser sends.
"""

from tfod_helpers.sources.bringing import SourceError
from tfod_helpers.sources.door import WORDS, local
from tfod_helpers.sources.samples import Mistake, mistakes
from tfod_helpers.sources.videos import frames

__all__ = ["WORDS", "Mistake", "SourceError", "frames", "local", "mistakes"]
