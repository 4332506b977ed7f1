"""Where a classifier's training is: its history, its best weights, what was seen of the photos; kept in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from tfod_helpers.files import storage
from tfod_helpers.files.workspace import whole_file

if TYPE_CHECKING:
    import keras
    import pandas as pd

_STATE, _SEEN, _BACKUP = "training.json", "seen", "backup"
_COLUMNS = ("part", "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds")


class Progress:
    """The progress of one training.

    Args:
        folder: where it is kept.
        of: whatever decides what comes out, as JSON can hold it; of something else, the folder is refused.
        minutes: how long this call may take.
        patience: epochs without progress after which a part ends.

    Raises:
        ValueError: the folder holds another training, or is not on this machine.
    """

    def __init__(self, folder: str | os.PathLike[str], of: Any, *, minutes: float, patience: int) -> None:
        if storage.is_remote(folder):
            raise ValueError(f"{folder}: a classifier is trained in a folder of this machine. Copy what it saves.")
        self.folder = Path(folder).expanduser()
        self._cut_short = False
        self._started, self._seconds, self._patience = time.monotonic(), 60 * minutes, patience
        digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
        self._state: dict[str, Any] = {"of": digest, "done": [], "rows": []}
        if (self.folder / _STATE).exists():
            self._state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
            if self._state["of"] != digest:
                raise ValueError(
                    f"{self.folder}: this folder holds a training of other photos, labels or another network. Choose "
                    f"another folder, or delete this one."
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def is_over(self, share: float = 1.0) -> bool:
        """Whether this share of the time is over."""
        return time.monotonic() - self._started > share * self._seconds

    def say_over(self, part: str) -> None:
        """Say that the time is over before a part of the network was trained, or while it was."""
        self._cut_short = True
        print(f"The {self._seconds / 60:g} minutes are over ({part}): the best so far is taken. The same call goes on.")

    def history(self) -> pd.DataFrame:
        """Return a row an epoch."""
        import pandas as pd

        return pd.DataFrame(self._state["rows"], columns=list(_COLUMNS))

    def kept(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return arrays that are on the disk already, or else what ``make`` returns, and keep that there."""
        path = self.folder / _SEEN / f"{name}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as there:
                return dict(there)
        made = make()
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez(file, **made)  # type: ignore[arg-type]  # its stubs take the names for options
        return made

    def restore(self, part: str, net: keras.Model) -> bool:
        """Give a part its best weights where it has been trained to its end; return whether it has."""
        if part in self._state["done"]:
            self._load(part, net)
        return part in self._state["done"]

    @contextlib.contextmanager
    def part(
        self, part: str, net: keras.Model, epochs: int, validate: Callable[[], list[float]]
    ) -> Iterator[list[keras.callbacks.Callback]]:
        """Give the callbacks that keep the training of a part; afterwards it has the weights of its best epoch.

        Args:
            part: its name.
            net: the network, compiled.
            epochs: how many there are.
            validate: returns loss and accuracy on the validation photos.
        """
        import keras

        if not self._best(part).exists():  # what is there before may be the best
            self.keep(part, net)
            self._add(part, 0, dict(zip(("val_loss", "val_accuracy"), validate(), strict=True)))
        with tqdm(total=epochs, desc=f"training: {part}", unit="epoch") as bar:
            watch = _Watch(self, part, net, bar)
            yield [
                keras.callbacks.BackupAndRestore(self.folder / _BACKUP / part, delete_checkpoint=False),
                keras.callbacks.LambdaCallback(on_epoch_begin=watch.begin, on_epoch_end=watch.end),
            ]
        self._load(part, net)
        if not self._cut_short:
            self._state["done"].append(part)
            self._write()

    def keep(self, part: str, net: keras.Model) -> None:
        """Keep the weights of a part as its best."""
        with whole_file(self._best(part)) as path, path.open("wb") as file:
            np.savez(file, *net.get_weights())

    def _best(self, part: str) -> Path:
        return self.folder / f"{part.replace(' ', '_')}.npz"

    def _load(self, part: str, net: keras.Model) -> None:
        with np.load(self._best(part), allow_pickle=False) as there:
            net.set_weights([there[name] for name in there.files])

    def close(self) -> None:
        """Delete what only a training that goes on needs, where nothing was cut short."""
        if not self._cut_short:
            for name in (_SEEN, _BACKUP):
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def losses(self, part: str) -> list[float]:
        """Return the validation losses of a part so far."""
        return [row["validation_loss"] for row in self._state["rows"] if row["part"] == part]

    def patience_is_over(self, part: str) -> bool:
        """Whether the last epochs of a part brought nothing."""
        losses = self.losses(part)
        return len(losses) - 1 - int(np.argmin(losses)) >= self._patience

    def _add(self, part: str, epoch: int, logs: dict[str, float], seconds: float = 0.0) -> None:
        names = {"loss": "loss", "accuracy": "accuracy"}
        names |= {"val_loss": "validation_loss", "val_accuracy": "validation_accuracy"}
        row = {column: float(logs[key]) if key in logs else None for key, column in names.items()}
        self._state["rows"].append({"part": part, "epoch": epoch, **row, "seconds": round(seconds, 2)})
        self._write()

    def _write(self) -> None:
        with whole_file(self.folder / _STATE) as path:
            path.write_text(json.dumps(self._state, indent=1) + "\n", encoding="utf-8")


class _Watch:
    """What is done after each epoch: remember it, keep the best, and stop in time."""

    def __init__(self, progress: Progress, part: str, net: keras.Model, bar: tqdm) -> None:
        self._progress, self._part, self._net, self._bar = progress, part, net, bar
        self._began = 0.0

    def begin(self, epoch: int, _: Any = None) -> None:
        self._began = time.monotonic()
        self._bar.update(epoch - self._bar.n)  # where an earlier call has got to

    def end(self, epoch: int, logs: dict[str, float]) -> None:
        progress = self._progress
        progress._add(self._part, epoch + 1, logs, time.monotonic() - self._began)
        losses = progress.losses(self._part)
        if losses[-1] == min(losses):
            progress.keep(self._part, self._net)
        self._bar.update(epoch + 1 - self._bar.n)
        self._bar.set_postfix({"validation loss": f"{losses[-1]:.3f}", "accuracy": f"{logs['val_accuracy']:.3f}"})
        if progress.patience_is_over(self._part):
            self._net.stop_training = True
        elif progress.is_over():
            self._net.stop_training = True
            progress.say_over(self._part)
