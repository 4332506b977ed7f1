"""What every test gets: a quiet TensorFlow, and the shared test material where this machine has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets, weights and odd files beside the checkout; skips where it is missing."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the shared test material, and there is no {folder}")
    return folder
