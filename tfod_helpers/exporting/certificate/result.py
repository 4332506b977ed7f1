"""What certifying found, as a table, in words, as a picture, and as files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tfod_helpers import pictures
from tfod_helpers.exporting.certificate import page
from tfod_helpers.files import storage
from tfod_helpers.report.writing import plain

PAGE, NUMBERS, PICTURE = FILES = ("certificate.html", "certificate.json", "certificate.png")


@dataclass(frozen=True, eq=False)
class Certificate:
    """What `exporting.certify` found: a row an export, the first of them what the others are held against.

    Attributes:
        table: by the exports' names:

            * ``format`` and ``precision``;
            * ``ap``, ``ap50`` and the ends of their 95 % intervals (``ap_low``, ``ap_high``, ...);
            * ``ap_change``, ``ap50_change``: how much higher than the reference's they are, with 95 % intervals of
              that difference (``ap_change_low``, ...), as `evaluation.difference` has them;
            * ``bytes``: of all files that the model consists of;
            * ``ms``: milliseconds a photo, the median; ``cores``: how many were busy meanwhile, on average;
            * ``box_pixels``, ``score``, ``matched``, ``alone``: how far its detections lie from the reference's, as
              `evaluation.agreement` has them, from the reference's confidence threshold on;
            * ``fit``: True, False, or None where these photos cannot tell, and of the reference itself; ``verdict``,
              the same in words; ``notes``: in what else it differs from the reference.

            What is not known is NaN; an export that could not be judged has the reason in its notes.
        facts: of all rows: date, photos, objects, dataset (a fingerprint of photos and labels), machine, timing,
            reference, tolerance, resamples, threshold, versions.
    """

    table: pd.DataFrame
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return page.text(self.table, self.facts)

    def _repr_html_(self) -> str:
        return page.summary(self.table, self.facts)

    @property
    def unfit(self) -> list[str]:
        """The exports that are not to be shipped."""
        return [str(name) for name, fit in self.table["fit"].items() if fit is False]

    def figure(self) -> pictures.Picture:
        """Draw it, as `pictures.plot_certificate` does."""
        return pictures.plot_certificate(self.table, tolerance=self.facts["tolerance"])

    def numbers(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it; what is not known is None."""
        return plain({**self.facts, "exports": self.table.to_dict("index")})

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``certificate.html``, a page that needs nothing else, ``certificate.json`` and ``certificate.png``.

        Args:
            folder: the folder of an export or any other, here or ``gs://``; it is made where it is missing, and its
                other files are left alone.

        Returns:
            The path of the page.
        """
        picture = self.figure()
        html = page.draw(self.table, self.facts, picture)
        numbers = json.dumps(self.numbers(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        picture.save(storage.join(folder, PICTURE))
        for name, words in ((NUMBERS, numbers), (PAGE, html)):
            with storage.whole_file(storage.join(folder, name)) as part:
                part.write_text(words, encoding="utf-8")
        return Path(storage.join(folder, PAGE))
