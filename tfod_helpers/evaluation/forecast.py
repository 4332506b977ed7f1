"""What AP more labelled photos would bring, by a curve through what growing parts of a training set reached.

The missing AP, ``1 - AP``, is taken to fall with a power of the number of photos, as learning curves do (Hestness and
others, 2017). The interval comes from sampling each point within its own interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | Mapping[str, Sequence[float] | np.ndarray]

_LEAST_POINTS = 3  # a line through two says nothing of how well it fits
_SAMPLES = 2000
_WORTH = 0.01  # AP: less is not worth labelling for


class Forecast(NamedTuple):
    """The AP to be expected with more photos, and how much more that is, with 95 % intervals."""

    more: int
    images: int
    ap: float
    ap_low: float
    ap_high: float
    gain: float
    gain_low: float
    gain_high: float

    @property
    def answer(self) -> str:
        """Whether more photos would help, in a few words."""
        photos = f"{self.more:,} more labelled photos"
        if self.gain_low > _WORTH:
            return f"{photos} would help"
        if self.gain_high < _WORTH:
            return f"{photos} would hardly help"
        if self.gain_low > 0:
            return f"{photos} would help a little"
        return f"The intervals overlap too much to tell whether {photos} would help"

    def __str__(self) -> str:
        return (
            f"{self.answer}: with {self.images:,} photos about AP {self.ap:.2f} is to be expected, {self.gain:+.2f} "
            f"(95 %: {self.gain_low:+.2f} to {self.gain_high:+.2f})."
        )


def forecast(table: Table, *, more: int = 100) -> Forecast | None:
    """Return what AP to expect of more photos; None where the table has fewer than three numbers of photos.

    Args:
        table: as `learning_curve.measure` returns it: images, ap, ap_low and ap_high are used.
        more: photos that could be labelled besides.
    """
    names = ("images", "ap", "ap_low", "ap_high")
    images, ap, ap_low, ap_high = rows = np.array([np.asarray(table[name], float) for name in names])
    images, ap, ap_low, ap_high = rows[:, np.isfinite(ap) & (images > 0)]
    if len(np.unique(images)) < _LEAST_POINTS:
        return None
    deviation = np.maximum(np.nan_to_num((ap_high - ap_low) / (2 * 1.96), nan=0.05), 1e-3)
    sampled = ap + deviation * np.random.default_rng(0).standard_normal((_SAMPLES, len(ap)))
    sampled = np.vstack([ap, sampled]).clip(0.001, 0.999)
    # A straight line through the logarithms; the error of log(1 - AP) is that of AP over 1 - AP.
    weight = ((1 - ap.clip(0.001, 0.999)) / deviation) ** 2
    middle = np.average(np.log(images), weights=weight)
    x, y = np.log(images) - middle, np.log(1 - sampled)
    slope = (y * x * weight).sum(axis=1) / (x * x * weight).sum()
    height = np.average(y, axis=1, weights=weight)
    last = images.max()
    now, then = (1 - np.exp(height + slope * (np.log(number) - middle)) for number in (last, last + more))
    gain_low, gain_high = np.quantile((then - now)[1:], [0.025, 0.975])
    ap_low, ap_high = np.quantile(then[1:], [0.025, 0.975])
    low, high = min(ap_low, then[0]), max(ap_high, then[0])
    return Forecast(more, int(last + more), then[0], low, high, (then - now)[0], gain_low, gain_high)


def would_more_help(table: Table, *, more: int = 100) -> str:
    """Answer in words whether more labelled photos would help.

    Args:
        table: as `forecast` takes it.
        more: photos that could be labelled besides.
    """
    expected = forecast(table, more=more)
    if expected is None:
        return f"Whether {more:,} more photos would help takes models of {_LEAST_POINTS} numbers of photos or more."
    return str(expected)
