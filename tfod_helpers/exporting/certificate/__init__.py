"""Exports and labelled photos -> a certificate: is each of them as good as the run that it was made from?

* `certifying` judges the exports beside the reference, and writes each verdict into its ``export.json``.
* `judging` lets one detector look at the photos, scores what it finds, and times it.
* `result` is the `Certificate`; `page` puts it into words, tables and HTML.
"""

from tfod_helpers.exporting.certificate.certifying import certify
from tfod_helpers.exporting.certificate.result import Certificate

__all__ = ["Certificate", "certify"]
