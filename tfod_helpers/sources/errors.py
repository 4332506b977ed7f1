"""Why data could not be had."""

from __future__ import annotations


class SourceError(OSError):
    """A data set that could not be brought to the local disk.

    Attributes:
        where: where it was looked for, without keys that an address may hold.
        what: what went wrong.
        fix: what to do.
    """

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(f"{where}: {what}. {fix.rstrip('.')}.")
        self.where, self.what, self.fix = where, what, fix
