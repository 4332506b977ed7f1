"""An export -> ``README.md`` in its folder: what the model is, how good, how it is run, and what nobody tested.

* `origin` gathers what the run's files say: its data, its scores, its network and the weights that it began from.
* `usage` has the lines that run each format.
* `writing` makes the page, and brings the verdict of `exporting.certify` in later.

What is not known is said to be unknown.
"""

from tfod_helpers.exporting.model_card.writing import CARD, update, write

__all__ = ["CARD", "update", "write"]
