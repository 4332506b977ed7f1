"""Photos that nobody has labelled yet -> labels, with as little work for a person as a detector can leave.

A detector's suggestions are labelled images with ``scores``: no person has confirmed them, so `records.write` and
`evaluation.evaluate` refuse them until one has (`confirm`). `editor` is a box editor inside the notebook, for
suggestions, for labels to correct and from nothing. Nothing here loads TensorFlow.
"""

from tfod_helpers.labelling.comparing import Correction, compare
from tfod_helpers.labelling.editing import Editor, editor
from tfod_helpers.labelling.joining import join
from tfod_helpers.labelling.ranking import rank
from tfod_helpers.labelling.suggesting import confirm, suggest

__all__ = ["Correction", "Editor", "compare", "confirm", "editor", "join", "rank", "suggest"]
