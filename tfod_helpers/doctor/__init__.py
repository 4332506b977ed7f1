"""A config and its places -> whether a long training would go well.

`examine` makes every mistake that a long training would end with, in minutes: call it before.
"""

from tfod_helpers.doctor.diagnosis import Check, Diagnosis
from tfod_helpers.doctor.examining import examine

__all__ = ["Check", "Diagnosis", "examine"]
