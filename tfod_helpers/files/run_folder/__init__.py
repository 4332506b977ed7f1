"""The folder of one training run, here or kept on Drive or in a bucket.

* `run` spells every path in it, and reads and writes its manifest.
* `remote` is the same few acts on a folder of Drive and of a bucket.
* `keeping` copies a run there in the background, so that another machine can resume at any moment.
* `opening` finds a run by its path, and fetches it where it is remote.
* `reading` gives one state of a run that may be written to meanwhile, as far as it is needed; `bringing` copies it.
"""

from tfod_helpers.files.run_folder.keeping import Keeper
from tfod_helpers.files.run_folder.opening import find_run, open_run, runs_in
from tfod_helpers.files.run_folder.reading import add_file, reading
from tfod_helpers.files.run_folder.run import CARRIED, Checkpoint, Run

__all__ = ["CARRIED", "Checkpoint", "Keeper", "Run", "add_file", "find_run", "open_run", "reading", "runs_in"]
