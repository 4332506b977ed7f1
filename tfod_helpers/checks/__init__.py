"""A dataset -> what is wrong with it, in one report, before any training is paid for; and what of it can be mended.

`check` looks at everything that reading found, decodes every photo, and judges the labels: alone, against
the other splits, and against what the chosen preset's model can see. `mend` does what is safe.
"""

from tfod_helpers.checks.looking import check
from tfod_helpers.checks.mending import Change, Mended, mend
from tfod_helpers.checks.report import Report

__all__ = ["Change", "Mended", "Report", "check", "mend"]
