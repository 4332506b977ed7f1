"""Versions that are known not to work together are refused, before any time is spent."""

from __future__ import annotations

from importlib import metadata

from tfod_helpers import installing


def check_versions() -> None:
    """Refuse versions that are known not to work together, before any time is spent.

    Raises:
        RuntimeError: the message holds the command that mends it.
    """
    installing.check_python()
    numpy = metadata.version("numpy")
    if tuple(map(int, numpy.split(".")[:2])) >= (2, 4):
        raise RuntimeError(
            f"numpy {numpy} breaks the Model Garden's evaluation. Run: pip install 'numpy<2.4', then restart."
        )
