"""A machine, a config and a place -> the strategy to train with, and whether a long training would go well.

* `connect` takes the best device there is, see `tfod_helpers.devices`.
* `doctor` makes every mistake that a long training would end with, in minutes: call it before.
"""

from tfod_helpers.devices import Connection, best_precision, check_versions, connect
from tfod_helpers.drive import in_colab
from tfod_helpers.runtime.diagnosis import Check, Diagnosis
from tfod_helpers.runtime.examining import doctor

__all__ = [
    "Check",
    "Connection",
    "Diagnosis",
    "best_precision",
    "check_versions",
    "connect",
    "doctor",
    "in_colab",
]
