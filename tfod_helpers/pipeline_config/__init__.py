"""A pipeline.config of the Object Detection API -> an ExperimentConfig, and what happened to every setting of it.

Nothing of the Object Detection API is needed. What means the same here is carried over; what belongs to the old
network, optimizer or machine is replaced by the preset's, or has no counterpart; the table says which, and why.
"""

from tfod_helpers.pipeline_config.carried import Carried
from tfod_helpers.pipeline_config.networks import NoCounterpartError, OldConfigError
from tfod_helpers.pipeline_config.reading import read

__all__ = ["Carried", "NoCounterpartError", "OldConfigError", "read"]
