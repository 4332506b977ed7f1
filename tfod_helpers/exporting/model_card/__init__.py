"""An export -> ``README.md`` in its folder: what the model is, how good, how it is run, and what nobody tested.

* `origin` is what a model was made from, and `gathering` reads it out of the run's files, which needs TensorFlow: its
  data, its scores, its network and the weights that it began from.
* `usage` has the lines that run each format.
* `writing` makes the page, and brings the verdict of `exporting.certify` in later.

What is not known is said to be unknown.
"""

from tfod_helpers.exporting.model_card.origin import Origin, Photos
from tfod_helpers.exporting.model_card.writing import CARD, update, write

__all__ = ["CARD", "Origin", "Photos", "update", "write"]
