"""Records + a preset -> an ExperimentConfig; strict changes to it; what differs from the preset.

The config is the Model Garden's own `ExperimentConfig` of a RetinaNet, with a few more settings that
its input and its weights need. Learning rate, warm-up and schedule follow the batch size and the
number of steps, so that a change of one does not silently spoil the others.
"""

from tfod_helpers.experiment.config import ExperimentConfig, from_preset
from tfod_helpers.experiment.explaining import explain
from tfod_helpers.experiment.making import from_run, make, with_records
from tfod_helpers.experiment.settings import augment, change, changes, differences, label_map, load, save
from tfod_helpers.presets import presets

__all__ = [
    "ExperimentConfig",
    "augment",
    "change",
    "changes",
    "differences",
    "explain",
    "from_preset",
    "from_run",
    "label_map",
    "load",
    "make",
    "presets",
    "save",
    "with_records",
]
