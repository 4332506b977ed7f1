"""What the tests share: the test material beside the checkout, where this machine has it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets, weights and odd files beside the checkout; skips where it is missing."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the shared test material, and there is no {folder}")
    return folder
