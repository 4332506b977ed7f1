"""The folder of one training run, here or kept on Drive or in a bucket.

* `run` spells every path in it, and reads and writes its manifest.
* `remote` is the same few acts on a folder of Drive and of a bucket.
* `keeping` copies a run there in the background, so that another machine can resume at any moment.
* `opening` finds a run by its path, and fetches it where it is remote.
"""

from tfod_helpers.files.run_folder.keeping import Keeper
from tfod_helpers.files.run_folder.opening import find_run, open_run, runs_in
from tfod_helpers.files.run_folder.run import CARRIED, Checkpoint, Run

__all__ = ["CARRIED", "Checkpoint", "Keeper", "Run", "find_run", "open_run", "runs_in"]
