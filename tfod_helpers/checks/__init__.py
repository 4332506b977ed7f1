"""A dataset -> what is wrong with it, in one report, before any training is paid for; and what of it can be fixed.

`check` takes over everything that reading found, decodes every photo, and checks the labels: alone, against
the other splits, and at the input size of the chosen preset. `mend` fixes what is safe to fix.
"""

from tfod_helpers.checks.checking import check
from tfod_helpers.checks.mending import Change, Mended, mend
from tfod_helpers.checks.report import Report

__all__ = ["Change", "Mended", "Report", "check", "mend"]
