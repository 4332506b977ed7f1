"""Why an archive is refused, and the words that several reasons share."""

from __future__ import annotations

import os
from pathlib import Path

from tfod_helpers.files import storage

NO_TRUST = "Do not use this archive."
AGAIN = "Copy or download it again."


class ArchiveError(ValueError):
    """An archive that cannot be unpacked, or should not be.

    Attributes:
        path: the archive.
        what: what was found.
        fix: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, fix: str) -> None:
        super().__init__(path, what, fix)  # all three, so that the error can be pickled
        self.path, self.what, self.fix = Path(path), what, fix

    def __str__(self) -> str:
        return f"{storage.address(self.args[0])}: {self.what}. {self.fix}"
