"""What is shown while a training is under way: hooks that the loop calls."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import supervision as sv
from tqdm import tqdm

from tfod_helpers import pictures
from tfod_helpers.training.history import PLANNED

Row = dict[str, float]
_SECONDS = 30.0  # from one line to the next


class Hook:
    """What happens beside the train steps; a method that is not replaced does nothing."""

    def on_evaluation(self, step: int, found: list[sv.Detections]) -> None:
        """The model was evaluated: what it found in the validation photos."""

    def on_steps(self, rows: Sequence[Row]) -> None:
        """Some steps were made: the last row of the history is theirs."""

    def on_save(self, rows: Sequence[Row]) -> None:
        """A checkpoint was written."""

    def on_end(self) -> None:
        """The training ended, whether all steps were made or not."""


def progress(total: int, done: int) -> Hook:
    """Return what shows how far a training is: a bar where somebody looks, else lines, as in the log of a machine."""
    return Bar(total, done) if sys.stderr.isatty() or _in_notebook() else Lines()


class Lines(Hook):
    """A line every half minute, and at each evaluation: step, loss, learning rate, speed and time left."""

    def __init__(self) -> None:
        """Begin."""
        self._last = -math.inf

    def on_steps(self, rows: Sequence[Row]) -> None:
        """Print a line where one is due."""
        row, now = rows[-1], time.monotonic()
        scored, left = "ap50" in row, row[PLANNED] - row["step"]
        if now - self._last < _SECONDS and not scored and left:
            return
        self._last = now
        rest = tqdm.format_interval(left / row["steps_per_second"])
        line = f"training: step {row['step']:.0f} of {row[PLANNED]:.0f}, loss {row['loss']:.4f}, learning rate "
        line += f"{row['learning_rate']:.1e}, {row['steps_per_second']:.2g} steps a second, about {rest} left"
        print(line + (f", AP {row['ap']:.3f}, AP50 {row['ap50']:.3f}" if scored else ""), flush=True)


class Bar(Hook):
    """The progress bar, with loss, learning rate and AP50 beside it."""

    def __init__(self, total: int, done: int) -> None:
        """Begin at a step."""
        self._bar = tqdm(total=total, initial=done, unit="step", desc="training")

    def on_steps(self, rows: Sequence[Row]) -> None:
        """Move the bar; the number of steps may have been fitted to the time meanwhile."""
        row = rows[-1]
        self._bar.total = row[PLANNED]
        self._bar.update(row["step"] - self._bar.n)
        shown = {"loss": f"{row['loss']:.3f}", "learning rate": f"{row['learning_rate']:.1e}"}
        scored = [row["ap50"] for row in rows if np.isfinite(row.get("ap50", np.nan))]
        self._bar.set_postfix(shown | ({"AP50": f"{scored[-1]:.2f}"} if scored else {}))

    def on_end(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Curves(Hook):
    """The training's curves below the progress bar of a notebook cell, redrawn in place; elsewhere nothing."""

    def __init__(self) -> None:
        """Take a place in the cell, where there is a notebook."""
        self._place: Any = None
        if _in_notebook():
            from IPython.display import HTML, display

            self._place = display(HTML(""), display_id=True)

    def on_save(self, rows: Sequence[Row]) -> None:
        """Draw the history in the place of the one before."""
        if self._place:
            from IPython.display import Image

            # A Picture would display itself, each time anew; these are its bytes, which can be replaced.
            self._place.update(Image(pictures.plot_history(pd.DataFrame(rows)).to_bytes()))

    def on_end(self) -> None:
        """Leave the cell to what it prints itself."""
        if self._place:
            from IPython.display import HTML

            self._place.update(HTML(""))


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules and sys.modules["IPython"].get_ipython() is not None
