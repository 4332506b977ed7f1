"""Curves of a training under way, redrawn in place where there is a notebook."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfod_helpers import pictures


class Curves:
    """The training's curves below the progress bar of a notebook cell; elsewhere nothing."""

    def __init__(self) -> None:
        """Find out whether there is a notebook."""
        self._shown: Any = None
        self._notebook = "ipykernel" in sys.modules and sys.modules["IPython"].get_ipython() is not None

    def show(self, rows: Sequence[dict[str, float]]) -> None:
        """Draw the rows of a history in the place of the ones before."""
        if not self._notebook:
            return
        from IPython.display import Image

        # A Picture would display itself, each time anew; these are its bytes, which can be replaced.
        self._put(Image(pictures.plot_history(pd.DataFrame(rows)).to_bytes()))

    def clear(self) -> None:
        """Leave the cell to what it says itself."""
        if self._shown is not None:
            from IPython.display import HTML

            self._put(HTML(""))

    def _put(self, thing: Any) -> None:
        from IPython.display import display

        if self._shown is None:
            self._shown = display(thing, display_id=True)
        else:
            self._shown.update(thing)
