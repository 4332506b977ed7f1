"""An `Evaluation` -> a page that any browser shows, and its numbers in files."""

from tfod_helpers.report.writing import write

__all__ = ["write"]
